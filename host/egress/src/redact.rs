//! Blanks out what a provider echoes of a secret, before anybody can see it.
//!
//! In go an answer's header values and, as they come, the pieces of its body; out come the same bytes, with `*` in place of
//! each byte of a secret. Who reads them learns nothing else of it: where the pieces end depends on the text alone. Held back is
//! what could be the beginning of any secret, whatever it says. That ends at a line's end, so that events come at once.

use crate::search::{Needles, Search};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::ops::Range;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Redacts one answer. Takes a time that grows with what it reads and no faster, however that is cut.
pub(crate) struct Redactor {
    needles: Arc<Needles>,
    search: Search,
    /// How many bytes were read.
    at: u64,
    held: Held,
}

/// The last bytes that were read and not handed on, with `*` in place of secrets.
#[derive(Default)]
struct Held {
    bytes: Zeroizing<Vec<u8>>,
    /// What lies before was handed on.
    from: usize,
}

impl Redactor {
    pub(crate) fn new(needles: Arc<Needles>) -> Self {
        Self { search: Search::new(&needles), needles, at: 0, held: Held::default() }
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
        let mut found: Vec<Range<u64>> = Vec::new();
        let note = &mut |range| note(&mut found, range);
        self.search.read(&self.needles, &piece, self.at, note);
        self.at += piece.len() as u64;
        if last {
            self.search.end(&self.needles, note);
        }
        let place = |at: u64| usize::try_from(at.saturating_sub(base)).unwrap_or(usize::MAX);
        let split = place(self.until());
        if self.held.len() == 0 && found.is_empty() {
            self.held.push(&piece[split..]);
            return piece.slice(..split);
        }
        self.held.push(&piece);
        found.into_iter().for_each(|range| self.held.blank(place(range.start)..place(range.end)));
        self.held.take(split)
    }

    /// Up to where all is known: what lies before has been redacted, or is no part of a secret. Neither secrets nor where they
    /// were found must matter here: who wrote the text before could tell from it whether that was the beginning of one.
    fn until(&self) -> u64 {
        self.search.begun(&self.needles).unwrap_or(self.at)
    }
}

impl Held {
    fn len(&self) -> usize {
        self.bytes.len() - self.from
    }

    fn push(&mut self, piece: &[u8]) {
        let len = self.len() + piece.len();
        if self.bytes.capacity() - self.bytes.len() < piece.len() {
            // Growing would leave copies behind. With room for as much again, what is held is seldom copied.
            let mut bytes = Zeroizing::new(Vec::with_capacity(2 * len));
            bytes.extend_from_slice(&self.bytes[self.from..]);
            *self = Self { bytes, from: 0 };
        }
        self.bytes.extend_from_slice(piece);
    }

    fn blank(&mut self, range: Range<usize>) {
        self.bytes[self.from..][range].fill(b'*');
    }

