//! Server-sent events: however the bytes are cut, the events are those of the specification.
#![no_main]

#[path = "../../sdk/rust/tests/reference/mod.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reference::fuzz_sse(data));
