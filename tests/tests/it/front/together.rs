//! Rows 28 and 29: one request's failure is its own, and streams never mix.

use super::ground::{CHAT, EVENTS, ask, gateway, good_stream, scripts};
use hauski_tests::Upstream;
use std::time::Duration;

#[tokio::test]
async fn r28_a_guest_that_fails_takes_nobody_with_it() {
    let upstream = Upstream::start(|conversation| {
        conversation.request()?;
        conversation.write(EVENTS)?;
        for event in super::ground::events().split_inclusive("\n\n") {
            std::thread::sleep(Duration::from_millis(300));
            conversation.write(event)?;
        }
        Ok(())
    });
    let mut builder = gateway(&[&upstream]).workers(1);
    for guest in ["traps", "spins", "allocates"] {
        builder = builder.guest(guest);
    }
    let host = builder.limit("cpu_ms", 200).start().await;
    let client = host.client();
    let slow = tokio::spawn(async move { client.post(CHAT, ask("m0", true)).await });
    for (guest, code) in
        [("traps", "adapter_trapped"), ("spins", "adapter_cpu_limit"), ("allocates", "adapter_memory_limit")]
    {
        for stream in [false, true] {
            let answer = host.client().post(CHAT, ask(guest, stream)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, code), "{}", answer.text);
        }
    }
    let answer = slow.await.unwrap();
    assert!(answer.complete && answer.text.ends_with("data: [DONE]\n\n"), "{}", answer.text);
    assert_eq!(
        host.client().metrics("hauski_breaker_state{model=\"traps\"}").await,
        ["hauski_breaker_state{model=\"traps\"} 0"]
    );
}

#[tokio::test]
async fn r29_many_streams_never_mix() {
    const STREAMS: usize = 120;
    const CHUNKS: usize = 15;
    let upstream = Upstream::start(|conversation| {
        let request = conversation.request()?;
        let name = request.rsplit("name-").next().unwrap_or_default().split('"').next().unwrap_or_default().to_owned();
        conversation.write(EVENTS)?;
        for at in 0..CHUNKS {
            let chunk = format!(
                r#"{{"id":"{name}","choices":[{{"index":0,"delta":{{"role":"assistant","content":"{name}:{at} "}}}}]}}"#
            );
            conversation.write(format!("data: {chunk}\n\n"))?;
            if at % 4 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        conversation.write("data: [DONE]\n\n")
    });
    let host = gateway(&[&upstream]).limit("instances", 200).limit("memory_mib", 4).start().await;
    let paths = [CHAT, "/v1/completions", "/v1/responses", "/v1/messages"];
    let streams = (0..STREAMS).map(|number| {
        let client = host.client();
        let path = paths[number % paths.len()];
        tokio::spawn(async move {
            let words = format!("name-{number}");
            let body = match path {
                "/v1/completions" => format!(r#"{{"model":"m0","stream":true,"prompt":"{words}"}}"#),
                "/v1/responses" => format!(r#"{{"model":"m0","stream":true,"input":"{words}"}}"#),
                _ => ask("m0", true).replace("\"hi\"", &format!("\"{words}\"")).replacen('{', "{\"max_tokens\":9,", 1),
            };
            (number, client.post(path, body).await)
        })
    });
    let streams: Vec<_> = streams.collect();
    for stream in streams {
        let (number, answer) = stream.await.unwrap();
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        let said = answer.text.match_indices(&format!("{number}:")).count();
        assert!(said >= CHUNKS, "{number}: {}", answer.text);
        for other in (0..STREAMS).filter(|other| *other != number) {
            assert!(!answer.text.contains(&format!("\"{other}:")), "{other} in {number}: {}", answer.text);
        }
    }
    assert_eq!(upstream.requests().len(), STREAMS);
}

#[tokio::test]
async fn r29_nor_do_they_on_one_connection() {
    let upstream = scripts(vec![good_stream]);
    let host = gateway(&[&upstream]).start().await;
    let body = ask("m0", true);
    let request = |last: &str| {
        format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{last}content-length: {}\r\n\r\n{body}", body.len())
    };
    let pipelined = format!("{}{}{}", request(""), request(""), request("connection: close\r\n"));
    let answers = host.client().raw(pipelined).await;
    assert_eq!((answers.matches("HTTP/1.1 200").count(), answers.matches("data: [DONE]").count()), (3, 3), "{answers}");
}
