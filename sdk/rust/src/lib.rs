//! What authors of HausKI adapters in Rust build against.
//!
//! An adapter is a component that speaks to one kind of provider. Implement [`Adapter`] and [`Chat`], [`Embeddings`] or
//! both for a type, and [`export!`] it:
//!
//! ```
//! use hauski_adapter_sdk::{Adapter, Answer, Chat, ChatRequest, Chunks, Description, Error, Json, each};
//!
//! struct Hello;
//!
//! impl Adapter for Hello {
//!     fn describe() -> Description {
//!         Description::new("hello", "0.1.0", "says hello")
//!     }
//!     fn models() -> Result<Vec<Json>, Error> {
//!         Ok(vec![r#"{"id":"hello","object":"model"}"#.into()])
//!     }
//! }
//!
//! impl Chat for Hello {
//!     fn complete(request: ChatRequest) -> Result<Json, Error> {
//!         Ok(Answer::new(request.model()?).completion("hello", None))
//!     }
//!     fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
//!         let answer = Answer::new(request.model()?);
//!         Ok(each([answer.role(), answer.text("hello"), answer.finish("stop")]))
//!     }
//! }
//!
//! hauski_adapter_sdk::export!(Hello: chat);
//! # fn main() {}
//! ```
//!
//! `cargo build --target wasm32-wasip2` then gives a `.wasm` for the adapters folder. `adapters/echo` in the repository is
//! this at full length, `adapters/openai-compatible` shows [`http`], [`sse`] and [`settings`].

mod adapter;
mod answer;
#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod export;
mod failure;
pub mod http;
pub mod log;
mod object;
mod request;
pub mod settings;
pub mod sse;
mod translate;

pub use adapter::{Adapter, Chat, Chunks, Description, Embeddings, each};
pub use answer::{Answer, Usage};
pub use bindings::imports::hauski::adapter::model_types::{Error, Json, RateLimit, UpstreamFailure};
pub use object::Object;
pub use request::{ChatRequest, EmbeddingRequest, Message};
pub use translate::{Flow, Translate, translated};
