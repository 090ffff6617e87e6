//! The dialects: what is accepted converts to JSON, and an answer depends neither on cuts nor on blanks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hauski_server::fuzzing::dialects(data));
