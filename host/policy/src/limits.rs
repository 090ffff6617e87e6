//! The limits of `limits.yaml` in their valid form: all are set. Defaults stand in the raw form (`files/limits.rs`) only.

use crate::id::AdapterId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Budgets and limits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Latency budgets, which cut nothing off.
    pub latency: LatencyBudgets,
    /// What the front takes from its clients.
    pub server: ServerLimits,
    /// How much of the ledger is kept.
    pub ledger: LedgerLimits,
    /// Whether only those adapters serve that `adapters.lock` has.
    pub require_lock: bool,
    /// The most memory of all adapters together, in bytes; at least twice that of the largest instance.
    pub total_memory: usize,
    pub(crate) defaults: AdapterLimits,
    pub(crate) overrides: BTreeMap<AdapterId, AdapterLimits>,
}

impl Limits {
    /// The limits of one adapter.
    #[must_use]
    pub fn adapter(&self, id: &AdapterId) -> &AdapterLimits {
        self.overrides.get(id).unwrap_or(&self.defaults)
    }

    /// The limits of each adapter, the defaults first: for what must hold for all of them.
    pub fn adapters(&self) -> impl Iterator<Item = &AdapterLimits> {
        std::iter::once(&self.defaults).chain(self.overrides.values())
    }
}

/// Latency budgets of the k6 gate and of the console; nothing is cut off by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyBudgets {
    /// The 95th percentile of a chat completion's whole duration: the k6 gate's.
    pub llm_p95: Duration,
    /// The 95th percentile of the time to the first token of a streamed answer: the console's.
    pub first_token_p95: Duration,
    /// The 95th percentile of the latency that the gateway itself adds: the console's.
    pub added_p95: Duration,
}

/// What the front takes from its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// The largest request body, in bytes.
    pub request_bytes: usize,
    /// The most memory that clients' request bodies take together, while they are read and wait, in bytes; never less than one of them.
    pub buffered_bytes: usize,
    /// How long a client may take to send its request's head and body.
    pub request_time: Duration,
    /// The most connections at once.
    pub connections: usize,
    /// How long running answers may go on after the signal to stop.
    pub shutdown: Duration,
}

/// How much of the ledger is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerLimits {
    /// How large a file may become before the next one begins, in bytes.
    pub file_bytes: u64,
    /// The most files; the oldest is deleted then.
    pub files: usize,
}

/// What one request may use of an adapter and of the network behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdapterLimits {
    /// The most linear memory, in bytes.
    pub memory_bytes: usize,
    /// The most time on a processor.
    pub cpu: Duration,
    /// The most requests at once.
    pub instances: usize,
    /// From the dial to an established connection, TLS included.
    pub connect: Duration,
    /// From the request to the first byte of the provider's answer.
    pub first_token: Duration,
    /// Between two pieces of the provider's answer.
    pub idle: Duration,
    /// The whole request.
    pub total: Duration,
    /// The largest body of a provider's answer, in bytes.
    pub response_bytes: u64,
    /// The most requests that wait for an instance.
    pub queue: usize,
    /// How long one of them waits.
    pub queue_wait: Duration,
    /// How often a request is tried again at the same model while no byte of an answer has come.
    pub retries: u32,
    /// After how many failures in a row a model is not asked for a while.
    pub breaker_failures: u32,
    /// That while.
    pub breaker_open: Duration,
    /// Between two looks at whether a model's provider can be used; `None`: no looks of their own.
    pub probe: Option<Duration>,
}
