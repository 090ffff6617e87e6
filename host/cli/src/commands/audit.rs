//! `hauski audit`: what each adapter is, imports, may reach and has reached; and whether that is what was approved.

mod lock;
mod markdown;

use super::{ledger, print_json, progress};
use crate::failure::Failure;
use crate::table;
use hauski_egress::Usages;
use hauski_policy::{AdapterId, Limits, Models, Routing};
use hauski_runtime::{Adapters, Compiler, GrantLine, Import, ImportState, LoadOptions, ModelReach};
use hauski_server::environment::{self, ADAPTERS, LIMITS, LOCK, MODELS, ROUTING};
use hauski_server::listing::{Listed, Listing};
use hauski_server::{Process, setup};
use jiff::Timestamp;
use serde::Deserialize;
use std::io::{self, Write};
use std::sync::Arc;

pub(crate) use lock::{approve, check, write};

/// How the audit is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A table for people: a line an adapter.
    Table,
    /// All that is known, as one JSON object.
    Json,
    /// All that is known, as a page of Markdown.
    Markdown,
}

/// Prints the audit; of one adapter, if one is named.
pub(crate) fn show(form: Form, id: Option<&AdapterId>) -> Result<(), Failure> {
    let loaded = Loaded::read()?;
    let (models, (usages, since)) = (models()?, usages()?);
    let mut listing = Listing::of(&loaded.adapters, &loaded.routing.egress, &models, &usages, since);
    if let Some(id) = id {
        let file = format!("{id}.wasm");
        listing.refused.retain(|refused| refused.file == file);
        listing.adapters.retain(|listed| listed.audit.profile.id == id.as_str());
        if listing.adapters.is_empty() && listing.refused.is_empty() {
            return Err(Failure::Usage(format!("{}; `hauski audit` lists what is", loaded.adapters.why_missing(id))));
        }
    }
    match form {
        Form::Json => print_json(&listing),
        Form::Markdown => Ok(io::stdout().lock().write_all(markdown::page(&listing).as_bytes())?),
        Form::Table => Ok(print(&listing)?),
    }
}

/// A line for each adapter, and below them why some of them don't serve.
fn print(listing: &Listing<'_>) -> io::Result<()> {
    table::print(&HEAD, rows(listing))?;
    let outdated = listing.adapters.iter().filter_map(|listed| Some((&listed.audit.profile.id, listed.reason?)));
    let refused = listing.refused.iter().map(|refused| (&refused.file, refused.reason.as_str()));
    let mut out = io::stdout().lock();
    for (at, (what, reason)) in outdated.chain(refused).enumerate() {
        writeln!(out, "{}{what}: {reason}", if at == 0 { "\n" } else { "" })?;
    }
    Ok(())
}

/// What an audit is made of.
pub(super) struct Loaded {
    pub(super) routing: Routing,
    pub(super) adapters: Arc<Adapters>,
}

impl Loaded {
    /// Reads the grants and the limits, and loads the folder as `serve` would, in instances that can reach nothing. What the models and
    /// the other variables say is not looked at.
    pub(super) fn read() -> Result<Self, Failure> {
        let path = |name| environment::path(&Process, name);
        let mut problems = Vec::new();
        let routing = setup::read(&path(ROUTING), ROUTING, Routing::parse, &mut problems);
        let limits = setup::read(&path(LIMITS), LIMITS, Limits::parse, &mut problems);
        let is_held = limits.as_ref().is_some_and(|limits| limits.value.require_lock);
        let lock = is_held.then(|| setup::lock(&path(LOCK)).map_err(|problem| problems.push(problem)).ok()).flatten();
        let (Some(routing), Some(limits), true) = (routing, limits, problems.is_empty()) else {
            return Err(Failure::Configuration(problems));
        };
        let options = LoadOptions { cache: environment::cache(&Process), lock, compiler: Compiler::this_program() };
        let library = setup::open(&path(ADAPTERS), &limits.value, options)
            .map_err(|problem| Failure::Configuration(vec![problem]))?;
        library.load_all(&mut progress());
        Ok(Self { routing: routing.value, adapters: library.adapters() })
    }
}

/// Reads the models of this moment.
pub(super) fn models() -> Result<Models, Failure> {
    let mut problems = Vec::new();
    let models = setup::read(&environment::path(&Process, MODELS), MODELS, Models::parse, &mut problems);
    models.map(|models| models.value).ok_or(Failure::Configuration(problems))
}

