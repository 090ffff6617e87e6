#!/usr/bin/env bash
# Fails unless `just smoke` has measured what is built now, and every script of it kept the budget of limits.yaml.
#
#   scripts/gate.sh [SUMMARY]
#
# In: observability/k6/summary.json, or the file that is given. Out: a line for each script; 1 where one is over budget or had
# failures, and where the summary is missing, empty or of another build. Needs jq.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

summary=${1:-observability/k6/summary.json}
built=${CARGO_TARGET_DIR:-target}

fail() {
    echo "gate: $*" >&2
    exit 1
}

command -v jq >/dev/null || fail 'jq is missing: install it, such as by the package jq'
[[ -s $summary ]] || fail "$summary is missing or empty: run just smoke"
for measured in "$built/release/hauski" "$built"/adapters/*.wasm policies/limits.yaml; do
    [[ -e $measured ]] || fail "$measured is missing: run just smoke"
    [[ $measured -nt $summary ]] && fail "$summary is older than $measured: run just smoke"
done

jq --raw-output '.scripts | to_entries[] | "\(.key): p95 \(.value.p95) ms, budget \(.value.budget_ms) ms; \(.value.failures) of \(.value.requests) requests failed"' "$summary" ||
    fail "$summary is not what just smoke writes"

budget=$(sed -n 's/^  llm_p95_ms: *\([0-9]\+\).*/\1/p' policies/limits.yaml)
[[ $(jq --compact-output '[.scripts[].budget_ms] | unique' "$summary") == "[$budget]" ]] ||
    fail "$summary was held to another budget than llm_p95_ms of policies/limits.yaml, $budget ms: run just smoke"

# `numbers` gives nothing for what is no number, so a script without one is missing from the two. The answer is compared, because
# of an empty file some versions of jq say nothing and exit with 0.
kept=$(jq '[.scripts["health-smoke", "chat-smoke"] | (.requests | numbers) > 0 and .failures == 0 and (.p95 | numbers) <= (.budget_ms | numbers)] | length == 2 and all' "$summary") || true
[[ $kept == true ]] || fail 'a script is over budget, had failures, or did not run'
