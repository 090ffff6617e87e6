//! Rows 6 and 11: what the gateway need not understand goes through it byte for byte, both ways.

use super::ground::{ANSWER, CHAT, EVENTS, events, gateway};
use super::stage::{Framing, Play, Stage, chunks};
use hauski_tests::Upstream;
use http::StatusCode;

/// A first chunk with all that the gateway would add otherwise.
const FIRST: &str = r#"{"id":"a","created":1,"model":"t","choices":[{"index":0,"delta":{"role":"assistant","content":""}},{"index":1,"delta":{"role":"assistant"}},{"index":2,"delta":{"role":"assistant"}}]}"#;
const FINISH: &str = r#"{"id":"a","created":1,"model":"t","choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"length"},{"index":2,"finish_reason":"stop"}]}"#;

/// Values that a program which reads and writes JSON again would change.
const VALUES: &str = r#"[1.0, 1.50,1e400,-1E-400 ,-0,0.1000,18446744073709551615,-9223372036854775808,123456789012345678901234567890, 9007199254740993,"\u00e9\/\ud83d","\ude00é\u0000\u2028 ",{"b":1,"a":2,"b":3 ,"":{}},[[]],null,true]"#;

/// Chunks, with `~` for what all chunks have.
const CHUNKS: &[&str] = &[
    r#"{~,"choices":[{"index":0,"delta":{},"finish_reason":null}]}"#,
    r#"{~,"choices":[]}"#,
    r#"{~,"choices":[ ] }"#,
    r#"{~,"choices":null}"#,
    r#"{~}"#,
    r#"{~,"choices":[],"usage":null,"prompt_filter_results":[{"prompt_index":0}]}"#,
    r#"{~,"choices":[{"index":0,"delta":{"content":null},"finish_reason":null}],"usage":null}"#,
    r#"{~,"choices":[{"index":0,"delta":{"role":null,"content":"","tool_calls":[],"function_call":null}}]}"#,
    r#"{~,"choices":[{"index":0,"delta":null}]}"#,
    r#"{~,"choices":[{"index":0}]}"#,
    r#"{~,"choices":[{}]}"#,
    r#"{~,"choices":[{"index":null,"delta":{"content":"x"},"finish_reason":null,"content_filter_results":{}}]}"#,
    r#"  {  "choices" : [ { "delta" : { "content" : "x" } , "index" : 0 } ] , ~  }  "#,
    r#"{~,"error":null,"object":"chat.completion.chunk","service_tier":"default","system_fingerprint":null,"obfuscation":"aaaa"}"#,
    r#"{~,"choices":[{"index":0,"delta":{"content":"\"usage\" [DONE] \"error\":{}"}}],"x_groq":{"usage":{"prompt_tokens":9}}}"#,
    r#"{"unknown":^,~,"choices":[{"unknown":^,"index":0,"delta":{"unknown":^,"content":"\u00e9\ud83d"},"^":^}],"z":^}"#,
    r#"{~,"choices":[{"index":0,"delta":{"role":"assistant","content":"again"}}]}"#,
    r#"{~,"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"part"}],"audio":{"data":"AAAA"},"annotations":[]}}]}"#,
];

fn filled(chunk: &str) -> String {
    chunk.replace('~', r#""id":"a","created":1,"model":"t""#).replace("\"^\"", "\"\\u005e\"").replace('^', VALUES)
}

#[tokio::test]
async fn r06_what_is_unknown_passes_unchanged() {
    let mut streams: Vec<Vec<String>> =
        CHUNKS.iter().map(|chunk| vec![FIRST.to_owned(), filled(chunk), FINISH.to_owned()]).collect();
    let deep = format!("{{~,\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let wide: String = (0..500).map(|n| format!(",\"k{n}\":{n}.0")).collect();
    for odd in [deep, format!("{{~{wide}}}")] {
        streams.push(vec![FIRST.to_owned(), filled(&odd), FINISH.to_owned()]);
    }
    let all = CHUNKS.iter().map(|chunk| filled(chunk));
    streams.push([FIRST.to_owned()].into_iter().chain(all).chain([FINISH.to_owned()]).collect());
    let text = |stream: &Vec<String>| stream.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>();
    let plays = streams.iter().map(|stream| Play::whole(text(stream) + "data: [DONE]\n\n")).collect();
    let stage = Stage::new(plays).await;
    for members in [
        r#""stream":true,"n":3,"#,
        r#""stream":true,"n":3,"stream_options":{"include_usage":true},"#,
        r#""stream":true,"#,
    ] {
        for (answer, stream) in stage.all(members).await.iter().zip(&streams) {
            assert!(answer.complete, "{members} {:.3000}: {}", stream[1], answer.text);
            assert_eq!(&chunks(answer), stream);
        }
    }
}