/// What the ledger says of each adapter, and when its oldest record was written. Where there is no ledger, that is nothing.
fn usages() -> Result<(Usages, Option<Timestamp>), Failure> {
    #[derive(Deserialize)]
    struct Line {
        time: Timestamp,
    }
    let (mut usages, mut since) = (Usages::default(), None);
    let Some(path) = environment::ledger(&Process).filter(|path| path.exists()) else { return Ok((usages, since)) };
    let report = ledger::read(&path, None, &mut |line| {
        if since.is_none() {
            since = serde_json::from_slice::<Line>(line).ok().map(|line| line.time);
        }
        usages.record(line);
    })?;
    if !report.holds() {
        note(
            "the ledger is not what the gateway has written, so its numbers may be wrong: `hauski ledger verify` tells more",
        );
    }
    Ok((usages, since))
}

/// Says something beside the output.
fn note(text: &str) {
    // Nobody may be reading; that is no reason to stop.
    let _ = writeln!(io::stderr(), "note: {text}");
}

const HEAD: [&str; 12] = [
    "ID",
    "STATE",
    "DIGEST",
    "WIT",
    "MODELS",
    "IMPORTS",
    "MAY REACH",
    "SECRETS",
    "REQUESTS",
    "DENIED",
    "BYTES OUT/IN",
    "LAST",
];

fn rows(listing: &Listing<'_>) -> Vec<Vec<String>> {
    let dash = || "-".to_owned();
    let refused = listing.refused.iter().map(|refused| {
        let digest = refused.known.as_ref().and_then(|known| known.digest.get(..19)).map_or_else(dash, str::to_owned);
        let contract = refused.known.as_ref().and_then(|known| known.contract.clone()).unwrap_or_else(dash);
        let mut row = vec![refused.file.clone(), refused.state.to_owned(), digest, contract];
        if let Some(known) = &refused.known {
            let count = known.imports.as_deref().map_or_else(dash, imports);
            row.extend([dash(), count, reach(&known.grants)]);
        }
        row.extend((row.len()..HEAD.len()).map(|_| dash()));
        row
    });
    let is_counted = listing.since.is_some();
    listing.adapters.iter().map(|listed| row(listed, is_counted)).chain(refused).collect()
}

fn row(listed: &Listed<'_>, is_counted: bool) -> Vec<String> {
    let (audit, usage) = (&listed.audit, &listed.usage);
    let or = |texts: Vec<String>, none: &str| if texts.is_empty() { none.to_owned() } else { texts.join(" ") };
    let secrets = audit.grants.iter().flat_map(|grant| grant.secrets.clone()).collect();
    let counted = |number: String| if is_counted { number } else { "-".to_owned() };
    vec![
        audit.profile.id.clone(),
        listed.state.to_owned(),
        audit.profile.short_digest().to_owned(),
        audit.profile.contract.clone().unwrap_or_default(),
        localities(&audit.models),
        imports(&audit.imports),
        reach(&audit.grants),
        or(secrets, "none"),
        counted(usage.requests.to_string()),
        counted(usage.denials.to_string()),
        counted(format!("{}/{}", usage.bytes_out, usage.bytes_in)),
        usage.last.map_or_else(|| "-".to_owned(), |last| format!("{last:.0}")),
    ]
}

/// The locality of each model.
pub(super) fn localities(models: &[ModelReach]) -> String {
    let one = |model: &ModelReach| format!("{} ({})", model.model, model.locality);
    if models.is_empty() { "none".to_owned() } else { models.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// What grants reach, and where they stand.
fn reach(grants: &[GrantLine]) -> String {
    let line = |grant: &GrantLine| {
        format!("{} (line {}{})", grant.url, grant.line, if grant.expired { ", expired" } else { "" })
    };
    if grants.is_empty() { "nothing".to_owned() } else { grants.iter().map(line).collect::<Vec<_>>().join(" ") }
}

/// How many imports there are of each state.
fn imports(imports: &[Import]) -> String {
    let count = |state| imports.iter().filter(|import| import.state == state).count();
    format!("{} granted, {} empty", count(ImportState::Granted), count(ImportState::Empty))
}
