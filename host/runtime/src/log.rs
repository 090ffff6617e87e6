//! The import `log`: an adapter's lines in the operator's log, bounded in number and size, with control characters escaped.

use crate::bindings::hauski::adapter::log::{Host, Level};
use crate::state::State;
use std::fmt::Write;

/// Lines that one request may write; one more is dropped, and the first drop is noted.
const LINES: u32 = 32;
/// Characters of a line, fields included.
const LENGTH: usize = 1_024;

impl Host for State {
    fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.log_lines = self.log_lines.saturating_add(1);
        let (adapter, request_id) = (self.caller.id().as_str(), &*self.call.request_id);
        if self.log_lines > LINES {
            if self.log_lines == LINES + 1 {
                tracing::warn!(adapter, request_id, "adapter wrote more than {LINES} lines; the rest is dropped");
            }
            return Ok(());
        }
        let line = line(&message, &fields);
        match level {
            Level::Debug => tracing::debug!(adapter, request_id, "{line}"),
            Level::Info => tracing::info!(adapter, request_id, "{line}"),
            Level::Warn => tracing::warn!(adapter, request_id, "{line}"),
            Level::Error => tracing::error!(adapter, request_id, "{line}"),
        }
        Ok(())
    }
}

/// One line of at most [`LENGTH`] characters without control characters.
fn line(message: &str, fields: &[(String, String)]) -> String {
    let mut line = String::new();
    let mut left = LENGTH;
    let mut push = |text: &str| {
        let part: String = text.chars().take(left).collect();
        left -= part.chars().count();
        let _ = write!(line, "{}", part.escape_debug());
    };
    push(message);
    for (key, value) in fields {
        push(" ");
        push(key);
        push("=");
        push(value);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_escaped() {
        let fields = [("k\n".to_owned(), "v".to_owned())];
        assert_eq!(line("a\u{1b}[31mb", &fields), "a\\u{1b}[31mb k\\n=v");
        assert_eq!(line(&"x".repeat(5_000), &fields).len(), LENGTH);
    }
}