/// Names that nobody has given are not made up, and nothing is taken for the end of a stream but its end.
#[tokio::test]
async fn r06_bare_chunks_pass_unchanged() {
    let bare = [
        "{}",
        r#"{"choices":[]}"#,
        r#"{"choices":null,"id":null}"#,
        r#"{"x":1e400}"#,
        r#"{"id":"","created":0,"model":""}"#,
    ];
    let streams = bare.map(|chunk| format!("data: {chunk}\n\ndata: [DONE]\n\n"));
    let answers = Stage::new(streams.map(Play::whole).into()).await.streams().await;
    for (answer, chunk) in answers.iter().zip(bare) {
        assert_eq!(chunks(answer), [chunk]);
    }
}

#[tokio::test]
async fn r06_a_whole_answer_passes_unchanged() {
    let mut answers: Vec<String> =
        CHUNKS.iter().map(|chunk| filled(&chunk.replace("\"delta\"", "\"message\""))).collect();
    answers.push("\r\n{ }\r\n".to_owned());
    answers.push(format!("{{\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000)));
    let plays = answers.iter().flat_map(|answer| {
        [Framing::Length, Framing::Chunked, Framing::Closed].map(|framing| (answer, Play::json(framing, answer)))
    });
    let (expected, plays): (Vec<_>, Vec<_>) = plays.unzip();
    for (got, expected) in Stage::new(plays).await.all("").await.iter().zip(expected) {
        assert_eq!((got.status, &got.text), (StatusCode::OK, expected));
        assert_eq!(got.headers["content-type"], "application/json");
    }
}

/// Members of chunks and messages that came with some model or other.
const SAID: &[&str] = &[
    r#""delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-9999.0,"bytes":[97],"top_logprobs":[{"token":"\u0120a","logprob":-1.0e-05,"bytes":null},{"token":"b","logprob":-0.0,"bytes":[]}]}],"refusal":null}"#,
    r#""delta":{"refusal":"I can't"},"logprobs":{"content":null,"refusal":[{"token":"I","logprob":-0.10,"bytes":[73],"top_logprobs":[]}]}"#,
    r#""delta":{"reasoning_content":"\nfirst, ","content":null}"#,
    r#""delta":{"reasoning":"then","reasoning_details":[{"type":"reasoning.encrypted","data":"gAAA=","index":0,"format":null}]}"#,
    r#""delta":{"thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"c2ln"}],"provider_specific_fields":{"b":1,"a":2}}"#,
    r#""delta":{"content":"{\"n\": 1e400, \"one\":1.0}"}"#,
];

#[tokio::test]
async fn r11_choices_and_what_is_said_beside_the_text_are_preserved() {
    let chunk = |index: usize, rest: &str| {
        format!(r#"{{"id":"a","created":1,"model":"t","choices":[{{"index":{index},{rest},"finish_reason":null}}]}}"#)
    };
    // Three choices that speak in turns, each with all of it.
    let mut stream = vec![FIRST.to_owned()];
    stream.extend((0..SAID.len() * 3).map(|at| chunk((at * 2) % 3, SAID[at / 3])));
    stream.push(FINISH.to_owned());
    let events: String = stream.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let play = Play::whole(events.clone() + "data: [DONE]\n\n");
    let closes = Play::whole(events);
    for answer in
        Stage::new(vec![play, closes]).await.all(r#""stream":true,"n":3,"logprobs":true,"top_logprobs":2,"#).await
    {
        assert_eq!(chunks(&answer), stream);
    }
}

#[tokio::test]
async fn r11_the_same_in_a_whole_answer() {
    let choice = |(index, said): (usize, &&str)| {
        let message = said.replacen("\"delta\":{", "\"message\":{\"role\":\"assistant\",", 1);
        format!(r#"{{"finish_reason":"stop","index":{index}, {message}}}"#)
    };
    let choices: Vec<_> = SAID.iter().enumerate().map(choice).collect();
    let answer = format!(r#"{{"choices":[{}],"model":"t","usage":{{"z":1.0}},"created":1}}"#, choices.join(", "));
    let stage = Stage::new(vec![Play::json(Framing::Length, &answer)]).await;
    assert_eq!(stage.ask(0, r#""n":6,"#).await.text, answer);
}

/// Bodies of requests. The only thing that changes is the value of the first `"m0"`.
fn requests() -> Vec<String> {
    let schema = r#"{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object","required":["zeta","alpha"],"properties":{"zeta":{"type":"number","maximum":1e400,"minimum":-1.0,"multipleOf":0.10},"alpha":{"enum":[1,1.0,"1",null,18446744073709551615,-9223372036854775808,123456789012345678901234567890]},"":{"const":-0}},"additionalProperties":false}}}"#;
    let odd = VALUES.replace(r#","b":3 "#, "");
    vec![
        format!(r#"{{"model":"m0","messages":[],"response_format":{schema}}}"#),
        format!(r#"{{"response_format":{schema},"n":3,"logprobs":true,"top_logprobs":20,"messages":[],"seed":9223372036854775807,"model":"m0"}}"#),
        format!("\r\n{{\t\"zeta\" : {odd} ,\n \"model\" :\r\"m0\" , \"messages\" : [ ] ,\"alpha\":{odd} }}\n"),
        r#"{"model":"m0","messages":[{"role":"user","content":"\ud83d\ude00 \ud83d \u0000 \/ é 😀","model":"m0"}],"metadata":{"model":"m0"}}"#.to_owned(),
        r#"{"messages":[{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1.0,\n\"b\":1e400}"}}],"reasoning_content":""},{"role":"tool","tool_call_id":"c","content":"\u2028"}],"model":"m0","tools":[{"type":"function","function":{"name":"f","strict":null,"parameters":{"z":{"$ref":"a"},"a":2.0}}}],"tool_choice":"auto","parallel_tool_calls":false}"#.to_owned(),
        r#"{"model":"m0","messages":[],"temperature":0.70,"top_p":1.0,"logit_bias":{"50256":-100,"10":1.50},"stop":["\n"],"unknown":{"options":{"num_ctx":1e3}},"user":null}"#.to_owned(),
    ]
}

#[tokio::test]
async fn r11_requests_reach_the_provider_byte_for_byte() {
    let upstream = Upstream::start(|conversation| {
        let request = conversation.request()?;
        if request.contains("\"stream\":true") {
            conversation.write(format!("{EVENTS}{}", events()))
        } else {
            conversation.answer("200 OK", "content-type: application/json\r\nconnection: close\r\n", ANSWER)
        }
    });
    let host = gateway(&[&upstream]).start().await;
    for request in requests() {
        let streamed =
            request.replacen('{', r#"{"stream":true,"stream_options":{"x":1.0, "include_usage" : true},"#, 1);
        for body in [request, streamed] {
            let answer = host.client().post(CHAT, body.clone()).await;
            assert_eq!(answer.status, StatusCode::OK, "{body}: {}", answer.text);
            let sent = upstream.requests().pop().unwrap();
            let (head, text) = sent.split_once("\r\n\r\n").unwrap();
            let expected = body.replacen("\"m0\"", "\"theirs\"", 1);
            assert_eq!(text, expected);
            assert!(head.to_ascii_lowercase().contains(&format!("content-length: {}", expected.len())), "{head}");
        }
    }
}
