//! The sandbox: loads adapters, judges what they import, and gives each request a fresh instance.
//!
//! In go a folder of components, which is followed, limits, and requests as JSON text; out come answers, chunks, and errors
//! that name what failed. An adapter's failure, of any kind, is that request's failure only. The only way out for a guest is
//! the egress door that comes with each call.

mod adapter;
mod adapters;
mod aside;
mod audit;
mod bindings;
mod budget;
mod cache;
mod compiler;
mod consumption;
mod engine;
mod error;
mod folder;
mod imports;
mod instance;
mod jobs;
mod library;
mod load;
mod log;
mod memory;
mod meter;
mod outgoing_handler;
mod priority;
mod progress;
mod reply;
mod sends;
mod settings;
mod slots;
mod stamped;
mod state;
mod survey;
mod upstream;
mod wasi_http;

pub use adapter::Adapter;
pub use adapters::{Adapters, Known, Refused};
pub use audit::{Audit, ConfigKey, Description, GrantLine, ModelReach, Profile};
pub use compiler::{Compiler, compile_stdin};
pub use consumption::Consumption;
pub use error::{AdapterError, CallError, Full, RateLimit, UpstreamFailure};
pub use folder::{FolderError, check_folder};
pub use imports::{Import, ImportState};
pub use library::{Changes, Library, LoadOptions, OpenError};
pub use load::LoadError;
pub use progress::{Progress, TimedOut};
pub use reply::{AnswerPlace, Reply, Whole};
pub use slots::Tenant;
pub use stamped::Stamped;
pub use state::Call;
pub use survey::{Survey, SurveyScope, Surveyed};

/// The engine can't be made on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine can't be started: {0}")]
pub struct EngineError(String);
