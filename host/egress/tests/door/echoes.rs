//! F03: what a provider echoes of the secret that was attached comes back as `*`, in heads and bodies, however it is cut.

use crate::upstream::{Conn, HELLO, Upstream};
use crate::world::{World, limits, read};
use bytes::Bytes;
use hauski_egress::{EgressError, InvalidRequest, Response};
use hauski_policy::AdapterLimits;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::sync::{Mutex, mpsc};
use std::thread::sleep;
use std::time::Duration;

const SECRET: &str = "sk-12345";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// A grant for `/v1/` that attaches the secret, and one for `/open/` that attaches nothing.
fn world(upstream: &Upstream) -> (World, String) {
    let base = format!("http://127.0.0.1:{}", upstream.port());
    let world = World::new(&[
        &format!(
            r#"{{ url: "{base}/v1/", adapters: [a], secret: {{ header: authorization, value: "Bearer ${{env:KEY}}" }} }}"#
        ),
        &format!(r#"{{ url: "{base}/open/", adapters: [a] }}"#),
    ]);
    (world, format!("GET {base}/v1/x"))
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Answers each request with `pieces`, each a write of its own.
fn writing(pieces: Vec<String>) -> Upstream {
    Upstream::start(move |conn, _| {
        while conn.request().is_some() {
            for piece in &pieces {
                conn.write(piece);
                sleep(Duration::from_millis(3));
            }
        }
    })
}

fn field(response: &Response, name: &str) -> String {
    response.headers[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn f03_in_heads_and_bodies() {
    let body = r#"{"error":"bad key sk-12345","sent":"Bearer sk-12345"}"#;
    let answer = format!(
        "HTTP/1.1 401 No\r\nx-echo: Bearer sk-12345\r\nlocation: /?key=sk%2d12345&x\r\nx-sk-12345: 1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let upstream = Upstream::answering(answer.leak());
    let (world, url) = world(&upstream);
    for _ in 0..3 {
        let response = world.send(&world.caller("a"), &url).await.unwrap();
        assert_eq!(field(&response, "x-echo"), "*".repeat(15));
        assert_eq!(field(&response, "location"), "/?key=**********&x");
        assert_eq!(field(&response, "content-length"), body.len().to_string());
        assert!(!response.headers.contains_key("x-sk-12345"));
        assert!(!format!("{response:?}").contains(SECRET));
        assert_eq!(read(response).await.unwrap(), r#"{"error":"bad key ********","sent":"***************"}"#);
    }
    // The connection is used again.
    assert_eq!((upstream.connections(), world.log.ends()), (1, vec!["complete"; 3]));
    // Another entry has another secret, or none.
    let open = world.send(&world.caller("a"), &url.replace("/v1/", "/open/")).await.unwrap();
    assert_eq!(field(&open, "x-echo"), "Bearer sk-12345");
    assert_eq!(read(open).await.unwrap(), body);
}

#[tokio::test]
async fn f03_split_over_writes() {
    let echo = "a Bearer sk-12345 b sk-12345sk-1234";
    let expected = "a *************** b ********sk-1234";
    for size in [1, 2, 3, 7] {
        let pieces: Vec<_> = echo.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        let known = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", echo.len());
        let sized = [vec![known], pieces.iter().map(|piece| (*piece).to_owned()).collect()].concat();
        let chunks = pieces.iter().map(|piece| chunk(piece)).collect();
        let chunked = [vec![CHUNKED.to_owned()], chunks, vec!["0\r\n\r\n".to_owned()]].concat();
        for writes in [sized, chunked] {
            let upstream = writing(writes);
            let (world, url) = world(&upstream);
            let caller = world.caller("a");
            assert_eq!(world.get(&caller, &url).await.unwrap(), expected);
            let body = world.send(&caller, &url).await.unwrap().body;
            assert_eq!(body.collect().await.unwrap().to_bytes(), expected);
            assert_eq!((upstream.connections(), world.log.ends()), (1, vec!["complete"; 2]), "{size}");
            assert_eq!(world.log.finished()[0].bytes_in, echo.len() as u64);
        }
    }
}

#[tokio::test]
async fn f03_in_a_stream_of_events() {
    let events = ["data: {\"t\":\"\\u0073k-12345\"}\n\n", "data: sk-1", "2345\n\n", "data: [DONE]\n\n"];
    let upstream = writing(
        [vec![CHUNKED.to_owned()], events.iter().map(|event| chunk(event)).collect(), vec!["0\r\n\r\n".to_owned()]]
            .concat(),
    );
    let (world, url) = world(&upstream);
    let got = world.get(&world.caller("a"), &url).await.unwrap();
    assert_eq!(got, "data: {\"t\":\"*************\"}\n\ndata: ********\n\ndata: [DONE]\n\n");
}

#[tokio::test]
async fn f03_as_others_write_it() {
    for (secret, written) in [
        ("key/+\"\\==", r#"key\/+\"\\=="#),
        ("key/+\"\\==", r#"key/\u002B\u0022\u005c\u003d="#),
        ("key/+\"\\==", r#"key\\/+\\\"\\\\=="#),
        ("key/+\"\\==", "key%2F%2b%22%5C=%3D"),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n<{written}>", written.len() + 2);
        let upstream = Upstream::answering(answer.leak());
        let (world, url) = world(&upstream);
        let env = |_: &str| Some(secret.into());
        let read = |_: &std::path::Path| Ok(Vec::new());
        let secrets = hauski_egress::Secrets::load(&world.grants, &env, &read).unwrap();
        world.shared.set_policy(world.shared.policy().egress.clone(), secrets);
        let expected = format!("<{}>", "*".repeat(written.len()));
        assert_eq!(world.get(&world.caller("a"), &url).await.unwrap(), expected);
    }
}

/// An upstream that writes the head, and then each chunk when it is told to.
fn on_demand(pieces: &'static [&'static str]) -> (Upstream, mpsc::Sender<()>) {
    let (go, gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let serve = move |conn: &mut Conn, _| {
        conn.request();
        conn.write(CHUNKED);
        for piece in pieces {
            if gone.lock().unwrap().recv().is_err() {
                return;
            }
            conn.write(&chunk(piece));
        }
        while !conn.sees_the_end() {}
    };
    (Upstream::start(serve), go)
}

#[tokio::test]
async fn f03_lines_come_at_once() {
    let (upstream, go) = on_demand(&["data: a\n\n", "the end is sk-1", "2x", "\n", "sk", "-12345\nB"]);
    for path in ["/v1/", "/open/"] {
        let (world, url) = world(&upstream);
        let mut body = world.send(&world.caller("a"), &url.replace("/v1/", path)).await.unwrap().body;
        let expected = if path == "/open/" {
            &[
                (1, "data: a\n\n", 0),
                (1, "the end is sk-1", 0),
                (1, "2x", 0),
                (1, "\n", 0),
                (1, "sk", 0),
                (1, "-12345\nB", 0),
            ]
        } else {
            &[(1, "data: a\n\n", 0), (3, "the end is sk-12x\n", 0), (2, "********\n", 1)][..]
        };
        for (writes, piece, held) in expected {
            (0..*writes).for_each(|_| go.send(()).unwrap());
            assert_eq!(body.read().await.unwrap().unwrap(), *piece);
            assert_eq!(body.size_hint().lower(), *held, "{piece}");
        }
    }
    assert_eq!(upstream.connections(), 2);
}

/// An adapter has the provider echo what it believes to be the key, and learns no more than whether all of it is right.
#[tokio::test]
async fn f03_pieces_do_not_tell_whether_a_guess_begins_right() {
    for guesses in
        [["sk-12345", "sk-12344", "sk-xxxxx", "xxxxxxxx"], ["s\\u006b-", "s\\u006bx", "x\\u006b-", "x\\u0079-"]]
    {
        let mut seen = Vec::new();
        for guess in guesses {
            let (begin, rest) = guess.split_at(7);
            let long = "y".repeat(300);
            let pieces =
                [format!("a\n{begin}"), rest.to_owned(), format!("{long}{guess}"), format!("{begin}\n{guess}")];
            let chunks = pieces.iter().map(|piece| chunk(piece)).collect();
            let upstream = writing([vec![CHUNKED.to_owned()], chunks, vec!["0\r\n\r\n".to_owned()]].concat());
            let (world, url) = world(&upstream);
            let mut body = world.send(&world.caller("a"), &url).await.unwrap().body;
            let (mut sizes, mut text) = (Vec::new(), String::new());
            while let Some(piece) = body.read().await.unwrap() {
                sizes.push((piece.len(), body.size_hint().lower()));
                text += std::str::from_utf8(&piece).unwrap();
            }
            assert_eq!(text, pieces.concat().replace(SECRET, "********"), "{guess}");
            seen.push(sizes);
        }
        assert!(seen[0].len() > 3 && seen.iter().all(|sizes| *sizes == seen[0]), "{seen:?}");
    }
}

#[tokio::test]
async fn f03_what_is_held_back_counts_and_waits_like_the_rest() {
    let short = Duration::from_millis(600);
    let (upstream, go) = on_demand(&["sk-1234"]);
    let (world, url) = world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { idle: short, ..limits() });
    let mut body = world.send(&caller, &url).await.unwrap().body;
    go.send(()).unwrap();
    assert_eq!(body.read().await.unwrap_err().code(), "idle-timeout");
    assert_eq!(body.size_hint().exact(), Some(0));
    assert_eq!(world.log.finished()[0].bytes_in, 7);

    let upstream = writing(vec![CHUNKED.to_owned(), chunk("sk-1"), chunk("234")]);
    let (world, url) = self::world(&upstream);
    let caller = world.caller_under("a", AdapterLimits { response_bytes: 6, ..limits() });
    assert_eq!(world.get(&caller, &url).await.unwrap_err().code(), "response-too-large");

    // Where the body breaks off, what was held back is not handed on.
    let upstream = Upstream::start(|conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nab\nsk-1234");
    });
    let (world, url) = self::world(&upstream);
    let mut body = world.send(&world.caller("a"), &url).await.unwrap().body;
    assert_eq!(body.read().await.unwrap().unwrap(), "ab\n");
    assert_eq!(body.size_hint().exact(), Some(17));
    assert_eq!(body.read().await.unwrap_err().code(), "broken");
}

#[tokio::test]
async fn f03_nothing_may_hide_an_echo() {
    let upstream = Upstream::answering(HELLO);
    let (mut world, url) = world(&upstream);
    let caller = world.caller("a");
    let open = url.replace("/v1/", "/open/");
    world.fields = vec![("Accept-Encoding", "gzip")];
    world.get(&caller, &url).await.unwrap();
    world.get(&caller, &open).await.unwrap();
    let lines = |request: &str| -> Vec<String> {
        request.lines().filter(|line| line.starts_with("accept-encoding")).map(str::to_owned).collect()
    };
    let requests = upstream.requests();
    assert_eq!([lines(&requests[0]), lines(&requests[1])], [["accept-encoding: identity"], ["accept-encoding: gzip"]]);
    world.fields = vec![("Range", "bytes=0-3")];
    world.get(&caller, &open).await.unwrap();
    let refused = world.send(&caller, &url).await;
    assert!(matches!(refused, Err(EgressError::InvalidRequest(InvalidRequest::Partial(_)))), "{refused:?}");
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn f03_an_encoded_answer_is_an_error_where_there_is_a_secret() {
    for (coding, plain) in [
        ("content-encoding: gzip\r\ncontent-length: 5\r\n", false),
        ("content-encoding: identity\r\ncontent-length: 5\r\n", true),
        ("transfer-encoding: gzip\r\nconnection: close\r\n", false),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{coding}\r\nhello");
        let upstream =
            Upstream::start(
                move |conn, _| {
                    while conn.request().is_some() && conn.write(&answer) && !answer.contains("close") {}
                },
            );
        let (world, url) = world(&upstream);
        let got = world.get(&world.caller("a"), &url).await;
        assert_eq!(got.map_err(|error| error.code()), if plain { Ok("hello".into()) } else { Err("unreadable") });
        let open = world.get(&world.caller("a"), &url.replace("/v1/", "/open/")).await;
        assert_eq!(Bytes::from(open.unwrap()), "hello", "{coding}");
    }
}
