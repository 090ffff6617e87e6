//! From a ledger's denials to entries of `egress.allow` that would have allowed them: each for one adapter and one origin, with
//! the methods and paths that were asked for and no more.
//!
//! In go the lines of records, out comes a fragment of `routing.yaml` for a person to review. What stands in a line is parsed as
//! strictly as a request is, so that no text of an adapter gets into the fragment unseen.

mod fragment;
mod paths;
mod row;

#[cfg(test)]
mod tests;

use crate::advice::{self, Entry};
use hauski_policy::{AdapterId, AddressClass, Digest, Method, Network, Target};
use jiff::Timestamp;
use row::{Asked, Row};
use std::collections::{BTreeMap, BTreeSet};

pub use fragment::Fragment;

/// The most different requests that are looked at; adapters can make up any number.
const REQUESTS: usize = 100_000;
/// The most entries for one adapter and origin.
const ENTRIES: usize = 8;

/// Which denials are looked at, and what the entries are like.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only those of this adapter.
    pub adapter: Option<AdapterId>,
    /// Only those from this time on.
    pub since: Option<Timestamp>,
    /// Bind each entry to the adapter's bytes.
    pub pin: bool,
}

/// The network of the grant by which a policy allows this adapter's request, if it does.
pub type Allows<'a> = &'a dyn Fn(&AdapterId, &Digest, &Target) -> Option<Network>;

/// Collects denials.
pub struct Suggester<'a> {
    wanted: Wanted,
    /// What is allowed by now needs no entry.
    allows: Allows<'a>,
    origins: BTreeMap<(String, String), Origin>,
    hopeless: BTreeMap<Hopeless, Seen>,
    requests: usize,
    allowed: u64,
    beyond: u64,
}

/// What one adapter asked of one origin.
struct Origin {
    /// One of the requests, for scheme, host and port.
    target: Target,
    /// The network of its addresses, as far as one of the denials told; the newest holds.
    network: Option<Network>,
    paths: BTreeMap<Box<str>, BTreeMap<Method, Seen>>,
}

/// A request that no entry can allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hopeless {
    /// The adapter.
    pub adapter: String,
    /// What it asked for.
    pub asked: String,
    /// The reason of the denial.
    pub reason: String,
    /// Why there is no entry for it.
    pub why: &'static str,
}

/// How often something was asked for, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// The reasons of the denials.
    pub reasons: BTreeSet<&'static str>,
}

/// An entry, and what it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggested {
    entry: Entry,
    /// Of all requests that it would allow.
    pub seen: Seen,
    /// The paths that were asked for.
    pub paths: BTreeSet<Box<str>>,
}

impl<'a> Suggester<'a> {
    /// Begins without a denial.
    #[must_use]
    pub fn new(wanted: Wanted, allows: Allows<'a>) -> Self {
        let (origins, hopeless) = (BTreeMap::new(), BTreeMap::new());
        Self { wanted, allows, origins, hopeless, requests: 0, allowed: 0, beyond: 0 }
    }

    /// Looks at the line of a record.
    pub fn record(&mut self, line: &[u8]) {
        let Some(row) = Row::parse(line) else { return };
        let other = self.wanted.adapter.as_ref().is_some_and(|wanted| *wanted != row.adapter);
        if other || self.wanted.since.is_some_and(|since| row.time < since) {
            return;
        }
        if self.requests >= REQUESTS {
            self.beyond += 1;
            return;
        }
        match row.asked {
            Asked::Target { ref target, class } => match advice::network(target.host(), class) {
                Ok(network) => self.grantable(&row, target, class, network),
                Err(why) => self.give_up(&row, target.to_string(), why),
            },
            Asked::Other { ref shown, why } => self.give_up(&row, shown.clone(), why),
        }
    }

    fn grantable(&mut self, row: &Row, target: &Target, class: Option<AddressClass>, network: Option<Network>) {
        let by_now = (self.allows)(&row.adapter, &row.digest, target);
        if by_now.is_some_and(|network| class.is_none_or(|class| network.covers(class))) {
            self.allowed += 1;
            return;
        }
        let adapter = if self.wanted.pin { format!("{}@{}", row.adapter, row.digest) } else { row.adapter.to_string() };
        let new = || Origin { target: target.clone(), network: None, paths: BTreeMap::new() };
        let origin = self.origins.entry((adapter, advice::url(target, ""))).or_insert_with(new);
        origin.network = network.or(origin.network);
        let methods = origin.paths.entry(target.path().into()).or_default();
        let fresh = Seen::none(row);
        self.requests += usize::from(!methods.contains_key(&target.method()));
        methods.entry(target.method()).or_insert(fresh).add(row);
    }

    fn give_up(&mut self, row: &Row, asked: String, why: &'static str) {
        let (adapter, reason) = (row.adapter.to_string(), row.reason.to_owned());
        let hopeless = Hopeless { adapter, asked, reason, why };
        self.requests += usize::from(!self.hopeless.contains_key(&hopeless));
        self.hopeless.entry(hopeless).or_insert_with(|| Seen::none(row)).add(row);
    }

    /// The entries for all that was looked at.
    #[must_use]
    pub fn finish(self) -> Fragment {
        let mut fragment = Fragment { allowed: self.allowed, beyond: self.beyond, ..Fragment::default() };
        for ((adapter, _), origin) in &self.origins {
            let mut suggested = origin.suggest(adapter);
            // The most wanted first; of many that have nothing in common, the rest is left to the reader.
            suggested.sort_by_key(|one| std::cmp::Reverse(one.seen.count));
            let left = suggested.split_off(suggested.len().min(ENTRIES));
            fragment.left += left.iter().map(|one| one.seen.count).sum::<u64>();
            fragment.entries.extend(suggested);
        }
        fragment.hopeless = self.hopeless.into_iter().collect();
        fragment
    }
}

impl Origin {
    fn suggest(&self, adapter: &str) -> Vec<Suggested> {
        // A path that was only read is not granted to be written to because another was.
        let mut by_methods: BTreeMap<Vec<Method>, Vec<&str>> = BTreeMap::new();
        for (path, methods) in &self.paths {
            by_methods.entry(methods.keys().copied().collect()).or_default().push(path);
        }
        let mut suggested = Vec::new();
        for (methods, paths) in by_methods {
            for prefix in paths::prefixes(&paths) {
                let covered: Vec<_> = paths.iter().copied().filter(|path| paths::covers(&prefix, path)).collect();
                let mut seen: Option<Seen> = None;
                for one in covered.iter().filter_map(|path| self.paths.get(*path)).flat_map(BTreeMap::values) {
                    seen = Some(seen.map_or_else(|| one.clone(), |seen| seen.and(one)));
                }
                let Some(seen) = seen else { continue };
                let (url, methods) = (advice::url(&self.target, &prefix), methods.clone());
                let entry = Entry { url, adapter: adapter.to_owned(), methods, network: self.network };
                suggested.push(Suggested { entry, seen, paths: covered.into_iter().map(Into::into).collect() });
            }
        }
        suggested
    }
}

impl Seen {
    fn none(row: &Row) -> Self {
        Self { count: 0, first: row.time, last: row.time, reasons: BTreeSet::new() }
    }

    fn add(&mut self, row: &Row) {
        self.count += 1;
        (self.first, self.last) = (self.first.min(row.time), self.last.max(row.time));
        self.reasons.insert(row.reason);
    }

    fn and(mut self, other: &Self) -> Self {
        self.count += other.count;
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
        self.reasons.extend(&other.reasons);
        self
    }
}
