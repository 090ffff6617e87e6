//! The review of `models.yml`: adapters that do not exist, models without a grant, base URLs without their version.

use super::{AdapterFile, Known, Resolved, near_miss};
use crate::base_url::BaseUrl;
use crate::diagnostics::Diagnostics;
use crate::files::Routing;
use crate::grant::{Grant, Locality};
use crate::models::Models;
use crate::reader::Reader;
use crate::render::quote;
use crate::suggest::closest;
use crate::target::Method;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

pub(super) fn review(
    models: &Models,
    known: &Known<'_>,
    routing: &Routing,
    today: Date,
    near: &mut BTreeSet<usize>,
) -> Diagnostics {
    let mut reader = models.text.reader();
    for one in &known.models {
        check_adapter(one, &known.adapter_ids, &mut reader);
        check_keys(one, &mut reader);
        let is_own = check_own_address(one, known, &mut reader);
        match one.locality {
            // No entry could help.
            Some(_) if is_own => {}
            Some(Locality::NoGrant) => near.extend(report_no_grant(one, known, routing, today, &mut reader)),
            Some(Locality::Local | Locality::Cloud) => {
                check_version(one, &mut reader);
                check_use(one, today, &mut reader);
            }
            None => {}
        }
        check_endpoint(one, &mut reader);
    }
    reader.into_diagnostics()
}

/// Returns the place to point at for a model's base URL: the setting, or the model where it has none.
fn place(one: &Resolved<'_>) -> Range<usize> {
    one.model.places.base_url.clone().unwrap_or_else(|| one.model.places.id.clone())
}

fn check_adapter(one: &Resolved<'_>, known: &[&str], reader: &mut Reader) {
    let (Some(id), None) = (&one.model.adapter, one.adapter) else { return };
    let help = match reader.keeps_errors().then(|| closest(id.as_str(), known)).flatten() {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("put `{id}.wasm` into the adapters folder; `hauski adapters ls` lists what is there"),
    };
    let span = one.model.places.adapter.clone().unwrap_or_else(|| one.model.places.id.clone());
    let message = format!("the adapters folder has no `{id}.wasm`");
    reader.error("adapter-unknown", &span, message).help(help);
}

/// Reports a setting that was meant to be the base URL: an adapter with a default would use that instead, and send the prompts there.
/// Warns of the others that the adapter does not describe. One that describes none may read any.
fn check_keys(one: &Resolved<'_>, reader: &mut Reader) {
    let described = match one.adapter {
        Some(AdapterFile::Loaded(facts)) => &*facts.config_keys,
        Some(AdapterFile::NotLoaded(_)) | None => &[],
    };
    let is_meant = |key: &str| {
        let plain: String = key.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        plain.eq_ignore_ascii_case("baseurl") || closest(key, &["base_url"]).is_some()
    };
    let keys = one.model.config.keys().map(|key| &**key);
    for key in keys.filter(|key| *key != "base_url" && !described.contains(key)) {
        let (id, quoted) = (quote(&one.model.id), quote(key));
        if is_meant(key) {
            let message = format!("the `config` of the model {id} has {quoted}, which is no base URL");
            reader.error("base-url-misspelt", &one.model.places.id, message).help("write `base_url`");
        } else if !described.is_empty() {
            let message = format!("the `config` of the model {id} has {quoted}, which its adapter does not describe");
            let help = match reader.keeps_warnings().then(|| closest(key, described)).flatten() {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("write one of {}, or delete the key", described.join(", ")),
            };
            reader.warning("config-key-unknown", &one.model.places.id, message).help(help);
        }
    }
}

/// Reports a base URL at which the gateway itself listens: the guard denies every request there, since each would cause the next. Returns
/// whether it is one.
fn check_own_address(one: &Resolved<'_>, known: &Known<'_>, reader: &mut Reader) -> bool {
    let Some(base) = one.scope.base_url.as_ref().filter(|base| known.own.iter().any(|own| base.leads_to(*own))) else {
        return false;
    };
    let message = format!("the base URL {base} of the model {} is the gateway itself", quote(&one.model.id));
    reader
        .error("base-url-own-address", &place(one), message)
        .help("write the address of the provider, or set `HAUSKI_BIND` to another port");
    true
}

/// Reports a model without a grant. Returns the line of the entry that comes closest.
fn report_no_grant(
    one: &Resolved<'_>,
    known: &Known<'_>,
    routing: &Routing,
    today: Date,
    reader: &mut Reader,
) -> Option<usize> {
    let id = quote(&one.model.id);
    let expired = one.reach.grants.iter().rfind(|grant| !grant.holds_on(today));
    if let Some((line, day)) = expired.and_then(|grant| Some((grant.line, grant.expires?))) {
        let message =
            format!("every grant for the model {id} has expired, the one on line {line} of routing.yaml on {day}");
        reader
            .error("grants-expired", &place(one), message)
            .help("write a later day under `expires`, or delete the key");
        return None;
    }
    let Some(base) = &one.scope.base_url else {
        let message = format!("no grant names the model {id}, and it has no base URL that one could cover");
        let help = format!(
            "write `config: {{ base_url: 'https://...' }}`, or `models: ['{}']` in an entry of `egress.allow`",
            one.model.id
        );
        reader.error("no-base-url", &place(one), message).help(help);
        return None;
    };
    let nearest = || near_miss::nearest(one, known, base, &routing.egress.grants);
    let miss = reader.keeps_errors().then(nearest).flatten();
    let message = match &miss {
        Some(miss) => format!("no grant for the model {id}: no entry covers {base}; {}", miss.found),
        None => format!("no grant for the model {id}: no entry covers {base}"),
    };
    let line = miss.as_ref().map(|miss| miss.line);
    let help = miss.map_or_else(|| near_miss::entry(one, base), |miss| miss.help);
    reader.error("no-grant", &place(one), message).help(help);
    line
}

