//! What a provider says of its own answer, as far as it can be told: only words that are known beforehand.
//!
//! A provider may write anything anywhere, a prompt into `model` included. So a text of its answer is never handed on: what comes
//! out are this gateway's own words, and the name that the operator has given the model.

use serde::Deserialize;
use std::borrow::Cow;

/// The most choices of which a reason is kept.
const CHOICES: usize = 128;
/// Why an answer can end. What is none of them is [`OTHER`].
const REASONS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];
/// The conventions' word for what there is no word for.
const OTHER: &str = "_OTHER";

/// What is read of a completion or of the chunks of one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Which model answered.
    pub(super) model: Option<String>,
    /// Why each choice ended, in the order in which they did.
    pub(super) reasons: Vec<&'static str>,
    /// Whether a model was named, be it one that can be told or not.
    named: bool,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

impl Said {
    /// Reads a completion or a chunk of one; `asked` is the model's name as the provider was asked for it, `chats` whether it can end
    /// for a reason. Of a stream, most chunks are only looked at.
    pub(super) fn read(&mut self, answer: &str, asked: &str, chats: bool) {
        let ends = chats && has_reason(answer);
        if self.named && !ends {
            return;
        }
        let Ok(answer) = serde_json::from_str::<Answer<'_>>(answer) else { return };
        if let Some(said) = answer.model.filter(|said| !self.named && !said.is_empty()) {
            self.named = true;
            self.model = is_release(&said, asked).then(|| said.into_owned());
        }
        if !ends {
            return;
        }
        let ended = answer.choices.iter().filter_map(|choice| choice.finish_reason.as_deref());
        let known = |said: &str| REASONS.into_iter().find(|known| *known == said).unwrap_or(OTHER);
        let room = CHOICES.saturating_sub(self.reasons.len());
        self.reasons.extend(ended.map(known).take(room));
    }
}

/// Whether the text of `answer` has a reason that is no `null`. Within a string of JSON, quotes are escaped: what is found is a key.
fn has_reason(answer: &str) -> bool {
    answer.split("\"finish_reason\"").skip(1).any(|rest| {
        let value = rest.trim_start().strip_prefix(':').unwrap_or_default();
        value.trim_start().starts_with('"')
    })
}

/// Whether `said` is the model `asked`, or that one with the date of its release behind it.
fn is_release(said: &str, asked: &str) -> bool {
    let Some(rest) = said.strip_prefix(asked) else { return false };
    let shape = rest.bytes().map(|b| if b.is_ascii_digit() { b'0' } else { b }).collect::<Vec<_>>();
    matches!(&*shape, b"" | b"-0000" | b"-00000000" | b"-0000-00-00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answers: &[&str], model: Option<&str>, reasons: &[&'static str]) {
        let mut said = Said::default();
        for answer in answers {
            said.read(answer, "gpt-4o", true);
        }
        assert_eq!((said.model.as_deref(), &*said.reasons), (model, reasons), "{answers:?}");
    }

    #[test]
    fn what_is_read() {
        let chunk = r#"{"model":"gpt-4o-2024-08-06","choices":[{"delta":{"content":"x"},"finish_reason":null}]}"#;
        let last = r#"{"model":"gpt-4o-2024-08-06","choices":[{"finish_reason":"length"}]}"#;
        check(&[chunk, last], Some("gpt-4o-2024-08-06"), &["length"]);
        check(
            &[r#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"tool_calls"}]}"#],
            None,
            &["stop", "tool_calls"],
        );
        check(&[r#"{"object":"list","data":[{"embedding":[1.0]}],"model":"gpt-4o"}"#], Some("gpt-4o"), &[]);
    }

    #[test]
    fn what_could_quote_is_not() {
        for model in ["canary", "gpt-4o canary", "gpt-4o-canary", "gpt-4o-12345", "gpt-4o-2024-08-06 canary", ""] {
            check(&[&format!(r#"{{"model":"{model}","choices":[{{"finish_reason":"canary"}}]}}"#)], None, &[OTHER]);
        }
        check(&["canary", "[]", r#"{"choices":"canary"}"#, r#"{"model":{"canary":1}}"#], None, &[]);
    }

    /// Chunks between the first and the last cost a look.
    #[test]
    fn what_has_nothing_to_tell_is_not_parsed() {
        let named = r#"{"model":"gpt-4o","choices":[]}"#;
        let quoted = r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""},"finish_reason" : null}]}"#;
        for (text, expected) in [
            (quoted, false),
            (r#"{"choices":[]}"#, false),
            (r#"{"choices":[{"finish_reason":null},{"finish_reason": "stop"}]}"#, true),
            ("{\"choices\":[{\"finish_reason\"\n:\n\"stop\"}]}", true),
        ] {
            assert_eq!(has_reason(text), expected, "{text}");
        }
        check(&[named, quoted, r#"{"model":"gpt-4o-2024-08-06"}"#], Some("gpt-4o"), &[]);
        check(&[r#"{"model":""}"#, named], Some("gpt-4o"), &[]);
        // Who has named another model is not looked at again for it.
        check(&[r#"{"model":"theirs"}"#, named], None, &[]);
        let mut said = Said::default();
        said.read(r#"{"model":"gpt-4o","data":[],"choices":[{"finish_reason":"stop"}]}"#, "gpt-4o", false);
        assert_eq!((said.model.as_deref(), said.reasons.len()), (Some("gpt-4o"), 0));
    }

    #[test]
    fn choices_are_bounded() {
        let mut said = Said::default();
        for _ in 0..CHOICES {
            said.read(r#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"stop"}]}"#, "x", true);
        }
        assert_eq!(said.reasons.len(), CHOICES);
    }
}
