//! The guard against request smuggling: hyper and a plain reader find the same heads and bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hauski_server::fuzzing::heads(data));
