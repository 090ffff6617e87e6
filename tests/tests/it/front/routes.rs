//! Rows 17 and 18, and routing: who answers for a route, who does not, and what is said of it.

use super::ground::{CHAT, ask, gateway, good, good_stream, reset, route, scripts, unavailable};
use hauski_tests::{Answer, Builder, TestHost, Upstream};
use http::Request;
use std::collections::BTreeMap;

async fn keyed(host: &TestHost, key: &str) -> Answer {
    let request = Request::post(CHAT).header("x-hauski-route-key", key).body(ask("chat", false).into()).unwrap();
    host.client().send(request).await
}

#[tokio::test]
async fn r17_only_what_can_be_routed_is_listed() {
    let upstream = scripts(vec![good]);
    let builder = gateway(&[&upstream]).model("{ id: lost, adapter: nowhere }").model("{ id: weights, path: /x }");
    let routes = "[{ model: chat, candidates: [{ model: lost }, { model: m0 }] }, \
                   { model: dead, candidates: [{ model: lost }] }, { model: m0, candidates: [{ model: m0 }] }]";
    let host = builder.routes(routes).start().await;
    let list = host.client().get("/v1/models").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["m0", "chat"]);
    for id in ids {
        let one = host.client().get(&format!("/v1/models/{id}")).await;
        assert_eq!((one.status.as_u16(), one.json()["id"].as_str()), (200, Some(id)), "{}", one.text);
    }
    for id in ["lost", "weights", "dead", "nobody", "a/b"] {
        let one = host.client().get(&format!("/v1/models/{id}")).await;
        assert_eq!((one.status.as_u16(), one.code().as_str()), (404, "model_not_found"), "{}", one.text);
    }
    let unknown = host.client().post(CHAT, ask("nobody", false)).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "model_not_found"), "{}", unknown.text);
    let dead = host.client().post(CHAT, ask("dead", false)).await;
    assert_eq!((dead.status.as_u16(), dead.code().as_str()), (503, "adapter_unavailable"), "{}", dead.text);
    assert!(dead.text.contains("nowhere.wasm"), "{}", dead.text);
}

#[tokio::test]
async fn r17_a_fallbacks_answer_names_the_model_that_answered() {
    for stream in [false, true] {
        for broken in [reset as fn(&mut _) -> _, unavailable] {
            let (first, second) = (scripts(vec![broken]), scripts(vec![if stream { good_stream } else { good }]));
            let builder = route(gateway(&[&first, &second]), "{ model: m0 }, { model: m1, order: 2 }");
            let host = builder.start().await;
            let answer = host.client().post(CHAT, ask("chat", stream)).await;
            assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
            assert!(answer.text.contains("\"model\":\"m1\"") && !answer.text.contains("theirs"), "{}", answer.text);
            assert!(answer.headers["x-hauski-route"].to_str().unwrap().contains("model=\"m1\""));
            assert_eq!((first.connections(), second.connections()), (2, 1), "tried once more, then elsewhere");
        }
    }
}

#[tokio::test]
async fn r17_what_the_client_did_wrong_is_not_asked_elsewhere() {
    let refuse = |conversation: &mut hauski_tests::Conversation| {
        conversation.request()?;
        let body = r#"{"error":{"message":"bad temperature","code":"c"}}"#;
        conversation.answer("400 Bad Request", "content-type: application/json\r\nconnection: close\r\n", body)
    };
    let (first, second) = (scripts(vec![refuse]), scripts(vec![good]));
    let host = route(gateway(&[&first, &second]), "{ model: m0 }, { model: m1, order: 2 }").start().await;
    let answer = host.client().post(CHAT, ask("chat", false)).await;
    assert_eq!((answer.status.as_u16(), second.connections()), (400, 0), "{}", answer.text);
}

