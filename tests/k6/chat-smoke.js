// How quickly a model answers through the gateway, whole and as a stream, measured against the budget of limits.yaml.
//
// In: see measure.js, and HAUSKI_MODEL, a model that answers with what it is told, such as `echo`. Out: see measure.js. A stream
// counts until its last byte, which is more than a client waits for its first word.
import http from 'k6/http';
import { sleep } from 'k6';
import { count, url } from './measure.js';

export { handleSummary, options, setup } from './measure.js';

const model = __ENV.HAUSKI_MODEL || 'echo';
const text = 'how quickly is this said';
const params = { headers: { 'content-type': 'application/json' }, timeout: '10s' };

export default function () {
  count(ask({}), (body) => JSON.parse(body).choices[0].message.content === text);
  sleep(0.02);
  count(ask({ stream: true }), (body) => textOf(body) === text);
  sleep(0.02);
}

function ask(rest) {
  const body = { model, messages: [{ role: 'user', content: text }], ...rest };
  return http.post(`${url}/v1/chat/completions`, JSON.stringify(body), params);
}

/** What a stream says altogether, if it came to its end. */
function textOf(body) {
  const events = body.trimEnd().split('\n\n').map((event) => event.replace(/^data: /, ''));
  if (events.pop() !== '[DONE]') {
    throw new Error('the stream broke off');
  }
  const deltas = events.flatMap((event) => JSON.parse(event).choices).map((choice) => choice.delta.content || '');
  return deltas.join('');
}
