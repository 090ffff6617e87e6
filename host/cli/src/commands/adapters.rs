//! `hauski adapters ls`: what each file of the adapters folder is, and may reach.

use super::{block_on, print_json};
use crate::failure::Failure;
use crate::table;
use hauski_runtime::{Adapters, Audit};
use hauski_server::{Settings, setup};
use serde_json::json;

/// Lists the adapters. Loads them as `serve` would, in instances that can reach nothing.
pub(crate) fn ls(settings: &Settings, json: bool) -> Result<(), Failure> {
    let policies = setup::policies(settings).map_err(Failure::Configuration)?;
    let load = setup::load(settings, &policies.routing, &policies.limits);
    let adapters = block_on(load)?.map_err(|problem| Failure::Configuration(vec![problem]))?;
    if json {
        let loaded: Vec<_> = adapters.iter().map(|(_, adapter)| adapter.audit()).collect();
        return print_json(&json!({ "adapters": loaded, "refused": adapters.refused() }));
    }
    let head = ["ID", "VERSION", "DIGEST", "SERVES", "LOCALITY", "MAY REACH"];
    Ok(table::print(&head, rows(&adapters))?)
}

fn rows(adapters: &Adapters) -> Vec<Vec<String>> {
    let loaded = adapters.iter().map(|(_, adapter)| row(adapter.audit()));
    let dash = || "-".to_owned();
    let refused = adapters.refused().iter().map(|refused| {
        vec![refused.file.clone(), dash(), dash(), "refused".to_owned(), dash(), refused.reason.clone()]
    });
    loaded.chain(refused).collect()
}

fn row(audit: &Audit) -> Vec<String> {
    let reach: Vec<_> = audit.grants.iter().map(|grant| grant.url.as_str()).collect();
    vec![
        audit.id.clone(),
        audit.description.version.clone(),
        audit.digest.get(..19).unwrap_or_default().to_owned(),
        audit.description.serves.join(", "),
        audit.locality.to_owned(),
        if reach.is_empty() { "nothing".to_owned() } else { reach.join(" ") },
    ]
}
