//! The rule for a secret's value: edges are trimmed, and only text that can be a key is accepted.
//!
//! Takes the bytes of a variable or a file. Returns the same buffer with the key alone in it, or the reason for the refusal.
//! Recipients trim white space from header values, and files end with line breaks. A value that kept either would be
//! sent as one text and echoed as another, which the redactor would not find.

use std::io;
use zeroize::Zeroizing;

/// The shortest value that can be told from ordinary text in an answer, in bytes.
const MIN_LENGTH: usize = 8;

/// The longest value of one variable or file, in bytes. Servers commonly refuse header lines from 8 KiB on.
pub(crate) const MAX_LENGTH: usize = 4 * 1024;

/// The longest value of a secret's header with all its parts, in bytes.
pub(crate) const MAX_HEADER_LENGTH: usize = 8 * 1024;

/// A mark that some editors put before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A reason why a secret can't be used. No text holds any part of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// The environment has no such variable.
    #[error("is not set; set it in the environment of the gateway")]
    Unset,
    /// The file can't be read.
    #[error("can't be read ({0}); check its path and permissions")]
    Unreadable(io::ErrorKind),
    /// Nothing is left after trimming.
    #[error("is empty; write the key into it")]
    Empty,
    /// Redaction of such a value would hide ordinary text.
    #[error("has fewer than {MIN_LENGTH} characters, so redaction would hide ordinary text; use a longer key")]
    TooShort,
    /// The value is larger than any key.
    #[error("has more than {MAX_LENGTH} bytes; write the key alone into it")]
    TooLong,
    /// A blank, a tab or a line break between other characters.
    #[error("has white space inside, which no key has; write the key alone into it, on one line")]
    WhiteSpace,
    /// A control character other than those that are trimmed.
    #[error("has a control character, which no key has; copy the key again, as plain text")]
    Control,
    /// Any character beyond ASCII. Many of them are invisible: no-break and zero-width spaces, direction marks.
    #[error(
        "has a character outside of printable ASCII, perhaps an invisible one; copy the key again, as plain text in UTF-8"
    )]
    NotAscii,
    /// One character over and over. Redaction of such a value would hide rulers and indentation.
    #[error("is one character repeated, so redaction would hide ordinary text; use a real key")]
    Repeated,
    /// The header's value is too large with all its parts.
    #[error("would make a header of more than {MAX_HEADER_LENGTH} bytes; use a shorter key")]
    HeaderTooLong,
    /// The header's name, or the text around the references, can't be sent.
    #[error("would not make a valid header; correct the `secret` of the entry")]
    NotAHeader,
}

/// Trims `value` in place and checks the rest. No copy is made, so that wiping the buffer wipes the key.
pub(crate) fn check(mut value: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    trim(&mut value);
    match value.len() {
        0 => return Err(SecretProblem::Empty),
        len if len > MAX_LENGTH => return Err(SecretProblem::TooLong),
        _ => {}
    }
    if let Some(problem) = value.iter().find_map(|byte| character_problem(*byte)) {
        return Err(problem);
    }
    // After the characters: an invisible one is a better explanation than the length.
    if value.len() < MIN_LENGTH {
        return Err(SecretProblem::TooShort);
    }
    if value.iter().all(|byte| *byte == value[0]) { Err(SecretProblem::Repeated) } else { Ok(value) }
}

/// Removes one byte order mark at the start, and white space at both edges.
fn trim(value: &mut Vec<u8>) {
    let marked = if value.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let blank = value[marked..].iter().take_while(|byte| is_white_space(**byte)).count();
    let end = value.iter().rposition(|byte| !is_white_space(*byte)).map_or(0, |last| last + 1);
    value.truncate(end);
    // Moves the rest within the buffer, all of which is wiped on drop.
    drop(value.drain(..(marked + blank).min(end)));
}

fn character_problem(byte: u8) -> Option<SecretProblem> {
    match byte {
        b'!'..=b'~' => None,
        byte if is_white_space(byte) => Some(SecretProblem::WhiteSpace),
        0x80.. => Some(SecretProblem::NotAscii),
        _ => Some(SecretProblem::Control),
    }
}

