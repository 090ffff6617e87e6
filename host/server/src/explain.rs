//! Why a request would go where it goes: the plan for a public name, in words.
//!
//! In go a name, a key and what the request says; out comes the very decision that a request would meet, for people and as JSON.

use crate::app::Gateway;
use crate::view::{Served, View};
use hauski_policy::{Ask, Locality, Route};
use serde::Serialize;

/// The plan for a public name.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The name that was asked for.
    pub name: String,
    /// Whether it is a route's; else it is a model's.
    pub is_route: bool,
    /// What the decision depends on besides the models.
    pub given: Given,
    /// Whether the request began local, so that without `cloud_fallback` it does not leave.
    pub began_local: bool,
    /// The models that would be asked, in this order, until one answers.
    pub asked: Vec<Entry>,
    /// The models that would not.
    pub held: Vec<Entry>,
}

/// What a decision depends on.
#[derive(Debug, Serialize)]
pub struct Given {
    /// The request's key.
    pub key: String,
    /// Whether the request is local-only.
    pub local_only: bool,
    /// `prefer_local` of `routing.yaml`.
    pub prefer_local: bool,
    /// `cloud_fallback.enabled` of `routing.yaml`.
    pub cloud_fallback: bool,
}

/// A model in a plan.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its id.
    pub model: String,
    /// The adapter that serves it, if one does.
    pub adapter: Option<String>,
    /// Whether what it is sent can leave, if that is known.
    pub locality: Option<&'static str>,
    /// Its share among those of the same order; for a canary none.
    pub weight: Option<u32>,
    /// The reason's stable code.
    pub code: &'static str,
    /// The reason in words.
    pub why: String,
}

impl Gateway {
    /// Whom a request for `name` with this key would be asked of, and why. `None` if there is nobody with that name.
    #[must_use]
    pub fn explain(&self, name: &str, key: &str, local_only: bool) -> Option<Explained> {
        let view = self.view();
        let preferences = view.preferences();
        let ask = Ask { key, local_only: local_only || preferences.local_only, ..preferences };
        let given = Given {
            key: key.to_owned(),
            local_only: ask.local_only,
            prefer_local: ask.prefer_local,
            cloud_fallback: ask.cloud_fallback,
        };
        match view.route(name) {
            Some(route) => Some(of_route(&view, route, &ask, given)),
            None => self.of_model(&view, name, given),
        }
    }

    fn of_model(&self, view: &View, name: &str, given: Given) -> Option<Explained> {
        let model = view.models.get(name)?;
        let (code, why) = match view.unavailable(name) {
            Some(reason) if view.locality(name) == Some(Locality::NoGrant) => ("no-grant", reason.to_owned()),
            Some(reason) => ("unavailable", format!("not available: {reason}")),
            None if given.local_only && view.served(name).is_some_and(|served| !served.has_local) => {
                ("local-only", "not local, and the request allows local models only".to_owned())
            }
            None if view.served(name).is_none() => ("no-adapter", "it names no adapter in models.yml".to_owned()),
            None => ("named", "the request names it, and no route has its name".to_owned()),
        };
        let entry = entry(view, &model.id, None, code, why);
        let began_local = entry.locality != Some("cloud");
        let (asked, held) = if code == "named" { (vec![entry], vec![]) } else { (vec![], vec![entry]) };
        Some(Explained { name: name.to_owned(), is_route: false, given, began_local, asked, held })
    }
}

fn of_route(view: &View, route: &Route, ask: &Ask<'_>, given: Given) -> Explained {
    let plan = view.plan(route, ask);
    let line = |at: usize, code, why: String| {
        let candidate = &route.candidates[at];
        let weight = candidate.canary_percent.is_none().then_some(candidate.weight);
        entry(view, &candidate.model, weight, code, why)
    };
    Explained {
        name: route.name.to_string(),
        is_route: true,
        given,
        began_local: plan.began_local,
        asked: plan
            .steps
            .iter()
            .map(|step| line(step.candidate, step.reason.code(), step.reason.to_string()))
            .collect(),
        held: plan.held.iter().map(|held| line(held.candidate, held.why.code(), held.why.to_string())).collect(),
    }
}

fn entry(view: &View, model: &str, weight: Option<u32>, code: &'static str, why: String) -> Entry {
    let served = view.served(model);
    Entry {
        model: model.to_owned(),
        adapter: served.map(|served: &Served| served.adapter.profile().id.clone()),
        locality: view.locality(model).map(Locality::as_str),
        weight,
        code,
        why,
    }
}
