//! Traces and metrics by OTLP, where a collector is named: what was asked of which model, how long it took, how it ended.
//!
//! In go requests and attempts at models, as they begin and end; out go spans and histograms with the names of OpenTelemetry's
//! semantic conventions, version 1.37.0, through the door like all else. They hold what the gateway or its operator has worded,
//! and numbers: never a prompt or an answer, a header, a query or an error's message, because these may quote one.

mod attempt;
mod endpoint;
mod export;
mod instruments;
mod link;
mod parent;
mod said;
mod sender;
mod visit;

pub(crate) use attempt::Attempt;
pub use endpoint::{Endpoint, InvalidEndpoint};
pub(crate) use export::{Export, start};
pub(crate) use visit::{Ended, Visit};

use instruments::Instruments;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use std::sync::Arc;

/// What takes note of requests. Without it, a request passes by each place that would for the price of a look.
pub(crate) struct Telemetry {
    tracer: SdkTracer,
    instruments: Instruments,
    /// How clients speak to the gateway.
    scheme: &'static str,
}

/// What a request's attempts at models belong to.
#[derive(Clone)]
pub(crate) struct Trace {
    telemetry: Arc<Telemetry>,
    /// The request's span.
    parent: Context,
    /// What is asked of models.
    operation: &'static str,
}

/// What `POST` to this route asks of a model, in the conventions' words; `None` where it asks none.
fn operation(route: &str) -> Option<&'static str> {
    match route {
        "/v1/chat/completions" | "/v1/responses" | "/v1/messages" => Some("chat"),
        "/v1/completions" => Some("text_completion"),
        "/v1/embeddings" => Some("embeddings"),
        _ => None,
    }
}

/// How it ended, where it did not end well.
fn error_type(code: &'static str) -> KeyValue {
    KeyValue::new("error.type", code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router;
    use http::Method;

    #[test]
    fn what_asks_a_model_has_a_word_for_it() {
        for entry in router::always().into_iter().chain(router::on_request()) {
            let asks = entry.method == Method::POST && entry.path != "/v1/messages/count_tokens";
            assert_eq!(operation(entry.path).is_some(), asks, "{}", entry.path);
        }
    }
}
