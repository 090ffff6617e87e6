//! `hauski adapters ls`: what each file of the adapters folder is, and may reach.

use super::audit::{Loaded, localities, models};
use super::print_json;
use crate::failure::Failure;
use crate::table;
use hauski_policy::{Egress, Models};
use hauski_runtime::{Adapters, Audit};
use serde_json::json;

/// Lists the adapters, as `serve` would load them.
pub(crate) fn ls(json: bool) -> Result<(), Failure> {
    let Loaded { routing, adapters, .. } = Loaded::read()?;
    let (egress, models) = (routing.egress, models()?);
    if json {
        let loaded: Vec<_> = adapters.iter().map(|(_, adapter)| adapter.audit(&egress, &models)).collect();
        let refused: Vec<_> = adapters.refused().iter().map(|refused| refused.under(&egress)).collect();
        return print_json(&json!({ "adapters": loaded, "refused": refused }));
    }
    let head = ["ID", "VERSION", "DIGEST", "SERVES", "MODELS", "MAY REACH"];
    Ok(table::print(&head, rows(&adapters, &egress, &models))?)
}

fn rows(adapters: &Adapters, egress: &Egress, models: &Models) -> Vec<Vec<String>> {
    let loaded = adapters.iter().map(|(_, adapter)| row(&adapter.audit(egress, models)));
    let dash = || "-".to_owned();
    let refused = adapters.refused().iter().map(|refused| {
        vec![refused.file.clone(), dash(), dash(), refused.state.to_owned(), dash(), refused.reason.clone()]
    });
    loaded.chain(refused).collect()
}

fn row(audit: &Audit<'_>) -> Vec<String> {
    let profile = audit.profile;
    let reach: Vec<_> = audit.grants.iter().filter(|grant| !grant.expired).map(|grant| grant.url.as_str()).collect();
    vec![
        profile.id.clone(),
        profile.description.version.clone(),
        profile.short_digest().to_owned(),
        profile.description.serves.join(", "),
        localities(&audit.models),
        if reach.is_empty() { "nothing".to_owned() } else { reach.join(" ") },
    ]
}
