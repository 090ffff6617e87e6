//! What one client leaves to the others: requests at once, and instances.

use super::{ALL, LAPTOP, PHONE, chat, check, keys};
use bytes::Bytes;
use hauski_tests::TestHost;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::time::{Duration, Instant};

/// Begins a stream that does not end by itself; it ends when it is dropped.
async fn open_endless(host: &TestHost, key: &str) -> Response<Incoming> {
    let body = r#"{"model":"endless","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let request = Request::builder().method("POST").uri("/v1/chat/completions").header("x-api-key", key);
    host.client().open(request.body(Bytes::from(body)).unwrap()).await.unwrap()
}

/// M4: one key could hold all instances of an adapter.
#[tokio::test]
async fn key_has_a_limit_of_requests_at_once() {
    let entries = [("laptop", LAPTOP, "models: [\"*\"], concurrent: 1"), ("phone", PHONE, ALL)];
    let host = TestHost::builder()
        .guest("streams_forever")
        .adapter("echo")
        .model("{ id: echo, adapter: echo }")
        .model("{ id: endless, adapter: streams-forever }")
        .keys(&keys(&entries))
        .start()
        .await;
    let answer = open_endless(&host, LAPTOP).await;
    // The head of the stream is there; the stream goes on.
    assert_eq!(answer.status(), StatusCode::OK);
    let refused = chat(&host, LAPTOP, "echo").await;
    check(&refused, 429, "too_many_at_once");
    assert!(refused.text.contains("the key `laptop` may have 1 request at once"), "{}", refused.text);
    assert_eq!(chat(&host, PHONE, "echo").await.status, StatusCode::OK, "another one's");
    drop(answer);
    let begin = Instant::now();
    while chat(&host, LAPTOP, "echo").await.status != StatusCode::OK {
        assert!(begin.elapsed() < Duration::from_secs(20), "the place is given back");
    }
}

/// M4: slow requests of one key took all instances of an adapter, for as long as they liked.
#[tokio::test]
async fn key_leaves_half_of_the_instances_to_other_keys() {
    let entries = [("laptop", LAPTOP, ALL), ("phone", PHONE, ALL)];
    let host = TestHost::builder()
        .guest("streams_forever")
        .model("{ id: endless, adapter: streams-forever }")
        .limit("instances", 4)
        .limit("queue_ms", 300)
        .keys(&keys(&entries))
        .start()
        .await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(open_endless(&host, LAPTOP).await);
    }
    let refused = open_endless(&host, LAPTOP).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    for _ in 0..2 {
        let answer = open_endless(&host, PHONE).await;
        assert_eq!(answer.status(), StatusCode::OK, "there are four instances");
        streams.push(answer);
    }
    drop(streams);
    // A client without others may have all of them.
    host.set_keys(&keys(&entries[..1]));
    let begin = Instant::now();
    let mut streams = Vec::new();
    while streams.len() < 4 {
        let answer = open_endless(&host, LAPTOP).await;
        if answer.status() == StatusCode::OK {
            streams.push(answer);
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{} instances", streams.len());
    }
}
