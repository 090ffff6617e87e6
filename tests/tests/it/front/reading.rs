//! Rows 1 to 3: the same events however a provider writes them, and however they arrive.

use super::ground::{CHAT, ask, gateway};
use super::stage::{Framing, Play, Stage, broken, chunks};
use hauski_tests::Upstream;
use http_body_util::BodyExt;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

const FIRST: &str = r#"{"id":"a","created":1,"model":"t","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
const SECOND: &str = r#"{"id":"a","created":1,"model":"t","choices":[{"index":0,"delta":{"content":"é€😀\u2028"},"finish_reason":null}]}"#;
const FINISH: &str = r#"{"id":"a","created":1,"model":"t","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
/// A chunk of two lines: a reader that takes one line's end for two makes two events of it.
const LINES: &str = "{\"id\":\"a\",\"created\":1,\"model\":\"t\",\"é\":\n\"😀\"}";
const ENDS: [&str; 3] = ["\n", "\r\n", "\r"];
/// Long enough for what was written to be read before more comes, mostly.
const MOMENT: Duration = Duration::from_millis(2);

/// Asks for all plays and wants of each the chunks that come with it.
async fn check(cases: Vec<(Play, Vec<&str>)>) {
    let (plays, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let answers = Stage::new(plays.clone()).await.streams().await;
    for ((answer, expected), play) in answers.iter().zip(expected).zip(plays) {
        let wire = String::from_utf8_lossy(&play.wire().concat()).into_owned();
        assert!(answer.complete, "{wire:.2000?}: {:.2000}", answer.text);
        assert_eq!(chunks(answer), expected, "{wire:.2000?}");
    }
}

/// How a line and the blank line after it may end. LF after CR would be one end, not two.
fn two_ends() -> impl Iterator<Item = (&'static str, &'static str)> {
    let pairs = ENDS.iter().flat_map(|line| ENDS.iter().map(|blank| (*line, *blank)));
    pairs.filter(|(line, blank)| !(line.ends_with('\r') && blank.starts_with('\n')))
}

/// Each mixture of line ends and of spaces.
fn mixtures() -> Vec<String> {
    let mut streams = Vec::new();
    let (above, below) = LINES.split_once('\n').unwrap();
    for (a, b) in two_ends() {
        for (c, d) in two_ends() {
            for (x, y) in [("", " "), (" ", "")] {
                let events = format!("data:{x}{FIRST}{a}{b}data:{y}{above}{b}data:{x}{below}{c}{d}");
                streams.push(format!("{events}data:{y}{FINISH}{c}{d}data:{x}[DONE]{a}{b}"));
            }
        }
    }
    streams
}

#[tokio::test]
async fn r01_line_ends_and_spaces_in_each_mixture() {
    let streams = mixtures();
    assert!(streams.len() > 80, "{}", streams.len());
    let cases = streams.iter().flat_map(|stream| {
        let at_cr: Vec<_> = stream.split_inclusive('\r').collect();
        let at_lf: Vec<_> = stream.split_inclusive('\n').collect();
        [vec![stream.as_str()], at_cr, at_lf].map(|pieces| Play::new(Framing::Chunked, pieces))
    });
    check(cases.map(|play| (play, vec![FIRST, LINES, FINISH])).collect()).await;
}

#[tokio::test]
async fn r01_a_line_end_over_two_reads() {
    let lines = LINES.replace('\n', "\r\ndata:");
    let stream = format!("data: {FIRST}\r\n\r\ndata:{lines}\r\n\r\n\r\ndata: {FINISH}\r\n\r\ndata:[DONE]\r\n\r\n");
    let pieces: Vec<_> = stream.split_inclusive('\r').collect();
    let plays = [Framing::Closed, Framing::Chunked, Framing::Length]
        .map(|framing| Play::new(framing, &pieces).slowly(10 * MOMENT));
    check(plays.map(|play| (play, vec![FIRST, LINES, FINISH])).into()).await;
}

/// Whether LF follows is not waited for.
#[tokio::test]
async fn r01_a_lone_cr_ends_an_event_at_once() {
    for end in ["\r\r", "\n\r", "\r\n\r"] {
        let (go_on, wait) = channel();
        let wait = Mutex::new(wait);
        let upstream = Upstream::start(move |conversation| {
            conversation.request()?;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            conversation.write(format!("{head}data: {FIRST}{end}"))?;
            let _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(4));
            conversation.write(format!("\ndata: {FINISH}\n\n"))
        });
        let host = gateway(&[&upstream]).start().await;
        let request = http::Request::post(CHAT).body(ask("m0", true).into()).unwrap();
        let mut response = host.client().open(request).await.unwrap();
        let frame = tokio::time::timeout(Duration::from_secs(2), response.body_mut().frame()).await;
        let frame = frame.unwrap_or_else(|_| panic!("{end:?}: the event has not come")).unwrap().unwrap();
        assert_eq!(frame.data_ref().unwrap(), &format!("data: {FIRST}\n\n"));
        go_on.send(()).unwrap();
        let rest = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(rest, format!("data: {FINISH}\n\ndata: [DONE]\n\n"));
    }
}

