//! Cuts bytes into lines that end with CRLF, LF or a lone CR.

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Bytes that came, of which some were handed out as lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the line begins that is next.
    start: usize,
    /// Up to where no end of a line was found.
    seen: usize,
    /// The line before ended with a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The first bytes were looked at for a byte order mark.
    begun: bool,
    /// No more bytes come: what is left is a line.
    last: bool,
}

impl Lines {
    pub(super) fn feed(&mut self, bytes: Vec<u8>) {
        if self.start == self.bytes.len() {
            self.bytes = bytes;
        } else {
            // What moves came with the last feed, or no line was handed out since: each byte moves once.
            if self.start > 0 {
                self.bytes.drain(..self.start);
            }
            self.bytes.extend_from_slice(&bytes);
        }
        self.seen -= self.start;
        self.start = 0;
    }

    pub(super) fn finish(&mut self) {
        self.last = true;
    }

    /// The bytes of the line that has not ended yet.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The next line without its end; `None` if it has not ended yet.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if !self.begun {
            if self.bytes.len() < BOM.len() && BOM.starts_with(&self.bytes) && !self.last {
                return None;
            }
            self.begun = true;
            if self.bytes.starts_with(BOM) {
                self.start = BOM.len();
                self.seen = BOM.len();
            }
        }
        if self.after_cr && self.start < self.bytes.len() {
            self.after_cr = false;
            if self.bytes[self.start] == b'\n' {
                self.start += 1;
                self.seen = self.start;
            }
        }
        let start = self.start;
        match memchr::memchr2(b'\n', b'\r', &self.bytes[self.seen..]) {
            Some(at) => {
                let end = self.seen + at;
                self.after_cr = self.bytes[end] == b'\r';
                self.start = end + 1;
                self.seen = self.start;
                Some(&self.bytes[start..end])
            }
            None if self.last && start < self.bytes.len() => {
                self.start = self.bytes.len();
                self.seen = self.start;
                Some(&self.bytes[start..])
            }
            None => {
                self.seen = self.bytes.len();
                None
            }
        }
    }
}
