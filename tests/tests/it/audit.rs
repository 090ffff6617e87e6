//! Where only approved adapters serve, and what is shown of all of them.

use crate::swapping::{PATIENCE, replace, until};
use hauski_tests::{Builder, TestHost, Upstream, guest};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The guest `counts`, with other bytes for each number.
fn version(number: u8) -> Vec<u8> {
    [guest("counts").as_slice(), &[0, 2, 0, number]].concat()
}

/// What all guests of the SDK import.
async fn imports() -> Vec<String> {
    let host = TestHost::builder().file("counts.wasm", &version(0)).expose_config().start().await;
    let listing = host.client().get("/adapters").await.json();
    let imports = listing["adapters"][0]["imports"].as_array().unwrap();
    imports.iter().map(|import| import["name"].as_str().unwrap().to_owned()).collect()
}

/// A lock that approves these bytes as `counts`.
async fn lock(bytes: &[u8]) -> String {
    let entry = json!({ "id": "counts", "digest": digest(bytes), "imports": imports().await, "grants": [] });
    json!({ "adapters": [entry] }).to_string()
}

fn counts(lock: &str) -> Builder {
    let builder = TestHost::builder().file("counts.wasm", &version(0)).expose_config().lock(lock);
    builder.model("{ id: counts, adapter: counts }")
}

/// The one file that is not loaded.
async fn refused(host: &TestHost) -> Option<Value> {
    let listing = host.client().get("/adapters").await.json();
    listing["refused"].as_array().unwrap().first().cloned()
}

async fn serves(host: &TestHost) -> bool {
    host.client().chat("counts", "x").await.status == 200
}

#[tokio::test]
async fn what_nobody_has_approved_is_listed_and_does_not_serve() {
    let lock = lock(&version(0)).await;
    for (missing, reason) in [
        ("", "has no adapter `counts`"),
        ("adapters: []\n", "has no adapter `counts`"),
        (&lock.replace("counts", "count"), "has no adapter `counts`"),
        (&self::lock(&version(1)).await, "its bytes are not those"),
        (&lock.replace("hauski:adapter/model-types", "hauski:adapter/model"), "its imports are not those"),
    ] {
        let host = counts(missing).start().await;
        let one = refused(&host).await.unwrap();
        assert_eq!((&one["state"], &one["file"]), (&json!("quarantined"), &json!("counts.wasm")), "{one}");
        assert!(one["reason"].as_str().unwrap().contains(reason), "{one}");
        assert!(one["reason"].as_str().unwrap().contains("hauski adapters approve counts"), "{one}");
        // It is known by its bytes, and parsed only where the lock has these bytes.
        assert_eq!(one["digest"], digest(&version(0)));
        let is_parsed = reason.contains("imports");
        assert_eq!((one["contract"] == "0.1.0", one["imports"].is_array()), (is_parsed, is_parsed), "{one}");
        let answer = host.client().chat("counts", "x").await;
        assert_eq!(answer.status, 503, "{}", answer.text);
    }
    assert!(serves(&counts(&lock).start().await).await);
}

/// Not a line of it: not even to say what it is.
#[tokio::test]
async fn what_nobody_has_approved_is_not_run() {
    let builder = || TestHost::builder().guest_as("describe_traps", "counts").expose_config();
    let host = builder().start().await;
    assert!(refused(&host).await.unwrap()["reason"].as_str().unwrap().contains("about.describe"));
    let host = builder().lock("adapters: []\n").start().await;
    assert_eq!(refused(&host).await.unwrap()["state"], "quarantined");
}

