//! Finds secrets in a stream, under each spelling, with one look at each byte.
//!
//! In go bytes with their places; out come the places of whole secrets, and from where on one may have begun. What each byte
//! costs, and what is said of the rest, depend on the text and on a round bound of the secrets' length: not on what they say.

use crate::spelling::{self, Char, Decoder, LONGEST, Spelling};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use zeroize::Zeroizing;

/// What is looked for under which escapes: none, a string of JSON, such a string in another one, a URL.
pub(crate) const SPELLINGS: [&[Spelling]; 4] =
    [&[], &[Spelling::Json], &[Spelling::Json, Spelling::Json], &[Spelling::Percent]];

/// The least bound of a secret's length: so that most secrets, as different as they are, have the same.
const LEAST_BOUND: usize = 256;

/// The secrets that one grant attaches.
pub(crate) struct Needles {
    needles: Vec<Needle>,
    /// No secret has more characters: a power of two.
    bound: usize,
    base: u64,
}

/// One secret, with what Rabin and Karp's search needs of it.
struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    hash: u64,
    /// What a character has been multiplied with when it leaves the window.
    leaving: u64,
}

impl Needles {
    /// Of `secrets`, none of them empty.
    pub(crate) fn new(secrets: impl IntoIterator<Item = Zeroizing<Vec<u8>>>) -> Self {
        Self::bounded(secrets, LEAST_BOUND)
    }

    /// With another least bound.
    pub(crate) fn bounded(secrets: impl IntoIterator<Item = Zeroizing<Vec<u8>>>, least: usize) -> Self {
        // Nobody outside knows it, so nobody can write a text in which windows look like a secret and are none.
        let base = RandomState::new().hash_one(least) | 1;
        let mut needles: Vec<Needle> = Vec::new();
        for bytes in secrets {
            if !bytes.is_empty() && needles.iter().all(|needle| needle.bytes != bytes) {
                needles.push(Needle::new(bytes, base));
            }
        }
        let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or_default();
        Self { needles, bound: longest.max(least).next_power_of_two(), base }
    }

    /// Whether a field's name, in which letters are lower-cased, holds a secret.
    pub(crate) fn are_in_name(&self, name: &str) -> bool {
        let holds = |needle: &Needle| name.as_bytes().windows(needle.bytes.len()).any(|part| needle.is(part));
        self.needles.iter().any(holds)
    }
}

impl Needle {
    fn new(bytes: Zeroizing<Vec<u8>>, base: u64) -> Self {
        let hash = bytes.iter().fold(0, |hash: u64, byte| hash.wrapping_mul(base).wrapping_add((*byte).into()));
        let leaving = bytes.iter().fold(1, |power: u64, _| power.wrapping_mul(base));
        Self { bytes, hash, leaving }
    }

    /// Compares all of it, so that the time does not tell how much is the same.
    fn is(&self, part: &[u8]) -> bool {
        let differ = |(one, other): (&u8, &u8)| one.to_ascii_lowercase() ^ other.to_ascii_lowercase();
        self.bytes.iter().zip(part).map(differ).fold(0, |all, one| all | one) == 0
    }
}

/// All spellings at once.
pub(crate) struct Search {
    plain: Tracker,
    views: [View; SPELLINGS.len() - 1],
}

impl Search {
    pub(crate) fn new(needles: &Needles) -> Self {
        // With room for what was before the escape that a view is in.
        let plain = Tracker::new(needles, needles.bound + LONGEST);
        Self { plain, views: std::array::from_fn(|n| View::new(SPELLINGS[n + 1], needles)) }
    }

    /// Reads `piece`, which is at `at`.
    pub(crate) fn read(&mut self, needles: &Needles, mut piece: &[u8], mut at: u64, found: &mut dyn FnMut(Range<u64>)) {
        while !piece.is_empty() {
            let ordinary = piece.iter().position(|byte| !is_of_secrets(*byte) || spelling::is_mark(*byte));
            // All up to what needs attention, or that alone.
            let (part, rest) = piece.split_at(ordinary.unwrap_or(piece.len()).max(1));
            self.views.iter_mut().for_each(|view| view.read(needles, &self.plain, part, at, found));
            self.plain.read(needles, part, at, found);
            at += part.len() as u64;
            piece = rest;
        }
    }

    /// Nothing follows on what was read.
    pub(crate) fn end(&mut self, needles: &Needles, found: &mut dyn FnMut(Range<u64>)) {
        self.views.iter_mut().for_each(|view| view.end(needles, &self.plain, found));
        self.plain.clear();
    }

    /// Where a secret that is not complete yet may have begun; `None` where none can have.
    pub(crate) fn begun(&self, needles: &Needles) -> Option<u64> {
        let most = needles.bound - 1;
        let views = self.views.iter().filter_map(|view| view.begun(needles, &self.plain, most));
        views.chain(self.plain.reach(self.plain.count(), most)).min()
    }
}

/// The search under one spelling that has escapes.
struct View {
    layers: Vec<Decoder>,
    apart: Apart,
}

