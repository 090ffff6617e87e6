//! The front's cases, row by row: `r01_…` is row 1, and so on.

mod anthropic;
mod bounds;
mod ending;
mod errors;
pub(crate) mod ground;
mod large;
mod leaving;
mod reading;
mod resilience;
mod routes;
mod safety;
mod shape;
mod stage;
mod table;
mod through;
pub(crate) mod time;
mod together;
mod uploads;
mod usage;
