//! A message as a chat completion, and the words that whole answers and streams share.
//!
//! In goes the body of an answer to `POST /v1/messages`; out comes a `chat.completion`. Text and inputs keep their bytes. Blocks
//! that chat has no words for (sealed thoughts, what Anthropic's own tools did) are not told.

use std::borrow::Cow;

use hauski_adapter_sdk::{Answer, Error, Json, Object};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::errors::{bad, error_told_by, instead_of};
use crate::json::{Raw, inner, is_string};
use crate::usage::Usage;

/// A message, whole or at its beginning. Servers that are not Anthropic's own leave out what they please.
#[derive(Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_sequence: Option<Raw<'a>>,
    pub(crate) usage: Option<Usage>,
}

/// A block of an answer's content.
#[derive(Deserialize)]
pub(crate) struct Block<'a> {
    #[serde(borrow)]
    pub(crate) r#type: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) text: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) thinking: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) id: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) name: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) input: Option<Raw<'a>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Said<'a>,
    #[serde(flatten)]
    end: &'a End,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

/// A tool call or a piece of one.
#[derive(Serialize)]
pub(crate) struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#type: Option<&'static str>,
    pub(crate) function: Function<'a>,
}

#[derive(Serialize)]
pub(crate) struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Raw<'a>>,
    pub(crate) arguments: Arguments<'a>,
}

/// A call's arguments, of which chat makes a string.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Arguments<'a> {
    /// JSON whose bytes are the string's.
    Input(&'a str),
    /// A string already.
    Piece(Raw<'a>),
}

/// Why an answer ended.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct End {
    finish_reason: String,
    /// The sequence of the client's that ended it, in the field that vLLM has for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<Box<RawValue>>,
}

impl End {
    /// The end that Anthropic tells, in chat's words. A word that is new is told as it is: it may look like no good end.
    pub(crate) fn new(reason: &str, sequence: Option<Raw<'_>>) -> Self {
        let finish_reason = match reason {
            "end_turn" | "stop_sequence" => "stop",
            "tool_use" => "tool_calls",
            // A turn that pauses is not at its end either.
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" => "length",
            "refusal" => "content_filter",
            new => new,
        };
        let sequence = sequence.filter(|sequence| reason == "stop_sequence" && is_string(sequence));
        Self { finish_reason: finish_reason.to_owned(), stop_reason: sequence.map(ToOwned::to_owned) }
    }
}

impl Message<'_> {
    /// The answer that this message is. Its id becomes one of chat's, and back where a client speaks Anthropic's dialect.
    pub(crate) fn answer(&self) -> Answer {
        let model = self.model.as_deref().unwrap_or_default();
        match self.id.as_deref().map(|id| id.strip_prefix("msg_").unwrap_or(id)) {
            Some(id) if !id.is_empty() => Answer::named(format!("chatcmpl-{id}"), model),
            _ => Answer::new(model),
        }
    }
}

/// The `chat.completion` that a body with a good status is, if it is no error.
pub(crate) fn completion(body: &str, media_type: &str) -> Result<Json, Error> {
    if let Some(error) = error_told_by(body) {
        return Err(error);
    }
    if Object::parse(body).is_err() {
        return Err(match media_type {
            "application/json" => bad("the provider's answer is not a JSON object"),
            other => instead_of("JSON", other),
        });
    }
    // Where something is wrong is told, and what is there instead is not: it would be a piece of the answer.
    let message: Message<'_> = serde_json::from_str(body).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        bad(&format!("the provider's answer is no message: a field is of another type, {place}"))
    })?;
    let Some(content) = &message.content else {
        return Err(Error::instead_of_answer(body, "the provider's answer is no message: it has no `content`"));
    };
    let reason = message.stop_reason.as_deref().ok_or_else(|| bad("the provider's answer has no `stop_reason`"))?;
    let end = End::new(reason, message.stop_sequence);
    let of = |kind: &'static str| content.iter().filter(move |block| block.r#type == kind);
    let said = Said {
        role: "assistant",
        content: joined(of("text").filter_map(|block| block.text))?,
        reasoning_content: joined(of("thinking").filter_map(|block| block.thinking))?,
        tool_calls: of("tool_use").map(call).collect(),
    };
    let tokens = message.usage.and_then(Usage::tokens);
    message.answer().completion_of(&[Choice { index: 0, message: said, end: &end }], tokens.as_ref())
}

