//! `hauski check`: everything that `serve` does before it binds.

use super::{block_on, print_json};
use crate::failure::{Failure, code, colour};
use hauski_server::setup::{self, Problem, World};
use hauski_server::{Gateway, Process, Settings};
use serde_json::{Value, json};
use std::io::Write;

/// Checks the configuration. Warnings and adapters that can't be loaded are shown and are no failure.
pub(crate) fn run(settings: &Settings, as_json: bool) -> Result<(), Failure> {
    let prepared = block_on(setup::prepare(settings, World::real(&Process)))?;
    match prepared {
        Ok((gateway, warnings)) if as_json => {
            let warnings: Vec<Value> = warnings.iter().flat_map(|w| items(&Problem::Policy(w.clone()))).collect();
            print_json(
                &json!({ "ok": true, "problems": [], "warnings": warnings, "refused": gateway.adapters.refused() }),
            )
        }
        Ok((gateway, warnings)) => {
            let mut out = std::io::stdout().lock();
            for warning in &warnings {
                writeln!(out, "{}", warning.render(colour()))?;
            }
            for line in notes(&gateway) {
                writeln!(out, "warning: {line}")?;
            }
            writeln!(out, "ok: {}", summary(&gateway))?;
            Ok(())
        }
        Err(problems) if as_json => {
            let problems: Vec<Value> = problems.iter().flat_map(items).collect();
            print_json(&json!({ "ok": false, "problems": problems }))?;
            Err(Failure::Reported)
        }
        Err(problems) => Err(Failure::Configuration(problems)),
    }
}

/// The problem as JSON: a diagnostic each, or code and message.
fn items(problem: &Problem) -> Vec<Value> {
    match problem {
        Problem::Policy(diagnostics) => match serde_json::to_value(diagnostics) {
            Ok(Value::Array(items)) => items,
            Ok(other) => vec![other],
            Err(error) => vec![json!({ "code": "invalid-policy", "message": error.to_string() })],
        },
        other => vec![json!({ "code": code(other), "message": other.to_string() })],
    }
}

/// What a gateway consists of, in a line.
pub(super) fn summary(gateway: &Gateway) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let adapters = count(gateway.adapters.iter().count(), "adapter");
    let models = count(gateway.models_served().count(), "model");
    let grants = count(gateway.routing.grants.len(), "egress grant");
    format!("{adapters}, {models} to ask, {grants}")
}

/// What an operator should know of a gateway that can run all the same.
pub(super) fn notes(gateway: &Gateway) -> Vec<String> {
    let refused = gateway.adapters.refused().iter();
    let mut notes: Vec<_> =
        refused.map(|refused| format!("`{}` is not loaded: {}", refused.file, refused.reason)).collect();
    for model in gateway.models.iter() {
        if let Some(adapter) = model.adapter.as_ref().filter(|id| gateway.adapters.get(id).is_none()) {
            notes.push(format!("the model `{}` can't be asked: {}", model.id, gateway.adapters.why_missing(adapter)));
        }
    }
    notes
}
