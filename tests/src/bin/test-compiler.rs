//! The program that compiles adapters for gateways that run in the process of a test.

use std::process::ExitCode;

fn main() -> ExitCode {
    hauski_runtime::compile_stdin()
}
