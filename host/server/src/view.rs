//! What one policy makes of models and adapters. Made anew, and swapped whole, when one of them changes.

use crate::app::Breakers;
use crate::breaker::Breaker;
use crate::error::ApiError;
use hauski_policy::{Ask, Egress, Fact, Locality, Model, Models, Plan, Route, Routing};
use hauski_runtime::{Adapter, Adapters};
use http::HeaderValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The policy of a moment, and what it makes of the models.
pub struct View {
    /// `routing.yaml`.
    pub routing: Routing,
    /// What the adapters folder holds.
    pub adapters: Arc<Adapters>,
    /// What serves each model, or why nothing does, by public name.
    serving: BTreeMap<Box<str>, Serving>,
    /// The number of the policy, from 1 at the start.
    pub generation: u64,
    /// When the policy was loaded.
    pub loaded: SystemTime,
}

/// A model with all that a request for it needs.
pub(crate) struct Served {
    /// Its public name.
    pub(crate) model: Box<str>,
    /// The name that the provider is asked for.
    pub(crate) upstream: Box<str>,
    /// The adapter that answers.
    pub(crate) adapter: Arc<Adapter>,
    /// The model's `config`.
    pub(crate) settings: Arc<BTreeMap<Box<str>, Box<str>>>,
    /// Whether what the adapter is sent can leave.
    pub(crate) locality: Locality,
    /// The same by its entries alone: it is not local only because all requests are held to what is.
    granted: Locality,
    /// The value of `x-hauski-route`.
    pub(crate) route: HeaderValue,
    /// The same for a request that is held to what is local.
    pub(crate) local_route: HeaderValue,
    /// Whether it is asked at present.
    pub(crate) breaker: Arc<Breaker>,
}

/// A model of `models.yml`, and what can be done with it.
pub(crate) struct Serving {
    /// Whether it takes part in routes only as canary.
    canary_only: bool,
    served: Result<Served, Unserved>,
}

/// Why a model can't be asked.
enum Unserved {
    /// It names no adapter: it is listed for people and other tools.
    NoAdapter,
    /// Its adapter can't serve it, for this reason.
    Unavailable(String),
}

impl View {
    /// What `routing` makes of `models` and `adapters`.
    pub(crate) fn new(
        routing: Routing,
        models: &Models,
        adapters: Arc<Adapters>,
        breakers: &Breakers,
        generation: u64,
    ) -> Self {
        let serve = |model: &Model| {
            let served = Served::of(model, &adapters, breakers, &routing.egress);
            (model.id.clone(), Serving { canary_only: model.canary, served })
        };
        let serving = models.iter().map(serve).collect();
        Self { routing, adapters, serving, generation, loaded: SystemTime::now() }
    }

    /// The model with this id, if it can be asked.
    pub(crate) fn served(&self, id: &str) -> Option<&Served> {
        self.serving.get(id)?.served()
    }

    /// All models that can be asked.
    pub(crate) fn all_served(&self) -> impl Iterator<Item = &Served> {
        self.serving.values().filter_map(Serving::served)
    }

    /// Why the model with this id can't be asked, where it names an adapter.
    pub(crate) fn unavailable(&self, id: &str) -> Option<&str> {
        match &self.serving.get(id)?.served {
            Err(Unserved::Unavailable(reason)) => Some(reason),
            Ok(_) | Err(Unserved::NoAdapter) => None,
        }
    }

