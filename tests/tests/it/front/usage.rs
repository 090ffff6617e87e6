//! Rows 7 and 8: usage is told once, last, and to those who asked; it is counted whoever asked, and whoever left.

use super::ground::{CHAT, EVENTS, gateway};
use super::stage::{Framing, Play, Stage, broken, chunks};
use hauski_tests::{TestHost, Upstream};
use http_body_util::BodyExt;
use serde_json::Value;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);
const NAMES: &str = r#""id":"a","created":1,"model":"t""#;
const EARLY: &str = r#"{"prompt_tokens":11,"completion_tokens":0,"total_tokens":11}"#;
/// With all that a program which knows only the three sums would lose.
const USAGE: &str = r#"{"total_tokens":18, "prompt_tokens":11,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0,"text_tokens":null},"completion_tokens_details":{"reasoning_tokens":4,"accepted_prediction_tokens":0,"unknown":1.0},"cost":1.0e-05,"prompt_cache_hit_tokens":0,"is_byok":false}"#;

/// The word, the finish, and what else there is, each with usage or without.
fn word(usage: Option<&str>) -> String {
    let usage = usage.map(|usage| format!(r#","usage":{usage}"#)).unwrap_or_default();
    format!(
        r#"{{{NAMES},"choices":[{{"index":0,"delta":{{"role":"assistant","content":"\"usage\":{{}}"}},"finish_reason":null}}]{usage},"x":1e400}}"#
    )
}

fn finish(usage: Option<&str>) -> String {
    word(usage).replace(r#""finish_reason":null"#, r#""finish_reason":"stop""#)
}

fn last(usage: &str) -> String {
    format!(r#"{{{NAMES},"choices":[],"usage":{usage}}}"#)
}

/// What providers send. The last usage of each that has one is `USAGE`.
fn providers() -> Vec<(&'static str, Vec<String>)> {
    let (plain, end) = (|| word(None), || finish(None));
    vec![
        ("never", vec![plain(), end()]),
        ("in the finish", vec![plain(), finish(Some(USAGE))]),
        ("in a last chunk", vec![plain(), end(), last(USAGE)]),
        ("in both", vec![plain(), finish(Some(USAGE)), last(USAGE)]),
        ("in both, and they differ", vec![plain(), finish(Some(EARLY)), last(USAGE)]),
        ("in every chunk", vec![word(Some(EARLY)), word(Some(EARLY)), finish(Some(USAGE))]),
        ("in every chunk and a last one", vec![word(Some(EARLY)), finish(Some(USAGE)), last(USAGE)]),
        ("as null until the last chunk", vec![word(Some("null")), finish(Some("null")), last(USAGE)]),
        ("in the first chunk and the finish", vec![word(Some(EARLY)), plain(), finish(Some(USAGE))]),
        ("before the finish", vec![plain(), last(USAGE), end()]),
        ("in two last chunks", vec![plain(), end(), last(EARLY), last(USAGE)]),
        ("before all", vec![last(EARLY), plain(), finish(Some(USAGE))]),
        ("in a chunk without choices", vec![plain(), end(), format!(r#"{{{NAMES},"usage":{USAGE}}}"#)]),
        ("in a chunk with null for choices", vec![plain(), end(), last(USAGE).replace("[]", "null")]),
        ("in a chunk with space", vec![plain(), end(), last(USAGE).replace("[]", "[ \t ]")]),
    ]
}

/// The usage that a chunk tells.
fn told(chunk: &str) -> Option<String> {
    let chunk: Value = serde_json::from_str(&chunk.replace("1e400", "1")).unwrap();
    chunk.get("usage").filter(|usage| !usage.is_null()).map(Value::to_string)
}

fn has_no_choices(chunk: &str) -> bool {
    serde_json::from_str::<Value>(&chunk.replace("1e400", "1")).unwrap()["choices"]
        .as_array()
        .is_some_and(Vec::is_empty)
}

/// Each provider's answer to a request with these members: with `[DONE]`, and without where the finish is enough.
async fn answers(members: &'static str) -> Vec<(&'static str, Vec<String>, Vec<String>)> {
    let providers: Vec<_> =
        providers().into_iter().flat_map(|provider| [(provider.clone(), true), (provider, false)]).collect();
    let plays = providers.iter().map(|((_, chunks), done)| {
        let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        Play::new(Framing::Chunked, [events + if *done { "data: [DONE]\n\n" } else { "" }])
    });
    let answers = Stage::new(plays.collect()).await.all(members).await;
    answers.iter().zip(providers).map(|(answer, ((name, sent), _))| (name, sent, chunks(answer))).collect()
}

/// Chunks with their usage taken out, those that have nothing else left out.
fn without_usage(sent: &[String]) -> Vec<String> {
    let rest = sent.iter().filter(|chunk| chunk.contains("\"index\""));
    rest.map(|chunk| chunk.replace(&format!(r#","usage":{USAGE}"#), "").replace(&format!(r#","usage":{EARLY}"#), ""))
        .collect()
}

#[tokio::test]
async fn r07_who_asks_is_told_once_and_last() {
    for members in [
        r#""stream":true,"stream_options":{"include_usage":true},"#,
        r#""stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":false,"x":1},"#,
    ] {
        for (name, sent, mut got) in answers(members).await {
            if name != "never" {
                let last = got.pop().unwrap();
                assert!(has_no_choices(&last) && last.contains(&format!(r#""usage":{USAGE}"#)), "{name}: {last}");
                assert!(last.contains(r#""id":"a""#), "{name}: {last}");
            }
            assert_eq!(got, without_usage(&sent), "{name}");
            assert!(got.iter().all(|chunk| told(chunk).is_none()), "{name}: {got:?}");
        }
    }
}

#[tokio::test]
async fn r07_who_does_not_ask_is_not_told() {
    for members in [
        r#""stream":true,"#,
        r#""stream":true,"stream_options":null,"#,
        r#""stream":true,"stream_options":{},"#,
        r#""stream":true,"stream_options":{"include_usage":false},"#,
        r#""stream":true,"stream_options":{"include_usage":null,"continuous_usage_stats":true},"#,
    ] {
        for (name, sent, got) in answers(members).await {
            assert_eq!(got, without_usage(&sent), "{name}");
            assert!(!got.iter().any(|chunk| told(chunk).is_some() || has_no_choices(chunk)), "{name}: {got:?}");
        }
    }
}

/// vLLM's option: what it is so far, in each chunk; all of it, once, at the end.
#[tokio::test]
async fn r07_who_asks_for_it_all_along_is_told_all_along() {
    for (name, sent, mut got) in
        answers(r#""stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"#).await
    {
        if name != "never" {
            let last = got.pop().unwrap();
            assert!(has_no_choices(&last) && last.contains(&format!(r#""usage":{USAGE}"#)), "{name}: {last}");
        }
        let sent: Vec<_> = sent.into_iter().filter(|chunk| chunk.contains("\"index\"")).collect();
        assert_eq!(got, sent, "{name}");
    }
}

/// What an answer took is not told as if it were all of it.
#[tokio::test]
async fn r07_an_answer_that_breaks_off_has_no_last_chunk() {
    let events = [word(Some(EARLY)), last(USAGE)].map(|chunk| format!("data: {chunk}\n\n")).concat();
    let plays = vec![
        Play::whole(events.clone()),
        Play::new(Framing::Torn, [&events]),
        Play::whole(events + "data: {\"error\":{\"message\":\"overloaded\"}}\n\n"),
    ];
    for answer in Stage::new(plays).await.all(r#""stream":true,"stream_options":{"include_usage":true},"#).await {
        assert_eq!(broken(&answer), [word(None)]);
    }
}

async fn counted(host: &TestHost, input: u64, output: u64) {
    for (kind, tokens) in [("input", input), ("output", output)] {
        host.client()
            .until_metric(&format!("hauski_tokens_total{{kind=\"{kind}\",model=\"m0\"}} {tokens}"), SOON)
            .await;
    }
}

#[tokio::test]
async fn r08_usage_is_counted_once_whoever_asked() {
    let plays: Vec<_> = providers()
        .into_iter()
        .filter(|(name, _)| *name != "never")
        .map(|(_, chunks)| {
            let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
            Play::whole(events + "data: [DONE]\n\n")
        })
        .collect();
    let stage = Stage::new(plays.clone()).await;
    let (mut count, asked) = (0, [r#""stream":true,"#, r#""stream":true,"stream_options":{"include_usage":true},"#]);
    for members in asked {
        for case in 0..plays.len() {
            chunks(&stage.ask(case, members).await);
            count += 1;
            counted(&stage.host, count * 11, count * 7).await;
        }
    }
}

#[tokio::test]
async fn r08_usage_of_a_whole_answer_is_counted_and_kept() {
    let answer = format!(r#"{{"choices":[],"usage":{USAGE},"model":"t"}}"#);
    let bare = r#"{"choices":[{"index":0,"message":{"content":"\"usage\":{\"prompt_tokens\":5}"}}],"usage":null}"#;
    let stage = Stage::new(vec![Play::json(Framing::Length, &answer), Play::json(Framing::Length, bare)]).await;
    assert_eq!(stage.ask(0, "").await.text, answer);
    counted(&stage.host, 11, 7).await;
    assert_eq!(stage.ask(1, "").await.text, bare);
    counted(&stage.host, 11, 7).await;
}

/// Only what is said of usage is counted: what looks like it in a text is not.
#[tokio::test]
async fn r08_usage_in_a_text_is_none() {
    let text = format!(
        r#"{{{NAMES},"choices":[{{"index":0,"delta":{{"role":"assistant","content":"x","usage":{USAGE}}},"finish_reason":"stop"}}],"x_groq":{{"usage":{USAGE}}}}}"#
    );
    let stage = Stage::new(vec![Play::whole(format!("data: {text}\n\ndata: [DONE]\n\n"))]).await;
    assert_eq!(chunks(&stage.ask(0, r#""stream":true,"#).await), [text]);
    assert_eq!(stage.host.client().metrics("hauski_tokens_total").await, Vec::<String>::new());
}

#[tokio::test]
async fn r08_usage_of_an_answer_that_breaks_off_is_counted() {
    let events = [word(Some(EARLY)), last(USAGE)].map(|chunk| format!("data: {chunk}\n\n")).concat();
    let stage = Stage::new(vec![Play::whole(events)]).await;
    broken(&stage.ask(0, r#""stream":true,"#).await);
    counted(&stage.host, 11, 7).await;
}

/// A provider that says these chunks, by the number that the request names, and then nothing, without an end.
fn says_no_more(cases: Vec<Vec<String>>) -> Upstream {
    Upstream::start(move |conversation| {
        let request = conversation.request()?;
        let case = request.rsplit_once("\"case\":").and_then(|(_, rest)| rest.trim_end_matches('}').parse().ok());
        let events: String = cases[case.unwrap_or(0_usize)].iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        conversation.write(format!("{EVENTS}{events}"))?;
        conversation.closed_within(2 * SOON).map(drop)
    })
}

/// Asks, reads until `seen` has come, and leaves.
async fn leave(host: &TestHost, case: usize, seen: &str, members: &str) {
    let request = format!(r#"{{"model":"m0","messages":[],"stream":true,{members}"case":{case}}}"#);
    let mut response = host.client().open(http::Request::post(CHAT).body(request.into()).unwrap()).await.unwrap();
    let mut got = String::new();
    while !got.contains(seen) {
        let frame = tokio::time::timeout(SOON, response.body_mut().frame()).await.unwrap().unwrap().unwrap();
        got.push_str(str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    // What came behind it has reached the gateway by now.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn r08_usage_is_counted_where_the_client_leaves() {
    let cases = [
        (vec![word(None)], "content"),
        (vec![word(None), finish(Some(USAGE))], "stop"),
        (vec![word(None), finish(None), last(USAGE)], "stop"),
        (vec![last(USAGE), word(None)], "content"),
        (vec![word(Some(EARLY)), word(Some(USAGE))], "content"),
    ];
    let upstream = says_no_more(cases.iter().map(|(said, _)| said.clone()).collect());
    let host = gateway(&[&upstream]).start().await;
    let (mut left, mut told) = (0, 0);
    for members in ["", r#""stream_options":{"include_usage":true},"#] {
        for (case, (_, seen)) in cases.iter().enumerate() {
            leave(&host, case, seen, members).await;
            left += 1;
            let gone = "hauski_http_requests_total{method=\"POST\",path=\"/v1/chat/completions\",status=\"499\"}";
            host.client().until_metric(&format!("{gone} {left}"), SOON).await;
            told += u64::from(case > 0);
            if told > 0 {
                counted(&host, told * 11, told * 7).await;
            } else {
                assert_eq!(host.client().metrics("hauski_tokens_total").await, Vec::<String>::new());
            }
        }
    }
}
