//! What one policy makes of models and adapters. Made anew, and swapped whole, when the policy is.

use crate::error::ApiError;
use hauski_policy::{Egress, Locality, Model, Models, Routing};
use hauski_runtime::{Adapter, Adapters};
use http::HeaderValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The policy of a moment, and what it makes of the models.
pub struct View {
    /// `routing.yaml`.
    pub routing: Routing,
    /// What serves each model, or why nothing does, by public name.
    serving: BTreeMap<Box<str>, Result<Served, Unserved>>,
    /// The number of the policy, from 1 at the start.
    pub generation: u64,
    /// When the policy was loaded.
    pub loaded: SystemTime,
}

/// A model with all that a request for it needs.
pub(crate) struct Served {
    /// The name that the provider is asked for.
    pub(crate) upstream: Box<str>,
    /// The adapter that answers.
    pub(crate) adapter: Arc<Adapter>,
    /// The model's `config`.
    pub(crate) settings: Arc<BTreeMap<Box<str>, Box<str>>>,
    /// Whether what the adapter is sent can leave.
    pub(crate) locality: Locality,
    /// The value of `x-hauski-route`.
    pub(crate) route: HeaderValue,
    /// The same for a request that is held to what is local.
    pub(crate) local_route: HeaderValue,
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
    pub(crate) fn new(routing: Routing, models: &Models, adapters: &Adapters, generation: u64) -> Self {
        let serve = |model: &Model| (model.id.clone(), Served::of(model, adapters, &routing.egress));
        let serving = models.iter().map(serve).collect();
        Self { routing, serving, generation, loaded: SystemTime::now() }
    }

    /// The model with this public name, if it can be asked.
    pub(crate) fn served(&self, name: &str) -> Option<&Served> {
        self.serving.get(name)?.as_ref().ok()
    }

    /// Why the model with this public name can't be asked, where it names an adapter.
    pub(crate) fn unavailable(&self, name: &str) -> Option<&str> {
        match self.serving.get(name)? {
            Err(Unserved::Unavailable(reason)) => Some(reason),
            Ok(_) | Err(Unserved::NoAdapter) => None,
        }
    }

    /// What answers for the model with this public name.
    pub(crate) fn route(&self, name: &str) -> Result<&Served, ApiError> {
        let shown = || name.chars().take(128).collect::<String>();
        match self.serving.get(name) {
            Some(Ok(served)) => Ok(served),
            Some(Err(Unserved::Unavailable(reason))) => {
                Err(ApiError::unavailable(format!("the model `{}` can't be asked: {reason}", shown())))
            }
            Some(Err(Unserved::NoAdapter)) => Err(ApiError::model_not_found(format!(
                "the model `{}` names no adapter in models.yml, so it can't be asked",
                shown()
            ))),
            None => Err(ApiError::model_not_found(format!(
                "there is no model `{}`; `GET /v1/models` lists those that can be asked",
                shown()
            ))),
        }
    }
}

impl Served {
    /// Finds the model its adapter.
    fn of(model: &Model, adapters: &Adapters, egress: &Egress) -> Result<Self, Unserved> {
        let id = model.adapter.as_ref().ok_or(Unserved::NoAdapter)?;
        let adapter = adapters.get(id).ok_or_else(|| Unserved::Unavailable(adapters.why_missing(id)))?;
        let description = &adapter.profile().description;
        if !description.serves.contains(&"chat") {
            let reason = format!("the adapter `{id}` serves {}, not chat", description.serves.join(", "));
            return Err(Unserved::Unavailable(reason));
        }
        let missing = description.config.iter().find(|key| key.required && !model.config.contains_key(&*key.name));
        if let Some(key) = missing {
            let reason = format!("its `config` in models.yml lacks `{}`: {}", key.name, key.summary);
            return Err(Unserved::Unavailable(reason));
        }
        let locality = adapter.locality(egress);
        let route = |locality: Locality| {
            let digest = adapter.profile().short_digest();
            let route = format!("adapter=\"{id}\", digest=\"{digest}\", locality={}", locality.as_str());
            HeaderValue::try_from(route).map_err(|error| Unserved::Unavailable(error.to_string()))
        };
        Ok(Self {
            upstream: model.upstream_name().into(),
            adapter: adapter.clone(),
            settings: Arc::new(model.config.clone()),
            locality,
            route: route(locality)?,
            local_route: route(Locality::Local)?,
        })
    }
}
