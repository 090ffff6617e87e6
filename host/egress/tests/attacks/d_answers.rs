//! D: answers that lie about where they end, never end, or say too much. A connection that is not clean is not used again.

use crate::upstream::{HELLO, Upstream};
use crate::world::{World, limits, read};
use hauski_egress::EgressError;
use hauski_policy::AdapterLimits;
use std::thread::sleep;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(100);
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn world(upstream: &Upstream) -> (World, String) {
    let url = format!("http://127.0.0.1:{}/", upstream.port());
    (World::new(&[&format!(r#"{{ url: "{url}", adapters: [a] }}"#)]), format!("GET {url}"))
}

/// Answers the first request of each connection with `answer`, and then says nothing more.
fn once(answer: impl Into<String>) -> Upstream {
    let answer = answer.into();
    Upstream::start(move |conn, _| {
        conn.request();
        conn.write(&answer);
    })
}

/// What the body of `answer` is, or the code of the error. The provider closes behind it.
async fn outcome(answer: &str) -> Result<String, &'static str> {
    let upstream = once(answer);
    let (world, url) = world(&upstream);
    let got = world.get(&world.caller("a"), &url).await.map_err(|error| error.code());
    assert_eq!((upstream.connections(), world.log.finished().len()), (1, 1));
    got
}

#[tokio::test]
async fn d09_heads_that_are_too_large() {
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x: {}\r\n", "1".repeat(70_000));
    let name = format!("{}: 1\r\n", "x".repeat(70_000));
    let million = "x: 1\r\n".repeat(1_000_000);
    for fields in [many, long, name, million] {
        assert_eq!(outcome(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).await, Err("response-head"));
    }
}

#[tokio::test]
async fn d11_an_endless_body_ends_at_the_cap() {
    for (head, piece) in [
        (CHUNKED, format!("1000\r\n{}\r\n", "x".repeat(0x1000))),
        ("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(0x1000)),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", "data: without an end ".repeat(100)),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", "\0".repeat(0x1000)),
    ] {
        let upstream = Upstream::start(move |conn, _| {
            conn.request();
            conn.write(head);
            while conn.write(&piece) {}
        });
        let (world, url) = world(&upstream);
        let caller = world.caller_under("a", AdapterLimits { response_bytes: 10_000, ..limits() });
        let got = world.get(&caller, &url).await;
        assert!(matches!(got, Err(EgressError::ResponseTooLarge { limit: 10_000 })), "{got:?}");
        tokio::task::yield_now().await;
        upstream.wait_for_a_close();
        let finished = world.log.finished().pop().unwrap();
        assert_eq!(finished.end, "response-too-large");
        assert!(finished.bytes_in <= 10_000);
    }
}

#[tokio::test]
async fn d11_a_bomb_is_handed_on_as_it_is() {
    // A few bytes that would be many: nothing here unpacks them, so they count as what they are.
    let bomb = "x".repeat(1000);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1000\r\n\r\n{bomb}");
    assert_eq!(outcome(&answer).await, Ok(bomb));
}

#[tokio::test]
async fn d11_a_body_that_says_it_is_too_large_is_not_begun() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 10001\r\n\r\n");
    let (world, url) = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { response_bytes: 10_000, ..limits() });
    let got = world.send(&caller, &url).await;
    assert!(matches!(got, Err(EgressError::ResponseTooLarge { limit: 10_000 })), "{got:?}");
    // There is nothing of it in an answer to HEAD.
    assert!(world.send(&caller, &url.replace("GET", "HEAD")).await.is_ok());
}

const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

#[tokio::test]
async fn d19_what_is_left_over_is_no_answer_to_the_next_request() {
    for (method, answer, body) in [
        ("GET", HELLO, "hello"),
        ("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello", ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello", ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ""),
        ("HEAD", HELLO, ""),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", ""),
    ] {
        for later in [false, true] {
            let upstream = Upstream::start(move |conn, _| {
                conn.request();
                if later {
                    conn.write(answer);
                    sleep(Duration::from_millis(5));
                    conn.write(EVIL);
                } else {
                    conn.write(&format!("{answer}{EVIL}"));
                }
                while !conn.sees_the_end() {}
            });
            let (world, url) = world(&upstream);
            let url = url.replace("GET", method);
            for round in 1..=5 {
                assert_eq!(world.get(&world.caller("a"), &url).await.unwrap(), body, "{method} {answer:?} {later}");
                // The connection is open until what is left over has come.
                while later && !upstream.has_closed() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(upstream.connections(), round, "{method} {answer:?} {later}");
            }
            assert!(world.log.reused().iter().all(|reused| !reused), "{method} {answer:?} {later}");
        }
    }
}

#[tokio::test]
async fn d20_lengths_that_can_be_read_in_two_ways() {
    for fields in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 6\r\ncontent-length: 5\r\n",
        "content-length: 5, 6\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5 5\r\n",
        "content-length: 5;x\r\n",
        "content-length: 5.0\r\n",
        "content-length: \r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length: \u{665}\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\nhello");
        assert_eq!(outcome(&answer).await, Err("broken"), "{fields:?}");
    }
}

