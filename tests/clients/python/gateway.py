"""A served gateway: the release binary with policies of its own, on a free port of the loopback.

In: what its policy files say. Out: a process that answers, its address and its log; stopped by its process id.
"""

import json
import os
import re
import subprocess
import tempfile
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = TARGET / "release" / "hauski"
ADAPTERS = TARGET / "adapters"

# Long enough for a slow machine to compile the adapters, short enough to fail in.
START_SECONDS = 60
STOP_SECONDS = 15


def grant(url, **rest):
    """An entry of `egress.allow` for the adapter `openai-compatible`."""
    return {"url": url, "adapters": ["openai-compatible"], "methods": ["GET", "POST"], **rest}


def model(name, base_url, upstream=None):
    """A model that `openai-compatible` asks for at `base_url`."""
    entry = {"id": name, "adapter": "openai-compatible", "config": {"base_url": base_url}}
    return entry | ({"upstream": upstream} if upstream else {})


class Gateway:
    """A running gateway; a context manager, so that it is stopped whatever happens."""

    def __init__(self, grants=(), models=(), secrets=None, routes=(), **settings):
        self._folder = tempfile.TemporaryDirectory(prefix="hauski-clients-")
        self.folder = Path(self._folder.name)
        # JSON is YAML: nothing has to be escaped.
        routing = {
            "egress": {"default": "deny", "allow": list(grants)},
            "routing": {
                "prefer_local": True,
                "routes": list(routes),
                "cloud_fallback": {"enabled": False},
            },
        }
        self._write("routing.yaml", routing)
        self._write("models.yml", {"models": [{"id": "echo", "adapter": "echo"}, *models]})
        self._log = (self.folder / "log").open("w+b")
        self._process = subprocess.Popen(
            [BINARY, "serve"],
            cwd=self.folder,
            env={
                "HAUSKI_BIND": "127.0.0.1:0",
                "HAUSKI_ROUTING": "routing.yaml",
                "HAUSKI_MODELS": "models.yml",
                "HAUSKI_LIMITS": str(ROOT / "policies" / "limits.yaml"),
                "HAUSKI_ADAPTERS": str(ADAPTERS),
                "HAUSKI_CACHE": str(TARGET / "compiled"),
                **(secrets or {}),
                **{f"HAUSKI_{name.upper()}": value for name, value in settings.items()},
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self.greeting = self._read_greeting()
        self.url = re.search(r"http://127\.0\.0\.1:\d+", self.greeting).group()
        self.api = f"{self.url}/v1"

    def _write(self, name, value):
        (self.folder / name).write_text(json.dumps(value), encoding="utf-8")

    def _read_greeting(self):
        """The two lines that `serve` prints when it listens: the address, and a `curl` line to try."""
        giving_up = threading.Timer(START_SECONDS, self._process.kill)
        giving_up.start()
        try:
            lines = [self._process.stdout.readline().decode() for _ in range(2)]
        finally:
            giving_up.cancel()
        if "listens on" not in lines[0]:
            self.stop()
            raise AssertionError(f"the gateway did not start:\n{self.log}")
        return "".join(lines)

    @property
    def log(self):
        """What the gateway has logged so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def metric(self, name, **labels):
        """The sum of a metric's samples that have these labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        mine = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in mine if all(part in line for part in wanted))

    def stop(self):
        """Asks the process to stop as an operator would, and returns its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            assert self._process.poll() is None, f"the gateway ended by itself:\n{self.log}"
            assert self.stop() == 0
        finally:
            self._log.close()
            self._folder.cleanup()
