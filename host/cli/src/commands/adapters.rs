//! `hauski adapters ls`: what each file of the adapters folder is, and may reach.

use super::print_json;
use crate::failure::Failure;
use crate::table;
use hauski_policy::{Egress, Limits, Routing};
use hauski_runtime::{Adapters, Audit};
use hauski_server::environment::{self, ADAPTERS, LIMITS, LOCK, ROUTING};
use hauski_server::{Process, setup};
use serde_json::json;

/// Lists the adapters. Loads them as `serve` would, in instances that can reach nothing. Needs the grants, the limits and the
/// folder; what the models and the other variables say is not looked at.
pub(crate) fn ls(json: bool) -> Result<(), Failure> {
    let path = |name| environment::path(&Process, name);
    let mut problems = Vec::new();
    let routing = setup::read(&path(ROUTING), ROUTING, Routing::parse, &mut problems);
    let limits = setup::read(&path(LIMITS), LIMITS, Limits::parse, &mut problems);
    let (Some(routing), Some(limits)) = (routing, limits) else { return Err(Failure::Configuration(problems)) };
    let folder = path(ADAPTERS);
    let lock = limits.value.require_lock.then(|| setup::lock(&path(LOCK))).transpose();
    let lock = lock.map_err(|problem| Failure::Configuration(vec![problem]))?;
    let cache = environment::cache(&Process);
    let library = setup::load(&folder, &limits.value, cache.as_deref(), lock);
    let adapters = library.map_err(|problem| Failure::Configuration(vec![problem]))?.adapters();
    let egress = routing.value.egress;
    if json {
        let loaded: Vec<_> = adapters.iter().map(|(_, adapter)| adapter.audit(&egress)).collect();
        return print_json(&json!({ "adapters": loaded, "refused": adapters.refused() }));
    }
    let head = ["ID", "VERSION", "DIGEST", "SERVES", "LOCALITY", "MAY REACH"];
    Ok(table::print(&head, rows(&adapters, &egress))?)
}

fn rows(adapters: &Adapters, egress: &Egress) -> Vec<Vec<String>> {
    let loaded = adapters.iter().map(|(_, adapter)| row(&adapter.audit(egress)));
    let dash = || "-".to_owned();
    let refused = adapters.refused().iter().map(|refused| {
        vec![refused.file.clone(), dash(), dash(), refused.state.to_owned(), dash(), refused.reason.clone()]
    });
    loaded.chain(refused).collect()
}

fn row(audit: &Audit<'_>) -> Vec<String> {
    let profile = audit.profile;
    let reach: Vec<_> = audit.grants.iter().map(|grant| grant.url.as_str()).collect();
    vec![
        profile.id.clone(),
        profile.description.version.clone(),
        profile.short_digest().to_owned(),
        profile.description.serves.join(", "),
        audit.locality.to_owned(),
        if reach.is_empty() { "nothing".to_owned() } else { reach.join(" ") },
    ]
}
