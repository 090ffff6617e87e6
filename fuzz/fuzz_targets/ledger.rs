//! The ledger: a change is found, and recovery keeps each whole record before the damage.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hauski_egress::fuzzing::ledger::check(data, &std::env::temp_dir()));
