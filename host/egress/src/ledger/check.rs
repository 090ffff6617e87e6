//! Holds the lines of a ledger against each other: what was changed, taken away, put elsewhere or doubled.

use super::chain::{self, Fault, Head, Link};
use super::files::Ends;
use serde::{Serialize, Serializer};
use std::path::{Path, PathBuf};

/// The most problems that are told one by one.
const TOLD: usize = 100;
/// The most stretches of missing records that are followed, in case they come later.
const GAPS: usize = 1000;

/// What is wrong with a place of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The kind of problem.
    pub kind: ProblemKind,
    /// The file in which it shows.
    pub file: PathBuf,
    /// The line there, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The record's number, where it is known; of records that are missing, the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What was expected, and what is there.
    pub message: String,
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A line is not what was written.
    Changed,
    /// A record does not follow the one before it, though each holds for itself: one of them was replaced.
    Replaced,
    /// Records are not there.
    Missing,
    /// A record stands behind a later one.
    Reordered,
    /// A record is there a second time.
    Duplicated,
    /// The file that says where the ledger ends is missing.
    HeadMissing,
    /// The ledger does not have the record that a head names.
    OtherHead,
}

impl ProblemKind {
    /// The kind's stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Replaced => "replaced",
            Self::Missing => "missing",
            Self::Reordered => "reordered",
            Self::Duplicated => "duplicated",
            Self::HeadMissing => "head-missing",
            Self::OtherHead => "other-head",
        }
    }
}

impl Serialize for ProblemKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Where a line stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a Path,
    pub(crate) line: Option<u64>,
}

/// What is known after the lines so far.
pub(crate) struct Checker {
    /// The record with the highest number so far, or what stands before the first.
    last: Head,
    /// The hash that was computed for that record, where its line names another.
    computed: Option<chain::Hash>,
    /// Lines since then that are no records: each may have been one.
    unread: u64,
    /// Whether there is nothing to hold the next record's `prev` against.
    blind: bool,
    /// The number of the first record; `None` before it.
    first: Option<u64>,
    /// Heads that the ledger has to have: its own, and those that were noted elsewhere.
    heads: Vec<(Head, &'static str)>,
    gaps: Vec<Gap>,
    problems: Vec<Problem>,
    more: u64,
}

/// Records `from` to `to` that did not come where they belong.
struct Gap {
    from: u64,
    to: u64,
    problem: Problem,
}

impl Checker {
    /// Begins before the first record of a ledger with these ends.
    pub(crate) fn new(ends: Option<Ends>, noted: Option<Head>) -> Self {
        let own = ends.map(|ends| (ends.synced, "`egress.head`"));
        Self {
            last: ends.map_or(Head::NONE, |ends| ends.oldest.before()),
            computed: None,
            unread: 0,
            blind: ends.is_none(),
            first: None,
            heads: own.into_iter().chain(noted.map(|head| (head, "`--head`"))).collect(),
            gaps: Vec::new(),
            problems: Vec::new(),
            more: 0,
        }
    }

    /// Takes the next line. Whether it is a record that holds and stands where it belongs.
    pub(crate) fn line(&mut self, place: Place<'_>, bytes: &[u8]) -> bool {
        match chain::check(bytes) {
            Ok(link) => self.link(place, link, None),
            Err(Fault::Form) => {
                self.unread += 1;
                let expected = self.last.seq.saturating_add(self.unread);
                let message = format!("record {expected} is expected here, and this is no record");
                self.tell(ProblemKind::Changed, place, None, message);
                false
            }
            Err(Fault::Hash { named, computed }) => {
                let Link { head: Head { seq, hash }, .. } = named;
                let message = format!("the line's bytes have the hash {computed}, but it names {hash}");
                self.tell(ProblemKind::Changed, place, Some(seq), message);
                if seq == self.next() {
                    self.link(place, named, Some(computed));
                } else {
                    // The number itself may be what was changed.
                    self.unread += 1;
                }
                false
            }
        }
    }

    /// The number that the next record has.
    fn next(&self) -> u64 {
        self.last.seq.saturating_add(1 + self.unread)
    }

    fn link(&mut self, place: Place<'_>, link: Link, computed: Option<chain::Hash>) -> bool {
        let seq = link.head.seq;
        if self.first.is_none() && (self.blind || seq <= self.last.seq) {
            // Older than the oldest that is kept: a leftover, which is as good as the others.
            let known = seq == 1;
            (self.last, self.blind) = (if known { Head::NONE } else { before(seq) }, !known);
        }
        self.first.get_or_insert(seq);
        if seq <= self.last.seq {
            self.late(place, seq);
            return false;
        }
        let missing = seq > self.next();
        if missing {
            self.gap(place, self.last.seq + 1, seq - 1);
        }
        let unknown = self.blind || missing || seq - 1 > self.last.seq;
        let follows = unknown || self.is_last(link.prev);
        if !follows && computed.is_none() {
            let message = format!(
                "it names {} as the hash of record {}, which has {}: one of the two was replaced",
                link.prev,
                seq - 1,
                self.last.hash
            );
            self.tell(ProblemKind::Replaced, place, Some(seq), message);
        }
        self.heads(place, link);
        (self.last, self.computed, self.unread, self.blind) = (link.head, computed, 0, false);
        follows && computed.is_none()
    }