/// A stream with all that can be cut in two.
fn motley() -> (String, Vec<&'static str>) {
    let lines = LINES.replace('\n', "\r\ndata: ");
    let stream = format!(
        "\u{feff}data: {FIRST}\r\n\r\n: grüße\r\n\r\nid: 1\nretry: 7\r:\r\rdata:{SECOND}\n\nevent: 😀\r\ndata: {lines}\r\n\r\n\
         data: {FINISH}\r\rdata: [DONE]\r\n\r\n: bye\n\n"
    );
    (stream, vec![FIRST, SECOND, LINES, FINISH])
}

#[tokio::test]
async fn r02_the_same_chunks_wherever_a_stream_is_cut() {
    let (stream, expected) = motley();
    let bytes = stream.as_bytes();
    let cut = |at: usize| Play::new(Framing::Chunked, [&bytes[..at], &bytes[at..]]);
    let mut plays: Vec<_> = (1..bytes.len()).map(cut).collect();
    plays.extend((1..=16).map(|size| Play::new(Framing::Chunked, bytes.chunks(size))));
    check(plays.into_iter().map(|play| (play, expected.clone())).collect()).await;
}

/// The same over the wire, with head and framing: what the adapter reads is cut wherever the network likes.
#[tokio::test]
async fn r02_the_same_chunks_wherever_the_connection_is_cut() {
    let (stream, expected) = motley();
    let halves = stream.split_at(stream.len() / 2 - 1);
    let play = Play::new(Framing::Chunked, [halves.0, halves.1]);
    let wire = play.wire().concat();
    let cut = |at: usize| vec![&wire[..at], &wire[at..]];
    let mut cuts: Vec<_> = (1..wire.len()).map(cut).collect();
    cuts.push(wire.chunks(1).collect());
    let plays = cuts.into_iter().map(|pieces| Play::new(Framing::Raw, pieces).slowly(MOMENT));
    check(plays.map(|play| (play, expected.clone())).collect()).await;
}

/// Lines that give no chunk, wherever they stand.
#[tokio::test]
async fn r03_what_is_no_event() {
    let nothing = [
        ":\n\n: keep-alive\n\n\n\n\n:\n",
        ": data: [DONE]\n\n:data: {}\n\n:\r:\r\n:\n\r",
        &": OPENROUTER PROCESSING\n\n".repeat(2_000),
        "event: ping\n\nevent: error\n\n",
        "event: ping\ndata:\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\nevent: ping\ndata: 2026-01-31\n\nevent:ping\ndata:{\"error\":1}\n\n",
        "data: null\n\ndata:null\n\nevent: message\ndata: null \n\n",
        "error\n\nerror:\n\nerror: null\n\n",
        "data\n\ndata:\n\ndata: \n\n",
        "id\n\nid: 7\n\nid: \0\n\nretry: 10\n\nretry: soon\n\nretry\n\nevent\n\n",
        "other: x\n\ndatabase: x\n\nDATA: x\n\n data: x\n\n[DONE]\n\n{\n\n\u{feff}data: x\n\n",
    ];
    let cases = nothing.iter().flat_map(|nothing| {
        let stream = |before: &str, between: &str, after: &str| {
            format!("{before}data: {FIRST}\n\n{between}data: {FINISH}\n\n{between}data: [DONE]\n\n{after}")
        };
        [
            stream(nothing, "", ""),
            stream("", nothing, ""),
            stream("", "", nothing),
            // A mark of the byte order counts at the beginning only.
            format!("\u{feff}{}", stream(nothing, nothing, nothing)),
            format!("\u{feff}{}", stream("", nothing, nothing)),
        ]
    });
    check(cases.map(|stream| (Play::whole(stream), vec![FIRST, FINISH])).collect()).await;
}

