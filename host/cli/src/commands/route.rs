//! `hauski route explain`: whom a request would be asked of, and why.

use super::{print_json, progress, settings};
use crate::failure::Failure;
use crate::table;
use anyhow::anyhow;
use hauski_server::explain::{Entry, Explained};
use hauski_server::setup::{self, World};
use std::io::{self, Write};

/// Prints the decision. Prepares the gateway as `serve` would, without binding; nothing is sent.
pub(crate) fn explain(name: &str, key: &str, local_only: bool, json: bool) -> Result<(), Failure> {
    let (settings, _) = settings()?;
    let (gateway, _) = setup::prepare(&settings, World::real()).map_err(Failure::Configuration)?;
    gateway.load_adapters(&mut progress());
    let explained = gateway.explain(name, key, local_only).ok_or_else(|| {
        anyhow!(
            "there is no model and no route `{name}`: `hauski models ls` lists the models, routing.yaml has the routes"
        )
    })?;
    if json {
        return print_json(&explained);
    }
    Ok(print(&explained)?)
}

fn print(explained: &Explained) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Explained { name, is_route, given, began_local, asked, held } = explained;
    let kind = if *is_route { "a route" } else { "a model" };
    let key = match &*given.key {
        "" if *is_route => "without a key. Each of these is drawn anew, so that this is one draw of many".to_owned(),
        "" => "without a key".to_owned(),
        key => format!("with the key `{}`", key.escape_debug()),
    };
    writeln!(out, "`{name}` is {kind}; decided for a request {key}")?;
    let yes = |holds: bool| if holds { "yes" } else { "no" };
    writeln!(
        out,
        "local-only: {}; prefer_local: {}; cloud_fallback: {}; begins local: {}\n",
        yes(given.local_only),
        yes(given.prefer_local),
        yes(given.cloud_fallback),
        yes(*began_local)
    )?;
    drop(out);
    let asked = asked.iter().enumerate().map(|(at, entry)| row((at + 1).to_string(), entry));
    let held = held.iter().map(|entry| row("held".to_owned(), entry));
    table::print(&["ASKED", "MODEL", "ADAPTER", "LOCALITY", "WEIGHT", "WHY"], asked.chain(held).collect())
}

fn row(place: String, entry: &Entry) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        place,
        entry.model.clone(),
        entry.adapter.clone().unwrap_or_else(dash),
        entry.locality.map_or_else(dash, str::to_owned),
        entry.weight.map_or_else(dash, |weight| weight.to_string()),
        entry.why.clone(),
    ]
}