    fn is_last(&self, prev: chain::Hash) -> bool {
        prev == self.last.hash || self.computed == Some(prev)
    }

    /// A record that comes after a later one.
    fn late(&mut self, place: Place<'_>, seq: u64) {
        if self.fill(seq) {
            let message = format!("it stands behind record {}", self.last.seq);
            self.tell(ProblemKind::Reordered, place, Some(seq), message);
        } else {
            self.tell(ProblemKind::Duplicated, place, Some(seq), "it is there already".to_owned());
        }
    }

    /// Notes that records did not come before this place.
    fn gap(&mut self, place: Place<'_>, from: u64, to: u64) {
        let problem =
            problem(ProblemKind::Missing, place, Some(from), format!("{} missing before this", span(from, to)));
        if self.gaps.len() < GAPS {
            self.gaps.push(Gap { from, to, problem });
        } else {
            self.push(problem);
        }
    }

    /// Takes one record out of the missing ones, if it is among them.
    fn fill(&mut self, seq: u64) -> bool {
        let Some(at) = self.gaps.iter().position(|gap| (gap.from..=gap.to).contains(&seq)) else { return false };
        let gap = self.gaps.swap_remove(at);
        for (from, to) in [(gap.from, seq - 1), (seq + 1, gap.to)] {
            if from <= to {
                let message = format!("{} missing before this", span(from, to));
                let problem = Problem { seq: Some(from), message, ..gap.problem.clone() };
                self.gaps.push(Gap { from, to, problem });
            }
        }
        true
    }

    /// Holds a record against the heads, each of which also tells of the one before it.
    fn heads(&mut self, place: Place<'_>, link: Link) {
        let before = Head { seq: link.head.seq - 1, hash: link.prev };
        let mut others = Vec::new();
        self.heads.retain(|(head, whose)| {
            let own = if head.seq == link.head.seq { link.head } else { before };
            if head.seq == own.seq && head.hash != own.hash {
                others.push((own, format!("{whose} names {} as its hash, and it has {}", head.hash, own.hash)));
            }
            head.seq > link.head.seq || head.seq < before.seq
        });
        for (own, message) in others {
            self.tell(ProblemKind::OtherHead, place, Some(own.seq), message);
        }
    }

    /// Ends behind the last line, which stands in `file`.
    pub(crate) fn finish(mut self, file: &Path) -> Checked {
        let place = Place { file, line: None };
        let (last, none) = (self.last.seq, self.first.is_none());
        for (head, whose) in std::mem::take(&mut self.heads) {
            // Some records are always kept: where there is none, what a head names is missing, whatever is said to be the oldest.
            if head.seq > last || none && head.seq > 0 {
                let from = head.seq.min(last + 1);
                let records = span(from, head.seq);
                let message = format!("{records} missing at the end, which by {whose} is record {}", head.seq);
                self.tell(ProblemKind::Missing, place, Some(from), message);
            } else if head.seq > 0 {
                let message = format!("the record that {whose} names is not kept, so it can't be compared");
                self.tell(ProblemKind::OtherHead, place, Some(head.seq), message);
            }
        }
        for gap in std::mem::take(&mut self.gaps) {
            self.push(gap.problem);
        }
        self.problems.sort_by(|a, b| (&a.file, a.line.unwrap_or(u64::MAX)).cmp(&(&b.file, b.line.unwrap_or(u64::MAX))));
        Checked { first: self.first, head: self.last, problems: self.problems, more: self.more }
    }

    /// Notes a problem.
    pub(crate) fn tell(&mut self, kind: ProblemKind, place: Place<'_>, seq: Option<u64>, message: String) {
        self.push(problem(kind, place, seq, message));
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.len() < TOLD { self.problems.push(problem) } else { self.more += 1 }
    }
}

fn problem(kind: ProblemKind, place: Place<'_>, seq: Option<u64>, message: String) -> Problem {
    Problem { kind, file: place.file.to_owned(), line: place.line, seq, message }
}

fn before(seq: u64) -> Head {
    Head { seq: seq.saturating_sub(1), ..Head::NONE }
}

fn span(from: u64, to: u64) -> String {
    if from == to { format!("record {from} is") } else { format!("records {from} to {to} are") }
}

/// What came of it.
pub(crate) struct Checked {
    pub(crate) first: Option<u64>,
    pub(crate) head: Head,
    pub(crate) problems: Vec<Problem>,
    pub(crate) more: u64,
}
