//! Rows 16 to 18, further on: what has answered is not asked again, what a provider asks for is done, and which policy is to blame.

use super::ground::{CHAT, ask, gateway, good, reset, route, scripts};
use super::routes::local_and_cloud;
use hauski_tests::{Answer, Conversation, TestHost, Upstream};
use http::Request;
use std::io;
use std::time::{Duration, Instant};

/// A provider that answers each request with this head and this body, and closes.
fn answers(status: &'static str, fields: &'static str, body: &'static str) -> Upstream {
    Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.answer(status, &format!("connection: close\r\n{fields}"), body)
    })
}

const BUSY: &str = r#"{"error":{"message":"busy","type":"server_error","code":null}}"#;

/// Asks for a route whose requests are local-only.
async fn ask_locally(host: &TestHost) -> Answer {
    let request = Request::post(CHAT).header("x-hauski-locality", "local-only");
    host.client().send(request.body(ask("chat", false).into()).unwrap()).await
}

/// It was done and perhaps paid for, and nothing is wrong with the provider.
#[tokio::test]
async fn r16_what_has_answered_is_not_asked_again() {
    for (head, body) in [
        ("200 OK", "content-length: 99999999\r\n\r\n"),
        ("101 Switching Protocols", "upgrade: x\r\nconnection: upgrade\r\n\r\n"),
        ("2x0 Fine", "\r\n"),
    ] {
        let upstream = Upstream::start(move |conversation: &mut Conversation| -> io::Result<()> {
            conversation.request()?;
            conversation.write(format!("HTTP/1.1 {head}\r\ncontent-type: application/json\r\n{body}"))
        });
        let host = gateway(&[&upstream]).limit("response_mib", 1).limit("breaker_failures", 1).start().await;
        for asked in 1..=2 {
            let answer = host.client().post(CHAT, ask("m0", false)).await;
            assert_eq!((answer.status.as_u16(), upstream.connections()), (502, asked), "{head}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn r13_retry_after_is_kept_whatever_the_status() {
    for (status, expected) in [("503 Service Unavailable", 502), ("529 Overloaded", 502), ("500 Oh", 502)] {
        let upstream = answers(status, "content-type: application/json\r\nretry-after: 30\r\n", BUSY);
        let host = gateway(&[&upstream]).start().await;
        let answer = host.client().post(CHAT, ask("m0", false)).await;
        assert_eq!((answer.status.as_u16(), upstream.connections()), (expected, 1), "{status}: {}", answer.text);
        assert_eq!(answer.headers["retry-after"], "30", "{status}");
    }
    let upstream = answers("422 No", "content-type: application/json\r\nretry-after: 30\r\n", BUSY);
    let answer = gateway(&[&upstream]).start().await.client().post(CHAT, ask("m0", false)).await;
    assert_eq!((answer.status.as_u16(), answer.headers.get("retry-after")), (422, None));
}

#[tokio::test]
async fn r16_a_short_retry_after_is_waited_for() {
    let upstream = scripts(vec![
        |conversation| {
            conversation.request()?;
            let fields = "content-type: application/json\r\nconnection: close\r\nretry-after: 1\r\n";
            conversation.answer("503 Service Unavailable", fields, BUSY)
        },
        good,
    ]);
    let host = gateway(&[&upstream]).start().await;
    let begun = Instant::now();
    let answer = host.client().post(CHAT, ask("m0", false)).await;
    assert_eq!((answer.status.as_u16(), upstream.connections()), (200, 2), "{}", answer.text);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn r18_the_policy_that_holds_says_when_to_come_back() {
    let local = answers("503 Service Unavailable", "content-type: application/json\r\nretry-after: 30\r\n", BUSY);
    let cloud = scripts(vec![good]);
    let host = route(local_and_cloud(&local, &cloud), "{ model: m0 }, { model: m1, order: 2 }").start().await;
    let answer = host.client().post(CHAT, ask("chat", false)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "cloud_fallback_disabled"), "{}", answer.text);
    assert_eq!((answer.headers["retry-after"].to_str().unwrap(), cloud.connections()), ("30", 0));
    // What is wrong with a request is not the policy's fault.
    let image = r#"{"type":"image_url","image_url":{"url":"https://images.test/a.png"}}"#;
    let body = format!(r#"{{"model":"chat","messages":[{{"role":"user","content":[{image}]}}]}}"#);
    let answer = host.client().post(CHAT, body).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "remote_url_denied"), "{}", answer.text);
}

#[tokio::test]
async fn r18_who_wants_it_local_is_not_told_of_another_policy() {
    let (local, cloud) = (scripts(vec![reset]), scripts(vec![good]));
    let candidates = "{ model: m0 }, { model: m1, order: 2 }";
    let host = route(local_and_cloud(&local, &cloud), candidates).cloud_fallback().start().await;
    let answer = ask_locally(&host).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "upstream_unreachable"), "{}", answer.text);
    let lost = local_and_cloud(&local, &cloud).model("{ id: lost, adapter: nowhere }");
    let host = route(lost, "{ model: lost }, { model: m1, order: 2 }").cloud_fallback().start().await;
    let answer = ask_locally(&host).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "adapter_unavailable"), "{}", answer.text);
    assert!(answer.text.contains("the request allows local models only"), "{}", answer.text);
    assert_eq!(cloud.connections(), 0);
}

