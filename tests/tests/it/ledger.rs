//! The ledger of a gateway that serves: every request of an adapter has one record, and without a place for it none is let out.

use crate::egress::{WAYS, probes, send};
use hauski_egress::ledger::{self, Report};
use hauski_egress::suggest::{Suggester, Wanted};
use hauski_policy::Routing;
use hauski_tests::{Client, Log, TestHost, Upstream};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The ledger of the host with these files, and its records.
fn read(folder: &Path) -> (Report, Vec<Value>) {
    let mut records = Vec::new();
    let mut record = |line: &[u8]| records.push(serde_json::from_slice(line).unwrap());
    let report = ledger::read(&folder.join("ledger/egress.jsonl"), None, &mut record, &mut |_, _| {}).unwrap();
    assert!(report.holds(), "{:#?}", report.problems);
    (report, records)
}

fn field<'a>(record: &'a Value, name: &str) -> &'a str {
    record[name].as_str().unwrap_or_default()
}

/// Waits until the ledger has so many records of requests, and gives them.
async fn requests(host: &TestHost, n: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let mut records = read(host.folder()).1;
        records.retain(|record| record["kind"] == "request");
        if records.len() >= n || begun.elapsed() > Duration::from_secs(10) {
            assert_eq!(records.len(), n, "{records:#?}");
            return records;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn every_request_has_one_record() {
    let upstream = Upstream::json(r#"{"hello":"world"}"#);
    let grant = format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http], methods: [POST] }}", upstream.url("/v1/"));
    let host = probes().grant(&grant).ledger().start().await;
    for (at, way) in WAYS.into_iter().enumerate() {
        let order = json!({ "method": "POST", "url": upstream.url("/v1/x?key=s3cret"), "body": "hello" });
        assert_eq!(send(&host, way, order).await["ok"]["status"], 200);
        for url in [upstream.url("/v2/x?key=s3cret"), "http://u:s3cret@evil.test/".to_owned()] {
            assert_eq!(send(&host, way, json!({ "url": url })).await["err"], "denied");
        }
        let records = requests(&host, 3 * (at + 1)).await;
        let [allowed, denied, malformed] = &records[3 * at..] else { panic!("{records:#?}") };
        let short = |record: &Value| {
            ["adapter", "verdict", "reason", "method", "scheme", "host", "path"]
                .map(|name| field(record, name).to_owned())
        };
        assert_eq!(short(allowed), [way, "allowed", "granted", "POST", "http", "127.0.0.1", "/v1/"]);
        assert_eq!((field(allowed, "end"), &allowed["status"]), ("complete", &json!(200)));
        assert_eq!((&allowed["bytes_out"], &allowed["bytes_in"]), (&json!(5), &json!(17)));
        assert_eq!(short(denied), [way, "denied", "path-not-granted", "GET", "http", "127.0.0.1", "/v2/x"]);
        assert_eq!(short(malformed), [way, "denied", "invalid-userinfo", "", "", "", ""]);
        for record in &records {
            assert!(
                !record.to_string().contains("s3cret") && field(record, "digest").starts_with("sha256:"),
                "{record}"
            );
            assert!(record["duration_us"].is_u64() && !field(record, "request").is_empty(), "{record}");
        }
    }
    // What was denied, taken over into the policy, is allowed.
    let mut suggester = Suggester::new(Wanted::default(), &|_, _, _, _| None, &|_| false);
    ledger::read(&host.folder().join("ledger/egress.jsonl"), None, &mut |line| suggester.record(line), &mut |_, _| {})
        .unwrap();
    let fragment = suggester.finish().to_string();
    let file = format!("{fragment}routing: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n");
    let routing = Routing::parse("routing.yaml", file.as_bytes()).unwrap();
    assert_eq!((routing.value.egress.grants.len(), routing.warnings.is_empty()), (2, true), "{fragment}");
    let again = fragment.lines().filter_map(|line| line.strip_prefix("    - "));
    let host = again.fold(probes(), |host, entry| host.grant(entry)).start().await;
    for way in WAYS {
        assert_eq!(send(&host, way, json!({ "url": upstream.url("/v2/x?key=s3cret") })).await["ok"]["status"], 200);
    }
}

