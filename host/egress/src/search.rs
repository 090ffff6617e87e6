//! Finds secrets in a stream, under each spelling, with one look at each byte.
//!
//! In go bytes with their places; out come the places of whole secrets, and where one has begun that is not complete yet.

use crate::spelling::{self, Char, Decoder, Spelling};
use std::ops::Range;
use zeroize::Zeroizing;

/// What is looked for under which escapes: none, a string of JSON, such a string in another one, a URL.
pub(crate) const SPELLINGS: [&[Spelling]; 4] =
    [&[], &[Spelling::Json], &[Spelling::Json, Spelling::Json], &[Spelling::Percent]];

/// The secrets that one grant attaches.
pub(crate) struct Needles {
    needles: Vec<Needle>,
    /// The bytes that a secret can begin with, under any spelling.
    pub(crate) begins: [bool; 256],
    longest: usize,
}

/// One secret, with what Knuth, Morris and Pratt's search needs of it.
struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    /// For each length of a prefix, the length of the longest shorter prefix that is its suffix.
    fall: Vec<usize>,
}

impl Needles {
    /// Of `secrets`, none of them empty.
    pub(crate) fn new(secrets: impl IntoIterator<Item = Zeroizing<Vec<u8>>>) -> Self {
        let mut needles: Vec<Needle> = Vec::new();
        for bytes in secrets {
            if !bytes.is_empty() && needles.iter().all(|needle| needle.bytes != bytes) {
                needles.push(Needle::new(bytes));
            }
        }
        let mut begins = [false; 256];
        let marks = needles.iter().map(|needle| needle.bytes[0]).chain([b'\\', b'%']);
        marks.for_each(|byte| begins[usize::from(byte)] = true);
        let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or_default();
        Self { needles, begins, longest }
    }

    /// Whether a field's name, in which letters are lower-cased, holds a secret.
    pub(crate) fn are_in_name(&self, name: &str) -> bool {
        let holds = |needle: &Needle| name.as_bytes().windows(needle.bytes.len()).any(|part| needle.is(part));
        self.needles.iter().any(holds)
    }
}

impl Needle {
    fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        let mut needle = Self { fall: vec![0, 0], bytes };
        for at in 1..needle.bytes.len() {
            let longest = needle.next(needle.fall[at], needle.bytes[at]);
            needle.fall.push(longest);
        }
        needle
    }

    /// How many bytes match after `byte`, where `matched` did before it.
    fn next(&self, mut matched: usize, byte: u8) -> usize {
        while self.bytes[matched] != byte {
            if matched == 0 {
                return 0;
            }
            matched = self.fall[matched];
        }
        matched + 1
    }

    fn is(&self, part: &[u8]) -> bool {
        self.bytes.eq_ignore_ascii_case(part)
    }
}

/// The search under one spelling.
pub(crate) struct View {
    layers: Vec<Decoder>,
    tracker: Tracker,
}

/// How far each needle matches what was read.
struct Tracker {
    matched: Vec<usize>,
    /// Where the last characters begin, as many as the longest needle has.
    starts: Vec<u64>,
    count: usize,
}

impl View {
    pub(crate) fn new(spellings: &[Spelling], needles: &Needles) -> Self {
        let layers = spellings.iter().copied().map(Decoder::new).collect();
        let (matched, starts) = (vec![0; needles.needles.len()], vec![0; needles.longest]);
        Self { layers, tracker: Tracker { matched, starts, count: 0 } }
    }

    pub(crate) fn read(&mut self, needles: &Needles, char: Char, found: &mut dyn FnMut(Range<u64>)) {
        spelling::decode(&mut self.layers, char, &mut |char| self.tracker.advance(needles, char, found));
    }

    /// Nothing follows on what was read.
    pub(crate) fn end(&mut self, needles: &Needles, found: &mut dyn FnMut(Range<u64>)) {
        spelling::flush(&mut self.layers, &mut |char| self.tracker.advance(needles, char, found));
        self.tracker.matched.fill(0);
    }

    /// Where the first secret or escape begins that is not complete yet.
    pub(crate) fn begun(&self) -> Option<u64> {
        let escapes = self.layers.iter().filter_map(Decoder::begun);
        let matched = self.tracker.matched.iter().filter(|matched| **matched > 0);
        escapes.chain(matched.map(|matched| self.tracker.start(*matched))).min()
    }
}

impl Tracker {
    fn advance(&mut self, needles: &Needles, char: Char, found: &mut dyn FnMut(Range<u64>)) {
        let at = self.count % self.starts.len();
        self.starts[at] = char.start;
        self.count += 1;
        for (n, needle) in needles.needles.iter().enumerate() {
            self.matched[n] = needle.next(self.matched[n], char.byte);
            if self.matched[n] == needle.bytes.len() {
                found(self.start(self.matched[n])..char.end);
                self.matched[n] = needle.fall[self.matched[n]];
            }
        }
    }

    /// Where the last `matched` characters begin.
    fn start(&self, matched: usize) -> u64 {
        self.starts[(self.count - matched) % self.starts.len()]
    }
}
