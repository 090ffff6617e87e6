//! The program that compiles adapters for gateways in the process of a test.

use hauski_runtime::Compiler;
use std::path::Path;

/// Returns the program that compiles adapters for gateways in the process of a test.
///
/// It is built with the tests: `hauski` itself for those of the command line, and else a program that does nothing else.
///
/// # Panics
/// If this process does not say where it is.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without its compiler has failed")]
pub fn compiler() -> Compiler {
    let own = std::env::current_exe().expect("the path of this test");
    let folder =
        own.ancestors().find(|path| path.ends_with("deps") || path.ends_with("examples")).and_then(Path::parent);
    let is_cli = std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == "hauski-cli");
    Compiler::at(folder.expect("a target folder").join(if is_cli { "hauski" } else { "test-compiler" }))
}
