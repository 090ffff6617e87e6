//! Why a call into an adapter gave no answer.

use std::time::Duration;

pub use crate::bindings::hauski::adapter::model_types::{Error as AdapterError, RateLimit, UpstreamFailure};

/// Why a call gave no answer. The adapter's failure is this request's failure only.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The adapter answered with an error of the contract.
    #[error("{}", describe(.0))]
    Adapter(AdapterError),
    /// The adapter does not export what the request needs.
    #[error("adapter does not serve {0}")]
    NotServed(&'static str),
    /// No instance became free in time.
    #[error("{0}")]
    Busy(Full),
    /// The request took longer than its total limit.
    #[error("the request took longer than {} ms (limit `total_ms`)", .0.as_millis())]
    TotalTimeout(Duration),
    /// The adapter computed longer than its limit.
    #[error("the adapter computed longer than {} ms (limit `cpu_ms`)", .0.as_millis())]
    ComputedTooLong(Duration),
    /// The adapter wanted more memory than its limit, and ended on that.
    #[error("the adapter needed more than {} MiB of memory (limit `memory_mib`)", .0 >> 20)]
    OutOfMemory(usize),
    /// The adapter handed over more in one call than the largest request and the largest answer need.
    #[error("the adapter handed over more than {} MiB at once (limits `request_mib`, `response_mib`)", .0 >> 20)]
    HandedOverTooMuch(usize),
    /// The adapter trapped: panicked, broke the contract's rules, or exhausted another of the sandbox's bounds.
    #[error("the adapter trapped: {0}")]
    Trapped(String),
}

/// What there is none left of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The adapter's own instances.
    #[error("all {instances} instances of the adapter are busy (limit `instances`)")]
    Adapter {
        /// The adapter's limit.
        instances: usize,
    },
    /// The client's half of the adapter's instances.
    #[error(
        "the client's key has {instances} instances of the adapter already, which is half of them (limit `instances`); wait until a request ends"
    )]
    Client {
        /// Half of the adapter's limit.
        instances: usize,
    },
    /// The adapter's queue.
    #[error("all instances of the adapter are busy, and {waiting} requests wait for one already (limit `queue`)")]
    Queue {
        /// The adapter's limit.
        waiting: usize,
    },
    /// The memory that all adapters share.
    #[error("the adapters have all of their {} MiB of memory together (limit `total_memory_mib`); retry later", .total >> 20)]
    Memory {
        /// The limit in bytes.
        total: usize,
    },
    /// The place that all adapters share.
    #[error("the instances of all adapters together take all the place there is")]
    Pool,
}

/// The most bytes of a text in an adapter's error; the rest is cut off.
const MAX_TEXT: usize = 8 << 10;
/// The largest body of a provider's error that is handed on. A larger one is left out: half of it would be no JSON.
const MAX_BODY: usize = 64 << 10;

/// Bounds what an adapter's error says: it is copied for the client, the log and the console.
pub(crate) fn bound(error: AdapterError) -> AdapterError {
    let text = |mut text: String| {
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push('…');
            text.shrink_to_fit();
        }
        text
    };
    let body = |body: Option<String>| body.filter(|body| body.len() <= MAX_BODY);
    match error {
        AdapterError::InvalidRequest(said) => AdapterError::InvalidRequest(text(said)),
        AdapterError::ModelNotFound(said) => AdapterError::ModelNotFound(text(said)),
        AdapterError::Unauthorized(said) => AdapterError::Unauthorized(text(said)),
        AdapterError::RateLimited(limit) => AdapterError::RateLimited(RateLimit {
            message: text(limit.message),
            retry_after: limit.retry_after.map(text),
            body: body(limit.body),
        }),
        AdapterError::Upstream(failure) => {
            let (message, body) = (text(failure.message), body(failure.body));
            AdapterError::Upstream(UpstreamFailure { message, body, ..failure })
        }
        AdapterError::Unreachable(said) => AdapterError::Unreachable(text(said)),
        AdapterError::Timeout(said) => AdapterError::Timeout(text(said)),
        AdapterError::Denied => AdapterError::Denied,
        AdapterError::Internal(said) => AdapterError::Internal(text(said)),
    }
}

/// An adapter's error in one line.
fn describe(error: &AdapterError) -> String {
    match error {
        AdapterError::InvalidRequest(text) => format!("invalid request: {text}"),
        AdapterError::ModelNotFound(text) => format!("model not found: {text}"),
        AdapterError::Unauthorized(text) => format!("the provider refused the credentials: {text}"),
        AdapterError::RateLimited(limit) => format!("the provider asks to slow down: {}", limit.message),
        AdapterError::Upstream(failure) => format!("the provider answered {}: {}", failure.status, failure.message),
        AdapterError::Unreachable(text) => format!("the provider can't be reached: {text}"),
        AdapterError::Timeout(text) => format!("the provider took too long: {text}"),
        AdapterError::Denied => "the policy denied the adapter's request".to_owned(),
        AdapterError::Internal(text) => format!("the adapter failed: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_adapters_errors_are_bounded() {
        let long = "ä".repeat(MAX_TEXT);
        let said = |error| CallError::Adapter(bound(error)).to_string().len();
        let limit = RateLimit { message: long.clone(), retry_after: Some(long.clone()), body: Some(long.clone()) };
        let failure = |bytes| UpstreamFailure {
            status: 400,
            message: long.clone(),
            retryable: false,
            body: Some("x".repeat(bytes)),
        };
        for error in [
            AdapterError::InvalidRequest(long.clone()),
            AdapterError::ModelNotFound(long.clone()),
            AdapterError::Unauthorized(long.clone()),
            AdapterError::RateLimited(limit.clone()),
            AdapterError::Upstream(failure(1)),
            AdapterError::Unreachable(long.clone()),
            AdapterError::Timeout(long.clone()),
            AdapterError::Internal(long.clone()),
        ] {
            let length = said(error);
            assert!((MAX_TEXT..MAX_TEXT + 100).contains(&length), "{length}");
        }
        let AdapterError::RateLimited(limit) = bound(AdapterError::RateLimited(limit)) else { panic!("another error") };
        assert!(limit.retry_after.is_some_and(|text| text.len() < MAX_TEXT + 10));
        for (bytes, is_kept) in [(MAX_BODY, true), (MAX_BODY + 1, false)] {
            let AdapterError::Upstream(failure) = bound(AdapterError::Upstream(failure(bytes))) else {
                panic!("another error")
            };
            assert_eq!(failure.body.is_some(), is_kept, "{bytes}");
        }
        assert!(
            matches!(bound(AdapterError::Internal("short".into())), AdapterError::Internal(text) if text == "short")
        );
    }
}
