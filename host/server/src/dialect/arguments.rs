//! An incremental scanner for the arguments of tool calls.
//!
//! It reads each byte once, detects the end of an object, an array, a string or `null`, and keeps no text. Its input is the inside of JSON
//! strings, with their escapes.

use crate::work::visit;

/// An incremental scanner for one JSON value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ArgumentsScanner {
    state: State,
    /// Objects and arrays that are open.
    depth: usize,
    escape: Escape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Blanks, at most.
    #[default]
    Empty,
    /// Between the strings of an object or array, or in a value that is neither of these.
    Open,
    /// In a string; true after its backslash.
    String(bool),
    /// After so many letters of `null`.
    Null(usize),
    /// The value has ended, and only blanks have followed.
    Complete,
    /// More than one value.
    Broken,
}

/// A backslash of the outer JSON string, and the digits of its `\uXXXX` so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    Hex {
        value: u32,
        digits: u8,
    },
}

impl ArgumentsScanner {
    /// Reads the next piece.
    pub(super) fn read(&mut self, piece: &str) {
        visit(piece.len());
        for byte in piece.bytes() {
            if let Some(byte) = self.unescape(byte) {
                self.step(byte);
            }
        }
    }

    /// Returns whether arguments begin with an object. Blanks before it may be written with escapes.
    pub(super) fn begins_object(arguments: &str) -> bool {
        let mut scanner = Self::default();
        let first = arguments.bytes().filter_map(|byte| scanner.unescape(byte)).find(|byte| *byte != b' ');
        first == Some(b'{')
    }

    /// Returns whether the value has ended.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete && self.escape == Escape::None
    }

    /// Returns the byte that the outer string stands for with this one: any character beyond ASCII is `x`.
    fn unescape(&mut self, byte: u8) -> Option<u8> {
        match self.escape {
            Escape::None if byte == b'\\' => {
                self.escape = Escape::Begun;
                None
            }
            Escape::None => Some(byte),
            Escape::Begun if byte == b'u' => {
                self.escape = Escape::Hex { value: 0, digits: 0 };
                None
            }
            Escape::Begun => {
                self.escape = Escape::None;
                Some(match byte {
                    b'n' | b'r' | b't' => b' ',
                    b'b' | b'f' => b'x',
                    other => other,
                })
            }
            Escape::Hex { value, digits } => {
                let value = value * 16 + char::from(byte).to_digit(16).unwrap_or_default();
                if digits < 3 {
                    self.escape = Escape::Hex { value, digits: digits + 1 };
                    return None;
                }
                self.escape = Escape::None;
                let byte = u8::try_from(value).ok().filter(u8::is_ascii).unwrap_or(b'x');
                Some(if matches!(byte, b'\n' | b'\r' | b'\t') { b' ' } else { byte })
            }
        }
    }

    fn step(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::String(true), _) => State::String(false),
            (State::String(false), b'\\') => State::String(true),
            (State::String(false), b'"') => self.closed(),
            (State::String(false), _) => State::String(false),
            (State::Broken, _) => State::Broken,
            (State::Empty | State::Complete | State::Open, b' ') => self.state,
            (State::Complete, _) => State::Broken,
            (State::Empty, b'n') => State::Null(1),
            (State::Null(3), b'l') => State::Complete,
            (State::Null(read), _) if b"null".get(read) == Some(&byte) => State::Null(read + 1),
            (State::Null(_), _) => State::Open,
            (State::Empty | State::Open, b'"') => State::String(false),
            (State::Empty | State::Open, b'{' | b'[') => {
                self.depth += 1;
                State::Open
            }
            (State::Open, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                self.closed()
            }
            (State::Empty | State::Open, _) => State::Open,
        };
    }

    fn closed(&self) -> State {
        if self.depth == 0 { State::Complete } else { State::Open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{decoded, quoted};
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    fn is_complete<'a>(pieces: impl IntoIterator<Item = &'a str>) -> bool {
        let mut progress = ArgumentsScanner::default();
        pieces.into_iter().for_each(|piece| progress.read(piece));
        progress.is_complete()
    }

    #[test]
    fn arguments_are_complete_when_their_value_has_ended() {
        for (pieces, expected) in [
            (&["{}"][..], true),
            (&["{", "}"], true),
            (&[r#"{\"a\":"#, r#"\"}\"}"#], true),
            (&[r#"{\"a\":\"}"#], false),
            (&[r#"{\"a\":\"\\\"}"#], false),
            (&[r#"{\"a\":\"\\\\\"}"#], true),
            (&[r"\u007b", r"\u007d"], true),
            (&[r"\n{}\t"], true),
            (&["[[1,2],{}]"], true),
            (&[r#"\"a\""#], true),
            (&["", " "], false),
            (&["{}", "{}"], false),
            (&["{}x"], false),
            (&["7"], false),
            (&["nu", "ll"], true),
            (&["nul"], false),
            (&["nope"], false),
            (&["null{}"], false),
            (&["{", "{}"], false),
            (&["{}", r"\"], false),
        ] {
            assert_eq!(is_complete(pieces.iter().copied()), expected, "{pieces:?}");
        }
    }

    #[test]
    fn beginnings() {
        for begins in ["{", r"{}x", " {", r"\n\t {", r"\u007b", r"\u000a\u007B"] {
            assert!(ArgumentsScanner::begins_object(begins), "{begins}");
        }
        for other in ["", " ", r"\n", "[{", r#"\"{"#, "x{", r"\u00", r"\\{"] {
            assert!(!ArgumentsScanner::begins_object(other), "{other}");
        }
    }

    proptest! {
        /// The same as reading all of it again after each piece, for a JSON text that is cut anywhere.
        #[test]
        fn scanner_equals_reading_again(
            value in r#"[\[{]("[a-z\\\\{}é"]{0,6}"|[0-9]|[,:{}\[\]]){0,12}[\]}]"#,
            keys in prop::collection::vec("[a-zé\\\\\"{}\n]{0,4}", 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let object = serde_json::json!({ "k": keys }).to_string();
            for (text, is_json) in [(object, true), (value, false)] {
                let quoted = quoted(&text);
                let raw = &quoted[1..quoted.len() - 1];
                let cut = raw.floor_char_boundary(cut.index(raw.len() + 1));
                let (begin, rest) = raw.split_at(cut);
                prop_assert_eq!(is_complete([raw]), is_complete([begin, rest]));
                let again = |raw: &str| serde_json::from_str::<IgnoredAny>(&decoded(&format!("\"{raw}\""))).is_ok();
                if is_json {
                    prop_assert!(is_complete([raw]) && again(raw));
                    prop_assert!(cut == raw.len() || !is_complete([begin]) || begin.is_empty());
                } else if again(raw) {
                    prop_assert!(is_complete([raw]), "{}", raw);
                }
            }
        }
    }
}
