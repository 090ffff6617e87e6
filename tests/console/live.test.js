// The page while the gateway works: what happens shows within a moment, and leaves alone what whoever looks has in hand.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { chunk, completion } from '../clients/node/chat.js';
import { events, stream, whole } from '../clients/node/upstream.js';
import { openConsole, startBrowser } from './browser.js';
import { setStage } from './stage.js';

let browser;
let stage;
let page;

before(async () => {
  [browser, stage] = await Promise.all([startBrowser(), setStage()]);
});
after(async () => {
  await browser?.close();
  await stage?.stop();
});
beforeEach(async () => {
  await page?.context().close();
  stage.upstream.reset();
  page = await openConsole(browser, stage.url);
});

const answer = () => stage.upstream.answer(whole(completion({ content: 'ok' })));
const newest = () => page.locator('#records tr').first();

test('a record shows when it is written', async () => {
  const before = Number(await newest().locator('th').innerText());
  answer();
  await stage.ask('llama3');
  const row = page.locator(`#ledger-${before + 1}`);
  await row.waitFor();
  const text = await row.innerText();
  assert.match(text, /openai-compatible\s+llama3\s+allowed\s+POST http:\/\/127\.0\.0\.1:\d+\/v1\/\s+200/);
  assert.equal(await newest().getAttribute('id'), `ledger-${before + 1}`);
  await page.locator('#latency-words', { hasText: 'chat request' }).waitFor();
  assert.deepEqual(page.complaints, []);
});

test('a stream shows with its first token, a whole answer only with what the gateway adds', async () => {
  const firstToken = page.locator('#first-token-words');
  const added = page.locator('#added-words');
  answer();
  await stage.ask('llama3');
  await added.filter({ hasText: /\d+ answers?: p50 .* the budget of 10 ms for p95/ }).waitFor();
  const before = await firstToken.innerText();
  stage.upstream.answer(stream([events(chunk({ role: 'assistant', content: 'ok' }), chunk({}, 'stop'))]));
  assert.equal(before, 'Nothing to measure in the last ten minutes. The budget is 2.0 s for p95.');
  await stage.ask('llama3', 'hello', {}, { stream: true });
  await firstToken.filter({ hasText: /^1 streamed answer: p50 .* within the budget of 2\.0 s for p95/ }).waitFor();
  assert.match(await page.locator('#part-status').innerText(), /First token, p95[^]*within the budget of 2\.0 s[^]*Added, p95/);
  assert.deepEqual(page.complaints, []);
});

test('a denial shows with the entry that would allow it', async () => {
  await stage.ask('elsewhere');
  const item = page.locator('#denials li', { hasText: '/v2/chat/completions' });
  await item.waitFor();
  const url = `${stage.upstream.origin}/v2/chat/completions`;
  const entry = `- { url: '${url}', adapters: ['openai-compatible'], models: ['elsewhere'], methods: [POST] }`;
  assert.equal(await item.locator('pre').innerText(), entry);
  assert.match(await page.locator('#part-status').innerText(), /Denied\s+1/);
  assert.deepEqual(page.complaints, []);
});

test('a breaker that opens shows', async () => {
  for (let times = 0; times < 12; times += 1) await stage.ask('gone');
  await page.locator('#part-models tr', { hasText: 'gone' }).locator('.badge', { hasText: /open/ }).first().waitFor();
});

test('what is opened, focused and selected stays so while the page changes', async () => {
  const details = page.locator('#part-latency details');
  await details.locator('summary').focus();
  await page.keyboard.press('Enter');
  await page.evaluate(() => getSelection().selectAllChildren(document.querySelector('#part-adapters tbody th')));
  const selected = await page.evaluate(() => String(getSelection()));
  const words = await page.locator('#latency-words').innerText();
  answer();
  await stage.ask('llama3');
  await page.waitForFunction((words) => document.getElementById('latency-words').innerText !== words, words);
  assert.equal(await details.getAttribute('open'), '');
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'SUMMARY');
  assert.equal(await page.evaluate(() => String(getSelection())), selected);
});

test('paused, nothing changes; after that, what is gone is counted', async () => {
  // One that was seen live is not told again.
  const loaded = Number(await newest().locator('th').innerText());
  await stage.ask('elsewhere');
  await page.locator(`#ledger-${loaded + 1}`).waitFor();
  const pause = page.getByRole('button', { name: 'Pause' });
  await pause.focus();
  await page.keyboard.press('Space');
  await page.getByText('paused').waitFor();
  const before = Number(await newest().locator('th').innerText());
  const rows = await page.locator('#records tr').count();
  const times = 260;
  for (let asked = 0; asked < times; asked += 20) {
    await Promise.all(Array.from({ length: 20 }, () => stage.ask('elsewhere')));
  }
  await new Promise((done) => setTimeout(done, 1_500));
  assert.equal(await page.locator('#records tr').count(), rows);
  await page.keyboard.press('Space');
  await page.locator(`#ledger-${before + times}`).waitFor();
  await page.getByText(`${times - 200} records were written faster`).waitFor();
  assert.equal(await page.locator('#records tr').count(), 200);
  assert.deepEqual(page.complaints, []);
});

test('whether it is live is said in words', async () => {
  const streams = await Promise.all(Array.from({ length: 8 }, () => fetch(`${stage.url}/console/events`)));
  assert.ok(streams.some(({ status }) => status === 200));
  const full = await browser.newPage();
  await full.goto(`${stage.url}/console`);
  await full.getByText('not live: the gateway refuses').waitFor();
  await Promise.all(streams.map(({ body }) => body.cancel()));
  await full.waitForSelector('body[data-live=live]', { timeout: 15_000 });
  await full.close();
});