/// With all requests local-only, those who lead away are not even tried.
#[tokio::test]
async fn r18_what_would_be_denied_is_not_asked() {
    let (local, cloud) = (scripts(vec![good]), scripts(vec![good]));
    let host =
        route(local_and_cloud(&local, &cloud), "{ model: m1 }, { model: m0, order: 2 }").prefer_any().local_only();
    let host = host.start().await;
    let answer = host.client().post(CHAT, ask("chat", false)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    assert!(answer.text.contains("\"m0\""), "{}", answer.text);
    assert!(host.client().metrics("hauski_egress_denied_total{").await.is_empty());
}

#[tokio::test]
async fn a_breaker_that_opens_in_between_does_not_hide_the_reason() {
    let upstream = scripts(vec![reset]);
    let host = gateway(&[&upstream]).limit("breaker_failures", 1).start().await;
    let answer = host.client().post(CHAT, ask("m0", false)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "upstream_unreachable"), "{}", answer.text);
    assert_eq!(upstream.connections(), 1);
}

/// The time of a request counts from one begin, and each model has its own limit.
#[tokio::test]
async fn a_model_with_more_time_is_asked_when_the_first_has_none_left() {
    let hangs = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.closed_within(Duration::from_secs(10)).map(drop)
    });
    let second = scripts(vec![good]);
    for (limits, status, code, connections) in
        [("openai-compatible: { total_ms: 300 }", 200, "", 1), ("cloud: { total_ms: 200 }", 504, "total_timeout", 0)]
    {
        let builder = route(local_and_cloud(&hangs, &second), "{ model: m0 }, { model: m1, order: 2 }");
        let other = if status == 200 { "cloud: { total_ms: 60000 }" } else { "openai-compatible: { total_ms: 300 }" };
        let builder = builder.override_limits(limits).override_limits(other).limit("breaker_failures", 1);
        let host = builder.cloud_fallback().start().await;
        let before = second.connections();
        let answer = host.client().post(CHAT, ask("chat", false)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{limits}: {}", answer.text);
        assert_eq!(second.connections() - before, connections, "{limits}");
        let closed = "hauski_breaker_state{model=\"m1\"} 0".to_owned();
        assert!(
            host.client().metrics("hauski_breaker_state").await.contains(&closed),
            "who had no time did nothing wrong"
        );
    }
}

#[tokio::test]
async fn what_is_explained_is_what_happens() {
    let (local, cloud) = (scripts(vec![good]), scripts(vec![good]));
    let candidates = "{ model: m0 }, { model: m1, weight: 2 }, { model: m2, canary_percent: 30 }";
    let url = cloud.url("/v1");
    let build = || {
        let builder = local_and_cloud(&local, &cloud)
            .model(&format!("{{ id: m2, adapter: cloud, upstream: theirs, config: {{ base_url: \"{url}\" }} }}"));
        route(builder, candidates).prefer_any().cloud_fallback()
    };
    let (gateway, _folder) = build().prepare();
    let (gateway, host) = (gateway.unwrap().0, build().start().await);
    let mut seen = std::collections::BTreeSet::new();
    for key in 0..40 {
        let key = format!("key-{key}");
        let explained = gateway.explain("chat", &key, false).unwrap();
        let request = Request::post(CHAT).header("x-hauski-route-key", &key).body(ask("chat", false).into()).unwrap();
        let answer = host.client().send(request).await.json();
        assert_eq!(answer["model"], explained.asked[0].model, "{key}");
        seen.insert(explained.asked[0].model.clone());
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_no_look_at_others() {
    let hangs = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.closed_within(Duration::from_secs(20)).map(drop)
    });
    let well = Upstream::json(r#"{"object":"list","data":[]}"#);
    let host = gateway(&[&hangs, &well]).limit("probe_seconds", 1).start().await;
    let looks = "hauski_probes_total{model=\"m1\",result=\"well\"} 3";
    host.client().until_metric(looks, Duration::from_secs(8)).await;
    assert_eq!(hangs.connections(), 1, "nor is it looked at again while that goes on");
}
