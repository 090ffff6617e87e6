//! The other files: `models.yml`, `limits.yaml`, and what is shipped in `policies/`.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use hauski_policy::{Limits, Models, Routing, schemas};
use std::time::Duration;

fn shipped(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn path(name: &str) -> String {
    format!("{}/../../policies/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn models(text: &str) -> Models {
    Models::parse("models.yml", text.as_bytes()).unwrap().value
}

/// The codes of what is found in a `models.yml` with this model.
#[track_caller]
fn check_model(model: &str, expected: &[&str]) {
    let text = format!("models:\n  - {model}\n");
    let found = Models::parse("models.yml", text.as_bytes()).map_or_else(|errors| errors, |parsed| parsed.warnings);
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), expected, "{model}");
}

/// The codes of what is found in the shipped `limits.yaml` with a part replaced.
#[track_caller]
fn check_limits(part: &str, by: &str, expected: &[&str]) {
    let text = shipped("limits.yaml");
    assert!(text.contains(part), "{part}");
    let found = Limits::parse("limits.yaml", text.replace(part, by).as_bytes())
        .map_or_else(|errors| errors, |parsed| parsed.warnings);
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), expected, "{by}");
}

#[test]
fn the_original_models() {
    let models = models("models:\n  - id: demo\n    path: /tmp/demo.gguf\n    vram_min_gb: 4\n    canary: true\n");
    let demo = models.get("demo").unwrap();
    assert_eq!((demo.path.as_deref(), demo.vram_min_gb, demo.canary), (Some("/tmp/demo.gguf"), Some(4.0), true));
    assert!(demo.adapter.is_none() && demo.config.is_empty());
    assert_eq!(demo.upstream_name(), "demo");
}

#[test]
fn config_keeps_every_digit() {
    let models = models(
        "models:\n  - id: a/b:c@1\n    adapter: x\n    upstream: \"llama3.1:8b\"\n    config: { int: 9007199254740993, float: 1.10, \
         list: [1, { x: ~ }], text: \"a\\\"\\n\", yes: yes, day: 2027-01-31, max_tokens: 5 }\n",
    );
    let model = models.get("a/b:c@1").unwrap();
    assert_eq!(model.upstream_name(), "llama3.1:8b");
    let config: Vec<_> = model.config.iter().map(|(key, text)| format!("{key}={text}")).collect();
    assert_eq!(
        config.join(" "),
        r#"day="2027-01-31" float=1.10 int=9007199254740993 list=[1,{"x":null}] max_tokens=5 text="a\"\n" yes="yes""#
    );
}

#[test]
fn models_that_are_refused() {
    check_model("{ id: a }", &[]);
    check_model("{ path: /a }", &["missing-key"]);
    for id in ["\"\"", "\"a b\"", "ä", "\"a\\n\"", "\"a,b\"", &"a".repeat(129)] {
        check_model(&format!("{{ id: {id} }}"), &["model-id-invalid"]);
    }
    check_model(&format!("{{ id: {} }}", "a".repeat(128)), &[]);
    check_model("{ id: a }\n  - { id: a }", &["duplicate-model"]);
    for (number, expected) in [
        ("0", "out-of-range"),
        ("-1", "out-of-range"),
        ("1e999", "out-of-range"),
        ("\"4\"", "wrong-type"),
        (".nan", "ambiguous-number"),
    ] {
        check_model(&format!("{{ id: a, vram_min_gb: {number} }}"), &[expected]);
    }
    check_model("{ id: a, vram_min_gb: 4.5 }", &[]);
    check_model("{ id: a, canary: yes }", &["wrong-type"]);
    check_model("{ id: a, path: ~ }", &["missing-value"]);
    check_model("{ id: a, path: \"\" }", &["text-invalid"]);
    check_model("{ id: a, upstream: b }", &["adapter-missing"]);
    check_model("{ id: a, config: { x: 1 } }", &["adapter-missing"]);
    check_model("{ id: a, adapter: ../x }", &["adapter-invalid"]);
    check_model("{ id: a, adapter: x, config: [] }", &["wrong-type"]);
    check_model("{ id: a, adapter: x, config: { api_key: sk-12345 } }", &["secret-in-config"]);
    check_model("{ id: a, adaptor: x, upstream: b }", &["unknown-key"]);
}

