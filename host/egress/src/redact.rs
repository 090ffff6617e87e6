//! Blanks out what a provider echoes of a secret, before anybody can see it.
//!
//! In go an answer's header values and, as they come, the pieces of its body; out come the same bytes, with `*` in place of
//! each byte of a secret. Only what may yet turn out to be a secret is held back: from where one has begun.

use crate::search::{Needles, SPELLINGS, View};
use crate::spelling::Char;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::ops::Range;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Redacts one answer. Takes a time that grows with what it reads and no faster, however that is cut.
pub(crate) struct Redactor {
    needles: Arc<Needles>,
    views: [View; SPELLINGS.len()],
    /// How many bytes were read.
    at: u64,
    /// The last of them, which were not handed on.
    held: Zeroizing<Vec<u8>>,
    /// Where secrets are, as far as it was not handed on.
    found: Vec<Range<u64>>,
}

impl Redactor {
    pub(crate) fn new(needles: Arc<Needles>) -> Self {
        let views = SPELLINGS.map(|spellings| View::new(spellings, &needles));
        Self { needles, views, at: 0, held: Zeroizing::default(), found: Vec::new() }
    }

    /// Redacts the fields of a head. One whose name holds a secret, which no honest provider sends, is left out.
    pub(crate) fn redact_fields(&mut self, fields: &mut HeaderMap) {
        let named: Vec<_> = fields.keys().filter(|name| self.needles.are_in_name(name.as_str())).cloned().collect();
        named.iter().for_each(|name| drop(fields.remove(name)));
        for value in fields.values_mut() {
            let redacted = self.feed(Bytes::copy_from_slice(value.as_bytes()), true);
            if redacted != value.as_bytes() {
                // Of a value's bytes and `*` there is always a value.
                *value = HeaderValue::from_maybe_shared(redacted).unwrap_or(HeaderValue::from_static("*"));
            }
        }
    }

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> u64 {
        self.held.len() as u64
    }

    /// Takes the next piece, and gives what can be handed on, which may be nothing. After the last one it holds nothing back.
    pub(crate) fn feed(&mut self, piece: Bytes, last: bool) -> Bytes {
        let base = self.at - self.held();
        self.scan(&piece);
        if last {
            let found = &mut |range| note(&mut self.found, range);
            self.views.iter_mut().for_each(|view| view.end(&self.needles, found));
        }
        let until = self.until(base);
        let split = usize::try_from(until - base).unwrap_or(usize::MAX);
        if self.held.is_empty() && self.found.is_empty() {
            self.held = Zeroizing::new(piece[split..].to_vec());
            return piece.slice(..split);
        }
        // Of its full size from the start: growing would leave copies behind.
        let mut window = Zeroizing::new(Vec::with_capacity(self.held.len() + piece.len()));
        window.extend_from_slice(&self.held);
        window.extend_from_slice(&piece);
        for range in &self.found {
            let place = |at: u64| usize::try_from(at.saturating_sub(base)).unwrap_or(usize::MAX);
            window[place(range.start)..place(range.end)].fill(b'*');
        }
        self.found.retain(|range| range.end > until);
        self.held = Zeroizing::new(window[split..].to_vec());
        Bytes::copy_from_slice(&window[..split])
    }

    fn scan(&mut self, piece: &[u8]) {
        let begin = self.at;
        let mut next = 0;
        while next < piece.len() {
            if self.views.iter().all(|view| view.begun().is_none()) {
                let begins = |byte: &u8| self.needles.begins[usize::from(*byte)];
                let Some(skip) = piece[next..].iter().position(begins) else { break };
                next += skip;
            }
            let start = begin + next as u64;
            let char = Char { byte: piece[next], start, end: start + 1 };
            let found = &mut |range| note(&mut self.found, range);
            self.views.iter_mut().for_each(|view| view.read(&self.needles, char, found));
            next += 1;
        }
        self.at = begin + piece.len() as u64;
    }

    /// Up to where all is known: what lies before has been redacted, or is no part of a secret.
    fn until(&self, base: u64) -> u64 {
        let begun = self.views.iter().filter_map(View::begun).min();
        let mut until = begun.unwrap_or(self.at).max(base);
        // What a secret begins in that is blanked out already need not wait for it.
        while let Some(range) = self.found.iter().find(|range| range.contains(&until)) {
            until = range.end;
        }
        until
    }
}

