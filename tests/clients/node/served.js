// A scripted provider, a gateway that may reach its `/v1/` and nothing else, and OpenAI's client of that.

import OpenAI from 'openai';
import { startGateway } from './gateway.js';
import { startUpstream } from './upstream.js';

/** What only the host knows. */
export const KEY = 'provider-key-that-only-the-host-knows';

/** Starts all three. Without retries of the client's, so that each request is one. */
export async function serve() {
  const upstream = await startUpstream();
  const granted = {
    url: `${upstream.origin}/v1/`,
    adapters: ['openai-compatible'],
    methods: ['GET', 'POST'],
    secret: { header: 'authorization', value: 'Bearer ${env:PROVIDER_KEY}' },
  };
  const model = (id, base_url, rest) => ({ id, adapter: 'openai-compatible', config: { base_url }, ...rest });
  const models = [
    model('remote', `${upstream.origin}/v1`, { upstream: 'vendor/model-1' }),
    model('elsewhere', `${upstream.origin}/v2`),
  ];
  const gateway = await startGateway({ grants: [granted], models, secrets: { PROVIDER_KEY: KEY } }).catch((error) => {
    upstream.close();
    throw error;
  });
  let sent;
  const client = new OpenAI({
    baseURL: gateway.api,
    apiKey: 'client-key',
    maxRetries: 0,
    timeout: 30_000,
    fetch: (url, init) => {
      sent = init.body;
      return fetch(url, init);
    },
  });
  return {
    upstream,
    gateway,
    client,
    /** The last body that the client sent. */
    sent: () => sent,
    /** The last body that the provider got. */
    got: () => JSON.parse(upstream.requests.at(-1).body),
    stop: async () => {
      await gateway.stop();
      upstream.close();
    },
  };
}
