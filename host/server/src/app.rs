//! What handlers share, and the decision which adapter answers for a model.

use crate::error::ApiError;
use crate::metrics::Metrics;
use hauski_egress::Door;
use hauski_policy::{Limits, Model, Models, Routing};
use hauski_runtime::{Adapter, Adapters};
use http::{HeaderValue, StatusCode};
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
    /// The models that can be asked, by public name.
    pub(crate) served: BTreeMap<Box<str>, Served>,
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

impl Served {
    /// Finds each model its adapter. Models without one are left out: [`Gateway::route`] says why when they are asked for.
    pub(crate) fn all(models: &Models, adapters: &Adapters) -> BTreeMap<Box<str>, Self> {
        let served = |model: &Model| {
            let adapter = adapters.get(model.adapter.as_ref()?)?.clone();
            let (audit, settings) = (adapter.audit(), Arc::new(model.config.clone()));
            let digest = audit.digest.get(..19).unwrap_or_default();
            let route = format!("adapter=\"{}\", digest=\"{digest}\", locality={}", audit.id, audit.locality);
            let route = HeaderValue::try_from(route).ok()?;
            Some((model.id.clone(), Self { upstream: model.upstream_name().into(), adapter, settings, route }))
        };
        models.iter().filter_map(served).collect()
    }
}

impl Gateway {
    /// The public names of the models that can be asked, in the order of `models.yml`.
    pub fn models_served(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| &*model.id).filter(|id| self.served.contains_key(*id))
    }

    /// What answers for the model with this public name.
    pub(crate) fn route(&self, name: &str) -> Result<&Served, ApiError> {
        self.served.get(name).ok_or_else(|| self.why_not(name))
    }

    /// Why nothing answers for `name`.
    fn why_not(&self, name: &str) -> ApiError {
        let shown: String = name.chars().take(128).collect();
        let Some(model) = self.models.get(name) else {
            return ApiError::model_not_found(format!(
                "there is no model `{shown}`; `GET /v1/models` lists those that can be asked"
            ));
        };
        let Some(adapter) = &model.adapter else {
            return ApiError::model_not_found(format!(
                "the model `{shown}` names no adapter in models.yml, so it can't be asked"
            ));
        };
        let message = format!(
            "the adapter `{adapter}` of the model `{shown}` can't serve: {}",
            self.adapters.why_missing(adapter)
        );
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "gateway_error", "adapter_unavailable", message)
    }
}
