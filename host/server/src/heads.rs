//! Whether the head of a request gives the length of its body more than once. hyper takes several that agree, and `Transfer-Encoding`
//! before `Content-Length`; what stands before or behind the gateway may choose otherwise, and see another request in the body (RFC 9112,
//! section 11.2).
//!
//! In go a connection's bytes, in whatever pieces they are read; out comes a word for each head, in turn.

use crate::work::visit;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// What is kept of a line. Lengths and sizes are in shorter ones: longer ones can't be followed.
const LINE: usize = 128;

/// A head that gives the length more than once; among such a request's extensions.
#[derive(Clone, Copy)]
pub(crate) struct Ambiguous;

/// What is known of the heads that nobody has asked for yet: whether each is ambiguous.
#[derive(Clone, Default)]
pub(crate) struct Heads(Arc<Mutex<VecDeque<bool>>>);

impl Heads {
    /// Says it of the next one. What could not be followed is ambiguous as well.
    pub(crate) fn next(&self) -> Option<Ambiguous> {
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.unwrap_or(true).then_some(Ambiguous)
    }

    /// Returns how many heads nobody has asked for yet.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn waiting(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Follows the requests of a connection.
pub(crate) struct Follower {
    heads: Heads,
    place: Place,
    /// The line that has begun.
    line: Vec<u8>,
    /// The byte that came last, of lines.
    last: u8,
    said: Said,
}

/// Where in a request the next byte stands.
#[derive(Clone, Copy)]
enum Place {
    /// Before the request line.
    Before,
    Fields,
    /// In a body that has so many bytes left.
    Body(u64),
    /// In the line of a chunk's size.
    Size,
    /// In a chunk that has so many bytes left, its line end included.
    Chunk(u64),
    Trailers,
    /// Where hyper does not follow: it refuses what is there.
    Lost,
}

/// What a head says of the length.
#[derive(Default)]
struct Said {
    times: usize,
    length: u64,
    chunked: bool,
}

impl Follower {
    pub(crate) fn new(heads: Heads) -> Self {
        Self { heads, place: Place::Before, line: Vec::new(), last: 0, said: Said::default() }
    }

    /// Returns whether a head has begun and is not whole.
    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.place, Place::Fields) || matches!(self.place, Place::Before) && !self.line.is_empty()
    }

    /// Takes the bytes that come next.
    pub(crate) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Lost => return,
                Place::Body(left) => {
                    let (left, rest) = skip(left, bytes);
                    self.place = if left == 0 { Place::Before } else { Place::Body(left) };
                    rest
                }
                Place::Chunk(left) => {
                    let (left, rest) = skip(left, bytes);
                    self.place = if left == 0 { Place::Size } else { Place::Chunk(left) };
                    rest
                }
                Place::Before | Place::Fields | Place::Size | Place::Trailers => self.lines(bytes),
            };
        }
    }

    /// Takes the rest of a line, or all of `bytes`; gives what follows.
    fn lines<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        visit(piece.len());
        self.line.extend(piece.iter().take(LINE - self.line.len()));
        let before = piece.len().checked_sub(2).map_or(self.last, |at| piece[at]);
        self.last = piece.last().copied().unwrap_or(self.last);
        if end.is_some() {
            let mut line = std::mem::take(&mut self.line);
            self.place = match line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")) {
                // Between chunks hyper takes no line feed alone for a line's end.
                _ if before != b'\r' && matches!(self.place, Place::Size | Place::Trailers) => Place::Lost,
                Some(line) => self.behind(line, true),
                None => self.behind(&line, false),
            };
            line.clear();
            self.line = line;
        }
        rest
    }

    /// The place behind `line`, which is whole or begins so.
    fn behind(&mut self, line: &[u8], is_whole: bool) -> Place {
        match self.place {
            Place::Before if line.is_empty() => Place::Before,
            Place::Fields if line.is_empty() => {
                let said = std::mem::take(&mut self.said);
                self.heads.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(said.times > 1);
                match said {
                    Said { chunked: true, .. } => Place::Size,
                    Said { length: 0, .. } => Place::Before,
                    Said { length, .. } => Place::Body(length),
                }
            }
            Place::Before => Place::Fields,
            Place::Fields => self.said.field(line, is_whole).map_or(Place::Lost, |()| Place::Fields),
            Place::Size => {
                let mut parts = line.split(|byte| *byte == b';');
                let size = parts.next().filter(|size| is_whole || size.len() < line.len()).unwrap_or_default();
                match number(size, 16) {
                    Some(0) => Place::Trailers,
                    Some(size) => size.checked_add(2).map_or(Place::Lost, Place::Chunk),
                    None => Place::Lost,
                }
            }
            Place::Trailers if line.is_empty() => Place::Before,
            place => place,
        }
    }
}

