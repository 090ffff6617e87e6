//! How a secret may be written in an answer: as it is, with JSON's escapes, or percent-encoded.
//!
//! In go bytes with their places; out come the characters that they mean, each with the place where it is written. Only
//! printable ASCII matters, because no secret has anything else; all other escapes pass as they are.

use zeroize::Zeroize as _;

/// A character, and where it is written: from `start` to before `end`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Char {
    pub(crate) byte: u8,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A way to write characters.
#[derive(Clone, Copy)]
pub(crate) enum Spelling {
    /// In a string of JSON: `\/`, `\"`, `\\` and `\u00XX`, whichever of them a writer takes.
    Json,
    /// In a URL: `%XX`.
    Percent,
}

impl Spelling {
    /// What an escape begins with.
    fn mark(self) -> u8 {
        match self {
            Self::Json => b'\\',
            Self::Percent => b'%',
        }
    }
}

/// What one more byte makes of an escape.
enum Step {
    More,
    Means(u8),
    No,
}

/// The longest escape but for its last byte.
const PENDING: usize = 5;

/// The longest way to write a character: an escape, each character of which is another one.
pub(crate) const LONGEST: usize = (PENDING + 1) * (PENDING + 1);

/// Whether an escape can begin with `byte`.
pub(crate) fn is_mark(byte: u8) -> bool {
    [Spelling::Json, Spelling::Percent].into_iter().any(|spelling| spelling.mark() == byte)
}

/// Takes one layer of escapes off.
pub(crate) struct Decoder {
    spelling: Spelling,
    pending: [Char; PENDING],
    len: usize,
}

impl Decoder {
    pub(crate) fn new(spelling: Spelling) -> Self {
        Self { spelling, pending: Default::default(), len: 0 }
    }

    /// Where an escape begins that is not complete yet.
    pub(crate) fn begun(&self) -> Option<u64> {
        (self.len > 0).then_some(self.pending[0].start)
    }

    fn decode(&mut self, char: Char, emit: &mut dyn FnMut(Char)) {
        if self.len > 0 {
            match self.step(char.byte) {
                Step::More => return self.push(char),
                Step::Means(byte) => {
                    self.len = 0;
                    return emit(Char { byte, start: self.pending[0].start, end: char.end });
                }
                Step::No => self.flush(emit),
            }
        }
        if char.byte == self.spelling.mark() { self.push(char) } else { emit(char) }
    }

    fn step(&self, byte: u8) -> Step {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pending = &self.pending[..self.len];
        match (self.spelling, pending.len(), byte, digit) {
            (Spelling::Json, 1, b'"' | b'\\' | b'/', _) => Step::Means(byte),
            (Spelling::Json, 1, b'u', _) | (Spelling::Json, 2 | 3, b'0', _) => Step::More,
            // The high digit of printable ASCII.
            (Spelling::Json, 4, b'2'..=b'7', _) | (Spelling::Percent, 1, b'2'..=b'7', _) => Step::More,
            (Spelling::Json, 5, _, Some(low)) | (Spelling::Percent, 2, _, Some(low)) => {
                Step::Means((pending[pending.len() - 1].byte - b'0') << 4 | low)
            }
            _ => Step::No,
        }
    }

    fn push(&mut self, char: Char) {
        self.pending[self.len] = char;
        self.len += 1;
    }

    /// What was taken for an escape is none: its bytes mean themselves.
    fn flush(&mut self, emit: &mut dyn FnMut(Char)) {
        let len = std::mem::take(&mut self.len);
        self.pending[..len].iter().copied().for_each(emit);
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.pending.iter_mut().for_each(|char| char.byte.zeroize());
    }
}

/// Sends `char` through all `layers`, the outermost first.
pub(crate) fn decode(layers: &mut [Decoder], char: Char, emit: &mut dyn FnMut(Char)) {
    match layers.split_first_mut() {
        None => emit(char),
        Some((outer, inner)) => outer.decode(char, &mut |char| decode(inner, char, emit)),
    }
}

/// No more comes: what is still pending means itself.
pub(crate) fn flush(layers: &mut [Decoder], emit: &mut dyn FnMut(Char)) {
    if let Some((outer, inner)) = layers.split_first_mut() {
        outer.flush(&mut |char| decode(inner, char, emit));
        flush(inner, emit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spellings: &[Spelling], text: &str, expected: &str) {
        let mut layers: Vec<_> = spellings.iter().copied().map(Decoder::new).collect();
        let (mut got, mut at) = (Vec::new(), 0);
        let mut emit = |char: Char| {
            // Nothing is left out and nothing comes twice.
            assert_eq!(char.start, at, "{text}");
            at = char.end;
            got.push(char.byte);
        };
        for (place, byte) in (0..).zip(text.bytes()) {
            decode(&mut layers, Char { byte, start: place, end: place + 1 }, &mut emit);
        }
        flush(&mut layers, &mut emit);
        assert_eq!((String::from_utf8(got).unwrap().as_str(), at), (expected, text.len() as u64), "{text}");
    }

    #[test]
    fn one_layer() {
        use Spelling::{Json, Percent};
        for (spelling, text, expected) in [
            (Json, r#"a\/b\"c\\d"#, r#"a/b"c\d"#),
            (Json, r"\u0073\u002B\u002b\u007e", "s++~"),
            (Json, r"\\u0073", r"\u0073"),
            (Json, r"\n\t\u00e9\u1234\u0000\u001f\u0080", r"\n\t\u00e9\u1234\u0000\u001f\u0080"),
            (Json, r"\u\u0073\u00\u007\u007g\x", r"\us\u00\u007\u007g\x"),
            (Json, r"\u007", r"\u007"),
            (Json, r"\", r"\"),
            (Percent, "%73%2f%2F%7E", "s//~"),
            (Percent, "%%73%7%73%7g%0a%80%2", "%s%7s%7g%0a%80%2"),
        ] {
            check(&[spelling], text, expected);
        }
    }

    #[test]
    fn two_layers() {
        let twice = [Spelling::Json; 2];
        check(&twice, r#"\\\"\\/\\u0073\u005cu0073\/\\\\"#, r#""/ss/\"#);
        check(&twice, r"\\", r"\");
        check(&twice, r"\\u00\u0037", r"\u007");
    }
}
