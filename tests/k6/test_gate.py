"""The gate passes a quick server and fails on a slowed one, on failures, and on a summary of no use.

The server is slowed by its provider: all of the way is measured that a client waits for, with the budget as shipped.
"""

import json
import os
import subprocess
import time

import pytest
from chat import chunk, completion
from gateway import ROOT, Gateway, grant, model
from smoke import Failed, measure
from upstream import Upstream, events, stream, whole

# Well over the budget that limits.yaml is shipped with.
SLOW_SECONDS = 0.6
# k6's own options, which take the place of five seconds.
FEW = ["--vus", "2", "--iterations", "4"]


def slowly(request):
    """An answer that says what it is told, late."""
    time.sleep(SLOW_SECONDS)
    return says(request, json.loads(request.body)["messages"][-1]["content"])


def wrongly(request):
    """An answer that says something else, at once."""
    return says(request, "something else")


def says(request, text):
    """A provider's answer in the form that is asked for."""
    if json.loads(request.body).get("stream"):
        return stream([events(chunk({"role": "assistant", "content": text}), chunk({}, "stop"))])
    return whole(completion({"content": text}))


@pytest.fixture(scope="module")
def gateway():
    """A gateway with a model for each kind of provider."""
    providers = {name: Upstream(answer) for name, answer in [("slow", slowly), ("wrong", wrongly)]}
    bases = {name: f"{provider.origin}/v1" for name, provider in providers.items()}
    grants = [grant(f"{base}/") for base in bases.values()]
    models = [model(name, base) for name, base in bases.items()]
    with Gateway(grants, models, expose_config="true") as running:
        yield running
    for provider in providers.values():
        provider.close()


@pytest.fixture
def summary(tmp_path):
    """Where a test's summary is."""
    return tmp_path / "summary.json"


def gate(summary):
    """What `just gate` says of a summary, and its exit code."""
    command = [ROOT / "scripts" / "gate.sh", summary]
    done = subprocess.run(command, capture_output=True, timeout=30, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_quick_server_passes(gateway, summary):
    measure(gateway.url, summary, "echo", FEW)
    code, said = gate(summary)
    assert code == 0, said
    for script in json.loads(summary.read_text())["scripts"].values():
        assert set(script) == {"p50", "p95", "p99", "max", "requests", "failures", "budget_ms"}
        assert 0 < script["p50"] <= script["p95"] <= script["p99"] <= script["max"]


def test_a_slowed_server_fails(gateway, summary):
    measure(gateway.url, summary, "slow", FEW)
    scripts = json.loads(summary.read_text())["scripts"]
    chat = scripts["chat-smoke"]
    # Slow and nothing else: it is the budget that fails.
    assert (chat["requests"], chat["failures"]) == (8, 0)
    assert chat["p95"] > SLOW_SECONDS * 1000 > chat["budget_ms"]
    code, said = gate(summary)
    assert code == 1
    assert f"chat-smoke: p95 {chat['p95']} ms, budget {chat['budget_ms']} ms; 0 of 8 requests failed" in said
    assert "over budget" in said


def test_wrong_answers_fail(gateway, summary):
    with pytest.raises(Failed, match="requests failed in chat-smoke"):
        measure(gateway.url, summary, "wrong", FEW)
    assert json.loads(summary.read_text())["scripts"]["chat-smoke"]["failures"] == 8
    assert gate(summary)[0] == 1


def test_the_budget_is_the_one_of_the_limits(gateway, summary, tmp_path):
    shipped = (ROOT / "policies" / "limits.yaml").read_text(encoding="utf-8")
    limits = tmp_path / "limits.yaml"
    limits.write_text(shipped.replace("llm_p95_ms: 400", "llm_p95_ms: 321"), encoding="utf-8")
    with Gateway(expose_config="true", limits=str(limits)) as running:
        measure(running.url, summary, "echo", FEW)
    assert {script["budget_ms"] for script in json.loads(summary.read_text())["scripts"].values()} == {321}


def test_a_gateway_that_shows_no_budget_is_not_measured(summary):
    summary.write_text("of an earlier run", encoding="utf-8")
    with Gateway() as running, pytest.raises(Failed, match="health-smoke"):
        measure(running.url, summary, "echo", FEW)
    assert not summary.exists()


GOOD = {"p50": 1, "p95": 399.9, "p99": 1000, "max": 1000, "requests": 8, "failures": 0, "budget_ms": 400}


def written(**changed):
    """A summary whose second script differs from a good one; what is None is left out."""
    second = {key: value for key, value in (GOOD | changed).items() if value is not None}
    return json.dumps({"k6": "1.1.0", "scripts": {"health-smoke": GOOD, "chat-smoke": second}})


def test_a_good_summary_passes(summary):
    summary.write_text(written(), encoding="utf-8")
    assert gate(summary)[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "{}",
        "no JSON",
        written()[:-20],
        written() + written(p95=401),
        json.dumps({"scripts": {}}),
        json.dumps({"scripts": {"health-smoke": GOOD}}),
        written(p95=400.1),
        written(p95=None),
        written(p95="1"),
        written(requests="0"),
        written(budget_ms=99999),
        written().replace("chat-smoke", "another"),
        written(budget_ms=None),
        written(requests=0),
        written(failures=1),
        written(failures=None),
    ],
)
def test_what_says_less_than_that_fails(summary, text):
    summary.write_text(text, encoding="utf-8")
    code, said = gate(summary)
    assert code == 1
    assert "gate: " in said


def test_a_missing_summary_fails(summary):
    assert gate(summary) == (1, f"gate: {summary} is missing or empty: run just smoke\n")


def test_a_summary_of_an_earlier_build_fails(summary):
    summary.write_text(written(), encoding="utf-8")
    os.utime(summary, (0, 0))
    code, said = gate(summary)
    assert code == 1
    assert "is older than" in said


def test_readme_shows_the_gates_own_line():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if line.startswith("jq "))
    expression = line.removesuffix(" observability/k6/summary.json")
    assert expression != line
    assert f'{expression} "$summary"' in (ROOT / "scripts" / "gate.sh").read_text(encoding="utf-8")
