"""scripts/package.sh packs what runs without settings, the same bytes each time, and only under its version's tag."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "package"


def run(*command, cwd=ROOT):
    """Runs a program; its exit code, and what it printed."""
    # Settings of whoever runs this would name other policies.
    env = {name: value for name, value in os.environ.items() if not name.startswith("HAUSKI_")}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, timeout=120, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_is_packed_runs_without_settings(tmp_path):
    code, said = run("scripts/package.sh")
    assert code == 0, said
    assert run("sha256sum", "--check", "SHA256SUMS", cwd=PACKAGE)[0] == 0
    (archive,) = PACKAGE.glob("*.tar.gz")
    assert run("tar", "--extract", "--file", archive, cwd=tmp_path)[0] == 0
    (folder,) = tmp_path.iterdir()
    assert f"{folder.name}.tar.gz" == archive.name
    packed = {path.name for path in (folder / "policies").iterdir() if path.suffix != ".json"}
    assert packed == {"limits.yaml", "models.yml", "routing.yaml"}
    code, said = run("./hauski", "check", cwd=folder)
    assert code == 0, said
    code, said = run("./hauski", "adapters", "ls", cwd=folder)
    assert code == 0, said
    assert "echo" in said
    # Two packings of the same files are the same bytes.
    before = archive.read_bytes()
    assert run("scripts/package.sh")[0] == 0
    assert archive.read_bytes() == before


def test_a_tag_of_another_version_is_refused():
    code, said = run("scripts/package.sh", "v99.0.0")
    assert code == 1
    assert "the tag is v99.0.0, and the binary says" in said
