//! Policy files: parsing ends, what parses prints and parses to the same, and no part of a file grants more than all of it.
#![no_main]

#[path = "../../host/policy/tests/reference/mod.rs"]
#[expect(dead_code, reason = "the other checks are for others")]
mod reference;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reference::fuzz_policy(data));
