//! A file for each noun.

pub(crate) mod adapters;
pub(crate) mod answers;
pub(crate) mod config;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod openapi;
pub(crate) mod root;
