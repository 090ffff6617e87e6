//! The policy files: each with its raw form, its validation, and its valid form as JSON in the shape of the file.

mod credentials;
mod grant;
mod keys;
mod limits;
mod lock;
mod model_names;
mod models;
mod routes;
mod routing;
pub(crate) mod schema;
mod secret;

pub use routing::Routing;
