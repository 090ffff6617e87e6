//! Models and routes: what can be asked, by whom it is answered, and whether its breaker lets it be asked.

use super::super::html::Html;
use super::{TABLE_END, badge, table};
use crate::view::{Served, View};
use hauski_policy::{Candidate, Locality};

pub(super) fn part(view: &View) -> Html {
    let mut html = Html::default();
    table(&mut html, "Models", &["Model", "Adapter", "Provider's name", "Locality", "Breaker"]);
    html.raw("<tbody>");
    for model in view.models.iter() {
        html.element("<tr><th scope=\"row\">", &model.id, "</th><td>");
        match &model.adapter {
            Some(adapter) => html.text(adapter),
            None => html.raw("–"),
        };
        html.element("</td><td>", model.upstream_name(), "</td>");
        match (view.served(&model.id), view.unavailable(&model.id)) {
            (Some(served), _) => {
                html.raw("<td>");
                locality(&mut html, served.locality);
                html.raw("</td><td>");
                breaker(&mut html, served);
                html.raw("</td></tr>");
            }
            (None, why) => {
                html.raw("<td colspan=\"2\">");
                unavailable(&mut html, view, &model.id);
                html.element("<small>", why.unwrap_or("it names no adapter"), "</small></td></tr>");
            }
        }
    }
    if view.models.iter().next().is_none() {
        html.raw("<tr><td colspan=\"5\" class=\"none\">models.yml names no model.</td></tr>");
    }
    html.raw("</tbody>").raw(TABLE_END);
    routes(&mut html, view);
    html
}

fn routes(html: &mut Html, view: &View) {
    let routing = &view.routing;
    table(html, "Routes", &["Route", "Candidates"]);
    html.raw("<tbody>");
    for route in &routing.routes {
        html.element("<tr><th scope=\"row\">", &route.name, "</th><td><ul class=\"plain\">");
        for candidate in &route.candidates {
            html.element("<li><b>", &candidate.model, "</b> ").element(
                "<span class=\"mute\">",
                share(candidate),
                "</span> ",
            );
            match view.served(&candidate.model) {
                Some(served) => {
                    locality(html, served.locality);
                    html.raw(" ");
                    breaker(html, served);
                }
                None => unavailable(html, view, &candidate.model),
            }
            html.raw("</li>");
        }
        html.raw("</ul></td></tr>");
    }
    if routing.routes.is_empty() {
        html.raw("<tr><td colspan=\"2\" class=\"none\">routing.yaml has no routes.</td></tr>");
    }
    html.raw("</tbody>").raw(TABLE_END);
    let first = if routing.prefer_local { "Local models go first" } else { "No model goes first for being local" };
    let leaves = match (routing.egress.local_only, routing.cloud_fallback) {
        (true, _) => "all requests are local-only",
        (false, true) => "what began local may leave if no local model answers",
        (false, false) => "what began local stays local",
    };
    html.raw("<p class=\"mute\">").text(first).raw("; ").text(leaves).raw(".</p>");
}

/// Which part of the requests a candidate has.
fn share(candidate: &Candidate) -> String {
    match candidate.canary_percent {
        Some(percent) => format!("canary, {percent} %"),
        None => format!("order {}, weight {}", candidate.order, candidate.weight),
    }
}

fn locality(html: &mut Html, locality: Locality) {
    match locality {
        Locality::Local => badge(html, "good", "local"),
        Locality::Cloud => badge(html, "info", "cloud"),
        Locality::NoGrant => badge(html, "bad", "no grant"),
    }
}

/// The mark of a model that is not available: without a grant it is never shown as anything else.
fn unavailable(html: &mut Html, view: &View, model: &str) {
    match view.locality(model) {
        Some(Locality::NoGrant) => locality(html, Locality::NoGrant),
        Some(_) | None => badge(html, "bad", "can't be asked"),
    }
}

fn breaker(html: &mut Html, served: &Served) {
    match served.breaker.code() {
        0 => badge(html, "good", "closed"),
        1 => badge(html, "bad", "open"),
        _ => badge(html, "warn", "half-open"),
    }
}
