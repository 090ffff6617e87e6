//! The redactor: however an answer is cut, what comes out is what slow code makes of it, and its pieces tell nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hauski_egress::fuzzing::check(data));
