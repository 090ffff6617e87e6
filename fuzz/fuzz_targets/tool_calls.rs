//! The assembly of tool calls: each piece belongs to the call that slow code finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hauski_server::fuzzing::tool_calls(data));