impl Said {
    /// Reads a field; `None` if it says a length that can't be told.
    fn field(&mut self, line: &[u8], is_whole: bool) -> Option<()> {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { return Some(()) };
        let (name, value) = (&line[..at], &line[at + 1..]);
        if name.eq_ignore_ascii_case(b"content-length") {
            self.times += 1;
            self.length = number(value, 10).filter(|_| is_whole)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.times += 1;
            self.chunked = true;
        }
        Some(())
    }
}

/// Goes on by `left` bytes, or to the end of `bytes`; gives how many are left then, and what follows.
fn skip(left: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let some = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (left - some as u64, &bytes[some..])
}

fn number(text: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text.trim_ascii()).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of each head of `requests`, wherever they are cut.
    #[track_caller]
    fn check(requests: &str, expected: &[bool]) {
        for cut in 0..requests.len() {
            let heads = Heads::default();
            let mut follower = Follower::new(heads.clone());
            let (front, back) = requests.as_bytes().split_at(cut);
            follower.see(front);
            follower.see(back);
            let found: Vec<bool> = heads.0.lock().unwrap().iter().copied().collect();
            assert_eq!(found, expected, "{requests:?} at {cut}");
            let next: Vec<bool> = expected.iter().map(|_| heads.next().is_some()).collect();
            assert_eq!(next, expected);
            assert!(heads.next().is_some(), "of what was not seen nothing good is said");
        }
    }

    #[test]
    fn heads_in_turn() {
        let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let twice = "POST / HTTP/1.1\r\nContent-Length: 2\r\nhost: a\r\ncontent-LENGTH:2\r\n\r\nab";
        let both = "POST / HTTP/1.1\nContent-Length: 9\nTransfer-Encoding: chunked\n\n3;a=b\r\n1\n2\r\n0A\r\n0123456789\r\n0\r\n\r\n";
        let sized =
            "POST / HTTP/1.1\r\ncontent-length: 46\r\n\r\nGET / HTTP/1.1\r\ncontent-length: 1\r\n\r\nabcdefgh\n";
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n";
        check(get, &[false]);
        check(twice, &[true]);
        check(both, &[true]);
        check(sized, &[false]);
        check(chunked, &[false]);
        check(
            &format!("\r\n{get}{twice}{sized}{both}{chunked}{get}{twice}"),
            &[false, true, false, true, false, false, true],
        );
        check(&format!("POST / HTTP/1.1\r\nx: {}\r\n\r\n{twice}", "content-length: 1 ".repeat(20)), &[false, true]);
        check("POST / HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\nabc", &[false]);
    }

    #[test]
    fn what_can_not_be_followed() {
        for length in ["", "x", "-1", "1, 1", "18446744073709551616"] {
            check(&format!("POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n"), &[]);
        }
        for size in ["", "x", "10000000000000000", "ffffffffffffffff"] {
            let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
            check(&format!("{head}{size}\r\n\r\nGET / HTTP/1.1\r\n\r\n"), &[false]);
        }
        // hyper takes zeros and spaces without end.
        let many = |what: &str| what.repeat(LINE);
        check(&format!("POST / HTTP/1.1\r\ncontent-length: {}46\r\n\r\nGET / HTTP/1.1\r\n\r\n", many("0")), &[]);
        check(&format!("POST / HTTP/1.1\r\ncontent-length:{}46\r\n\r\nGET / HTTP/1.1\r\n\r\n", many(" ")), &[]);
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        check(&format!("{chunked}{}5\r\n\r\nGET / HTTP/1.1\r\n\r\n", many("0")), &[false]);
        let get = "GET / HTTP/1.1\r\n\r\n";
        check(&format!("{chunked}1;{}\r\na\r\n0\r\nb: {}\r\n\r\n{get}", many("x"), many("y")), &[false, false]);
        // In trailers it takes a line feed for no line's end.
        check(&format!("{chunked}0\r\na: b\n\r\nx: y\r\n\r\n{get}"), &[false]);
        check(&format!("{chunked}0\r\na: b\r\n\n{get}"), &[false]);
    }
}