/// What comes out of the escapes, where that is something else than what the plain search reads.
struct Apart {
    /// Made when it is needed.
    tracker: Option<Tracker>,
    /// How many characters were read since the last one that an escape means. When no secret has so many, the plain search
    /// goes on alone.
    alike: usize,
}

impl View {
    fn new(spellings: &[Spelling], needles: &Needles) -> Self {
        let layers = spellings.iter().copied().map(Decoder::new).collect();
        Self { layers, apart: Apart { tracker: None, alike: needles.bound } }
    }

    /// Reads a part that has no mark, or one byte.
    fn read(&mut self, needles: &Needles, plain: &Tracker, part: &[u8], at: u64, found: &mut dyn FnMut(Range<u64>)) {
        for (n, start) in (0..part.len()).zip(at..) {
            if self.pending().is_none() && !spelling::is_mark(part[n]) {
                return self.apart.read(needles, &part[n..], start, found);
            }
            let char = Char { byte: part[n], start, end: start + 1 };
            spelling::decode(&mut self.layers, char, &mut |char| self.apart.take(needles, plain, char, found));
        }
    }

    fn end(&mut self, needles: &Needles, plain: &Tracker, found: &mut dyn FnMut(Range<u64>)) {
        spelling::flush(&mut self.layers, &mut |char| self.apart.take(needles, plain, char, found));
        self.apart.alike = needles.bound;
    }

    /// Where an escape begins that is not complete yet.
    fn pending(&self) -> Option<u64> {
        self.layers.iter().filter_map(Decoder::begun).min()
    }

    fn begun(&self, needles: &Needles, plain: &Tracker, most: usize) -> Option<u64> {
        let pending = self.pending();
        match &self.apart.tracker {
            Some(tracker) if self.apart.alike < needles.bound => tracker.reach(tracker.count(), most).or(pending),
            _ => pending.map(|at| plain.reach(plain.before(at), most).unwrap_or(at)),
        }
    }
}

impl Apart {
    /// Takes one character.
    fn take(&mut self, needles: &Needles, plain: &Tracker, char: Char, found: &mut dyn FnMut(Range<u64>)) {
        if char.end - char.start == 1 {
            return self.read(needles, &[char.byte], char.start, found);
        }
        let tracker = self.tracker.get_or_insert_with(|| Tracker::new(needles, needles.bound));
        if self.alike >= needles.bound {
            tracker.catch_up(needles, plain, char.start);
        }
        tracker.take(needles, char, found);
        self.alike = 1;
    }

    /// Takes characters of one byte each.
    fn read(&mut self, needles: &Needles, bytes: &[u8], at: u64, found: &mut dyn FnMut(Range<u64>)) {
        let apart = bytes.len().min(needles.bound.saturating_sub(self.alike));
        if let Some(tracker) = self.tracker.as_mut().filter(|_| apart > 0) {
            tracker.read(needles, &bytes[..apart], at, found);
            self.alike += apart;
        }
    }
}

/// The last characters of a run of those that secrets are made of, and what windows of the needles' lengths hash to.
struct Tracker {
    /// The last `room` of them or more, and where they begin.
    bytes: Zeroizing<Vec<u8>>,
    starts: Vec<u64>,
    room: usize,
    /// Where the last one ends.
    end: u64,
    hashes: Vec<u64>,
}

impl Tracker {
    /// One that remembers `room` characters.
    fn new(needles: &Needles, room: usize) -> Self {
        let (bytes, starts) = (Zeroizing::new(Vec::with_capacity(2 * room)), Vec::with_capacity(2 * room));
        Self { bytes, starts, room, end: 0, hashes: vec![0; needles.needles.len()] }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.hashes.fill(0);
    }

    /// How many characters it remembers.
    fn count(&self) -> usize {
        self.bytes.len()
    }

    /// Takes characters of one byte each: such as secrets have, or a single one.
    fn read(&mut self, needles: &Needles, mut bytes: &[u8], mut at: u64, found: &mut dyn FnMut(Range<u64>)) {
        if bytes.iter().any(|byte| !is_of_secrets(*byte)) {
            return self.clear();
        }
        while !bytes.is_empty() {
            let (now, then) = bytes.split_at(bytes.len().min(self.free()));
            self.bytes.extend_from_slice(now);
            self.starts.extend((at..).take(now.len()));
            at += now.len() as u64;
            self.end = at;
            self.search(needles, now.len(), found);
            bytes = then;
        }
    }

    /// Takes a character.
    fn take(&mut self, needles: &Needles, char: Char, found: &mut dyn FnMut(Range<u64>)) {
        if !is_of_secrets(char.byte) {
            return self.clear();
        }
        self.free();
        self.bytes.push(char.byte);
        self.starts.push(char.start);
        self.end = char.end;
        self.search(needles, 1, found);
    }

    /// For how many more there is a place: never none, and mostly as many as it remembers.
    fn free(&mut self) -> usize {
        if self.bytes.len() == 2 * self.room {
            self.bytes.drain(..self.room);
            self.starts.drain(..self.room);
        }
        2 * self.room - self.bytes.len()
    }

