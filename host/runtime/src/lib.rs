//! The sandbox: loads adapters, judges what they import, and gives each request a fresh instance.
//!
//! In go a folder of components, limits, and requests as JSON text; out come answers, chunks, and errors
//! that name what failed. An adapter's failure, of any kind, is that request's failure only. The only way out for a guest is
//! the egress door that comes with each call.

mod adapter;
mod audit;
mod bindings;
mod engine;
mod error;
mod folder;
mod imports;
mod instance;
mod load;
mod log;
mod memory;
mod meter;
mod progress;
mod reply;
mod sends;
mod settings;
mod slots;
mod state;
mod upstream;
mod wasi_http;

pub use adapter::Adapter;
pub use audit::{Audit, ConfigKey, Description, GrantLine, Profile};
pub use error::{AdapterError, CallError, Full, RateLimit, UpstreamFailure};
pub use folder::{Adapters, FolderError, Refused};
pub use imports::{Import, ImportState};
pub use load::LoadError;
pub use progress::{Progress, TimedOut};
pub use reply::Reply;
pub use state::Call;

use hauski_policy::Limits;
use std::path::Path;
use wasmtime::Engine;

/// The engine and the pool that all adapters share.
pub struct Runtime {
    engine: Engine,
    pool: slots::Pool,
    /// The largest request of a client, in bytes.
    request_bytes: usize,
}

/// The engine can't be made on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine can't be started: {0}")]
pub struct EngineError(String);

impl Runtime {
    /// Makes the engine; its pool is laid out for the largest of `limits`.
    ///
    /// # Errors
    /// If this machine has no place for it.
    pub fn new(limits: &Limits) -> Result<Self, EngineError> {
        let engine = engine::build(limits).map_err(|error| EngineError(format!("{error:#}")))?;
        Ok(Self { engine, pool: slots::Pool::new(), request_bytes: limits.server.request_bytes })
    }

    /// Loads each `.wasm` file of `folder`. A file that can't be loaded is listed with its reason and hinders no other.
    ///
    /// # Errors
    /// If the folder itself can't be read.
    pub async fn load(&self, folder: &Path, limits: &Limits) -> Result<Adapters, FolderError> {
        let loader = load::Loader { engine: &self.engine, pool: &self.pool, request_bytes: self.request_bytes };
        folder::load(&loader, folder, limits).await
    }
}
