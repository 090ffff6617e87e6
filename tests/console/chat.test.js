// The box to try a model, by keyboard alone; with keys and without.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { chunk } from '../clients/node/chat.js';
import { openConsole, startBrowser } from './browser.js';
import { setStage } from './stage.js';

const OPERATOR = 'hk-operator-of-the-console';
const LAPTOP = 'hk-laptop-of-somebody';
const hash = (key) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const KEYS = {
  keys: [
    { name: 'operator', models: ['echo'], operator: true, hash: hash(OPERATOR) },
    { name: 'laptop', models: ['echo'], hash: hash(LAPTOP) },
  ],
};

let browser;
let stage;

before(async () => {
  [browser, stage] = await Promise.all([startBrowser(), setStage()]);
});
after(async () => {
  await browser?.close();
  await stage?.stop();
});

/** A provider's stream that goes on when it is told to. */
function held(...chunks) {
  const steps = chunks.map(resolvers);
  return {
    go: (at) => steps[at].resolve(),
    answer: async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const [at, data] of chunks.entries()) {
        await Promise.race([steps[at].promise, new Promise((left) => response.once('close', left))]);
        if (response.destroyed) return;
        response.write(`data: ${data}\n\n`);
      }
      response.end();
    },
  };
}

function resolvers() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}

/** Tabs on until the element with this id has the focus. */
async function tabTo(page, id) {
  for (let presses = 0; presses < 80; presses += 1) {
    if (await page.evaluate((id) => document.activeElement.id === id, id)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`the keyboard does not lead to ${id}`);
}

const said = (page) => page.locator('#chat-answer').innerText();

test('an answer comes piece by piece, by keyboard alone', async () => {
  const page = await openConsole(browser, stage.url);
  const pieces = [chunk({ role: 'assistant', content: 'Hel' }), chunk({ content: 'lo <b>' }), chunk({}, 'stop'), '[DONE]'];
  const provider = held(...pieces);
  stage.upstream.answer(provider.answer);
  await tabTo(page, 'chat-model');
  await page.keyboard.type('llama3');
  await tabTo(page, 'chat-text');
  await page.keyboard.type('hello, provider');
  await page.keyboard.press('Control+Enter');
  provider.go(0);
  await page.locator('#chat-answer', { hasText: /^Hel$/ }).waitFor();
  assert.equal(await page.locator('#chat-send').isDisabled(), true);
  [1, 2, 3].forEach(provider.go);
  await page.locator('#chat-note', { hasText: 'Answered in' }).waitFor();
  assert.equal(await said(page), 'Hello <b>');
  assert.match(await page.locator('#chat-note').innerText(), /the first piece after \d+ ms.*openai-compatible/);
  const [request] = stage.upstream.requests.filter(({ method }) => method === 'POST');
  assert.match(request.body, /hello, provider/);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('it can be stopped, and the focus stays', async () => {
  const page = await openConsole(browser, stage.url);
  stage.upstream.reset();
  const provider = held(chunk({ role: 'assistant', content: 'begun' }), chunk({ content: 'never' }));
  stage.upstream.answer(provider.answer);
  await page.selectOption('#chat-model', 'llama3');
  await page.fill('#chat-text', 'hello');
  await tabTo(page, 'chat-send');
  await page.keyboard.press('Enter');
  provider.go(0);
  await page.locator('#chat-answer', { hasText: 'begun' }).waitFor();
  await tabTo(page, 'chat-stop');
  await page.keyboard.press('Enter');
  await page.locator('#chat-note', { hasText: 'Stopped after' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'chat-send');
  const [request] = stage.upstream.requests.filter(({ method }) => method === 'POST');
  await request.left;
  await page.context().close();
});

test('what fails is said', async () => {
  const page = await openConsole(browser, stage.url);
  await page.fill('#chat-text', 'hello');
  await page.selectOption('#chat-model', 'elsewhere');
  await page.click('#chat-send');
  await page.locator('#chat-note', { hasText: 'No answer:' }).waitFor();
  stage.upstream.answer(async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${chunk({ role: 'assistant', content: 'half' })}\n\n`);
    setTimeout(() => response.destroy(), 50);
  });
  await page.selectOption('#chat-model', 'llama3');
  await page.click('#chat-send');
  await page.locator('#chat-answer', { hasText: 'half' }).waitFor();
  await page.locator('#chat-note', { hasText: 'No answer:' }).waitFor();
  await page.context().close();
});

test('with keys an operator logs in, and the box asks for a key of its own', async () => {
  const locked = await setStage({ HAUSKI_KEYS_TEXT: JSON.stringify(KEYS) });
  try {
    const refused = await (await browser.newContext()).newPage();
    assert.equal((await refused.goto(`${locked.url}/console`).catch(() => null))?.status() ?? 401, 401);
    const httpCredentials = { username: 'anyone', password: OPERATOR };
    const page = await openConsole(browser, locked.url, { httpCredentials });
    const sent = [];
    page.on('request', async (request) => {
      if (request.url().endsWith('/completions')) sent.push(await request.allHeaders());
    });
    await page.selectOption('#chat-model', 'echo');
    await page.fill('#chat-text', 'hello, echo');
    await page.click('#chat-send');
    await page.locator('#chat-note', { hasText: 'this gateway asks for a key' }).waitFor();
    await tabTo(page, 'chat-key');
    await page.keyboard.type(LAPTOP);
    await page.click('#chat-send');
    await page.locator('#chat-answer', { hasText: 'hello, echo' }).waitFor();
    assert.deepEqual(sent.map(({ authorization }) => authorization), [undefined, `Bearer ${LAPTOP}`]);
    const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
    assert.deepEqual(kept, [0, 0, '']);
    await page.reload();
    assert.equal(await page.inputValue('#chat-key'), '');
    const laptop = { httpCredentials: { username: 'anyone', password: LAPTOP } };
    const other = await (await browser.newContext(laptop)).newPage();
    assert.equal((await other.goto(`${locked.url}/console`)).status(), 403);
    assert.match(await other.locator('body').innerText(), /the console is for operators/);
  } finally {
    await locked.stop();
  }
});
