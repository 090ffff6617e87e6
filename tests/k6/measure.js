// What the k6 scripts share: how much they ask, how they read the budget, and what they leave.
//
// In, from k6's environment: HAUSKI_URL, a gateway that was started with HAUSKI_EXPOSE_CONFIG=true, and HAUSKI_SUMMARY, the file
// to write. Out: percentiles in milliseconds, counts and the budget; an exit code that is not 0 where a request failed.
import http from 'k6/http';
import { Rate, Trend } from 'k6/metrics';

export const url = __ENV.HAUSKI_URL || 'http://127.0.0.1:8080';

const latency = new Trend('latency', true);
const failed = new Rate('failed');

// Enough for a 99th percentile, and little beside a build on the same cores: this measures how quick an answer is, not how many.
export const options = {
  vus: 4,
  duration: '5s',
  summaryTrendStats: ['p(50)', 'p(95)', 'p(99)', 'max'],
  thresholds: { failed: ['rate==0'] },
};

/** Asks the gateway for the budget that it read from limits.yaml. k6's thresholds can't: they are made before any request. */
export function setup() {
  const answer = http.get(`${url}/config/limits`);
  const budget = answer.status === 200 ? answer.json('latency.llm_p95_ms') : undefined;
  if (!(budget > 0)) {
    throw new Error(`${url}/config/limits names no budget: status ${answer.status}`);
  }
  return { budget };
}

/** Counts a request: how long it took, and whether it had the answer that `isRight` expects. */
export function count(answer, isRight) {
  let right = false;
  try {
    right = answer.status === 200 && isRight(answer.body);
  } catch (error) {
    console.error(`not the answer that was expected: ${error}`);
  }
  latency.add(answer.timings.duration);
  failed.add(!right);
}

/** The summary as it is written, in one shape for all scripts. */
export function handleSummary(data) {
  const times = data.metrics.latency ? data.metrics.latency.values : {};
  const asked = data.metrics.failed ? data.metrics.failed.values : { passes: 0, fails: 0 };
  const summary = {
    p50: rounded(times['p(50)']),
    p95: rounded(times['p(95)']),
    p99: rounded(times['p(99)']),
    max: rounded(times.max),
    // Of a rate, `passes` are the values that were true.
    requests: asked.passes + asked.fails,
    failures: asked.passes,
    budget_ms: data.setup_data.budget,
  };
  return { [__ENV.HAUSKI_SUMMARY]: JSON.stringify(summary) };
}

/** To the microsecond. What was not measured stays undefined, and is then not in the summary. */
function rounded(milliseconds) {
  return milliseconds === undefined ? undefined : Math.round(milliseconds * 1000) / 1000;
}
