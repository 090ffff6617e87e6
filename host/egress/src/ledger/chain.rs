//! The chain: how a record is sealed, and how a line is held against its own hash.
//!
//! A record is one line of JSON whose last two members are `prev`, the hash of the record before, and `hash`, the SHA-256 of
//! all bytes of the line before `,"hash":`. The bytes are hashed as they stand in the file, so that there is nothing to read
//! in two ways. Whoever changes a record has to change all that follow, and with them the head.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// What stands between the hashed bytes and the hash.
const BEFORE_HASH: &[u8] = br#","hash":""#;
/// What ends a line, without the line feed.
const AFTER_HASH: &[u8] = br#""}"#;
/// The hash's digits.
const DIGITS: usize = 64;

/// The hash of a record: SHA-256, printed as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first record of a ledger names as the hash before it.
    pub(crate) const NONE: Self = Self([0; 32]);

    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digits, without an allocation: there is one hash a record to write.
    fn digits(self) -> [u8; DIGITS] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        digits
    }
}

impl FromStr for Hash {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_digits(text.as_bytes()).ok_or(InvalidHead)
    }
}

fn parse_digits(text: &[u8]) -> Option<Hash> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    if text.len() != DIGITS {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(Hash(bytes))
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A record's number and hash. That of the last record stands for the whole ledger up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The record's number, counted from 1; 0 is a ledger without records.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// The head of a ledger without records.
    pub(crate) const NONE: Self = Self { seq: 0, hash: Hash::NONE };
}

/// Why a text is no [`Head`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is a record's number, `:` and its hash of 64 hexadecimal digits in lower case")]
pub struct InvalidHead;

impl FromStr for Head {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (seq, hash) = text.split_once(':').ok_or(InvalidHead)?;
        Ok(Self { seq: seq.parse().map_err(|_| InvalidHead)?, hash: hash.parse()? })
    }
}

/// As [`Head::from_str`] reads it.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// A record's place in the chain, as its line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its number and its hash.
    pub(crate) head: Head,
    /// The hash of the record before it.
    pub(crate) prev: Hash,
}

/// Why a line, whatever stands around it, is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no record: not JSON, or without a number or hashes where they belong.
    Form,
    /// Its bytes have another hash than the one that it names; with what can still be read of it.
    Hash { named: Link, computed: Hash },
}

#[derive(Deserialize)]
struct Links<'a> {
    seq: u64,
    #[serde(borrow)]
    prev: &'a str,
}

/// Ends the record that begins at `start` of `buffer`, an object whose last member is `prev`, and gives its hash.
pub(crate) fn seal(buffer: &mut Vec<u8>, start: usize) -> Hash {
    // The closing brace comes again, after the hash.
    buffer.pop();
    let hash = Hash::of(&buffer[start..]);
    buffer.extend_from_slice(BEFORE_HASH);
    buffer.extend_from_slice(&hash.digits());
    buffer.extend_from_slice(AFTER_HASH);
    buffer.push(b'\n');
    hash
}

/// The place of the record `line`, which is given without its line feed.
pub(crate) fn check(line: &[u8]) -> Result<Link, Fault> {
    let (hashed, hash) = split(line).ok_or(Fault::Form)?;
    let links: Links<'_> = serde_json::from_slice(line).map_err(|_| Fault::Form)?;
    let prev = parse_digits(links.prev.as_bytes()).ok_or(Fault::Form)?;
    let named = Link { head: Head { seq: links.seq, hash }, prev };
    let computed = Hash::of(hashed);
    if computed == hash { Ok(named) } else { Err(Fault::Hash { named, computed }) }
}

/// The bytes that are hashed, and the hash that is named.
fn split(line: &[u8]) -> Option<(&[u8], Hash)> {
    let (rest, end) = line.split_at_checked(line.len().checked_sub(DIGITS + AFTER_HASH.len())?)?;
    let digits = end.strip_suffix(AFTER_HASH)?;
    Some((rest.strip_suffix(BEFORE_HASH)?, parse_digits(digits)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(seq: u64) -> Vec<u8> {
        let mut line = format!(r#"{{"seq":{seq},"time":"x","prev":"{}"}}"#, Hash::NONE).into_bytes();
        seal(&mut line, 0);
        line.pop();
        line
    }

    #[test]
    fn a_sealed_record_holds() {
        let line = sealed(7);
        let link = check(&line).unwrap();
        assert_eq!((link.head.seq, link.prev), (7, Hash::NONE));
        assert!(line.ends_with(format!(r#","hash":"{}"}}"#, link.head.hash).as_bytes()));
        serde_json::from_slice::<serde_json::Value>(&line).unwrap();
    }

    /// Any byte: the digits of the hash, the braces and the quotes among them.
    #[test]
    fn a_change_of_any_byte_is_found() {
        let line = sealed(7);
        for at in 0..line.len() {
            for flip in [1, 0x20, 0x80] {
                let mut changed = line.clone();
                changed[at] ^= flip;
                assert!(check(&changed).is_err(), "{}", String::from_utf8_lossy(&changed));
            }
        }
        for at in 0..line.len() {
            assert!(check(&line[..at]).is_err() && check(&line[at + 1..]).is_err());
        }
    }

    #[test]
    fn heads_print_as_they_parse() {
        let head = check(&sealed(7)).unwrap().head;
        assert_eq!(head.to_string().parse(), Ok(head));
        for bad in ["", "7", "7:", "x:00", ":", "-1:00", &head.to_string().to_uppercase()] {
            assert_eq!(bad.parse::<Head>(), Err(InvalidHead), "{bad}");
        }
    }
}
