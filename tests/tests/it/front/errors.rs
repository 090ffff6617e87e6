//! Rows 13 to 16: what providers do wrong before and after the first byte, and what is tried again.

use super::ground::{ANSWER, CHAT, EVENTS, ask, events, gateway, good, good_stream, reset, scripts, unavailable};
use hauski_tests::{Answer, Upstream};

/// Asks a gateway before `upstream` for a whole answer and for a stream.
async fn both(upstream: impl Fn() -> Upstream) -> [(Answer, usize); 2] {
    let mut answers = Vec::new();
    for stream in [false, true] {
        let upstream = upstream();
        let host = gateway(&[&upstream]).start().await;
        let answer = host.client().post(CHAT, ask("m0", stream)).await;
        answers.push((answer, upstream.connections()));
    }
    answers.try_into().unwrap_or_else(|_| panic!("two answers"))
}

fn of_status(status: &'static str, fields: &'static str, body: &'static str) -> impl Fn() -> Upstream {
    move || {
        Upstream::start(move |conversation| {
            conversation.request()?;
            conversation.answer(status, &format!("connection: close\r\n{fields}"), body)
        })
    }
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn r13_before_the_first_byte_errors_keep_their_status() {
    let own = r#"{"error":{"message":"theirs","type":"t","param":"temperature","code":"c"}}"#;
    for (status, expected, code) in [
        ("400 Bad Request", 400, "c"),
        ("402 Payment Required", 402, "c"),
        ("404 Not Found", 404, "c"),
        ("409 Conflict", 409, "c"),
        ("413 Content Too Large", 413, "c"),
        ("422 Unprocessable Content", 422, "c"),
        ("451 Unavailable For Legal Reasons", 451, "c"),
        ("500 Internal Server Error", 502, "c"),
        ("529 Overloaded", 502, "c"),
    ] {
        for (answer, _) in both(of_status(status, JSON, own)).await {
            assert_eq!(answer.status.as_u16(), expected, "{status}: {}", answer.text);
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(answer.code(), code, "{status}: {}", answer.text);
            assert!(answer.json()["error"]["message"].as_str().unwrap().contains("theirs"), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn r13_retry_after_is_kept() {
    for (fields, value) in [
        ("content-type: application/json\r\nretry-after: 17\r\n", "17"),
        (
            "content-type: application/json\r\nretry-after: Fri, 21 Oct 2146 07:28:00 GMT\r\n",
            "Fri, 21 Oct 2146 07:28:00 GMT",
        ),
    ] {
        for (answer, connections) in
            both(of_status("429 Too Many Requests", fields, r#"{"error":{"message":"slow"}}"#)).await
        {
            assert_eq!((answer.status.as_u16(), connections), (429, 1), "{}", answer.text);
            assert_eq!(answer.headers["retry-after"], value);
        }
    }
}

#[tokio::test]
async fn r14_after_the_first_byte_a_break_is_an_error_event_and_an_aborted_body() {
    let whole = format!("{EVENTS}{}", events());
    // Between the first event and the finish reason: every cut is a break.
    let first = whole.find("\n\n").unwrap_or_default() + EVENTS.len();
    let (begin, end) = (whole.find("hel").unwrap_or_default() + 40, whole.find("\"stop\"").unwrap_or_default());
    assert!(first > 0 && begin < end);
    for cut in (begin..end).step_by(7) {
        let part = whole[..cut].to_owned();
        let upstream = Upstream::start(move |conversation| {
            conversation.request()?;
            conversation.write(&part)
        });
        let host = gateway(&[&upstream]).start().await;
        let answer = host.client().post(CHAT, ask("m0", true)).await;
        if answer.status.as_u16() == 502 {
            // Nothing was said yet.
            assert!(cut < whole.find("\n\ndata").unwrap() + 2, "{cut}: {}", answer.text);
            continue;
        }
        assert_eq!((answer.status.as_u16(), answer.complete), (200, false), "{cut}: {}", answer.text);
        let last = answer.events().pop().unwrap();
        assert!(
            last.starts_with(r#"{"error":{"message":"#) && !answer.text.contains("[DONE]"),
            "{cut}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn r15_other_bodies_with_a_good_status_are_errors() {
    for (fields, body) in [
        ("content-type: text/html\r\n", "<html>sign in</html>"),
        (JSON, "<html>sign in</html>"),
        (JSON, r#"{"error":{"message":"no such model","code":"c"}}"#),
        (JSON, r#"{"error":"plain words"}"#),
        (JSON, "[]"),
        (JSON, ""),
        ("", ""),
    ] {
        for (answer, _) in both(of_status("200 OK", fields, body)).await {
            assert_eq!(answer.status.as_u16(), 502, "{body}: {}", answer.text);
            assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text);
        }
    }
    let [(whole, _), (streamed, _)] = both(of_status("200 OK", JSON, ANSWER)).await;
    assert_eq!(whole.content(), "hello");
    assert_eq!(streamed.status.as_u16(), 502, "whole though a stream was asked for: {}", streamed.text);
}

#[tokio::test]
async fn r16_truncated_bodies_are_502_and_tried_once() {
    for body in [
        "content-length: 400\r\n\r\n{\"id\":\"x\",\"choices\":[",
        "transfer-encoding: chunked\r\n\r\n20\r\n{\"id\":\"x\",\"choices\":[",
        "transfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
        "transfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let upstream = Upstream::start(move |conversation| {
            conversation.request()?;
            conversation.write(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{body}"))
        });
        let host = gateway(&[&upstream]).start().await;
        let answer = host.client().post(CHAT, ask("m0", false)).await;
        assert_eq!((answer.status.as_u16(), upstream.connections()), (502, 1), "{body}: {}", answer.text);
    }
}

#[tokio::test]
async fn r16_what_ends_before_an_answer_is_tried_once_more() {
    for stream in [false, true] {
        let answered = if stream { good_stream } else { good };
        for (first, second, status, connections) in [
            (reset as fn(&mut _) -> _, answered as fn(&mut _) -> _, 200, 2),
            (unavailable, answered, 200, 2),
            (reset, reset, 502, 2),
            (unavailable, unavailable, 502, 2),
        ] {
            let upstream = scripts(vec![first, second]);
            let host = gateway(&[&upstream]).start().await;
            let answer = host.client().post(CHAT, ask("m0", stream)).await;
            assert_eq!((answer.status.as_u16(), upstream.connections()), (status, connections), "{}", answer.text);
            if status == 200 {
                assert_eq!(answer.text.matches("hel").count(), 1, "nothing is said twice: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn r16_a_stream_that_has_begun_is_never_begun_again() {
    let upstream = scripts(vec![
        |conversation| {
            conversation.request()?;
            conversation.write(format!("{EVENTS}{}", &events()[..200]))
        },
        good_stream,
    ]);
    let host = gateway(&[&upstream]).start().await;
    let answer = host.client().post(CHAT, ask("m0", true)).await;
    assert_eq!((answer.complete, upstream.connections()), (false, 1), "{}", answer.text);
    assert_eq!(answer.text.matches("hel").count(), 1, "{}", answer.text);
}

#[tokio::test]
async fn r16_tries_can_be_forbidden() {
    let upstream = scripts(vec![reset, good]);
    let host = gateway(&[&upstream]).limit("retries", 0).start().await;
    let answer = host.client().post(CHAT, ask("m0", false)).await;
    assert_eq!((answer.status.as_u16(), upstream.connections()), (502, 1), "{}", answer.text);
}
