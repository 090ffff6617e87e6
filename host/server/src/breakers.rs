//! The circuit breakers of all models, which outlive policies and reloads of adapters.

use crate::breaker::Breaker;
use hauski_policy::{AdapterId, AdapterLimits};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The circuit breakers of all models, each bound to its provider.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<BTreeMap<Box<str>, ModelBreaker>>);

/// The facts that tell one provider of a model from another.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    /// The adapter that asks it.
    pub(crate) adapter: AdapterId,
    /// The adapter's settings, with the defaults that it describes.
    pub(crate) settings: Arc<BTreeMap<Box<str>, Box<str>>>,
}

struct ModelBreaker {
    provider: Provider,
    breaker: Arc<Breaker>,
}

impl Breakers {
    /// Returns the breaker of the model with this id: a closed one where its provider is another than before.
    pub(crate) fn get_or_create(&self, model: &str, provider: Provider, limits: &AdapterLimits) -> Arc<Breaker> {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = breakers.get(model).filter(|known| known.provider == provider) {
            known.breaker.set_limits(limits);
            return known.breaker.clone();
        }
        let breaker = Arc::new(Breaker::new(limits));
        breakers.insert(model.into(), ModelBreaker { provider, breaker: breaker.clone() });
        breaker
    }

    /// Drops those of models for which `keep` does not hold.
    pub(crate) fn retain(&self, keep: &dyn Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|model, _| keep(model));
    }

    /// Returns all breakers, by model.
    pub(crate) fn all(&self) -> Vec<(Box<str>, Arc<Breaker>)> {
        let breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.iter().map(|(model, known)| (model.clone(), known.breaker.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::tests::any_limits;

    #[test]
    fn breaker_begins_closed_for_another_provider_and_stays_for_the_same() {
        let limits =
            AdapterLimits { breaker_failures: 1, breaker_open: std::time::Duration::from_secs(60), ..any_limits() };
        let provider = |adapter: &str, base_url: &str| Provider {
            adapter: adapter.parse().unwrap(),
            settings: Arc::new([("base_url".into(), base_url.into())].into()),
        };
        let breakers = Breakers::default();
        breakers.get_or_create("m", provider("a", "https://a.test"), &limits).looked_ill();
        for (known, expected) in [
            (provider("a", "https://a.test"), 1),
            (provider("a", "https://b.test"), 0),
            (provider("b", "https://b.test"), 0),
        ] {
            assert_eq!(breakers.get_or_create("m", known.clone(), &limits).code(), expected);
            breakers.get_or_create("m", known, &limits).looked_ill();
        }
        assert_eq!(breakers.get_or_create("n", provider("b", "https://b.test"), &limits).code(), 0);
        breakers.retain(&|model| model == "n");
        assert_eq!(breakers.all().iter().map(|(model, _)| &**model).collect::<Vec<_>>(), ["n"]);
    }
}
