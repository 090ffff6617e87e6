//! `models.yml` while the gateway runs, and what is said of each model.

use crate::front::ground::{ANSWER, CHAT, ask, gateway};
use hauski_tests::{Log, TestHost, Upstream};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

async fn ready(host: &TestHost) -> Value {
    host.client().get("/ready").await.json()
}

fn model(id: &str, upstream: &Upstream) -> String {
    let url = upstream.url("/v1");
    format!("  - {{ id: {id}, adapter: openai-compatible, upstream: theirs, config: {{ base_url: \"{url}\" }} }}\n")
}

#[tokio::test]
async fn models_file_is_reloaded_live_and_keeps_its_last_valid_version() {
    let (one, two) = (Upstream::json(ANSWER), Upstream::json(ANSWER));
    let host = gateway(&[&one, &two]).start().await;
    let answers = async |id: &str| host.client().post(CHAT, ask(id, false)).await.status.as_u16();
    assert_eq!((answers("m1").await, answers("new").await), (200, 404));

    host.set_file("models.yml", &format!("models:\n{}{}", model("m0", &one), model("new", &two)));
    host.client().until_metric("hauski_policy_reloads_total{result=\"ok\"} 1", PATIENCE).await;
    assert_eq!((answers("m1").await, answers("new").await, answers("m0").await), (404, 200, 200));

    // Another provider under a known name: the next request goes there.
    let before = (one.connections(), two.requests().len());
    host.set_file("models.yml", &format!("models:\n{}", model("m0", &two)));
    host.client().until_metric("hauski_policy_reloads_total{result=\"ok\"} 2", PATIENCE).await;
    assert_eq!(answers("m0").await, 200);
    assert_eq!((one.connections(), two.requests().len()), (before.0, before.1 + 1));

    host.set_file("models.yml", "models:\n  - { id: m0, adapter: 7 }\n");
    host.client().until_metric("hauski_policy_stale 1", PATIENCE).await;
    assert_eq!(answers("m0").await, 200);
    let stale = ready(&host).await["models_file"]["stale"].clone();
    assert_eq!(stale["problem"], "models.yml:2:24: wrong-type", "{stale}");
    assert!(!Log::lines_with("models.yml is invalid; still using its last valid version").is_empty());

    host.set_file("models.yml", &format!("models:\n{}", model("back", &two)));
    host.client().until_metric("hauski_policy_stale 0", PATIENCE).await;
    assert_eq!((answers("m0").await, answers("back").await), (404, 200));
    assert_eq!(ready(&host).await["models_file"]["stale"], Value::Null);
}

/// Each order of two edits works: a model may come before the entry that grants what it needs.
#[tokio::test]
async fn model_is_offered_once_its_grant_is_there() {
    let (one, two) = (Upstream::json(ANSWER), Upstream::json(ANSWER));
    let host = gateway(&[&one]).start().await;
    host.set_file("models.yml", &format!("models:\n{}{}", model("m0", &one), model("late", &two)));
    host.client()
        .until_metric(
            "hauski_model_info{adapter=\"openai-compatible\",locality=\"no grant\",model=\"late\"} 1",
            PATIENCE,
        )
        .await;
    let answer = host.client().post(CHAT, ask("late", false)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "no_grant"), "{}", answer.text);
    let offered = host.client().get("/v1/models").await.json();
    assert_eq!(offered["data"].as_array().unwrap().len(), 1, "{offered}");
    assert!(!Log::lines_with("no-grant: no grant for the model `late`").is_empty());

    let entry = |upstream: &Upstream| {
        format!("    - {{ url: \"{}/\", adapters: [openai-compatible], methods: [POST] }}\n", upstream.url("/v1"))
    };
    let routing = format!(
        "egress:\n  default: deny\n  allow:\n{}{}routing: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n",
        entry(&one),
        entry(&two)
    );
    host.set_routing(&routing);
    host.client().until_metric("hauski_policy_generation 2", PATIENCE).await;
    assert_eq!(host.client().post(CHAT, ask("late", false)).await.status.as_u16(), 200);
    let shown = host.client().metrics("hauski_model_info").await;
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown.iter().all(|line| line.contains("locality=\"local\"")), "{shown:?}");
}

/// The defaults that an adapter describes hold for models that set nothing, and decide their reach.
#[tokio::test]
async fn described_base_url_is_the_reach_of_models_that_set_none() {
    let host = TestHost::builder()
        .adapter("anthropic")
        .model("{ id: claude, adapter: anthropic }")
        .model("{ id: elsewhere, adapter: anthropic, config: { base_url: \"https://other.test/v1\" } }")
        .grant_as_written("{ url: \"https://api.anthropic.com/v1/\", adapters: [anthropic], methods: [POST] }")
        .expose_config()
        .start()
        .await;
    let listing = host.client().get("/adapters").await.json();
    let reach = &listing["adapters"][0]["models"];
    assert_eq!(
        reach,
        &json!([
            { "model": "claude", "base_url": "https://api.anthropic.com/v1", "locality": "cloud", "lines": [4] },
            { "model": "elsewhere", "base_url": "https://other.test/v1", "locality": "no grant", "lines": [] },
        ])
    );
}
