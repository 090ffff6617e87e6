//! From a ledger's denials to entries of `egress.allow` that would have allowed them: each for one adapter, one origin, and the
//! methods that were asked for.
//!
//! Paths are wider than what was asked for: an entry covers all below its path, and of more than four paths that share a
//! beginning below `/` there is one entry, for what they share. The fragment says so with each entry.
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

/// The most different requests of one adapter that are looked at: it can make up any number, and is to leave the others theirs.
const REQUESTS: usize = 10_000;
/// The most different paths of one origin that are looked at for one adapter.
const PATHS: usize = 4_000;
/// The most entries for one adapter and origin.
const ENTRIES: usize = 8;
/// The most entries for one adapter.
const ENTRIES_IN_ALL: usize = 100;

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

/// The network of the grant by which a policy allows this request of an adapter, on behalf of this model, if it does.
pub type Allows<'a> = &'a dyn Fn(&AdapterId, &Digest, Option<&str>, &Target) -> Option<Network>;

/// Returns whether the model with this id is local by the grants of the policy.
pub type IsLocal<'a> = &'a dyn Fn(&str) -> bool;

/// Collects denials.
pub struct Suggester<'a> {
    wanted: Wanted,
    /// What is allowed by now needs no entry.
    allows: Allows<'a>,
    is_local: IsLocal<'a>,
    /// By adapter, model and origin.
    origins: BTreeMap<(String, Option<String>, String), Origin>,
    hopeless: BTreeMap<Hopeless, Seen>,
    /// How many different ones there are of each adapter.
    requests: BTreeMap<AdapterId, usize>,
    allowed: u64,
    beyond: u64,
    counted: u64,
}

/// What one adapter asked of one origin.
struct Origin {
    /// One of the requests, for scheme, host and port.
    target: Target,
    /// The network of its addresses, as far as one of the denials told; the newest holds.
    network: Option<Network>,
    paths: BTreeMap<Box<str>, Requests>,
}

/// What one adapter asked of one path.
#[derive(Default)]
struct Requests {
    methods: BTreeMap<Method, Seen>,
    /// Whether one of them was for something below the path, which the ledger does not have.
    cut: bool,
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
    /// The local model that the entry would make cloud.
    makes_cloud: Option<String>,
    /// Of all requests that it would allow.
    pub seen: Seen,
    /// The paths that were asked for; with `…` behind it, one that was longer.
    pub paths: BTreeSet<Box<str>>,
}

impl<'a> Suggester<'a> {
    /// Begins without a denial.
    #[must_use]
    pub fn new(wanted: Wanted, allows: Allows<'a>, is_local: IsLocal<'a>) -> Self {
        let (origins, hopeless, requests) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { wanted, allows, is_local, origins, hopeless, requests, allowed: 0, beyond: 0, counted: 0 }
    }

    /// Looks at the line of a record.
    pub fn record(&mut self, line: &[u8]) {
        let Some(row) = Row::parse(line) else { return };
        let other = self.wanted.adapter.as_ref().is_some_and(|wanted| *wanted != row.adapter);
        if other || self.wanted.since.is_some_and(|since| row.time < since) {
            return;
        }
        match row.asked {
            Asked::Target { ref target, cut, class } => match advice::network(target.host(), class) {
                Ok(_) if self.allows_by_now(&row, target, class) => self.allowed += 1,
                Ok(network) => self.grantable(&row, target, cut, network),
                Err(why) => self.give_up(&row, target.to_string(), why),
            },
            Asked::Other { ref shown, why } => self.give_up(&row, shown.clone(), why),
            Asked::Counted(count) => self.counted = self.counted.saturating_add(count),
        }
    }

    fn allows_by_now(&self, row: &Row, target: &Target, class: Option<AddressClass>) -> bool {
        let by_now = (self.allows)(&row.adapter, &row.digest, row.model.as_deref(), target);
        by_now.is_some_and(|network| class.is_none_or(|class| network.covers(class)))
    }

    /// Whether one more of the adapter's requests is looked at.
    fn spend(&mut self, adapter: &AdapterId) -> bool {
        let spent = self.requests.entry(adapter.clone()).or_default();
        let left = *spent < REQUESTS;
        if left {
            *spent += 1
        } else {
            self.beyond += 1
        }
        left
    }