/// A gateway whose `m0` is local and whose `m1` is not, though both are on loopback here: its entries count as cloud through
/// another one that is.
pub(super) fn local_and_cloud(local: &Upstream, cloud: &Upstream) -> Builder {
    let builder = TestHost::builder().adapter("openai-compatible").adapter_as("openai-compatible", "cloud");
    let entry = |builder: Builder, at, adapter, upstream: &Upstream| {
        let url = upstream.url("/v1");
        builder
            .grant(&format!("{{ url: \"{url}/\", adapters: [{adapter}] }}"))
            .model(&format!("{{ id: m{at}, adapter: {adapter}, upstream: theirs, config: {{ base_url: \"{url}\" }} }}"))
    };
    let builder = entry(builder, 0, "openai-compatible", local);
    entry(builder, 1, "cloud", cloud).grant("{ url: \"https://api.example.com\", adapters: [cloud] }")
}

#[tokio::test]
async fn r18_what_began_local_does_not_leave() {
    for stream in [false, true] {
        let (local, cloud) = (scripts(vec![reset]), scripts(vec![if stream { good_stream } else { good }]));
        let candidates = "{ model: m1 }, { model: m0, order: 2 }";
        let host = route(local_and_cloud(&local, &cloud), candidates).start().await;
        let answer = host.client().post(CHAT, ask("chat", stream)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (503, "cloud_fallback_disabled"),
            "{}",
            answer.text
        );
        assert!(
            answer.text.contains("routing.cloud_fallback.enabled") && answer.text.contains("`m1`"),
            "{}",
            answer.text
        );
        assert_eq!((local.connections(), cloud.connections()), (2, 0), "no attempt on the wire");

        let host = route(local_and_cloud(&local, &cloud), candidates).cloud_fallback().start().await;
        let answer = host.client().post(CHAT, ask("chat", stream)).await;
        assert_eq!((answer.status.as_u16(), cloud.connections()), (200, 1), "{}", answer.text);
        assert!(answer.headers["x-hauski-route"].to_str().unwrap().ends_with("locality=cloud"));
    }
}

#[tokio::test]
async fn r18_nor_does_it_where_the_local_model_is_not_even_there() {
    let (local, cloud) = (scripts(vec![good]), scripts(vec![good]));
    let builder = local_and_cloud(&local, &cloud).model("{ id: lost, adapter: nowhere }");
    let host = route(builder, "{ model: lost }, { model: m1, order: 2 }").start().await;
    let answer = host.client().post(CHAT, ask("chat", false)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "cloud_fallback_disabled"), "{}", answer.text);
    assert_eq!(cloud.connections(), 0);
    let list = host.client().get("/v1/models").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["m0", "m1"], "a route that nobody can be asked for is not listed");
}

#[tokio::test]
async fn local_models_go_first_where_the_policy_prefers_them() {
    let (local, cloud) = (scripts(vec![good]), scripts(vec![good]));
    let candidates = "{ model: m1 }, { model: m0, order: 2 }";
    let host = route(local_and_cloud(&local, &cloud), candidates).start().await;
    assert!(host.client().post(CHAT, ask("chat", false)).await.text.contains("\"m0\""));
    let host = route(local_and_cloud(&local, &cloud), candidates).prefer_any().start().await;
    assert!(host.client().post(CHAT, ask("chat", false)).await.text.contains("\"m1\""));
}

#[tokio::test]
async fn shares_follow_weights_and_keys_stay_where_they_are() {
    let (first, second) = (scripts(vec![good]), scripts(vec![good]));
    let host = route(gateway(&[&first, &second]), "{ model: m0, weight: 3 }, { model: m1 }").start().await;
    let mut seen = BTreeMap::new();
    for key in 0..100 {
        let key = format!("key-{key}");
        let model = keyed(&host, &key).await.json()["model"].as_str().unwrap().to_owned();
        assert_eq!(keyed(&host, &key).await.json()["model"].as_str(), Some(&*model), "{key} moved");
        *seen.entry(model).or_insert(0) += 1;
    }
    assert!((65..=85).contains(&seen["m0"]), "{seen:?}");
}

