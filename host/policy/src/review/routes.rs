//! The review of `routing.yaml`: entries that apply to no model, names of models that do not exist, routes without a local candidate.

use super::{Known, Resolved};
use crate::diagnostics::Diagnostics;
use crate::files::Routing;
use crate::grant::{Grant, Locality};
use crate::model_names::ModelNames;
use crate::reader::Reader;
use crate::render::quote;
use crate::route::{Candidate, Route};
use crate::suggest::closest;
use std::collections::BTreeSet;

pub(super) fn review(known: &Known<'_>, routing: &Routing, near: &BTreeSet<usize>) -> Diagnostics {
    let mut reader = routing.text.reader();
    for grant in &routing.egress.grants {
        check_names(grant, known, &mut reader);
        let is_known = check_adapters(grant, &known.adapter_ids, &mut reader);
        // An entry that comes close to what a model needs is reported with the model.
        if is_known && !near.contains(&grant.line) {
            check_use(grant, known, &mut reader);
        }
    }
    for route in &routing.routes {
        check_route(route, known, routing, &mut reader);
    }
    reader.into_diagnostics()
}

fn check_names(grant: &Grant, known: &Known<'_>, reader: &mut Reader) {
    let Some(ModelNames::These(names)) = &grant.models else { return };
    for name in names.iter().filter(|name| known.model(name).is_none()) {
        let help = match reader.keeps_errors().then(|| known.closest_model(name)).flatten() {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write the id of a model of models.yml, never that of a route".to_owned(),
        };
        let message = format!("the entry names the model {}, which models.yml lacks", quote(name));
        let span = reader.source.line_span(grant.line);
        reader.error("model-unknown", &span, message).help(help);
    }
}

/// Warns of adapters that the folder lacks: they may come later. Returns whether all are there.
fn check_adapters(grant: &Grant, known: &[&str], reader: &mut Reader) -> bool {
    let refs = grant.adapters.iter().flatten().filter(|one| !one.id.is_reserved());
    let mut is_known = true;
    for id in refs.map(|one| one.id.as_str()).filter(|id| !known.contains(id)) {
        is_known = false;
        let help = match reader.keeps_warnings().then(|| closest(id, known)).flatten() {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("put `{id}.wasm` into the adapters folder, or delete the name"),
        };
        let span = reader.source.line_span(grant.line);
        let message = format!("the entry names the adapter `{id}`, and the adapters folder has no `{id}.wasm`");
        reader.warning("adapter-unknown", &span, message).help(help);
    }
    is_known
}

fn check_use(grant: &Grant, known: &Known<'_>, reader: &mut Reader) {
    let for_gateway = grant.adapters.as_ref().is_some_and(|all| all.iter().any(|one| one.id.is_reserved()));
    let named = matches!(grant.models, Some(ModelNames::These(_)));
    if for_gateway || named || known.used.contains(&grant.line) {
        return;
    }
    let span = reader.source.line_span(grant.line);
    let message =
        "the entry applies to no model: it names none, and no model of its adapters has a base URL that it covers";
    reader
        .warning("grant-unused", &span, message)
        .help("write `models: [name]` in the entry, correct a URL, or delete the entry");
}

/// Reports candidates that do not exist, and a route on which the preferences hold nothing: an operator who reads
/// `cloud_fallback: { enabled: false }` expects that they do.
fn check_route(route: &Route, known: &Known<'_>, routing: &Routing, reader: &mut Reader) {
    for candidate in route.candidates.iter().filter(|candidate| known.model(&candidate.model).is_none()) {
        let help = match reader.keeps_errors().then(|| known.closest_model(&candidate.model)).flatten() {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write the id of a model of models.yml, or delete the candidate".to_owned(),
        };
        let message = format!("the candidate {} is no model of models.yml", quote(&candidate.model));
        let span = reader.source.line_span(candidate.line);
        reader.error("candidate-unknown", &span, message).help(help);
    }
    // A canary answers its share; what is left to the others decides.
    let models: Option<Vec<_>> = route.candidates.iter().map(|one| Some((one, known.model(&one.model)?))).collect();
    let Some(models) = models else { return };
    let is_canary = |(one, model): &(&Candidate, &Resolved<'_>)| one.canary_percent.is_some() || model.model.canary;
    let (canaries, mut others): (Vec<_>, Vec<_>) = models.into_iter().partition(is_canary);
    // A model that names no adapter is never asked. Without `cloud_fallback` it counts as local all the same, and holds the others.
    others.retain(|(_, model)| model.model.adapter.is_some() || !routing.cloud_fallback);
    // Without `prefer_local`, those of the lowest order are asked first, whatever their locality.
    let lowest = others.iter().map(|(one, _)| one.order).min();
    let first: Vec<_> =
        others.iter().filter(|(one, _)| routing.prefer_local || Some(one.order) == lowest).copied().collect();
    // Of an adapter that is not loaded, the locality is not known.
    let first: Option<Vec<_>> = first.iter().map(|(_, model)| model.locality).collect();
    let Some(first) = first else { return };
    let span = reader.source.line_span(route.line);
    let name = quote(&route.name);
    let holds = (routing.prefer_local || !routing.cloud_fallback) && !routing.egress.local_only;
    let leaves = !first.is_empty() && first.iter().all(|locality| *locality == Locality::Cloud);
    let has_local = first.contains(&Locality::Local);
    if !route.cloud_only && holds && leaves {
        let has_later = others.iter().any(|(_, model)| model.locality == Some(Locality::Local));
        let (none, which) = match (has_later, canaries.is_empty()) {
            (true, _) => ("no local candidate of the lowest `order`", "every request goes to a cloud model first"),
            (false, true) => ("no local candidate", "all of its requests leave"),
            (false, false) => ("no local candidate but canaries", "all requests that fall to no canary leave"),
        };
        let message =
            format!("the route {name} has {none}, so `prefer_local` and `cloud_fallback` have no effect: {which}");
        let help = match has_later {
            true => {
                "write `prefer_local: true`, give a local model the lowest `order`, or write `cloud_only: true` in the route"
            }
            false => {
                "add a local model, write `local: true` in the entry of a private network that is yours, or write \
                 `cloud_only: true` in the route if that is meant"
            }
        };
        reader.error("route-without-local", &span, message).help(help);
    }
    if route.cloud_only && has_local {
        let message = format!("the route {name} says `cloud_only`, and one of its candidates is local");
        reader.error("cloud-only-contradiction", &span, message).help("delete `cloud_only`, or the local candidate");
    }
    let begins_local = has_local && (routing.prefer_local || first.iter().all(|locality| *locality == Locality::Local));
    if begins_local && !routing.cloud_fallback && !routing.egress.local_only {
        let is_held = |(one, model): &&(&Candidate, &Resolved<'_>)| {
            one.canary_percent.is_some() && model.locality == Some(Locality::Cloud)
        };
        for (one, _) in canaries.iter().filter(is_held) {
            let message = format!(
                "the canary {} of the route {name} receives no requests: its model is cloud, the first candidate is \
                 local, and `cloud_fallback` is off",
                quote(&one.model)
            );
            let span = reader.source.line_span(one.line);
            reader
                .warning("canary-held", &span, message)
                .help("give the canary a route of its own, enable `cloud_fallback`, or delete the candidate");
        }
    }
}
