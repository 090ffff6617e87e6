//! Rules of the repository, held by tests.

use hauski_policy::{Limits, Models, Routing};
use hauski_server::environment::DEFAULTS;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files of the project, with their text, by their path from the root.
pub(crate) fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<_> = ["host", "sdk", "adapters", "tests"].map(|folder| root().join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), text));
            }
        }
    }
    assert!(files.len() > 80, "{}", files.len());
    files.sort();
    files
}

#[test]
fn each_file_says_what_it_is() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name).collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn files_are_short() {
    let long: Vec<_> =
        sources().into_iter().filter(|(_, text)| text.lines().count() > 400).map(|(name, _)| name).collect();
    assert_eq!(long, Vec::<String>::new(), "split them");
}

/// Stages of the host, left to right. A stage uses those to its right, and the policy, which is what all of them speak.
#[test]
fn stages_use_only_what_is_behind_them() {
    let order = ["hauski-cli", "hauski-server", "hauski-runtime", "hauski-egress", "hauski-policy"];
    for (at, stage) in order.iter().enumerate() {
        let folder = stage.trim_start_matches("hauski-");
        let manifest = fs::read_to_string(root().join("host").join(folder).join("Cargo.toml")).unwrap();
        let before: Vec<_> = order[..at].iter().filter(|other| manifest.contains(&format!("\n{other}"))).collect();
        assert_eq!(before, Vec::<&&str>::new(), "{stage}");
    }
}

/// Authority can be grepped: who makes sockets, and who resolves names.
#[test]
fn only_the_door_opens_sockets() {
    let makes = [
        "TcpStream::connect",
        "TcpSocket::new",
        "UdpSocket::bind",
        "lookup_host",
        "to_socket_addrs",
        "UnixStream::connect",
    ];
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|(name, _)| name.starts_with("host/") && !name.contains("/tests/"))
        .filter(|(_, text)| {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            code.lines()
                .any(|line| !line.trim_start().starts_with("//") && makes.iter().any(|make| line.contains(make)))
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(found, ["host/egress/src/dial.rs", "host/egress/src/resolve.rs"]);
}

#[test]
fn the_policy_is_pure() {
    let impure = [
        "std::fs",
        "std::env",
        "std::net::Tcp",
        "std::net::Udp",
        "std::time::SystemTime",
        "std::time::Instant",
        "std::process",
        "std::thread",
    ];
    for (name, text) in sources().into_iter().filter(|(name, _)| name.starts_with("host/policy/src")) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(!impure.iter().any(|part| code.contains(part)), "{name}");
    }
    let manifest = fs::read_to_string(root().join("host/policy/Cargo.toml")).unwrap();
    for part in ["tokio", "wasmtime", "axum", "hyper"] {
        assert!(!manifest.contains(part), "{part}");
    }
}

/// A way out that does not pass the guard can't compile.
#[test]
fn the_sandbox_has_no_sender_of_its_own() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("wasmtime-wasi-http =")).unwrap();
    assert!(line.contains("default-features = false") && !line.contains("default-send-request"), "{line}");
}

#[test]
fn the_shipped_policies_are_valid_and_deny() {
    let read = |name: &str| fs::read(root().join("policies").join(name)).unwrap();
    let routing = Routing::parse("routing.yaml", &read("routing.yaml")).unwrap();
    assert!(routing.value.egress.grants.is_empty() && routing.warnings.is_empty());
    assert!(routing.value.prefer_local && !routing.value.cloud_fallback);
    assert!(Limits::parse("limits.yaml", &read("limits.yaml")).is_ok());
    assert!(Models::parse("models.yml", &read("models.yml")).unwrap().value.get("echo").is_some());
}

#[test]
fn the_readme_lists_the_environment() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (name, default, _) in DEFAULTS {
        let row = readme.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{name}`")));
        assert!(
            row.is_some_and(|row| default.is_empty() || row.contains(&format!("`{default}`"))),
            "README: {name} with its default {default}"
        );
    }
}

/// Returns whether `source` has a test of this name.
fn has_test(source: &str, name: &str) -> bool {
    let attributes = |at: usize| {
        let above = source[..at].lines().rev().map(str::trim);
        above.take_while(|line| ["", "async", "pub", "pub async"].contains(line) || line.starts_with("#["))
    };
    let is_test = |line: &str| line == "#[test]" || line.starts_with("#[tokio::test");
    source.match_indices(&format!("fn {name}(")).any(|(at, _)| attributes(at).any(is_test))
}

/// Returns how many tests a text names as `test:name`; all of them are there.
fn named_tests(text: &str, sources: &[(String, String)]) -> usize {
    let names: Vec<_> = text.split('`').filter_map(|part| part.strip_prefix("test:")).collect();
    let missing: Vec<_> = names.iter().filter(|name| !sources.iter().any(|(_, text)| has_test(text, name))).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "there are no such tests");
    names.len()
}

/// Each invariant names the test that holds it, and that test is there.
#[test]
fn the_architecture_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(text.lines().count() <= 150, "{}", text.lines().count());
    let named = named_tests(&text, &sources());
    assert!(named >= 10, "{named}");
}

/// So does each threat, in its last column, and each kind of vulnerability.
#[test]
fn security_names_a_test_for_each_threat() {
    let (text, sources) = (fs::read_to_string(root().join("SECURITY.md")).unwrap(), sources());
    named_tests(&text, &sources);
    let (_, table) = text.split_once("\n|---|---|---|\n").unwrap();
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let (_, list) = text.split_once("\n## What is a vulnerability here\n").unwrap();
    let list: Vec<_> = list.split("\n## ").next().unwrap().split("\n- ").skip(1).collect();
    assert!(rows.len() >= 20 && list.len() >= 8, "{} {}", rows.len(), list.len());
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        assert!(cells.len() == 3 && named_tests(cells[2], &sources) > 0, "no test for: {row}");
    }
    for kind in list {
        assert!(named_tests(kind, &sources) > 0, "no test for: {kind}");
    }
}

/// SECURITY.md counts one block, in the place that runs compiled code.
#[test]
fn only_the_cache_has_unsafe_code() {
    let is_unsafe = |line: &&str| {
        let code = line.trim_start();
        !code.starts_with("//")
            && ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|part| code.contains(part))
    };
    let of_project = sources().into_iter().filter(|(name, _)| !name.starts_with("tests/"));
    let found: Vec<_> =
        of_project.flat_map(|(name, text)| vec![name; text.lines().filter(is_unsafe).count()]).collect();
    assert_eq!(found, ["host/runtime/src/cache.rs"]);
}

/// What the console is made of is as short as the rest, and says what it is as well.
#[test]
fn scripts_and_styles_are_short_and_say_what_they_are() {
    let folders = ["host/server/src/console/assets", "tests/console"].map(|folder| root().join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|kind| kind == "js" || kind == "css")).collect();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("// ") || text.starts_with("/* "), "{}", file.display());
        assert!(text.lines().count() <= 400, "{}", file.display());
    }
}
