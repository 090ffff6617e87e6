//! `hauski check`: everything that `serve` does before it binds.

use super::{block_on, print_json, settings};
use crate::failure::{Failure, colour, diagnostics_to_json};
use hauski_policy::Diagnostics;
use hauski_server::setup::{self, World};
use hauski_server::{Gateway, Process};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Checks the configuration. Warnings and adapters that can't be loaded are shown and are no failure.
pub(crate) fn run(as_json: bool) -> Result<(), Failure> {
    match prepare() {
        Ok((gateway, warnings)) if as_json => {
            let warnings: Vec<Value> = warnings.iter().flat_map(diagnostics_to_json).collect();
            print_json(
                &json!({ "ok": true, "problems": [], "warnings": warnings, "refused": gateway.adapters.refused() }),
            )
        }
        Ok((gateway, warnings)) => {
            let mut out = io::stdout().lock();
            for warning in &warnings {
                writeln!(out, "{}", warning.render(colour(&out)))?;
            }
            for line in notes(&gateway) {
                writeln!(out, "warning: {line}")?;
            }
            writeln!(out, "ok: {}", summary(&gateway))?;
            Ok(())
        }
        Err(failure) if as_json => {
            print_json(&json!({ "ok": false, "problems": failure.to_json() }))?;
            Err(Failure::Reported(Box::new(failure)))
        }
        Err(failure) => Err(failure),
    }
}

fn prepare() -> Result<(Gateway, Vec<Diagnostics>), Failure> {
    let (settings, _) = settings()?;
    block_on(setup::prepare(&settings, World::real(&Process)))?.map_err(Failure::Configuration)
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
    let unavailable = gateway.models_unavailable();
    notes.extend(unavailable.map(|(model, reason)| format!("the model `{model}` can't be asked: {reason}")));
    notes
}
