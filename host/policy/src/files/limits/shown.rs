//! The limits as JSON in the shape of `limits.yaml`.

use super::MIB;
use crate::limits::{AdapterLimits, Limits};
use serde::{Serialize, Serializer};
use serde_json::json;
use std::time::Duration;

impl Limits {
    /// The limits in the shape of the file; each override with all of its limits.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let overrides = self.overrides.iter().map(|(id, limits)| (id.to_string(), limits.to_json()));
        json!({
            "server": {
                "request_mib": self.server.request_bytes as u64 / MIB,
                "buffered_mib": self.server.buffered_bytes as u64 / MIB,
                "request_seconds": self.server.request_time.as_secs(),
                "connections": self.server.connections,
                "shutdown_seconds": self.server.shutdown.as_secs(),
            },
            "ledger": { "file_mib": self.ledger.file_bytes / MIB, "files": self.ledger.files },
            "adapters": {
                "require_lock": self.require_lock,
                "total_memory_mib": self.total_memory as u64 / MIB,
                "defaults": self.defaults.to_json(),
                "overrides": overrides.collect::<serde_json::Map<_, _>>(),
            },
            "latency": {
                "llm_p95_ms": millis(self.latency.llm_p95),
                "first_token_p95_ms": millis(self.latency.first_token_p95),
                "added_p95_ms": millis(self.latency.added_p95),
            },
        })
    }
}

/// As [`Limits::to_json`].
impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl AdapterLimits {
    /// The limits as the file has them.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "memory_mib": self.memory_bytes as u64 / MIB,
            "cpu_ms": millis(self.cpu),
            "instances": self.instances,
            "connect_ms": millis(self.connect),
            "first_token_ms": millis(self.first_token),
            "idle_ms": millis(self.idle),
            "total_ms": millis(self.total),
            "response_mib": self.response_bytes / MIB,
            "queue": self.queue,
            "queue_ms": millis(self.queue_wait),
            "retries": self.retries,
            "breaker_failures": self.breaker_failures,
            "breaker_ms": millis(self.breaker_open),
            "probe_seconds": self.probe.map_or(0, |probe| probe.as_secs()),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_secs() * 1000 + u64::from(duration.subsec_millis())
}