#[test]
fn config_with_a_secret_is_refused_and_settings_that_look_like_one_are_not() {
    for setting in [
        "accessKey: abcdefgh",
        "x: { Ocp-Apim-Subscription-Key: 0123456789abcdef0123456789abcdef }",
        "db_passwd: abcdefgh",
        "clientSecret: abcdefgh",
        "api_keys: [abcdefgh]",
        "headers: [\"bearer abcdefgh12345678\"]",
        "x: \"Token abcdefgh12345678\"",
        "x: ghs_abcdefgh12345678",
        "x: AKIAABCDEFGHIJKLMNOP",
        "x: nvapi-abcdefgh12345678",
        "x: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "x: \"-----BEGIN PRIVATE KEY-----\"",
        "headers: { X-Functions-Key: abcdefgh12345678 }",
        "headers: { X-Auth: abcdefgh }",
        "extra_headers: { X-Jwt-Assertion: abcdefgh }",
        "key: 0123456789abcdef0123456789abcdef",
        "api_key_2: abcdefgh",
        "accesstoken: abcdefgh",
        "APIToken: abcdefgh",
        "headers: { DPoP: abcdefgh }",
        "openai_key: abcdefgh12345678",
        "auth: abcdefgh12345678",
        "openai_api_key_prod: abcdefgh",
        "api.key: abcdefgh",
        "keys: [abcdef0123456789]",
        "hf_token: abcdefghijklmnopqrst",
        "headers: [\"x-api-key: abcdefgh\"]",
        "proxy: \"http://user:hunter2hunter2@proxy.test/\"",
        "auth: { key: 123e4567-e89b-12d3-a456-426614174000 }",
        "pwd: abcdefgh",
        "passphrase: abcdefgh ijkl",
        "password: 12345678",
        "x: Basic dXNlcjpwYXNz",
        "some_token: abcdefgh12345678",
        "x: { base_url: sk-live-abcdefgh12345678 }",
        "headers: { base_url: \"Bearer abcdefgh12345678\" }",
    ] {
        check_model(&format!("{{ id: a, adapter: x, config: {{ {setting} }} }}"), &["secret-in-config"]);
    }
    for setting in [
        "eos_token: \"<|im_end|>\"",
        "stop_token: \"<|endoftext|>\"",
        "max_tokens: 100000000",
        "system: Basic assistant for people",
        "system: sk-learn helper",
        "token: \"</s>\"",
        "keywords: [abcdefgh]",
        "input_cost_per_token: 0.00000015",
        "image_token: \"<|image_pad|>\"",
        "end_token: \"<|endoftext|>\"",
        "think_end_token: \"</think>\"",
        "mask_token: \"[MASK_0123456789]\"",
        "system: Basic assistant",
        "title: Token streaming",
        "backend: hf_transformers",
        "auth: disabled",
        "auth: { type: client_credentials, header: x-api-key }",
        "sort: { key: created_at }",
        "token: { text: \"Observation:\" }",
        "deployment_key: gpt-4o-2024-08-06",
        "api_key_env: OPENAI_API_KEY",
        "headers: [\"x-title: HausKI gateway\"]",
        "cache_key: conversations-of-today",
        "prompt_cache_key: hauski-prod-cache-01",
        "headers: { X-Title: HausKI 2026 gateway }",
    ] {
        check_model(&format!("{{ id: a, adapter: x, config: {{ {setting} }} }}"), &[]);
    }
}

#[test]
fn the_shipped_limits() {
    let text = shipped("limits.yaml");
    let limits = Limits::parse("limits.yaml", text.as_bytes()).unwrap().value;
    assert_eq!(limits.latency.llm_p95, Duration::from_millis(400));
    assert_eq!((limits.server.request_bytes, limits.server.connections), (32 << 20, 4096));
    let any = limits.adapter(&"any".parse().unwrap());
    assert_eq!((any.memory_bytes, any.instances, any.response_bytes), (64 << 20, 256, 64 << 20));
    assert_eq!((any.cpu, any.total), (Duration::from_secs(5), Duration::from_secs(600)));
    assert_eq!((limits.server.buffered_bytes, any.queue, any.retries), (256 << 20, 64, 1));
    assert_eq!((any.queue_wait, any.breaker_open), (Duration::from_secs(5), Duration::from_secs(5)));
    assert_eq!((any.breaker_failures, any.probe), (10, None));
    insta::assert_snapshot!("limits_shown", serde_json::to_string_pretty(&limits).unwrap());
}

#[test]
fn overrides() {
    let text = shipped("limits.yaml").replace(
        "overrides: {}",
        "overrides: { ollama: { memory_mib: 256, total_ms: 1500, queue: 0, \
         queue_ms: 1, retries: 0, breaker_failures: 3, breaker_ms: 250, probe_seconds: 30 } }",
    );
    let limits = Limits::parse("limits.yaml", text.as_bytes()).unwrap().value;
    let ollama = limits.adapter(&"ollama".parse().unwrap());
    assert_eq!((ollama.memory_bytes, ollama.total), (256 << 20, Duration::from_millis(1500)));
    assert_eq!(ollama.instances, 256);
    assert_eq!((ollama.queue, ollama.queue_wait, ollama.retries), (0, Duration::from_millis(1), 0));
    assert_eq!((ollama.breaker_failures, ollama.breaker_open), (3, Duration::from_millis(250)));
    assert_eq!(ollama.probe, Some(Duration::from_secs(30)));
    assert_eq!(limits.adapters().count(), 2);
    let shown = limits.to_json().to_string();
    assert_eq!(Limits::parse("limits.yaml", shown.as_bytes()).unwrap().value.to_json().to_string(), shown);
}

