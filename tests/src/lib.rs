//! What the tests over the whole are made with: the real gateway in this process, scripted upstreams, a client that sees bytes.

mod builder;
mod client;
mod compiler;
mod host;
mod log;
mod routing;
mod upstream;

pub use builder::{Builder, adapter, guest};
pub use client::{Answer, Client};
pub use compiler::compiler;
pub use host::TestHost;
pub use log::Log;
pub use routing::UNRELATED;
pub use upstream::{Conversation, Upstream};
