//! What handlers share, and the decision which adapter answers for a model.

use crate::error::ApiError;
use crate::metrics::Metrics;
use hauski_egress::Door;
use hauski_policy::{Limits, Model, Models, Routing};
use hauski_runtime::{Adapter, Adapters};
use http::HeaderValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The state of one worker: what all workers share, and its own door.
#[derive(Clone)]
pub(crate) struct App {
    /// Policies, adapters and metrics.
    pub(crate) gateway: Arc<Gateway>,
    /// The worker's way out, with its own connections.
    pub(crate) door: Arc<Door>,
}

/// Everything that a running gateway consists of.
pub struct Gateway {
    /// `routing.yaml`.
    pub routing: Routing,
    /// `limits.yaml`.
    pub limits: Limits,
    /// `models.yml`.
    pub models: Models,
    /// What the adapters folder held.
    pub adapters: Adapters,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// What all doors share: secrets, name resolution, TLS.
    pub egress: Arc<hauski_egress::Shared>,
    /// Whether `/config/…` and `/adapters` answer: asked for, and bound to loopback only.
    pub expose_config: bool,
    /// When the gateway started.
    pub started: SystemTime,
    /// What serves each model.
    pub(crate) serving: Serving,
}

/// A model with all that a request for it needs.
pub(crate) struct Served {
    /// The name that the provider is asked for.
    pub(crate) upstream: Box<str>,
    /// The adapter that answers.
    pub(crate) adapter: Arc<Adapter>,
    /// The model's `config`.
    pub(crate) settings: Arc<BTreeMap<Box<str>, Box<str>>>,
    /// The value of `x-hauski-route`.
    pub(crate) route: HeaderValue,
}

/// Why a model can't be asked.
pub(crate) enum Unserved {
    /// It names no adapter: it is listed for people and other tools.
    NoAdapter,
    /// Its adapter can't serve it, for this reason.
    Unavailable(String),
}

impl Served {
    /// Finds the model its adapter.
    fn of(model: &Model, adapters: &Adapters) -> Result<Self, Unserved> {
        let id = model.adapter.as_ref().ok_or(Unserved::NoAdapter)?;
        let adapter = adapters.get(id).ok_or_else(|| Unserved::Unavailable(adapters.why_missing(id)))?;
        let audit = adapter.audit();
        if !audit.description.serves.contains(&"chat") {
            let reason = format!("the adapter `{id}` serves {}, not chat", audit.description.serves.join(", "));
            return Err(Unserved::Unavailable(reason));
        }
        let missing =
            audit.description.config.iter().find(|key| key.required && !model.config.contains_key(&*key.name));
        if let Some(key) = missing {
            let reason = format!("its `config` in models.yml lacks `{}`: {}", key.name, key.summary);
            return Err(Unserved::Unavailable(reason));
        }
        let route = format!("adapter=\"{id}\", digest=\"{}\", locality={}", audit.short_digest(), audit.locality);
        let route = HeaderValue::try_from(route).map_err(|error| Unserved::Unavailable(error.to_string()))?;
        let settings = Arc::new(model.config.clone());
        Ok(Self { upstream: model.upstream_name().into(), adapter: adapter.clone(), settings, route })
    }
}

/// What serves each model, or why nothing does, by public name.
pub(crate) type Serving = BTreeMap<Box<str>, Result<Served, Unserved>>;

/// Finds each model its adapter.
pub(crate) fn serving(models: &Models, adapters: &Adapters) -> Serving {
    models.iter().map(|model| (model.id.clone(), Served::of(model, adapters))).collect()
}

impl Gateway {
    /// The public names of the models that can be asked, in the order of `models.yml`.
    pub fn models_served(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| &*model.id).filter(|id| matches!(self.serving.get(*id), Some(Ok(_))))
    }

    /// The models whose adapter can't serve them, each with the reason, in the order of `models.yml`.
    pub fn models_unavailable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.models.iter().filter_map(|model| match self.serving.get(&model.id) {
            Some(Err(Unserved::Unavailable(reason))) => Some((&*model.id, &**reason)),
            Some(Ok(_) | Err(Unserved::NoAdapter)) | None => None,
        })
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
