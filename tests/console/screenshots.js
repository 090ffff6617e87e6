// Pictures of the console after some traffic, light and dark, wide and narrow: `node screenshots.js FOLDER`.

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { completion } from '../clients/node/chat.js';
import { whole } from '../clients/node/upstream.js';
import { openConsole, startBrowser } from './browser.js';
import { setStage } from './stage.js';

// Long enough for several steps of the plot.
const TRAFFIC_MS = Number(process.env.TRAFFIC_MS ?? 45_000);

/** Requests of all kinds, until the time is over. */
async function traffic(stage) {
  const end = Date.now() + TRAFFIC_MS;
  for (let turn = 0; Date.now() < end; turn += 1) {
    const late = 20 + 60 * Math.random() ** 3 + (turn % 40 === 39 ? 500 : 0);
    stage.upstream.answer(async (response) => {
      await sleep(late);
      whole(completion({ content: 'Local first.' }))(response);
    });
    await stage.ask('chat');
    await stage.ask('echo');
    await stage.ask('echo', 'hello', {}, { stream: true });
    if (turn % 25 === 0) await stage.ask('elsewhere');
    if (turn < 8) await stage.ask('gone');
    await sleep(60);
  }
}

const folder = process.argv[2];
await mkdir(folder, { recursive: true });
const stage = await setStage();
const browser = await startBrowser();
try {
  await traffic(stage);
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, width] of [['wide', 1440], ['narrow', 360]]) {
      const page = await openConsole(browser, stage.url, { colorScheme, viewport: { width, height: 900 } });
      await page.selectOption('#chat-model', 'echo');
      await page.fill('#chat-text', 'What does this gateway let out?');
      await page.click('#chat-send');
      await page.locator('#chat-note', { hasText: 'Answered in' }).waitFor();
      await page.evaluate(() => window.scrollTo(0, 0));
      const file = path.join(folder, `console-${size}-${colorScheme}.png`);
      await page.screenshot({ path: file, fullPage: true });
      console.log(file);
      await page.context().close();
    }
  }
} finally {
  await browser.close();
  await stage.stop();
}
