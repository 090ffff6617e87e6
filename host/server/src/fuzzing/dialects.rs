//! The dialects: requests that are accepted, and answers as they are converted.
//!
//! An input is text: a first line with a dialect's name, a body, and the chunks of an answer, with a blank line between. `named` behind
//! the dialect's name asks for a route. The first line `made` stands before bytes of which [`super::made`] makes an answer.

use super::convert::{Converter, Dialect, Streamed};
use super::split::halves;
use super::{accepted, client, made};
use crate::error::ApiError;
use crate::json::checked;
use crate::work::counted;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The most bytes that are visited for each byte of an answer.
const FACTOR: usize = 150;
/// The bytes that each chunk costs whatever it says.
const EACH: usize = 20_000;

/// Converts what a fuzzer made up.
pub fn check(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (first, rest) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let dialect = match first.first() {
        Some(b'c') => Dialect::Chat,
        Some(b't') => Dialect::Completions,
        Some(b'r') => Dialect::Responses,
        Some(b'm') if first.starts_with(b"made") => return made::check(rest),
        _ => Dialect::Messages,
    };
    let is_route = first.ends_with(b"named");
    let mut parts = Vec::new();
    let mut left = rest;
    while let Some(at) = left.windows(2).position(|pair| pair == b"\n\n") {
        parts.push(&left[..at]);
        left = &left[at + 2..];
    }
    parts.push(left.strip_suffix(b"\n").unwrap_or(left));
    let Some((body, chunks)) = parts.split_first() else { return };
    accepted::check(body);
    let chunks: Vec<_> = chunks.iter().map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect();
    for chunk in &chunks {
        check_whole(Converter::new(dialect, body, is_route), chunk);
    }
    check_stream(dialect, &|| Converter::new(dialect, body, is_route), &chunks);
}

/// Converts a whole answer: JSON comes out, in linear time, or it breaks the contract.
fn check_whole(mut converter: Converter, answer: &str) {
    let (converted, visited) = counted(|| converter.whole(answer));
    assert!(visited <= FACTOR * answer.len() + EACH, "{visited} bytes for {}", answer.len());
    match converted {
        Ok(converted) => {
            assert!(serde_json::from_str::<IgnoredAny>(&converted).is_ok(), "{converted:?} is no JSON");
            assert!(converted.len() <= FACTOR * answer.len() + EACH);
        }
        Err(error) => check_error(&error),
    }
}

fn check_error(error: &ApiError) {
    assert_eq!(error.code, "adapter_broke_contract", "{error:?}");
    assert!(error.message.len() < 300, "{error:?}");
}

/// Converts a stream. Its answer depends neither on where its text is cut nor on blanks between the tokens of its JSON.
pub(super) fn check_stream(dialect: Dialect, converter: &dyn Fn() -> Converter, chunks: &[String]) -> Option<Value> {
    let read = |streamed: Streamed| {
        streamed.error.iter().for_each(check_error);
        let answer = client::read(dialect, &streamed);
        (streamed, answer)
    };
    let stream = |chunks: &[String]| read(converter().stream(chunks));
    let first = converter();
    let (streamed, visited) = counted(|| first.stream(chunks));
    let (streamed, answer) = read(streamed);
    let given: usize = chunks.iter().map(String::len).sum();
    let bound = FACTOR * given + EACH * (chunks.len() + 2);
    assert!(visited <= bound && streamed.events.len() <= bound, "{visited} bytes for {given}");

    let anew = |write: fn(&Value) -> String| -> Option<Vec<String>> {
        chunks.iter().map(|chunk| serde_json::from_str(chunk).ok().map(|value| write(&value))).collect()
    };
    let pretty = |value: &Value| format!("{value:#}");
    if let (Some(compact), Some(pretty)) = (anew(Value::to_string), anew(pretty)) {
        let compact = stream(&compact);
        same(&compact, &stream(&pretty));
        if chunks.iter().all(|chunk| checked(chunk.clone().into_bytes()).is_ok()) {
            // How a text is spelled decides on nothing but whether an id is long enough to be the answer's own.
            let first = (streamed, answer.clone().map(without_ids));
            same(&first, &(compact.0, compact.1.map(without_ids)));
        }
    }
    for (at, chunk) in chunks.iter().enumerate() {
        let Some((whole, [first, second])) = halves(chunk, given + at) else { continue };
        let around = |middle: &[String]| [&chunks[..at], middle, &chunks[at + 1..]].concat();
        same(&stream(&around(&[whole])), &stream(&around(&[first, second])));
    }
    answer
}

/// Leaves out ids, some of which are made of others.
fn without_ids(mut value: Value) -> Value {
    match &mut value {
        Value::Array(values) => values.iter_mut().for_each(|value| *value = without_ids(value.take())),
        Value::Object(members) => {
            members.retain(|name, _| !matches!(name.as_str(), "id" | "call_id"));
            members.values_mut().for_each(|value| *value = without_ids(value.take()));
        }
        _ => {}
    }
    value
}

type Read = (Streamed, Option<Value>);

#[track_caller]
fn same((streamed, answer): &Read, (other, of_other): &Read) {
    let code = |streamed: &Streamed| streamed.error.as_ref().map(|error| error.code);
    assert_eq!(code(streamed), code(other), "{:?} {:?}", streamed.error, other.error);
    if let (Some(answer), Some(of_other)) = (answer, of_other) {
        assert_eq!(arguments_read(answer.clone()), arguments_read(of_other.clone()));
    }
}

/// Reads arguments that are JSON, in which blanks mean nothing.
fn arguments_read(mut value: Value) -> Value {
    match &mut value {
        Value::Array(values) => values.iter_mut().for_each(|value| *value = arguments_read(value.take())),
        Value::Object(members) => {
            for (name, value) in members {
                let read = value.as_str().filter(|_| matches!(name.as_str(), "input" | "arguments"));
                *value = match read.and_then(|text| serde_json::from_str(text).ok()) {
                    Some(read) => read,
                    None => arguments_read(value.take()),
                };
            }
        }
        _ => {}
    }
    value
}