    fn grantable(&mut self, row: &Row, target: &Target, cut: bool, network: Option<Network>) {
        let adapter = if self.wanted.pin { format!("{}@{}", row.adapter, row.digest) } else { row.adapter.to_string() };
        let key = (adapter, row.model.clone(), advice::url(target, ""));
        let origin = self.origins.get(&key);
        let path = origin.and_then(|origin| origin.paths.get(target.path()));
        if path.is_none() && origin.is_some_and(|origin| origin.paths.len() >= PATHS) {
            self.beyond += 1;
            return;
        }
        let known = path.is_some_and(|path| path.methods.contains_key(&target.method()));
        if !known && !self.spend(&row.adapter) {
            return;
        }
        let new = || Origin { target: target.clone(), network: None, paths: BTreeMap::new() };
        let origin = self.origins.entry(key).or_insert_with(new);
        origin.network = network.or(origin.network);
        let path = origin.paths.entry(target.path().into()).or_default();
        path.cut |= cut;
        path.methods.entry(target.method()).or_insert_with(|| Seen::none(row)).add(row);
    }

    fn give_up(&mut self, row: &Row, asked: String, why: &'static str) {
        let (adapter, reason) = (row.adapter.to_string(), row.reason.to_owned());
        let hopeless = Hopeless { adapter, asked, reason, why };
        if !self.hopeless.contains_key(&hopeless) && !self.spend(&row.adapter) {
            return;
        }
        self.hopeless.entry(hopeless).or_insert_with(|| Seen::none(row)).add(row);
    }

    /// The entries for all that was looked at.
    #[must_use]
    pub fn finish(self) -> Fragment {
        let Self { allowed, beyond, counted, .. } = self;
        let mut fragment = Fragment { allowed, beyond, counted, ..Fragment::default() };
        let origins: Vec<_> = self.origins.iter().collect();
        for origins in origins.chunk_by(|((a, ..), _), ((b, ..), _)| a == b) {
            let mut suggested = Vec::new();
            for ((adapter, model, _), origin) in origins {
                suggested
                    .extend(fragment.most_wanted(origin.suggest(adapter, model.as_deref(), self.is_local), ENTRIES));
            }
            if suggested.len() > ENTRIES_IN_ALL {
                suggested = fragment.most_wanted(suggested, ENTRIES_IN_ALL);
            }
            fragment.entries.extend(suggested);
        }
        fragment.hopeless = self.hopeless.into_iter().collect();
        fragment
    }
}

impl Origin {
    fn suggest(&self, adapter: &str, model: Option<&str>, is_local: IsLocal<'_>) -> Vec<Suggested> {
        // A path that was only read is not granted to be written to because another was.
        let mut by_methods: BTreeMap<Vec<Method>, Vec<&str>> = BTreeMap::new();
        for (path, requests) in &self.paths {
            by_methods.entry(requests.methods.keys().copied().collect()).or_default().push(path);
        }
        let mut suggested = Vec::new();
        for (methods, paths) in by_methods {
            for (prefix, covered) in paths::groups(paths) {
                let (mut seen, mut paths): (Option<Seen>, _) = (None, BTreeSet::new());
                for (path, requests) in covered.iter().filter_map(|path| self.paths.get_key_value(*path)) {
                    paths.insert(if requests.cut { format!("{path}…").into() } else { path.clone() });
                    for one in requests.methods.values() {
                        seen = Some(seen.map_or_else(|| one.clone(), |seen| seen.and(one)));
                    }
                }
                let Some(seen) = seen else { continue };
                let (url, methods) = (advice::url(&self.target, prefix), methods.clone());
                let (adapter, model) = (adapter.to_owned(), model.map(str::to_owned));
                let network = self.network;
                let leads = advice::network_of(self.target.host(), network);
                let entry = Entry { url, adapter, model, methods, network, is_local: leads == Network::Loopback };
                let makes_cloud = entry.makes_cloud(is_local).map(str::to_owned);
                suggested.push(Suggested { entry, makes_cloud, seen, paths });
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
