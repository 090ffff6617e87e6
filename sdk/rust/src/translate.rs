//! From a provider's event stream to chunks.

use crate::http::Response;
use crate::sse::{Event, Reader};
use crate::{Chunks, Error, Json};

/// Whether a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// More events are wanted.
    More,
    /// The answer is complete. What may follow is not read.
    End,
}

/// What an adapter makes of a provider's events.
pub trait Translate: 'static {
    /// Adds the chunks that an event gives, any number of them. Events that say nothing do not come here: those with the name
    /// `ping`, and those whose data is `null`, unless their name is `error`.
    ///
    /// # Errors
    /// If the event is an error of the provider, or cannot be understood.
    fn event(&mut self, event: Event, chunks: &mut Vec<Json>) -> Result<Flow, Error>;

    /// The provider closed the stream before [`Flow::End`]: adds what is left, if the answer is complete.
    ///
    /// # Errors
    /// If the answer is not complete.
    fn closed(&mut self, chunks: &mut Vec<Json>) -> Result<(), Error>;
}

/// The chunks that `translate` makes of the event stream in `response`'s body.
///
/// All events that arrived together are one batch. The response is dropped with the end. Chunks before an error are given
/// first. A last event without its blank line counts.
pub fn translated<T: Translate>(response: Response, translate: T) -> impl Chunks {
    Translated { source: Some((response, Reader::new())), translate, failed: None }
}

struct Translated<S, T> {
    source: Option<(S, Reader)>,
    translate: T,
    failed: Option<Error>,
}

/// Where bytes come from.
trait Source: 'static {
    fn read(&mut self) -> Result<Option<Vec<u8>>, Error>;
}

impl Source for Response {
    fn read(&mut self) -> Result<Option<Vec<u8>>, Error> {
        Response::read(self)
    }
}

impl<S: Source, T: Translate> Translated<S, T> {
    /// Reads until there is a chunk or the end.
    fn fill(&mut self, chunks: &mut Vec<Json>) -> Result<Flow, Error> {
        while let Some((source, reader)) = &mut self.source {
            while let Some(event) = reader.next()? {
                if says_nothing(&event) {
                    continue;
                }
                if self.translate.event(event, chunks)? == Flow::End {
                    return Ok(Flow::End);
                }
            }
            if !chunks.is_empty() {
                return Ok(Flow::More);
            }
            match source.read()? {
                Some(bytes) => reader.feed(bytes),
                None => {
                    let flow = match std::mem::take(reader).finish()?.filter(|event| !says_nothing(event)) {
                        Some(event) => self.translate.event(event, chunks)?,
                        None => Flow::More,
                    };
                    if flow == Flow::More {
                        self.translate.closed(chunks)?;
                    }
                    return Ok(Flow::End);
                }
            }
        }
        Ok(Flow::End)
    }
}

/// Whether an event is only to keep the connection alive.
fn says_nothing(event: &Event) -> bool {
    event.name == "ping" || event.name != "error" && event.data.trim() == "null"
}

impl<S: Source, T: Translate> Chunks for Translated<S, T> {
    fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        let mut chunks = Vec::new();
        match self.fill(&mut chunks) {
            Ok(Flow::More) => {}
            Ok(Flow::End) => self.source = None,
            Err(error) => {
                self.source = None;
                self.failed = Some(error);
            }
        }
        if !chunks.is_empty() {
            return Ok(Some(chunks));
        }
        self.failed.take().map_or(Ok(None), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces(Vec<Result<&'static str, Error>>);

    impl Source for Pieces {
        fn read(&mut self) -> Result<Option<Vec<u8>>, Error> {
            if self.0.is_empty() {
                return Ok(None);
            }
            self.0.remove(0).map(|piece| Some(piece.as_bytes().to_vec()))
        }
    }

    /// Hands on each event's data; `!` is the end, `?` an error, a close without `!` one too.
    struct Hand;

    impl Translate for Hand {
        fn event(&mut self, event: Event, chunks: &mut Vec<Json>) -> Result<Flow, Error> {
            match event.data.as_str() {
                "!" => return Ok(Flow::End),
                "?" => return Err(Error::Internal("?".into())),
                _ => chunks.push(event.data),
            }
            Ok(Flow::More)
        }

        fn closed(&mut self, _: &mut Vec<Json>) -> Result<(), Error> {
            Err(Error::Unreachable("broke off".into()))
        }
    }

    #[track_caller]
    fn check(pieces: Vec<Result<&'static str, Error>>, batches: &[&[&str]], end: Result<(), Error>) {
        let mut chunks = Translated { source: Some((Pieces(pieces), Reader::new())), translate: Hand, failed: None };
        for batch in batches {
            assert_eq!(chunks.next().unwrap().unwrap(), *batch);
        }
        assert_eq!(chunks.next(), end.map(|()| None));
        assert!(chunks.source.is_none());
    }

    #[test]
    fn batches_are_what_arrived_together() {
        let pieces = vec![
            Ok("data: 1\n\ndata: 2\n\ndata"),
            Ok(": 3\n"),
            Ok("\n"),
            Ok(": idle\n\n"),
            Ok("data: !\n\ndata: 4\n\n"),
        ];
        check(pieces, &[&["1", "2"], &["3"]], Ok(()));
        check(vec![Ok("data: 1\n\ndata: !\n\n")], &[&["1"]], Ok(()));
        check(vec![Ok("data: 1\n\ndata: !")], &[&["1"]], Ok(()));
    }

    #[test]
    fn what_says_nothing_is_not_told() {
        for nothing in [
            "event: ping\ndata: ?\n\n",
            "event: ping\ndata: {\"type\":\"ping\"}\n\n",
            "data: null\n\n",
            "data:null \n\n",
        ] {
            check(vec![Ok("data: 1\n\n"), Ok(nothing), Ok(nothing), Ok("data: !\n\n")], &[&["1"]], Ok(()));
            let last = nothing.trim_end_matches('\n');
            check(vec![Ok("data: 1\n\n"), Ok(last)], &[&["1"]], Err(Error::Unreachable("broke off".into())));
        }
        check(vec![Ok("event: error\ndata: null\n\ndata: !\n\n")], &[&["null"]], Ok(()));
    }

    #[test]
    fn chunks_before_an_error_come_first() {
        let broke = || Err(Error::Unreachable("broke off".into()));
        check(vec![Ok("data: 1\n\ndata: ?\n\ndata: 2\n\n")], &[&["1"]], Err(Error::Internal("?".into())));
        check(vec![Ok("data: 1\n\ndata: 2")], &[&["1"], &["2"]], broke());
        check(
            vec![Ok("data: 1\n\n"), Err(Error::Timeout("idle".into()))],
            &[&["1"]],
            Err(Error::Timeout("idle".into())),
        );
        check(vec![], &[], broke());
    }
}
