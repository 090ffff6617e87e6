//! What one policy makes of models and adapters. Made anew, and swapped whole, when one of them changes.

use crate::breaker::Breaker;
use crate::breakers::{Breakers, Provider};
use crate::error::ApiError;
use hauski_egress::today;
use hauski_policy::{
    AdapterId, Ask, Egress, Fact, Locality, Model, ModelScope, Models, Plan, Route, Routing, Scope, Standing,
};
use hauski_runtime::{Adapter, Adapters, ConfigKey};
use http::HeaderValue;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The policy of a moment, and what it makes of the models.
pub struct View {
    /// `routing.yaml`.
    pub routing: Routing,
    /// `models.yml`.
    pub models: Arc<Models>,
    /// What the adapters folder holds.
    pub adapters: Arc<Adapters>,
    /// What serves each model, or why nothing does, by public name.
    serving: BTreeMap<Box<str>, Serving>,
    /// The public names that can be asked.
    names: Box<[Box<str>]>,
    /// The number of the policy, from 1 at the start.
    pub generation: u64,
    /// When the policy was loaded.
    pub loaded: SystemTime,
    /// The day (UTC) on which it was made: grants expire.
    pub(crate) day: Date,
}

/// A model with all that a request for it needs.
pub(crate) struct Served {
    /// Its public name.
    pub(crate) model: Box<str>,
    /// The name that the provider is asked for.
    pub(crate) upstream: Box<str>,
    /// The adapter that answers.
    pub(crate) adapter: Arc<Adapter>,
    /// The model's `config`, with the defaults that the adapter describes.
    pub(crate) settings: Arc<BTreeMap<Box<str>, Box<str>>>,
    /// The model as the egress guard knows it.
    pub(crate) scope: Scope,
    /// The locality in effect: `local` or `cloud`.
    pub(crate) locality: Locality,
    /// The locality by the grants in its reach alone.
    granted: Locality,
    /// The presence of a local grant: a local-only request can be answered.
    pub(crate) has_local: bool,
    /// The value of `x-hauski-route`.
    pub(crate) route: HeaderValue,
    /// The same for a local-only request.
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
    /// Its adapter is being loaded.
    Loading(AdapterId),
    /// Its adapter can't serve it, for this reason.
    Unavailable(String),
    /// No grant is in its reach, for this reason.
    NoGrant(String),
    /// The policy makes all requests local-only, and no grant in its reach is local.
    NotLocal,
}

impl Unserved {
    /// The reason, in words; `None` where the model is only listed.
    fn reason(&self) -> Option<&str> {
        match self {
            Self::NoAdapter | Self::Loading(_) => None,
            Self::Unavailable(reason) | Self::NoGrant(reason) => Some(reason),
            Self::NotLocal => Some("none of its grants is local, and `egress.local_only` allows local grants only"),
        }
    }
}

impl View {
    /// What `routing` makes of `models` and `adapters`. In a dry run, models without a grant are offered: what they need is denied, and
    /// seen.
    pub(crate) fn new(
        routing: Routing,
        models: Arc<Models>,
        adapters: Arc<Adapters>,
        breakers: &Breakers,
        generation: u64,
        dry_run: bool,
    ) -> Self {
        // Once: a view made across midnight must not mix two days.
        let day = today();
        let serve = |model: &Model| {
            let served = Served::of(model, &adapters, breakers, &routing.egress, day, dry_run);
            (model.id.clone(), Serving { canary_only: model.canary, served })
        };
        let serving = models.iter().map(serve).collect();
        let (names, loaded) = (Box::default(), SystemTime::now());
        let mut view = Self { routing, models, adapters, serving, names, generation, loaded, day };
        view.names = view.names_offered();
        view
    }

    /// The model with this id, if it can be asked.
    pub(crate) fn served(&self, id: &str) -> Option<&Served> {
        self.serving.get(id)?.served()
    }

    /// Returns whether `models.yml` has a model with this id.
    pub(crate) fn has_model(&self, id: &str) -> bool {
        self.serving.contains_key(id)
    }

    /// All models that can be asked.
    pub(crate) fn all_served(&self) -> impl Iterator<Item = &Served> {
        self.serving.values().filter_map(Serving::served)
    }

    /// Returns the models that are offered, by public name, with their localities.
    pub fn offered(&self) -> impl Iterator<Item = (&str, Locality)> {
        self.all_served().map(|served| (&*served.model, served.locality))
    }

