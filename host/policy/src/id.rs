//! Names of adapters and the digests of their bytes, parsed once.

use std::fmt;
use std::str::FromStr;

/// An adapter's id: the stem of its file's name in the adapters folder.
///
/// One to 64 of `a` to `z`, `0` to `9`, `-`, `_` and `.`, beginning with a letter or a digit, without `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdapterId(Box<str>);

/// Why a text is no [`AdapterId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an adapter's id is 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`, begins with a letter or digit, and has no `..`")]
pub struct InvalidAdapterId;

/// The name that no adapter can have.
const TELEMETRY: &str = "telemetry";

impl AdapterId {
    /// The name under which the gateway itself asks, to send its telemetry. No adapter can have it.
    #[must_use]
    pub fn telemetry() -> Self {
        Self(TELEMETRY.into())
    }

    /// Whether the gateway has the name for itself.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.as_str() == TELEMETRY
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AdapterId {
    type Err = InvalidAdapterId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
            && text.bytes().next().is_some_and(plain)
            && !text.contains("..");
        if ok { Ok(Self(text.into())) } else { Err(InvalidAdapterId) }
    }
}

impl fmt::Display for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of an adapter's bytes; printed as `sha256:` and 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Why a text is no [`Digest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is `sha256:` and 64 hexadecimal digits in lower case")]
pub struct InvalidDigest;

impl Digest {
    /// The digest with these 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").ok_or(InvalidDigest)?.as_bytes();
        if hex.len() != 64 {
            return Err(InvalidDigest);
        }
        let digit = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(InvalidDigest),
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In one piece: each record of the ledger has one.
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in self.0 {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for ok in ["echo", "openai-compatible", "a", "0", "my_adapter.v2"] {
            assert_eq!(ok.parse::<AdapterId>().map(|id| id.to_string()), Ok(ok.to_owned()));
        }
        for bad in ["", "-a", ".a", "a..b", "A", "a/b", "a b", "ä", "a\u{1b}[0m", &"a".repeat(65)] {
            assert_eq!(bad.parse::<AdapterId>(), Err(InvalidAdapterId), "{bad:?}");
        }
    }

    #[test]
    fn digests_print_as_they_parse() {
        let text = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        for bad in ["", "sha256:", &text[7..], &text[..70], &text.to_uppercase(), &text.replace('a', "g")] {
            assert_eq!(bad.parse::<Digest>(), Err(InvalidDigest), "{bad:?}");
        }
    }
}
