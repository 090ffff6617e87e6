//! Rows 9 and 10: one answer has one name, each choice begins with its role, and tool calls keep their order.

use super::stage::{Framing, Play, Stage, chunks};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn stream(chunks: &[String]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>() + "data: [DONE]\n\n"
}

/// What a chunk says of its answer. `~` stands for what the first one says.
const NAMES: &[&str] = &[
    r#""id":"a","created":1,"model":"t""#,
    r#""id":"b","created":2,"model":"u""#,
    r#""id":"","created":0,"model":"""#,
    r#""id":null,"created":null,"model":null"#,
    r#""created":1"#,
    r#""model":"T","id":"a""#,
    r#""id":7,"created":"1","model":["t"]"#,
    r#""id":"a","created":1.0,"model":"t""#,
    r#""x":1e400"#,
];

#[tokio::test]
async fn r09_all_chunks_bear_one_name() {
    let delta = |names: &str, delta: &str| {
        format!(r#"{{{names},"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}],"y":1.0}}"#)
    };
    let mut streams = Vec::new();
    for later in NAMES {
        for last in NAMES {
            streams.push(vec![
                delta(NAMES[0], r#"{"role":"assistant","content":"x"}"#),
                delta(later, r#"{"content":"1e400"}"#),
                delta(last, "{}").replace("null", "\"stop\""),
                format!(r#"{{{later},"choices":[],"usage":{{"prompt_tokens":1}}}}"#),
            ]);
        }
    }
    let plays = streams.iter().map(|chunks| Play::whole(stream(chunks))).collect();
    let stage = Stage::new(plays).await;
    let answers = stage.all(r#""stream":true,"stream_options":{"include_usage":true},"#).await;
    for (answer, sent) in answers.iter().zip(&streams) {
        let got = chunks(answer);
        assert_eq!(got.len(), sent.len());
        assert_eq!(got[0], sent[0], "what is right stays as it is");
        for (got, sent) in got.iter().zip(sent) {
            assert!(
                got.contains("\"id\":\"a\"") && got.contains("\"created\":1") && got.contains("\"model\":\"t\""),
                "{got}"
            );
            let (got_json, sent_json) = (json(&got.replace("1e400", "1")), json(&sent.replace("1e400", "1")));
            assert_eq!(
                (&got_json["id"], &got_json["created"], &got_json["model"]),
                (&"a".into(), &1.into(), &"t".into()),
                "{got}"
            );
            for key in ["choices", "usage", "x", "y"] {
                assert_eq!(got_json[key], sent_json[key], "{sent}");
            }
            assert_eq!(got.matches("1e400").count(), sent.matches("1e400").count());
            assert_eq!(got.matches("\"id\"").count(), 1, "{got}");
        }
    }
}

/// Some providers begin with a chunk that says nothing.
#[tokio::test]
async fn r09_the_first_name_that_says_anything_holds() {
    let of = |names: &str| format!(r#"{{{names},"choices":[]}}"#);
    for nothing in [NAMES[2], NAMES[3], NAMES[8]] {
        let sent = vec![of(nothing), of(NAMES[0]), of(NAMES[1]), of(nothing)];
        let answer = Stage::new(vec![Play::whole(stream(&sent))]).await.ask(0, r#""stream":true,"#).await;
        let got = chunks(&answer);
        assert_eq!(got[..2], sent[..2]);
        for chunk in &got[1..] {
            let chunk = json(&chunk.replace("1e400", "1"));
            assert_eq!((&chunk["id"], &chunk["created"], &chunk["model"]), (&"a".into(), &1.into(), &"t".into()));
        }
    }
}

/// The error that ends a stream is no chunk, and the usage that is put last is one.
#[tokio::test]
async fn r09_usage_that_is_moved_bears_the_name_as_well() {
    let sent = [
        format!(r#"{{{},"choices":[{{"index":0,"delta":{{"content":"x"}}}}]}}"#, NAMES[0]),
        format!(
            r#"{{{},"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1}}}}"#,
            NAMES[1]
        ),
    ];
    let stage = Stage::new(vec![Play::whole(stream(&sent))]).await;
    let got = chunks(&stage.ask(0, r#""stream":true,"stream_options":{"include_usage":true},"#).await);
    let last = json(got.last().unwrap());
    assert_eq!((got.len(), &last["id"], &last["created"], &last["model"]), (3, &"a".into(), &1.into(), &"t".into()));
}

#[tokio::test]
async fn r09_each_choice_begins_with_its_role() {
    let of = |choices: &str| format!(r#"{{"id":"a","created":1,"model":"t","choices":[{choices}]}}"#);
    // What the provider says, and where a role was added.
    let cases: &[&[(&str, &str)]] = &[
        &[(r#"{"index":0,"delta":{"content":"x"}}"#, r#"{"index":0,"delta":{"content":"x","role":"assistant"}}"#)],
        &[(r#"{"index":0,"delta":{}}"#, r#"{"index":0,"delta":{"role":"assistant"}}"#)],
        &[(
            r#"{"index":0,"delta":{"role":null,"content":"x"}}"#,
            r#"{"index":0,"delta":{"role":"assistant","content":"x"}}"#,
        )],
        &[(
            r#"{"index":0,"delta":{"role":"","content":"x"}}"#,
            r#"{"index":0,"delta":{"role":"assistant","content":"x"}}"#,
        )],
        &[(r#"{"delta":{"content":1e400}}"#, r#"{"delta":{"content":1e400,"role":"assistant"}}"#)],
        &[(r#"{"index":0,"delta":{"role":"tool"}}"#, "")],
        &[
            ("", ""),
            (r#"{"index":0,"delta":{"content":"x"}}"#, r#"{"index":0,"delta":{"content":"x","role":"assistant"}}"#),
        ],
        // A choice that has said nothing has not begun.
        &[
            (r#"{"index":0,"content_filter_results":{}}"#, ""),
            (r#"{"index":0,"delta":null}"#, ""),
            (r#"{"index":0,"delta":{"content":"x"}}"#, r#"{"index":0,"delta":{"content":"x","role":"assistant"}}"#),
            (r#"{"index":0,"delta":{"content":"y"}}"#, ""),
        ],
        &[
            (r#"{"index":1,"delta":{"content":"x"}}"#, r#"{"index":1,"delta":{"content":"x","role":"assistant"}}"#),
            (
                r#"{"index":0,"delta":{"content":"y"}},{"index":1,"delta":{"content":"z"}}"#,
                r#"{"index":0,"delta":{"content":"y","role":"assistant"}},{"index":1,"delta":{"content":"z"}}"#,
            ),
            (r#"{"index":0,"delta":{"content":"v"}},{"index":1,"delta":{"content":"w"}}"#, ""),
        ],
    ];
    let plays = cases.iter().map(|case| {
        let sent: Vec<_> = case.iter().map(|(sent, _)| of(sent)).collect();
        Play::whole(stream(&sent))
    });
    let answers = Stage::new(plays.collect()).await.all(r#""stream":true,"n":2,"#).await;
    for (answer, case) in answers.iter().zip(cases) {
        let expected: Vec<_> = case.iter().map(|(sent, got)| of(if got.is_empty() { sent } else { got })).collect();
        assert_eq!(chunks(answer), expected);
    }
}

/// Two calls that arrive in turns: what a client puts together is what the model said, to the byte.
#[tokio::test]
async fn r10_interleaved_tool_calls_keep_their_order() {
    // Escapes are cut wherever a tokenizer cuts, in the midst of a character as well.
    let first = [
        r#"{\"city\":"#,
        r#" \"Z\u00fc"#,
        r#"rich \ud83d"#,
        r#"\ude00\","#,
        r#"\"n\": 1.0,\"big\":18446744073709551615}"#,
    ];
    let second = [r#""#, r#"{\"a\":[1e400,\n\n"#, r#"\"data: [DONE]\"],\r\n"#, r#"\"é\\"#, r#"\"\":\"\/\"}"#];
    let calls = |calls: &str| {
        format!(
            r#"{{"id":"a","created":1,"model":"t","choices":[{{"index":0,"delta":{{"tool_calls":[{calls}]}},"finish_reason":null}}]}}"#
        )
    };
    let begin = |index: usize, id: &str| {
        format!(r#"{{"index":{index},"id":"{id}","type":"function","function":{{"name":"f{index}","arguments":""}}}}"#)
    };
    let part = |index: usize, text: &str| format!(r#"{{"index":{index},"function":{{"arguments":"{text}"}}}}"#);
    let mut sent = vec![
        calls(&begin(1, "call_1")).replace("{\"tool_calls\"", r#"{"role":"assistant","content":null,"tool_calls""#),
        calls(&begin(0, "call_0")),
    ];
    for (one, two) in first.iter().zip(second) {
        sent.push(calls(&part(0, one)));
        sent.push(calls(&part(1, two)));
        sent.push(calls(&format!("{},{}", part(1, ""), part(0, ""))));
    }
    sent.push(
        r#"{"id":"a","created":1,"model":"t","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#
            .to_owned(),
    );
    let text = stream(&sent);
    let mut plays = vec![Play::whole(&text)];
    plays.extend((1..=64).map(|size| Play::new(Framing::Chunked, text.as_bytes().chunks(size))));
    for answer in Stage::new(plays).await.streams().await {
        let got = chunks(&answer);
        assert_eq!(got, sent);
        for (index, parts, id) in [(0, first, "call_0"), (1, second, "call_1")] {
            let begun = format!(r#""index":{index},"id""#);
            assert_eq!(got.iter().filter(|chunk| chunk.contains(&begun) && chunk.contains(id)).count(), 1);
            let (at, end) = (format!(r#"{{"index":{index},"function":{{"arguments":""#), "\"}}");
            let all: String =
                got.iter().filter_map(|chunk| Some(chunk.split_once(&at)?.1.split_once(end)?.0)).collect();
            assert_eq!(all, parts.concat());
        }
    }
}

/// Who does not say its role says its calls nonetheless, and they stay as they are.
#[tokio::test]
async fn r10_a_call_in_the_first_delta_stays_as_it_is() {
    let call = r#"[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\": \"\ud83d"}},{"index":1,"id":"","function":{"arguments":null}} ]"#;
    let of = |delta: &str| format!(r#"{{"id":"a","created":1,"model":"t","choices":[{{"index":0,"delta":{delta}}}]}}"#);
    let (sent, got) =
        (of(&format!(r#"{{"tool_calls":{call}}}"#)), of(&format!(r#"{{"tool_calls":{call},"role":"assistant"}}"#)));
    let old = of(r#"{"function_call":{"name":"f","arguments":"\ude00"}}"#);
    let stage = Stage::new(vec![Play::whole(stream(&[sent, old.clone()]))]).await;
    assert_eq!(chunks(&stage.ask(0, r#""stream":true,"#).await), [got, old]);
}

#[tokio::test]
async fn r10_calls_of_a_whole_answer_stay_as_they_are() {
    let answer = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"b","type":"function","function":{"name":"f","arguments":"{\"z\":1.0,\n \"a\":\"\ud83d\"}"}},{"id":"a","type":"custom","custom":{"name":"g","input":""}}]},"finish_reason":"tool_calls"}]}"#;
    let stage = Stage::new(vec![Play::json(Framing::Length, answer)]).await;
    assert_eq!(stage.ask(0, "").await.text, answer);
}
