//! The review of `routing.yaml`: entries that apply to no model, names of models that do not exist, routes without a local candidate.

use super::Resolved;
use crate::diagnostics::Diagnostics;
use crate::files::Routing;
use crate::grant::{Grant, Locality};
use crate::model_names::ModelNames;
use crate::reader::Reader;
use crate::render::quote;
use crate::route::Route;
use crate::suggest::closest;

pub(super) fn review(resolved: &[Resolved<'_>], routing: &Routing) -> Diagnostics {
    let mut reader = routing.text.reader();
    for grant in &routing.egress.grants {
        check_names(grant, resolved, &mut reader);
        check_use(grant, resolved, &mut reader);
    }
    for route in &routing.routes {
        check_route(route, resolved, routing, &mut reader);
    }
    reader.into_diagnostics()
}

fn check_names(grant: &Grant, resolved: &[Resolved<'_>], reader: &mut Reader) {
    let Some(ModelNames::These(names)) = &grant.models else { return };
    let known: Vec<_> = resolved.iter().map(|one| &*one.model.id).collect();
    for name in names.iter().filter(|name| !known.contains(&&***name)) {
        let help = match closest(name, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write the id of a model of models.yml, never that of a route".to_owned(),
        };
        let message = format!("the entry names the model {}, which models.yml lacks", quote(name));
        let span = reader.source.line_span(grant.line);
        reader.error("model-unknown", &span, message).help(help);
    }
}

fn check_use(grant: &Grant, resolved: &[Resolved<'_>], reader: &mut Reader) {
    let for_gateway = grant.adapters.as_ref().is_some_and(|all| all.iter().any(|one| one.id.is_reserved()));
    let named = matches!(grant.models, Some(ModelNames::These(_)));
    if for_gateway || named || resolved.iter().any(|one| one.may_use(grant)) {
        return;
    }
    let span = reader.source.line_span(grant.line);
    let message =
        "the entry applies to no model: it names none, and no model of its adapters has a base URL that it covers";
    reader
        .warning("grant-unused", &span, message)
        .help("write `models: [name]` in the entry, correct a URL, or delete the entry");
}

/// Without a local candidate, neither preference holds anything here: an operator who reads `cloud_fallback: { enabled: false }`
/// would expect it to.
fn check_route(route: &Route, resolved: &[Resolved<'_>], routing: &Routing, reader: &mut Reader) {
    let locality = |name: &str| resolved.iter().find(|one| &*one.model.id == name).and_then(|one| one.locality);
    let all: Option<Vec<_>> = route.candidates.iter().map(|candidate| locality(&candidate.model)).collect();
    // Of an adapter that is not loaded, nobody knows.
    let Some(all) = all else { return };
    let span = reader.source.line_span(route.line);
    let name = quote(&route.name);
    let holds = routing.prefer_local || !routing.cloud_fallback;
    if !route.cloud_only && holds && all.iter().all(|locality| *locality == Locality::Cloud) {
        let message = format!(
            "the route {name} has no local candidate, so `prefer_local` and `cloud_fallback` can have no effect: all of its \
             requests leave"
        );
        let help = "add a local model, write `local: true` in the entry of a private network that is yours, or write \
                    `cloud_only: true` in the route if that is meant";
        reader.error("route-without-local", &span, message).help(help);
    }
    if route.cloud_only && all.contains(&Locality::Local) {
        let message = format!("the route {name} says `cloud_only`, and one of its candidates is local");
        reader.error("cloud-only-contradiction", &span, message).help("delete `cloud_only`, or the local candidate");
    }
}
