// The page in a browser: it reads in any size, in light and dark, by keyboard and by screen reader, and breaks none of its own rules.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { completion } from '../clients/node/chat.js';
import { whole } from '../clients/node/upstream.js';
import { openConsole, startBrowser } from './browser.js';
import { HOSTILE, SECRET, setStage } from './stage.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

let browser;
let stage;

before(async () => {
  [browser, stage] = await Promise.all([startBrowser(), setStage()]);
  stage.upstream.answer(whole(completion({ content: 'ok' })));
  await stage.ask('llama3');
  await stage.ask('elsewhere');
  await stage.ask('gone');
});
after(async () => {
  await browser?.close();
  await stage?.stop();
});

/** Opens the console, and closes it with what the browser complained of. */
async function look(options, use) {
  const page = await openConsole(browser, stage.url, options);
  try {
    await use(page);
    assert.deepEqual(page.complaints, []);
  } finally {
    await page.context().close();
  }
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 768, 1440]) {
    test(`nothing overflows and nothing is out of reach: ${colorScheme}, ${width} pixels`, async () => {
      await look({ colorScheme, viewport: { width, height: 800 } }, async (page) => {
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} pixels`);
        await page.locator('details').evaluateAll((all) => all.forEach((one) => (one.open = true)));
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, 'with opened details');
        assert.deepEqual(await violations(page), []);
      });
    });
  }
}

/** What axe finds. It runs in a world of its own beside the page's, whose policy would not let it in. */
async function violations(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const world = { frameId: frameTree.frame.id, worldName: 'axe' };
  const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', world);
  const axe = await readFile(AXE, 'utf8');
  const run = `${axe}; axe.run(document, { runOnly: ${JSON.stringify(RULES)} })
    .then(({ violations, passes }) => JSON.stringify({ passes: passes.length, violations: violations.map(({ id, nodes }) =>
      ({ id, where: nodes.map(({ html, failureSummary }) => html + ' ' + failureSummary) })) }))`;
  const evaluate = { expression: run, contextId, awaitPromise: true, returnByValue: true };
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', evaluate);
  assert.equal(exceptionDetails, undefined);
  const found = JSON.parse(result.value);
  assert.ok(found.passes > 15, `only ${found.passes} rules had something to look at`);
  return found.violations;
}

test('it reads without scripts', async () => {
  await look({ javaScriptEnabled: false }, async (page) => {
    const text = await page.locator('body').innerText();
    const parts = ['1 request of adapters denied', 'path-not-granted', 'chat request answered', 'Anthropic'];
    const latency = ['Time to first token', 'Added latency', 'The budget is 2.0 s for p95.', 'the budget of 10 ms for p95.'];
    for (const part of [...parts, ...latency]) {
      assert.ok(text.includes(part), part);
    }
    assert.equal(await page.locator('#part-latency svg[role=img]').count(), 2, 'a plot for each measure');
    assert.ok(await page.locator('#records tr').count() >= 3);
    assert.ok(await page.locator('svg[role=img] circle').count() > 0);
    assert.equal(await page.locator('#chat-form').isVisible(), false);
    assert.ok(await page.getByText('the browser has to run').isVisible());
  });
});

test('what others choose is text', async () => {
  await look({}, async (page) => {
    page.on('dialog', () => assert.fail('a script of others has run'));
    const row = page.locator('#part-adapters tbody tr', { hasText: 'not loaded' });
    const shown = HOSTILE.replace('\u202e', '\\u{202e}').replace('\u001b', '\\u{1b}');
    assert.equal(await row.locator('th').innerText(), shown);
    assert.equal(await page.locator('img').count(), 0);
  });
});

test('no secret is on the page', async () => {
  await look({}, async (page) => {
    assert.ok(!(await page.content()).includes(SECRET));
    assert.match(await page.locator('#part-adapters').innerText(), /sets authorization/);
  });
});

test('the policy holds', async () => {
  const page = await openConsole(browser, stage.url);
  const tried = await page.evaluate(async () => {
    const errors = {};
    const attempt = (name, act) => {
      try {
        act();
        errors[name] = 'done';
      } catch (error) {
        errors[name] = error.name;
      }
    };
    attempt('markup', () => (document.body.innerHTML = '<p>x'));
    attempt('policy', () => window.trustedTypes.createPolicy('other', { createHTML: (html) => html }));
    const script = document.createElement('script');
    attempt('script', () => (script.src = 'https://evil.test/x.js'));
    errors.fetch = await fetch('https://evil.test/').then(() => 'done', (error) => error.name);
    return errors;
  });
  const refused = { markup: 'TypeError', policy: 'TypeError', script: 'TypeError', fetch: 'TypeError' };
  assert.deepEqual(tried, refused);
  assert.ok(page.complaints.length >= 4, 'the browser says so');
  await page.context().close();
});

test('by keyboard: the first key leads to the content, and all can be reached', async () => {
  await look({}, async (page) => {
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'a.skip');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.notEqual(await page.evaluate(() => document.activeElement.closest('main')), null);
    const reached = new Set();
    for (let presses = 0; presses < 60; presses += 1) {
      reached.add(await focused(page));
      const ring = await page.evaluate(() => {
        const style = getComputedStyle(document.activeElement);
        return document.activeElement === document.body || style.outlineStyle !== 'none';
      });
      assert.ok(ring, `one sees that ${await focused(page)} has the focus`);
      await page.keyboard.press('Tab');
    }
    for (const name of ['select#chat-model', 'textarea#chat-text', 'button#chat-send', 'div#chat-answer', 'summary', 'div.scroll']) {
      assert.ok(reached.has(name), `${name} is not among ${[...reached]}`);
    }
    assert.ok(reached.has('body') || reached.has('a.skip'), 'the focus is not kept in the page');
  });
});

const focused = (page) =>
  page.evaluate(() => {
    const { tagName, id, className } = document.activeElement;
    return tagName.toLowerCase() + (id ? `#${id}` : className ? `.${className}` : '');
  });
