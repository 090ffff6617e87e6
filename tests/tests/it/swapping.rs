//! The adapters folder changes while the gateway serves: what is new takes effect, what is broken does not, and no request fails.

use bytes::Bytes;
use hauski_tests::{Client, TestHost, guest};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};
use tokio::time::sleep;

// Compilation is slow on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The guest `counts`, with other bytes for each number: a custom section follows it.
fn version(number: u32) -> Vec<u8> {
    let mut bytes = guest("counts");
    bytes.extend([0, 5, 0]);
    bytes.extend(number.to_le_bytes());
    bytes
}

/// As the digest stands in answers.
fn short_digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", &hex[..12])
}

/// A gateway with the model `counts`, served by its first version, and the path of that.
async fn host() -> (TestHost, PathBuf) {
    let builder = TestHost::builder().file("counts.wasm", &version(0)).expose_config();
    let path = builder.adapters().join("counts.wasm");
    (builder.model("{ id: counts, adapter: counts }").start().await, path)
}

/// Puts a file in the place of another, as a whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}

/// Which version answers.
async fn serving(client: Client) -> Result<String, String> {
    let answer = client.chat("counts", "x").await;
    if answer.status != 200 {
        return Err(format!("{}: {}", answer.status, answer.text));
    }
    assert_eq!(answer.content(), "1");
    let route = answer.headers["x-hauski-route"].to_str().unwrap().to_owned();
    Ok(route.split('"').nth(3).unwrap().to_owned())
}

