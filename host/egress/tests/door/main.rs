//! The door from outside: real connections over loopback, raw bytes where bytes matter, a resolver that the test owns.

#[cfg(test)]
mod clocks;
#[cfg(test)]
mod echoes;
#[cfg(test)]
mod permits;
#[cfg(test)]
mod pooling;
#[cfg(test)]
#[path = "../common/provider.rs"]
mod provider;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod reloading;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod tls;
#[cfg(test)]
#[path = "../common/upstream.rs"]
mod upstream;
#[cfg(test)]
#[path = "../common/world.rs"]
mod world;
