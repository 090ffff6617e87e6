//! What all answers have in common, whatever adapter they come from: one `id`, `created` and `model` over all chunks, and a role
//! in the first of each choice.
//!
//! In go an adapter's completion or chunks; out comes the same, byte for byte wherever it has that form already.

use crate::error::ApiError;
use crate::json::{Members, array, quoted};
use crate::work::visit;
use std::collections::BTreeSet;

/// The most bytes of a name, as JSON, that all chunks are given. With a longer one, each of many small chunks would become as large.
const MAX_COMMON: usize = 512;

/// Brings the chunks of one answer into one form.
pub(crate) struct Normaliser {
    /// The model's public name as JSON, where it takes the place of the provider's: the client has asked for a route, and is to know which
    /// model it got.
    model: Option<Box<str>>,
    /// What the chunks have in common, as JSON, as soon as one of them has said it.
    common: [(&'static str, Option<Box<str>>); 3],
    /// The choices that have said whose words they are, and how many there are.
    seen: BTreeSet<u64>,
    choices: usize,
}

impl Normaliser {
    /// For an answer of so many `choices`, from `model` if it is to be named.
    pub(crate) fn new(model: Option<&str>, choices: usize) -> Self {
        let model = model.map(|name| Box::from(quoted(name)));
        let common = [("id", None), ("created", None), ("model", model.clone())];
        Self { model, common, seen: BTreeSet::new(), choices }
    }

    /// A `chat.completion`, or embeddings.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub(crate) fn whole(&self, answer: String) -> Result<String, ApiError> {
        let mut members = parse(&answer)?;
        let Some(model) = &self.model else { return Ok(answer) };
        members.set("model", model);
        Ok(members.json())
    }

    /// The next `chat.completion.chunk`.
    ///
    /// # Errors
    /// If it is no JSON object: it could be read as another event.
    pub(crate) fn chunk(&mut self, chunk: String) -> Result<String, ApiError> {
        let mut members = parse(&chunk)?;
        let mut changed = false;
        for (name, common) in &mut self.common {
            visit(common.as_deref().map_or(0, str::len));
            match common {
                Some(common) if members.get(name) == Some(common) => {}
                Some(common) => {
                    members.set(name, common);
                    changed = true;
                }
                None => *common = given(&members, name),
            }
        }
        let choices = match members.get("choices") {
            Some(choices) if self.seen.len() < self.choices => with_roles(choices, &mut self.seen),
            _ => None,
        };
        if let Some(choices) = &choices {
            members.set("choices", choices);
            changed = true;
        }
        let rewritten = changed.then(|| members.json());
        Ok(rewritten.unwrap_or(chunk))
    }
}

/// The choices with a role in each first delta, if one lacks it. `seen` are those that have said whose words they are.
fn with_roles(text: &str, seen: &mut BTreeSet<u64>) -> Option<String> {
    visit(text.len());
    let mut choices: Vec<Members<'_>> = serde_json::from_str(text).ok()?;
    let mut deltas = Vec::new();
    for (at, choice) in choices.iter().enumerate() {
        // A choice without a delta has not begun to speak.
        let Some(mut delta) = choice.get("delta").and_then(Members::of) else { continue };
        let index = choice.get("index").and_then(|index| index.parse().ok()).unwrap_or(0);
        if seen.insert(index) && matches!(delta.get("role"), None | Some("\"\"")) {
            delta.set("role", "\"assistant\"");
            deltas.push((at, delta.json()));
        }
    }
    for (at, delta) in &deltas {
        choices[*at].set("delta", delta);
    }
    let written: Vec<_> = choices.iter().map(Members::json).collect();
    (!deltas.is_empty()).then(|| array(&written))
}

fn parse(text: &str) -> Result<Members<'_>, ApiError> {
    Members::parse(text).map_err(|error| {
        // The parser's own words could quote.
        let (line, column) = (error.line(), error.column());
        ApiError::broke_contract(format!("the adapter's answer is no JSON object: line {line} column {column}"))
    })
}

