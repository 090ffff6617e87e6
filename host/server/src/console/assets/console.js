// Keeps the page as the gateway is: one stream of events, each the new content of a part or a record of the ledger.
//
// In: `/console/events`. Out: the page. It can be paused, and says in words whether it is live.

import { morph, parse } from './morph.js';

const PARTS = ['status', 'latency', 'models', 'adapters', 'denials', 'ledger'];
// As many rows as the server keeps records.
const ROWS = 200;
// After a refusal the browser does not come again by itself.
const AGAIN_MS = 5_000;

const live = document.getElementById('live');
const pause = document.getElementById('pause');
const records = document.getElementById('records');
const missed = document.getElementById('missed');

let source;
let retry;
let seen = records.dataset.seen;
let gone = 0;

function open() {
  source = new EventSource(`/console/events?since=${seen}`);
  source.addEventListener('open', () => say('live', 'live'));
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) {
      say('off', 'not live: the gateway refuses, as when too many look or the key has ended');
      retry = setTimeout(open, AGAIN_MS);
    } else {
      say('off', 'not live: the gateway does not answer');
    }
  });
  for (const name of PARTS) {
    const part = document.getElementById(`part-${name}`);
    source.addEventListener(name, ({ data }) => morph(part, data));
  }
  source.addEventListener('record', ({ data, lastEventId }) => {
    seen = lastEventId;
    const row = parse(data).firstElementChild;
    document.getElementById(row.id)?.remove();
    records.prepend(row);
    while (records.rows.length > ROWS) records.rows[ROWS].remove();
  });
  source.addEventListener('missed', ({ data }) => {
    gone += Number(data);
    missed.textContent = `${gone} records were written faster than they could be shown here; the file has them.`;
    missed.hidden = false;
  });
}

/** Says how live the page is, if that has changed: it is read aloud. */
function say(state, words) {
  document.body.dataset.live = state;
  if (live.textContent !== words) live.textContent = words;
}

pause.addEventListener('click', () => {
  const stop = pause.getAttribute('aria-pressed') === 'false';
  pause.setAttribute('aria-pressed', String(stop));
  clearTimeout(retry);
  source.close();
  if (stop) {
    say('paused', 'paused');
  } else {
    open();
  }
});

pause.hidden = false;
open();
