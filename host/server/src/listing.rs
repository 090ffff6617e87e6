//! The audit of all adapters: what each is, imports, may reach and has reached, and which files are none.
//!
//! In go the adapters of a moment, the policy, and what was counted; out comes what `GET /adapters`, `hauski adapters ls` and
//! `hauski audit` show. Texts that an adapter chose have been made plain before.

use hauski_egress::{Usage, Usages};
use hauski_policy::{Egress, Models};
use hauski_runtime::{Adapter, Adapters, Audit, Refused};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::time::SystemTime;

/// All of it.
#[derive(Serialize)]
pub struct Listing<'a> {
    /// From when on requests are counted: the start of the gateway, or the oldest record of the ledger.
    pub since: Option<Timestamp>,
    /// The adapters that serve, by id.
    pub adapters: Vec<Listed<'a>>,
    /// The files that are not loaded, by name.
    pub refused: Vec<Refused>,
    /// Why the folder can't be read, where that is so: the rest is from before.
    pub stale: Option<&'a str>,
}

/// One adapter.
#[derive(Serialize)]
pub struct Listed<'a> {
    /// What it is, imports, and may reach.
    #[serde(flatten)]
    pub audit: Audit<'a>,
    /// `serving`, or `outdated` where a file with its name is there that is not loaded, and this is the version before that.
    pub state: &'static str,
    /// Why it is not the file's version that serves.
    pub reason: Option<&'a str>,
    /// Files that it can see: none, whichever adapter it is.
    pub files: [&'static str; 0],
    /// The limits on each of its requests and on all of them, as limits.yaml has them.
    pub limits: Value,
    /// What the gateway has it do, where one runs.
    pub live: Option<Live>,
    /// What it has asked of providers.
    pub usage: Usage,
}

/// What an adapter does in a running gateway.
#[derive(Serialize)]
pub struct Live {
    /// Requests that it has begun with.
    pub requests: u64,
    /// When the last of them began.
    pub last: Option<Timestamp>,
    /// Requests that it serves at this moment.
    pub in_flight: usize,
    /// Requests that wait for an instance of it.
    pub waiting: usize,
    /// Its memory at this moment, in bytes: instances with their tables, request bodies in flight, and large answers that clients have not taken.
    pub memory_bytes: usize,
    /// The time that its instances have computed, in milliseconds.
    pub cpu_ms: u64,
}

impl<'a> Listing<'a> {
    /// Returns the audit of `adapters` and their `models` under `egress`.
    #[must_use]
    pub fn of(
        adapters: &'a Adapters,
        egress: &Egress,
        models: &Models,
        usages: &Usages,
        since: Option<Timestamp>,
    ) -> Self {
        let listed = |adapter: &'a Adapter| {
            let audit = adapter.audit(egress, models);
            let id = audit.profile.id.as_str();
            let file = format!("{id}.wasm");
            let refused = adapters.refused().iter().find(|refused| refused.file == file);
            Listed {
                usage: usages.of(id),
                state: if refused.is_some() { "outdated" } else { "serving" },
                reason: refused.map(|refused| refused.reason.as_str()),
                files: [],
                limits: adapter.limits().to_json(),
                live: None,
                audit,
            }
        };
        Self {
            since,
            adapters: adapters.iter().map(|(_, adapter)| listed(adapter)).collect(),
            refused: adapters.refused().iter().map(|refused| refused.under(egress)).collect(),
            stale: adapters.stale(),
        }
    }

    /// With what a running gateway knows besides.
    #[must_use]
    pub fn live(mut self, adapters: &Adapters) -> Self {
        for (listed, (_, adapter)) in self.adapters.iter_mut().zip(adapters.iter()) {
            let consumption = adapter.consumption();
            listed.live = Some(Live {
                requests: consumption.requests(),
                last: consumption.last().and_then(timestamp),
                in_flight: adapter.in_flight(),
                waiting: adapter.waiting(),
                memory_bytes: consumption.memory_bytes(),
                cpu_ms: u64::try_from(consumption.cpu().as_millis()).unwrap_or(u64::MAX),
            });
        }
        self
    }
}

/// The same moment; `None` where no calendar has it.
#[must_use]
pub fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}
