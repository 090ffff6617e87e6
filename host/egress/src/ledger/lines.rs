//! Lines of a ledger's file: bytes as they stand there, with their place, and never more than a bounded number of them.

use std::io::{self, BufRead, Read as _};

/// The longest line that is looked at, in bytes; the gateway's own have some thousands at most.
const MAX_LINE: usize = 1 << 20;

/// The lines of one file.
pub(crate) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
    offset: u64,
}

/// One line.
pub(crate) struct Line<'a> {
    /// Its bytes, without the line feed; of one that is too long, the first.
    pub(crate) bytes: &'a [u8],
    /// Its number, counted from 1.
    pub(crate) number: u64,
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// Where the next one begins.
    pub(crate) end: u64,
    /// Whether it ends with a line feed.
    pub(crate) whole: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn of(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0, offset: 0 }
    }

    /// The next line, if there is one.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut read = (&mut self.reader).take(MAX_LINE as u64).read_until(b'\n', &mut self.line)? as u64;
        if read == 0 {
            return Ok(None);
        }
        let mut whole = self.line.ends_with(b"\n");
        if whole {
            self.line.pop();
        } else if read == MAX_LINE as u64 {
            let rest = self.reader.skip_until(b'\n')? as u64;
            // Whether or not it ends somewhere, it is no record.
            (whole, read) = (true, read + rest);
        }
        let offset = self.offset;
        (self.number, self.offset) = (self.number + 1, offset + read);
        Ok(Some(Line { bytes: &self.line, number: self.number, offset, end: self.offset, whole }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_places() {
        let mut lines = Lines::of(&b"one\n\nthree"[..]);
        let mut next = || {
            let line = lines.next().unwrap()?;
            Some((String::from_utf8(line.bytes.to_vec()).unwrap(), line.number, line.offset, line.end, line.whole))
        };
        assert_eq!(next(), Some(("one".to_owned(), 1, 0, 4, true)));
        assert_eq!(next(), Some((String::new(), 2, 4, 5, true)));
        assert_eq!(next(), Some(("three".to_owned(), 3, 5, 10, false)));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let text = [vec![b'x'; 3 * MAX_LINE], b"\nnext\n".to_vec()].concat();
        let mut lines = Lines::of(&text[..]);
        let long = lines.next().unwrap().unwrap();
        assert_eq!((long.bytes.len(), long.end), (MAX_LINE, 3 * MAX_LINE as u64 + 1));
        assert_eq!(lines.next().unwrap().unwrap().bytes, b"next");
    }
}
