//! The fields of a line of the log's text form, in the manner of logfmt: `message key=value key="value with blanks"`.
//!
//! Values come from clients, adapters and providers. A value with blanks, quotes, `=` or characters that control a terminal is
//! quoted and escaped, so that it can look neither like another field nor like another line. `tracing_subscriber`'s own format
//! writes values that are recorded by `Display` as they are.

use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// The field that holds a line's message.
const MESSAGE: &str = "message";

/// A formatter of fields.
pub(super) struct Logfmt;

impl<'w> FormatFields<'w> for Logfmt {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

/// A writer of fields, one after the other.
struct Visitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn write(&mut self, field: &Field, value: &str) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if field.name() == MESSAGE {
            return write_value(&mut self.writer, value, &['=']);
        }
        write!(self.writer, "{}=", field.name())?;
        write_value(&mut self.writer, value, &['=', ' '])
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() {
            self.result = self.write(field, value);
        }
    }

    /// Writes all that is no text, and what is recorded by `Display`.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Writes `value`, quoted and escaped if it is empty or holds one of `reserved`, a quote, a backslash, or what is not printed.
fn write_value(writer: &mut Writer<'_>, value: &str, reserved: &[char]) -> fmt::Result {
    let quoted = format!("{value:?}");
    let is_plain = quoted.len() == value.len() + 2 && !value.is_empty() && !value.contains(reserved);
    writer.write_str(if is_plain { value } else { &quoted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// Returns what the log has of that which `write` logs.
    fn logged(write: impl FnOnce()) -> String {
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().fmt_fields(Logfmt).without_time().with_target(false).with_level(false);
        tracing::subscriber::with_default(log.with_writer(lines.clone()).finish(), write);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[track_caller]
    fn check(value: &str, expected: &str) {
        // By all ways in which a value can be recorded.
        assert_eq!(logged(|| tracing::error!(key = value, "m")), format!("m key={expected}\n"));
        assert_eq!(logged(|| tracing::error!(key = %value, "m")), format!("m key={expected}\n"));
    }

    #[test]
    fn value_is_written_as_it_is_when_it_is_unambiguous() {
        for value in ["echo", "/v1/models", "https://a.test:443", "sha256:00", "it's", "ü", "{a,b}"] {
            check(value, value);
        }
    }

    #[test]
    fn value_is_quoted_when_it_could_be_read_otherwise() {
        check("", "\"\"");
        check("two words", "\"two words\"");
        check("a=b", "\"a=b\"");
        check("say \"a\"", "\"say \\\"a\\\"\"");
        check("a\\b", "\"a\\\\b\"");
    }

    #[test]
    fn value_forges_no_line() {
        let forged = "x\n2026-01-01T00:00:00Z ERROR hauski: forged";
        check(forged, "\"x\\n2026-01-01T00:00:00Z ERROR hauski: forged\"");
        for (value, expected) in [
            ("\r", "\\r"),
            ("\t", "\\t"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\u{85}", "\\u{85}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{2028}", "\\u{2028}"),
            ("\u{202e}", "\\u{202e}"),
            ("\u{a0}", "\\u{a0}"),
        ] {
            check(value, &format!("\"{expected}\""));
            let line = logged(|| tracing::error!("a{value}"));
            assert_eq!(line, format!("\"a{expected}\"\n"));
        }
    }

    #[test]
    fn message_with_a_field_in_it_is_quoted() {
        assert_eq!(logged(|| tracing::error!(key = 1, "two words")), "two words key=1\n");
        assert_eq!(logged(|| tracing::error!(key = 1, "key=2")), "\"key=2\" key=1\n");
        assert_eq!(logged(|| tracing::error!(key = 1, "said \"x\"")), "\"said \\\"x\\\"\" key=1\n");
    }

    #[test]
    fn numbers_and_absent_values_need_no_quotes() {
        let (none, some) = (None::<u64>, Some("a b"));
        let line = logged(|| tracing::error!(none, some, yes = true, ms = 0.25, count = -3, "m"));
        assert_eq!(line, "m some=\"a b\" yes=true ms=0.25 count=-3\n");
    }
}
