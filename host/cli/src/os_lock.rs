//! `--os-egress-lock`: the kernel holds this process to the ports of the policy.
//!
//! The lock is the calling thread's and its later children's, so it is applied while there is no other: before the log, the
//! runtimes, and the first adapter. That is before the policy is judged as a whole, too.

use crate::failure::Failure;
use hauski_egress::os_lock::{Enforced, Ports, restrict};
use hauski_policy::Routing;
use hauski_server::Settings;
use hauski_server::environment::ROUTING;
use hauski_server::setup;

/// Locks this process to the ports that the policy grants and the one that it listens on.
pub(crate) fn apply(settings: &Settings) -> Result<Enforced, Failure> {
    // A file that can't be used grants no port. What is wrong with it is told with all else when it is read for good; if it is
    // another file by then, this process still reaches no more than the one it was locked to.
    let routing = setup::read(&settings.routing, ROUTING, Routing::parse, &mut Vec::new());
    let grants = routing.map(|routing| routing.value.egress.grants).unwrap_or_default();
    let ports = Ports::of(&grants, settings.bind.port());
    Ok(restrict(ports).map_err(anyhow::Error::from)?)
}

/// Logs what holds, and what does not.
pub(crate) fn report(enforced: &Enforced) {
    if enforced.holds() {
        tracing::info!("--os-egress-lock: {enforced}");
    } else {
        tracing::warn!("--os-egress-lock: {enforced}");
    }
}
