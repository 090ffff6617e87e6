//! The front: an OpenAI-compatible API over the adapters, with health, metrics and, on request, the configuration.
//!
//! In go clients' requests over HTTP; out come answers of adapters, whole or piece by piece, and errors in OpenAI's form. The
//! way of a request: `observe` (id, metrics, log), `origin` (foreign pages), `router`, a handler, the runtime.

mod app;
mod body;
mod chat_request;
pub mod environment;
mod error;
mod handlers;
mod locality;
mod metrics;
mod observe;
mod origin;
mod patience;
mod reload;
mod router;
mod serve;
pub mod setup;
mod source;
mod sse;
mod view;
mod watch;

pub use app::Gateway;
pub use environment::{Environment, Process, Settings};
pub use metrics::Metrics;
pub use reload::log_warnings;
pub use serve::{Running, StartError, start};
pub use view::View;