/// An adapter may write into a path what it was given: the log has no more of that than the ledger.
#[tokio::test]
async fn of_a_path_the_log_has_what_the_ledger_has() {
    let closing = Upstream::start(|conversation| conversation.request().map(drop));
    let grant = format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http], methods: [GET] }}", closing.url("/v1/"));
    let host = probes().grant(&grant).ledger().start().await;
    let words = "canary-in-a-path-5523";
    let long = format!("/v2/{}/{words}", "x".repeat(200));
    for (at, way) in WAYS.into_iter().enumerate() {
        let seen = send(&host, way, json!({ "url": closing.url(&format!("/v1/{words}")) })).await;
        assert!(seen["err"].is_string() && seen["err"] != "denied", "{way}: {seen}");
        assert_eq!(send(&host, way, json!({ "url": closing.url(&long) })).await["err"], "denied", "{way}");
        let records = requests(&host, 2 * (at + 1)).await;
        let [failed, denied] = &records[2 * at..] else { panic!("{records:#?}") };
        for (record, path, code) in
            [(failed, "/v1/", "code=\"broken\""), (denied, "/v2/", "reason=\"path-not-granted\"")]
        {
            assert_eq!(field(record, "path"), path, "{record}");
            let lines = Log::lines_with(&format!("GET {}", closing.url(path)));
            let named = |line: &&String| line.contains(field(record, "request")) && line.contains(code);
            assert_eq!(lines.iter().filter(named).count(), 1, "{way}: {lines:?}");
        }
    }
    assert!(closing.requests().iter().all(|request| request.contains(words)));
    assert_eq!(Log::lines_with(words), Vec::<String>::new());
    let entry = format!("allow_with=- {{ url: '{}'", closing.url("/v2/"));
    assert_eq!(Log::lines_with(&entry).len(), WAYS.len(), "the entry covers what was asked for");
}

#[tokio::test]
async fn what_can_not_be_recorded_is_not_sent() {
    let upstream = Upstream::json("{}");
    let grant = format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http], methods: [GET] }}", upstream.url("/"));
    let host = probes().grant(&grant).ledger().start().await;
    let up = |client: Client, value: &'static str| async move {
        let begun = Instant::now();
        while client.metrics("hauski_egress_ledger_up").await != [format!("hauski_egress_ledger_up {value}")] {
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", client.metrics("egress_ledger").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    up(host.client(), "1").await;
    // Where the head is written first, there is a folder now.
    let blocked = host.folder().join("ledger/egress.head.tmp");
    fs::create_dir(&blocked).unwrap();
    assert_eq!(send(&host, WAYS[0], json!({ "url": upstream.url("/") })).await["ok"]["status"], 200);
    up(host.client(), "0").await;
    let sent = upstream.requests().len();
    for way in WAYS {
        let seen = send(&host, way, json!({ "url": upstream.url("/") })).await;
        assert!(seen["err"].is_string(), "{way}: {seen}");
    }
    assert_eq!((sent, upstream.requests().len()), (1, 1));
    let ready = host.client().get("/ready").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["ledger"]["up"]), (503, &json!(false)));
    assert_eq!(
        host.client().metrics("hauski_egress_ledger_unavailable_total").await,
        ["hauski_egress_ledger_unavailable_total 2"]
    );
    fs::remove_dir(&blocked).unwrap();
    up(host.client(), "1").await;
    let ready = host.client().get("/ready").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["ledger"]), (200, &json!({ "up": true, "intact": true })));
    for way in WAYS {
        assert_eq!(send(&host, way, json!({ "url": upstream.url("/") })).await["ok"]["status"], 200);
    }
    assert_eq!(requests(&host, 3).await.len(), 3);
}
