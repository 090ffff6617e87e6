//! What each adapter has asked for and been given: counted from what the door tells while it happens, or from a ledger's lines.

use crate::{Decision, Exchange, Verdict};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Origins of one adapter that are counted each by itself: under a wildcard it can make up any number.
const ORIGINS: usize = 64;

/// What one adapter has asked for and been given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Requests to providers that were let out and are over.
    pub requests: u64,
    /// Requests that were denied.
    pub denials: u64,
    /// Bytes of bodies that were sent.
    pub bytes_out: u64,
    /// Bytes of bodies that came back.
    pub bytes_in: u64,
    /// When the last request was over, or denied.
    pub last: Option<Timestamp>,
    /// Where the requests went, such as `https://api.example.com:443`, and how many.
    pub reached: BTreeMap<String, u64>,
}

/// What all adapters have asked for and been given, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Usages(BTreeMap<Box<str>, Usage>);

/// Of a line of the ledger, what is counted.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    adapter: Option<Cow<'a, str>>,
    verdict: Option<Cow<'a, str>>,
    scheme: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    port: Option<u16>,
    bytes_out: Option<u64>,
    bytes_in: Option<u64>,
    repeated: Option<u64>,
}

impl Usages {
    /// What the adapter with this id has asked for.
    #[must_use]
    pub fn of(&self, adapter: &str) -> Usage {
        self.0.get(adapter).cloned().unwrap_or_default()
    }

    /// Counts the line of a record.
    pub fn record(&mut self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return };
        let (Some(adapter), Ok(time)) = (line.adapter.as_deref(), line.time.parse()) else { return };
        let usage = self.entry(adapter);
        match (line.verdict.as_deref(), line.repeated) {
            (Some("allowed"), _) => {
                let origin = match (&line.scheme, &line.host, line.port) {
                    (Some(scheme), Some(host), Some(port)) => origin(scheme, host, port),
                    _ => String::new(),
                };
                usage.allowed(origin, line.bytes_out.unwrap_or_default(), line.bytes_in.unwrap_or_default(), time);
            }
            (Some("denied"), _) => usage.denied(1, time),
            (None, Some(times)) => usage.denied(times, time),
            _ => {}
        }
    }

    /// Counts a decision, if it is a denial.
    pub fn decided(&mut self, decision: &Decision<'_>) {
        if let Verdict::Denied(_) = decision.verdict {
            self.entry(decision.caller.id().as_str()).denied(1, Timestamp::now());
        }
    }

    /// Counts a request that was let out and is over.
    pub fn finished(&mut self, exchange: &Exchange<'_>) {
        let target = exchange.target;
        let origin = origin(target.scheme().as_str(), target.host(), target.port());
        let usage = self.entry(exchange.caller.id().as_str());
        usage.allowed(origin, exchange.bytes_out, exchange.bytes_in, Timestamp::now());
    }

    fn entry(&mut self, adapter: &str) -> &mut Usage {
        self.0.entry(adapter.into()).or_default()
    }
}

impl Usage {
    fn allowed(&mut self, origin: String, bytes_out: u64, bytes_in: u64, time: Timestamp) {
        self.requests += 1;
        self.bytes_out = self.bytes_out.saturating_add(bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(bytes_in);
        self.last = self.last.max(Some(time));
        let is_known = self.reached.len() < ORIGINS || self.reached.contains_key(&origin);
        let origin = if is_known { origin } else { "others".to_owned() };
        *self.reached.entry(origin).or_default() += 1;
    }

    fn denied(&mut self, times: u64, time: Timestamp) {
        self.denials = self.denials.saturating_add(times);
        self.last = self.last.max(Some(time));
    }
}

fn origin(scheme: &str, host: impl std::fmt::Display, port: u16) -> String {
    format!("{scheme}://{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_ledger_are_counted() {
        let mut usages = Usages::default();
        let lines = [
            r#"{"time":"2026-11-29T10:00:00Z","kind":"opened","version":"0.1.0"}"#,
            r#"{"time":"2026-11-29T10:00:01Z","kind":"request","adapter":"a","verdict":"allowed","scheme":"https","host":"x.test","port":443,"bytes_out":5,"bytes_in":70}"#,
            r#"{"time":"2026-11-29T10:00:03Z","kind":"request","adapter":"a","verdict":"allowed","scheme":"https","host":"x.test","port":443,"bytes_out":1,"bytes_in":2}"#,
            r#"{"time":"2026-11-29T10:00:02Z","kind":"request","adapter":"a","verdict":"denied","bytes_out":0,"bytes_in":0}"#,
            r#"{"time":"2026-11-29T10:00:02Z","kind":"repeated","adapter":"a","repeated":40}"#,
            r#"{"time":"2026-11-29T10:00:02Z","kind":"request","adapter":"b","verdict":"unresolved","bytes_out":0,"bytes_in":0}"#,
            "no record",
        ];
        lines.iter().for_each(|line| usages.record(line.as_bytes()));
        let expected = Usage {
            requests: 2,
            denials: 41,
            bytes_out: 6,
            bytes_in: 72,
            last: Some("2026-11-29T10:00:03Z".parse().unwrap()),
            reached: BTreeMap::from([("https://x.test:443".to_owned(), 2)]),
        };
        assert_eq!(usages.of("a"), expected);
        assert_eq!((usages.of("b"), usages.of("c")), (Usage::default(), Usage::default()));
    }

    #[test]
    fn an_adapter_that_makes_up_hosts_does_not_fill_the_memory() {
        let mut usage = Usage::default();
        for host in 0..1_000 {
            usage.allowed(format!("https://{host}.test:443"), 0, 0, Timestamp::UNIX_EPOCH);
        }
        assert_eq!((usage.requests, usage.reached.len(), usage.reached["others"]), (1_000, ORIGINS + 1, 936));
    }
}
