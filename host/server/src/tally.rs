//! The tokens that a request took, as its provider says, counted by model: also where the client leaves before the end.

use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::report::Report;
use crate::telemetry::Attempt;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Counts the tokens of one answer when it is dropped.
pub(crate) struct Tally {
    metrics: Arc<Metrics>,
    model: Box<str>,
    /// The report that is told of them.
    report: Report,
    /// What the provider said last: each statement holds for all of the answer so far.
    usage: Option<Usage>,
    /// The attempt that the answer is of, where a collector is named.
    attempt: Option<Attempt>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    usage: Option<Usage>,
}

/// Some providers write counts as `3.0`, or `null` for none.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<f64>,
    #[serde(default)]
    completion_tokens: Option<f64>,
}

/// The most tokens that are believed; a provider could make counters overflow otherwise.
const BELIEVED: f64 = 1e9;

/// A count of tokens, if it is one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is looked at")]
fn count(tokens: Option<f64>) -> Option<u64> {
    tokens.filter(|tokens| (0.0..=BELIEVED).contains(tokens)).map(|tokens| tokens as u64)
}

impl Tally {
    /// For an answer of the model with this public name.
    pub(crate) fn new(metrics: Arc<Metrics>, model: &str, report: Report, attempt: Option<Attempt>) -> Self {
        Self { metrics, model: model.into(), report, usage: None, attempt }
    }

    /// Notes the first chunk of a stream.
    pub(crate) fn first_token(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.first_token();
        }
    }

    /// Notes what the gateway itself took of the time until the answer, or its first chunk, was there.
    pub(crate) fn added(&self, added: Duration) {
        if let Some(attempt) = &self.attempt {
            attempt.added(added);
        }
    }

    /// Notes how long a further piece of a stream was waited for.
    pub(crate) fn gap(&self, gap: Duration) {
        self.metrics.inter_chunk_seconds.observe(gap.as_secs_f64());
        if let Some(attempt) = &self.attempt {
            attempt.gap(gap);
        }
    }

    /// Notes what a completion or a chunk says of usage.
    pub(crate) fn note(&mut self, answer: &str) {
        if let Some(attempt) = &mut self.attempt {
            attempt.read(answer);
        }
        if answer.contains("\"usage\"")
            && let Ok(Answer { usage: Some(usage) }) = serde_json::from_str(answer)
        {
            self.usage = Some(usage);
        }
    }

    /// Notes how the answer ended. Without this, it was given up.
    pub(crate) fn end<T>(&mut self, end: &Result<T, ApiError>) {
        let Some(attempt) = &mut self.attempt else { return };
        match end {
            Ok(_) => attempt.complete(),
            Err(error) => attempt.failed(error),
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(usage) = self.usage {
            let (input, output) = (count(usage.prompt_tokens), count(usage.completion_tokens));
            for (kind, tokens) in [("input", input), ("output", output)] {
                self.metrics.tokens.with_label_values(&[&*self.model, kind]).inc_by(tokens.unwrap_or_default());
            }
            self.report.counted(input, output);
            if let Some(attempt) = &mut self.attempt {
                attempt.tokens(input, output);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_all_their_forms() {
        for (usage, input, output) in [
            (r#"{"prompt_tokens":3,"completion_tokens":2}"#, 3, 2),
            (r#"{"prompt_tokens":3.0,"completion_tokens":null}"#, 3, 0),
            (r#"{"prompt_tokens":-1,"x":"y"}"#, 0, 0),
            (r#"{"prompt_tokens":1e300,"completion_tokens":1000000001}"#, 0, 0),
            (r#"{"prompt_tokens":1e9,"completion_tokens":18446744073709551615}"#, 1_000_000_000, 0),
        ] {
            let metrics = Arc::new(Metrics::new().unwrap());
            let report = Report::default();
            Tally::new(metrics.clone(), "m", report.clone(), None).note(&format!(r#"{{"usage":{usage}}}"#));
            let counted = |kind: &str| metrics.tokens.with_label_values(&["m", kind]).get();
            assert_eq!((counted("input"), counted("output")), (input, output), "{usage}");
            let tried = report.tried();
            let reported = (tried.input_tokens.unwrap_or_default(), tried.output_tokens.unwrap_or_default());
            assert_eq!(reported, (input, output), "{usage}");
        }
    }
}
