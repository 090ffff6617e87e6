//! A provider with a play for each case and a gateway before it: many cases, byte for byte, over one gateway.

use super::ground::{CHAT, gateway};
use hauski_tests::{Answer, Builder, Conversation, TestHost, Upstream};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many cases are under way at once.
const AT_ONCE: usize = 16;

/// How a provider frames its answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A chunk a piece, so that the adapter reads exactly these pieces; then the last chunk.
    Chunked,
    /// The same without the last chunk: the connection ends in the midst of the body.
    Torn,
    /// To the end of the connection.
    Closed,
    /// With its length.
    Length,
    /// With a length that is larger by one.
    Short,
    /// The pieces are the wire's own, with head and framing.
    Raw,
}

/// What a provider sends for one case.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    pub(crate) framing: Framing,
    pub(crate) media_type: &'static str,
    pub(crate) pieces: Vec<Vec<u8>>,
    /// Between two pieces. Without one, all pieces are written at once.
    pub(crate) pause: Option<Duration>,
}

impl Play {
    /// A stream in these pieces.
    pub(crate) fn new(framing: Framing, pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let pieces = pieces.into_iter().map(|piece| piece.as_ref().to_vec()).collect();
        Self { framing, media_type: "text/event-stream", pieces, pause: None }
    }

    /// A stream in one piece.
    pub(crate) fn whole(stream: impl AsRef<[u8]>) -> Self {
        Self::new(Framing::Closed, [stream])
    }

    /// A JSON body.
    pub(crate) fn json(framing: Framing, body: impl AsRef<[u8]>) -> Self {
        Self { media_type: "application/json", ..Self::new(framing, [body]) }
    }

    /// The same with pauses.
    pub(crate) fn slowly(self, pause: Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }

    /// The head and the pieces as they go over the wire.
    pub(crate) fn wire(&self) -> Vec<Vec<u8>> {
        if self.framing == Framing::Raw {
            return self.pieces.clone();
        }
        let length: usize = self.pieces.iter().map(Vec::len).sum();
        let framing = match self.framing {
            Framing::Chunked | Framing::Torn => "transfer-encoding: chunked\r\n".to_owned(),
            Framing::Closed | Framing::Raw => String::new(),
            Framing::Length => format!("content-length: {length}\r\n"),
            Framing::Short => format!("content-length: {}\r\n", length + 1),
        };
        let media_type = self.media_type;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\n{framing}connection: close\r\n\r\n");
        let mut wire = vec![head.into_bytes()];
        for piece in self.pieces.iter().filter(|piece| !piece.is_empty()) {
            wire.push(match self.framing {
                Framing::Chunked | Framing::Torn => {
                    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
                }
                Framing::Closed | Framing::Length | Framing::Short | Framing::Raw => piece.clone(),
            });
        }
        if self.framing == Framing::Chunked {
            wire.push(b"0\r\n\r\n".to_vec());
        }
        wire
    }

    fn perform(&self, conversation: &mut Conversation) -> io::Result<()> {
        let wire = self.wire();
        let Some(pause) = self.pause else { return conversation.write(wire.concat()) };
        for piece in wire {
            conversation.write(piece)?;
            thread::sleep(pause);
        }
        Ok(())
    }
}

/// A provider that has a play for each case, and a gateway before it.
pub(crate) struct Stage {
    pub(crate) host: TestHost,
    cases: usize,
    _upstream: Upstream,
}

impl Stage {
    pub(crate) async fn new(plays: Vec<Play>) -> Self {
        Self::with(plays, |builder| builder).await
    }

    /// The same with a gateway of other limits.
    pub(crate) async fn with(plays: Vec<Play>, change: impl FnOnce(Builder) -> Builder) -> Self {
        let cases = plays.len();
        let upstream = Upstream::start(move |conversation| {
            let request = conversation.request()?;
            let case =
                request.rsplit_once("\"case\":").and_then(|(_, rest)| rest.split([',', '}']).next()?.parse().ok());
            plays[case.unwrap_or(0_usize)].perform(conversation)
        });
        let host = change(gateway(&[&upstream])).start().await;
        Self { host, cases, _upstream: upstream }
    }

    /// Asks for a case with further members in the request, each with a comma behind it.
    pub(crate) async fn ask(&self, case: usize, members: &str) -> Answer {
        self.host.client().post(CHAT, request(case, members)).await
    }

    /// Asks for all cases, many at once, each as a stream; gives the answers in order.
    pub(crate) async fn streams(&self) -> Vec<Answer> {
        self.all(r#""stream":true,"#).await
    }

    /// Asks for all cases with further members in each request.
    pub(crate) async fn all(&self, members: &'static str) -> Vec<Answer> {
        let (room, mut tasks) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for case in 0..self.cases {
            let (client, room) = (self.host.client(), room.clone());
            tasks.spawn(async move {
                let _place = room.acquire_owned().await.unwrap();
                (case, client.post(CHAT, request(case, members)).await)
            });
        }
        let mut answers = tasks.join_all().await;
        answers.sort_by_key(|(case, _)| *case);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

fn request(case: usize, members: &str) -> String {
    format!(r#"{{"model":"m0",{members}"messages":[{{"role":"user","content":"hi"}}],"case":{case}}}"#)
}

/// The payloads of all events. The gateway's own form is the plainest there is, and nothing else is in it.
#[track_caller]
pub(crate) fn payloads(text: &str) -> Vec<String> {
    let mut events: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(events.pop(), Some(""), "what ends with no blank line is no event: {text:.2000}");
    let line = |line: &str| {
        line.strip_prefix("data: ").map(str::to_owned).unwrap_or_else(|| panic!("{line:?} in {text:.2000}"))
    };
    events.into_iter().map(|event| event.split('\n').map(line).collect::<Vec<_>>().join("\n")).collect()
}

/// The chunks of a stream that came to its proper end.
#[track_caller]
pub(crate) fn chunks(answer: &Answer) -> Vec<String> {
    assert!(answer.status == 200 && answer.complete, "{} {}: {:.2000}", answer.status, answer.complete, answer.text);
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let mut payloads = payloads(&answer.text);
    assert_eq!(payloads.pop().as_deref(), Some("[DONE]"), "{:.2000}", answer.text);
    assert!(!payloads.iter().any(|payload| payload == "[DONE]"), "{:.2000}", answer.text);
    payloads
}

/// The chunks that came before an answer failed, in a way that nobody takes for a good end.
#[track_caller]
pub(crate) fn broken(answer: &Answer) -> Vec<String> {
    let is_error = |text: &str| {
        serde_json::from_str(text).is_ok_and(|json: serde_json::Value| json["error"]["message"].is_string())
    };
    if answer.status != 200 {
        assert!(answer.status.as_u16() >= 500 && is_error(&answer.text), "{} {:.2000}", answer.status, answer.text);
        return Vec::new();
    }
    assert!(!answer.complete, "a clean end: {:.2000}", answer.text);
    let mut payloads = payloads(&answer.text);
    assert!(payloads.pop().is_some_and(|last| is_error(&last)), "no error at the end: {:.2000}", answer.text);
    assert!(!payloads.iter().any(|payload| payload == "[DONE]" || is_error(payload)), "{:.2000}", answer.text);
    payloads
}
