//! D: fields, lengths, trailers and time-outs as a component sets them.

use super::{WAYS, ground, reaches, refused, send};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn d05_what_names_the_way_is_refused() {
    let (host, upstream) = ground().await;
    for way in WAYS {
        for name in "Host host Forwarded X-Forwarded-For x-forwarded-host X-FORWARDED-PROTO Proxy-Authorization \
                     Proxy-Connection Connection Keep-Alive TE Trailer Transfer-Encoding Upgrade HTTP2-Settings Expect \
                     X-HTTP-Method-Override X-Original-URL x_forwarded_for transfer_encoding"
            .split_whitespace()
        {
            refused(&host, &upstream, way, json!({ "headers": [["accept", "*/*"], [name, "evil.test"]] })).await;
        }
        let sent = reaches(&host, &upstream, way, json!({ "headers": [["cookie", "own=1"], ["x-a", "1"]] })).await;
        assert!(sent.contains(&format!("\r\nhost: {}\r\n", upstream.address())), "{way}: {sent}");
        assert!(sent.contains("\r\ncookie: own=1\r\n") && sent.to_lowercase().matches("cookie").count() == 1, "{sent}");
    }
}

#[tokio::test]
async fn d07_text_that_ends_a_line() {
    let (host, upstream) = ground().await;
    for way in WAYS {
        for (name, value) in [
            ("x-a", "b\r\nx-c: d"),
            ("x-a", "b\nx-c: d"),
            ("x-a", "b\rx-c: d"),
            ("x-a", "b\0"),
            ("x-a", "b\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"),
            ("x-a\r\nx-c", "d"),
            ("x-a: b\r\nx-c", "d"),
            ("x-a\0", "b"),
            ("x a", "b"),
            (":authority", "evil.test"),
            (":path", "/evil"),
            ("", "b"),
            ("x-ä", "b"),
        ] {
            refused(&host, &upstream, way, json!({ "headers": [[name, value]] })).await;
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn d08_lengths_that_are_not_the_bodys() {
    let (host, upstream) = ground().await;
    let evil = "xGET /evil HTTP/1.1\r\nhost: evil\r\n\r\n";
    for way in WAYS {
        for (lengths, body) in [
            (&["2", "2"][..], "{}"),
            (&["2", "3"], "{}"),
            (&["3"], "{}"),
            (&["1"], evil),
            (&["0"], evil),
            (&["+2"], "{}"),
            (&["2, 2"], "{}"),
            (&["0x2"], "{}"),
            (&[""], "{}"),
            (&["99999999999999999999"], "{}"),
        ] {
            let headers: Vec<_> = lengths.iter().map(|length| ["content-length", length]).collect();
            let order = super::filled(&upstream, json!({ "headers": headers, "body": body }));
            let answer = host.client().chat(way, &order.to_string()).await;
            assert!(!answer.content().contains("\"ok\"") || lengths == ["0"], "{way} {order}: {}", answer.text);
        }
        refused(
            &host,
            &upstream,
            way,
            json!({ "headers": [["transfer-encoding", "chunked"], ["content-length", "2"]], "body": "{}" }),
        )
        .await;
    }
    for request in upstream.requests() {
        assert!(request.starts_with("POST /v1/x HTTP/1.1\r\n") && !request.contains("evil"), "{request}");
    }
}

#[tokio::test]
async fn d09_floods_of_fields() {
    let (host, upstream) = ground().await;
    for way in WAYS {
        for order in
            [json!({ "fields": 129 }), json!({ "fields": 2_000 }), json!({ "pad": 70_000 }), json!({ "pad": 1 << 20 })]
        {
            let order = super::filled(&upstream, order);
            let answer = host.client().chat(way, &order.to_string()).await;
            assert!(!answer.content().contains("\"ok\""), "{way} {order}: {:.200}", answer.text);
        }
        reaches(&host, &upstream, way, json!({ "fields": 64, "pad": 30_000 })).await;
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn d09_writes_of_nothing_and_trailers() {
    let (host, upstream) = ground().await;
    let begin = Instant::now();
    let order = super::filled(&upstream, json!({ "empty_writes": 100_000, "body": "x" }));
    let answer = host.client().chat("probe-wasi-http", &order.to_string()).await;
    let all = upstream.requests();
    assert!(all.iter().all(|request| request.ends_with("\r\n\r\nx") || request.ends_with("\r\n\r\n")), "{all:?}");
    assert!(begin.elapsed() < Duration::from_secs(30), "{:.200}", answer.text);
    for trailers in [json!([["x-a", "1"]]), json!([["x-a", "1"], ["x-b", "2"]])] {
        let before = upstream.requests().len();
        let order = super::filled(&upstream, json!({ "body": "x", "trailers": trailers }));
        let seen = send(&host, "probe-wasi-http", order).await;
        assert!(seen.get("ok").is_none(), "{seen}");
        assert_eq!(upstream.requests().len(), before, "no trailer is sent, and no request that has one");
    }
    // What may not stand in a head may not stand there either.
    for name in ["host", "content-length", "transfer-encoding", "authorization"] {
        refused(&host, &upstream, "probe-wasi-http", json!({ "body": "x", "trailers": [[name, "1"]] })).await;
    }
}

#[tokio::test]
async fn d10_time_outs_of_nothing_and_for_ever() {
    let (host, upstream) = ground().await;
    for way in WAYS {
        for limit in [u64::MAX, u64::MAX / 1_000_000, u64::from(u32::MAX), 1 << 40] {
            let order = json!({ "connect_ms": limit, "first_byte_ms": limit, "idle_ms": limit });
            reaches(&host, &upstream, way, order).await;
        }
        for key in ["connect_ms", "first_byte_ms", "idle_ms"] {
            let seen = send(&host, way, super::filled(&upstream, json!({ key: 0 }))).await;
            let timed_out = seen["err"].as_str().is_some_and(|err| err.to_lowercase().contains("time"));
            assert!(seen["ok"]["status"] == 200 || timed_out, "{way} {key}: {seen}");
        }
        // The gateway goes on.
        reaches(&host, &upstream, way, json!({})).await;
    }
}
