// The adapter `openai-compatible` between OpenAI's client and a scripted provider: all goes through, unchanged.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import OpenAI from 'openai';
import { chunk, completion } from './chat.js';
import { KEY, serve } from './served.js';
import { cut, events, stream, whole } from './upstream.js';

const HELLO = [{ role: 'user', content: 'hello' }];

let served;
let upstream;
let gateway;
let client;

before(async () => {
  served = await serve();
  ({ upstream, gateway, client } = served);
});
after(() => served?.stop());
beforeEach(() => upstream.reset());

const create = (rest) => client.chat.completions.create({ model: 'remote', messages: HELLO, ...rest });

/** What the client sent, with the provider's name for the model. */
function withProvidersName(body) {
  assert.equal(body.split('"model":"remote"').length, 2);
  return body.replace('"model":"remote"', '"model":"vendor/model-1"');
}

test('a whole exchange byte for byte', async () => {
  const odd = completion({ content: 'x' }).replace('"created":1', '"created" : 1E0,\n "x_new":[ 1.0, "\\u00e9\\/" ]');
  upstream.answer(whole(odd));
  const response = await create({ x_new_field: { deep: [1, 2.5, null, 'é'] }, top_k: 40 }).asResponse();
  assert.equal(await response.text(), odd);
  const [request] = upstream.requests;
  assert.deepEqual([request.method, request.url], ['POST', '/v1/chat/completions']);
  assert.equal(request.body, withProvidersName(served.sent()));
  assert.match(request.body, /"x_new_field"/);
});

test("the provider gets the host's key, not the client's", async () => {
  upstream.answer(whole(completion({ content: 'ok' })));
  const { response } = await create().withResponse();
  const [request] = upstream.requests;
  assert.equal(request.headers.authorization, `Bearer ${KEY}`);
  assert.doesNotMatch(JSON.stringify(request), /client-key/);
  assert.doesNotMatch(JSON.stringify([...response.headers]) + gateway.log(), new RegExp(KEY));
});

test('tools', async () => {
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } }];
  const call = { id: 'call-1', type: 'function', function: { name: 'weather', arguments: '{"place": "Köln"}' } };
  upstream.answer(whole(completion({ content: null, tool_calls: [call] }, 'tool_calls')));
  const answer = await create({ tools, tool_choice: 'required' });
  assert.deepEqual(answer.choices[0].message.tool_calls, [call]);
  assert.equal(upstream.requests[0].body, withProvidersName(served.sent()));
  assert.deepEqual(JSON.parse(upstream.requests[0].body).tools, tools);
});

for (const size of [3, 1000]) {
  test(`tool calls in a stream, in pieces of ${size}`, async () => {
    const call = (index, rest) => chunk({ tool_calls: [{ index, ...rest }] });
    const chunks = [
      chunk({ role: 'assistant', content: null }),
      call(0, { id: 'call-1', type: 'function', function: { name: 'weather', arguments: '' } }),
      call(0, { function: { arguments: '{"pla' } }),
      call(0, { function: { arguments: 'ce": "Köln"}' } }),
      chunk({}, 'tool_calls'),
    ];
    upstream.answer(stream(cut(events(...chunks), size)));
    const runner = client.chat.completions.stream({ model: 'remote', messages: HELLO });
    const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0];
    assert.equal(finish_reason, 'tool_calls');
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { place: 'Köln' });
  });
}

test('a stream byte for byte', async () => {
  const first = chunk({ role: 'assistant', content: 'ü✓' }).replace('"created":1', '"created":1, "x_new":[ 1.0 ]');
  const bytes = events(first, chunk({}, 'stop'));
  upstream.answer(stream(cut(bytes, 5)));
  const response = await create({ stream: true }).asResponse();
  assert.equal(await response.text(), bytes.toString());
});

test('a JSON schema', async () => {
  const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
  const response_format = { type: 'json_schema', json_schema: { name: 'place', strict: true, schema } };
  upstream.answer(whole(completion({ content: '{"name":"Köln"}' })));
  const answer = await client.chat.completions.parse({ model: 'remote', messages: HELLO, response_format });
  assert.equal(JSON.parse(answer.choices[0].message.content).name, 'Köln');
  assert.deepEqual(JSON.parse(upstream.requests[0].body).response_format, response_format);
});

test('an image as data URI', async () => {
  const url = `data:image/png;base64,${Buffer.alloc(1_500_000, 'pixels').toString('base64')}`;
  const content = [{ type: 'text', text: 'what is this?' }, { type: 'image_url', image_url: { url } }];
  upstream.answer(whole(completion({ content: 'noise' })));
  await create({ messages: [{ role: 'user', content }] });
  assert.equal(upstream.requests[0].body, withProvidersName(served.sent()));
});

test('too many requests come as such', async () => {
  const error = { message: 'slow down', type: 'tokens', param: null, code: 'rate_limit_exceeded' };
  upstream.answer(whole(JSON.stringify({ error }), { status: 429, headers: { 'retry-after': '7' } }));
  await assert.rejects(create(), (failure) => {
    assert.ok(failure instanceof OpenAI.RateLimitError);
    assert.deepEqual(failure.error, error);
    assert.equal(failure.headers.get('retry-after'), '7');
    return true;
  });
});

test('a failure that passes is none', async () => {
  upstream.answer(whole('{}', { status: 503 }), whole(completion({ content: 'ok' })));
  assert.equal((await create()).choices[0].message.content, 'ok');
  assert.equal(upstream.requests.length, 2);
});

test('half a stream is no whole one', async () => {
  upstream.answer(stream([`data: ${chunk({ content: 'half' })}\n\n`], { end: false }));
  const said = [];
  await assert.rejects(async () => {
    for await (const piece of await create({ stream: true })) said.push(piece.choices[0].delta.content);
  }, OpenAI.APIError);
  assert.deepEqual(said, ['half']);
});

test('a client that leaves takes the provider along', { timeout: 10_000 }, async () => {
  function* forever() {
    while (true) yield `data: ${chunk({ content: 'more' })}\n\n`;
  }
  upstream.answer(stream(forever()));
  for await (const piece of await create({ stream: true })) {
    assert.equal(piece.choices[0].delta.content, 'more');
    break;
  }
  await upstream.requests[0].left;
});

for (const streaming of [false, true]) {
  test(`what no grant names is not reached, streaming: ${streaming}`, async () => {
    await assert.rejects(create({ model: 'elsewhere', stream: streaming }), (failure) => {
      assert.ok(failure instanceof OpenAI.InternalServerError);
      assert.deepEqual([failure.status, failure.code], [503, 'no_grant']);
      return true;
    });
    assert.deepEqual(upstream.requests, []);
  });
}