/// Reports a model for which no completion can be asked: no entry grants POST at its base URL or, without one, names it for POST. A model
/// whose adapter cannot send needs none.
fn check_use(one: &Resolved<'_>, today: Date, reader: &mut Reader) {
    if !matches!(one.adapter, Some(AdapterFile::Loaded(facts)) if facts.can_send) {
        return;
    }
    let base = one.scope.base_url.as_ref();
    // A model with a base URL is asked there, whatever else its entries cover.
    let is_there = |grant: &Grant| base.map_or(grant.models.is_some(), |base| base.overlaps(grant));
    let posts = |grant: &Grant| grant.methods.contains(&Method::Post) && grant.holds_on(today) && is_there(grant);
    if one.reach.grants.is_empty() || one.reach.grants.iter().any(|grant| posts(grant)) {
        return;
    }
    let id = quote(&one.model.id);
    let is_at_base = |grant: &&Arc<Grant>| base.is_some_and(|base| base.overlaps(grant));
    let at_base = one.reach.grants.iter().filter(is_at_base);
    let ended = |grant: &Arc<Grant>| grant.expires.filter(|_| !grant.holds_on(today)).zip(Some(grant.line));
    let ended = at_base.clone().filter_map(ended).next_back();
    let standing = at_base.clone().find(|grant| grant.holds_on(today));
    if let (None, Some((day, line))) = (standing, ended) {
        let message = format!(
            "every grant at the base URL of the model {id} has expired, the one on line {line} of routing.yaml on {day}"
        );
        reader
            .error("grants-expired", &place(one), message)
            .help("write a later day under `expires`, or delete the key");
        return;
    }
    match (standing, base) {
        (Some(grant), _) => {
            let message = format!("the entry on line {} of routing.yaml grants the model {id} no POST", grant.line);
            reader.error("no-post", &place(one), message).help("write `methods: [GET, POST]` in the entry");
        }
        (None, Some(base)) => {
            let message = format!(
                "no entry covers the base URL {base} of the model {id}; the entries that name it are for other places"
            );
            reader.error("no-grant", &place(one), message).help(near_miss::entry(one, base));
        }
        (None, None) => {
            let message = format!("the entries that name the model {id} grant no POST");
            let help = format!(
                "write an entry for its provider, with `models: ['{}']` and `methods: [GET, POST]`",
                one.model.id
            );
            reader.error("no-post", &place(one), message).help(help);
        }
    }
}

/// Warns of a base URL that names an endpoint, to which adapters would append another one, or that lacks the version of the default that
/// the adapter describes.
fn check_endpoint(one: &Resolved<'_>, reader: &mut Reader) {
    const ENDPOINTS: [&str; 5] = ["/chat/completions", "/completions", "/responses", "/messages", "/embeddings"];
    let Some(base) = &one.model.base_url else { return };
    if let Some(rest) = ENDPOINTS.iter().find_map(|endpoint| base.path.strip_suffix(endpoint)) {
        let above = BaseUrl { path: rest.into(), ..base.clone() };
        let message = format!("the base URL {base} names an endpoint, and adapters append theirs");
        reader.warning("base-url-endpoint", &place(one), message).help(format!("write `base_url: '{above}'`"));
    }
    let Some(AdapterFile::Loaded(facts)) = one.adapter else { return };
    let is_prefix = |default: &&BaseUrl| {
        let origin = (default.scheme, &default.host, default.port) == (base.scheme, &base.host, base.port);
        origin && base.path.is_empty() && !default.path.is_empty()
    };
    if let Some(default) = facts.base_url.as_ref().filter(is_prefix) {
        let message = format!("the base URL {base} lacks `{}`, which the adapter's default has", default.path);
        reader.warning("base-url-version", &place(one), message).help(format!("write `base_url: '{default}'`"));
    }
}

/// Reports a base URL that lacks the version which every grant for it has. By convention the base URL includes the version, and adapters
/// append to it: without the version they ask for paths that no grant covers.
fn check_version(one: &Resolved<'_>, reader: &mut Reader) {
    let Some(base) = &one.scope.base_url else { return };
    // Entries for other places, such as that of images, say nothing about the base URL.
    let at_base = |grant: &&Arc<Grant>| base.has_origin_of(grant);
    let decides = |grant: &Grant| grant.models.is_some() || base.is_below(grant);
    if one.reach.grants.iter().filter(at_base).any(|grant| decides(grant)) {
        return;
    }
    let version =
        one.reach.grants.iter().filter(at_base).find_map(|grant| Some((version_below(base, grant)?, grant.line)));
    if let Some((version, line)) = version {
        let message = format!(
            "the base URL {base} lacks `/{version}`: the entry on line {line} of routing.yaml covers only `/{version}`"
        );
        let help = format!("write `base_url: '{base}/{version}'`");
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
