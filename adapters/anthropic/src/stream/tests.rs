//! Tables of event streams, and the chunks that they give.

use super::*;
use hauski_adapter_sdk::Object;

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}"#;
const PING: &str = r#"{"type":"ping"}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;
const END: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}"#;
const USAGE: &str =
    r#"{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":2}}"#;

fn block(at: usize, block: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":{at},"content_block":{block}}}"#)
}

fn delta(at: usize, delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":{at},"delta":{delta}}}"#)
}

fn close(at: usize) -> String {
    format!(r#"{{"type":"content_block_stop","index":{at}}}"#)
}

fn text(at: usize, words: &str) -> String {
    delta(at, &format!(r#"{{"type":"text_delta","text":"{words}"}}"#))
}

fn input(at: usize, piece: &str) -> String {
    delta(at, &format!(r#"{{"type":"input_json_delta","partial_json":"{piece}"}}"#))
}

/// The deltas, ends and usages of the chunks that these events give, and how the stream ends.
fn read(events: &[&str]) -> (Vec<String>, Result<(), Error>) {
    let (mut stream, mut chunks) = (Stream::default(), vec![]);
    let mut end = None;
    for data in events {
        match stream.event(Event { data: (*data).into(), ..Event::default() }, &mut chunks) {
            Ok(Flow::More) => continue,
            Ok(Flow::End) => end = Some(Ok(())),
            Err(error) => end = Some(Err(error)),
        }
        break;
    }
    let end = end.unwrap_or_else(|| stream.closed(&mut chunks));
    (chunks.iter().map(|chunk| told(chunk)).collect(), end)
}

/// What a chunk tells beside what all have in common.
fn told(chunk: &str) -> String {
    let chunk = Object::parse(chunk).unwrap();
    assert_eq!((chunk.get("id"), chunk.get("model")), (Some(r#""chatcmpl-1""#), Some(r#""claude""#)));
    assert_eq!(chunk.get("object"), Some(r#""chat.completion.chunk""#));
    match chunk.get("usage") {
        Some(usage) => {
            assert_eq!(chunk.get("choices"), Some("[]"));
            usage.to_owned()
        }
        None => {
            let choices = chunk.items("choices").unwrap();
            let choice = Object::parse(&choices[0]).unwrap();
            assert_eq!((choices.len(), choice.get("index")), (1, Some("0")));
            match choice.get("finish_reason") {
                Some("null") => choice.get("delta").unwrap().to_owned(),
                _ => choice.into_json(),
            }
        }
    }
}

#[track_caller]
fn check(events: &[&str], expected: &[&str], end: Result<(), Error>) {
    let (told, got) = read(events);
    assert_eq!((told.iter().map(String::as_str).collect::<Vec<_>>(), got), (expected.to_vec(), end), "{events:#?}");
}

const ROLE: &str = r#"{"role":"assistant","content":""}"#;
const FINISH: &str = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;

#[test]
fn words_and_thoughts() {
    check(
        &[
            START,
            &block(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
            PING,
            &delta(0, r#"{"type":"thinking_delta","thinking":"h\u00e9"}"#),
            &delta(0, r#"{"type":"signature_delta","signature":"x"}"#),
            &close(0),
            &block(1, r#"{"type":"text","text":"a"}"#),
            &text(1, r"\ud83d\ude00\n"),
            &text(1, ""),
            &delta(1, r#"{"type":"citations_delta","citation":{}}"#),
            &close(1),
            r#"{"type":"new_event","index":"odd"}"#,
            "",
            END,
            STOP,
            "not read any more",
        ],
        &[
            ROLE,
            r#"{"reasoning_content":"h\u00e9"}"#,
            r#"{"content":"a"}"#,
            r#"{"content":"\ud83d\ude00\n"}"#,
            FINISH,
            USAGE,
        ],
        Ok(()),
    );
}

#[test]
fn calls() {
    let begin = |at, id: &str, name: &str, given: &str| {
        block(at, &format!(r#"{{"type":"tool_use","id":"{id}","name":"{name}","input":{given}}}"#))
    };
    let piece = |index: usize, piece: &str| {
        format!(r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":"{piece}"}}}}]}}"#)
    };
    let first = |index: usize, id: &str, name: &str| {
        format!(
            r#"{{"tool_calls":[{{"index":{index},"id":"{id}","type":"function","function":{{"name":"{name}","arguments":""}}}}]}}"#
        )
    };
    check(
        &[
            START,
            &block(0, r#"{"type":"text","text":""}"#),
            &text(0, "t"),
            &close(0),
            &begin(1, "toolu_1", "f", "{}"),
            &input(1, ""),
            &input(1, r#"{\"z\": 1.0,"#),
            // Blocks may come mixed, and what isn't a call has a number, too.
            &block(2, r#"{"type":"server_tool_use","id":"s","name":"web","input":{}}"#),
            &input(2, r"{}"),
            &close(2),
            &begin(3, "toolu_2", "g", "{}"),
            &input(3, r"{\u00e9"),
            &input(1, r#" \"a\":1e400}"#),
            &close(1),
            &close(3),
            &begin(4, "toolu_3", "h", "{}"),
            &input(4, ""),
            &close(4),
            &begin(5, "toolu_4", "i", r#"{"b": 1.0}"#),
            &close(5),
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#,
            STOP,
        ],
        &[
            ROLE,
            r#"{"content":"t"}"#,
            &first(0, "toolu_1", "f"),
            &piece(0, r#"{\"z\": 1.0,"#),
            &first(1, "toolu_2", "g"),
            &piece(1, r"{\u00e9"),
            &piece(0, r#" \"a\":1e400}"#),
            &first(2, "toolu_3", "h"),
            &piece(2, "{}"),
            &first(3, "toolu_4", "i"),
            &piece(3, r#"{\"b\": 1.0}"#),
            r#"{"index":0,"delta":{},"finish_reason":"tool_calls"}"#,
            r#"{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":2}}"#,
        ],
        Ok(()),
    );
}

#[test]
fn ends() {
    let stop = r##"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"#"},"usage":{"output_tokens":9}}"##;
    check(
        &[START, stop, STOP],
        &[ROLE, r##"{"index":0,"delta":{},"finish_reason":"stop","stop_reason":"#"}"##, USAGE],
        Ok(()),
    );
    // Counts are totals: the last one holds.
    let (early, late) =
        (END.replace(r#""end_turn""#, "null").replace('9', "4"), END.replace("9}", r#"9,"input_tokens":6}"#));
    let later = USAGE.replace('7', "8").replace("16", "17");
    check(&[START, &text(0, "a"), &early, &late, STOP], &[ROLE, r#"{"content":"a"}"#, FINISH, &later], Ok(()));
    let silent = START.replace(r#""input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1"#, "");
    check(&[&silent, &END.replace(r#""output_tokens":9"#, ""), STOP], &[ROLE, FINISH], Ok(()));
}

#[test]
fn a_beginning_without_its_members() {
    for start in [
        r#"{"type":"message_start","message":{"id":"msg_1","model":"claude"}}"#,
        r#"{"type":"message_start","message":{"id":"msg_1","model":"claude","content":null,"usage":null}}"#,
    ] {
        check(
            &[start, &text(0, "a"), END, STOP],
            &[
                ROLE,
                r#"{"content":"a"}"#,
                FINISH,
                r#"{"prompt_tokens":0,"completion_tokens":9,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":0}}"#,
            ],
            Ok(()),
        );
    }
    for start in [r#"{"type":"message_start","message":{}}"#, r#"{"type":"message_start","message":{"model":null}}"#] {
        let (mut stream, mut chunks) = (Stream::default(), vec![]);
        for data in [start, &text(0, "a"), END, STOP] {
            assert!(stream.event(Event { data: data.into(), ..Event::default() }, &mut chunks).is_ok(), "{data}");
        }
        let first = Object::parse(&chunks[0]).unwrap();
        assert!(
            first.get("id").is_some_and(|id| id.starts_with(r#""chatcmpl-"#)) && first.get("model") == Some(r#""""#)
        );
        assert_eq!(chunks.len(), 4);
    }
    // A count at the end that has nothing of the prompt does not take back what was said.
    let zero = END.replace("9}", r#"9,"input_tokens":0,"cache_read_input_tokens":0}"#);
    check(&[START, &zero, STOP], &[ROLE, FINISH, USAGE], Ok(()));
}

#[test]
fn streams_that_break_off() {
    let off = || Err(broke_off());
    check(&[], &[], off());
    check(&[START, PING], &[], off());
    check(&[START, &text(0, "a"), END], &[ROLE, r#"{"content":"a"}"#], off());
    check(&[START, &text(0, "a"), r#"{"type":"message_st"#], &[ROLE, r#"{"content":"a"}"#], off());
}

#[test]
fn errors_in_a_stream() {
    let full = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    check(&[START, PING, full], &[], Err(error_in(full)));
    check(&[START, &text(0, "a"), full, STOP], &[ROLE, r#"{"content":"a"}"#], Err(error_in(full)));
    let Err(Error::Upstream(failure)) = read(&[full]).1 else { panic!("another error") };
    assert_eq!((failure.status, failure.retryable, &*failure.message), (529, true, "Overloaded"));
    let named = Event {
        name: "error".into(),
        data: r#"{"error":{"type":"api_error","message":"no"}}"#.into(),
        ..Event::default()
    };
    let end = Stream::default().event(named, &mut vec![]);
    assert!(matches!(end, Err(Error::Upstream(failure)) if failure.status == 500));
    for error in [
        r#"{"error":{"type":"api_error","message":"no"}}"#,
        r#"{"error":{"message":"no","code":500}}"#,
        r#"{"object":"error","message":"no","code":500}"#,
    ] {
        let (told, end) = read(&[START, &text(0, "a"), error, END, STOP]);
        assert_eq!(told, [ROLE, r#"{"content":"a"}"#]);
        assert!(matches!(end, Err(Error::Upstream(failure)) if failure.status == 500 && failure.message == "no"));
    }
}

#[test]
fn what_can_not_be_understood() {
    for bad in [
        "7",
        "[]",
        "<html>",
        "[DONE]",
        r#"{"type":"message_start"}"#,
        r#"{"type":"content_block_start","index":0}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":7}}"#,
        r#"{"type":"content_block_delta","index":-1,"delta":{"type":"text_delta","text":"a"}}"#,
        // Nothing says whose input it is.
        &input(0, "{}"),
        &input(1, ""),
        STOP,
    ] {
        let (told, end) = read(&[START, &text(0, "a"), bad]);
        assert_eq!(told, [ROLE, r#"{"content":"a"}"#], "{bad}");
        assert!(matches!(end, Err(Error::Upstream(failure)) if failure.status == 502 && !failure.retryable), "{bad}");
    }
    let (told, end) = read(&[&text(0, "a")]);
    assert!(
        told.is_empty() && matches!(end, Err(Error::Upstream(failure)) if failure.message.contains("message_start"))
    );
}