/// The white space that text files and `.env` files leave at a value's edges.
fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn test(value: &[u8], expected: Result<&str, SecretProblem>) {
        let got = check(Zeroizing::new(value.to_vec()));
        let got = got.map(|value| String::from_utf8(value.to_vec()).unwrap());
        assert_eq!(got, expected.map(str::to_owned), "{:?}", value.escape_ascii().to_string());
    }

    #[test]
    fn value_is_trimmed_at_both_edges() {
        for edge in ["", " ", "\t", "\n", "\r\n", " \t\r\n \n"] {
            test(format!("{edge}sk-12345{edge}").as_bytes(), Ok("sk-12345"));
            test(format!("\u{feff}{edge}sk-12345{edge}").as_bytes(), Ok("sk-12345"));
        }
    }

    #[test]
    fn value_is_refused_when_nothing_is_left_after_trimming() {
        for value in ["", " ", "        ", " \r\n\t", "\u{feff}", "\u{feff} \n"] {
            test(value.as_bytes(), Err(SecretProblem::Empty));
        }
    }

    #[test]
    fn lengths_count_after_trimming() {
        test(b"1234567", Err(SecretProblem::TooShort));
        test(b"ab      ", Err(SecretProblem::TooShort));
        test(b"  1234567  ", Err(SecretProblem::TooShort));
        test(b"12345678", Ok("12345678"));
        let longest = "ab".repeat(2_048);
        test(format!(" {longest}\n").as_bytes(), Ok(&longest));
        test(format!("{longest}c").as_bytes(), Err(SecretProblem::TooLong));
        test(&vec![b'x'; 1 << 20], Err(SecretProblem::TooLong));
        assert!(SecretProblem::TooLong.to_string().contains("4096 bytes"));
    }

    #[test]
    fn characters_that_no_key_has_are_refused() {
        for (part, problem) in [
            (" ", SecretProblem::WhiteSpace),
            ("\t", SecretProblem::WhiteSpace),
            ("\n", SecretProblem::WhiteSpace),
            ("\r\n", SecretProblem::WhiteSpace),
            ("\0", SecretProblem::Control),
            ("\u{b}", SecretProblem::Control),
            ("\u{c}", SecretProblem::Control),
            ("\u{1b}", SecretProblem::Control),
            ("\u{1f}", SecretProblem::Control),
            ("\u{7f}", SecretProblem::Control),
            ("\u{80}", SecretProblem::NotAscii),
            ("\u{a0}", SecretProblem::NotAscii),
            ("\u{ad}", SecretProblem::NotAscii),
            ("ä", SecretProblem::NotAscii),
            ("\u{200b}", SecretProblem::NotAscii),
            ("\u{200e}", SecretProblem::NotAscii),
            ("\u{2028}", SecretProblem::NotAscii),
            ("\u{3000}", SecretProblem::NotAscii),
            ("\u{feff}", SecretProblem::NotAscii),
        ] {
            test(format!("sk-12{part}345678").as_bytes(), Err(problem));
        }
        // Those that are not trimmed are refused at the edges as well.
        for edge in ["\0", "\u{b}", "\u{c}", "\u{7f}"] {
            test(format!("sk-12345{edge}").as_bytes(), Err(SecretProblem::Control));
            test(format!("{edge}sk-12345").as_bytes(), Err(SecretProblem::Control));
        }
        for edge in ["\u{a0}", "\u{200b}", "\u{feff}"] {
            test(format!("sk-12345{edge}").as_bytes(), Err(SecretProblem::NotAscii));
            test(format!(" {edge}sk-12345").as_bytes(), Err(SecretProblem::NotAscii));
        }
        test(b"sk-\xff12345", Err(SecretProblem::NotAscii));
        // UTF-16, as some editors write it.
        test(b"\xff\xfes\0k\0-\x001\x002\x003\x004\0", Err(SecretProblem::NotAscii));
        test(b"\xef\xbbsk-12345", Err(SecretProblem::NotAscii));
    }

    #[test]
    fn one_character_repeated_is_refused() {
        for value in ["aaaaaaaa", "--------", "****************"] {
            test(value.as_bytes(), Err(SecretProblem::Repeated));
        }
        test(b"aaaaaaab", Ok("aaaaaaab"));
        test(b"baaaaaaa", Ok("baaaaaaa"));
    }

    #[test]
    fn each_printable_character_is_accepted() {
        let all: String = ('!'..='~').collect();
        test(all.as_bytes(), Ok(&all));
    }

    #[test]
    fn trimming_keeps_the_buffer() {
        let mut value = b"\xef\xbb\xbf  sk-12345\r\n".to_vec();
        let before = (value.as_ptr(), value.capacity());
        trim(&mut value);
        assert_eq!((value.as_slice(), (value.as_ptr(), value.capacity())), (&b"sk-12345"[..], before));
    }
}
