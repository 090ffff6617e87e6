//! Files that are no adapters: each is listed with its reason, and none hinders another.

use hauski_server::setup::Problem;
use hauski_tests::TestHost;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

#[tokio::test]
async fn odd_files_are_listed_with_their_reason() {
    let builder = TestHost::builder()
        .adapter("echo")
        .model("{ id: echo, adapter: echo }")
        .file("text.wasm", b"hello")
        .file("empty.wasm", b"")
        .file("core.wasm", b"\0asm\x01\0\0\0")
        .file("broken.wasm", b"\0asm\x0d\0\x01\0garbage")
        .file("Upper.wasm", b"")
        .file("a..b.wasm", b"")
        .file("esc\u{1b}[31m.wasm", b"")
        .file("elf.wasm", b"\x7fELF")
        .file("open.wasm", b"")
        .file("ready.cwasm", b"\x7fELF")
        .file("README.md", b"# not an adapter")
        .file(".hidden", b"");
    fs::create_dir(builder.adapters().join("folder.wasm")).unwrap();
    fs::set_permissions(builder.adapters().join("open.wasm"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::File::create(builder.adapters().join("large.wasm")).unwrap().set_len((128 << 20) + 1).unwrap();
    symlink("/etc/passwd", builder.adapters().join("out.wasm")).unwrap();
    symlink("echo.wasm", builder.adapters().join("link.wasm")).unwrap();
    let host = builder.expose_config().start().await;
    let listing = host.client().get("/adapters").await.json();
    let refused: Vec<(String, String)> = listing["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["file"].as_str().unwrap().to_owned(), entry["reason"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [
        ("Upper.wasm", "rename the file"),
        ("a..b.wasm", "rename the file"),
        ("broken.wasm", "it can't be compiled: "),
        ("core.wasm", "it is a core module, not a component"),
        ("elf.wasm", "it is not WebAssembly"),
        ("empty.wasm", "it is not WebAssembly"),
        ("esc\\u{1b}[31m.wasm", "rename the file"),
        ("folder.wasm", "it is not a regular file"),
        ("large.wasm", "it has 134217729 bytes, and the limit is 134217728"),
        ("link.wasm", "it is not a regular file"),
        ("open.wasm", "take that right away with `chmod o-w`"),
        ("out.wasm", "it is not a regular file"),
        ("ready.cwasm", "compiled code is never loaded"),
        ("text.wasm", "it is not WebAssembly"),
    ];
    assert_eq!(refused.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>(), expected.map(|(file, _)| file));
    for ((file, reason), (_, part)) in refused.iter().zip(expected) {
        assert!(reason.contains(part), "{file}: {reason}");
    }
    assert_eq!(listing["adapters"][0]["id"], "echo");
    assert_eq!(host.client().chat("echo", "x").await.content(), "x");
}

/// A component that imports so many interfaces without anything in them.
fn imports(count: u32) -> Vec<u8> {
    let leb = |number: u32| [(number & 0x7f | 0x80) as u8, (number >> 7 & 0x7f | 0x80) as u8, (number >> 14) as u8];
    let mut section = leb(count).to_vec();
    for number in 0..count {
        let name = format!("a:b/c{number}");
        section.extend([&[0, name.len() as u8], name.as_bytes(), &[5, 0]].concat());
    }
    // One type: an instance that exports nothing.
    let types = [7, 3, 1, 0x42, 0];
    [b"\0asm\x0d\0\x01\0".as_slice(), &types, &[10], &leb(section.len() as u32), &section].concat()
}

#[tokio::test]
async fn what_imports_too_much_is_told_in_a_line() {
    let builder = TestHost::builder().file("many.wasm", &imports(20)).file("masses.wasm", &imports(10_000));
    let listing = builder.expose_config().start().await.client().get("/adapters").await;
    let refused = &listing.json()["refused"];
    let reason = |at: usize| refused[at]["reason"].as_str().unwrap().to_owned();
    assert!(
        reason(0).starts_with("it imports `a:b/c0`, `a:b/c1`, ") && reason(0).contains(", 4 more, which"),
        "{}",
        reason(0)
    );
    assert_eq!(refused[0]["imports"].as_array().unwrap().len(), 20);
    assert!(reason(1).starts_with("it has more than 256 imports and exports"), "{}", reason(1));
    assert!(listing.text.len() < 8 << 10, "{}", listing.text.len());
}

#[tokio::test]
async fn the_audit_says_what_is_granted_and_what_is_empty() {
    let host = TestHost::builder()
        .adapter("echo")
        .adapter("openai-compatible")
        .grant_as_written("{ url: \"https://api.allowed.test/v1/\", adapters: [openai-compatible], methods: [POST] }")
        .grant_as_written("{ url: \"http://127.0.0.1:8081/v1/\", adapters: [openai-compatible], methods: [POST] }")
        .model("{ id: echo, adapter: echo }")
        .model("{ id: gpt, adapter: openai-compatible, config: { base_url: \"https://api.allowed.test/v1\" } }")
        .model("{ id: llama, adapter: openai-compatible, config: { base_url: \"http://127.0.0.1:8081/v1\" } }")
        .model("{ id: lost, adapter: openai-compatible, config: { base_url: \"http://127.0.0.1:8082/v1\" } }")
        .expose_config()
        .start()
        .await;
    let listing = host.client().get("/adapters").await.json();
    let state = |adapter: usize, import: &str| {
        let imports = listing["adapters"][adapter]["imports"].as_array().unwrap().clone();
        let found = imports.iter().find(|i| i["name"].as_str().is_some_and(|name| name.starts_with(import))).cloned();
        found.map(|import| import["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(state(0, "wasi:cli/environment"), Some("empty".into()));
    assert_eq!(state(0, "hauski:adapter/upstream"), None);
    assert_eq!(state(1, "hauski:adapter/upstream"), Some("granted".into()));
    assert_eq!(
        listing["adapters"][0]["models"],
        json!([{ "model": "echo", "base_url": null, "locality": "local", "lines": [] }])
    );
    let reach = |model: &str, url: &str, locality: &str, lines: &[usize]| json!({ "model": model, "base_url": url, "locality": locality, "lines": lines });
    assert_eq!(
        listing["adapters"][1]["models"],
        json!([
            reach("gpt", "https://api.allowed.test/v1", "cloud", &[4]),
            reach("llama", "http://127.0.0.1:8081/v1", "local", &[5]),
            reach("lost", "http://127.0.0.1:8082/v1", "no grant", &[]),
        ])
    );
    let grant = &listing["adapters"][1]["grants"][0];
    assert_eq!(
        (grant["url"].as_str(), grant["network"].as_str()),
        (Some("https://api.allowed.test/v1/"), Some("public"))
    );
    assert_eq!(grant["line"], 4);
}

#[tokio::test]
async fn a_folder_that_is_not_there() {
    let builder = TestHost::builder();
    fs::remove_dir(builder.adapters()).unwrap();
    let (prepared, _folder) = builder.prepare();
    let problems = prepared.err().unwrap();
    assert!(matches!(problems[..], [Problem::Folder(_)]), "{problems:?}");
    assert!(problems[0].to_string().contains("create it, or set `HAUSKI_ADAPTERS`"), "{}", problems[0]);
}

#[tokio::test]
async fn a_folder_that_everyone_may_write_to() {
    let builder = TestHost::builder().adapter("echo");
    fs::set_permissions(builder.adapters(), fs::Permissions::from_mode(0o777)).unwrap();
    let (prepared, _folder) = builder.prepare();
    let problems = prepared.err().unwrap();
    assert!(matches!(problems[..], [Problem::Folder(_)]), "{problems:?}");
    assert!(problems[0].to_string().contains("chmod o-w"), "{}", problems[0]);
}

#[tokio::test]
async fn a_secret_that_is_not_there() {
    let entry = |name: &str| {
        format!(
            "{{ url: \"https://{name}.test/\", adapters: [echo], secret: {{ header: authorization, value: \"Bearer ${{env:{name}}}\" }} }}"
        )
    };
    let (prepared, _folder) =
        TestHost::builder().grant(&entry("one")).grant(&entry("two")).env("two", "the-second-key").prepare();
    let problems = prepared.err().unwrap();
    assert!(matches!(problems[..], [Problem::Secret { .. }]), "{problems:?}");
    let text = problems[0].to_string();
    assert!(
        text.contains("routing.yaml: the secret of the entry in line 4 can't be used") && text.contains("one"),
        "{text}"
    );
}
