//! Row 5: large events pass, those without an end are cut at the cap, and neither costs memory that grows.

use super::ground::{CHAT, EVENTS, ask, gateway};
use super::stage::{Framing, Play, Stage, broken, chunks};
use hauski_tests::{Answer, Builder, Conversation, Upstream};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const MIB: usize = 1 << 20;

fn chunk(content: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"a","created":1,"model":"t","choices":[{{"index":0,"delta":{{"role":"assistant","content":"{content}"}},"finish_reason":{finish}}}]}}"#
    )
}

#[tokio::test]
async fn r05_an_event_of_a_mebibyte_passes() {
    let large = [chunk(&"x".repeat(MIB), "null"), chunk(&"é".repeat(MIB / 2), r#""stop""#)];
    let stream = format!("data: {}\r\n\r\ndata: {}\n\ndata: [DONE]\n\n", large[0], large[1]);
    let bytes = stream.as_bytes();
    let plays = vec![
        Play::whole(bytes),
        Play::new(Framing::Chunked, bytes.chunks(1_000)),
        Play::new(Framing::Chunked, bytes.chunks(65_537)),
        Play::new(Framing::Chunked, [bytes]),
        Play::new(Framing::Length, [bytes]),
    ];
    let whole = Play::json(Framing::Closed, format!(r#"{{"choices":[],"x":"{}"}}"#, "x".repeat(MIB)));
    let stage = Stage::new(plays).await;
    for answer in stage.streams().await {
        assert!(chunks(&answer) == large, "{} {}", answer.status, answer.text.len());
    }
    let stage = Stage::new(vec![whole.clone()]).await;
    assert!(stage.ask(0, "").await.text.as_bytes() == whole.pieces[0]);
}

/// Many large events, one after the other, need no more memory than one.
#[tokio::test]
async fn r05_many_large_events_take_the_memory_of_one() {
    let event = format!("data: {}\n\n", chunk(&"x".repeat(MIB), "null"));
    let end = format!("data: {}\n\ndata: [DONE]\n\n", chunk("", r#""stop""#));
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.write(EVENTS)?;
        for _ in 0..24 {
            conversation.write(&event)?;
        }
        conversation.write(&end)
    });
    let host = gateway(&[&upstream]).limit("response_mib", 32).limit("cpu_ms", 20_000).start().await;
    let answer = host.client().post(CHAT, ask("m0", true)).await;
    assert_eq!(chunks(&answer).len(), 25);
}

/// A provider that writes `piece` after `head` until nobody reads any more, and how much that was.
fn endless(head: String, piece: String) -> (Upstream, Arc<AtomicUsize>) {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let script = move |conversation: &mut Conversation| -> io::Result<()> {
        conversation.request()?;
        conversation.write(format!("{EVENTS}{head}"))?;
        loop {
            conversation.write(&piece)?;
            count.fetch_add(piece.len(), Ordering::SeqCst);
        }
    };
    (Upstream::start(script), written)
}

fn roomy(upstream: &Upstream) -> Builder {
    gateway(&[upstream]).limit("memory_mib", 64).limit("response_mib", 64).limit("cpu_ms", 20_000)
}

/// Asks for a stream; the provider has to be let go of in the end.
async fn ask_endless(head: String, piece: String, change: impl FnOnce(Builder) -> Builder) -> (Answer, usize) {
    let (upstream, written) = endless(head, piece);
    let host = change(roomy(&upstream)).start().await;
    let answer = host.client().post(CHAT, ask("m0", true)).await;
    host.client()
        .until_metric("hauski_adapter_instances{adapter=\"openai-compatible\"} 0", Duration::from_secs(5))
        .await;
    assert_eq!(upstream.connections(), 1, "it is not asked again");
    (answer, written.load(Ordering::SeqCst))
}

#[tokio::test]
async fn r05_an_event_without_an_end_is_cut_at_the_cap() {
    let x = "x".repeat(1 << 16);
    let first = format!("data: {}\n\n", chunk("hello", "null"));
    for (begin, piece) in [
        ("data: ", x.clone()),
        ("data:", x.clone()),
        (": ", x.clone()),
        ("", x.clone()),
        ("event: ", x.clone()),
        ("id:", x.clone()),
        ("", format!("data: {x}\n")),
        ("", format!("data: {x}\r")),
        ("data: x\nevent: ", x.clone()),
    ] {
        // Before the first event the status says it, after it the event of an error.
        let head = if begin == "data:" { "" } else { &first };
        let (answer, written) = ask_endless(format!("{head}{begin}"), piece, |builder| builder).await;
        let chunks = broken(&answer);
        assert_eq!(chunks.len(), usize::from(!head.is_empty()), "{begin:?}");
        assert!(answer.text.contains("larger than 8388608 bytes"), "{begin:?}: {}", answer.text);
        // What the sockets of both sides hold comes on top.
        assert!(written < 24 * MIB, "{begin:?}: {written}");
    }
}

/// The adapter's own memory is the second cap.
#[tokio::test]
async fn r05_an_event_larger_than_the_memory_is_a_clean_error() {
    let (answer, _) =
        ask_endless("data: ".to_owned(), "x".repeat(1 << 16), |builder| builder.limit("memory_mib", 8)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "adapter_memory_limit"), "{}", answer.text);
}

/// Lines that give nothing are forgotten: three times the memory of them passes through it.
#[tokio::test]
async fn r05_what_gives_nothing_takes_no_memory() {
    for piece in [": ping\n\n", "event: x\n", "id: 7\n\nretry: 5\n", "other: x\n", "\n"] {
        let piece = piece.repeat((1 << 16) / piece.len());
        let small = |builder: Builder| builder.limit("memory_mib", 8).limit("response_mib", 24);
        let (answer, _) = ask_endless(String::new(), piece.clone(), small).await;
        broken(&answer);
        assert!(answer.text.contains("larger than 25165824 bytes"), "{piece:.20}: {}", answer.text);
    }
}
