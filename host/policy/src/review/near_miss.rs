//! The entry of `egress.allow` that comes closest to a model's base URL, and how they differ.

use super::{AdapterFile, Known, Resolved};
use crate::address::{self, AddressClass};
use crate::base_url::BaseUrl;
use crate::grant::{Grant, HostPattern};
use crate::host::Host;
use crate::model_names::ModelNames;
use crate::suggest::closest;
use crate::target::Scheme;
use std::sync::Arc;

/// An entry that nearly covers a base URL.
pub(super) struct NearMiss {
    /// The line of the entry.
    pub(super) line: usize,
    /// The entry and the difference, as a clause.
    pub(super) found: String,
    /// The change that closes the gap.
    pub(super) help: String,
}

/// The most entries of which all is compared with one base URL.
const MAX_COMPARED: usize = 64;

/// Compares a base URL with one entry.
type Test<'a> = &'a dyn Fn(&Grant) -> Option<NearMiss>;

/// Returns the nearest miss among `grants`: an entry with another spelling of this machine before one for other models, for other
/// adapters, and then one with another path, scheme, port or name. No change is proposed that would take an entry from another model.
pub(super) fn nearest(
    one: &Resolved<'_>,
    known: &Known<'_>,
    base: &BaseUrl,
    grants: &[Arc<Grant>],
) -> Option<NearMiss> {
    // The host is the cheapest to compare, and almost all entries differ in it.
    let is_near = |grant: &&Arc<Grant>| {
        grant.host.covers(&base.host)
            || is_similar(&grant.host, &base.host)
            || are_this_machine(&grant.host, &base.host)
    };
    let near: Vec<_> = grants.iter().filter(is_near).take(MAX_COMPARED).collect();
    let held = || near.iter().filter(|grant| is_held(one, grant));
    let free = || held().filter(|grant| !known.used.contains(&grant.line));
    let tries: [Test<'_>; 4] =
        [&|grant| path(base, grant), &|grant| scheme(base, grant), &|grant| port(base, grant), &|grant| {
            spelling_of_name(base, grant)
        }];
    held()
        .find_map(|grant| spelling(base, grant, !known.used.contains(&grant.line)))
        .or_else(|| held().find_map(|grant| models(one, known, base, grant)))
        .or_else(|| {
            near.iter().filter(|grant| !is_held(one, grant)).find_map(|grant| adapters(one, known, base, grant))
        })
        .or_else(|| tries.iter().find_map(|test| free().find_map(|grant| test(grant))))
}

/// Returns an entry that would be a grant for the model.
pub(super) fn entry(one: &Resolved<'_>, base: &BaseUrl) -> String {
    let adapter = one.model.adapter.as_ref().map_or("...", |id| id.as_str());
    let base = base.to_string().replace('\'', "''");
    format!("write into `egress.allow`: `- {{ url: '{base}/', adapters: ['{adapter}'], methods: [GET, POST] }}`")
}

fn is_held(one: &Resolved<'_>, grant: &Grant) -> bool {
    matches!(one.adapter, Some(AdapterFile::Loaded(facts)) if grant.is_held_by(facts.holder.id, facts.holder.digest))
}

/// Compares two spellings of this machine, such as `localhost` and `127.0.0.1`: each needs an entry of its own.
fn spelling(base: &BaseUrl, grant: &Grant, is_free: bool) -> Option<NearMiss> {
    let HostPattern::Exact(granted) = &grant.host else { return None };
    let same = grant.scheme == base.scheme && grant.port == base.port;
    if !same || *granted == base.host || !are_this_machine(&grant.host, &base.host) {
        return None;
    }
    let spelled = BaseUrl { host: granted.clone(), ..base.clone() };
    Some(NearMiss {
        line: grant.line,
        found: format!(
            "the entry on line {} spells this machine `{granted}`, and the base URL `{}`",
            grant.line, base.host
        ),
        help: match is_free {
            true => format!("write `base_url: '{spelled}'`, or `{}` in the entry", base.host),
            false => format!("write `base_url: '{spelled}'`"),
        },
    })
}

/// Returns whether the names of the hosts differ by a letter or two.
fn is_similar(granted: &HostPattern, host: &Host) -> bool {
    let (HostPattern::Exact(Host::Name(granted)), Host::Name(name)) = (granted, host) else { return false };
    granted.len().abs_diff(name.len()) <= 2 && granted != name && closest(name, &[granted]).is_some()
}

/// Compares two names that differ by a letter or two.
fn spelling_of_name(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    let same = grant.scheme == base.scheme && grant.port == base.port;
    if !same || !is_similar(&grant.host, &base.host) {
        return None;
    }
    let granted = &grant.host;
    Some(NearMiss {
        line: grant.line,
        found: format!("the entry on line {} is for `{granted}`", grant.line),
        help: format!("did you mean `{granted}`?"),
    })
}

/// Returns the items of a list in YAML's flow style, each in quotes: an id may begin with `@`, or look like a number.
fn yaml_list(items: &[String]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| format!("'{item}'")).collect();
    quoted.join(", ")
}

