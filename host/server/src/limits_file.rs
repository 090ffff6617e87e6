//! `limits.yaml`, followed while the gateway runs: a valid change is in force for all that begins from then on.
//!
//! What is built once at the start keeps its value until a restart, and is named. What has begun keeps the limits that it began with.

use crate::app::{Gateway, Stale};
use crate::environment::LIMITS;
use crate::reload::{log_problem, log_warnings};
use crate::setup::{Problem, read_file};
use crate::source::{Seen, read_all};
use hauski_policy::{LimitChange, Limits, LiveLimits, Parsed};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The limits in force, and how they stand to their file.
pub(crate) struct LimitsFile {
    path: PathBuf,
    /// What the file held when it was read at the start.
    seen: Seen,
    /// The most linear memory of an instance, in bytes: the instance pool was built for it.
    pool_memory: usize,
    state: RwLock<State>,
}

struct State {
    limits: Arc<Limits>,
    /// The keys whose value in the file needs a restart.
    restart_needed: Vec<String>,
    stale: Option<Stale>,
}

/// The limits of the file, or why there are none.
pub(crate) type Read = Result<Parsed<Limits>, Problem>;

impl LimitsFile {
    pub(crate) fn new(path: &Path, seen: Seen, limits: Limits) -> Self {
        let pool_memory = limits.largest_memory();
        let state = State { limits: Arc::new(limits), restart_needed: Vec::new(), stale: None };
        Self { path: path.to_owned(), seen, pool_memory, state: RwLock::new(state) }
    }

    /// Reads the file, and tells what it held.
    pub(crate) fn load(path: &Path) -> (Read, Seen) {
        read_all(|read| read_file(path, LIMITS, Limits::parse, read))
    }

    pub(crate) fn load_again(&self) -> (Read, Seen) {
        Self::load(&self.path)
    }

    /// Returns what the file held when it was read at the start.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Returns the limits in force.
    pub(crate) fn current(&self) -> Arc<Limits> {
        self.read().limits.clone()
    }

    /// Returns the keys whose value in the file needs a restart.
    pub(crate) fn restart_needed(&self) -> Vec<String> {
        self.read().restart_needed.clone()
    }

    /// Returns why the limits in force are not those of the file, if that is so.
    pub(crate) fn stale(&self) -> Option<Stale> {
        self.read().stale.clone()
    }

    /// Puts what can change of `wanted` in force. Returns what has changed, and the names of what can't.
    fn apply(&self, wanted: &Limits) -> (Vec<LimitChange>, Vec<String>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let LiveLimits { limits, restart_needed } = state.limits.live(wanted, self.pool_memory);
        let changes = state.limits.changes(&limits);
        *state = State { limits: Arc::new(limits), restart_needed: restart_needed.clone(), stale: None };
        (changes, restart_needed)
    }

    /// Keeps the limits in force, since those of the file are invalid.
    fn mark_stale(&self, problem: &Problem) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.stale = Some(Stale::now(state.stale.as_ref(), problem.place()));
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the limits of the file in force where they are valid, and logs each change.
pub(crate) fn settle(gateway: &Gateway, read: Read) {
    let result = if read.is_ok() { "ok" } else { "failed" };
    match read {
        Ok(parsed) => {
            let (changes, restart_needed) = gateway.limits.apply(&parsed.value);
            if !changes.is_empty() {
                gateway.apply_limits();
            }
            log_warnings(&parsed.warnings);
            for LimitChange { key, old, new } in &changes {
                tracing::info!(key, %old, %new, "a limit has changed");
            }
            for key in restart_needed {
                tracing::warn!(
                    key,
                    "limits.yaml has a new value for a limit that is fixed at the start: restart to apply it"
                );
            }
            tracing::info!(changes = changes.len(), "the limits were reloaded");
        }
        Err(problem) => {
            gateway.limits.mark_stale(&problem);
            log_problem(&problem);
            tracing::error!(
                "the limits on disk are invalid: still using the last valid ones; `hauski check` shows what is wrong"
            );
        }
    }
    gateway.metrics.policy_reloads.with_label_values(&[result]).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../policies/limits.yaml");

    fn limits(part: &str, by: &str) -> Limits {
        assert!(SHIPPED.contains(part), "{part}");
        Limits::parse("limits.yaml", SHIPPED.replace(part, by).as_bytes()).unwrap().value
    }

    #[test]
    fn limits_change_in_place_and_keep_what_needs_a_restart() {
        let start = limits("overrides: {}", "overrides: { a: { memory_mib: 256 } }");
        let file = LimitsFile::new(Path::new("limits.yaml"), Seen::default(), start);
        let before = file.current();
        let (changes, restart) = file.apply(&limits("memory_mib: 64 ", "memory_mib: 256 "));
        assert_eq!((changes.len(), restart.len()), (1, 0), "the pool has room for it: {changes:?}");
        let (changes, restart) = file.apply(&limits("memory_mib: 64 ", "memory_mib: 257 "));
        assert_eq!((changes.len(), &*restart), (0, &["adapters.defaults.memory_mib".to_owned()][..]), "{changes:?}");
        assert_eq!(file.restart_needed(), restart);
        let (changes, restart) = file.apply(&limits("cpu_ms: 5000", "cpu_ms: 6000"));
        assert_eq!((changes.len(), restart.len(), file.restart_needed().len()), (2, 0, 0), "{changes:?}");
        // A request holds the limits that it began with.
        assert_eq!(before.adapter(&"a".parse().unwrap()).cpu, std::time::Duration::from_secs(5));
    }

    #[test]
    fn limits_are_stale_until_the_file_is_valid_again() {
        let file = LimitsFile::new(Path::new("limits.yaml"), Seen::default(), limits("queue: 64", "queue: 64"));
        let (read, _) = LimitsFile::load(Path::new("does-not-exist/limits.yaml"));
        file.mark_stale(&read.unwrap_err());
        assert_eq!(file.stale().unwrap().problem, "limits.yaml: entity not found");
        file.apply(&limits("queue: 64", "queue: 65"));
        assert!(file.stale().is_none());
    }
}
