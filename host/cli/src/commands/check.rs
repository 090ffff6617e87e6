//! `hauski check`: everything that `serve` does before it binds.

use super::{online, print_json, progress, settings};
use crate::failure::{Failure, colour, diagnostics_to_json};
use hauski_policy::Diagnostics;
use hauski_server::environment::{UnknownVariable, unknown_variables};
use hauski_server::setup::{self, World};
use hauski_server::{Gateway, Process};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Checks the configuration, and with `online` the providers. Warnings, and what can't be loaded or asked, are shown; they are a failure
/// only if `strict`.
pub(crate) fn run(as_json: bool, online: bool, strict: bool) -> Result<(), Failure> {
    let (gateway, warnings) = match prepare() {
        Ok(prepared) => prepared,
        Err(failure) if as_json => {
            print_json(&json!({ "ok": false, "problems": failure.to_json(), "notes": misspelled_variables() }))?;
            return Err(Failure::Reported(Box::new(failure)));
        }
        Err(failure) => {
            print_warnings(&misspelled_variables())?;
            return Err(failure);
        }
    };
    let notes: Vec<_> = gateway.adapters_to_review().into_iter().chain(notes(&gateway)).collect();
    let review = gateway.review();
    let (wrong, review): (Vec<_>, Vec<_>) =
        [review.models, review.routing].into_iter().partition(|found| found.errors() > 0);
    let asked = (online && wrong.is_empty()).then(|| online::ask(&gateway)).transpose();
    let (reports, unasked) = asked.map_or_else(|failure| (None, Some(failure)), |reports| (reports, None));
    let found = reports.as_ref().map(|reports| online::diagnose(&gateway, reports));
    let unanswered = found.clone().filter(|found| found.errors() > 0);
    let found = found.filter(|found| found.errors() == 0);
    let warnings: Vec<_> = warnings.into_iter().chain(review).chain(found).collect();
    let flaws = notes.len() + warnings.iter().map(Diagnostics::warnings).sum::<usize>();
    let failure = match (wrong.is_empty(), unasked, unanswered) {
        (false, ..) => Some(Failure::Review(wrong)),
        (true, Some(failure), _) => Some(failure),
        (true, None, Some(found)) => Some(Failure::Unanswered(found)),
        (true, None, None) => (strict && flaws > 0).then_some(Failure::Strict(flaws)),
    };
    if as_json {
        let warnings: Vec<Value> = warnings.iter().flat_map(diagnostics_to_json).collect();
        let problems = failure.as_ref().map(Failure::to_json).unwrap_or_default();
        print_json(&json!({ "ok": failure.is_none(), "problems": problems, "warnings": warnings, "notes": notes,
            "online": reports.as_deref().map(online::to_json) }))?;
        return failure.map_or(Ok(()), |failure| Err(Failure::Reported(Box::new(failure))));
    }
    let mut out = io::stdout().lock();
    for warning in warnings.iter().filter(|warning| !warning.is_empty()) {
        writeln!(out, "{}", warning.render(colour(&out)))?;
    }
    print_warnings(&notes)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(writeln!(out, "ok: {}", summary(&gateway))?)
}

/// Prints a line for each note. Standard output may be locked by the caller.
fn print_warnings(notes: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    notes.iter().try_for_each(|note| writeln!(out, "warning: {note}"))
}

fn prepare() -> Result<(Gateway, Vec<Diagnostics>), Failure> {
    let (settings, _) = settings()?;
    let (gateway, warnings) = setup::prepare(&settings, World::real()).map_err(Failure::Configuration)?;
    gateway.load_adapters(&mut progress());
    Ok((gateway, warnings))
}

/// What a gateway consists of, in a line.
pub(super) fn summary(gateway: &Gateway) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let adapters = gateway.adapters();
    let loading = match adapters.loading().count() {
        0 => String::new(),
        loading => format!(" and {loading} being loaded"),
    };
    let adapters = count(adapters.iter().count(), "adapter") + &loading;
    let models = count(gateway.view().names_served().len(), "model");
    let grants = count(gateway.view().routing.egress.grants.len(), "egress grant");
    let keys = gateway.keys().map(|keys| format!(", {}", count(keys, "key"))).unwrap_or_default();
    let tls = if gateway.speaks_tls() { ", TLS" } else { "" };
    format!("{adapters}, {models} to ask, {grants}{keys}{tls}")
}

/// Returns what an operator should know of the keys and the environment of a gateway that can run all the same.
pub(super) fn notes(gateway: &Gateway) -> Vec<String> {
    let mut notes = gateway.keys_to_review();
    notes.extend(gateway.telemetry_denied());
    let unknown = unknown_variables(&Process, Some(&gateway.view().routing.egress));
    notes.extend(unknown.iter().map(UnknownVariable::to_string));
    notes
}

/// Returns the notes on variables that are close to those of the gateway. Without a valid policy, others may be secrets.
pub(super) fn misspelled_variables() -> Vec<String> {
    let unknown = unknown_variables(&Process, None);
    unknown.iter().filter(|variable| variable.is_misspelled()).map(UnknownVariable::to_string).collect()
}
