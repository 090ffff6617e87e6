//! The document against the router.

use super::*;
use crate::router::{Entry, always, on_request};
use std::collections::BTreeSet;

fn json() -> Value {
    serde_json::from_str(document()).unwrap()
}

/// Method and path, with `id` for `{*id}`: a document has no word for a parameter that spans segments.
fn named(entry: &Entry) -> (String, String) {
    (entry.method.as_str().to_lowercase(), entry.path.replace("{*", "{"))
}

/// Method and path of all operations that `wanted` takes.
fn operations_in(document: &Value, wanted: impl Fn(&Value) -> bool) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, _) in item.as_object().unwrap().iter().filter(|(_, operation)| wanted(operation)) {
            found.insert((method.clone(), path.clone()));
        }
    }
    found
}

#[test]
fn the_document_has_the_routes() {
    let (always, on_request) = (always(), on_request());
    let all: BTreeSet<_> = always.iter().chain(&on_request).map(named).collect();
    assert_eq!(all.len(), always.len() + on_request.len(), "each path has one method");
    assert_eq!(operations_in(&json(), |_| true), all);
    let marked = operations_in(&json(), |operation| operation["tags"][0] == ON_REQUEST);
    assert_eq!(marked, on_request.iter().map(named).collect());
}

#[test]
fn all_that_is_named_is_there() {
    #[track_caller]
    fn check(document: &Value, at: &Value) {
        match at {
            Value::Object(members) => {
                if let Some(Value::String(name)) = members.get("$ref") {
                    let pointer = name.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{name}");
                }
                members.values().for_each(|value| check(document, value));
            }
            Value::Array(items) => items.iter().for_each(|item| check(document, item)),
            _ => {}
        }
    }
    let document = json();
    check(&document, &document);
    assert_eq!(document["openapi"], "3.1.0");
}

/// A name that two types had would mean only one of them.
#[test]
fn a_name_is_one_schemas() {
    let schemas = schemas();
    for (name, schema) in &schemas {
        assert!(schemas.iter().all(|(other, other_schema)| other != name || other_schema == schema), "{name}");
    }
}

#[test]
fn errors_have_their_form_and_their_headers() {
    let document = json();
    for (method, path) in operations_in(&document, |_| true) {
        let answers = &document["paths"][&path][&method]["responses"];
        let anthropics = path.starts_with("/v1/messages");
        for (status, answer) in answers.as_object().unwrap() {
            let header = |name: &str| answer["headers"][name]["required"] == true;
            assert!(header("x-request-id"), "{path} {status}");
            assert_eq!(header("request-id"), anthropics, "{path} {status}");
            assert_eq!(header("allow"), status == "405", "{path} {status}");
            assert_eq!(header("www-authenticate"), status == "401", "{path} {status}");
            let body = &answer["content"]["application/json"]["schema"];
            if status.starts_with('4') || status == "502" {
                let form = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
                let (openais, anthropics) = (form("ApiErrorBody"), form("MessagesErrorBody"));
                let expected = match &*path {
                    "/v1/messages" | "/v1/messages/count_tokens" => anthropics,
                    "/v1/models" | "/v1/models/{id}" => json!({ "anyOf": [openais, anthropics] }),
                    _ => openais,
                };
                assert_eq!(*body, expected, "{path} {status}");
            }
        }
    }
}
