//! The decision whom a request to a route is asked of: in which order, and who is held back.
//!
//! In go a route, what is known of its candidates at this moment, and what the request asks for; out comes a plan that names each
//! candidate once, with the reason. The same key gets the same plan while nothing changes.

use crate::draw::{Purpose, arrival, draw, hundredths};
use crate::grant::Locality;
use crate::route::Route;
use std::fmt;

/// What is known of a candidate at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    /// Whether what it is sent stays local; `None` where its adapter is not there, so that nobody can know.
    pub locality: Option<Locality>,
    /// True if some grant in its reach is local, so that a local-only request can still be sent.
    pub has_local: bool,
    /// Whether its model has `canary: true` in `models.yml`.
    pub canary_only: bool,
    /// Why it can't be asked now, if it can't.
    pub unavailable: Option<&'a str>,
}

/// What a request asks for, and what the policy says about it.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What requests share that should be asked of the same model.
    pub key: &'a str,
    /// True if the request is local-only. The egress guard enforces it; the plan avoids candidates that would be denied.
    pub local_only: bool,
    /// `prefer_local` of `routing.yaml`.
    pub prefer_local: bool,
    /// `cloud_fallback.enabled` of `routing.yaml`.
    pub cloud_fallback: bool,
}

/// Who is asked, who is not, and why. Each candidate is in one of the two lists, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who is asked, in this order, until one has answered.
    pub steps: Vec<Step>,
    /// Who is not asked, in the route's order.
    pub held: Vec<Held>,
    /// Whether the request began local: the canary that it falls to or the first of the others is local, or may be.
    pub began_local: bool,
}

/// A candidate that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which of the route's candidates, counted from 0.
    pub candidate: usize,
    /// Why it has this place.
    pub reason: Reason,
}

/// Why a candidate has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request is one of those in a hundred that fall to this canary.
    Canary {
        /// How many these are.
        percent: u8,
    },
    /// It is of the lowest order, and was drawn by weight.
    Weighted,
    /// It is of a higher order.
    Fallback {
        /// Its order.
        order: u32,
    },
    /// It is not local, and others are, which go before it.
    AfterLocal,
}

/// A candidate that is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which of the route's candidates, counted from 0.
    pub candidate: usize,
    /// Why it is not asked.
    pub why: Why,
}

/// Why a candidate is not asked. Where several hold: the first of those that keep it out of the route, then whether it is
/// available, then what would let the request leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its model takes part only as canary, and the candidate is none.
    CanaryOnly,
    /// It is a canary, and the request does not fall to it.
    NotTheCanary,
    /// It can't be asked now, for this reason.
    Unavailable(Box<str>),
    /// It is not local, the request is local-only, and another candidate is local or none of its own grants is.
    LocalOnly,
    /// It is not local, the request began local, and `cloud_fallback` is not enabled.
    CloudFallback,
}

impl Reason {
    /// The reason's stable code, for log, ledger and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Canary { .. } => "canary",
            Self::Weighted => "weighted",
            Self::Fallback { .. } => "fallback",
            Self::AfterLocal => "after-local",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canary { percent } => write!(f, "the canary of {percent} % of the requests"),
            Self::Weighted => f.write_str("drawn by weight"),
            Self::Fallback { order } => write!(f, "of order {order}, after those of lower order"),
            Self::AfterLocal => f.write_str("not local, after those that are"),
        }
    }
}

impl Why {
    /// The reason's stable code, for log, ledger and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::CanaryOnly => "canary-only",
            Self::NotTheCanary => "not-the-canary",
            Self::Unavailable(_) => "unavailable",
            Self::LocalOnly => "local-only",
            Self::CloudFallback => "cloud-fallback",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CanaryOnly => f.write_str("its model takes part only as canary, and it has no `canary_percent`"),
            Self::NotTheCanary => f.write_str("a canary that the request does not fall to"),
            Self::Unavailable(reason) => write!(f, "not available: {reason}"),
            Self::LocalOnly => f.write_str("not local, and the request allows local models only"),
            Self::CloudFallback => {
                f.write_str("not local, the request began local, and `cloud_fallback` is not enabled")
            }
        }
    }
}

impl Fact<'_> {
    /// Nobody has said anything.
    const NOTHING: Self =
        Fact { locality: None, has_local: false, canary_only: false, unavailable: Some("nothing is known of it") };

    /// Whether it is known to lead away. What is not known is held to be local: then nothing leaves that should have stayed.
    fn is_cloud(self) -> bool {
        self.locality == Some(Locality::Cloud)
    }
}