    /// Looks for needles that end in the last `new` characters. Does the same for all characters but for whole needles.
    fn search(&mut self, needles: &Needles, new: usize, found: &mut dyn FnMut(Range<u64>)) {
        let from = self.bytes.len() - new;
        for (hash, needle) in self.hashes.iter_mut().zip(&needles.needles) {
            let len = needle.bytes.len();
            for at in from..self.bytes.len() {
                let leaving = if at < len { 0 } else { self.bytes[at - len] };
                let left = needle.leaving.wrapping_mul(leaving.into());
                *hash = hash.wrapping_mul(needles.base).wrapping_add(u64::from(self.bytes[at]).wrapping_sub(left));
                if *hash == needle.hash && self.bytes[..=at].ends_with(&needle.bytes) {
                    let end = self.starts.get(at + 1).copied().unwrap_or(self.end);
                    found(self.starts[at + 1 - len]..end);
                }
            }
        }
    }

    /// Takes what matters of the characters before the place `at` from the plain search.
    fn catch_up(&mut self, needles: &Needles, plain: &Self, at: u64) {
        self.clear();
        let until = plain.before(at);
        let from = until.saturating_sub(needles.bound - 1);
        // What ends here, the plain search has found.
        let start = plain.starts.get(from).copied().unwrap_or(at);
        self.read(needles, &plain.bytes[from..until], start, &mut |_| {});
    }

    /// How many of the characters are before the place `at`. For the plain search, where each has one byte.
    fn before(&self, at: u64) -> usize {
        self.count().saturating_sub(usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX))
    }

    /// Where the last of the first `count` characters begin: `most`, or all where there are fewer.
    fn reach(&self, count: usize, most: usize) -> Option<u64> {
        let reached = count.min(most);
        (reached > 0).then(|| self.starts[count - reached])
    }
}

/// Whether secrets can have it.
fn is_of_secrets(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles(secrets: &[&str]) -> Needles {
        Needles::new(secrets.iter().map(|secret| Zeroizing::new(secret.as_bytes().to_vec())))
    }

    #[test]
    fn empty_and_repeated_secrets_are_left_out() {
        let needles = needles(&["", "sk-12345", "", "sk-12345", "sk-67890"]);
        let kept: Vec<_> = needles.needles.iter().map(|needle| needle.bytes.as_slice()).collect();
        assert_eq!(kept, [b"sk-12345", b"sk-67890"]);
        assert!(!needles.are_in_name("x-name"));
    }

    /// An even factor would lose the first characters of a long secret, and one that is known lets texts be made against it.
    #[test]
    fn factor_of_the_hash_is_odd_and_random() {
        let bases: Vec<_> = (0..64).map(|_| needles(&["sk-12345"]).base).collect();
        assert!(bases.iter().all(|base| base % 2 == 1 && *base > 1 << 16), "{bases:?}");
        assert!(bases.iter().any(|base| *base != bases[0]));
    }

    /// A buffer that grew by itself would leave a copy behind, which nobody wipes.
    #[test]
    fn trackers_stay_in_their_buffers() {
        let needles = needles(&["sk-12345"]);
        let mut search = Search::new(&needles);
        let before = search.plain.bytes.as_ptr();
        for (n, piece) in [1, 7, 300, 1_000, 5_000, 2].iter().enumerate() {
            let text = "x".repeat(*piece) + if n % 2 == 0 { "\\u0061" } else { "" };
            search.read(&needles, text.as_bytes(), 10_000 * n as u64, &mut |_| {});
        }
        assert_eq!(search.plain.bytes.as_ptr(), before);
        let apart = search.views.iter().filter_map(|view| view.apart.tracker.as_ref());
        for tracker in std::iter::once(&search.plain).chain(apart) {
            assert_eq!((tracker.bytes.capacity(), tracker.starts.capacity()), (2 * tracker.room, 2 * tracker.room));
            assert!(tracker.bytes.len() <= 2 * tracker.room && tracker.bytes.len() == tracker.starts.len());
        }
    }

    /// The plain search forgets characters in steps. Before the longest escape it has to remember enough, wherever a step falls.
    #[test]
    fn secret_before_the_longest_escape_is_found_at_each_place() {
        let secret = "abcdefgh".repeat(8);
        let needles = Needles::bounded([Zeroizing::new(secret.clone().into_bytes())], 1);
        // `\u0068`, the last character, with each of its own characters as an escape.
        let escape: String = "\\u0068".bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        assert_eq!((escape.len(), needles.bound), (LONGEST, secret.len()));
        for before in 0..=2 * (needles.bound + LONGEST) {
            let text = "x".repeat(before) + &secret[..secret.len() - 1] + &escape;
            let (mut search, mut found) = (Search::new(&needles), Vec::new());
            search.read(&needles, text.as_bytes(), 0, &mut |range| found.push((range.start, range.end)));
            search.end(&needles, &mut |range| found.push((range.start, range.end)));
            assert_eq!(found, [(before as u64, text.len() as u64)], "{before}");
        }
    }
}
