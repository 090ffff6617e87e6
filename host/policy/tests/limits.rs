//! `limits.yaml`: keys with defaults, and what of a changed file can be put in force without a restart.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use hauski_policy::{Limits, schemas};
use serde_json::{Value, json};

/// The shipped file of commit 3d8bd51, before the first key with a default.
const EARLIER: &str = include_str!("fixtures/limits-3d8bd51.yaml");
const SHIPPED: &str = include_str!("../../../policies/limits.yaml");

#[track_caller]
fn parse(text: &str) -> Limits {
    let parsed = Limits::parse("limits.yaml", text.as_bytes()).unwrap();
    assert!(parsed.warnings.is_empty(), "{}", parsed.warnings);
    parsed.value
}

/// The shipped limits with a part replaced.
#[track_caller]
fn with(replacements: &[(&str, &str)]) -> Limits {
    let mut text = SHIPPED.to_owned();
    for (part, by) in replacements {
        assert!(text.contains(part), "{part}");
        text = text.replace(part, by);
    }
    parse(&text)
}

/// The keys with a default below a schema, by their path as a JSON pointer.
fn defaults(root: &Value, schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(definition) = reference.and_then(|text| text.strip_prefix('#')) {
        defaults(root, root.pointer(definition).unwrap(), path, found);
    }
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        if let Some(default) = property.get("default") {
            let required = schema["required"].as_array().is_some_and(|keys| keys.contains(&json!(key)));
            assert!(!required, "{path} has a default and is required");
            found.push((path.clone(), default.clone()));
        }
        defaults(root, property, &path, found);
    }
}

fn schema_defaults() -> Vec<(String, Value)> {
    let (_, text) = schemas().into_iter().find(|(name, _)| *name == "limits.schema.json").unwrap();
    let root: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    defaults(&root, &root, "", &mut found);
    found
}

#[test]
fn limits_of_an_earlier_version_stay_valid() {
    let (earlier, shipped) = (parse(EARLIER), parse(SHIPPED));
    assert_eq!(earlier.to_json(), shipped.to_json());
}

#[test]
fn defaults_are_the_same_in_schema_parser_and_shipped_file() {
    let found = schema_defaults();
    let paths: Vec<_> = found.iter().map(|(path, _)| &**path).collect();
    assert_eq!(paths, ["/latency/first_token_p95_ms", "/latency/added_p95_ms"]);
    let (earlier, shipped) = (parse(EARLIER).to_json(), parse(SHIPPED).to_json());
    for (path, default) in &found {
        let key = path.rsplit('/').next().unwrap();
        assert!(!EARLIER.contains(key), "{path} is in the earlier file");
        assert_eq!(earlier.pointer(path), Some(default), "{path}: the parser");
        assert_eq!(shipped.pointer(path), Some(default), "{path}: the shipped file");
        let line = SHIPPED.lines().find(|line| line.trim_start().starts_with(&format!("{key}: {default} ")));
        let comment = format!("default {default}");
        assert!(line.is_some_and(|line| line.ends_with(&comment)), "{path}: no line with its default as comment");
    }
}

/// Keys without a default show that a file is whole.
#[test]
fn keys_of_the_earlier_version_stay_required() {
    for (at, line) in EARLIER.lines().enumerate() {
        let is_key = line.starts_with(' ') && line.contains(": ") && !line.trim_start().starts_with('#');
        if is_key && !line.contains("overrides:") {
            let rest: Vec<_> = EARLIER.lines().enumerate().filter(|(other, _)| *other != at).map(|(_, l)| l).collect();
            let found = Limits::parse("limits.yaml", rest.join("\n").as_bytes()).unwrap_err();
            assert!(found.iter().any(|one| ["missing-key", "missing-value"].contains(&one.code)), "{line}");
        }
    }
}

#[test]
fn defaults_apply_to_absent_keys_only() {
    let limits = with(&[("first_token_p95_ms: 2000 ", "first_token_p95_ms: 900 ")]);
    assert_eq!(limits.to_json()["latency"]["first_token_p95_ms"], 900);
    for (by, code) in [
        ("added_p95_ms:", "missing-value"),
        ("added_p95_ms: 0", "out-of-range"),
        ("added_p95_ms: x", "wrong-type"),
        ("add_p95_ms: 5", "unknown-key"),
    ] {
        let text = SHIPPED.replace("added_p95_ms: 10 ", &format!("{by} "));
        let found = Limits::parse("limits.yaml", text.as_bytes()).unwrap_err();
        assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), [code], "{by}");
    }
}

