//! Row 4: what ends a stream, what does not, and that half of one never looks like all of it.

use super::ground::{CHAT, ask, gateway};
use super::stage::{Framing, Play, Stage, broken, chunks};
use hauski_tests::Upstream;
use serde_json::Value;
use std::time::Duration;

const HEAD: &str = r#"{"id":"a","created":1,"model":"t","choices":[{"index":"#;

fn chunk(index: u8, delta: &str, finish: &str) -> String {
    format!(r#"{HEAD}{index},"delta":{delta},"finish_reason":{finish}}}]}}"#)
}

fn usage() -> String {
    r#"{"id":"a","created":1,"model":"t","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#.to_owned()
}

/// Events with these payloads.
fn events(payloads: &[String]) -> String {
    payloads.iter().map(|payload| format!("data: {payload}\n\n")).collect()
}

#[tokio::test]
async fn r04_done_inside_a_text_ends_nothing() {
    let texts = [
        r#""[DONE]""#,
        r#""data: [DONE]""#,
        r#""\n\ndata: [DONE]\n\n""#,
        r#""\r\rdata: [DONE]\r\r""#,
        r#""\u000a\u000adata: [DONE]""#,
        r#""{\"a\":\"[DONE]\"}""#,
        "\"\u{2028}data: [DONE]\u{85}\u{85}data: [DONE]\u{2029}\"",
    ];
    let of = |text: &str| {
        let call = format!(
            r#"{{"tool_calls":[{{"index":0,"id":"c","type":"function","function":{{"name":{text},"arguments":{text}}}}}]}}"#
        );
        let said = format!(r#"{{"role":"assistant","content":{text},"reasoning_content":{text}}}"#);
        vec![chunk(0, &said, "null"), chunk(0, &call, "null"), chunk(0, "{}", r#""tool_calls""#)]
    };
    let mut expected: Vec<_> = texts.map(of).into();
    // A line of its own of a payload over several lines.
    let lines = "{\"id\":\"a\",\"created\":1,\"model\":\"t\",\"x\":\n\"[DONE]\"\n}";
    expected.push(vec![lines.to_owned(), chunk(0, r#"{"role":"assistant"}"#, r#""stop""#)]);
    let plays = expected.iter().map(|chunks| {
        let stream: String =
            chunks.iter().map(|chunk| format!("data: {}\n\n", chunk.replace('\n', "\ndata: "))).collect();
        Play::whole(stream + "data: [DONE]\n\n")
    });
    for (answer, expected) in Stage::new(plays.collect()).await.streams().await.iter().zip(expected) {
        assert_eq!(chunks(answer), expected);
    }
}

#[tokio::test]
async fn r04_what_follows_done_is_not_read() {
    let said = [chunk(0, r#"{"role":"assistant","content":"x"}"#, "null"), chunk(0, "{}", r#""stop""#)];
    let stream = events(&said) + "data: [DONE]\n\n";
    let more = events(&[chunk(0, r#"{"content":"more"}"#, "null")]);
    let rests: [&[u8]; 8] = [
        b"\xff\xfe\0\x80garbage",
        more.as_bytes(),
        b"data: [DONE]\n\ndata: [DONE]\n\n",
        b"data: {\"error\":{\"message\":\"no\"}}\n\n",
        b"event: error\ndata: {}\n\n",
        b"<html>",
        b"data: {\"choi",
        &[b'x'; 100_000],
    ];
    let mut plays = Vec::new();
    for rest in rests {
        for framing in [Framing::Closed, Framing::Chunked, Framing::Torn, Framing::Length, Framing::Short] {
            plays.push(Play::new(framing, [stream.as_bytes(), rest]));
            plays.push(Play::new(framing, [[stream.as_bytes(), rest].concat()]));
        }
    }
    // Framing that breaks after the end.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    for rest in ["\r\nzz\r\n", "\r\n-1\r\n", "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "garbage"] {
        plays.push(Play::new(Framing::Raw, [format!("{head}{:x}\r\n{stream}{rest}", stream.len())]));
    }
    for answer in Stage::new(plays).await.streams().await {
        assert_eq!(chunks(&answer), said);
    }
}

/// A provider that says all and does not close keeps nobody waiting; what it says later reaches nobody else.
#[tokio::test]
async fn r04_done_is_not_waited_behind() {
    let said = [chunk(0, r#"{"role":"assistant","content":"x"}"#, r#""stop""#)];
    let stream = events(&said) + "data: [DONE]\n\n";
    for rest in [
        "",
        "0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 14\r\n\r\ndata: [DONE]\n\n",
    ] {
        let stream = stream.clone();
        let upstream = Upstream::start(move |conversation| {
            conversation.request()?;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            conversation.write(format!("{head}{:x}\r\n{stream}\r\n{rest}", stream.len()))?;
            conversation.closed_within(Duration::from_secs(10)).map(drop)
        });
        let host = gateway(&[&upstream]).workers(1).start().await;
        for _ in 0..3 {
            let answer = host.client().post(CHAT, ask("m0", true));
            let answer = tokio::time::timeout(Duration::from_secs(4), answer).await.unwrap();
            assert_eq!(chunks(&answer), said);
        }
    }
}

#[tokio::test]
async fn r04_a_clean_close_after_the_finish_is_an_end() {
    let role = |index| chunk(index, r#"{"role":"assistant","content":"x"}"#, "null");
    let cases = [
        vec![role(0), chunk(0, "{}", r#""stop""#)],
        vec![role(0), chunk(0, "{}", r#""length""#), chunk(0, r#"{"content":"late"}"#, "null")],
        vec![chunk(0, r#"{"role":"assistant","content":"x"}"#, r#""content_filter""#)],
        vec![role(0), role(1), chunk(1, "{}", r#""stop""#), chunk(0, "{}", r#""stop""#)],
        vec![role(0), chunk(0, "{}", r#""stop""#), usage()],
    ];
    let framings = [Framing::Closed, Framing::Chunked, Framing::Length];
    let all: Vec<_> = cases.iter().flat_map(|case| framings.map(|framing| (framing, case))).collect();
    let plays = all.iter().map(|(framing, case)| Play::new(*framing, [events(case)]));
    let stage = Stage::new(plays.collect()).await;
    let answers = stage.all(r#""stream":true,"n":2,"stream_options":{"include_usage":true},"#).await;
    let single = stage.all(r#""stream":true,"stream_options":{"include_usage":true},"#).await;
    for (at, (framing, case)) in all.iter().enumerate() {
        let two = case.iter().any(|chunk| chunk.contains(r#""index":1"#));
        assert_eq!(chunks(&single[at]), **case, "{framing:?}");
        if two {
            assert_eq!(chunks(&answers[at]), **case, "{framing:?}");
        } else {
            assert_eq!(broken(&answers[at])[0], case[0], "two were asked for, one came: {framing:?}");
        }
    }
    // The connection broke, whatever had been said.
    let torn = [Framing::Torn, Framing::Short];
    let plays = cases.iter().flat_map(|case| torn.map(|framing| Play::new(framing, [events(case)])));
    for answer in Stage::new(plays.collect()).await.streams().await {
        broken(&answer);
    }
}

/// What is no reason to finish: a provider that always has the member writes it so.
#[tokio::test]
async fn r04_only_a_reason_is_a_finish() {
    for no_reason in ["null", r#""""#] {
        let said =
            [chunk(0, r#"{"role":"assistant","content":"x"}"#, no_reason), chunk(0, r#"{"content":"y"}"#, no_reason)];
        let plays = vec![Play::whole(events(&said)), Play::whole(events(&said) + "data: [DONE]\n\n")];
        let answers = Stage::new(plays).await.streams().await;
        assert_eq!(broken(&answers[0]), said, "{no_reason}");
        assert_eq!(chunks(&answers[1]), said, "{no_reason}");
    }
}

/// A stream that is cut at every byte, in every framing.
#[tokio::test]
async fn r04_half_a_stream_never_looks_like_all_of_it() {
    let choice = |index: u8, rest: &str| format!(r#"{{"choices":[{{"index":{index},{rest}}}]}}"#);
    let finish = choice(1, r#""delta":{},"finish_reason":"stop""#);
    let said = vec![
        choice(0, r#""delta":{"role":"assistant","content":"\"finish_reason\":\"stop\""}"#),
        choice(1, r#""delta":{"role":"assistant","content":"é [DONE]"}"#),
        choice(0, r#""delta":{},"finish_reason":"stop""#),
        finish.clone(),
        r#"{"choices":[],"usage":{"prompt_tokens":1}}"#.to_owned(),
    ];
    let stream = events(&said) + "data: [DONE]\n\n";
    let (finished, done) = (stream.find(&finish).unwrap() + finish.len(), stream.len() - "\n\n".len());
    let mut cases = Vec::new();
    for at in 0..=stream.len() {
        for framing in [Framing::Closed, Framing::Chunked, Framing::Torn, Framing::Short] {
            cases.push((at, framing));
        }
    }
    let plays = cases.iter().map(|(at, framing)| Play::new(*framing, [&stream.as_bytes()[..*at]]));
    let stage = Stage::new(plays.collect()).await;
    let answers = stage.all(r#""stream":true,"n":2,"stream_options":{"include_usage":true},"#).await;
    let mut ended = 0;
    for ((at, framing), answer) in cases.into_iter().zip(answers) {
        let cut = stream.as_bytes()[..at].escape_ascii().to_string();
        let tells = matches!(framing, Framing::Torn | Framing::Short);
        if at < finished || tells && at < stream.len() {
            let got = broken(&answer);
            assert!(said.starts_with(&got), "{framing:?} {cut}: {got:?}");
        } else if at >= done {
            assert_eq!(chunks(&answer), said, "{framing:?} {cut}");
        } else if answer.complete {
            // All that was asked for was there.
            let got = chunks(&answer);
            assert!(said.starts_with(&got) && got.len() >= 4, "{framing:?} {cut}: {got:?}");
            ended += 1;
        } else {
            broken(&answer);
        }
    }
    assert!(ended > 4, "a close after the finish is an end: {ended}");
}

/// The same of an answer in one piece.
#[tokio::test]
async fn r04_half_an_answer_never_looks_like_all_of_it() {
    let answer =
        r#"{"choices":[{"index":0,"message":{"content":"}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
    let mut plays = Vec::new();
    for at in 0..answer.len() {
        for framing in [Framing::Closed, Framing::Chunked, Framing::Torn, Framing::Short, Framing::Length] {
            plays.push(Play::json(framing, &answer[..at]));
        }
    }
    let count = plays.len();
    plays.extend([Framing::Torn, Framing::Short].map(|framing| Play::json(framing, answer)));
    plays.push(Play::json(Framing::Closed, answer));
    let mut answers = Stage::new(plays).await.all("").await;
    assert_eq!(answers.pop().unwrap().text, answer);
    assert_eq!(answers.len(), count + 2);
    for got in answers {
        let error: Value = serde_json::from_str(&got.text).unwrap();
        assert!(got.status == 502 && error["error"]["message"].is_string(), "{} {}", got.status, got.text);
    }
}

#[tokio::test]
async fn r04_an_empty_stream_is_no_answer() {
    let empty = [
        "",
        ": ping\n\n",
        "\n\n",
        "data:\n\n",
        "data: {}",
        "data: {}\n\n",
        "data: [DONE",
        "data: \"[DONE]\"\n\n",
        // Some servers end with it whatever happened.
        "data: [DONE]\n\n",
        "event: ping\ndata: {}\n\ndata: null\n\ndata:[DONE]\n\n",
    ];
    let plays = empty.map(Play::whole).into();
    for (answer, stream) in Stage::new(plays).await.streams().await.iter().zip(empty) {
        broken(answer);
        assert!(!answer.text.contains("[DONE]"), "{stream:?}: {}", answer.text);
    }
}
