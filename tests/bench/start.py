"""Measures how long the release binary takes from its start to `GET /ready`, with ten adapters: `just bench-start`.

First with an empty folder for compiled code, then several times with what the first start has left there. The adapters
are those that come with the gateway, each with bytes of its own, so that nothing is compiled for two of them. Out comes
a line for each start, in milliseconds; nothing is asserted, since machines differ.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ADAPTERS = 10
WARM = 5
PATIENCE = 60
ROUTING = {
    "egress": {"default": "deny", "allow": []},
    "routing": {"prefer_local": True, "cloud_fallback": {"enabled": False}},
}


def fill(folder: Path) -> None:
    """Writes policies and adapters. A custom section behind a component makes it another one."""
    built = sorted((TARGET / "adapters").glob("*.wasm"))
    (folder / "adapters").mkdir()
    models = []
    for number in range(ADAPTERS):
        name = f"adapter-{number}"
        bytes_ = built[number % len(built)].read_bytes() + bytes([0, 2, 0, number])
        (folder / "adapters" / f"{name}.wasm").write_bytes(bytes_)
        models.append({"id": name, "adapter": name, "config": {"base_url": "http://127.0.0.1:9/v1"}})
    (folder / "routing.yaml").write_text(json.dumps(ROUTING))
    (folder / "models.yml").write_text(json.dumps({"models": models}))


def start(folder: Path) -> tuple[float, dict]:
    """Starts the gateway, waits until it is ready, stops it; seconds, and what it said."""
    environment = {
        "HAUSKI_BIND": "127.0.0.1:0",
        "HAUSKI_ROUTING": "routing.yaml",
        "HAUSKI_MODELS": "models.yml",
        "HAUSKI_LIMITS": str(ROOT / "policies" / "limits.yaml"),
        "HAUSKI_ADAPTERS": "adapters",
        "HAUSKI_LOG": "error",
    }
    begin = time.perf_counter()
    command = [TARGET / "release" / "hauski", "serve"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            address = gateway.stdout.readline().split("://")[1].split()[0]
            with urllib.request.urlopen(f"http://{address}/ready", timeout=PATIENCE) as answer:
                ready = json.load(answer)
            return time.perf_counter() - begin, ready
        finally:
            gateway.terminate()


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder)
        for kind in ["cold", *["warm"] * WARM]:
            took, ready = start(folder)
            loaded = ready["adapters"]["loaded"]
            print(f"{kind}: ready after {took * 1000:.0f} ms with {loaded} adapters")
            if loaded != ADAPTERS:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
