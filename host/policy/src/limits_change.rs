//! The difference between the limits in force and those of a changed `limits.yaml`, and the part of it that needs a restart.
//!
//! Pure, as all of the policy: the gateway applies and logs what is computed here.

use crate::limits::{AdapterLimits, Limits};
use serde_json::Value;
use std::collections::BTreeSet;

/// A key of `limits.yaml` with another value than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitChange {
    /// The key's path, such as `adapters.defaults.cpu_ms`.
    pub key: String,
    /// The value that was in force.
    pub old: Value,
    /// The value that replaces it.
    pub new: Value,
}

/// The limits that a running gateway can put in force, and the keys that it can't change.
#[derive(Clone, Debug)]
pub struct LiveLimits {
    /// The new limits, with the running value at each key that needs a restart.
    pub limits: Limits,
    /// Paths of the keys whose new value needs a restart.
    pub restart_needed: Vec<String>,
}

impl Limits {
    /// Returns the most linear memory of any adapter, in bytes: what the engine's instance pool is built for.
    #[must_use]
    pub fn largest_memory(&self) -> usize {
        self.adapters().map(|adapter| adapter.memory_bytes).max().unwrap_or_default()
    }

    /// Returns what of `wanted` a gateway that runs with `self` can put in force.
    ///
    /// Not what is built once at the start: the ledger's files, whether only approved adapters serve, the memory of all adapters
    /// together, and the instance pool, whose instances have up to `pool_memory` bytes of linear memory.
    #[must_use]
    pub fn live(&self, wanted: &Self, pool_memory: usize) -> LiveLimits {
        let mut limits = wanted.clone();
        let mut restart_needed = Vec::new();
        let mut name = |key: &str, differs: bool| {
            if differs {
                restart_needed.push(key.to_owned());
            }
        };
        name("ledger.file_mib", self.ledger.file_bytes != wanted.ledger.file_bytes);
        name("ledger.files", self.ledger.files != wanted.ledger.files);
        name("adapters.require_lock", self.require_lock != wanted.require_lock);
        name("adapters.total_memory_mib", self.total_memory != wanted.total_memory);
        limits.total_memory = self.total_memory;
        limits.ledger = self.ledger;
        limits.require_lock = self.require_lock;

        let exceeds = |adapter: &AdapterLimits| adapter.memory_bytes > pool_memory;
        name("adapters.defaults.memory_mib", exceeds(&wanted.defaults));
        if exceeds(&wanted.defaults) {
            limits.defaults.memory_bytes = self.defaults.memory_bytes;
        }
        for (id, adapter) in &mut limits.overrides {
            if exceeds(adapter) {
                // An override without the key has the value of the defaults, which are named already.
                let is_inherited = adapter.memory_bytes == wanted.defaults.memory_bytes;
                name(&format!("adapters.overrides.{id}.memory_mib"), !is_inherited);
                adapter.memory_bytes = self.adapter(id).memory_bytes;
            }
        }
        LiveLimits { limits, restart_needed }
    }

    /// Lists the keys whose value differs in `new`. An override is compared with what held for its adapter before.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<LimitChange> {
        let (old_file, new_file) = (self.to_json(), new.to_json());
        let mut changes = Vec::new();
        for section in ["server", "ledger", "latency"] {
            compare(section, &old_file[section], &new_file[section], &mut changes);
        }
        for key in ["require_lock", "total_memory_mib"] {
            let (old, new) = (&old_file["adapters"][key], &new_file["adapters"][key]);
            push(format!("adapters.{key}"), old, new, &mut changes);
        }

        let mut of_defaults = Vec::new();
        compare("adapters.defaults", &self.defaults.to_json(), &new.defaults.to_json(), &mut of_defaults);
        let ids: BTreeSet<_> = self.overrides.keys().chain(new.overrides.keys()).collect();
        let mut of_overrides = Vec::new();
        for id in ids {
            let prefix = format!("adapters.overrides.{id}");
            compare(&prefix, &self.adapter(id).to_json(), &new.adapter(id).to_json(), &mut of_overrides);
        }
        // An override that follows the defaults has not changed itself.
        let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
        of_overrides.retain(|one| {
            let same = |other: &LimitChange| (&one.old, &one.new) == (&other.old, &other.new);
            !of_defaults.iter().any(|other| last(&one.key) == last(&other.key) && same(other))
        });
        changes.extend(of_defaults.into_iter().chain(of_overrides));
        changes
    }
}

/// Adds the members of two objects that differ.
fn compare(prefix: &str, old: &Value, new: &Value, changes: &mut Vec<LimitChange>) {
    for (key, value) in new.as_object().into_iter().flatten() {
        push(format!("{prefix}.{key}"), &old[key], value, changes);
    }
}

fn push(key: String, old: &Value, new: &Value, changes: &mut Vec<LimitChange>) {
    if old != new {
        changes.push(LimitChange { key, old: old.clone(), new: new.clone() });
    }
}
