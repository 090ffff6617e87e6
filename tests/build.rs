//! Builds the adapters and the test guests to components, so that `cargo test` alone is enough.
//!
//! They go to a target folder of their own, because the one of the running build is locked. The tests find them by the
//! variables `HAUSKI_TEST_GUESTS` and `HAUSKI_TEST_ADAPTERS`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for watched in ["sdk", "adapters", "tests/guests", "wit", "Cargo.lock", ".cargo/config.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let built = root.join("target/guest");
    let adapters = names(&root.join("adapters"));
    let mut build = cargo(&root, &built);
    build.args(["-p", "hauski-test-guests", "--examples"]);
    run(build);
    let mut build = cargo(&root, &built);
    for name in &adapters {
        build.args(["-p", name]);
    }
    run(build);
    let out = built.join("wasm32-wasip2/adapter");
    println!("cargo::rustc-env=HAUSKI_TEST_GUESTS={}", out.join("examples").display());
    println!("cargo::rustc-env=HAUSKI_TEST_ADAPTERS={}", out.display());
}

fn cargo(root: &Path, target: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    command
        .current_dir(root)
        .args(["build", "--locked", "--profile", "adapter", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(target);
    // What is set for this build is not meant for the guests: their flags stand in `.cargo/config.toml`.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"] {
        command.env_remove(name);
    }
    command
}

fn run(mut command: Command) {
    let status = command.status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?} failed");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let crates = entries.filter(|path: &PathBuf| path.join("Cargo.toml").is_file());
    crates.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect()
}
