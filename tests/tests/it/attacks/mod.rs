//! The cases that only a component can try, or that are about components. Each is named as in the egress crate's table, and
//! goes over both ways out where there are two.

mod answers;
mod files;
mod heads;
mod isolation;
mod reaching;
mod table;

use crate::egress::{WAYS, probes, send};
use hauski_tests::{Log, TestHost, Upstream};
use serde_json::{Value, json};

/// A provider that answers, and a gateway whose two probes may `POST` to all below `/v1/` of it, and nothing else.
async fn ground() -> (TestHost, Upstream) {
    let upstream = Upstream::json("{}");
    let entry = format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http], methods: [POST] }}", upstream.url("/v1/"));
    (probes().grant(&entry).limit("cpu_ms", 20_000).start().await, upstream)
}

/// `order` with what it does not say: a method and a URL that are granted.
fn filled(upstream: &Upstream, mut order: Value) -> Value {
    for (key, value) in [("method", json!("POST")), ("url", json!(upstream.url("/v1/x")))] {
        if order.get(key).is_none() {
            order[key] = value;
        }
    }
    order
}

/// The door denies it: the guest learns that and no more, the operator why, the provider nothing.
async fn denied(host: &TestHost, upstream: &Upstream, way: &str, order: Value, reason: &str) {
    let order = filled(upstream, order);
    let before = (upstream.connections(), lines(way, reason));
    let seen = send(host, way, order.clone()).await;
    assert_eq!(seen["err"], "denied", "{way} {order}: {seen}");
    assert!(seen["message"].as_str().is_none_or(str::is_empty), "{way} {order}: {seen}");
    assert!(lines(way, reason) > before.1, "{way} {order}: the log names {reason}");
    assert_eq!(upstream.connections(), before.0, "{way} {order}");
}

/// The log's lines of denials with this reason.
fn lines(way: &str, reason: &str) -> usize {
    let lines = Log::lines_with("egress denied");
    let (way, reason) = (format!("adapter={way} "), format!("reason=\"{reason}\""));
    lines.iter().filter(|line| line.contains(&way) && line.contains(&reason) && line.contains("destination=")).count()
}

/// It does not get as far as the door, or not through it: an error for the guest, nothing for the provider.
async fn refused(host: &TestHost, upstream: &Upstream, way: &str, order: Value) {
    let order = filled(upstream, order);
    let before = upstream.requests().len();
    let seen = send(host, way, order.clone()).await;
    assert!(seen["err"].is_string() && seen.get("ok").is_none(), "{way} {order}: {seen}");
    assert_eq!(upstream.requests().len(), before, "{way} {order}");
}

/// It is sent.
async fn reaches(host: &TestHost, upstream: &Upstream, way: &str, order: Value) -> String {
    let order = filled(upstream, order);
    let before = upstream.requests().len();
    let seen = send(host, way, order.clone()).await;
    assert_eq!(seen["ok"]["status"], 200, "{way} {order}: {seen}");
    let mut requests = upstream.requests();
    assert_eq!(requests.len(), before + 1, "{way} {order}");
    requests.remove(before)
}
