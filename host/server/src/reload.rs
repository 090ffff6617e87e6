//! Follows the policy's files while the gateway runs: a change that holds is swapped in whole, any other changes nothing.
//!
//! A thread of its own looks at the content of `routing.yaml` and of the secrets' files twice a second. That a file is replaced,
//! linked elsewhere, or lies on a file system without notifications makes no difference then. A change counts once two looks
//! and the reading itself have seen the same, so that a file that is being written is not taken by halves. A look that does not
//! come back, such as from a file system that hangs, shows as well.

use crate::app::Gateway;
use crate::setup::Problem;
use crate::source::{Loaded, Source};
use hauski_egress::os_lock;
use hauski_policy::{Diagnostics, Routing};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Follows the files until the other end of `asked` is gone. Each message is answered by reading them at once.
pub(crate) fn follow(gateway: &Arc<Gateway>, asked: &Receiver<()>) {
    let mut seen = gateway.seen.clone();
    let mut changed = None;
    loop {
        match asked.recv_timeout(LOOK) {
            Ok(()) => {
                // One reading answers all who have asked by now.
                while asked.try_recv().is_ok() {}
                let (loaded, read) = gateway.source.load();
                settle(gateway, loaded);
                (seen, changed) = (read, None);
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let now = Source::look(&seen);
                if now == seen {
                    changed = None;
                } else if changed.as_ref() == Some(&now) {
                    let (loaded, read) = gateway.source.load();
                    // Of other files than those looked at, such as of a secret that is new, nothing can be said.
                    if now.agrees_with(&read) {
                        settle(gateway, loaded);
                        (seen, changed) = (read, None);
                    }
                } else {
                    changed = Some(now);
                }
            }
        }
        gateway.looked();
    }
}

/// Swaps in what the files say if it holds.
fn settle(gateway: &Gateway, loaded: Result<Loaded, Vec<Problem>>) {
    match loaded {
        Ok(loaded) => {
            let before = gateway.view();
            let warnings = gateway.apply(loaded);
            gateway.metrics.policy_reloads.with_label_values(&["ok"]).inc();
            log_warnings(&warnings);
            log_change(&before.routing, gateway);
        }
        Err(problems) => {
            gateway.keep(&problems);
            gateway.metrics.policy_reloads.with_label_values(&["failed"]).inc();
            log_problems(&problems);
        }
    }
}

/// Says what is granted now that was not before, and the other way round.
fn log_change(before: &Routing, gateway: &Gateway) {
    let view = gateway.view();
    let (old, new) = (entries(before), entries(&view.routing));
    for entry in new.difference(&old) {
        tracing::info!(entry, "granted");
    }
    for entry in old.difference(&new) {
        tracing::info!(entry, "withdrawn");
    }
    let locked = os_lock::in_force().map(|lock| lock.closed_to(&view.routing.egress.grants)).unwrap_or_default();
    for port in locked {
        tracing::warn!(
            port,
            "the policy grants a port that `--os-egress-lock` has locked out at the start: restart to reach it"
        );
    }
    tracing::info!(generation = view.generation, entries = new.len(), "the policy was reloaded");
}

fn entries(routing: &Routing) -> BTreeSet<String> {
    let file = routing.to_json();
    file["egress"]["allow"].as_array().into_iter().flatten().map(ToString::to_string).collect()
}

fn log_problems(problems: &[Problem]) {
    for problem in problems {
        match problem {
            Problem::Policy(diagnostics) => diagnostics.iter().for_each(|one| {
                tracing::error!("{}:{}:{} {}: {}", one.file, one.line, one.column, one.code, one.message);
            }),
            other => tracing::error!("{other}"),
        }
    }
    tracing::error!("the policy on disk can't hold: the last good one holds on; `hauski check` shows what is wrong");
}

/// Logs what a policy file warns of, a line each: what people read in a terminal takes many, and colours.
pub fn log_warnings(diagnostics: &Diagnostics) {
    for one in diagnostics {
        let help = one.help.as_deref().map(|help| format!("; {help}")).unwrap_or_default();
        tracing::warn!("{}:{}:{} {}: {}{help}", one.file, one.line, one.column, one.code, one.message);
    }
    let more = diagnostics.warnings().saturating_sub(diagnostics.iter().count());
    if more > 0 {
        tracing::warn!("... and {more} more warnings in {}", diagnostics.file());
    }
}