/// Whom a request to `route` is asked of; `facts` has one for each candidate, in the same order.
///
/// The canary that the request falls to goes first. The others follow: local ones before those that are not, where the policy
/// prefers them or the request is held to them; then by order; then as they are drawn by weight. A draw looks at nothing but the
/// route, the model, its weight and the key, so that a candidate which comes or goes moves only its own requests.
///
/// What began local leaves only where `cloud_fallback` allows it. That is judged before those are held back that are not
/// available: a local model that is down is no reason to leave. Of canary and first other, one that is local is enough, so that
/// neither a canary nor its failure leads a request away.
#[must_use]
pub fn plan(route: &Route, facts: &[Fact<'_>], ask: &Ask<'_>) -> Plan {
    let fact = |at: usize| facts.get(at).copied().unwrap_or(Fact::NOTHING);
    let canary = canary(route, ask.key);
    let others = others(route, &fact, ask);
    let may_be_local = |at: usize| !fact(at).is_cloud();
    let first = [canary, others.first().map(|(at, _)| *at)];
    let began_local = first.into_iter().flatten().any(may_be_local);
    // Held to what is local, local ones go first: if there is any, the request began local.
    let stays = began_local && (ask.local_only || !ask.cloud_fallback);

    let percent = canary.and_then(|at| route.candidates[at].canary_percent.map(|percent| (at, percent)));
    let canary = percent.map(|(at, percent)| (at, Reason::Canary { percent }));
    let mut plan = Plan { steps: Vec::new(), held: Vec::new(), began_local };
    for (candidate, reason) in canary.into_iter().chain(others) {
        let why = match fact(candidate) {
            Fact { unavailable: Some(reason), .. } => Why::Unavailable(reason.into()),
            fact if ask.local_only && fact.is_cloud() && (stays || !fact.has_local) => Why::LocalOnly,
            fact if stays && fact.is_cloud() => Why::CloudFallback,
            _ => {
                plan.steps.push(Step { candidate, reason });
                continue;
            }
        };
        plan.held.push(Held { candidate, why });
    }
    for (candidate, one) in route.candidates.iter().enumerate() {
        let why = if one.canary_percent.is_some() { Why::NotTheCanary } else { Why::CanaryOnly };
        let named = plan.steps.iter().map(|step| step.candidate).chain(plan.held.iter().map(|held| held.candidate));
        if !named.into_iter().any(|at| at == candidate) {
            plan.held.push(Held { candidate, why });
        }
    }
    plan.held.sort_by_key(|held| held.candidate);
    plan
}

/// The canary that a request with this key falls to. The canaries' percents stand side by side, in the route's order: who raises the
/// last one's moves no request but those that it gains.
fn canary(route: &Route, key: &str) -> Option<usize> {
    let point = hundredths(draw(Purpose::Canary, &[&route.name, key]));
    let mut end = 0;
    route.candidates.iter().position(|candidate| {
        end += u32::from(candidate.canary_percent.unwrap_or_default()) * 100;
        candidate.canary_percent.is_some() && point < end
    })
}

/// Those that are no canaries, in the order in which they are asked.
fn others<'f>(route: &Route, fact: &dyn Fn(usize) -> Fact<'f>, ask: &Ask<'_>) -> Vec<(usize, Reason)> {
    let takes_part = |at: &usize| route.candidates[*at].canary_percent.is_none() && !fact(*at).canary_only;
    let all: Vec<_> = (0..route.candidates.len()).filter(takes_part).collect();
    let local_first = (ask.prefer_local || ask.local_only) && all.iter().any(|at| !fact(*at).is_cloud());
    let lowest = all.iter().map(|at| route.candidates[*at].order).min().unwrap_or_default();
    let mut drawn: Vec<_> = all
        .into_iter()
        .map(|at| {
            let one = &route.candidates[at];
            let time = arrival(draw(Purpose::Weight, &[&route.name, &one.model, ask.key]), one.weight);
            let behind = local_first && fact(at).is_cloud();
            let reason = match one.order {
                _ if behind => Reason::AfterLocal,
                order if order > lowest => Reason::Fallback { order },
                _ => Reason::Weighted,
            };
            (behind, one.order, time, at, reason)
        })
        .collect();
    drawn.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)).then(a.3.cmp(&b.3)));
    drawn.into_iter().map(|(_, _, _, at, reason)| (at, reason)).collect()
}