/// Events with more than one plain line.
#[tokio::test]
async fn r03_what_else_is_an_event() {
    const PRETTY: &str = "{\n  \"id\": \"a\", \"created\": 1,\n\n  \"model\": \"t\"\n}";
    let lines = PRETTY.replace('\n', "\ndata: ");
    let with_others = PRETTY.replace('\n', "\n: inside\nid: 1\nother\ndata: ");
    for end in ENDS {
        let cases = [
            (format!("data: {SECOND}"), vec![SECOND]),
            (format!("event: completion.chunk\nid: 4\nretry: 1\ndata: {SECOND}"), vec![SECOND]),
            (format!("data: {SECOND}\nevent: message\n: inside\nid: 5\nx"), vec![SECOND]),
            (format!("data: {lines}"), vec![PRETTY]),
            (format!("data: {with_others}\nevent"), vec![PRETTY]),
            (format!("data: {SECOND}\n\ndata:{SECOND}\n\ndata: {SECOND}"), vec![SECOND; 3]),
            (format!("data: {SECOND}\n\nevent: x\n\ndata: {SECOND}"), vec![SECOND; 2]),
        ];
        let streams = cases.into_iter().map(|(events, expected)| {
            let stream = format!("data: {FIRST}\n\n{events}\n\ndata: {FINISH}\n\ndata: [DONE]\n\n");
            (Play::whole(stream.replace('\n', end)), [vec![FIRST], expected, vec![FINISH]].concat())
        });
        check(streams.collect()).await;
    }
}

/// Providers forget the last blank line, and the last line's end. What is complete counts.
#[tokio::test]
async fn r03_a_last_event_without_its_blank_line() {
    let mut cases = Vec::new();
    for end in ["", "\n", "\r", "\r\n", "\r\n\r", "\nevent: x", "\n:", "\nid"] {
        for framing in [Framing::Closed, Framing::Chunked, Framing::Length] {
            for last in ["data: [DONE]", "data:[DONE]", "data: [DONE] \t"] {
                let stream = format!("data: {FIRST}\n\ndata: {FINISH}\n\n{last}{end}");
                cases.push((Play::new(framing, [stream]), vec![FIRST, FINISH]));
            }
            let stream = format!("data: {FIRST}\n\ndata: {FINISH}{end}");
            cases.push((Play::new(framing, [stream]), vec![FIRST, FINISH]));
        }
    }
    check(cases).await;
}

/// What no reader may guess at.
#[tokio::test]
async fn r03_what_is_neither_is_an_error() {
    let bad: [&[u8]; 13] = [
        b"data: \xff\n\n",
        b": \xff\n\n",
        b"data: {\"a\":\"\xe2\x82\"}\n\n",
        b"data: [DONE]x\n\n",
        b"data: [DONE]\ndata: {}\n\n",
        b"data: {}\ndata: [DONE]\n\n",
        b"data: {}{}\n\n",
        b"data: [{}]\n\n",
        b"event: error\ndata: {\"message\":\"no\"}\n\n",
        b"event: error\ndata: null\n\n",
        b"error: {\"message\":\"no\"}\n\n",
        b"error: no\ndata: {}\n\n",
        b"data: {}\nerror: no\nevent: ping\n\n",
    ];
    let plays = bad.map(|bad| {
        let (first, rest) = (format!("data: {FIRST}\n\n"), format!("data: {FINISH}\n\ndata: [DONE]\n\n"));
        Play::whole([first.as_bytes(), bad, rest.as_bytes()].concat())
    });
    for (answer, bad) in Stage::new(plays.into()).await.streams().await.iter().zip(bad) {
        assert_eq!(broken(answer), [FIRST], "{}", bad.escape_ascii());
    }
}
