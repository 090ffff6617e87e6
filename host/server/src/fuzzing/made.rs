//! Answers that are known beforehand, in the ways in which providers stream them, cut anywhere.
//!
//! In go a fuzzer's bytes; out come a whole answer and its chunks, and the check that each dialect tells the client exactly that.

use super::convert::{Converter, Dialect};
use super::dialects::check_stream;
use serde_json::{Value, json};

/// The characters of texts, among them those that JSON and the assembly of tool calls could stumble on.
const ALPHABET: [&str; 16] = ["a", "B", "7", "\"", "\\", "{", "}", "[", "]", ":", ",", " ", "\n", "é", "😀", "null"];

/// A fuzzer's bytes, one decision each; zeros follow.
struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    fn next(&mut self) -> usize {
        self.0.next().copied().unwrap_or_default().into()
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }

    fn text(&mut self) -> String {
        (0..self.below(12)).map(|_| ALPHABET[self.below(ALPHABET.len())]).collect()
    }
}

/// The ways in which providers tell one tool call from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// A number in each piece; id and name in the first. Pieces of several calls may come mixed.
    Numbered,
    /// The same, with id and name in each piece.
    NumberedAndNamed,
    /// One number for all; id and name in the first piece.
    OneNumber,
    /// No numbers; id and name in the first piece.
    Unnumbered,
    /// No numbers; the id in each piece.
    ById,
    /// Neither numbers nor ids; each call in one piece.
    Bare,
}

const STYLES: [Style; 6] =
    [Style::Numbered, Style::NumberedAndNamed, Style::OneNumber, Style::Unnumbered, Style::ById, Style::Bare];

/// A tool call.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: String,
}

/// An answer.
struct Made {
    style: Style,
    thoughts: String,
    text: String,
    calls: Vec<Call>,
    finish: &'static str,
}

impl Made {
    fn read(bytes: &mut Bytes<'_>) -> Self {
        let style = STYLES[bytes.below(STYLES.len())];
        let (thoughts, text) = (bytes.text(), bytes.text());
        let call = |bytes: &mut Bytes<'_>| {
            let name = ["f", "g", "get_weather"][bytes.below(3)].to_owned();
            let arguments = match bytes.below(4) {
                // Two calls of one name without ids can't be told apart before the first has arguments.
                0 if style != Style::Bare => String::new(),
                0 | 1 => "{}".to_owned(),
                2 => json!({ bytes.text(): bytes.text() }).to_string(),
                _ => json!({ "a": [{ "b": bytes.text() }, 1, null], "c": {} }).to_string(),
            };
            Call { name, arguments }
        };
        let calls: Vec<_> = (0..bytes.below(4)).map(|_| call(bytes)).collect();
        let finish = ["stop", "length", "tool_calls", "content_filter"][bytes.below(4)];
        Self { style, thoughts, text, calls, finish }
    }

    /// The id of a call in the provider's answer.
    fn id(&self, at: usize) -> Option<String> {
        (self.style != Style::Bare).then(|| format!("call_{at}"))
    }

    fn whole(&self) -> String {
        let call = |(at, call): (usize, &Call)| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            match self.id(at) {
                Some(id) => json!({ "id": id, "type": "function", "function": function }),
                None => json!({ "function": function }),
            }
        };
        let calls: Vec<_> = self.calls.iter().enumerate().map(call).collect();
        let mut message = json!({ "role": "assistant", "content": self.text, "reasoning_content": self.thoughts });
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        self.answer(json!({ "index": 0, "message": message, "finish_reason": self.finish }))
    }

    fn answer(&self, choice: Value) -> String {
        json!({ "id": "x", "created": 7, "model": "provider", "choices": [choice] }).to_string()
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> String {
        self.answer(json!({ "index": 0, "delta": delta, "finish_reason": finish }))
    }

    /// The pieces of the call at `at`, as what stands in `tool_calls`.
    fn pieces(&self, at: usize, bytes: &mut Bytes<'_>) -> Vec<Value> {
        let call = &self.calls[at];
        let cut = if self.style == Style::Bare { vec![call.arguments.clone()] } else { cut(&call.arguments, bytes) };
        let is_first = |piece: usize| piece == 0 || self.style == Style::NumberedAndNamed;
        let piece = |(piece, arguments): (usize, String)| {
            let mut function = json!({ "arguments": arguments });
            let mut told = json!({});
            if is_first(piece) {
                function["name"] = call.name.clone().into();
            }
            if (is_first(piece) || self.style == Style::ById)
                && let Some(id) = self.id(at)
            {
                told["id"] = id.into();
            }
            match self.style {
                Style::Numbered | Style::NumberedAndNamed => told["index"] = at.into(),
                Style::OneNumber => told["index"] = 0.into(),
                Style::Unnumbered | Style::ById | Style::Bare => {}
            }
            told["function"] = function;
            told
        };
        cut.into_iter().enumerate().map(piece).collect()
    }

    fn chunks(&self, bytes: &mut Bytes<'_>) -> Vec<String> {
        let mut chunks = Vec::new();
        for thought in cut(&self.thoughts, bytes) {
            chunks.push(self.chunk(&json!({ "reasoning_content": thought }), None));
        }
        for text in cut(&self.text, bytes) {
            chunks.push(self.chunk(&json!({ "content": text }), None));
        }
        let mut waiting: Vec<Vec<Value>> = (0..self.calls.len()).map(|at| self.pieces(at, bytes)).collect();
        waiting.iter_mut().for_each(|pieces| pieces.reverse());
        let is_mixed = matches!(self.style, Style::Numbered | Style::NumberedAndNamed) && bytes.below(2) == 1;
        let mut begun = 0;
        let mut pieces = Vec::new();
        while waiting.iter().any(|pieces| !pieces.is_empty()) {
            // Calls begin in order, and each has a piece until the next one begins.
            let open: Vec<_> = (0..begun.min(waiting.len())).filter(|at| !waiting[*at].is_empty()).collect();
            let at = if open.is_empty() || is_mixed && begun < waiting.len() && bytes.below(2) == 1 {
                begun += 1;
                begun - 1
            } else {
                open[if is_mixed { bytes.below(open.len()) } else { 0 }]
            };
            pieces.extend(waiting[at].pop());
            if bytes.below(3) > 0 {
                chunks.push(self.chunk(&json!({ "tool_calls": std::mem::take(&mut pieces) }), None));
            }
        }
        chunks.push(self.chunk(&json!({ "tool_calls": pieces }), Some(self.finish)));
        chunks
    }
}

