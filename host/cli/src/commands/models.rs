//! `hauski models ls`: what `models.yml` says, for people or as JSON.

use super::print_json;
use crate::failure::Failure;
use crate::table;
use hauski_policy::{Model, Models};
use hauski_server::environment::{self, MODELS};
use hauski_server::{Process, setup};

/// Lists the models. Needs no other file and no other variable, and starts nothing.
pub(crate) fn ls(json: bool) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let Some(models) = setup::read(&environment::path(&Process, MODELS), MODELS, Models::parse, &mut problems) else {
        return Err(Failure::Configuration(problems));
    };
    if json {
        return print_json(&models.value.to_json()["models"]);
    }
    let head = ["ID", "ADAPTER", "UPSTREAM", "PATH", "VRAM", "CANARY"];
    Ok(table::print(&head, models.value.iter().map(row).collect())?)
}

fn row(model: &Model) -> Vec<String> {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    vec![
        model.id.to_string(),
        or_dash(model.adapter.as_ref().map(|id| id.as_str())),
        or_dash(model.upstream.as_deref()),
        or_dash(model.path.as_deref()),
        model.vram_min_gb.map_or("-".to_owned(), |gb| format!("{gb} GB")),
        model.canary.to_string(),
    ]
}
