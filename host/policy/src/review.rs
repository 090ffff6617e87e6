//! Checks that need more than one file: models against grants, grants against models, routes against both.
//!
//! Findings do not invalidate a file, since the files change one after the other while a gateway runs: a model without a grant is not
//! offered, and nothing is sent for it. `hauski check` fails on the errors, `hauski serve` logs them.

mod models;
mod near_miss;
mod routes;

#[cfg(test)]
mod tests;

use crate::base_url::BaseUrl;
use crate::diagnostics::Diagnostics;
use crate::egress::{Egress, Holder};
use crate::files::Routing;
use crate::grant::{Grant, Locality};
use crate::id::AdapterId;
use crate::models::{Model, Models};
use crate::reach::{ModelScope, Reach};
use crate::suggest::closest;
use jiff::civil::Date;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;

/// An adapter that can serve.
#[derive(Clone, Debug)]
pub struct AdapterFacts<'a> {
    /// Its id and the digest of its bytes.
    pub holder: Holder<'a>,
    /// The base URL of models that set none, as the adapter describes it.
    pub base_url: Option<BaseUrl>,
    /// The keys of `config` that it describes.
    pub config_keys: Vec<&'a str>,
    /// An import that sends requests. Without one, its models are local and need no grant.
    pub can_send: bool,
}

/// A file of the adapters folder.
#[derive(Clone, Debug)]
pub enum AdapterFile<'a> {
    /// It can serve.
    Loaded(AdapterFacts<'a>),
    /// It is refused, quarantined or still loading; the reason is reported elsewhere.
    NotLoaded(AdapterId),
}

impl AdapterFile<'_> {
    /// Returns the id of the adapter.
    #[must_use]
    pub fn id(&self) -> &AdapterId {
        match self {
            Self::Loaded(facts) => facts.holder.id,
            Self::NotLoaded(id) => id,
        }
    }
}

/// The findings of a review, by file.
#[derive(Clone, Debug)]
pub struct Review {
    /// Findings in `models.yml`.
    pub models: Diagnostics,
    /// Findings in `routing.yaml`.
    pub routing: Diagnostics,
}

impl Review {
    /// The findings of both files.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostics> {
        [&self.models, &self.routing].into_iter()
    }

    /// Returns whether there is no finding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().all(Diagnostics::is_empty)
    }
}

/// Compares `models` and `routing` with each other, with the adapters folder and with the addresses `own` of the gateway itself, on the
/// day `today` (UTC).
#[must_use]
pub fn review(
    models: &Models,
    routing: &Routing,
    adapters: &[AdapterFile<'_>],
    own: &[SocketAddr],
    today: Date,
) -> Review {
    let known = Known::new(models, routing, adapters, own, today);
    let mut near = BTreeSet::new();
    let models = models::review(models, &known, routing, today, &mut near);
    let routing = routes::review(&known, routing, &near);
    Review { models, routing }
}

/// All models and adapters, indexed. A review compares the host of each model with that of each entry; the files are bounded to some
/// thousands of either.
struct Known<'a> {
    models: Vec<Resolved<'a>>,
    by_id: HashMap<&'a str, usize>,
    adapter_ids: Vec<&'a str>,
    /// The addresses on which the gateway listens.
    own: &'a [SocketAddr],
    /// The lines of the entries that some model may use.
    used: HashSet<usize>,
}

impl<'a> Known<'a> {
    fn new(
        models: &'a Models,
        routing: &Routing,
        adapters: &'a [AdapterFile<'a>],
        own: &'a [SocketAddr],
        today: Date,
    ) -> Self {
        let models: Vec<_> = models.iter().map(|model| Resolved::new(model, routing, adapters, today)).collect();
        let by_id = models.iter().enumerate().map(|(at, one)| (&*one.model.id, at)).collect();
        let used = models.iter().flat_map(|one| one.uses(&routing.egress)).collect();
        Self { models, by_id, adapter_ids: adapters.iter().map(|file| file.id().as_str()).collect(), own, used }
    }

    fn model(&self, id: &str) -> Option<&Resolved<'a>> {
        self.by_id.get(id).and_then(|at| self.models.get(*at))
    }

    /// Returns the public name that was meant by one that no model has.
    fn closest_model(&self, name: &str) -> Option<&'a str> {
        let ids: Vec<_> = self.models.iter().map(|one| &*one.model.id).collect();
        closest(name, &ids)
    }
}

/// A model with what the other files make of it.
struct Resolved<'a> {
    model: &'a Model,
    adapter: Option<&'a AdapterFile<'a>>,
    scope: ModelScope,
    reach: Reach,
    /// The locality, where the adapter is loaded.
    locality: Option<Locality>,
}

impl<'a> Resolved<'a> {
    fn new(model: &'a Model, routing: &Routing, adapters: &'a [AdapterFile<'a>], today: Date) -> Self {
        let adapter = adapters.iter().find(|file| Some(file.id()) == model.adapter.as_ref());
        let facts = match adapter {
            Some(AdapterFile::Loaded(facts)) => Some(facts),
            Some(AdapterFile::NotLoaded(_)) | None => None,
        };
        let scope = ModelScope::new(model, facts.and_then(|facts| facts.base_url.as_ref()));
        let standing = facts.map(|facts| routing.egress.standing(facts, &scope, today));
        let locality = standing.as_ref().map(|standing| standing.granted);
        let reach = standing.map(|standing| standing.reach).unwrap_or_default();
        Self { model, adapter, scope, reach, locality }
    }

    /// Returns the lines of the entries that may be in the reach of the model: for an adapter that is not loaded, as far as that can be
    /// known.
    fn uses(&self, egress: &Egress) -> Vec<usize> {
        if let Some(AdapterFile::Loaded(_)) = self.adapter {
            return self.reach.grants.iter().map(|grant| grant.line).collect();
        }
        egress.grants.iter().filter(|grant| self.might_use(grant)).map(|grant| grant.line).collect()
    }

    fn might_use(&self, grant: &Grant) -> bool {
        let names = |id: &AdapterId| grant.adapters.as_ref().is_none_or(|all| all.iter().any(|one| one.id == *id));
        let is_known = grant.models.is_some() || self.scope.base_url.is_some();
        self.model.adapter.as_ref().is_some_and(names) && (!is_known || grant.is_in_reach_of(&self.scope))
    }
}