/// The value of `name`, if it says anything and is no longer than a name. Some providers begin with a chunk that says nothing.
fn given(members: &Members<'_>, name: &str) -> Option<Box<str>> {
    members.get(name).filter(|value| !matches!(*value, "\"\"" | "0") && value.len() <= MAX_COMMON).map(Box::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normaliser(choices: usize, named: bool) -> Normaliser {
        Normaliser::new(named.then_some("public"), choices)
    }

    #[track_caller]
    fn check(mut normaliser: Normaliser, chunks: &[(&str, Option<&str>)]) {
        for (chunk, expected) in chunks {
            assert_eq!(normaliser.chunk((*chunk).to_owned()).unwrap(), expected.unwrap_or(chunk));
        }
    }

    #[test]
    fn what_is_right_passes_as_it_is() {
        check(
            normaliser(1, false),
            &[
                (
                    r#" {"id":"a","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null}, "x":1e400}]} "#,
                    None,
                ),
                (r#"{"id":"a","created":1,"model":"m","choices":[{"index":0,"delta":{}}],"y":1.0}"#, None),
                (r#"{"id":"a","created":1,"model":"m","choices":[]}"#, None),
                (r#"{"id":"a","created":1,"model":"m","choices":null}"#, None),
                (r#"{"id":"a","created":1,"model":"m"}"#, None),
            ],
        );
    }

    #[test]
    fn all_chunks_bear_the_names_that_were_said_first() {
        check(
            normaliser(0, false),
            &[
                (r#"{"id":"","created":0,"model":"","prompt_filter_results":[]}"#, None),
                (r#"{"id":"a","created":1,"model":"m"}"#, None),
                (
                    r#"{"id":"b","created":2,"model":"n","z":1.0}"#,
                    Some(r#"{"id":"a","created":1,"model":"m","z":1.0}"#),
                ),
                (r#"{"z":1e400}"#, Some(r#"{"z":1e400,"id":"a","created":1,"model":"m"}"#)),
            ],
        );
        check(normaliser(0, false), &[(r#"{"z":1}"#, None), (r#"{"id":null}"#, None)]);
    }

    #[test]
    fn long_names_stay_in_their_chunk() {
        let named = |length: usize| format!(r#"{{"id":"{}"}}"#, "i".repeat(length - 2));
        let longest = named(MAX_COMMON);
        check(normaliser(0, false), &[(&longest, None), ("{}", Some(&longest))]);
        check(
            normaliser(0, false),
            &[(&named(MAX_COMMON + 1), None), ("{}", None), (r#"{"id":"a"}"#, None), ("{}", Some(r#"{"id":"a"}"#))],
        );
    }

    #[test]
    fn a_route_names_the_model_that_answered() {
        check(normaliser(0, true), &[(r#"{"id":"a","model":"m"}"#, Some(r#"{"id":"a","model":"public"}"#))]);
        assert_eq!(
            normaliser(1, true).whole(r#"{"model":"m","a":1e400}"#.into()).unwrap(),
            r#"{"model":"public","a":1e400}"#
        );
        assert_eq!(normaliser(1, false).whole(r#"{ "model":"m"}"#.into()).unwrap(), r#"{ "model":"m"}"#);
    }

    #[test]
    fn each_choice_begins_with_its_role() {
        let head = r#"{"id":"a","created":1,"model":"m","choices":"#;
        let chunk = |choices: &str| format!("{head}{choices}}}");
        let mut normaliser = normaliser(2, false);
        for (choices, expected) in [
            (r#"[]"#, None),
            (r#"[{"index":1,"content_filter_results":{}},{"index":1,"delta":null}]"#, None),
            (
                r#"[{"index":1,"delta":{"content":"x"}}]"#,
                Some(r#"[{"index":1,"delta":{"content":"x","role":"assistant"}}]"#),
            ),
            (r#"[{"index":1,"delta":{"content":"y"}}]"#, None),
            (r#"[{"index":0,"delta":{"role":"assistant"}}]"#, None),
            (r#"[{"index":0,"delta":{"content":"z"}}]"#, None),
        ] {
            assert_eq!(normaliser.chunk(chunk(choices)).unwrap(), chunk(expected.unwrap_or(choices)));
        }
    }

    #[test]
    fn what_is_no_object_breaks_the_contract() {
        for bad in ["[]", "{}\n\ndata: [DONE]", "{", "7"] {
            assert_eq!(normaliser(1, false).chunk(bad.into()).unwrap_err().code, "adapter_broke_contract");
            assert_eq!(normaliser(1, false).whole(bad.into()).unwrap_err().code, "adapter_broke_contract");
        }
    }
}
