//! Where the collector is: parsed once, by the rules of the door.

use hauski_egress::{Caller, today};
use hauski_policy::{Egress, Scope, Target};
use std::str::FromStr;

/// A collector that takes OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Without a slash at its end.
    base: Box<str>,
    pub(super) traces: Box<str>,
    pub(super) metrics: Box<str>,
}

/// The text is no URL that the door would send to, or has a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a collector")]
pub struct InvalidEndpoint;

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let base = text.strip_suffix('/').unwrap_or(text);
        let path = |path: &str| Box::<str>::from(format!("{base}{path}"));
        let endpoint = Self { base: base.into(), traces: path("/v1/traces"), metrics: path("/v1/metrics") };
        // The text itself as well: with a path behind it, what has no host would have one.
        let is_url = |url: &str| Target::parse("POST", url).is_ok();
        let good = !base.contains(['?', '#']) && is_url(text) && is_url(&endpoint.traces);
        if good { Ok(endpoint) } else { Err(InvalidEndpoint) }
    }
}

impl Endpoint {
    /// What an operator has to add to the policy, where nothing would be let out.
    #[must_use]
    pub fn denied(&self, egress: &Egress) -> Option<String> {
        let caller = Caller::telemetry();
        let denied = |url: &&str| {
            let target = Target::parse("POST", url);
            target.is_ok_and(|target| egress.decide(caller.holder(), &Scope::Gateway, &target, today(), false).is_err())
        };
        let url = [&*self.traces, &*self.metrics].into_iter().find(denied)?;
        Some(format!(
            "no entry of `egress.allow` lets `{id}` POST to `{url}`, so telemetry stays here: add `- {{ url: \"{base}/v1/\", \
             adapters: [{id}], methods: [POST] }}`, or unset `{OTLP}`",
            id = caller.id(),
            base = self.base,
            OTLP = crate::environment::OTLP,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_endpoint() {
        for (text, traces) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example/otlp", "https://otel.example/otlp/v1/traces"),
        ] {
            assert_eq!(&*text.parse::<Endpoint>().unwrap().traces, traces);
        }
        for text in
            ["127.0.0.1:4318", "grpc://a:4317", "http://", "http://u:p@a", "http://a?k=1", "http://a#x", "http://a//"]
        {
            assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint), "{text}");
        }
    }
}