    /// The route with this public name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routing.routes.iter().find(|route| &*route.name == name)
    }

    /// Whom a request to `route` is asked of.
    #[must_use]
    pub fn plan(&self, route: &Route, ask: &Ask<'_>) -> Plan {
        let facts: Vec<_> = route.candidates.iter().map(|candidate| self.fact(&candidate.model)).collect();
        hauski_policy::plan(route, &facts, ask)
    }

    /// The policy's preferences, for a request without a key.
    #[must_use]
    pub fn preferences(&self) -> Ask<'static> {
        let Routing { prefer_local, cloud_fallback, .. } = self.routing;
        Ask { key: "", local_only: self.routing.egress.local_only, prefer_local, cloud_fallback }
    }

    /// What is known of the model with this id.
    fn fact(&self, id: &str) -> Fact<'_> {
        let Some(serving) = self.serving.get(id) else {
            return Fact { locality: None, canary_only: false, unavailable: Some("models.yml has no such model") };
        };
        let (locality, unavailable) = match &serving.served {
            Ok(served) => (Some(served.granted), None),
            Err(Unserved::NoAdapter) => (None, Some("it names no adapter in models.yml")),
            Err(Unserved::Unavailable(reason)) => (None, Some(&**reason)),
        };
        Fact { locality, canary_only: serving.canary_only, unavailable }
    }

    /// The routes that can be asked: those where a request that falls to no canary has somebody to be asked, or each falls to one.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routing.routes.iter().filter(|route| {
            let (canaries, others): (Vec<_>, Vec<_>) =
                route.candidates.iter().cloned().partition(|one| one.canary_percent.is_some());
            let others = Route { name: route.name.clone(), candidates: others };
            let percent: u32 = canaries.iter().filter_map(|one| one.canary_percent).map(u32::from).sum();
            let are_there = canaries.iter().all(|one| self.served(&one.model).is_some());
            !self.plan(&others, &self.preferences()).steps.is_empty() || percent == 100 && are_there
        })
    }

    /// Those candidates of routes that never take part, each with the reason.
    pub(crate) fn idle_candidates(&self) -> impl Iterator<Item = (&Route, &str, &str)> {
        let all = self.routing.routes.iter().flat_map(|route| route.candidates.iter().map(move |one| (route, one)));
        all.filter_map(|(route, one)| {
            let fact = self.fact(&one.model);
            let only = fact.canary_only && one.canary_percent.is_none();
            let why = match self.serving.get(&*one.model).map(|serving| &serving.served) {
                None | Some(Err(Unserved::NoAdapter)) => fact.unavailable,
                // It is told as a model's flaw already.
                Some(Err(Unserved::Unavailable(_))) => None,
                Some(Ok(_)) => only.then_some("it takes part only as canary, and has no `canary_percent` here"),
            };
            Some((route, &*one.model, why?))
        })
    }

    /// What answers for the model with this id.
    pub(crate) fn model(&self, id: &str) -> Result<&Served, ApiError> {
        match self.serving.get(id).map(|serving| &serving.served) {
            Some(Ok(served)) => Ok(served),
            Some(Err(Unserved::Unavailable(reason))) => {
                Err(ApiError::unavailable(format!("the model `{}` can't be asked: {reason}", shown(id))))
            }
            Some(Err(Unserved::NoAdapter)) => Err(ApiError::model_not_found(format!(
                "the model `{}` names no adapter in models.yml, so it can't be asked",
                shown(id)
            ))),
            None => Err(unknown(id)),
        }
    }
}

/// The answer where there is no model with this id, or none that the client may know of.
pub(crate) fn unknown(id: &str) -> ApiError {
    ApiError::model_not_found(format!(
        "there is no model `{}`; `GET /v1/models` lists those that can be asked",
        shown(id)
    ))
}

/// A name that a client made up, as much of it as a message has room for.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(128).collect()
}

impl Serving {
    fn served(&self) -> Option<&Served> {
        self.served.as_ref().ok()
    }
}

impl Served {
    /// Finds the model its adapter.
    fn of(model: &Model, adapters: &Adapters, breakers: &Breakers, egress: &Egress) -> Result<Self, Unserved> {
        let id = model.adapter.as_ref().ok_or(Unserved::NoAdapter)?;
        let adapter = adapters.get(id).ok_or_else(|| Unserved::Unavailable(adapters.why_missing(id)))?;
        let description = &adapter.profile().description;
        let missing = description.config.iter().find(|key| key.required && !model.config.contains_key(&*key.name));
        if let Some(key) = missing {
            let reason = format!("its `config` in models.yml lacks `{}`: {}", key.name, key.summary);
            return Err(Unserved::Unavailable(reason));
        }
        let locality = adapter.locality(egress);
        let route = |locality: Locality| {
            let (digest, model) = (adapter.profile().short_digest(), &model.id);
            let locality = locality.as_str();
            let route = format!("adapter=\"{id}\", digest=\"{digest}\", model=\"{model}\", locality={locality}");
            HeaderValue::try_from(route).map_err(|error| Unserved::Unavailable(error.to_string()))
        };
        Ok(Self {
            model: model.id.clone(),
            upstream: model.upstream_name().into(),
            adapter: adapter.clone(),
            settings: Arc::new(model.config.clone()),
            locality,
            granted: adapter.grants_locality(egress),
            route: route(locality)?,
            local_route: route(Locality::Local)?,
            breaker: breakers.of(&model.id, adapter.limits()),
        })
    }
}
