//! C03, F05, F08, F09: components and files that are not what they should be. They are listed with a reason and never run.

use hauski_tests::{TestHost, UNRELATED};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// What the listing says of the file.
async fn reason(host: &TestHost, file: &str) -> String {
    let listing = host.client().get("/adapters").await.json();
    let refused = listing["refused"].as_array().unwrap().clone();
    let entry = refused.iter().find(|entry| entry["file"] == file).unwrap_or_else(|| panic!("{file}: {listing}"));
    entry["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn c03_sockets_are_not_linked() {
    // Not even for an adapter that may reach everything.
    let host = TestHost::builder()
        .guest("imports_sockets")
        .grant("{ url: \"http://127.0.0.1:1/\", adapters: [imports-sockets] }")
        .expose_config()
        .start()
        .await;
    let reason = reason(&host, "imports-sockets.wasm").await;
    assert!(reason.contains("it imports `wasi:sockets/"), "{reason}");
    assert_eq!(host.client().chat("imports-sockets", "127.0.0.1:1").await.code(), "adapter_unavailable");
}

#[tokio::test]
async fn f05_imports_that_no_grant_covers() {
    for (guest, import) in [("imports_sockets", "wasi:sockets/"), ("imports_filesystem", "wasi:filesystem/")] {
        let id = guest.replace('_', "-");
        let host = TestHost::builder().guest(guest).adapter("echo").expose_config().start().await;
        let reason = reason(&host, &format!("{id}.wasm")).await;
        assert!(reason.contains(import), "{reason}");
        let listing = host.client().get("/adapters").await.json();
        assert_eq!(listing["adapters"].as_array().map(Vec::len), Some(1));
        assert_eq!(host.client().chat(&id, "x").await.code(), "adapter_unavailable");
    }
}

#[tokio::test]
async fn f08_files_that_are_never_executed() {
    let whole = fs::read(Path::new(env!("HAUSKI_TEST_ADAPTERS")).join("echo.wasm")).unwrap();
    let outside = tempfile::TempDir::new().unwrap();
    fs::write(outside.path().join("real.wasm"), &whole).unwrap();
    let builder = TestHost::builder()
        .adapter("echo")
        .model("{ id: echo, adapter: echo }")
        .file("half.wasm", &whole[..whole.len() / 2])
        .file("byte-short.wasm", &whole[..whole.len() - 1])
        .file("header.wasm", &whole[..8])
        .file("script.wasm", b"#!/bin/sh\nexit 1\n")
        .file("elf.wasm", b"\x7fELF\x02\x01\x01")
        .file("code.cwasm", &whole)
        .file("a..b.wasm", &whole)
        .file("..wasm", &whole)
        .file("...wasm", &whole)
        .file("esc\u{1b}]0;x\u{7}.wasm", &whole)
        .file("line\nbreak.wasm", &whole)
        .file("rtl\u{202e}.wasm", &whole)
        .file("ECHO.wasm", &whole)
        .file("echo.WASM", &whole)
        .file("open.wasm", &whole);
    fs::create_dir(builder.adapters().join("folder.wasm")).unwrap();
    fs::set_permissions(builder.adapters().join("open.wasm"), fs::Permissions::from_mode(0o646)).unwrap();
    symlink(outside.path().join("real.wasm"), builder.adapters().join("link.wasm")).unwrap();
    symlink("../adapters/echo.wasm", builder.adapters().join("near.wasm")).unwrap();
    symlink(outside.path(), builder.adapters().join("out.wasm")).unwrap();
    let host = builder.expose_config().start().await;
    let text = host.client().get("/adapters").await.text;
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "shown escaped: {text}");
    let listing = host.client().get("/adapters").await.json();
    let ids: Vec<_> = listing["adapters"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, ["echo"], "{listing}");
    for file in
        ["half", "byte-short", "header", "script", "elf", "a..b", "folder", "link", "near", "out", "open", "ECHO"]
    {
        assert!(!reason(&host, &format!("{file}.wasm")).await.is_empty(), "{file}");
    }
    assert!(reason(&host, "code.cwasm").await.contains("never loaded"));
    assert_eq!(host.client().chat("echo", "x").await.content(), "x");
}

#[tokio::test]
async fn f09_other_bytes_under_a_pinned_name() {
    let upstream = hauski_tests::Upstream::json("{}");
    let host = TestHost::builder().guest_as("probe", "pinned").expose_config().start().await;
    let listing = host.client().get("/adapters").await.json();
    let digest = listing["adapters"][0]["digest"].as_str().unwrap_or_else(|| panic!("{listing}")).to_owned();
    let pinned = format!("{{ url: \"{}\", adapters: [\"pinned@{digest}\"] }}", upstream.url("/"));
    for (guest, reached) in [("probe", true), ("probe_wasi_http", false)] {
        let host = TestHost::builder().guest_as(guest, "pinned").grant(&pinned).grant(UNRELATED).start().await;
        let seen = crate::egress::send(&host, "pinned", serde_json::json!({ "url": upstream.url("/") })).await;
        assert_eq!(seen.get("ok").is_some(), reached, "{guest}: {seen}");
        assert!(reached || seen["err"] == "denied", "{guest}: {seen}");
    }
    assert_eq!(upstream.connections(), 1);
}
