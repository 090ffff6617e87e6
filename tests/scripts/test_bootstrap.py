"""scripts/bootstrap.sh writes `policies/routing.yaml` where there is none, and leaves alone what is there.

It runs in a folder of its own with stand-ins for rustup, cargo, cc and just: what it installs is not the subject.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ["scripts/bootstrap.sh", "scripts/tools.in", "rust-toolchain.toml"]
# Says that everything is installed, whatever it is asked.
STAND_IN = "#!/bin/sh\nprintf '%s\\n' rustfmt clippy wasm32-wasip2\n"

WRITTEN = """\
egress:
  default: deny
  allow: []
routing:
  prefer_local: true
  cloud_fallback:
    enabled: false
"""


@pytest.fixture
def checkout(tmp_path):
    """As much of a checkout as the script reads, with an empty folder of policies."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "policies").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ["rustup", "cargo", "cc", "just"]:
        program = tmp_path / "bin" / name
        program.write_text(STAND_IN, encoding="utf-8")
        program.chmod(0o755)
    return tmp_path


def bootstrap(checkout, *arguments, path=None):
    """Runs the script."""
    env = os.environ | {"PATH": path or f"{checkout / 'bin'}:{os.environ['PATH']}", "HOME": str(checkout)}
    command = ["bash", checkout / "scripts" / "bootstrap.sh", *arguments]
    return subprocess.run(command, env=env, capture_output=True, timeout=30, text=True, check=False)


def test_a_missing_policy_is_written_and_denies(checkout):
    done = bootstrap(checkout)
    assert done.returncode == 0, done.stderr
    assert "writing policies/routing.yaml" in done.stderr
    text = (checkout / "policies" / "routing.yaml").read_text(encoding="utf-8")
    assert "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#")) == WRITTEN


@pytest.mark.parametrize("text", ["mine\n", ""])
def test_a_policy_that_is_there_is_left_alone(checkout, text):
    policy = checkout / "policies" / "routing.yaml"
    policy.write_text(text, encoding="utf-8")
    os.utime(policy, (1, 1))
    done = bootstrap(checkout)
    assert done.returncode == 0, done.stderr
    assert (policy.read_text(encoding="utf-8"), policy.stat().st_mtime) == (text, 1)


def test_a_policy_that_leads_nowhere_is_left_alone(checkout):
    policy = checkout / "policies" / "routing.yaml"
    policy.symlink_to("not/mounted/yet.yaml")
    assert bootstrap(checkout).returncode == 0
    assert policy.readlink() == Path("not/mounted/yet.yaml")


def test_a_policy_is_written_as_a_whole_or_not_at_all(checkout):
    script = checkout / "scripts" / "bootstrap.sh"
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "HOME": str(checkout)}
    # No file may grow, as on a full disk.
    command = ["bash", "-c", f"trap '' XFSZ; ulimit -f 0; exec bash {script}"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=30, text=True, check=False)
    assert done.returncode != 0, done.stderr
    assert list((checkout / "policies").iterdir()) == []
    assert bootstrap(checkout).returncode == 0
    assert [file.name for file in (checkout / "policies").iterdir()] == ["routing.yaml"]


@pytest.mark.parametrize("arguments", [["test"], ["smoke", "gate"]])
def test_what_a_check_needs_is_named_before_it_runs(checkout, arguments):
    for name in ["bash", "dirname", "sed", "tr", "grep", "cat"]:
        (checkout / "bin" / name).symlink_to(shutil.which(name))
    done = bootstrap(checkout, *arguments, path=str(checkout / "bin"))
    assert done.returncode == 1
    assert "python3" in done.stderr
    assert "jq" in done.stderr