#[tokio::test]
async fn d21_heads_that_can_be_read_in_two_ways() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length : 5\r\n",
        "HTTP/1.1 200 OK\r\n content-length: 5\r\n",
        "HTTP/1.1 200 OK\r\nx-a: 1\r\n folded: 2\r\ncontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\nx-a: 1\r\n\tcontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\nx-a: 1\rcontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\nx-a: a\0b\r\ncontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\nx-a\r\ncontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\n: 1\r\ncontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\nx a: 1\r\ncontent-length: 5\r\n",
        "HTTP/1.1 20 OK\r\ncontent-length: 5\r\n",
        "HTTP/1.1 2000 OK\r\ncontent-length: 5\r\n",
        "HTTP/1.1 099 OK\r\ncontent-length: 5\r\n",
        "HTTP/1.1 +20 OK\r\ncontent-length: 5\r\n",
        "HTTP/1.2 200 OK\r\ncontent-length: 5\r\n",
        "HTTP/2.0 200 OK\r\ncontent-length: 5\r\n",
        "HTTP/1.10 200 OK\r\ncontent-length: 5\r\n",
        "http/1.1 200 OK\r\ncontent-length: 5\r\n",
        " HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
        "ICY 200 OK\r\ncontent-length: 5\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\0\0\0\u{4}\0\0\0\0\0",
    ] {
        assert_eq!(outcome(&format!("{head}\r\nhello")).await, Err("broken"), "{head:?}");
    }
}

#[tokio::test]
async fn d22_chunks_that_can_be_read_in_two_ways() {
    for body in [
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";x\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;x\nx\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\nx-a: 1\r\n",
    ] {
        assert_eq!(outcome(&format!("{CHUNKED}{body}")).await, Err("broken"), "{body:?}");
    }
    // One way to read it: what the chunks say, to the last byte.
    for body in [
        "5\r\nhello\r\n0\r\n\r\n",
        "5;x=\"y\"\r\nhello\r\n0\r\n\r\n",
        "05\r\nhello\r\n000\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ] {
        assert_eq!(outcome(&format!("{CHUNKED}{body}")).await, Ok("hello".into()), "{body:?}");
    }
}

#[tokio::test]
async fn d23_chunks_and_a_length() {
    // The chunks hold, in whichever order they are named, and with them the end: what follows is nobody's answer.
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for fields in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 99\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{chunks}{EVIL}");
        assert_eq!(outcome(&answer).await, Ok("hello".into()), "{fields:?}");
    }
    // Where the chunks do not come last, the end of the connection is the end, and it is not used again.
    for coding in ["chunked, identity", "gzip", "identity", "chunked, gzip"] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n{chunks}");
        assert_eq!(outcome(&answer).await, Ok(chunks.into()), "{coding}");
    }
}

#[tokio::test]
async fn d24_answers_before_the_answer() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\nx-early: 1\r\n\r\n";
    let upstream = once(format!("HTTP/1.1 100 Continue\r\n\r\n{}{HELLO}", early.repeat(3)));
    let (world, url) = world(&upstream);
    let response = world.send(&world.caller("a"), &url).await.unwrap();
    assert_eq!((response.status.as_u16(), response.headers.get("x-early")), (200, None));
    assert_eq!(read(response).await.unwrap(), "hello");
}

#[tokio::test]
async fn d25_a_head_that_drips() {
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\n");
        while conn.write("x-a: 1\r\n") && conn.wait() {}
    });
    let (world, url) = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { first_token: SHORT, ..limits() });
    assert_eq!(world.get(&caller, &url).await.unwrap_err().code(), "first-byte-timeout");
    assert_eq!(world.log.ends(), ["first-byte-timeout"]);
    tokio::task::yield_now().await;
    upstream.wait_for_a_close();
}

#[tokio::test]
async fn d26_what_stands_round_chunks_is_bounded() {
    let wide = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1 << 20));
    let often = "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nx\r\n".repeat(10_000) + "0\r\n\r\n";
    let trailers = format!("5\r\nhello\r\n0\r\n{}\r\n", "x-a: 1\r\n".repeat(100_000));
    for body in [wide, often, trailers] {
        assert_eq!(outcome(&format!("{CHUNKED}{body}")).await, Err("broken"), "{:.20}", body);
    }
    // The largest size that is one: no memory is set aside for it, and what comes counts.
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write(&format!("{CHUNKED}fffffffffffffff\r\n"));
        while conn.write(&"x".repeat(0x1000)) {}
    });
    let (world, url) = world(&upstream);
    let got = world.get(&world.caller("a"), &url).await;
    assert!(matches!(got, Err(EgressError::ResponseTooLarge { .. })), "{got:?}");
}

#[tokio::test]
async fn d27_who_does_not_say_that_it_stays_open_is_left() {
    for (head, kept) in [
        ("HTTP/1.0 200 OK\r\n", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n", true),
        ("HTTP/1.1 200 OK\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n", false),
        ("HTTP/1.1 200 OK\r\nconnection: keep-alive, close\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: CLOSE\r\n", false),
    ] {
        let upstream = Upstream::answering(format!("{head}content-length: 5\r\n\r\nhello").leak());
        let (world, url) = world(&upstream);
        for _ in 0..3 {
            assert_eq!(world.get(&world.caller("a"), &url).await.unwrap(), "hello");
        }
        assert_eq!(upstream.connections(), if kept { 1 } else { 3 }, "{head:?}");
    }
}
