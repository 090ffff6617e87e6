//! Requests' targets: what is accepted reads the same to the `url` crate, and the guard permits what an entry covers.
#![no_main]

#[path = "../../host/policy/tests/reference/mod.rs"]
#[expect(dead_code, reason = "the other checks are for others")]
mod reference;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reference::fuzz_url(data));
