// What the console is looked at with: a gateway with a scripted provider behind it, and adapters of all kinds.
//
// In: what the provider answers. Out: a gateway with a model that answers, one that is denied, one that nobody answers for, and a route.

import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startGateway } from '../clients/node/gateway.js';
import { startUpstream } from '../clients/node/upstream.js';

const target = process.env.CARGO_TARGET_DIR ?? path.resolve(import.meta.dirname, '../../target');

/** A name of a file that would be markup, a line of a terminal and a text that turns round, if anybody let it. */
export const HOSTILE = '<img src=x onerror=alert(1)>\u202e\u001b[31m"\'.wasm';

/** Starts all of it. `environment` goes to the gateway besides. */
export async function setStage(environment = {}) {
  const adapters = await mkdtemp(path.join(tmpdir(), 'hauski-console-'));
  for (const id of ['echo', 'openai-compatible', 'anthropic']) {
    await copyFile(path.join(target, 'adapters', `${id}.wasm`), path.join(adapters, `${id}.wasm`));
  }
  await writeFile(path.join(adapters, HOSTILE), 'no component');
  const upstream = await startUpstream();
  const granted = {
    url: `${upstream.origin}/v1/`,
    adapters: ['openai-compatible'],
    methods: ['GET', 'POST'],
    secret: { header: 'authorization', value: 'Bearer ${env:PROVIDER_KEY}' },
  };
  const cloud = { url: 'https://api.anthropic.com/v1/', adapters: ['anthropic'], methods: ['GET', 'POST'], expires: '2099-12-31' };
  const model = (id, base_url) => ({ id, adapter: 'openai-compatible', config: { base_url } });
  const models = [
    model('llama3', `${upstream.origin}/v1`),
    model('elsewhere', `${upstream.origin}/v2`),
    // Nobody listens there: its breaker opens.
    model('gone', 'http://127.0.0.1:9/v1'),
    { id: 'claude', adapter: 'anthropic', upstream: 'claude-sonnet-4-5' },
    { id: 'lost', adapter: 'not-there' },
  ];
  const closed = { url: 'http://127.0.0.1:9/v1/', adapters: ['openai-compatible'], methods: ['POST'] };
  // Its list of models is granted, its completions are not: what it is asked for is denied.
  const narrow = { url: `${upstream.origin}/v2/models`, adapters: ['openai-compatible'], methods: ['GET'] };
  const candidates = [{ model: 'llama3', weight: 3 }, { model: 'echo' }, { model: 'claude', order: 2 }];
  const gateway = await startGateway({
    grants: [granted, closed, cloud, narrow],
    models,
    routes: [{ model: 'chat', candidates }],
    secrets: { PROVIDER_KEY: SECRET, HAUSKI_ADAPTERS: adapters, ...environment },
  });
  return {
    gateway,
    upstream,
    url: gateway.url,
    /** Asks a model; what it answers is read to its end. */
    ask: async (id, content = 'hello', headers = {}, rest = {}) => {
      const body = JSON.stringify({ model: id, messages: [{ role: 'user', content }], ...rest });
      const sent = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body };
      const response = await fetch(`${gateway.api}/chat/completions`, sent);
      return { status: response.status, body: rest.stream ? await response.text() : await response.json() };
    },
    stop: async () => {
      await gateway.stop();
      upstream.close();
      await rm(adapters, { recursive: true });
    },
  };
}

/** What only the host knows. */
export const SECRET = 'provider-key-that-only-the-host-knows';