/// Cuts a text here and there. An empty one has one piece.
fn cut(text: &str, bytes: &mut Bytes<'_>) -> Vec<String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    for _ in 0..bytes.below(5) {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(bytes.below(rest.len() + 1)));
        pieces.push(piece.to_owned());
        rest = behind;
    }
    pieces.push(rest.to_owned());
    pieces
}

/// Makes an answer of a fuzzer's bytes, and holds what clients get of it against it.
pub(super) fn check(data: &[u8]) {
    let mut bytes = Bytes(data.iter());
    let made = Made::read(&mut bytes);
    let (whole, chunks) = (made.whole(), made.chunks(&mut bytes));
    for dialect in [Dialect::Messages, Dialect::Responses, Dialect::Completions] {
        if dialect == Dialect::Completions && !made.calls.is_empty() {
            continue;
        }
        let converter = || Converter::new(dialect, dialect.request().as_bytes(), false);
        let streamed = check_stream(dialect, &converter, &chunks);
        let Some(streamed) = streamed else { panic!("{dialect:?} breaks off: {chunks:?}") };
        let at_once = match converter().whole(&whole) {
            Ok(at_once) => serde_json::from_str::<Value>(&at_once),
            Err(error) => panic!("{dialect:?} {error:?}: {whole}"),
        };
        let Ok(at_once) = at_once else { panic!("{dialect:?}: {whole}") };
        match dialect {
            Dialect::Messages => {
                made.check_message(&at_once, true);
                made.check_message(&streamed, false);
            }
            Dialect::Responses => {
                made.check_response(&at_once);
                assert_eq!(streamed, at_once, "{chunks:?}");
            }
            Dialect::Completions | Dialect::Chat => {
                assert_eq!(at_once["choices"][0]["text"], made.text);
                assert_eq!(streamed["choices"]["0"]["text"], made.text);
            }
        }
    }
}

impl Made {
    fn check_message(&self, message: &Value, is_whole: bool) {
        let mut blocks = Vec::new();
        if !self.thoughts.is_empty() {
            blocks.push(json!({ "type": "thinking", "thinking": self.thoughts, "signature": "" }));
        }
        if !self.text.is_empty() {
            blocks.push(json!({ "type": "text", "text": self.text }));
        }
        let told = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(told.len(), blocks.len() + self.calls.len(), "{message}");
        assert_eq!(told[..blocks.len()], blocks, "{message}");
        let told = &told[blocks.len()..];
        for (at, (told, call)) in told.iter().zip(&self.calls).enumerate() {
            assert_eq!((&told["type"], &told["name"]), (&json!("tool_use"), &json!(call.name)), "{message}");
            if let Some(id) = self.id(at) {
                assert_eq!(told["id"], id, "{message}");
            }
            let arguments = if call.arguments.is_empty() && is_whole { "{}" } else { &call.arguments };
            let input = if is_whole { told["input"].to_string() } else { told["input"].as_str().unwrap_or("7").into() };
            assert_eq!(input, arguments, "{message}");
            let is_same = |other: &&Value| other["id"] == told["id"];
            assert_eq!(message["content"].as_array().into_iter().flatten().filter(is_same).count(), 1, "{message}");
        }
    }

    fn check_response(&self, response: &Value) {
        let mut items = Vec::new();
        if !self.thoughts.is_empty() {
            items.push(json!(["reasoning", self.thoughts]));
        }
        if !self.text.is_empty() || self.thoughts.is_empty() && self.calls.is_empty() {
            items.push(json!(["message", self.text]));
        }
        for call in &self.calls {
            let arguments = match &*call.arguments {
                "" if items.len() + 1 == self.items() && self.is_cut() => "",
                "" => "{}",
                arguments => arguments,
            };
            items.push(json!(["function_call", call.name, arguments]));
        }
        let told = |item: &Value| match item["type"].as_str() {
            Some("function_call") => json!(["function_call", item["name"], item["arguments"]]),
            _ => json!([item["type"], item["content"][0]["text"]]),
        };
        let told: Vec<_> = response["output"].as_array().into_iter().flatten().map(told).collect();
        assert_eq!(told, items, "{response}");
    }

    /// Counts the items of the response.
    fn items(&self) -> usize {
        usize::from(!self.thoughts.is_empty()) + usize::from(!self.text.is_empty()) + self.calls.len()
    }

    fn is_cut(&self) -> bool {
        matches!(self.finish, "length" | "content_filter")
    }
}
