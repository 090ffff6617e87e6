//! `hauski check --online`: asks the provider of each model for its models, as a probe of the gateway does.

use super::block_on;
use crate::failure::{Failure, colour};
use hauski_egress::LedgerError;
use hauski_policy::{Diagnostics, Finding, Severity};
use hauski_server::{Gateway, ProviderErrorKind, ProviderReport, ask_providers};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Models of a list that a message names.
const NAMED: usize = 8;

/// Asks all providers, one after the other. On a terminal, shows which one is asked.
pub(super) fn ask(gateway: &Gateway) -> Result<Vec<ProviderReport>, Failure> {
    // Every request has a record, so the ledger is taken for as long as this lasts.
    let (_writer, _) = gateway.egress.ledger().open().map_err(|error| match error {
        LedgerError::Locked(path) => Failure::LedgerInUse(path),
        other => Failure::Ledger(other),
    })?;
    let shows = colour(&io::stderr());
    block_on(ask_providers(gateway, &mut |model| {
        if shows {
            // Nobody may be reading; that is no reason to stop.
            let _ = writeln!(io::stderr(), "asking the provider of {model}");
        }
    }))
}

/// Returns what is wrong with the answers: a provider that gave none is an error, a list without the model is a warning, since some
/// servers answer to any name.
pub(super) fn diagnose(gateway: &Gateway, reports: &[ProviderReport]) -> Diagnostics {
    let findings: Vec<_> = reports.iter().filter_map(finding).collect();
    gateway.view().models.diagnose(&findings)
}

fn finding(report: &ProviderReport) -> Option<Finding<'_>> {
    let model = &*report.model;
    match &report.listed {
        Err(error) => Some(Finding {
            model,
            severity: Severity::Error,
            code: "provider-unanswered",
            message: format!("the provider of `{model}` gave no list of models: {error}"),
            help: remedy(error.kind).to_owned(),
        }),
        Ok(listed) if listed.iter().any(|id| is_named(id, &report.upstream)) => None,
        Ok(listed) => Some(Finding {
            model,
            severity: Severity::Warning,
            code: "model-not-listed",
            message: format!("the provider of `{model}` lists no model `{}`", report.upstream),
            help: match listed.is_empty() {
                true => "write the provider's name for it under `upstream`".to_owned(),
                false => format!("write one of its names under `upstream`: {}", names(listed)),
            },
        }),
    }
}

/// Returns the remedy for a provider that returned no list.
fn remedy(kind: ProviderErrorKind) -> &'static str {
    match kind {
        ProviderErrorKind::Denied => {
            "write `methods: [GET, POST]` in the grant; `hauski policy suggest` shows the entry that would allow it"
        }
        ProviderErrorKind::Credentials => "correct the `secret` of the grant, or the variable or file that it names",
        ProviderErrorKind::NotFound => {
            "correct `base_url`, which includes the version, such as `/v1`; some providers have no list of models"
        }
        ProviderErrorKind::NoConnection => "start the provider, or correct `base_url`",
        ProviderErrorKind::Other => "look up the request in the ledger; the adapter cannot read the response",
    }
}

/// Returns whether a provider's id is the model's name: as it is, or with the tag that Ollama adds.
fn is_named(id: &str, upstream: &str) -> bool {
    id == upstream || id.strip_suffix(":latest") == Some(upstream)
}

/// Some names of a list, escaped: the provider chose them.
fn names(listed: &[String]) -> String {
    let mut names: Vec<_> = listed.iter().take(NAMED).map(|id| format!("`{}`", id.escape_debug())).collect();
    if listed.len() > NAMED {
        names.push(format!("and {} more", listed.len() - NAMED));
    }
    names.join(", ")
}

/// The answers for programs: an object for each model.
pub(super) fn to_json(reports: &[ProviderReport]) -> Value {
    let one = |report: &ProviderReport| {
        let (listed, error) = (report.listed.as_ref().ok(), report.listed.as_ref().err());
        let (error, kind) = (error.map(ToString::to_string), error.map(|error| error.kind.code()));
        json!({ "model": report.model, "upstream": report.upstream, "listed": listed, "error": error, "error_kind": kind })
    };
    reports.iter().map(one).collect()
}
