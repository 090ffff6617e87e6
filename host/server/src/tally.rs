//! The tokens that a request took, as its provider says, counted by model: also where the client leaves before the end.

use crate::metrics::Metrics;
use serde::Deserialize;
use std::sync::Arc;

/// Counts the tokens of one answer when it is dropped.
pub(crate) struct Tally {
    metrics: Arc<Metrics>,
    model: Box<str>,
    /// What the provider said last: each statement holds for all of the answer so far.
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl Tally {
    /// For an answer of the model with this public name.
    pub(crate) fn new(metrics: Arc<Metrics>, model: &str) -> Self {
        Self { metrics, model: model.into(), usage: None }
    }

    /// Notes what a completion or a chunk says of usage.
    pub(crate) fn note(&mut self, answer: &str) {
        if answer.contains("\"usage\"")
            && let Ok(Answer { usage: Some(usage) }) = serde_json::from_str(answer)
        {
            self.usage = Some(usage);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(usage) = self.usage {
            let count =
                |kind: &str, tokens| self.metrics.tokens.with_label_values(&[&*self.model, kind]).inc_by(tokens);
            count("input", usage.prompt_tokens);
            count("output", usage.completion_tokens);
        }
    }
}
