//! The chunks of a stream: handed on as they came, and watched for errors and for the end.

use std::collections::BTreeMap;

use hauski_adapter_sdk::sse::Event;
use hauski_adapter_sdk::{ChatRequest, Error, Flow, Json, Translate};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Reads the events of one stream.
#[derive(Debug)]
pub(crate) struct Reader {
    /// How many choices were asked for.
    asked: usize,
    /// Whether any chunk came.
    spoken: bool,
    /// The choices that were seen, and whether they have a finish reason.
    choices: BTreeMap<u64, bool>,
}

/// As much of a chunk as has to be known.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default)]
    error: Option<IgnoredAny>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

impl Chunk<'_> {
    /// Whether it has to be looked at closely: a chunk that says something is none, unless it has an error as well.
    fn may_be_an_error(&self) -> bool {
        self.error.is_some() || self.choices.as_ref().is_none_or(Vec::is_empty)
    }
}

impl Choice<'_> {
    /// Some servers write an empty reason as long as there is none.
    fn is_finished(&self) -> bool {
        self.finish_reason.is_some_and(|reason| reason.get() != "\"\"")
    }
}

impl Reader {
    /// For the answer to `request`.
    pub(crate) fn new(request: &ChatRequest) -> Self {
        // Most requests don't say how many they want: they are not parsed for it.
        let asked = if request.text().contains("\"n\"") { request.read("n").ok().flatten() } else { None };
        Self { asked: asked.unwrap_or(1), spoken: false, choices: BTreeMap::new() }
    }

    /// Whether each choice that has begun said why it ended.
    fn is_finished(&self) -> bool {
        self.choices.values().all(|finished| *finished)
    }
}

impl Translate for Reader {
    fn event(&mut self, event: Event, chunks: &mut Vec<Json>) -> Result<Flow, Error> {
        match event.data.trim_end() {
            // Some servers say so whatever happened. Where there was something, it is the end: not all of them give reasons.
            "[DONE]" if !self.spoken => return Err(bad("the provider's stream ended with no answer in it")),
            "[DONE]" => return Ok(Flow::End),
            "" => return Ok(Flow::More),
            _ => {}
        }
        if event.name == "error" {
            return Err(Error::from_error_body(&event.data));
        }
        let chunk = parse(&event.data)?;
        if chunk.may_be_an_error()
            && let Some(error) = Error::told_by(&event.data)
        {
            return Err(error);
        }
        for choice in chunk.choices.into_iter().flatten() {
            *self.choices.entry(choice.index.unwrap_or(0)).or_default() |= choice.is_finished();
        }
        self.spoken = true;
        chunks.push(event.data);
        Ok(Flow::More)
    }

    /// Some servers close without `[DONE]`. The answer is complete if each choice that was asked for said why it ended.
    fn closed(&mut self, _: &mut Vec<Json>) -> Result<(), Error> {
        if self.choices.len() >= self.asked.max(1) && self.is_finished() {
            return Ok(());
        }
        Err(broke_off())
    }
}

fn parse(data: &str) -> Result<Chunk<'_>, Error> {
    if !data.trim_start().starts_with('{') {
        // Gemini wraps its errors in an array.
        return Err(
            Error::told_by(data).unwrap_or_else(|| bad("a chunk of the provider's stream is not a JSON object"))
        );
    }
    serde_json::from_str(data).map_err(|error| {
        if error.is_eof() { broke_off() } else { bad("a chunk of the provider's stream is malformed") }
    })
}

fn bad(message: &str) -> Error {
    Error::upstream(502, message, false)
}

