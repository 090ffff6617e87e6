//! The samples of the soak test, and its report.

use crate::clients::Failures;
use crate::gateway::Gateway;
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::time::Duration;

/// What the gateway's process holds at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    rss_mib: u64,
    open_files: u64,
    threads: u64,
}

impl Sample {
    pub(crate) fn of(gateway: &Gateway) -> Self {
        let process = format!("/proc/{}", gateway.id());
        let count = |name: &str| fs::read_dir(format!("{process}/{name}")).unwrap().count() as u64;
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let rss_mib = rss.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10;
        Self { rss_mib, open_files: count("fd"), threads: count("task") }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB, {} open files, {} threads", self.rss_mib, self.open_files, self.threads)
    }
}

/// The samples of the whole time, one a second.
#[derive(Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    pub(crate) fn take(&mut self, gateway: &Gateway) {
        self.0.push(Sample::of(gateway));
    }

    pub(crate) fn last(&self) -> Sample {
        self.0.last().copied().unwrap_or_default()
    }

    /// Returns the medians of the second and of the last quarter: the first one warms up.
    fn quarters(&self) -> [Sample; 2] {
        let quarter = self.0.len() / 4;
        [&self.0[quarter..2 * quarter], &self.0[self.0.len() - quarter..]].map(|samples| {
            let median = |field: fn(&Sample) -> u64| {
                let mut values: Vec<_> = samples.iter().map(field).collect();
                values.sort_unstable();
                values.get(values.len() / 2).copied().unwrap_or_default()
            };
            Sample {
                rss_mib: median(|one| one.rss_mib),
                open_files: median(|one| one.open_files),
                threads: median(|one| one.threads),
            }
        })
    }

    fn peak(&self) -> Sample {
        let peak = |field: fn(&Sample) -> u64| self.0.iter().map(field).max().unwrap_or_default();
        Sample {
            rss_mib: peak(|one| one.rss_mib),
            open_files: peak(|one| one.open_files),
            threads: peak(|one| one.threads),
        }
    }
}

/// The result of a soak test.
pub(crate) struct Report {
    pub(crate) time: Duration,
    /// Of the well-behaved requests, in microseconds.
    pub(crate) latencies: Vec<u32>,
    pub(crate) failures: Failures,
    /// The number of hostile requests.
    pub(crate) others: usize,
    pub(crate) samples: Samples,
    /// The sample after all requests have ended.
    pub(crate) at_rest: Sample,
    /// The verdict on the ledger, after the gateway was killed.
    pub(crate) ledger: Result<(), String>,
}

/// Growth from the second to the last quarter that is noise: a sixth, and so much.
const NOISE: Sample = Sample { rss_mib: 32, open_files: 32, threads: 4 };
/// The most open files and threads once nothing is asked any more.
const AT_REST: Sample = Sample { rss_mib: u64::MAX, open_files: 200, threads: 64 };

impl Report {
    /// Returns what is wrong.
    fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        if self.failures.count > 0 {
            flaws.push(format!("{} well-behaved requests failed", self.failures.count));
        }
        if self.latencies.is_empty() {
            flaws.push("no well-behaved request was answered".to_owned());
        }
        let [early, late] = self.samples.quarters();
        for (name, early, late, noise, rest, most) in [
            ("memory", early.rss_mib, late.rss_mib, NOISE.rss_mib, self.at_rest.rss_mib, AT_REST.rss_mib),
            (
                "open files",
                early.open_files,
                late.open_files,
                NOISE.open_files,
                self.at_rest.open_files,
                AT_REST.open_files,
            ),
            ("threads", early.threads, late.threads, NOISE.threads, self.at_rest.threads, AT_REST.threads),
        ] {
            if late > early + early / 6 + noise {
                flaws.push(format!("{name} grew from {early} to {late}"));
            }
            if rest > most {
                flaws.push(format!("{name}: {rest} at rest"));
            }
        }
        if let Err(error) = &self.ledger {
            flaws.push(format!("the ledger does not hold after a kill: {error}"));
        }
        flaws
    }

    pub(crate) fn holds(&self) -> bool {
        self.flaws().is_empty()
    }

    /// Returns a percentile of the latencies, in milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let mut all = self.latencies.clone();
        all.sort_unstable();
        all.get((all.len() * percent / 100).min(all.len().saturating_sub(1)))
            .map_or(0.0, |micros| f64::from(*micros) / 1e3)
    }

    pub(crate) fn to_json(&self) -> Value {
        let sample =
            |one: Sample| json!({ "rss_mib": one.rss_mib, "open_files": one.open_files, "threads": one.threads });
        let [early, late] = self.samples.quarters();
        json!({
            "seconds": self.time.as_secs(), "ok": self.holds(), "flaws": self.flaws(),
            "well_behaved": {
                "requests": self.latencies.len(), "failed": self.failures.count, "first_failures": self.failures.first,
                "p50_ms": self.percentile(50), "p99_ms": self.percentile(99),
            },
            "hostile_requests": self.others,
            "second_quarter": sample(early), "last_quarter": sample(late), "peak": sample(self.samples.peak()),
            "at_rest": sample(self.at_rest), "ledger_holds": self.ledger.is_ok(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [early, late] = self.samples.quarters();
        writeln!(f, "soak test of {} s, beside {} hostile requests", self.time.as_secs(), self.others)?;
        let (all, failed) = (self.latencies.len(), self.failures.count);
        let (p50, p99) = (self.percentile(50), self.percentile(99));
        writeln!(f, "  well-behaved requests  {all}, {failed} failed, p50 {p50:.1} ms, p99 {p99:.1} ms")?;
        for (name, sample) in [
            ("second quarter", early),
            ("last quarter", late),
            ("peak", self.samples.peak()),
            ("at rest", self.at_rest),
        ] {
            writeln!(f, "  {name:<22} {sample}")?;
        }
        self.failures.first.iter().try_for_each(|failure| writeln!(f, "  failed: {failure}"))?;
        match &self.flaws()[..] {
            [] => writeln!(f, "ok: nothing failed, nothing grew, and the ledger holds after a kill"),
            flaws => flaws.iter().try_for_each(|flaw| writeln!(f, "error: {flaw}")),
        }
    }
}
