//! Checks that need more than one file: models against grants, grants against models, routes against both.
//!
//! What is found here makes no file invalid, since the files change one after the other while a gateway runs: a model without a
//! grant is not offered, and nothing is sent for it. `hauski check` fails on the errors, `hauski serve` logs them.

mod models;
mod near_miss;
mod routes;

#[cfg(test)]
mod tests;

use crate::base_url::BaseUrl;
use crate::diagnostics::Diagnostics;
use crate::egress::Holder;
use crate::files::Routing;
use crate::grant::{Grant, Locality};
use crate::id::AdapterId;
use crate::models::{Model, Models};
use crate::reach::{ModelScope, Reach};
use jiff::civil::Date;

/// An adapter that can serve.
#[derive(Clone, Debug)]
pub struct AdapterFacts<'a> {
    /// Its id and the digest of its bytes.
    pub holder: Holder<'a>,
    /// The base URL of models that set none, as the adapter describes it.
    pub base_url: Option<BaseUrl>,
    /// Whether it imports a way to send requests. Without one, its models are local and need no grant.
    pub sends: bool,
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

/// Returns what is wrong with `models` and with `routing` in view of each other and of the adapters folder, on the day `today` (UTC).
#[must_use]
pub fn review(models: &Models, routing: &Routing, adapters: &[AdapterFile<'_>], today: Date) -> [Diagnostics; 2] {
    let resolved: Vec<_> = models.iter().map(|model| Resolved::new(model, routing, adapters, today)).collect();
    let of_models = models::review(models, &resolved, routing, adapters, today);
    [of_models, routes::review(&resolved, routing)]
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
        let reach = facts.map(|facts| routing.egress.reach(facts.holder, &scope)).unwrap_or_default();
        let locality = facts.map(|facts| if facts.sends { reach.locality(today) } else { Locality::Local });
        Self { model, adapter, scope, reach, locality }
    }

    /// Returns whether `grant` may be in the reach of the model: for an adapter that is not loaded, as far as that can be known.
    fn may_use(&self, grant: &Grant) -> bool {
        match self.adapter {
            Some(AdapterFile::Loaded(facts)) => {
                grant.is_held_by(facts.holder.id, facts.holder.digest) && grant.is_in_reach_of(&self.scope)
            }
            Some(AdapterFile::NotLoaded(_)) | None => {
                let names =
                    |id: &AdapterId| grant.adapters.as_ref().is_none_or(|all| all.iter().any(|one| one.id == *id));
                let is_known = grant.models.is_some() || self.scope.base_url.is_some();
                self.model.adapter.as_ref().is_some_and(names) && (!is_known || grant.is_in_reach_of(&self.scope))
            }
        }
    }
}
