// The Responses API and embeddings through OpenAI's client, with the echo adapter and a scripted provider of chat.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import OpenAI from 'openai';
import { chunk, completion } from './chat.js';
import { serve } from './served.js';
import { cut, events, stream, whole } from './upstream.js';

const WEATHER = {
  type: 'function',
  name: 'weather',
  strict: true,
  parameters: {
    type: 'object',
    properties: { place: { type: 'string' } },
    required: ['place'],
    additionalProperties: false,
  },
};
const USAGE = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12, prompt_tokens_details: { cached_tokens: 4 } };

let served;
let upstream;
let client;

before(async () => {
  served = await serve();
  ({ upstream, client } = served);
});
after(() => served?.stop());
beforeEach(() => upstream.reset());

const create = (rest) => client.responses.create({ model: 'remote', input: 'hello', ...rest });

async function collect(pieces) {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

test('a whole answer', async () => {
  const { data, response } = await create({ model: 'echo', input: 'hello big world' }).withResponse();
  assert.equal(data.output_text, 'hello big world');
  assert.deepEqual([data.status, data.object, data.model, data.store], ['completed', 'response', 'echo', false]);
  assert.equal(data.usage.total_tokens, 6);
  assert.match(response.headers.get('x-hauski-route'), /adapter="echo"/);
});

test('a stream', async () => {
  const seen = await collect(await create({ model: 'echo', input: 'hello big world', stream: true }));
  assert.deepEqual(seen.map((event) => event.sequence_number), seen.map((_, index) => index));
  assert.equal(seen[0].type, 'response.created');
  assert.deepEqual(
    seen.filter(({ type }) => type === 'response.output_text.delta').map(({ delta }) => delta),
    ['hello ', 'big ', 'world'],
  );
  assert.equal(seen.at(-1).type, 'response.completed');
  assert.equal(seen.at(-1).response.usage.total_tokens, 6);
});

for (const size of [3, 1000]) {
  test(`a stream of a provider through the helper, in pieces of ${size}`, async () => {
    const chunks = [chunk({ role: 'assistant', content: 'ü✓ ' }), chunk({ content: '𝄞' }), chunk({}, 'stop')];
    const usage = JSON.stringify({ ...JSON.parse(chunk({})), choices: [], usage: USAGE });
    upstream.answer(stream(cut(events(...chunks, usage), size)));
    const final = await client.responses.stream({ model: 'remote', input: 'hello' }).finalResponse();
    assert.deepEqual([final.output_text, final.status], ['ü✓ 𝄞', 'completed']);
    assert.deepEqual([final.usage.input_tokens, final.usage.input_tokens_details.cached_tokens], [7, 4]);
    assert.deepEqual(served.got().stream_options, { include_usage: true });
  });
}

test('a tool and back', async () => {
  const call = { id: 'call-1', type: 'function', function: { name: 'weather', arguments: '{"place": "Köln"}' } };
  upstream.answer(
    whole(completion({ content: null, tool_calls: [call] }, 'tool_calls')),
    whole(completion({ content: 'rain' })),
  );
  const first = await create({ tools: [WEATHER], tool_choice: 'required' });
  const { type, ...weather } = WEATHER;
  assert.deepEqual(served.got().tools, [{ type, function: weather }]);
  const [asked] = first.output;
  assert.deepEqual([asked.type, asked.name, asked.arguments], ['function_call', 'weather', '{"place": "Köln"}']);
  const result = { type: 'function_call_output', call_id: asked.call_id, output: 'wet' };
  const second = await create({ input: [{ role: 'user', content: '?' }, ...first.output, result] });
  assert.equal(second.output_text, 'rain');
  assert.deepEqual(served.got().messages, [
    { role: 'user', content: '?' },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'call-1', content: 'wet' },
  ]);
});

test('a tool call in a stream', async () => {
  const call = (rest) => chunk({ tool_calls: [{ index: 0, ...rest }] });
  const chunks = [
    call({ id: 'call-1', type: 'function', function: { name: 'weather', arguments: '' } }),
    call({ function: { arguments: '{"pla' } }),
    call({ function: { arguments: 'ce": "Köln"}' } }),
    chunk({}, 'tool_calls'),
  ];
  upstream.answer(stream(cut(events(...chunks), 7)));
  const final = await client.responses.stream({ model: 'remote', input: '?', tools: [WEATHER] }).finalResponse();
  assert.deepEqual(JSON.parse(final.output[0].arguments), { place: 'Köln' });
});

test('a JSON schema', async () => {
  const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
  const format = { type: 'json_schema', name: 'place', strict: true, schema };
  upstream.answer(whole(completion({ content: '{"name":"Köln"}' })));
  const answer = await client.responses.parse({ model: 'remote', input: '?', text: { format } });
  assert.deepEqual(answer.output_parsed, { name: 'Köln' });
  const { type, ...json_schema } = format;
  assert.deepEqual(served.got().response_format, { type, json_schema });
});

for (const [field, value] of [['store', true], ['previous_response_id', 'resp_1'], ['background', true]]) {
  test(`what would have to be stored is refused by name: ${field}`, async () => {
    await assert.rejects(create({ [field]: value }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.deepEqual([error.param, error.code], [field, 'unsupported_parameter']);
      return true;
    });
    assert.deepEqual(upstream.requests, []);
  });
}

test('half a stream is no whole one', async () => {
  upstream.answer(stream([`data: ${chunk({ content: 'half' })}\n\n`], { end: false }));
  const said = [];
  await assert.rejects(async () => {
    for await (const event of await create({ stream: true })) said.push(event.type);
  }, OpenAI.APIError);
  assert.ok(said.includes('response.output_text.delta'));
  assert.ok(!said.includes('response.completed'));
});

test('embeddings as the client asks by itself', async () => {
  const floats = new Float32Array([1, -0.5, 0.25]);
  const embedding = Buffer.from(floats.buffer).toString('base64');
  const body = { object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding }], usage: USAGE };
  upstream.answer(whole(JSON.stringify(body)));
  const answer = await client.embeddings.create({ model: 'remote', input: ['hello'] });
  assert.deepEqual(answer.data[0].embedding, [...floats]);
  assert.equal(upstream.requests[0].url, '/v1/embeddings');
  assert.deepEqual(served.got(), { model: 'vendor/model-1', input: ['hello'], encoding_format: 'base64' });
});

test('embeddings as numbers, byte for byte', async () => {
  const body = '{"object":"list", "model":"m","data":[{"object":"embedding","index":0,"embedding":[1.0, 5e-1]}]}';
  upstream.answer(whole(body));
  const ask = { model: 'remote', input: 'hello', encoding_format: 'float', x_new: [null] };
  const response = await client.embeddings.create(ask).asResponse();
  assert.equal(await response.text(), body);
  assert.equal(upstream.requests[0].body, served.sent().replace('"model":"remote"', '"model":"vendor/model-1"'));
});

test('who does not make embeddings says so', async () => {
  await assert.rejects(client.embeddings.create({ model: 'echo', input: 'hello' }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.code, error.param], ['not_served', 'model']);
    return true;
  });
});
