// A scripted provider on the loopback: keeps what it is asked, byte for byte, and answers as it was told.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** An answer in one piece. */
export function whole(body, { status = 200, headers = {} } = {}) {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(body);
  };
}

/** An event stream, each piece written on its own; `pieces` may be endless. */
export function stream(pieces, { end = true } = {}) {
  return async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of pieces) {
      if (response.destroyed) return;
      response.write(piece);
      // Lets the piece arrive as one of its own.
      await sleep(5);
    }
    if (end) response.end();
    else response.destroy();
  };
}

/** The bytes of an event stream with these chunks, and its end. */
export function events(...chunks) {
  return Buffer.from([...chunks, '[DONE]'].map((chunk) => `data: ${chunk}\n\n`).join(''));
}

/** The same bytes in pieces of `size`, whose borders mean nothing. */
export function* cut(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Starts the provider; each answer that it is given is used for one POST. */
export async function startUpstream() {
  const requests = [];
  const answers = [];
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const { method, url, headers } = request;
    const asked = { method, url, headers, body: Buffer.concat(pieces).toString(), left: once(response, 'close') };
    requests.push(asked);
    const nothing = whole('{"error":{"message":"the test scripted no answer"}}', { status: 500 });
    await (method === 'GET' ? whole('{"object":"list","data":[]}') : answers.shift() ?? nothing)(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    requests,
    answer: (...more) => answers.push(...more),
    reset: () => (requests.splice(0), answers.splice(0)),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