    /// Why the model with this id can't be asked, where it names an adapter.
    pub(crate) fn unavailable(&self, id: &str) -> Option<&str> {
        self.serving.get(id)?.served.as_ref().err()?.reason()
    }

    /// Returns the adapters that are being loaded and that requests to `name`, a model or a route, may need.
    pub(crate) fn loading_for<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a AdapterId> {
        let loading = |id: &str| match &self.serving.get(id)?.served {
            Err(Unserved::Loading(adapter)) => Some(adapter),
            _ => None,
        };
        let route = self.route(name);
        let candidates = route.into_iter().flat_map(|route| route.candidates.iter().map(|one| &*one.model));
        let own = route.is_none().then_some(name);
        candidates.chain(own).filter_map(loading)
    }

    /// The locality of the model with this id, where its adapter is loaded.
    pub(crate) fn locality(&self, id: &str) -> Option<Locality> {
        match &self.serving.get(id)?.served {
            Ok(served) => Some(served.locality),
            Err(Unserved::NoGrant(_)) => Some(Locality::NoGrant),
            Err(Unserved::NotLocal) => Some(Locality::Cloud),
            Err(Unserved::NoAdapter | Unserved::Loading(_) | Unserved::Unavailable(_)) => None,
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
            let unavailable = Some("models.yml has no such model");
            return Fact { locality: None, has_local: false, canary_only: false, unavailable };
        };
        let (locality, has_local, unavailable) = match &serving.served {
            Ok(served) => (Some(served.granted), served.has_local, None),
            Err(Unserved::NoAdapter) => (None, false, Some("it names no adapter in models.yml")),
            Err(Unserved::Loading(_)) => (None, false, Some("its adapter is being loaded")),
            Err(Unserved::Unavailable(reason)) => (None, false, Some(&**reason)),
            Err(Unserved::NoGrant(reason)) => (Some(Locality::NoGrant), false, Some(&**reason)),
            Err(Unserved::NotLocal) => (Some(Locality::Cloud), false, None),
        };
        Fact { locality, has_local, canary_only: serving.canary_only, unavailable }
    }

    /// Returns the public names that can be asked: models in the order of `models.yml`, then routes that are no model's name.
    #[must_use]
    pub fn names_served(&self) -> &[Box<str>] {
        &self.names
    }

    /// Finds the public names that can be asked, in a time that is linear in the files.
    fn names_offered(&self) -> Box<[Box<str>]> {
        let routes: BTreeMap<_, _> =
            self.routing.routes.iter().map(|one| (&*one.name, self.has_somebody(one))).collect();
        let is_asked = |id: &str| routes.get(id).copied().unwrap_or_else(|| self.served(id).is_some());
        let models = self.models.iter().map(|model| &model.id).filter(|id| is_asked(id));
        let others = self.routing.routes.iter().map(|route| &route.name);
        let others = others.filter(|name| is_asked(name) && !self.serving.contains_key(&**name));
        models.chain(others).cloned().collect()
    }

    /// Returns whether a request to `route` that falls to no canary has somebody to be asked, or each request falls to one.
    fn has_somebody(&self, route: &Route) -> bool {
        let (canaries, others): (Vec<_>, Vec<_>) =
            route.candidates.iter().cloned().partition(|one| one.canary_percent.is_some());
        let others = Route { candidates: others, ..Route::clone(route) };
        let percent: u32 = canaries.iter().filter_map(|one| one.canary_percent).map(u32::from).sum();
        let are_there = canaries.iter().all(|one| self.served(&one.model).is_some());
        !self.plan(&others, &self.preferences()).steps.is_empty() || percent == 100 && are_there
    }

    /// Those candidates of routes that never take part, each with the reason.
    pub(crate) fn idle_candidates(&self) -> impl Iterator<Item = (&Route, &str, &str)> {
        let all = self.routing.routes.iter().flat_map(|route| route.candidates.iter().map(move |one| (route, one)));
        all.filter_map(|(route, one)| {
            let fact = self.fact(&one.model);
            let only = fact.canary_only && one.canary_percent.is_none();
            let why = match self.serving.get(&*one.model).map(|serving| &serving.served) {
                Some(Err(Unserved::NoAdapter)) => fact.unavailable,
                // Reported elsewhere: as an unknown candidate, or as what is wrong with the model.
                None
                | Some(Err(
                    Unserved::Loading(_) | Unserved::Unavailable(_) | Unserved::NoGrant(_) | Unserved::NotLocal,
                )) => None,
                Some(Ok(_)) => only.then_some("it takes part only as canary, and has no `canary_percent` here"),
            };
            Some((route, &*one.model, why?))
        })
    }

