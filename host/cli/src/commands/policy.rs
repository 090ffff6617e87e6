//! `hauski policy suggest`: from a ledger's denials to entries of `egress.allow`, for a person to review.

use super::{ledger, print_json};
use crate::failure::Failure;
use hauski_egress::suggest::{Fragment, Suggester, Wanted};
use hauski_policy::{AdapterId, Digest, Egress, Holder, Network, Routing, Target};
use hauski_server::environment::{self, ROUTING};
use hauski_server::{Process, setup};
use jiff::tz::Offset;
use std::io::{self, Write};
use std::path::Path;

/// Prints the entries. A ledger that was changed is not made grants of.
pub(crate) fn suggest(path: Option<&Path>, wanted: Wanted, as_json: bool) -> Result<(), Failure> {
    let path = ledger::locate(path)?;
    let egress = egress()?;
    let allows = |id: &AdapterId, digest: &Digest, target: &Target| allowed(&egress, id, digest, target);
    let mut suggester = Suggester::new(wanted, &allows);
    let report = ledger::read(&path, None, &mut |line| suggester.record(line))?;
    if !report.holds() {
        ledger::tell(&report);
        return ledger::holds(&report);
    }
    let fragment = suggester.finish();
    if as_json { print_json(&fragment.to_json()) } else { Ok(print(&path, &fragment)?) }
}

/// What the policy allows by now.
fn egress() -> Result<Egress, Failure> {
    let mut problems = Vec::new();
    let routing = setup::read(&environment::path(&Process, ROUTING), ROUTING, Routing::parse, &mut problems);
    routing.map(|routing| routing.value.egress).ok_or(Failure::Configuration(problems))
}

fn allowed(egress: &Egress, id: &AdapterId, digest: &Digest, target: &Target) -> Option<Network> {
    let today = Offset::UTC.to_datetime(jiff::Timestamp::now()).date();
    egress.decide(Holder { id, digest }, target, today, false).ok().map(|grant| grant.network)
}

fn print(path: &Path, fragment: &Fragment) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let path = path.display().to_string().escape_debug().to_string();
    writeln!(
        out,
        "# What adapters were denied, from `{path}`. Each entry would allow what its comment says: take over only those"
    )?;
    writeln!(
        out,
        "# that should hold, into `egress.allow` of routing.yaml. `hauski check` tells what is wrong or wide then."
    )?;
    write!(out, "{fragment}")
}
