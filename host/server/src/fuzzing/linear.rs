//! Conversions take time that is linear in what they are given: bytes are counted, no clock is read.
//!
//! Each attack is a request or an answer of about so many parts that once took more than linear time somewhere, or could.

use super::convert::{Converter, Dialect, understand};
use super::tool_calls;
use crate::dialect::messages;
use crate::embedding_request::EmbeddingRequest;
use crate::json::checked;
use crate::work::counted;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The most bytes that are visited for each byte of an answer, and for each of its chunks.
const ANSWER: usize = 130;
/// The same of a body.
const BODY: usize = 120;
/// The bytes that an answer or a body costs whatever its size.
const BASE: usize = 40_000;

/// Arguments that never end.
const BRACES: &str = "{{{{{{{{{{{{{{{{{{{{";

/// Makes the delta or message of the piece at a place out of so many, and what else its choice says.
type Piece = fn(usize, usize) -> (Value, Value);

fn nested(depth: usize, inner: &str) -> Value {
    let text = format!(r#"{}"{inner}"{}"#, r#"[{"thinking":"#.repeat(depth), "}]".repeat(depth));
    serde_json::from_str(&text).unwrap()
}

fn call(index: Option<usize>, id: &str, name: &str, arguments: &str) -> Value {
    let mut call = json!({ "id": id, "function": { "name": name, "arguments": arguments } });
    if let Some(index) = index {
        call["index"] = index.into();
    }
    json!({ "tool_calls": [call] })
}

/// What answers are made of.
const ANSWERS: [(&str, Piece); 20] = [
    ("nested thoughts", |at, _| (json!({ "content": nested(at % 50 + 1, "t") }), json!({}))),
    ("many parts", |_, of| {
        (json!({ "content": vec![json!({ "text": "", "thinking": "t" }); of.isqrt() / 3 + 1] }), json!({}))
    }),
    ("text in pieces", |_, _| (json!({ "content": "piece \n\"é" }), json!({}))),
    ("thoughts and text", |at, _| (json!({ "content": [{ ["text", "thinking"][at % 2]: "x" }] }), json!({}))),
    ("text and refusals", |at, _| (json!({ ["content", "refusal"][at % 2]: "x" }), json!({}))),
    ("braces in one call", |at, _| (call(Some(0), "a", if at == 0 { "f" } else { "" }, BRACES), json!({}))),
    ("braces, named again and again", |_, _| (call(Some(0), "", "f", BRACES), json!({}))),
    ("a call without a name", |_, _| (call(Some(0), "a", "", "{\"a\":"), json!({}))),
    ("a call each", |at, _| (call(Some(at % 1_000), "", "f", "{}"), json!({}))),
    ("mixed calls", |at, _| (call(Some(at % 40), &format!("c{}", at % 40), "f", "{"), json!({}))),
    ("one id for all", |at, _| (call(Some(at % 1_000), "same", "f", "{}"), json!({}))),
    ("arguments as objects", |_, of| {
        (
            json!({ "tool_calls": [{ "index": 0, "function": { "name": "f", "arguments": vec![json!({}); of.isqrt()] } }] }),
            json!({}),
        )
    }),
    ("an argument in pieces", |at, _| {
        (call(None, "", if at == 0 { "f" } else { "" }, if at == 0 { "{\"a\":\"" } else { "\\\\x" }), json!({}))
    }),
    ("tokens", |_, of| {
        (
            json!({ "content": "x" }),
            json!({ "logprobs": { "content": vec![json!({ "token": "x", "top_logprobs": [{ "token": "y" }, { "token": "\n" }] }); of.isqrt() / 3 + 1] } }),
        )
    }),
    ("sources", |_, of| {
        (
            json!({ "content": "x", "annotations": vec![json!({ "url_citation": { "url": "u" } }); of.isqrt() / 3 + 1] }),
            json!({}),
        )
    }),
    ("ends", |_, _| (json!({ "content": "x" }), json!({ "finish_reason": "stop", "stop_reason": "never" }))),
    ("choices", |at, _| (json!({ "content": "x" }), json!({ "index": at }))),
    ("members", |_, of| {
        (
            json!({ "content": "x", "x": (0..of.isqrt()).map(|at| (format!("k{at}"), Value::Null)).collect::<serde_json::Map<_, _>>() }),
            json!({}),
        )
    }),
    ("depth", |at, _| (json!({ "content": "x", "x": nested(at % 50, "x") }), json!({}))),
    ("nothing", |_, _| (json!({}), json!({}))),
];

/// Makes what stands around the choices of the first chunk, of about so many bytes.
type Frame = fn(usize) -> Value;

/// The frames of answers.
const FRAMES: [(&str, Frame); 5] = [
    ("plain", |_| json!({ "id": "x", "created": 1, "model": "m" })),
    ("a long id", |size| json!({ "id": "i".repeat(size) })),
    ("a long model", |size| json!({ "id": "x", "model": "m".repeat(size) })),
    ("a long date", |size| json!({ "created": vec![0; size / 2] })),
    ("a long usage", |size| json!({ "usage": { "prompt_tokens": 1, "x": "u".repeat(size) } })),
];

fn chunks(piece: Piece, frame: Frame, count: usize, member: &str) -> Vec<String> {
    let made = (0..count).map(|at| {
        let (says, more) = piece(at, count);
        let mut choice = json!({ "index": 0, member: says });
        let more = more.as_object().cloned().unwrap_or_default();
        choice.as_object_mut().unwrap().extend(more);
        let mut chunk = if at == 0 { frame(20 * count) } else { json!({}) };
        chunk["choices"] = json!([choice]);
        chunk.to_string()
    });
    made.collect()
}

/// A request for an answer with `stops` sequences that end it.
fn request(dialect: Dialect, stops: usize) -> String {
    match dialect {
        Dialect::Messages => {
            let stops: Vec<_> = (0..stops).map(|at| format!("s{at}")).collect();
            json!({ "model": "m", "max_tokens": 9, "messages": [], "stop_sequences": stops }).to_string()
        }
        other => other.request().to_owned(),
    }
}

/// Converts a stream; returns how many bytes are visited for each that is given.
#[track_caller]
fn check_answer(name: &str, dialect: Dialect, body: &str, chunks: &[String]) -> usize {
    let given = chunks.iter().map(|chunk| chunk.len() + 16).sum::<usize>();
    let converter = Converter::new(dialect, body.as_bytes(), false);
    let (streamed, visited) = counted(|| converter.stream(chunks));
    let bound = ANSWER * given + 2 * body.len() + BASE;
    assert!(visited <= bound, "{name}, {dialect:?}: {visited} visited of {given} bytes in {} chunks", chunks.len());
    assert!(streamed.events.len() <= bound, "{name}, {dialect:?}: {} of {given} bytes", streamed.events.len());
    visited / given
}

/// Converts a whole answer; returns the same.
#[track_caller]
fn check_whole(name: &str, dialect: Dialect, answer: &str) -> usize {
    let mut converter = Converter::new(dialect, dialect.request().as_bytes(), true);
    let (converted, visited) = counted(|| converter.whole(answer));
    let bound = ANSWER * answer.len() + BASE;
    assert!(visited <= bound, "{name}, {dialect:?}: {visited} visited of {} bytes", answer.len());
    assert!(converted.is_err() || converted.is_ok_and(|converted| converted.len() <= bound));
    visited / answer.len()
}

/// The sizes of an attack of which the second is four times as large.
const SIZES: [usize; 2] = [100, 400];

/// Checks that what is four times as large costs no more for each of its bytes.
#[track_caller]
fn check_growth(name: &str, [small, large]: [usize; 2]) {
    assert!(large <= small + small / 4 + 4, "{name}: {small} visited for each byte, then {large}");
}

fn whole(piece: Piece, frame: Frame, count: usize) -> String {
    let mut whole: Value = serde_json::from_str(&chunks(piece, frame, 1, "message")[0]).unwrap();
    let calls: Vec<_> =
        (0..count).flat_map(|at| piece(at, count).0["tool_calls"].as_array().cloned().unwrap_or_default()).collect();
    let (mut message, _) = piece(0, count);
    message["tool_calls"] = calls.into();
    whole["choices"][0]["message"] = message;
    whole["choices"][0]["finish_reason"] = "stop".into();
    whole.to_string()
}

/// Makes a body of so many parts.
type Body = fn(usize) -> String;

/// The bodies of requests.
const BODIES: [(&str, Body); 14] = [
    ("parts that are called URLs", |n| chat(&vec![json!({ "a_url": "" }); n].into())),
    ("parts with data", |n| chat(&vec![json!({ "image_url": { "url": "data:image/png;base64,AAAA" } }); n].into())),
    ("nested parts", |n| chat(&vec![nested(50, "//a"); n / 50 + 1].into())),
    ("a long text", |n| chat(&"\\\"//é:http:".repeat(n).into())),
    ("colons", |n| chat(&json!([{ "x": "a:".repeat(n) }]))),
    ("members", |n| {
        let members: Vec<_> = (0..n).map(|at| format!("\"k{at}\":1")).collect();
        format!(r#"{{"model":"m","messages":[],"input":[],"prompt":"","max_tokens":1,{}}}"#, members.join(","))
    }),
    ("one member again and again", |n| format!(r#"{{"model":"m","messages":[{{{}"a":1}}]}}"#, r#""a":1,"#.repeat(n))),
    ("messages", |n| messages_of(&vec![json!({ "role": "user", "content": "x" }); n])),
    ("blocks", |n| {
        messages_of(&[json!({ "role": "user", "content": vec![json!({ "type": "text", "text": "x" }); n] })])
    }),
    ("results", |n| {
        messages_of(&[
            json!({ "role": "user", "content": vec![json!({ "type": "tool_result", "tool_use_id": "a", "content": [{ "type": "text", "text": "x" }] }); n] }),
        ])
    }),
    ("calls", |n| {
        messages_of(&[
            json!({ "role": "assistant", "content": vec![json!({ "type": "tool_use", "id": "a", "name": "f", "input": { "a": 1 } }); n] }),
        ])
    }),
    ("stops", |n| json!({ "model": "m", "max_tokens": 1, "messages": [], "stop_sequences": vec!["s"; n] }).to_string()),
    ("items", |n| {
        let items = [
            json!({ "role": "assistant", "content": "x" }),
            json!({ "type": "function_call", "call_id": "a", "name": "f", "arguments": "{}" }),
            json!({ "type": "function_call_output", "call_id": "a", "output": [{ "type": "input_text", "text": "x" }, { "type": "input_image", "image_url": "data:," }] }),
            json!({ "type": "reasoning", "content": [{ "type": "reasoning_text", "text": "t" }] }),
        ];
        json!({ "model": "m", "input": items.iter().cycle().take(n).collect::<Vec<_>>() }).to_string()
    }),
    ("tools", |n| {
        let tool = |at: usize| json!({ "type": "function", "name": format!("f{at}"), "description": "d" });
        let tools: Vec<_> = (0..n).map(tool).collect();
        json!({ "model": "m", "input": "i", "tools": [{ "type": "namespace", "name": "n".repeat(70), "description": "d".repeat(n), "tools": tools }] }).to_string()
    }),
];

fn chat(content: &Value) -> String {
    json!({ "model": "m", "messages": [{ "role": "user", "content": content }], "input": content }).to_string()
}

fn messages_of(messages: &[Value]) -> String {
    json!({ "model": "m", "max_tokens": 1, "messages": messages }).to_string()
}

/// Reads a body in each dialect; returns how many bytes are visited for each that is given, at most.
#[track_caller]
fn check_body(name: &str, body: &str) -> usize {
    let bound = BODY * body.len() + BASE;
    let embedding = || checked(body.into()).and_then(EmbeddingRequest::parse).is_ok();
    let count = || checked(body.into()).and_then(|body| messages::count(&body)).is_ok();
    let mut costs = Dialect::ALL.map(|dialect| counted(|| understand(dialect, body.as_bytes()).is_ok()).1).to_vec();
    costs.extend([counted(embedding).1, counted(count).1]);
    assert!(costs.iter().all(|visited| *visited <= bound), "{name}: {costs:?} visited of {} bytes", body.len());
    costs.into_iter().max().unwrap_or_default() / body.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn streams_are_converted_in_linear_time(
        (attack, other) in (0..ANSWERS.len(), 0..ANSWERS.len()),
        frame in 0..FRAMES.len(),
        count in 1..400_usize,
        stops in prop_oneof![Just(1), 1..1_000_usize],
        dialect in prop::sample::select(&Dialect::ALL[..]),
    ) {
        let (name, piece) = ANSWERS[attack];
        let (framed, frame) = FRAMES[frame];
        let mut all = chunks(piece, frame, count, "delta");
        all.extend(chunks(ANSWERS[other].1, FRAMES[0].1, count / 4, "delta"));
        let name = format!("{name}, then {}, {framed}", ANSWERS[other].0);
        check_answer(&name, dialect, &request(dialect, stops), &all);
    }

    #[test]
    fn whole_answers_are_converted_in_linear_time(
        attack in 0..ANSWERS.len(),
        frame in 0..FRAMES.len(),
        count in 1..1_000_usize,
    ) {
        let (name, piece) = ANSWERS[attack];
        let answer = whole(piece, FRAMES[frame].1, count);
        for dialect in Dialect::ALL {
            check_whole(name, dialect, &answer);
        }
    }

    #[test]
    fn bodies_are_read_in_linear_time(attack in 0..BODIES.len(), count in 1..1_000_usize) {
        let (name, make) = BODIES[attack];
        check_body(name, &make(count));
    }

    #[test]
    fn tool_calls_are_assembled_in_linear_time(
        lines in prop::collection::vec("([0-3]|-) ([ab]|-) ([fg]|-) (\\{|\\}|\\{\\}|null|\\\\\"|n|-)", 0..60),
    ) {
        // The bound on each piece is the check's own.
        tool_calls(lines.join("\n").as_bytes());
    }
}

/// Each attack in two sizes, whatever the cases above happen to try.
#[test]
fn cost_of_each_byte_does_not_grow() {
    for (name, piece) in ANSWERS {
        let streams = SIZES.map(|n| chunks(piece, FRAMES[0].1, n, "delta"));
        let answers = SIZES.map(|n| whole(piece, FRAMES[0].1, n));
        for dialect in Dialect::ALL {
            let body = request(dialect, 1);
            let costs = streams.each_ref().map(|stream| check_answer(name, dialect, &body, stream));
            check_growth(&format!("{name}, {dialect:?}"), costs);
            let costs = answers.each_ref().map(|answer| check_whole(name, dialect, answer));
            check_growth(&format!("{name}, {dialect:?}, whole"), costs);
        }
    }
    for (name, make) in BODIES {
        check_growth(name, SIZES.map(|n| check_body(name, &make(n))));
    }
}

/// Long names, and many sequences that end an answer.
#[test]
fn what_comes_once_costs_once() {
    for (framed, frame) in FRAMES {
        for (name, piece) in
            ANSWERS.into_iter().filter(|(name, _)| ["text in pieces", "a call each", "ends"].contains(name))
        {
            for dialect in Dialect::ALL {
                let stream = chunks(piece, frame, 200, "delta");
                check_answer(&format!("{name}, {framed}"), dialect, &request(dialect, 5_000), &stream);
                check_whole(&format!("{name}, {framed}"), dialect, &whole(piece, frame, 200));
            }
        }
    }
}

/// Thoughts within thoughts are refused where each level would be read again.
#[test]
fn cost_of_each_byte_does_not_grow_with_depth() {
    for depth in [1, 2, 10, 60] {
        let content = nested(depth, &"t".repeat(40_000));
        let choice = |member: &str| {
            json!({ "choices": [{ "index": 0, member: { "content": content }, "finish_reason": "stop" }] }).to_string()
        };
        for dialect in Dialect::ALL {
            let name = format!("{depth} levels");
            let costs = [
                check_answer(&name, dialect, dialect.request(), &[choice("delta")]),
                check_whole(&name, dialect, &choice("message")),
            ];
            assert!(costs.iter().all(|cost| *cost < 60), "{name}, {dialect:?}: {costs:?}");
        }
    }
}
