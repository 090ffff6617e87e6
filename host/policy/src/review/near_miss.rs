//! The entry of `egress.allow` that comes closest to a model's base URL, and how they differ.

use super::{AdapterFile, Resolved};
use crate::address::{self, AddressClass};
use crate::base_url::BaseUrl;
use crate::grant::{Grant, HostPattern};
use crate::host::Host;
use crate::model_names::ModelNames;
use std::sync::Arc;

/// An entry that nearly covers a base URL.
pub(super) struct NearMiss {
    /// The entry and the difference, as a clause.
    pub(super) found: String,
    /// The change that closes the gap.
    pub(super) help: String,
}

/// Compares a base URL with one entry.
type Test<'a> = &'a dyn Fn(&Grant) -> Option<NearMiss>;

/// Returns the nearest miss among `grants`: an entry with another spelling of this machine before one with another path, one for other
/// adapters or models, another scheme or another port.
pub(super) fn nearest(one: &Resolved<'_>, base: &BaseUrl, grants: &[Arc<Grant>]) -> Option<NearMiss> {
    let held = |grant: &&Arc<Grant>| is_held(one, grant);
    let tries: [Test<'_>; 6] = [
        &|grant| spelling(base, grant),
        &|grant| models(one, base, grant),
        &|grant| path(base, grant),
        &|grant| scheme(base, grant),
        &|grant| port(base, grant),
        &|grant| spelling_of_name(base, grant),
    ];
    let adapters = || grants.iter().filter(|grant| !is_held(one, grant)).find_map(|grant| adapters(one, base, grant));
    tries.iter().find_map(|test| grants.iter().filter(held).find_map(|grant| test(grant))).or_else(adapters)
}

/// Returns an entry that would be a grant for the model.
pub(super) fn entry(one: &Resolved<'_>, base: &BaseUrl) -> String {
    let adapter = one.model.adapter.as_ref().map_or("...", |id| id.as_str());
    format!("write into `egress.allow`: `- {{ url: \"{base}/\", adapters: [\"{adapter}\"], methods: [GET, POST] }}`")
}

fn is_held(one: &Resolved<'_>, grant: &Grant) -> bool {
    matches!(one.adapter, Some(AdapterFile::Loaded(facts)) if grant.is_held_by(facts.holder.id, facts.holder.digest))
}

/// This machine under two spellings, such as `localhost` and `127.0.0.1`: each needs an entry of its own.
fn spelling(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    let HostPattern::Exact(granted) = &grant.host else { return None };
    let same = grant.scheme == base.scheme && grant.port == base.port;
    if !same || *granted == base.host || !is_loopback(granted) || !is_loopback(&base.host) {
        return None;
    }
    let spelled = BaseUrl { host: granted.clone(), ..base.clone() };
    Some(NearMiss {
        found: format!(
            "the entry on line {} spells this machine `{granted}`, and the base URL `{}`",
            grant.line, base.host
        ),
        help: format!("write `base_url: \"{spelled}\"`, or `{}` in the entry", base.host),
    })
}

/// Another host with the same port and path whose name differs by a letter or two.
fn spelling_of_name(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    let (HostPattern::Exact(Host::Name(granted)), Host::Name(name)) = (&grant.host, &base.host) else { return None };
    let same = grant.scheme == base.scheme && grant.port == base.port;
    if !same || crate::suggest::closest(name, &[granted]).is_none() {
        return None;
    }
    Some(NearMiss {
        found: format!("the entry on line {} is for `{granted}`", grant.line),
        help: format!("did you mean `{granted}`?"),
    })
}

fn models(one: &Resolved<'_>, base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    let Some(ModelNames::These(names)) = &grant.models else { return None };
    if !base.overlaps(grant) {
        return None;
    }
    let names: Vec<_> = names.iter().map(|name| &**name).collect();
    let all = names.join(", ");
    Some(NearMiss {
        found: format!("the entry on line {} is for the models {all} only", grant.line),
        help: format!("write `models: [{all}, {}]` in the entry", one.model.id),
    })
}

fn path(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    if !base.has_origin_of(grant) {
        return None;
    }
    Some(NearMiss {
        found: format!("the entry on line {} grants `{}` there", grant.line, grant.path.as_str()),
        help: format!("write `{base}/` in the entry, or the base URL that it grants"),
    })
}

fn scheme(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    if !grant.host.covers(&base.host) || grant.scheme == base.scheme {
        return None;
    }
    Some(NearMiss {
        found: format!("the entry on line {} is for `{}`", grant.line, grant.scheme.as_str()),
        help: format!("write the same scheme in both, such as `{base}/` in the entry"),
    })
}

fn port(base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    if !grant.host.covers(&base.host) || grant.scheme != base.scheme {
        return None;
    }
    Some(NearMiss {
        found: format!("the entry on line {} is for port {}", grant.line, grant.port),
        help: format!("write the same port in both, such as `{base}/` in the entry"),
    })
}

fn adapters(one: &Resolved<'_>, base: &BaseUrl, grant: &Grant) -> Option<NearMiss> {
    let refs = grant.adapters.as_ref()?;
    if !base.overlaps(grant) {
        return None;
    }
    let adapter = one.model.adapter.as_ref()?;
    let pinned = refs.iter().any(|one| one.id == *adapter);
    let names: Vec<_> = refs.iter().map(|one| one.id.as_str()).collect();
    Some(if pinned {
        NearMiss {
            found: format!("the entry on line {} is bound to other bytes of `{adapter}`", grant.line),
            help: "review the new file, then write its digest: `hauski adapters ls` shows it".to_owned(),
        }
    } else {
        NearMiss {
            found: format!("the entry on line {} is for the adapters {}", grant.line, names.join(", ")),
            help: format!("write `adapters: [{}, {adapter}]` in the entry", names.join(", ")),
        }
    })
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Address(address) => address::classify(*address) == AddressClass::Loopback,
        Host::Name(name) => &**name == "localhost" || name.ends_with(".localhost"),
    }
}
