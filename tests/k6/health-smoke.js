// How quickly the gateway says that it runs: `GET /health`, measured against the budget of limits.yaml.
//
// In and out: see measure.js.
import http from 'k6/http';
import { sleep } from 'k6';
import { count, url } from './measure.js';

export { handleSummary, options, setup } from './measure.js';

export default function () {
  count(http.get(`${url}/health`, { timeout: '10s' }), (body) => body === 'ok');
  sleep(0.02);
}