fn call<'a>(block: &Block<'a>) -> Call<'a> {
    let arguments = Arguments::Input(block.input.map_or("{}", RawValue::get));
    Call { index: None, id: block.id, r#type: Some("function"), function: Function { name: block.name, arguments } }
}

/// JSON strings as one; `None` if there is nothing in them.
fn joined<'a>(strings: impl Iterator<Item = Raw<'a>>) -> Result<Option<Box<RawValue>>, Error> {
    let mut text = String::from("\"");
    for string in strings {
        if !is_string(string) {
            return Err(bad("a text of the provider's answer is no string"));
        }
        text.push_str(inner(string));
    }
    if text.len() == 1 {
        return Ok(None);
    }
    text.push('"');
    RawValue::from_string(text).map(Some).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str, stop: &str) -> String {
        format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{content}],{stop},"usage":{{"input_tokens":1,"output_tokens":2}},"new":1}}"#
        )
    }

    /// What becomes of a message: the choice behind its index.
    #[track_caller]
    fn check(content: &str, stop: &str, expected: &str) {
        let answer = completion(&message(content, stop), "application/json").unwrap();
        let answer = Object::parse(&answer).unwrap();
        assert_eq!(answer.get("id"), Some(r#""chatcmpl-1""#));
        assert_eq!((answer.get("object"), answer.get("model")), (Some(r#""chat.completion""#), Some(r#""claude""#)));
        assert!(answer.read::<u64>("created").unwrap().is_some_and(|created| created > 1_700_000_000));
        assert_eq!(answer.get("choices"), Some(&*format!(r#"[{{"index":0,{expected}}}]"#)), "{content} {stop}");
        assert!(answer.get("usage").unwrap().starts_with(r#"{"prompt_tokens":1,"completion_tokens":2,"#));
    }

    #[test]
    fn contents() {
        const END: &str = r#""stop_reason":"end_turn","stop_sequence":null"#;
        const STOP: &str = r#""finish_reason":"stop""#;
        for (content, said) in [
            ("", r#""content":null"#),
            (r#"{"type":"text","text":""}"#, r#""content":null"#),
            (r#"{"type":"text","text":"a\u00e9\ud83d","citations":null}"#, r#""content":"a\u00e9\ud83d""#),
            (r#"{"type":"text","text":"a"},{"type":"text","text":"\nb"}"#, r#""content":"a\nb""#),
            (
                r#"{"type":"thinking","thinking":"hm","signature":"x"},{"type":"redacted_thinking","data":"y"},{"type":"text","text":"a"}"#,
                r#""content":"a","reasoning_content":"hm""#,
            ),
            (r#"{"type":"thinking","thinking":"","signature":"x"}"#, r#""content":null"#),
            (
                r#"{"type":"server_tool_use","id":"s","name":"web","input":{}},{"type":"new","text":"no"},{"type":"text","text":"a"}"#,
                r#""content":"a""#,
            ),
        ] {
            check(content, END, &format!(r#""message":{{"role":"assistant",{said}}},{STOP}"#));
        }
    }

    #[test]
    fn calls_keep_their_bytes() {
        check(
            r#"{"type":"text","text":"a"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"z": 1.0, "a":1e400}},{"type":"tool_use","id":"toolu_2","name":"g","input":{}}"#,
            r#""stop_reason":"tool_use""#,
            r#""message":{"role":"assistant","content":"a","tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"z\": 1.0, \"a\":1e400}"}},{"id":"toolu_2","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls""#,
        );
    }

    #[test]
    fn ends() {
        for (stop, end) in [
            (r#""stop_reason":"end_turn""#, r#""finish_reason":"stop""#),
            (r#""stop_reason":"end_turn","stop_sequence":"x""#, r#""finish_reason":"stop""#),
            (
                r####""stop_reason":"stop_sequence","stop_sequence":"#\u00e9""####,
                r####""finish_reason":"stop","stop_reason":"#\u00e9""####,
            ),
            (r#""stop_reason":"stop_sequence","stop_sequence":null"#, r#""finish_reason":"stop""#),
            (r#""stop_reason":"max_tokens""#, r#""finish_reason":"length""#),
            (r#""stop_reason":"model_context_window_exceeded""#, r#""finish_reason":"length""#),
            (r#""stop_reason":"pause_turn""#, r#""finish_reason":"length""#),
            (r#""stop_reason":"tool_use""#, r#""finish_reason":"tool_calls""#),
            (r#""stop_reason":"refusal""#, r#""finish_reason":"content_filter""#),
            (r#""stop_reason":"new_reason""#, r#""finish_reason":"new_reason""#),
        ] {
            check(
                r#"{"type":"text","text":"a"}"#,
                stop,
                &format!(r#""message":{{"role":"assistant","content":"a"}},{end}"#),
            );
        }
    }

    #[test]
    fn what_is_no_message() {
        for (body, media_type, status, words) in [
            ("<html>", "text/plain", 502, "text/plain instead of JSON"),
            ("", "", 502, "no content type instead of JSON"),
            ("[]", "application/json", 502, "not a JSON object"),
            (r#"{"id":"x"}"#, "application/json", 502, "no message: it has no `content`"),
            (r#"{"detail":"sorry"}"#, "application/json", 502, "sorry"),
            (r#"{"success":false,"errors":[{"message":"sorry"}]}"#, "application/json", 502, "sorry"),
            (r#"[{"error":{"message":"sorry","code":400}}]"#, "application/json", 400, "sorry"),
            (&message("", r#""stop_reason":null"#), "application/json", 502, "no `stop_reason`"),
            (
                &message(r#"{"type":"text","text":7}"#, r#""stop_reason":"end_turn""#),
                "application/json",
                502,
                "no string",
            ),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"full"}}"#,
                "application/json",
                529,
                "full",
            ),
        ] {
            let Err(Error::Upstream(failure)) = completion(body, media_type) else { panic!("{body}") };
            assert_eq!(failure.status, status, "{body}");
            assert!(failure.message.contains(words), "{body}: {}", failure.message);
        }
    }

    #[test]
    fn what_is_missing_is_missing() {
        let bare = r#"{"content":[{"type":"text","text":"a"}],"stop_reason":"end_turn"}"#;
        for body in [bare.to_owned(), bare.replacen('{', r#"{"id":null,"model":null,"usage":null,"#, 1)] {
            let answer = completion(&body, "application/json").unwrap();
            let answer = Object::parse(&answer).unwrap();
            assert!(answer.get("id").is_some_and(|id| id.starts_with(r#""chatcmpl-"#) && id.len() > 20), "{body}");
            assert_eq!((answer.get("model"), answer.get("usage")), (Some(r#""""#), None));
        }
    }

    #[test]
    fn an_answer_is_not_quoted_in_its_error() {
        for body in [
            message(r#""a secret""#, r#""stop_reason":"end_turn""#),
            message("", r#""stop_reason":"end_turn""#).replace("[]", r#""a secret""#),
            message("", r#""stop_reason":{"a secret":1}"#),
            message(r#"{"type":"text","text":{"a secret":1}}"#, r#""stop_reason":"end_turn""#),
            message("", r#""stop_reason":"end_turn""#).replace(r#""input_tokens":1"#, r#""input_tokens":"a secret""#),
        ] {
            let Err(Error::Upstream(failure)) = completion(&body, "application/json") else { panic!("{body}") };
            assert!(failure.status == 502 && !failure.message.contains("secret"), "{body}: {}", failure.message);
        }
    }
}
