//! The review of `models.yml`: adapters that do not exist, models without a grant, base URLs without their version.

use super::{AdapterFile, Resolved, near_miss};
use crate::base_url::BaseUrl;
use crate::diagnostics::Diagnostics;
use crate::files::Routing;
use crate::grant::{Grant, Locality};
use crate::models::Models;
use crate::reader::Reader;
use crate::render::quote;
use crate::suggest::closest;
use jiff::civil::Date;
use std::ops::Range;

pub(super) fn review(
    models: &Models,
    resolved: &[Resolved<'_>],
    routing: &Routing,
    adapters: &[AdapterFile<'_>],
    today: Date,
) -> Diagnostics {
    let mut reader = models.text.reader();
    for one in resolved {
        check_adapter(one, adapters, &mut reader);
        if one.locality == Some(Locality::NoGrant) {
            report_no_grant(one, routing, today, &mut reader);
        } else {
            check_version(one, &mut reader);
        }
    }
    reader.into_diagnostics()
}

/// Returns the place to point at for a model's base URL: the setting, or the model where it has none.
fn place(one: &Resolved<'_>) -> Range<usize> {
    one.model.places.base_url.clone().unwrap_or_else(|| one.model.places.id.clone())
}

fn check_adapter(one: &Resolved<'_>, adapters: &[AdapterFile<'_>], reader: &mut Reader) {
    let (Some(id), None) = (&one.model.adapter, one.adapter) else { return };
    let known: Vec<_> = adapters.iter().map(|file| file.id().as_str()).collect();
    let help = match closest(id.as_str(), &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("put `{id}.wasm` into the adapters folder; `hauski adapters ls` lists what is there"),
    };
    let span = one.model.places.adapter.clone().unwrap_or_else(|| one.model.places.id.clone());
    let message = format!("the adapters folder has no `{id}.wasm`");
    reader.error("adapter-unknown", &span, message).help(help);
}

fn report_no_grant(one: &Resolved<'_>, routing: &Routing, today: Date, reader: &mut Reader) {
    let id = quote(&one.model.id);
    let expired = one.reach.grants.iter().rfind(|grant| !grant.holds_on(today));
    if let Some((line, day)) = expired.and_then(|grant| Some((grant.line, grant.expires?))) {
        let message =
            format!("every grant for the model {id} has expired, the one on line {line} of routing.yaml on {day}");
        reader
            .error("grants-expired", &place(one), message)
            .help("write a later day under `expires`, or delete the key");
        return;
    }
    let Some(base) = &one.scope.base_url else {
        let message = format!("no grant names the model {id}, and it has no base URL that one could cover");
        let help = format!(
            "write `config: {{ base_url: \"https://...\" }}`, or `models: [{}]` in an entry of `egress.allow`",
            one.model.id
        );
        reader.error("no-base-url", &place(one), message).help(help);
        return;
    };
    let miss = near_miss::nearest(one, base, &routing.egress.grants);
    let message = match &miss {
        Some(miss) => format!("no grant for the model {id}: no entry covers {base}; {}", miss.found),
        None => format!("no grant for the model {id}: no entry covers {base}"),
    };
    let help = miss.map_or_else(|| near_miss::entry(one, base), |miss| miss.help);
    reader.error("no-grant", &place(one), message).help(help);
}

/// Reports a base URL that lacks the version which every grant for it has. By convention the base URL includes the version, and adapters
/// append to it: without the version they ask for paths that no grant covers.
fn check_version(one: &Resolved<'_>, reader: &mut Reader) {
    let Some(base) = &one.scope.base_url else { return };
    let decides = |grant: &Grant| grant.models.is_some() || base.is_below(grant);
    if one.reach.grants.iter().any(|grant| decides(grant)) {
        return;
    }
    let version = one.reach.grants.iter().find_map(|grant| Some((version_below(base, grant)?, grant.line)));
    if let Some((version, line)) = version {
        let message = format!(
            "the base URL {base} lacks `/{version}`, below which the entry on line {line} of routing.yaml grants"
        );
        let help = format!("write `base_url: \"{base}/{version}\"`");
        reader.error("base-url-version", &place(one), message).help(help);
    }
}

/// Returns the version segment, such as `v1`, with which the path of `grant` goes on where that of `base` ends.
fn version_below<'g>(base: &BaseUrl, grant: &'g Grant) -> Option<&'g str> {
    let rest = grant.path.as_str().strip_prefix(&*base.path)?.strip_prefix('/')?;
    let segment = rest.split('/').next()?;
    let digits = segment.strip_prefix('v')?;
    (digits.starts_with(|c: char| c.is_ascii_digit())).then_some(segment)
}