    fn take(&mut self, len: usize) -> Bytes {
        let taken = Bytes::copy_from_slice(&self.bytes[self.from..][..len]);
        self.from += len;
        if self.len() == 0 {
            self.bytes.clear();
            self.from = 0;
        }
        taken
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
    use crate::fuzzing::{self, naive, write};
    use proptest::prelude::*;

    fn needles(secrets: &[&str]) -> Arc<Needles> {
        Arc::new(Needles::new(secrets.iter().map(|secret| Zeroizing::new(secret.as_bytes().to_vec()))))
    }

    fn bytes<'t>(texts: &[&'t str]) -> Vec<&'t [u8]> {
        texts.iter().map(|text| text.as_bytes()).collect()
    }

    /// With a bound that is as low as these secrets allow, so that short texts reach it.
    fn redact(secrets: &[&[u8]], pieces: &[&[u8]]) -> Vec<u8> {
        let handed = fuzzing::redact(secrets, 1, pieces);
        assert_eq!(handed.last().unwrap().1, 0);
        handed.into_iter().flat_map(|(piece, _)| piece).collect()
    }

    /// `text` cut at each of `at`, which are taken as parts of a thousand.
    fn cut<'t>(text: &'t [u8], at: &[usize]) -> Vec<&'t [u8]> {
        let mut at: Vec<_> = at.iter().map(|at| at * text.len() / 1000).collect();
        at.sort_unstable();
        let ends = at.iter().copied().chain([text.len()]);
        std::iter::once(0).chain(at.iter().copied()).zip(ends).map(|(start, end)| &text[start..end]).collect()
    }

    #[track_caller]
    fn check(secrets: &[&str], text: &str, expected: &str) {
        let (secrets, text) = (bytes(secrets), text.as_bytes());
        assert_eq!(String::from_utf8(naive(&secrets, text)).unwrap(), expected, "the slow way");
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let got = redact(&secrets, &[&text[..first], &text[first..second], &text[second..]]);
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
            let secrets = bytes(secrets);
            let mut texts = vec![String::new()];
            for _ in 0..5 {
                texts = texts.iter().flat_map(|text| alphabet.iter().map(move |next| text.clone() + next)).collect();
                for text in texts.iter().map(String::as_bytes) {
                    let expected = naive(&secrets, text);
                    for first in 0..=text.len() {
                        for second in first..=text.len() {
                            let pieces = [&text[..first], &text[first..second], &text[second..]];
                            assert_eq!(redact(&secrets, &pieces), expected, "{text:?} {first} {second}");
                        }
                    }
                }
            }
        }
    }

    /// A secret, and texts around it of which it is hard to be told apart.
    fn texts(secret: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let choices = prop::collection::vec(any::<u8>(), 1..8);
        let echo = (1..=secret.len(), 0..4_usize, choices)
            .prop_map(|(len, spellings, choices)| write(&secret.as_bytes()[..len], spellings, &choices));
        let parts = ["aab", "/", "\\", "\\/", "\\\\", "aa", "%", "%2f", "%5C", "\\u002F", "\\u00", "x", "\n", "é"];
        let other = prop::sample::select(parts.to_vec()).prop_map(|part| part.as_bytes().to_vec());
        prop::collection::vec(prop_oneof![echo, other], 0..40).prop_map(|parts| parts.concat())
    }

    const KEY: &str = "aab/aab\\aa%\"";

    proptest! {
        #[test]
        fn it_does_as_the_slow_way(text in texts(KEY), at in prop::collection::vec(0..=1000_usize, 0..30)) {
            let secrets = [KEY.as_bytes(), b"aab/aab"];
            let redacted = redact(&secrets, &cut(&text, &at));
            prop_assert_eq!(&redacted, &naive(&secrets, &text));
            prop_assert!(!redacted.windows(KEY.len()).any(|part| part == KEY.as_bytes()));
        }

        #[test]
        fn no_spelling_survives(
            (before, after) in (texts("abcd"), texts("efgh")),
            secret in "[ -)+-~]{8,40}",
            (spellings, choices) in (0..4_usize, prop::collection::vec(any::<u8>(), 1..40)),
            at in prop::collection::vec(0..=1000_usize, 0..30),
        ) {
            let written = write(secret.as_bytes(), spellings, &choices);
            let text = [&before[..], b"\n", &written, b"\n", &after].concat();
            let redacted = redact(&[secret.as_bytes()], &cut(&text, &at));
            let echo = &redacted[before.len()..][..written.len() + 2];
            prop_assert_eq!(echo, [b"\n", &*vec![b'*'; written.len()], b"\n"].concat());
        }

        /// Whoever does not know a secret sees pieces of the same sizes, whichever it is.
        #[test]
        fn where_pieces_end_tells_nothing(
            text in texts(KEY),
            other in "[ -~]{9,16}",
            at in prop::collection::vec(0..=1000_usize, 0..30),
        ) {
            let sizes = |secret: &str| -> Vec<_> {
                let handed = fuzzing::redact(&[secret.as_bytes()], 1, &cut(&text, &at));
                handed.into_iter().map(|(piece, held)| (piece.len(), held)).collect()
            };
            prop_assert_eq!(sizes(KEY), sizes(&other));
        }
    }

    /// What is held back after each piece, with a secret of up to 256 characters.
    #[test]
    fn what_is_held_back_depends_on_the_text_alone() {
        let long = "a".repeat(300);
        let unit = "\\u0061".repeat(300);
        for (piece, held) in [
            ("data: {}\n\n", 0),
            ("data: {}\r\n\r\n", 0),
            ("naïve", 2),
            ("a\u{1}bc", 2),
            ("sk-1", 4),
            ("sk-2", 4),
            ("xyz\\u00", 7),
            (&long, 255),
            // As many characters, each in six bytes.
            (&unit, 255 * 6),
            (&format!("{unit}{}", &long[..100]), 155 * 6 + 100),
            (&format!("{unit}{long}"), 255),
            // What may become a character has as many before it.
            (&format!("{long}\\u006"), 255 + 5),
            (&format!("{long}\\\\u006"), 255 + 6),
            (&format!("{long}%6"), 255 + 2),
        ] {
            for secrets in [&["sk-12345"][..], &["0123456789", "a secret of another length"], &[&long[..256]]] {
                let mut redactor = Redactor::new(needles(secrets));
                redactor.feed(Bytes::copy_from_slice(piece.as_bytes()), false);
                assert_eq!(redactor.held(), held, "{piece}");
                assert_eq!(redactor.feed(Bytes::from("\n"), false).len() as u64, held + 1, "{piece}");
            }
        }
    }

    #[test]
    fn what_has_no_secret_is_passed_on_as_it_is() {
        let piece = Bytes::from_static(b"data: {\"a\":\"b\\n%41\"}\n\n");
        let mut redactor = Redactor::new(needles(&["sk-12345"]));
        assert_eq!(redactor.feed(Bytes::from("a sk-12345\n"), false), "a ********\n");
        let got = redactor.feed(piece.clone(), false);
        assert_eq!((got.as_ptr(), got.len()), (piece.as_ptr(), piece.len()), "not copied");
    }

    #[test]
    fn a_text_made_against_it_takes_no_longer() {
        let (secret, text) = ("a".repeat(20_000), "a".repeat(19_999) + "b\\u0061");
        let mut redactor = Redactor::new(needles(&[&secret]));
        let began = std::time::Instant::now();
        for _ in 0..20 {
            for piece in text.as_bytes().chunks(10) {
                redactor.feed(Bytes::copy_from_slice(piece), false);
            }
        }
        assert!(redactor.held() > 32_000);
        // One comparison for each pair, or one copy of what is held for each piece, would be billions.
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

    #[test]
    fn names_are_left_out_when_they_hold_all_of_a_secret() {
        for (name, stays) in [
            ("x-sk-abcd", false),
            ("sk-abcd", false),
            ("sk-abcd-x", false),
            ("content-language", true),
            ("x-sk-abce", true),
            // Two differences of the same bits.
            ("x-rj-abcd", true),
            ("sk-abc", true),
        ] {
            let mut fields = HeaderMap::new();
            fields.append(name, HeaderValue::from_static("1"));
            Redactor::new(needles(&["SK-abcd"])).redact_fields(&mut fields);
            assert_eq!(fields.contains_key(name), stays, "{name}");
        }
    }

    /// A buffer that grew by itself would leave a copy behind, which nobody wipes.
    #[test]
    fn held_bytes_are_moved_to_a_buffer_of_full_size() {
        let mut held = Held::default();
        for (piece, taken, capacity) in
            [(3, 0, 6), (3, 0, 6), (4, 0, 20), (10, 8, 20), (1, 0, 26), (13, 0, 26), (1, 0, 54)]
        {
            held.push(&vec![b'x'; piece]);
            assert_eq!((held.bytes.capacity(), held.take(taken).len()), (capacity, taken));
        }
        assert_eq!(held.len(), 27);
        held.take(27);
        assert_eq!((held.len(), held.from, held.bytes.len(), held.bytes.capacity()), (0, 0, 0, 54));
    }

    #[test]
    fn places_that_touch_are_noted_as_one() {
        let mut found = Vec::new();
        for (range, expected) in [
            ((5, 7), &[(5, 7)][..]),
            ((6, 9), &[(5, 9)]),
            ((9, 10), &[(5, 10)]),
            ((3, 5), &[(3, 10)]),
            ((4, 6), &[(3, 10)]),
            ((11, 12), &[(3, 10), (11, 12)]),
            ((0, 2), &[(3, 10), (11, 12), (0, 2)]),
        ] {
            note(&mut found, range.0..range.1);
            let got: Vec<_> = found.iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(got, expected, "{range:?}");
        }
    }
}
