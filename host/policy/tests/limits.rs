//! `limits.yaml`: keys with defaults.

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
    let limits = parse(&SHIPPED.replace("first_token_p95_ms: 2000 ", "first_token_p95_ms: 900 "));
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