/// A cut-off file lacks the last key, which is required: no default stands in for what was cut off.
#[test]
fn truncated_limits_never_fall_back_to_defaults() {
    let text = SHIPPED.replace("added_p95_ms: 10 ", "added_p95_ms: 55 ");
    for end in 0..text.len() {
        if let Ok(part) = Limits::parse("limits.yaml", &text.as_bytes()[..end]) {
            let latency = &part.value.to_json()["latency"];
            assert_eq!((&latency["first_token_p95_ms"], &latency["added_p95_ms"]), (&json!(2000), &json!(55)));
        }
    }
}

/// An instance that is alone can have all that its own limit allows: half of the total is common.
#[test]
fn total_memory_is_at_least_twice_that_of_the_largest_instance() {
    let total = |limits: Limits| limits.total_memory >> 20;
    let absent = ("  total_memory_mib", "  # total_memory_mib");
    assert_eq!(total(with(&[absent])), 4096);
    assert_eq!(total(with(&[absent, ("overrides: {}", "overrides: { a: { memory_mib: 3000 } }")])), 6000);
    assert_eq!(total(with(&[("total_memory_mib: 4096", "total_memory_mib: 128")])), 128);
    let text = SHIPPED.replace("total_memory_mib: 4096", "total_memory_mib: 127");
    let error = Limits::parse("limits.yaml", text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("total-memory-too-small") && error.contains("write 128 or more"), "{error}");
}

#[test]
fn changes_are_listed_by_key() {
    let old = with(&[("overrides: {}", "overrides: { a: { cpu_ms: 7 }, b: {} }")]);
    let new = with(&[
        ("overrides: {}", "overrides: { a: { cpu_ms: 8 }, c: { queue: 3, cpu_ms: 5000 } }"),
        ("cpu_ms: 5000", "cpu_ms: 6000"),
        ("c: { queue: 3, cpu_ms: 6000", "c: { queue: 3, cpu_ms: 5000"),
        ("connections: 4096", "connections: 4097"),
        ("llm_p95_ms: 400", "llm_p95_ms: 401"),
        ("require_lock: false", "require_lock: true"),
        ("total_memory_mib: 4096", "total_memory_mib: 4097"),
    ]);
    let changes: Vec<_> = old.changes(&new).into_iter().map(|c| format!("{} {} {}", c.key, c.old, c.new)).collect();
    assert_eq!(
        changes,
        [
            "server.connections 4096 4097",
            "latency.llm_p95_ms 400 401",
            "adapters.require_lock false true",
            "adapters.total_memory_mib 4096 4097",
            "adapters.defaults.cpu_ms 5000 6000",
            "adapters.overrides.a.cpu_ms 7 8",
            "adapters.overrides.c.queue 64 3",
        ]
    );
    assert_eq!(new.changes(&new), []);
}

#[test]
fn keys_that_need_a_restart_are_named_and_keep_their_value() {
    let running = with(&[("overrides: {}", "overrides: { a: { memory_mib: 128 } }")]);
    let pool = running.largest_memory();
    assert_eq!(pool, 128 << 20);
    let wanted = with(&[
        ("overrides: {}", "overrides: { a: { memory_mib: 129 }, b: { memory_mib: 100 }, c: {} }"),
        ("memory_mib: 64 ", "memory_mib: 256 "),
        ("file_mib: 64", "file_mib: 65"),
        ("files: 16", "files: 17"),
        ("require_lock: false", "require_lock: true"),
        ("total_memory_mib: 4096", "total_memory_mib: 4097"),
        ("queue: 64", "queue: 65"),
    ]);
    let live = running.live(&wanted, pool);
    assert_eq!(
        live.restart_needed,
        [
            "ledger.file_mib",
            "ledger.files",
            "adapters.require_lock",
            "adapters.total_memory_mib",
            "adapters.defaults.memory_mib",
            "adapters.overrides.a.memory_mib",
        ]
    );
    let (limits, mib) = (live.limits, |id: &str| live_memory(&running, &wanted, pool, id));
    assert_eq!((limits.ledger, limits.require_lock), (running.ledger, false));
    assert_eq!(limits.total_memory, 4096 << 20);
    assert_eq!((mib("any"), mib("a"), mib("b"), mib("c")), (64, 128, 100, 64));
    assert_eq!(limits.adapter(&"any".parse().unwrap()).queue, 65, "all else is in force");
    assert_eq!(running.live(&running, pool).restart_needed, Vec::<String>::new());
}

fn live_memory(running: &Limits, wanted: &Limits, pool: usize, id: &str) -> usize {
    running.live(wanted, pool).limits.adapter(&id.parse().unwrap()).memory_bytes >> 20
}
