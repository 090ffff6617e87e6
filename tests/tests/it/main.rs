//! The tests over the whole: the real gateway in this process, real sockets, real components.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests: what fails here has failed")]

mod access;
mod adapter;
mod attacks;
mod audit;
mod chat;
mod console;
mod contract;
mod egress;
mod endpoints;
mod front;
mod guests;
mod leaving;
mod ledger;
mod limits;
mod limits_reload;
mod loading;
mod locality;
mod models;
mod reloading;
mod request_log;
mod secrets;
mod shipped;
mod stopping;
mod swapping;
mod telemetry;
mod tidy;
mod tls;
