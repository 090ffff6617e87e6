//! The front's cases, row by row: `r01_…` is row 1, and so on.

mod errors;
pub(crate) mod ground;
mod routes;
