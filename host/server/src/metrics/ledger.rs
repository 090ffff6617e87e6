//! The ledger's own numbers as metrics, read at scrape time.

use hauski_egress::Ledger;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntCounter, IntGauge};
use std::sync::{Mutex, PoisonError};

/// The collector of the `hauski_egress_ledger_…` metrics.
pub(super) struct LedgerMetrics {
    ledger: Ledger,
    records: IntCounter,
    unavailable: IntCounter,
    up: IntGauge,
    intact: IntGauge,
    oldest: IntGauge,
    /// Held while the counters are brought up to the ledger's.
    turn: Mutex<()>,
}

impl LedgerMetrics {
    pub(super) fn new(ledger: Ledger) -> Result<Self, Error> {
        Ok(Self {
            ledger,
            records: IntCounter::new("hauski_egress_ledger_records_total", "Records written to the ledger.")?,
            unavailable: IntCounter::new(
                "hauski_egress_ledger_unavailable_total",
                "Requests of adapters that were refused because the ledger could not take their record.",
            )?,
            up: IntGauge::new(
                "hauski_egress_ledger_up",
                "1 while the ledger takes records; 0: no request is let out.",
            )?,
            intact: IntGauge::new(
                "hauski_egress_ledger_intact",
                "0 if a file of the ledger was renamed, deleted, replaced or truncated while the gateway runs.",
            )?,
            oldest: IntGauge::new(
                "hauski_egress_ledger_oldest_record_timestamp_seconds",
                "Time of the oldest record that is kept, in seconds of Unix time.",
            )?,
            turn: Mutex::default(),
        })
    }

    fn parts(&self) -> [&dyn Collector; 5] {
        [&self.records, &self.unavailable, &self.up, &self.intact, &self.oldest]
    }
}

impl Collector for LedgerMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = self.ledger.stats() {
            self.records.inc_by(stats.records.saturating_sub(self.records.get()));
            self.unavailable.inc_by(stats.refused.saturating_sub(self.unavailable.get()));
            self.up.set(i64::from(stats.up));
            self.intact.set(i64::from(stats.intact));
            self.oldest.set(stats.oldest.unwrap_or_default());
        }
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}