#[tokio::test]
async fn canaries_get_their_share_and_only_as_canaries() {
    let (first, second) = (scripts(vec![good]), scripts(vec![good]));
    let url = second.url("/v1");
    let builder = gateway(&[&first])
        .grant(&format!("{{ url: \"{url}/\", adapters: [openai-compatible] }}"))
        .model(&format!("{{ id: new, canary: true, adapter: openai-compatible, config: {{ base_url: \"{url}\" }} }}"));
    let host = route(builder, "{ model: m0 }, { model: new, canary_percent: 20 }").start().await;
    let mut canaries = 0;
    for key in 0..100 {
        let model = keyed(&host, &format!("key-{key}")).await.json()["model"].as_str().unwrap().to_owned();
        canaries += usize::from(model == "new");
    }
    assert!((10..=30).contains(&canaries), "{canaries}");
    assert_eq!(second.requests().len(), canaries);
}

#[tokio::test]
async fn a_route_key_is_one_plain_value() {
    let upstream = scripts(vec![good]);
    let host = route(gateway(&[&upstream]), "{ model: m0 }").start().await;
    let answer = keyed(&host, &"x".repeat(257)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_route_key"), "{}", answer.text);
}

#[tokio::test]
async fn a_model_that_fails_again_and_again_is_left_alone_for_a_while() {
    let upstream = scripts(vec![reset, reset, reset, good]);
    let builder = gateway(&[&upstream]).limit("retries", 0).limit("breaker_failures", 3).limit("breaker_ms", 300);
    let host = builder.start().await;
    for _ in 0..3 {
        assert_eq!(host.client().post(CHAT, ask("m0", false)).await.status.as_u16(), 502);
    }
    let open = host.client().post(CHAT, ask("m0", false)).await;
    assert_eq!((open.status.as_u16(), open.code().as_str()), (503, "circuit_open"), "{}", open.text);
    assert_eq!((open.headers["retry-after"].to_str().unwrap(), upstream.connections()), ("1", 3));
    assert_eq!(host.client().metrics("hauski_breaker_state").await, ["hauski_breaker_state{model=\"m0\"} 1"]);
    tokio::time::sleep(std::time::Duration::from_millis(350)).await;
    assert_eq!(host.client().post(CHAT, ask("m0", false)).await.status.as_u16(), 200, "the probe");
    assert_eq!(host.client().metrics("hauski_breaker_state").await, ["hauski_breaker_state{model=\"m0\"} 0"]);
}

#[tokio::test]
async fn looks_of_the_gateways_own_find_out_first() {
    let up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_up = up.clone();
    let upstream = Upstream::start(move |conversation| {
        let request = conversation.request()?;
        assert!(request.starts_with("GET /v1/models "), "nobody else has asked: {request}");
        if !is_up.load(std::sync::atomic::Ordering::SeqCst) {
            return Ok(());
        }
        conversation.answer("200 OK", "content-type: application/json\r\nconnection: close\r\n", r#"{"data":[]}"#)
    });
    let host = gateway(&[&upstream]).limit("probe_seconds", 1).limit("breaker_failures", 1).start().await;
    let soon = std::time::Duration::from_secs(10);
    host.client().until_metric("hauski_breaker_state{model=\"m0\"} 1", soon).await;
    let answer = host.client().post(CHAT, ask("m0", false)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "circuit_open"), "{}", answer.text);
    up.store(true, std::sync::atomic::Ordering::SeqCst);
    host.client().until_metric("hauski_breaker_state{model=\"m0\"} 0", soon).await;
    assert!(!host.client().metrics("hauski_probes_total{model=\"m0\",result=\"well\"}").await.is_empty());
}

#[tokio::test]
async fn nobody_looks_who_is_not_asked_to() {
    let upstream = scripts(vec![good]);
    let host = gateway(&[&upstream]).start().await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(upstream.connections(), 0);
    drop(host);
}
