//! How it stands, in a line of numbers.

use super::super::denials::List;
use super::super::html::Html;
use super::super::pace::{Recently, Step};
use super::{latency, many, span};
use crate::app::Gateway;
use crate::view::View;
use std::fmt::Display;

pub(super) fn part(gateway: &Gateway, view: &View, recently: &Recently, lately: &Step, denied: &List) -> Html {
    let mut html = Html::default();
    html.raw("<dl class=\"tiles\">");
    let rate = format!("{:.1}", recently.rate());
    let notes = format!("of chat; {} failed in 10 minutes", lately.failed);
    tile(&mut html, if lately.failed > 0 { "warn" } else { "" }, "Requests a second", &rate, &notes);

    let [first_token, added] = latency::judged(&gateway.limits().latency);
    for (name, judged) in [("First token, p95", first_token), ("Added, p95", added)] {
        let budget = span(judged.budget);
        let (kind, p95, note) = match lately.of(judged.measure).percentile(95) {
            None => ("", "–".to_owned(), format!("budget {budget}; nothing to measure")),
            Some(p95) if p95 > judged.budget => ("bad", span(p95), format!("over the budget of {budget}")),
            Some(p95) => ("good", span(p95), format!("within the budget of {budget}")),
        };
        tile(&mut html, kind, name, &p95, &note);
    }

    let adapters = &view.adapters;
    let (served, waiting) =
        adapters.iter().fold((0, 0), |(served, waiting), (_, one)| (served + one.in_flight(), waiting + one.waiting()));
    tile(&mut html, if waiting > 0 { "warn" } else { "" }, "In flight", served, &format!("{waiting} waiting"));

    let (can, all) = (view.names_served().len(), view.models.iter().count());
    let kind = if can == 0 { "bad" } else { "" };
    let note =
        format!("{} in models.yml, {}", many(all as u64, "model"), many(view.routing.routes.len() as u64, "route"));
    tile(&mut html, kind, "Can be asked", can, &note);

    let loading = adapters.loading().count();
    let (loaded, refused) = (adapters.iter().count(), adapters.refused().len() - loading);
    let kind = if refused > 0 || adapters.stale().is_some() { "bad" } else { "" };
    let note = match adapters.stale() {
        Some(_) => "the folder can't be read".to_owned(),
        None if loading > 0 => format!("{} being loaded", many(loading as u64, "file")),
        None => format!("{} not loaded", many(refused as u64, "file")),
    };
    tile(&mut html, kind, "Adapters", loaded, &note);

    let kind = if denied.all > 0 { "warn" } else { "" };
    tile(&mut html, kind, "Denied", denied.all, "requests of adapters, since the start");

    let (kind, note) = match gateway.any_stale() {
        Some(stale) => {
            ("bad", format!("a file on disk is invalid; still using its last valid version: {}", stale.problem))
        }
        None => ("", many(view.routing.egress.grants.len() as u64, "grant")),
    };
    tile(&mut html, kind, "Policy", format_args!("no. {}", view.generation), &note);

    let (kind, word, note) = match gateway.egress.ledger().stats() {
        None => ("", "off", "HAUSKI_LEDGER=off".to_owned()),
        Some(stats) if stats.up && !stats.intact => {
            ("bad", "changed", "its files are not those that were written".to_owned())
        }
        Some(stats) if stats.up => ("", "on", many(stats.records, "record")),
        Some(stats) => ("bad", "down", format!("{} not let out", many(stats.refused, "request"))),
    };
    tile(&mut html, kind, "Ledger", word, &note);
    html.raw("</dl>");
    html
}

fn tile(html: &mut Html, kind: &'static str, name: &'static str, value: impl Display, note: &str) {
    html.raw("<div class=\"tile ").raw(kind).raw("\"><dt>").raw(name).raw("</dt><dd>");
    html.element("<strong>", value, "</strong>").element("<small>", note, "</small>").raw("</dd></div>");
}
