//! The front: an OpenAI-compatible API over the adapters, with health, metrics and, on request, the configuration.
//!
//! In go clients' requests over HTTP; out come answers of adapters, whole or piece by piece, and errors in OpenAI's form. The
//! way of a request: `observe` (id, metrics, log), `access` (foreign pages, clients' keys), `router`, a handler, the runtime.

mod access;
mod app;
mod approved;
mod ask;
mod body;
mod breaker;
mod breakers;
mod capacity;
mod chat_request;
mod circuit;
mod connections;
mod console;
mod dialect;
mod embedding_request;
pub mod environment;
mod error;
mod exchange;
pub mod explain;
mod form;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handlers;
mod heads;
mod json;
mod limits_file;
pub mod listing;
mod locality;
mod metrics;
mod models_file;
mod normalise;
mod observe;
mod offload;
mod openapi;
mod origin;
mod patience;
mod pipeline;
mod plan;
mod probe;
mod question;
mod reload;
mod remote_urls;
mod report;
mod retry;
mod router;
mod serve;
pub mod setup;
mod socket;
mod source;
mod sse;
mod tally;
mod telemetry;
mod tls;
mod unread;
mod view;
mod watch;
mod wire;
mod work;

pub use access::{FreshKey, NoRandom};
pub use app::Gateway;
pub use environment::{Environment, Process, Settings};
pub use metrics::Metrics;
pub use probe::{ProviderError, ProviderErrorKind, ProviderReport, ask_providers};
pub use reload::log_warnings;
pub use serve::{Running, StartError, start};
pub use telemetry::{Endpoint, InvalidEndpoint};
pub use view::View;
