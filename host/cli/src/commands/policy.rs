//! `hauski policy suggest`: from a ledger's denials to entries of `egress.allow`, for a person to review.

use super::{ledger, print_json};
use crate::failure::Failure;
use hauski_egress::suggest::{Fragment, Suggester, Wanted};
use hauski_egress::today;
use hauski_policy::{
    AdapterId, Digest, Egress, Grant, Holder, Locality, ModelScope, Models, Network, Reach, Routing, Scope, Target,
};
use hauski_server::environment::{self, MODELS, ROUTING};
use hauski_server::{Process, setup};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Prints the entries. A ledger that was changed is not made grants of.
pub(crate) fn suggest(path: Option<&Path>, wanted: Wanted, as_json: bool) -> Result<(), Failure> {
    let path = ledger::locate(path)?;
    let (egress, models) = policy()?;
    let allows = |id: &AdapterId, digest: &Digest, model: Option<&str>, target: &Target| {
        allowed(&egress, Holder { id, digest }, &scope(&models, model), target)
    };
    let is_local = |model: &str| is_local(&egress, &models, model);
    let mut suggester = Suggester::new(wanted, &allows, &is_local);
    let report = ledger::read(&path, None, &mut |line| suggester.record(line))?;
    if !report.holds() {
        ledger::tell(&report);
        return ledger::holds(&report);
    }
    let fragment = suggester.finish();
    if as_json { print_json(&fragment.to_json()) } else { Ok(print(&path, &fragment)?) }
}

/// Reads the grants and the models of this moment.
fn policy() -> Result<(Egress, Models), Failure> {
    let mut problems = Vec::new();
    let path = |name| environment::path(&Process, name);
    let routing = setup::read(&path(ROUTING), ROUTING, Routing::parse, &mut problems);
    let models = setup::read(&path(MODELS), MODELS, Models::parse, &mut problems);
    match (routing, models) {
        (Some(routing), Some(models)) => Ok((routing.value.egress, models.value)),
        _ => Err(Failure::Configuration(problems)),
    }
}

/// Returns the scope of the model with this id. A model that `models.yml` no longer has, or the default base URL of an adapter, which is
/// not loaded here, counts for nothing: then an entry is suggested that may not be needed.
fn scope(models: &Models, model: Option<&str>) -> Scope {
    let known = |id: &str| {
        let bare = ModelScope { id: id.into(), base_url: None };
        Scope::Model(Arc::new(models.get(id).map_or(bare, |model| ModelScope::new(model, None))))
    };
    model.map_or(Scope::Gateway, known)
}

/// Returns whether every grant that the model with this id may use is local. The adapter is not loaded here: its digest counts for
/// nothing, and a model without a base URL of its own may use each entry that names no models.
fn is_local(egress: &Egress, models: &Models, id: &str) -> bool {
    let Some(model) = models.get(id) else { return false };
    let (scope, today) = (ModelScope::new(model, None), today());
    let holds = |grant: &Grant| {
        let refs = grant.adapters.as_ref();
        let is_held = refs.is_none_or(|refs| refs.iter().any(|one| Some(&one.id) == model.adapter.as_ref()));
        let is_in_reach = grant.is_in_reach_of(&scope) || scope.base_url.is_none() && grant.models.is_none();
        is_held && grant.holds_on(today) && is_in_reach
    };
    let grants = egress.grants.iter().filter(|grant| holds(grant)).cloned().collect();
    Reach { grants }.locality(today) == Locality::Local
}

fn allowed(egress: &Egress, holder: Holder<'_>, scope: &Scope, target: &Target) -> Option<Network> {
    egress.decide(holder, scope, target, today(), false).ok().map(|grant| grant.network)
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
