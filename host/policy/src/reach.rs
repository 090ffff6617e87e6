//! A model's reach: the grants of its adapter that apply to requests on behalf of the model.
//!
//! The rule: a grant applies to a model's request if it names the model (or `"*"`) under `models`, or if it names no models and
//! the request goes to the model's base URL or below it.

use crate::base_url::BaseUrl;
use crate::egress::{Egress, Holder};
use crate::grant::{Grant, Locality};
use crate::model_names::ModelNames;
use crate::models::Model;
use crate::review::AdapterFacts;
use crate::target::Target;
use jiff::civil::Date;
use std::sync::Arc;

/// The facts about a model on which its reach depends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelScope {
    /// The public name of the model; empty for no model at all, which reaches nothing.
    pub id: Box<str>,
    /// The base URL of its provider: its own, or the default that its adapter describes.
    pub base_url: Option<BaseUrl>,
}

/// The party on whose behalf a request is sent.
#[derive(Clone, Debug)]
pub enum Scope {
    /// An adapter serves this model.
    Model(Arc<ModelScope>),
    /// The gateway sends its own telemetry. Only grants that name no models apply.
    Gateway,
}

impl ModelScope {
    /// Returns the scope of `model`, whose adapter describes `default` as the base URL of models that set none.
    #[must_use]
    pub fn new(model: &Model, default: Option<&BaseUrl>) -> Self {
        Self { id: model.id.clone(), base_url: model.base_url.as_ref().or(default).cloned() }
    }
}

impl Scope {
    /// Returns the public name of the model, if there is one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Model(model) => Some(&*model.id).filter(|id| !id.is_empty()),
            Self::Gateway => None,
        }
    }
}

impl Grant {
    /// Returns whether the grant applies to a request to `target` in this scope, whatever else it says.
    #[must_use]
    pub fn applies_to(&self, scope: &Scope, target: &Target) -> bool {
        match (scope, &self.models) {
            (Scope::Model(model), None) => model.base_url.as_ref().is_some_and(|base| base.covers(target)),
            (Scope::Model(model), Some(names)) => names.covers_model(&model.id),
            (Scope::Gateway, models) => models.is_none(),
        }
    }

    /// Returns whether the grant is in the reach of `model`: whether it applies to any request on its behalf.
    #[must_use]
    pub fn is_in_reach_of(&self, model: &ModelScope) -> bool {
        match &self.models {
            None => model.base_url.as_ref().is_some_and(|base| base.overlaps(self)),
            Some(names) => names.covers_model(&model.id),
        }
    }
}

impl ModelNames {
    /// Returns whether a model with this id is named. No model at all never is.
    fn covers_model(&self, id: &str) -> bool {
        !id.is_empty() && self.covers(id)
    }
}

/// The standing of a model under a policy: its reach and what follows from it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The grants that apply to its requests.
    pub reach: Reach,
    /// The locality by these grants alone.
    pub granted: Locality,
    /// The presence of a local grant that has not expired: a request that is held to local grants can be answered.
    pub has_local: bool,
    /// The locality in effect. Where the policy holds all requests to local grants, a model with a local grant is local.
    pub locality: Locality,
}

/// The reach of one model under one policy.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The grants, in the file's order.
    pub grants: Vec<Arc<Grant>>,
}

impl Egress {
    /// Returns the reach of `model`, which the adapter `holder` serves.
    #[must_use]
    pub fn reach(&self, holder: Holder<'_>, model: &ModelScope) -> Reach {
        Reach { grants: self.held_by(holder).filter(|grant| grant.is_in_reach_of(model)).cloned().collect() }
    }

    /// Returns the standing of `model`, which this adapter serves, on the day `today` (UTC). What an adapter without a way to send is
    /// given stays in the sandbox, so its models are local.
    #[must_use]
    pub fn standing(&self, adapter: &AdapterFacts<'_>, model: &ModelScope, today: Date) -> Standing {
        let reach = self.reach(adapter.holder, model);
        let (granted, has_local) = match adapter.can_send {
            true => (reach.locality(today), reach.has_local(today)),
            false => (Locality::Local, true),
        };
        let locality = if self.local_only && has_local { Locality::Local } else { granted };
        Standing { reach, granted, has_local, locality }
    }
}

impl Reach {
    /// Returns the locality of what is sent within the reach, computed and never claimed.
    ///
    /// Expired grants do not count. A request that began before midnight keeps the locality that it had then.
    #[must_use]
    pub fn locality(&self, today: Date) -> Locality {
        let mut localities = self.grants.iter().filter(|grant| grant.holds_on(today)).map(|grant| grant.locality());
        match localities.next() {
            None => Locality::NoGrant,
            Some(first) if localities.all(|one| one == Locality::Local) => first,
            Some(_) => Locality::Cloud,
        }
    }

    /// Returns whether a request that is held to local grants can still be sent.
    #[must_use]
    pub fn has_local(&self, today: Date) -> bool {
        self.grants.iter().any(|grant| grant.locality() == Locality::Local && grant.holds_on(today))
    }
}

#[cfg(test)]
mod tests;