#[test]
fn limits_that_are_refused() {
    check_limits("  overrides: {}", "", &[]);
    check_limits("overrides: {}", "overrides: { Ollama: {} }", &["adapter-invalid"]);
    check_limits("overrides: {}", "overrides: { a: { memory: 1 } }", &["unknown-key"]);
    check_limits("overrides: {}", "overrides:", &["missing-value"]);
    check_limits("memory_mib: 64", "memory_mib: 0", &["out-of-range"]);
    check_limits("memory_mib: 64", "memory_mib: 4097", &["out-of-range"]);
    check_limits("memory_mib: 64", "memory_mib: 64.5", &["out-of-range"]);
    check_limits("memory_mib: 64", "memory_mib: -64", &["out-of-range"]);
    check_limits("memory_mib: 64", "memory_mib: 064", &["ambiguous-number"]);
    check_limits("memory_mib: 64", "memory_mib: 64MiB", &["wrong-type"]);
    check_limits("memory_mib: 64", "# memory_mib: 64", &["missing-key"]);
    check_limits("shutdown_seconds: 30", "shutdown_seconds: 0", &[]);
    check_limits("buffered_mib: 256", "buffered_mib: 31", &["buffered-too-small"]);
    check_limits("buffered_mib: 256", "buffered_mib: 32", &[]);
    for (key, least, most) in [
        ("queue: 64", 0, 100_000),
        ("queue_ms: 5000", 1, 86_400_000),
        ("retries: 1", 0, 5),
        ("breaker_failures: 10", 1, 1000),
        ("breaker_ms: 5000", 1, 86_400_000),
        ("probe_seconds: 0", 0, 86_400),
    ] {
        let (name, _) = key.split_once(':').unwrap();
        let whole = format!("    {key} ");
        for (number, expected) in
            [(least, &[][..]), (most, &[]), (least - 1, &["out-of-range"]), (most + 1, &["out-of-range"])]
        {
            check_limits(&whole, &format!("    {name}: {number} "), expected);
            check_limits("overrides: {}", &format!("overrides: {{ a: {{ {name}: {number} }} }}"), expected);
        }
        check_limits(&whole, &format!("    # {key} "), &["missing-key"]);
    }
    check_limits("llm_p95_ms: 400", "llm_p99_ms: 400", &["unknown-key"]);
}

/// A file that is cut off is refused, or lacks nothing but the end of a budget by which nothing is cut off.
#[test]
fn limits_truncated_at_every_byte() {
    let whole = shipped("limits.yaml")
        .replace("overrides: {}", "overrides:\n    ollama: { total_ms: 1500 }\n    b:\n      memory_mib: 256");
    let limits = Limits::parse("limits.yaml", whole.as_bytes()).unwrap().value;
    for end in 0..whole.len() {
        if let Ok(mut part) = Limits::parse("limits.yaml", &whole.as_bytes()[..end]) {
            part.value.latency = limits.latency;
            assert_eq!(part.value.to_json().to_string(), limits.to_json().to_string(), "cut at {end}");
            assert!(end > whole.rfind("llm_p95_ms").unwrap(), "cut at {end}");
        }
    }
    let (latency, rest) = ("latency: { llm_p95_ms: 400 }\n", whole.split("# Latency budgets").next().unwrap());
    assert!(Limits::parse("limits.yaml", format!("{rest}{latency}").as_bytes()).is_ok());
    let found = Limits::parse("limits.yaml", format!("{latency}{rest}").as_bytes()).unwrap().warnings;
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), ["latency-not-last"]);
}

#[test]
fn what_is_shipped_has_no_warnings() {
    let found = [
        Routing::parse("routing.yaml", shipped("routing.yaml").as_bytes()).unwrap().warnings,
        Models::parse("models.yml", shipped("models.yml").as_bytes()).unwrap().warnings,
        Limits::parse("limits.yaml", shipped("limits.yaml").as_bytes()).unwrap().warnings,
    ];
    found.iter().for_each(|warnings| assert!(warnings.is_empty(), "{warnings}"));
}

/// To update the files: `UPDATE_SCHEMAS=1 cargo test -p hauski-policy`.
#[test]
fn schemas_are_current() {
    for (name, text) in schemas() {
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(path(name), &text).unwrap();
        }
        let current = std::fs::read_to_string(path(name)).unwrap_or_default();
        assert!(current == text, "policies/{name} is not current: run `UPDATE_SCHEMAS=1 cargo test -p hauski-policy`");
    }
}

/// In a file that is no YAML, nobody knows what is a key's value.
#[test]
fn keys_in_broken_models_are_not_shown() {
    for line in [
        "config: { api_key: sk-live-abcdefgh12345678 }\t# x",
        "config: { api_key: sk-live-abcdefgh12345678",
        "config: { x: y, api_key: sk-live-abcdefgh12345678: z }",
        "config: [\"api_key=sk-live-abcdefgh12345678\"]",
        "password: abcdefgh12345678\t",
    ] {
        let text = format!("models:\n  - id: a\n    adapter: x\n    {line}\n");
        let found = Models::parse("models.yml", text.as_bytes()).unwrap_err().render(false);
        assert!(!found.contains("abcdefgh12345678"), "{found}");
    }
}