/// Adds `range` to `found`, to the last one where they touch.
fn note(found: &mut Vec<Range<u64>>, range: Range<u64>) {
    match found.last_mut() {
        Some(last) if last.start <= range.end && range.start <= last.end => {
            *last = last.start.min(range.start)..last.end.max(range.end);
        }
        _ => found.push(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spelling::Spelling;

    fn needles(secrets: &[&str]) -> Arc<Needles> {
        Arc::new(Needles::new(secrets.iter().map(|secret| Zeroizing::new(secret.as_bytes().to_vec()))))
    }

    /// One character of `text` under `spelling`, with how long it is written.
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

    /// The slow way: decodes the whole text, layer by layer, and looks at each place.
    fn naive(secrets: &[&str], text: &[u8]) -> Vec<u8> {
        let mut redacted = text.to_vec();
        for spellings in SPELLINGS {
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
            for secret in secrets {
                for at in 0..(decoded.len() + 1).saturating_sub(secret.len()) {
                    if decoded[at..].starts_with(secret.as_bytes()) {
                        redacted[places[at]..places[at + secret.len()]].fill(b'*');
                    }
                }
            }
        }
        redacted
    }

    fn redact(needles: &Arc<Needles>, pieces: &[&[u8]]) -> Vec<u8> {
        let mut redactor = Redactor::new(needles.clone());
        let last = pieces.len() - 1;
        let feed = |(n, piece): (usize, &&[u8])| redactor.feed(Bytes::copy_from_slice(piece), n == last);
        let redacted = pieces.iter().enumerate().flat_map(feed).collect();
        assert_eq!(redactor.held(), 0);
        redacted
    }

    #[track_caller]
    fn check(secrets: &[&str], text: &str, expected: &str) {
        assert_eq!(String::from_utf8(naive(secrets, text.as_bytes())).unwrap(), expected, "the slow way");
        let (needles, text) = (needles(secrets), text.as_bytes());
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                let got = redact(&needles, &pieces);
                assert_eq!(String::from_utf8_lossy(&got), expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn each_spelling_however_it_is_cut() {
        let key = "sk-1/2+3\"\\4";
        for (text, expected) in [
            ("a sk-1/2+3\"\\4 b", "a *********** b"),
            (r#"{"a":"sk-1\/2+3\"\\4"}"#, r#"{"a":"**************"}"#),
            (r#"{"a":"sk-1/2\u002B3\u0022\u005c4"}"#, r#"{"a":"**************************"}"#),
            (r#"{"a":"{\"b\":\"sk-1\\/2+3\\\"\\\\4\"}"}"#, r#"{"a":"{\"b\":\"*******************\"}"}"#),
            ("?a=sk-1%2F2%2b3%22%5C4&b", "?a=*******************&b"),
            ("%73k-1/2+3\"\\4 sk-1/2+3\"\\5", "************* sk-1/2+3\"\\5"),
            (r"\u0073k-1/2+3\u0022\\4\u007", r"**********************\u007"),
        ] {
            check(&[key], text, expected);
        }
        check(&[r"a\/%41cdef"], r"<a\/%41cdef>", "<**********>");
        check(&["abcdefg\\"], r#""\"abcdefg\\""#, r#""\"*********""#);
    }

    #[test]
    fn overlapping_adjacent_and_repeated() {
        for (secrets, text, expected) in [
            (&["aabaa"][..], "xaabaabaay", "x********y"),
            (&["aabaa"], "aabaaaabaa", "**********"),
            (&["aabaa"], "aabaaxaabaa", "*****x*****"),
            (&["aaaa"], "aaaaaaabaaa", "*******baaa"),
            (&["abcd", "bc"], "xbcxabcdxabc", "x**x****xa**"),
            (&["abcd", "cdef"], "abcdefcd", "******cd"),
            (&["Bearer key-1", "key-1"], "Bearer key-2 key-1 Bearer key-1", "Bearer key-2 ***** ************"),
            (&["****"], "a****b***", "a****b***"),
        ] {
            check(secrets, text, expected);
        }
    }

    /// All texts of a few characters, each in up to three pieces.
    #[test]
    fn all_short_texts_in_all_cuts() {
        for (secrets, alphabet) in [
            (&["aab", "abaa"][..], &["a", "b", "c"][..]),
            (&["a/\\"], &["a", "/", "\\", "\\u002f"]),
            (&["%2", "\"%"], &["%", "2", "5", "\\", "\""]),
        ] {
            let needles = needles(secrets);
            let mut texts = vec![String::new()];
            for _ in 0..5 {
                texts = texts.iter().flat_map(|text| alphabet.iter().map(move |next| text.clone() + next)).collect();
                for text in texts.iter().map(String::as_bytes) {
                    let expected = naive(secrets, text);
                    for first in 0..=text.len() {
                        for second in first..=text.len() {
                            let pieces = [&text[..first], &text[first..second], &text[second..]];
                            assert_eq!(redact(&needles, &pieces), expected, "{text:?} {first} {second}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn long_texts_in_random_cuts() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap()
        };
        let secrets = ["Bearer aab/aab\\aa", "aab/aab\\aa"];
        let parts =
            ["aab", "/", "\\", "\\/", "\\\\", "aa", "Bearer ", "%2f", "%5C", "\\u002F", "x", "aab/aab\\aa", "\n"];
        let needles = needles(&secrets);
        for _ in 0..300 {
            let text: String = (0..200).map(|_| parts[random(parts.len())]).collect();
            let (mut pieces, mut rest) = (Vec::new(), text.as_bytes());
            while !rest.is_empty() {
                let (piece, others) = rest.split_at(rest.len().min(random(40)));
                pieces.push(piece);
                rest = others;
            }
            pieces.push(rest);
            assert_eq!(redact(&needles, &pieces), naive(&secrets, text.as_bytes()), "{text}");
        }
    }

    /// Each byte comes as soon as it is known not to begin a secret, and not before.
    #[test]
    fn nothing_is_held_back_without_need() {
        let secrets = ["aabaac", "baab"];
        let needles = needles(&secrets);
        for n in 0..3_usize.pow(9) {
            let text: Vec<u8> = (0..9).map(|digit| b"abc"[n / 3_usize.pow(digit) % 3]).collect();
            let mut redactor = Redactor::new(needles.clone());
            for (at, byte) in text.iter().enumerate() {
                redactor.feed(Bytes::copy_from_slice(&[*byte]), false);
                let read = &text[..=at];
                let begins = |from: &usize| secrets.iter().any(|s| s.as_bytes().starts_with(&read[*from..]));
                let mut from = (0..read.len())
                    .find(|from| !secrets.iter().any(|s| s.as_bytes() == &read[*from..]) && begins(from))
                    .unwrap_or(read.len());
                let redacted = naive(&secrets, read);
                while redacted.get(from) == Some(&b'*') {
                    from += 1;
                }
                assert_eq!(redactor.held(), (read.len() - from) as u64, "{}", String::from_utf8_lossy(read));
            }
        }
        let mut redactor = Redactor::new(self::needles(&["sk-12345"]));
        for (piece, expected) in
            [("abc", "abc"), ("s", ""), ("k-1", ""), ("9s", "sk-19"), ("\\u00", ""), ("e", "s\\u00e"), ("\n\n", "\n\n")]
        {
            assert_eq!(redactor.feed(Bytes::from(piece), false), expected, "{piece}");
        }
    }

    #[test]
    fn what_is_blanked_out_does_not_wait_for_what_begins_in_it() {
        let mut redactor = Redactor::new(needles(&["abcz", "bc", "cqr"]));
        assert_eq!(redactor.feed(Bytes::from("abc"), false), "");
        assert_eq!(redactor.feed(Bytes::from("q"), false), "a**");
        assert_eq!(redactor.feed(Bytes::from("r"), false), "**");
    }

    #[test]
    fn what_has_no_secret_is_passed_on_as_it_is() {
        let piece = Bytes::from_static(b"data: {\"a\":\"b\\n%41\"}\n\n");
        let mut redactor = Redactor::new(needles(&["sk-12345"]));
        assert_eq!(redactor.feed(Bytes::from("a sk-12345"), false), "a ********");
        let got = redactor.feed(piece.clone(), false);
        assert_eq!((got.as_ptr(), got.len()), (piece.as_ptr(), piece.len()), "not copied");
    }

    #[test]
    fn a_text_made_against_it_takes_no_longer() {
        let (secret, text) = ("a".repeat(20_000), "a".repeat(19_999) + "b");
        let mut redactor = Redactor::new(needles(&[&secret]));
        let began = std::time::Instant::now();
        for _ in 0..20 {
            for piece in text.as_bytes().chunks(1000) {
                redactor.feed(Bytes::copy_from_slice(piece), false);
            }
        }
        assert_eq!(redactor.held(), 0);
        // One comparison for each pair would be billions.
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn fields() {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("x-a", "a Bearer sk-12345, sk-1"),
            ("x-b", "2345 sk%2D12345"),
            ("x-sk-abcd", "1"),
            ("x-c", "unchanged"),
            ("x-c", "sk-12345"),
        ] {
            fields.append(name, HeaderValue::from_static(value));
        }
        Redactor::new(needles(&["sk-12345", "SK-ABCD"])).redact_fields(&mut fields);
        let got: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let expected =
            [("x-a", "a Bearer ********, sk-1"), ("x-b", "2345 **********"), ("x-c", "unchanged"), ("x-c", "********")];
        assert_eq!(got, expected);
    }
}
