//! What the tests of the binary share: a folder with policies, and the binary in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) const ROUTING: &str =
    "egress: { default: deny, allow: [] }\nrouting: { prefer_local: true, cloud_fallback: { enabled: false } }\n";

/// A folder with valid policies and an empty adapters folder.
pub(crate) fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let limits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/limits.yaml");
    fs::copy(limits, folder.path().join("limits.yaml")).unwrap();
    write(&folder, "routing.yaml", ROUTING);
    write(&folder, "models.yml", "models: []\n");
    fs::create_dir(folder.path().join("adapters")).unwrap();
    folder
}

pub(crate) fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// `program`, in an environment that has nothing but the files of `folder`.
pub(crate) fn command(program: &str, folder: &TempDir) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(folder.path());
    for (name, file) in [
        ("HAUSKI_ROUTING", "routing.yaml"),
        ("HAUSKI_LIMITS", "limits.yaml"),
        ("HAUSKI_MODELS", "models.yml"),
        ("HAUSKI_ADAPTERS", "adapters"),
    ] {
        command.env(name, file);
    }
    command
}
