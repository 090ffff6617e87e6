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
const ENDS: [&str; 3] = ["\n", "\r\n", "\r"];
/// Long enough for what was written to be read before more comes, mostly.
const MOMENT: Duration = Duration::from_millis(2);

/// Asks for all plays and wants of each the chunks that come with it.
async fn check(cases: Vec<(Play, Vec<&str>)>) {
    let (plays, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let answers = Stage::new(plays.clone()).await.streams().await;
    for ((answer, expected), play) in answers.iter().zip(expected).zip(plays) {
        let wire = String::from_utf8_lossy(&play.wire().concat()).into_owned();
        assert_eq!(answer.complete, true, "{wire:?}: {}", answer.text);
        assert_eq!(chunks(answer), expected, "{wire:?}");
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
    for (a, b) in two_ends() {
        for (c, d) in two_ends() {
            for (x, y) in [("", " "), (" ", "")] {
                streams.push(format!("data:{x}{FIRST}{a}{b}data:{y}{SECOND}{c}{d}data:{x}{FINISH}{a}{d}data:{y}[DONE]{c}{b}"));
            }
        }
    }
    // A third line's end may not be swallowed by the one before it.
    streams.retain(|stream| !stream.contains("\r\ndata:") || !stream.contains("}\r\ndata:"));
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
    check(cases.map(|play| (play, vec![FIRST, SECOND, FINISH])).collect()).await;
}

#[tokio::test]
async fn r01_a_line_end_over_two_reads() {
    let stream = format!("data: {FIRST}\r\n\r\ndata:{SECOND}\r\n\r\n\r\ndata: {FINISH}\r\n\r\ndata:[DONE]\r\n\r\n");
    let pieces: Vec<_> = stream.split_inclusive('\r').collect();
    let plays = [Framing::Closed, Framing::Chunked, Framing::Length].map(|framing| Play::new(framing, &pieces).slowly(10 * MOMENT));
    check(plays.map(|play| (play, vec![FIRST, SECOND, FINISH])).into()).await;
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
    const LINES: &str = "{\"id\":\"a\",\"created\":1,\"model\":\"t\",\"é\":\n\"😀\"}";
    let lines = LINES.replace('\n', "\r\ndata: ");
    let stream = format!(
        "\u{feff}: grüße\r\n\r\nid: 1\nretry: 7\rdata: {FIRST}\r\n\r\n:\r\rdata:{SECOND}\n\nevent: 😀\r\ndata: {lines}\r\n\r\n\
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
    let cut = |at: usize| Wire(vec![wire[..at].to_vec(), wire[at..].to_vec()]);
    let mut wires: Vec<_> = (1..wire.len()).map(cut).collect();
    wires.push(Wire(wire.chunks(1).map(<[u8]>::to_vec).collect()));
    let plays = wires.into_iter().map(|Wire(pieces)| Play::raw(pieces).slowly(MOMENT));
    check(plays.map(|play| (play, expected.clone())).collect()).await;
}

struct Wire(Vec<Vec<u8>>);