fn broke_off() -> Error {
    Error::Unreachable("the provider's stream broke off".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: &str = r#"{"choices":[{"index":0,"delta":{"content":"[DONE]"},"finish_reason":null}],"x": 1e400}"#;
    const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    const USAGE: &str = r#"{"choices":[],"usage":{"total_tokens":1}}"#;

    /// What a stream of these payloads gives, closed at the end if nothing ended it before.
    fn read(payloads: &[&str]) -> (Vec<Json>, Result<(), Error>) {
        read_for("{}", payloads)
    }

    fn read_for(request: &str, payloads: &[&str]) -> (Vec<Json>, Result<(), Error>) {
        let (mut reader, mut chunks) = (Reader::new(&ChatRequest::new(request)), vec![]);
        for data in payloads {
            match reader.event(Event { data: (*data).into(), ..Event::default() }, &mut chunks) {
                Ok(Flow::More) => {}
                Ok(Flow::End) => return (chunks, Ok(())),
                Err(error) => return (chunks, Err(error)),
            }
        }
        let end = reader.closed(&mut chunks);
        (chunks, end)
    }

    #[track_caller]
    fn check(payloads: &[&str], chunks: &[&str], end: Result<(), Error>) {
        assert_eq!(read(payloads), (chunks.iter().map(|chunk| (*chunk).to_owned()).collect(), end));
    }

    #[test]
    fn complete_streams() {
        check(&[DELTA, FINISH, USAGE, "[DONE]", "{"], &[DELTA, FINISH, USAGE], Ok(()));
        check(&[DELTA, FINISH, USAGE], &[DELTA, FINISH, USAGE], Ok(()));
        check(&["", DELTA, FINISH, "[DONE]"], &[DELTA, FINISH], Ok(()));
        check(&[DELTA, FINISH, "[DONE] \t"], &[DELTA, FINISH], Ok(()));
        check(&[USAGE, "[DONE]"], &[USAGE], Ok(()));
    }

    #[test]
    fn odd_chunks_pass_unchanged() {
        for odd in [
            "{}",
            r#"{"choices":null,"error":null}"#,
            r#"{"usage":{"total_tokens":1}}"#,
            " {\"a\":\n1.0} ",
            r#"{"text":"a"}"#,
        ] {
            check(&[odd, "[DONE]"], &[odd], Ok(()));
            check(&[DELTA, odd, FINISH, "[DONE]"], &[DELTA, odd, FINISH], Ok(()));
        }
        let silent = r#"{"choices":[{"delta":{"content":null}}]}"#;
        check(&[silent, FINISH, "[DONE]"], &[silent, FINISH], Ok(()));
    }

    #[test]
    fn streams_that_break_off() {
        check(&[], &[], Err(broke_off()));
        check(&[DELTA], &[DELTA], Err(broke_off()));
        check(&[USAGE], &[USAGE], Err(broke_off()));
        check(&[FINISH, r#"{"choices":[{"index":1}]}"#], &[FINISH, r#"{"choices":[{"index":1}]}"#], Err(broke_off()));
        check(&[DELTA, r#"{"choices":[{"ind"#], &[DELTA], Err(broke_off()));
    }

    #[test]
    fn an_end_that_is_said_is_one_if_something_was_said_before() {
        check(&[DELTA, "[DONE]"], &[DELTA], Ok(()));
        check(&[USAGE, "[DONE]"], &[USAGE], Ok(()));
        let nothing = || Err(bad("the provider's stream ended with no answer in it"));
        check(&["[DONE]"], &[], nothing());
        check(&["", "[DONE]", FINISH], &[], nothing());
    }

    #[test]
    fn an_empty_reason_is_none() {
        for reason in ["null", r#""""#] {
            let chunk = FINISH.replace(r#""stop""#, reason);
            check(&[&chunk], &[&chunk], Err(broke_off()));
            check(&[&chunk, FINISH, &chunk], &[&chunk, FINISH, &chunk], Ok(()));
        }
    }

    #[test]
    fn all_choices_that_were_asked_for_have_to_end() {
        let second = FINISH.replace("\"index\":0", "\"index\":1");
        for (request, one, two) in [
            (r#"{"n":2}"#, Err(broke_off()), Ok(())),
            (r#"{"n":3}"#, Err(broke_off()), Err(broke_off())),
            (r#"{"n":1}"#, Ok(()), Ok(())),
            (r#"{"n":0}"#, Ok(()), Ok(())),
            (r#"{"n":null}"#, Ok(()), Ok(())),
            (r#"{"n":"x"}"#, Ok(()), Ok(())),
        ] {
            assert_eq!(read_for(request, &[FINISH]).1, one, "{request}");
            assert_eq!(read_for(request, &[FINISH, &second]).1, two, "{request}");
        }
        assert_eq!(read_for(r#"{"n":3}"#, &[FINISH, "[DONE]"]).1, Ok(()));
    }

    #[test]
    fn errors_in_a_stream() {
        let error = r#"{"error":{"message":"boom","code":503}}"#;
        check(&[DELTA, error, DELTA], &[DELTA], Err(Error::from_error_body(error)));
        for bad in ["[]", "7", "[DONE]x", "[{}]", "<html>", r#"{"choices":[7]}"#, "{'a':1}"] {
            let (chunks, end) = read(&[DELTA, bad]);
            assert_eq!(chunks, [DELTA]);
            assert!(matches!(end, Err(Error::Upstream(failure)) if failure.status == 502), "{bad}");
        }
        for (error, status) in [
            (r#"[{"error":{"code":400,"message":"boom","status":"INVALID_ARGUMENT"}}]"#, 400),
            (r#"{"object":"error","message":"boom","type":"InternalServerError","param":null,"code":500}"#, 500),
            (r#"{"text":"boom","error_code":50001}"#, 502),
            (r#"{"success":false,"errors":[{"code":7003,"message":"boom"}]}"#, 502),
            (
                r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"message":"boom","code":503}}"#,
                503,
            ),
        ] {
            let (chunks, end) = read(&[DELTA, error, "[DONE]"]);
            assert_eq!(chunks, [DELTA]);
            let Err(Error::Upstream(failure)) = end else { panic!("{error}: {end:?}") };
            assert_eq!((failure.status, failure.message.as_str()), (status, "boom"), "{error}");
        }
        let missing = r#"[{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}]"#;
        check(&[missing, "[DONE]"], &[], Err(Error::ModelNotFound("models/x is not found".into())));
        let named = Event { name: "error".into(), data: r#"{"message":"boom"}"#.into(), ..Event::default() };
        let end = Reader::new(&ChatRequest::new("{}")).event(named, &mut vec![]);
        assert!(matches!(end, Err(Error::Upstream(failure)) if failure.message == "boom"));
    }
}
