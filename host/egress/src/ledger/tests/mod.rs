//! The ledger as a whole: what is recorded, what a crash leaves, and what is found when it was changed.

mod bounds;
mod changes;
mod crashes;
mod inspecting;
mod writing;

use super::verify::{Report, read};
use super::*;
use crate::{Asked, Caller, Denied, End, Verdict};
use hauski_policy::{AdapterLimits, Denial, Digest, Grant, ModelScope, Routing, Scope, Target};
use serde_json::Value;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

const WIDE: LedgerLimits = LedgerLimits { file_bytes: 1 << 20, files: 16 };

/// A folder with a ledger in it.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("egress.jsonl")
    }

    fn open(&self, limits: LedgerLimits) -> (Ledger, LedgerWriter, Recovery) {
        let ledger = Ledger::at(&self.path(), limits);
        let (writer, recovery) = ledger.open().unwrap();
        (ledger, writer, recovery)
    }

    /// A ledger with the records of `n` denials between that of its opening and that of its end.
    fn written(n: usize, limits: LedgerLimits) -> Self {
        let world = Self::new();
        let (ledger, writer, _) = world.open(limits);
        (0..n).for_each(|n| deny(&ledger, &format!("https://api.test/v1/{n}")));
        drop(writer);
        world
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn verify(&self) -> Report {
        read(&self.path(), None, &mut |_| {}, &mut |_, _| {}).unwrap()
    }

    #[track_caller]
    fn assert_holds(&self) -> Report {
        let report = self.verify();
        assert!(report.holds(), "{:#?}", report.problems);
        report
    }

    /// The records that hold, as JSON.
    fn records(&self) -> Vec<Value> {
        let mut records = Vec::new();
        let mut record = |line: &[u8]| records.push(serde_json::from_slice(line).unwrap());
        read(&self.path(), None, &mut record, &mut |_, _| {}).unwrap();
        records
    }

    /// The kinds of the records that hold, in order.
    fn kinds(&self) -> Vec<String> {
        self.records().iter().map(|record| record["kind"].as_str().unwrap().to_owned()).collect()
    }
}

/// The scope of every request here: on behalf of the model `m`.
pub(super) fn scope() -> Scope {
    Scope::Model(std::sync::Arc::new(ModelScope { id: "m".into(), base_url: None }))
}

fn caller() -> Caller {
    let span = Duration::from_secs(1);
    let limits = AdapterLimits {
        memory_bytes: 0,
        cpu: span,
        instances: 1,
        connect: span,
        first_token: span,
        idle: span,
        total: span,
        queue: 0,
        queue_wait: Duration::ZERO,
        retries: 0,
        breaker_failures: 1,
        breaker_open: Duration::ZERO,
        probe: None,
        response_bytes: 0,
    };
    Caller::new("ollama".parse().unwrap(), Digest::from_bytes([7; 32]), limits)
}

fn grant(entry: &str) -> Arc<Grant> {
    let file = format!(
        "egress:\n  default: deny\n  allow:\n    - {entry}\nrouting: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n"
    );
    Arc::clone(&Routing::parse("routing.yaml", file.as_bytes()).unwrap().value.egress.grants[0])
}

fn deny(ledger: &Ledger, url: &str) {
    deny_for(ledger, "GET", url, Denied::Grant(Denial::Host));
}

fn deny_for(ledger: &Ledger, method: &str, url: &str, denied: Denied) {
    let target = Target::parse(method, url).unwrap();
    decide(ledger, Asked::Target(&target), Verdict::Denied(&denied));
}

fn decide(ledger: &Ledger, asked: Asked<'_>, verdict: Verdict<'_>) {
    let slip = ledger.reserve().unwrap();
    slip.denied(&Decision { caller: &caller(), scope: &scope(), request_id: &"r-1".into(), asked, verdict });
}

fn finish(slip: Slip, grant: &Arc<Grant>, url: &str, end: End<'_>) {
    slip.finished(&Exchange {
        scope: &scope(),
        caller: &caller(),
        request_id: &"r-2".into(),
        target: &Target::parse("POST", url).unwrap(),
        grant,
        status: Some(http::StatusCode::OK),
        reused: true,
        bytes_out: 11,
        bytes_in: 22,
        first_byte: None,
        duration: Duration::from_micros(1234),
        end,
    });
}