    /// What answers for the model with this id.
    pub(crate) fn model(&self, id: &str) -> Result<&Served, ApiError> {
        match self.serving.get(id).map(|serving| &serving.served) {
            Some(Ok(served)) => Ok(served),
            Some(Err(Unserved::Loading(id))) => Err(ApiError::loading(id)),
            Some(Err(Unserved::Unavailable(reason))) => {
                Err(ApiError::unavailable(format!("the model `{}` can't be asked: {reason}", shown(id))))
            }
            Some(Err(Unserved::NoGrant(reason))) => {
                Err(ApiError::no_grant(format!("no grant for the model `{}`: {reason}", shown(id))))
            }
            Some(Err(Unserved::NotLocal)) => Err(ApiError::not_local()),
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
    /// Returns `model` with its adapter, its settings and its standing, or the reason why it can't be asked.
    fn of(
        model: &Model,
        adapters: &Adapters,
        breakers: &Breakers,
        egress: &Egress,
        today: Date,
        dry_run: bool,
    ) -> Result<Self, Unserved> {
        let id = model.adapter.as_ref().ok_or(Unserved::NoAdapter)?;
        let adapter = adapters.get(id).ok_or_else(|| match adapters.is_loading(id) {
            true => Unserved::Loading(id.clone()),
            false => Unserved::Unavailable(adapters.why_missing(id)),
        })?;
        let description = &adapter.profile().description;
        let missing = description.config.iter().find(|key| key.required && !model.config.contains_key(&*key.name));
        if let Some(key) = missing {
            let reason = format!("its `config` in models.yml lacks `{}`: {}", key.name, key.summary);
            return Err(Unserved::Unavailable(reason));
        }
        let settings = Arc::new(settings(model, &description.config));
        let scope = ModelScope::new(model, adapter.default_base_url().as_ref());
        let Standing { granted, has_local, locality, .. } = adapter.standing(egress, &scope, today);
        if granted == Locality::NoGrant && !dry_run {
            return Err(Unserved::NoGrant(no_grant(&scope)));
        }
        if egress.local_only && !has_local && !dry_run {
            return Err(Unserved::NotLocal);
        }
        let route = |locality: Locality| {
            let (digest, model) = (adapter.profile().short_digest(), &model.id);
            let locality = locality.as_str().replace(' ', "-");
            let route = format!("adapter=\"{id}\", digest=\"{digest}\", model=\"{model}\", locality={locality}");
            HeaderValue::try_from(route).map_err(|error| Unserved::Unavailable(error.to_string()))
        };
        Ok(Self {
            model: model.id.clone(),
            upstream: model.upstream_name().into(),
            adapter: adapter.clone(),
            breaker: breakers.get_or_create(
                &model.id,
                Provider { adapter: id.clone(), settings: settings.clone() },
                adapter.limits(),
            ),
            settings,
            scope: Scope::Model(Arc::new(scope)),
            locality,
            granted,
            has_local,
            route: route(locality)?,
            local_route: route(Locality::Local)?,
        })
    }
}

/// Returns the settings of a model: its own, and the adapter's described defaults for the others.
fn settings(model: &Model, keys: &[ConfigKey]) -> BTreeMap<Box<str>, Box<str>> {
    let defaults = keys.iter().filter_map(|key| Some((&*key.name, key.default.as_deref()?)));
    let mut settings: BTreeMap<Box<str>, Box<str>> =
        defaults.map(|(name, default)| (name.into(), default.into())).collect();
    settings.extend(model.config.iter().map(|(key, value)| (key.clone(), value.clone())));
    settings
}

/// Returns the reason why the reach of a model is empty, and the remedy.
fn no_grant(scope: &ModelScope) -> String {
    let remedy = "`hauski check` shows what to write";
    match &scope.base_url {
        Some(base) => format!("no unexpired entry of routing.yaml covers `{base}` or names the model; {remedy}"),
        None => {
            format!("it has no base URL that an entry of routing.yaml could cover, and no entry names it; {remedy}")
        }
    }
}
