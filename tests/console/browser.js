// Debian's Chromium, and pages of it that note whatever goes wrong in them.
//
// In: a gateway's address. Out: the console in a page, and what the browser complained of, such as violations of the page's policy.

import { chromium } from 'playwright-core';

/** Starts the browser; `CHROMIUM` names another one. */
export function startBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
}

/** The console of the gateway at `url`, when it is live; `options` are the context's. */
export async function openConsole(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text());
  });
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('requestfailed', (request) => {
    const { errorText } = request.failure();
    // What the page itself gives up, such as the stream of events of one that is paused, is none.
    if (errorText !== 'net::ERR_ABORTED') page.complaints.push(`${request.url()}: ${errorText}`);
  });
  await page.goto(`${url}/console`);
  if (options.javaScriptEnabled !== false) await page.waitForSelector('body[data-live=live]');
  return page;
}
