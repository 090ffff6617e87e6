//! `routing.routes`: public names behind which several models stand. Out come [`Route`]s.

use super::models::ModelId;
use crate::raw::{NonEmpty, Spanned, raw};
use crate::reader::Reader;
use crate::render::quote;
use crate::route::{Candidate, Route};
use crate::scalar::{Checked, Whole};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ops::Range;

raw! {
    /// A public name behind which several models stand.
    #[schemars(rename = "Route")]
    pub(super) struct RawRoute {
        required {
            /// The public name: what clients put into `model`. Where a model has this id, the route takes its place.
            model: Checked<ModelId> = "chat",
            /// Who may answer. At least one is no canary.
            candidates: NonEmpty<RawCandidate> = "[{ model: my-model }]",
        }
        optional {
            /// Whether the route is meant to have no local candidate, so that every request of it leaves. `false`, where the key is
            /// not there: then `hauski check` fails on a route without one.
            cloud_only: bool,
        }
    }
}

raw! {
    /// A model that may answer for a route.
    #[schemars(rename = "Candidate")]
    pub(super) struct RawCandidate {
        required {
            /// An id of `models.yml`; never a route.
            model: Checked<ModelId> = "my-model",
        }
        optional {
            /// Its share of the requests beside those of the same order. 1, where the key is not there.
            weight: Whole<1, 1000>,
            /// It is asked when those of lower order gave no answer. 1, where the key is not there.
            order: Whole<1, 100>,
            /// Makes it a canary, which is asked first of so many requests in a hundred and never of others. Without `weight` and
            /// `order`.
            canary_percent: Whole<0, 100>,
        }
    }
}

/// The routes, where they are whole.
pub(super) fn validate(raw: Vec<RawRoute>, reader: &mut Reader) -> Vec<Route> {
    let mut seen = HashMap::new();
    let mut routes = Vec::new();
    for raw in raw {
        let Some((route, span)) = raw.validate(reader) else { continue };
        let line = reader.line(&span);
        if let Some(first) = seen.insert(route.name.clone(), line) {
            let message = format!("the route {} stands on line {first} already", quote(&route.name));
            reader.error("duplicate-route", &span, message).help("put the candidates of the two into one");
        }
        routes.push(route);
    }
    routes
}

impl RawRoute {
    fn validate(self, reader: &mut Reader) -> Option<(Route, Range<usize>)> {
        let NonEmpty(raw) = self.candidates.get()?;
        let all = raw.len();
        let mut seen = HashMap::new();
        let mut percents = 0;
        let mut candidates = Vec::new();
        for raw in raw {
            let percent = raw.canary_percent.span().cloned();
            let Some((candidate, span)) = raw.validate(reader) else { continue };
            if let Some(first) = seen.insert(candidate.model.clone(), candidate.line) {
                let message = format!("the candidate {} stands on line {first} already", quote(&candidate.model));
                reader.error("duplicate-candidate", &span, message).help("delete one of the two");
            }
            let before = percents;
            percents += u32::from(candidate.canary_percent.unwrap_or_default());
            if let Some(span) = percent.filter(|_| before <= 100 && percents > 100) {
                let message = format!("the canaries of the route take {percents} % of its requests by here");
                reader.error("canary-sum", &span, message).help("write percents whose sum is 100 at most");
            }
            candidates.push(candidate);
        }
        let Spanned { value: Checked(ModelId(name)), span } = self.model.spanned()?;
        let whole = !candidates.is_empty() && candidates.len() == all;
        if whole && candidates.iter().all(|candidate| candidate.canary_percent.is_some()) {
            let message = format!("the route {} has only canaries: nobody answers the other requests", quote(&name));
            reader.error("only-canaries", &span, message).help("add a candidate without `canary_percent`");
        }
        let cloud_only = self.cloud_only.get().unwrap_or_default();
        let line = reader.line(&span);
        Some((Route { name, candidates, cloud_only, line }, span))
    }
}

impl RawCandidate {
    fn validate(self, reader: &mut Reader) -> Option<(Candidate, Range<usize>)> {
        if self.canary_percent.span().is_some() {
            for (key, span) in [("weight", self.weight.span()), ("order", self.order.span())] {
                if let Some(span) = span {
                    let message =
                        format!("`{key}` beside `canary_percent`: a canary is asked first, and of no other requests");
                    reader
                        .error("canary-contradiction", span, message)
                        .help(format!("delete `{key}` or `canary_percent`"));
                }
            }
        }
        let Spanned { value: Checked(ModelId(model)), span } = self.model.spanned()?;
        let candidate = Candidate {
            model,
            weight: small(self.weight.get(), 1),
            order: small(self.order.get(), 1),
            canary_percent: self.canary_percent.get().and_then(|percent| u8::try_from(percent.0).ok()),
            line: reader.line(&span),
        };
        Some((candidate, span))
    }
}

fn small<const MIN: u64, const MAX: u64>(number: Option<Whole<MIN, MAX>>, absent: u32) -> u32 {
    number.and_then(|number| u32::try_from(number.0).ok()).unwrap_or(absent)
}

/// The route in the shape of the file, with all that holds for each candidate.
pub(super) fn to_json(route: &Route) -> Value {
    let candidates = route.candidates.iter().map(|candidate| {
        let mut map = Map::new();
        map.insert("model".to_owned(), (*candidate.model).into());
        if let Some(percent) = candidate.canary_percent {
            map.insert("canary_percent".to_owned(), percent.into());
        } else {
            map.insert("weight".to_owned(), candidate.weight.into());
            map.insert("order".to_owned(), candidate.order.into());
        }
        Value::from(map)
    });
    let mut map = Map::new();
    map.insert("model".to_owned(), (*route.name).into());
    map.insert("candidates".to_owned(), candidates.collect());
    if route.cloud_only {
        map.insert("cloud_only".to_owned(), true.into());
    }
    map.into()
}