#[tokio::test]
async fn an_approval_takes_effect_and_so_does_its_end() {
    let host = counts("").start().await;
    assert!(!serves(&host).await);
    host.set_file("adapters.lock", &lock(&version(0)).await);
    until("an approval", async || serves(&host).await).await;
    assert_eq!(refused(&host).await, None);
    // New bytes wait for theirs, and the old ones serve on.
    replace(&host.folder().join("adapters/counts.wasm"), &version(1));
    until("a quarantine", async || refused(&host).await.is_some()).await;
    let one = refused(&host).await.unwrap();
    assert_eq!((&one["state"], &one["digest"]), (&json!("quarantined"), &json!(digest(&version(1)))));
    assert_eq!(one["serving"], digest(&version(0)));
    let listing = host.client().get("/adapters").await.json();
    assert_eq!(listing["adapters"][0]["state"], "outdated");
    assert!(serves(&host).await);
    host.set_file("adapters.lock", &lock(&version(1)).await);
    until("an approval", async || refused(&host).await.is_none()).await;
    assert_eq!(host.client().get("/adapters").await.json()["adapters"][0]["digest"], digest(&version(1)));
    // A lock that can't hold changes nothing, and is shown.
    host.set_file("adapters.lock", "adapters: {");
    let stale = async || host.client().get("/ready").await.json()["adapters"]["lock"]["stale"].clone();
    until("a note", async || !stale().await.is_null()).await;
    assert!(stale().await["problem"].as_str().unwrap().starts_with("adapters.lock:1:"));
    assert!(serves(&host).await);
    host.client().until_metric("hauski_policy_stale 1", PATIENCE).await;
    // What is approved no more serves no more; nor is anything where there is no lock.
    for lock in ["adapters: []\n", ""] {
        host.set_file("adapters.lock", &self::lock(&version(1)).await);
        until("an approval", async || serves(&host).await).await;
        if lock.is_empty() {
            std::fs::remove_file(host.folder().join("adapters.lock")).unwrap();
        } else {
            host.set_file("adapters.lock", lock);
        }
        until("an end", async || !serves(&host).await).await;
        assert_eq!(refused(&host).await.unwrap()["state"], "quarantined");
    }
}

/// Whether its file can be looked at or not: what is not approved any more has ended.
#[tokio::test]
async fn an_approval_ends_without_the_file() {
    let approved = lock(&version(0)).await;
    for lock in ["adapters: []\n", &lock(&version(1)).await] {
        let host = counts(&approved).start().await;
        assert!(serves(&host).await);
        // At once: a folder that is empty for a moment has no adapter any more.
        let away = host.folder().join("away");
        std::fs::rename(host.folder().join("adapters"), &away).and_then(|()| std::fs::remove_dir_all(away)).unwrap();
        until("the folder is away", async || host.client().get("/ready").await.json()["adapters"]["stale"] == true)
            .await;
        assert!(serves(&host).await);
        let listing = host.client().get("/adapters").await.json();
        assert!(listing["stale"].as_str().unwrap().contains("adapters"), "{listing}");
        host.set_file("adapters.lock", lock);
        until("nothing serves", async || !serves(&host).await).await;
        let one = refused(&host).await.unwrap();
        assert_eq!((&one["state"], &one["serving"]), (&json!("quarantined"), &json!(null)), "{one}");
        let reason = if lock.contains("counts") { "its bytes are not those" } else { "has no adapter `counts`" };
        assert!(one["reason"].as_str().unwrap().contains(reason), "{one}");
    }
}

#[tokio::test]
async fn what_was_reached_and_denied_is_counted() {
    let upstream = Upstream::json(r#"{"object":"list","data":[]}"#);
    let host = TestHost::builder()
        .guest("probe")
        .grant(&format!("{{ url: \"{}\", adapters: [probe], methods: [POST] }}", upstream.url("/v1/")))
        .expose_config()
        .start()
        .await;
    let listing = host.client().get("/adapters").await.json();
    let probe = listing["adapters"][0].clone();
    assert_eq!((&probe["usage"]["requests"], &probe["live"]["requests"]), (&json!(0), &json!(0)));
    assert_eq!((&probe["usage"]["last"], &probe["live"]["last"]), (&Value::Null, &Value::Null));
    for path in ["/v1/x", "/v2/x", "/v1/y"] {
        crate::egress::send(&host, "probe", json!({ "url": upstream.url(path), "method": "POST", "body": "12345" }))
            .await;
    }
    let listing = host.client().get("/adapters").await.json();
    let probe = &listing["adapters"][0];
    let usage = &probe["usage"];
    assert_eq!((&usage["requests"], &usage["denials"], &probe["live"]["requests"]), (&json!(2), &json!(1), &json!(3)));
    assert_eq!((&usage["bytes_out"], &usage["bytes_in"]), (&json!(10), &json!(54)));
    let origin = upstream.url("");
    assert_eq!(usage["reached"], json!({ origin.trim_end_matches('/'): 2 }));
    assert!(usage["last"].is_string() && probe["live"]["last"].is_string() && listing["since"].is_string());
    let grant = &probe["grants"][0];
    assert_eq!((&grant["line"], &grant["secrets"]), (&json!(4), &json!([])));
    assert_eq!((&probe["files"], &probe["limits"]["memory_mib"]), (&json!([]), &json!(16)));
    assert_eq!((&probe["contract"], &probe["state"]), (&json!("0.1.0"), &json!("serving")));
    let producers = probe["stamped"]["producers"].as_array().unwrap();
    assert!(
        producers.iter().any(|one| one.as_str().unwrap().starts_with("processed-by wit-component ")),
        "{producers:?}"
    );
}
