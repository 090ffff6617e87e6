// The echo adapter through OpenAI's client: what works offline, with the shipped adapters and no grant.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { startGateway } from './gateway.js';

const HELLO = [{ role: 'user', content: 'hello big world' }];

let gateway;
let client;

before(async () => {
  gateway = await startGateway();
  client = new OpenAI({ baseURL: gateway.api, apiKey: 'any', maxRetries: 0, timeout: 30_000 });
});
after(() => gateway?.stop());

async function collect(pieces) {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

test('the models that can be asked are listed', async () => {
  const models = await collect(client.models.list());
  assert.deepEqual(models.map(({ id, object, owned_by }) => [id, object, owned_by]), [['echo', 'model', 'echo']]);
});

test('a whole answer', async () => {
  const { data, response } = await client.chat.completions.create({ model: 'echo', messages: HELLO }).withResponse();
  assert.equal(data.choices[0].message.content, 'hello big world');
  assert.equal(data.choices[0].finish_reason, 'stop');
  assert.deepEqual(data.usage, { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 });
  assert.match(response.headers.get('x-hauski-route'), /adapter="echo".*locality=local/);
});

test('a stream', async () => {
  const chunks = await collect(await client.chat.completions.create({ model: 'echo', messages: HELLO, stream: true }));
  assert.deepEqual(chunks.map((chunk) => chunk.choices[0].delta.content).filter(Boolean), ['hello ', 'big ', 'world']);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
});

test('usage ends a stream that asks for it', async () => {
  const ask = { model: 'echo', messages: HELLO, stream: true, stream_options: { include_usage: true } };
  const last = (await collect(await client.chat.completions.create(ask))).at(-1);
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, 6);
});

test('text of any script comes back', async () => {
  const content = `ünï ✓ 𝄞 \0 \\ " \n\r\u2028 data: [DONE]\n\n ${'x'.repeat(100_000)}`;
  const messages = [{ role: 'user', content }];
  const whole = await client.chat.completions.create({ model: 'echo', messages });
  assert.equal(whole.choices[0].message.content, content);
  const chunks = await collect(await client.chat.completions.create({ model: 'echo', messages, stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join(''), content);
});

test('an unknown model is not found', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'no-such-model', messages: HELLO }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.deepEqual([error.code, error.param, error.type], ['model_not_found', 'model', 'invalid_request_error']);
    assert.match(error.message, /no-such-model/);
    return true;
  });
});

for (const [field, value] of [['messages', 'hello'], ['messages', null], ['stream', 'yes'], ['model', 7]]) {
  test(`a wrong type is a bad request: ${field} = ${JSON.stringify(value)}`, async () => {
    const ask = client.chat.completions.create({ model: 'echo', messages: HELLO, [field]: value });
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, field);
      return true;
    });
  });
}
