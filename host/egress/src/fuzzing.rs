//! Entry points for tests and fuzzers: the redactor with a slow reference implementation, and the ledger's in the modules below.
//!
//! Compiled for this crate's own tests and with the feature `fuzzing` only.

pub mod ledger;

use crate::redact::Redactor;
use crate::search::{Needles, SPELLINGS};
use crate::spelling::Spelling;
use bytes::Bytes;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What came of each of the pieces, and how much was held back after it.
pub type Handed = Vec<(Bytes, u64)>;

/// The secrets, of which all have at most as many characters as the next power of two from `least` on says.
pub(crate) fn needles(secrets: &[&[u8]], least: usize) -> Arc<Needles> {
    Arc::new(Needles::bounded(secrets.iter().map(|secret| Zeroizing::new(secret.to_vec())), least))
}

/// Redacts a text in `pieces`, of which the last one ends it.
#[must_use]
pub fn redact(secrets: &[&[u8]], least: usize, pieces: &[&[u8]]) -> Handed {
    let mut redactor = Redactor::new(needles(secrets, least));
    let feed = |(n, piece): (usize, &&[u8])| {
        let handed = redactor.feed(Bytes::copy_from_slice(piece), n + 1 == pieces.len());
        (handed, redactor.held())
    };
    pieces.iter().enumerate().map(feed).collect()
}

/// The slow way: decodes the whole text, layer by layer, and looks at each place.
#[must_use]
pub fn naive(secrets: &[&[u8]], text: &[u8]) -> Vec<u8> {
    let mut redacted = text.to_vec();
    for spellings in SPELLINGS {
        let (decoded, places) = decode(spellings, text);
        for secret in secrets {
            for at in 0..(decoded.len() + 1).saturating_sub(secret.len()) {
                if decoded[at..].starts_with(secret) {
                    redacted[places[at]..places[at + secret.len()]].fill(b'*');
                }
            }
        }
    }
    redacted
}

/// What `text` means under `spellings`, with the place of each character and of the end.
fn decode(spellings: &[Spelling], text: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut decoded = text.to_vec();
    let mut places: Vec<_> = (0..=text.len()).collect();
    for spelling in spellings {
        let (mut bytes, mut starts, mut at) = (Vec::new(), Vec::new(), 0);
        while at < decoded.len() {
            let (byte, len) = first(&decoded[at..], *spelling);
            bytes.push(byte);
            starts.push(places[at]);
            at += len;
        }
        starts.push(text.len());
        (decoded, places) = (bytes, starts);
    }
    (decoded, places)
}

/// The first character of `text` under `spelling`, with how long it is written.
fn first(text: &[u8], spelling: Spelling) -> (u8, usize) {
    let hex = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u8::from_str_radix(digits, 16).ok().filter(|byte| (0x20..0x80).contains(byte))
    };
    let means = match (spelling, text) {
        (Spelling::Json, [b'\\', byte @ (b'/' | b'"' | b'\\'), ..]) => Some((*byte, 2)),
        (Spelling::Json, [b'\\', b'u', b'0', b'0', high, low, ..]) => hex(&[*high, *low]).map(|byte| (byte, 6)),
        (Spelling::Percent, [b'%', high, low, ..]) => hex(&[*high, *low]).map(|byte| (byte, 3)),
        _ => None,
    };
    means.unwrap_or((text[0], 1))
}

/// Writes `secret` under the spellings with this number. `choices`, which are taken in turns, say how each character is written;
/// what has to be escaped is.
#[must_use]
pub fn write(secret: &[u8], spellings: usize, choices: &[u8]) -> Vec<u8> {
    let mut text = secret.to_vec();
    let mut choices = choices.iter().copied().chain([0]).cycle();
    for spelling in SPELLINGS[spellings % SPELLINGS.len()].iter().rev() {
        let mut written = Vec::new();
        for byte in text {
            match (spelling, choices.next().unwrap_or_default() % 4, byte) {
                (Spelling::Json, 0 | 1, b'"' | b'\\') | (Spelling::Json, 1, b'/') => written.extend([b'\\', byte]),
                (Spelling::Percent, 0 | 1, b'%') | (Spelling::Percent, 2, _) => {
                    written.extend(format!("%{byte:02x}").bytes());
                }
                (Spelling::Percent, 3, _) => written.extend(format!("%{byte:02X}").bytes()),
                (Spelling::Json, 2, _) => written.extend(format!("\\u{byte:04x}").bytes()),
                (Spelling::Json, 3, _) => written.extend(format!("\\u{byte:04X}").bytes()),
                _ => written.push(byte),
            }
        }
        text = written;
    }
    text
}

/// What a fuzzer's bytes say: a secret, where the text is cut, and the text.
struct Case {
    secret: Vec<u8>,
    least: usize,
    cuts: Vec<usize>,
    text: Vec<u8>,
}

impl Case {
    fn read(data: &[u8]) -> Option<Self> {
        let ([len, least, cuts], data) = data.split_first_chunk()?;
        let (secret, data) = data.split_at_checked(usize::from(len % 24) + 1)?;
        let (cuts, data) = data.split_at_checked(usize::from(cuts % 16))?;
        let secret = secret.iter().map(|byte| b' ' + byte % 95).collect::<Vec<_>>();
        let text = Self::text(&secret, data);
        let cuts = cuts.iter().map(|cut| usize::from(*cut) * text.len() / 255).collect();
        Some(Self { secret, least: [1, 16, 256][usize::from(least % 3)], cuts, text })
    }

    /// A byte that no UTF-8 has stands for the beginning of the secret: in which spelling, how long, how written.
    fn text(secret: &[u8], data: &[u8]) -> Vec<u8> {
        let (mut text, mut data) = (Vec::new(), data.iter().copied());
        while let Some(byte) = data.next() {
            if byte < 0xf8 {
                text.push(byte);
                continue;
            }
            let len = data.next().map_or(secret.len(), |len| usize::from(len) % (secret.len() + 1));
            let choice = data.next().unwrap_or_default();
            text.extend(write(&secret[..len], byte.into(), &[choice, choice >> 2, choice >> 4, choice >> 6]));
        }
        text
    }

    fn pieces(&self) -> Vec<&[u8]> {
        let mut cuts = self.cuts.clone();
        cuts.extend([0, self.text.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|cut| &self.text[cut[0]..cut[1]]).collect()
    }
}

/// Redacts what a fuzzer made up: as the slow way does, and in pieces of the same sizes as with another secret. Panics otherwise.
pub fn check(data: &[u8]) {
    let Some(case) = Case::read(data) else { return };
    let (pieces, other) = (case.pieces(), case.secret.iter().map(|byte| b'~' - (byte - b' ')).collect::<Vec<_>>());
    let secrets = [&case.secret[..], &case.secret[..case.secret.len().div_ceil(2)]];
    let handed = redact(&secrets, case.least, &pieces);
    let redacted: Vec<u8> = handed.iter().flat_map(|(piece, _)| piece.to_vec()).collect();
    assert_eq!(redacted.escape_ascii().to_string(), naive(&secrets, &case.text).escape_ascii().to_string());
    let sizes = |handed: &Handed| -> Vec<_> { handed.iter().map(|(piece, held)| (piece.len(), *held)).collect() };
    assert_eq!(sizes(&handed), sizes(&redact(&[&other], case.least, &pieces)));
}

#[cfg(test)]
mod tests {
    /// What the fuzzer has found worth keeping; the check is its own.
    #[test]
    fn the_corpus_holds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/redactor");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(files.len() > 10);
        files.into_iter().for_each(|file| super::check(&std::fs::read(file.unwrap().path()).unwrap()));
    }
}
