//! `adapters.lock`: it prints as it parses, and no beginning of a file approves other bytes.
#![no_main]

#[path = "../../host/policy/tests/reference/mod.rs"]
#[expect(dead_code, reason = "the other checks are for others")]
mod reference;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reference::lock::fuzz_lock(data));
