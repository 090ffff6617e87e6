//! Whom a request is asked of: the policy's decision over what is known of the models at this moment.
//!
//! In go a public name and what the request says; out come the models to be asked, in order, and those that are held back.

use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::view::{Served, View, shown, unknown};
use hauski_policy::{Ask, Egress, Why};

/// Whom a request is asked of.
pub(crate) struct Plan<'a> {
    /// The models that may answer, in the order in which they are asked. At least one.
    pub(crate) steps: Vec<&'a Served>,
    /// The models that are held back because the request began local and `cloud_fallback` is not enabled.
    held: Vec<&'a str>,
    /// The name that the client asked for.
    name: &'a str,
    /// Whether that is a route's, so that the answer has to say which model it is from.
    pub(crate) is_route: bool,
    /// Whether the policy makes all requests local-only.
    pub(crate) local_only: bool,
    /// What adapters may reach.
    pub(crate) egress: &'a Egress,
}

impl<'a> Plan<'a> {
    /// The plan for a request that asks for `name`; `key` is what it says of who asks.
    ///
    /// # Errors
    /// If there is nobody with this name, or nobody who can be asked.
    pub(crate) fn of(view: &'a View, exchange: &Exchange, name: &'a str, key: Option<&str>) -> Result<Self, ApiError> {
        if !exchange.may_ask(name) {
            return Err(unknown(name));
        }
        let routing = &view.routing;
        let local_only = routing.egress.local_only;
        let mut plan =
            Self { steps: Vec::new(), held: Vec::new(), name, is_route: false, local_only, egress: &routing.egress };
        let Some(route) = view.route(name) else {
            let served = view.model(name)?;
            if exchange.local_only && !served.has_local {
                return Err(ApiError::not_local());
            }
            plan.steps.push(served);
            return Ok(plan);
        };
        plan.is_route = true;
        let client = Some(&*exchange.tenant.name).filter(|name| !name.is_empty());
        let key = exchange.route_key.as_deref().or(key).or(client).unwrap_or(&exchange.id.0);
        let ask = Ask { key, local_only: exchange.local_only || local_only, ..view.preferences() };
        let decided = view.plan(route, &ask);
        let model = |at: usize| &*route.candidates[at].model;
        for step in &decided.steps {
            plan.steps.extend(view.served(model(step.candidate)));
        }
        let held = decided.held.iter().filter(|held| held.why == Why::CloudFallback);
        plan.held.extend(held.map(|held| model(held.candidate)));
        if plan.steps.is_empty() {
            let reasons: Vec<_> =
                decided.held.iter().map(|held| format!("`{}`: {}", model(held.candidate), held.why)).collect();
            let nobody =
                format!("none of the models of the route `{}` can be asked: {}", shown(name), reasons.join("; "));
            let others = |why: &Why| matches!(why, Why::LocalOnly | Why::NotTheCanary | Why::CanaryOnly);
            let is_held = decided.held.iter().all(|held| others(&held.why))
                && decided.held.iter().any(|held| held.why == Why::LocalOnly);
            return Err(match plan.held.is_empty() {
                true if is_held => ApiError::not_local(),
                true => ApiError::unavailable(nobody),
                false => plan.nobody_left(None),
            });
        }
        Ok(plan)
    }

    /// The answer where all that may be asked have failed; `last` is what the last one said.
    pub(crate) fn nobody_left(&self, last: Option<ApiError>) -> ApiError {
        let name = shown(self.name);
        let last =
            last.unwrap_or_else(|| ApiError::unavailable(format!("no model of the route `{name}` can be asked")));
        // What is wrong with the request no other model would put right.
        let is_clients = last.status.is_client_error() && !matches!(last.status.as_u16(), 404 | 408 | 429);
        if self.held.is_empty() || is_clients {
            return last;
        }
        ApiError::cloud_fallback(&name, &self.held.join("`, `"), last)
    }
}
