//! A report of the models that were tried for one request, for its log line: filled on the way, read when the request ends.
//!
//! It holds public names of models, ids of adapters and numbers: never what a client or a provider wrote.

use crate::view::{Served, View};
use hauski_policy::Locality;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle to a request's report; among its extensions. Its lock is held for assignments only.
#[derive(Clone, Default)]
pub(crate) struct Report(Arc<Mutex<Tried>>);

/// The models that were tried for a request, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    /// The public name of the model that was tried last, or else of what was asked for.
    pub(crate) model: Option<Box<str>>,
    /// The adapter of the model that was tried last.
    pub(crate) adapter: Option<Box<str>>,
    /// The locality of the last attempt.
    pub(crate) locality: Option<&'static str>,
    /// Whether the client asked for a stream.
    pub(crate) stream: Option<bool>,
    /// The attempts at all models.
    pub(crate) attempts: u32,
    /// The tokens of the prompt, as the provider counts them.
    pub(crate) input_tokens: Option<u64>,
    /// The tokens of the answer, as the provider counts them.
    pub(crate) output_tokens: Option<u64>,
}

impl Report {
    /// Records what is asked for. A name that is neither a model's nor a route's is the client's own text, and is left out.
    pub(crate) fn requested(&self, view: &View, name: &str, stream: bool) {
        let is_known = view.models.get(name).is_some() || view.route(name).is_some();
        let mut tried = self.lock();
        tried.model = is_known.then(|| name.into());
        tried.stream = Some(stream);
    }

    /// Records an attempt at `served`; `held`: it is local-only.
    pub(crate) fn attempted(&self, served: &Served, held: bool) {
        let locality = if held { Locality::Local } else { served.locality };
        let mut tried = self.lock();
        tried.model = Some(served.model.clone());
        tried.adapter = Some(served.adapter.profile().id.as_str().into());
        tried.locality = Some(locality.as_str());
        tried.attempts += 1;
    }

    /// Records the tokens that the provider has counted.
    pub(crate) fn counted(&self, input: Option<u64>, output: Option<u64>) {
        let mut tried = self.lock();
        (tried.input_tokens, tried.output_tokens) = (input, output);
    }

    /// Returns what was recorded so far.
    pub(crate) fn tried(&self) -> Tried {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tried> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
