//! The tests over the whole: the real gateway in this process, real sockets, real components.

mod adapter;
mod chat;
mod egress;
mod endpoints;
mod guests;
mod loading;
mod stopping;
mod tidy;
