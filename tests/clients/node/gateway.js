// A served gateway: the release binary with policies of its own, on a free port of the loopback.
//
// In: what its policy files say. Out: a process that answers, and its address; stopped by its process id.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const root = path.resolve(import.meta.dirname, '../../..');
const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target');

// Long enough for a slow machine to compile the adapters, short enough to fail in.
const START_MS = 60_000;

/** Starts a gateway with these grants, models, routes and secrets. */
export async function startGateway({ grants = [], models = [], routes = [], secrets = {} } = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), 'hauski-clients-'));
  // JSON is YAML: nothing has to be escaped.
  const write = (name, value) => writeFile(path.join(folder, name), JSON.stringify(value));
  await write('routing.yaml', {
    egress: { default: 'deny', allow: grants },
    routing: { prefer_local: true, routes, cloud_fallback: { enabled: false } },
  });
  await write('models.yml', { models: [{ id: 'echo', adapter: 'echo' }, ...models] });

  const child = spawn(path.join(target, 'release', 'hauski'), ['serve'], {
    cwd: folder,
    env: {
      HAUSKI_BIND: '127.0.0.1:0',
      HAUSKI_ROUTING: 'routing.yaml',
      HAUSKI_MODELS: 'models.yml',
      HAUSKI_LIMITS: path.join(root, 'policies', 'limits.yaml'),
      HAUSKI_ADAPTERS: path.join(target, 'adapters'),
      HAUSKI_CACHE: path.join(target, 'compiled'),
      ...secrets,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (data) => (log += data));
  const url = await greeting(child).catch(async (cause) => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true });
    throw new Error(`the gateway did not start:\n${log}`, { cause });
  });
  return {
    url,
    api: `${url}/v1`,
    log: () => log,
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    stop: async () => {
      if (child.exitCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }
      await rm(folder, { recursive: true });
    },
  };
}

/** The address that `serve` prints when it listens. */
async function greeting(child) {
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(START_MS) });
  return line.match(/listens on (http:\/\/127\.0\.0\.1:\d+)/)[1];
}