fn models(one: &Resolved<'_>, known: &Known<'_>, base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    let Some(ModelNames::These(names)) = &grant.models else { return None };
    if !base.overlaps(grant) {
        return None;
    }
    let all: Vec<_> = names.iter().map(|name| &**name).collect();
    let kept = names.iter().map(|name| &**name).filter(|name| known.model(name).is_some());
    let wanted: Vec<_> = kept.chain([&*one.model.id]).map(str::to_owned).collect();
    Some(NearMiss {
        line: grant.line,
        found: format!("the entry on line {} is for the models {} only", grant.line, all.join(", ")),
        help: format!("write `models: [{}]` in the entry", yaml_list(&wanted)),
    })
}

fn path(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    if !base.has_origin_of(grant) {
        return None;
    }
    Some(NearMiss {
        line: grant.line,
        found: format!("the entry on line {} covers the path `{}`", grant.line, grant.path.as_str()),
        help: format!("write `{base}/` in the entry, or the base URL that it grants"),
    })
}

fn scheme(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    if !grant.host.covers(&base.host) || grant.scheme == base.scheme {
        return None;
    }
    Some(NearMiss {
        line: grant.line,
        found: format!("the entry on line {} is for `{}`", grant.line, grant.scheme.as_str()),
        help: match grant.scheme {
            // Never in the clear, and with a secret not at all.
            Scheme::Https => {
                let secured = BaseUrl { scheme: Scheme::Https, port: grant.port, ..base.clone() };
                format!("write `base_url: '{secured}'`")
            }
            Scheme::Http => format!("write the same scheme in both, such as `{base}/` in the entry"),
        },
    })
}

fn port(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    if !grant.host.covers(&base.host) || grant.scheme != base.scheme {
        return None;
    }
    Some(NearMiss {
        line: grant.line,
        found: format!("the entry on line {} is for port {}", grant.line, grant.port),
        help: format!("write the same port in both, such as `{base}/` in the entry"),
    })
}

fn adapters(one: &Resolved<'_>, known: &Known<'_>, base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    let refs = grant.adapters.as_ref()?;
    if !base.overlaps(grant) {
        return None;
    }
    let adapter = one.model.adapter.as_ref()?;
    let line = grant.line;
    if refs.iter().any(|one| one.id == *adapter) {
        return Some(NearMiss {
            line,
            found: format!("the entry on line {line} pins another digest of `{adapter}`"),
            help: "review the new file, then write its digest: `hauski adapters ls` shows it".to_owned(),
        });
    }
    let all: Vec<_> = refs.iter().map(|one| one.id.as_str()).collect();
    // A digest that binds the entry to the bytes of an adapter stays.
    let kept = refs.iter().filter(|one| known.adapter_ids.contains(&one.id.as_str())).map(ToString::to_string);
    let wanted: Vec<_> = kept.chain([adapter.as_str().to_owned()]).collect();
    Some(NearMiss {
        line,
        found: format!("the entry on line {line} is for the adapters {}", all.join(", ")),
        help: format!("write `adapters: [{}]` in the entry", yaml_list(&wanted)),
    })
}

/// Returns whether both are this machine.
fn are_this_machine(granted: &HostPattern, host: &Host) -> bool {
    matches!(granted, HostPattern::Exact(granted) if is_loopback(granted) && is_loopback(host))
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Address(address) => address::classify(*address) == AddressClass::Loopback,
        Host::Name(_) => host.is_localhost(),
    }
}