/// Waits until `seen` is so.
pub(crate) async fn until(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !seen().await {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn until_served(host: &TestHost, bytes: &[u8]) {
    let digest = Ok(short_digest(bytes));
    until("another version", async || serving(host.client()).await == digest).await;
}

/// The files that could not be loaded.
async fn refused(host: &TestHost) -> Vec<Value> {
    host.client().get("/adapters").await.json()["refused"].as_array().unwrap().clone()
}

#[tokio::test]
async fn new_changed_and_removed_files_take_effect() {
    let builder = TestHost::builder().model("{ id: counts, adapter: counts }");
    let path = builder.adapters().join("counts.wasm");
    let host = builder.start().await;
    assert!(serving(host.client()).await.unwrap_err().contains("there is no `counts.wasm`"));
    for number in 0..3 {
        replace(&path, &version(number));
        until_served(&host, &version(number)).await;
    }
    fs::remove_file(&path).unwrap();
    until("an end", async || serving(host.client()).await.is_err()).await;
    assert!(serving(host.client()).await.unwrap_err().contains("there is no `counts.wasm`"));
    let reloads = host.client().metrics("hauski_adapter_reloads_total").await;
    assert_eq!(
        reloads,
        [
            "hauski_adapter_reloads_total{result=\"loaded\"} 3",
            "hauski_adapter_reloads_total{result=\"refused\"} 0",
            "hauski_adapter_reloads_total{result=\"removed\"} 1"
        ]
    );
    assert_eq!(host.client().metrics("hauski_adapter_instances").await, [""; 0]);
}

/// Swaps under load, each with bytes of its own: none of the requests notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_swaps_fails_no_request() {
    const SWAPS: u32 = 100;
    let (host, path) = host().await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let load = |_| {
        let (client, stop, answered) = (host.client(), stop.clone(), answered.clone());
        tokio::spawn(async move {
            let (mut failed, mut versions) = (Vec::new(), std::collections::BTreeSet::new());
            while !stop.load(Relaxed) {
                match serving(client).await {
                    Ok(version) => drop(versions.insert(version)),
                    Err(error) => failed.push(error),
                }
                answered.fetch_add(1, Relaxed);
            }
            (failed, versions)
        })
    };
    let clients: Vec<_> = (0..4).map(load).collect();
    for number in 1..=SWAPS {
        match number % 4 {
            // In one step; by a new file in its place; in place, in pieces; and away for a moment.
            0 => replace(&path, &version(number)),
            1 => fs::write(&path, version(number)).unwrap(),
            2 => {
                let mut file = File::create(&path).unwrap();
                for piece in version(number).chunks(20_000) {
                    file.write_all(piece).unwrap();
                    sleep(Duration::from_millis(1)).await;
                }
            }
            _ => {
                fs::remove_file(&path).unwrap();
                fs::write(&path, version(number)).unwrap();
            }
        }
        // Most are overtaken by the next, and each tenth takes effect, however slow the machine is.
        if number % 10 == 0 {
            until_served(&host, &version(number)).await;
        } else {
            sleep(Duration::from_millis(20)).await;
        }
    }
    stop.store(true, Relaxed);
    let mut seen = std::collections::BTreeSet::new();
    for client in clients {
        let (failed, versions) = client.await.unwrap();
        assert_eq!(failed, [""; 0], "of {}", answered.load(Relaxed));
        seen.extend(versions);
    }
    assert!(seen.len() > 2, "{seen:?}");
    println!("{SWAPS} swaps: {} requests, 0 failed, {} versions answered", answered.load(Relaxed), seen.len());
}

#[tokio::test]
async fn a_stream_ends_on_the_version_that_it_began_with() {
    let builder = TestHost::builder().guest_as("streams_forever", "counts");
    let path = builder.adapters().join("counts.wasm");
    let host = builder.start().await;
    let body = r#"{"model":"counts","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let request = Request::builder().method(Method::POST).uri("/v1/chat/completions").body(Bytes::from(body)).unwrap();
    let mut stream = host.client().open(request).await.unwrap().into_body();
    let mut next = async || stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(!next().await.is_empty());
    replace(&path, &version(1));
    until_served(&host, &version(1)).await;
    for _ in 0..100 {
        assert!(!next().await.is_empty());
    }
    // Nor does it end with the file.
    fs::remove_file(&path).unwrap();
    until("an end", async || serving(host.client()).await.is_err()).await;
    for _ in 0..100 {
        assert!(!next().await.is_empty());
    }
}

#[tokio::test]
async fn a_broken_file_leaves_the_last_good_version_serving_and_says_so() {
    let (host, path) = host().await;
    let good = short_digest(&version(0));
    let elsewhere = path.with_file_name("elsewhere.bin");
    fs::write(&elsewhere, version(5)).unwrap();
    let cut = version(1)[..40_000].to_vec();
    let broken: [(&str, &dyn Fn()); 6] = [
        ("is not WebAssembly", &|| replace(&path, b"not wasm")),
        ("is not WebAssembly", &|| replace(&path, b"")),
        ("can't be compiled", &|| replace(&path, &cut)),
        ("imports `wasi:", &|| replace(&path, &guest("imports_sockets"))),
        ("everyone may write to it", &|| {
            replace(&path, &version(2));
            fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        }),
        ("is not a regular file", &|| {
            fs::remove_file(&path).unwrap();
            symlink(&elsewhere, &path).unwrap();
        }),
    ];
    for (reason, break_it) in broken {
        break_it();
        until(reason, async || refused(&host).await.iter().any(|one| one["reason"].as_str().unwrap().contains(reason)))
            .await;
        let [one] = &refused(&host).await[..] else { panic!("one file") };
        assert!(one["serving"].as_str().unwrap().starts_with(&good), "{one}");
        assert_eq!(serving(host.client()).await.as_deref(), Ok(&*good), "{reason}");
        assert_eq!(host.client().get("/ready").await.json()["adapters"]["refused"], 1);
    }
    // The same bytes as ever make it whole again, and so do others.
    replace(&path, &version(0));
    until("nothing refused", async || refused(&host).await.is_empty()).await;
    replace(&path, &version(3));
    until_served(&host, &version(3)).await;
    // Removed while it is broken, it is gone.
    replace(&path, b"not wasm");
    until("a refusal", async || !refused(&host).await.is_empty()).await;
    fs::remove_file(&path).unwrap();
    until("an end", async || serving(host.client()).await.is_err()).await;
    assert_eq!(refused(&host).await, [0; 0]);
}

#[tokio::test]
async fn half_a_file_is_not_taken() {
    let (host, path) = host().await;
    let (good, new) = (short_digest(&version(0)), version(1));
    let mut file = File::create(&path).unwrap();
    for piece in new.chunks(new.len() / 8) {
        file.write_all(piece).unwrap();
        sleep(Duration::from_millis(50)).await;
        let now = serving(host.client()).await.unwrap();
        assert!(now == good || now == short_digest(&new), "{now}");
    }
    until_served(&host, &new).await;
    assert_eq!(refused(&host).await, [0; 0]);
}

#[tokio::test]
async fn renamed_files_change_their_id() {
    let (host, path) = host().await;
    fs::rename(&path, path.with_file_name("other.wasm")).unwrap();
    until("an end", async || serving(host.client()).await.is_err()).await;
    until("the other id", async || host.client().get("/adapters").await.json()["adapters"][0]["id"] == "other").await;
    fs::rename(path.with_file_name("other.wasm"), &path).unwrap();
    until_served(&host, &version(0)).await;
}

/// What a clock says of a file tells nothing: neither that it is old, nor that it is from tomorrow, nor that it has not changed.
#[tokio::test]
async fn clocks_make_no_difference() {
    let (host, path) = host().await;
    let day = Duration::from_secs(86_400);
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    for (number, time) in [(1, SystemTime::UNIX_EPOCH), (2, SystemTime::now() + 365 * day), (3, before), (4, before)] {
        // In place, with the same size.
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(&version(number)).unwrap();
        file.set_modified(time).unwrap();
        until_served(&host, &version(number)).await;
    }
}

/// The folder may be a link, which leads elsewhere from one moment to the next; the system tells nobody who listens to the folder.
#[tokio::test]
async fn a_folder_in_the_place_of_another_is_found() {
    let (host, path) = host().await;
    let folder = path.parent().unwrap();
    let (new, old) = (host.folder().join("adapters-2"), host.folder().join("adapters-1"));
    fs::create_dir(&new).unwrap();
    fs::write(new.join("counts.wasm"), version(1)).unwrap();
    fs::rename(folder, &old).unwrap();
    symlink(&new, folder).unwrap();
    until_served(&host, &version(1)).await;
    // From here on that one is followed.
    replace(&new.join("counts.wasm"), &version(2));
    until_served(&host, &version(2)).await;
    // Where there is none, what was there serves on, and that is shown.
    fs::remove_file(folder).unwrap();
    until("a note", async || host.client().get("/ready").await.json()["adapters"]["stale"] == true).await;
    assert_eq!(serving(host.client()).await, Ok(short_digest(&version(2))));
    symlink(&old, folder).unwrap();
    until_served(&host, &version(0)).await;
    assert_eq!(host.client().get("/ready").await.json()["adapters"]["stale"], false);
}

/// Requests of the old version count against the limit of the new one.
#[tokio::test]
async fn versions_of_an_adapter_share_its_limits() {
    let builder = TestHost::builder().guest_as("streams_forever", "counts").limit("instances", 1).limit("queue_ms", 50);
    let path = builder.adapters().join("counts.wasm");
    let host = builder.expose_config().start().await;
    let stream = host.client().begin_chat("counts", "x", true).await;
    host.client().until_metric("hauski_adapter_instances{adapter=\"counts\"} 1", PATIENCE).await;
    replace(&path, &version(1));
    let digest = short_digest(&version(1));
    until("another version", async || {
        let listing = host.client().get("/adapters").await.json();
        listing["adapters"][0]["digest"].as_str().unwrap().starts_with(&digest)
    })
    .await;
    assert_eq!(host.client().chat("counts", "x").await.status, 429);
    drop(stream);
    until_served(&host, &version(1)).await;
}
