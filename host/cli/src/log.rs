//! The log: lines on standard error, written by a thread of its own.
//!
//! Workers hand their lines over and go on: a terminal that is paused, or a log collector that hangs, must not hold up the
//! requests of a whole core. Up to [`LINES`] wait; beyond that lines are dropped, and counted at the end. A panic is a line as well:
//! where and on which thread, and never what it says, which may quote a request.

mod fields;

use crate::failure::colour;
use fields::Logfmt;
use hauski_server::environment::{LogFilter, LogFormat};
use std::io::Write;
use std::panic::PanicHookInfo;
use std::time::Duration;
use std::{io, panic, thread};
use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The most lines that wait to be written: some megabytes.
const LINES: usize = 16_384;

/// The pause after each write, in which lines gather: a request that has one need not wake the thread meanwhile.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);
/// The most bytes that gather.
const MAX_BATCH_BYTES: usize = 64 << 10;

/// What is logged, and how.
pub(crate) struct Wanted {
    pub(crate) filter: LogFilter,
    pub(crate) format: LogFormat,
}

/// The log while it is written; what waits is written when this is dropped, which takes a second at most.
pub(crate) struct Log {
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

impl Log {
    /// Starts the log as it was asked for; panics are told to it from then on.
    pub(crate) fn start(wanted: Wanted) -> Self {
        let (lines, writer) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LINES)
            .thread_name("hauski-log")
            .finish(BatchWriter::new(io::stderr()));
        let dropped = lines.error_counter();
        let log = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(lines);
        let targets = targets(wanted.filter);
        match wanted.format {
            LogFormat::Text => log.with_ansi(colour(&io::stderr())).fmt_fields(Logfmt).finish().with(targets).init(),
            LogFormat::Json => {
                let log = log.with_ansi(false).json().flatten_event(true).with_current_span(false);
                log.finish().with(targets).init();
            }
        }
        panic::set_hook(Box::new(panicked));
        Self { dropped, _writer: writer }
    }
}

/// A writer that gathers lines and writes them at once when it is flushed, which is when no line waits. Then it takes a pause, so that the
/// next ones gather.
struct BatchWriter<W> {
    writer: W,
    lines: Vec<u8>,
}

impl<W: Write> BatchWriter<W> {
    fn new(writer: W) -> Self {
        Self { writer, lines: Vec::new() }
    }

    /// Writes what has gathered. If that fails, it is dropped.
    fn write_gathered(&mut self) -> io::Result<()> {
        let written = self.writer.write_all(&self.lines);
        self.lines.clear();
        written
    }
}

impl<W: Write> Write for BatchWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.extend_from_slice(line);
        if self.lines.len() > MAX_BATCH_BYTES {
            self.write_gathered()?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.write_gathered().and_then(|()| self.writer.flush());
        thread::sleep(FLUSH_INTERVAL);
        flushed
    }
}

/// Has a command that only looks say what it warns of, and which adapters take long to compile.
pub(crate) fn notes() {
    let targets = Targets::new().with_default(Level::WARN).with_target("hauski_runtime", Level::INFO);
    let notes = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(io::stderr).without_time();
    let notes = notes.with_target(false).with_ansi(colour(&io::stderr())).fmt_fields(Logfmt);
    notes.finish().with(targets).init();
}

/// Logs a panic.
fn panicked(info: &PanicHookInfo<'_>) {
    let location = info.location().map(tracing::field::display);
    tracing::error!(location, thread = thread::current().name(), "a panic, which is a mistake in the gateway");
}

/// Returns the filter in the form that the log takes.
fn targets(filter: LogFilter) -> Targets {
    Targets::new().with_default(filter.level).with_targets(filter.targets)
}

impl Drop for Log {
    fn drop(&mut self) {
        let lines = self.dropped.dropped_lines();
        if lines > 0 {
            tracing::warn!(lines, "nobody took the log quickly enough: lines were dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const WORDS: &str = "canary-of-a-panic";

    fn panics(format: LogFormat) {
        let _log = Log::start(Wanted { filter: "info".parse().unwrap(), format });
        assert!(panic::catch_unwind(|| panic!("{WORDS}")).is_err());
    }

    /// Counts what a writer is given.
    #[derive(Default)]
    struct Counting {
        writes: usize,
        bytes: usize,
    }

    impl Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            self.bytes += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_wait_are_written_at_once() {
        let mut log = BatchWriter::new(Counting::default());
        for _ in 0..100 {
            log.write_all(&[b'x'; 100]).unwrap();
        }
        assert_eq!(log.writer.writes, 0);
        log.flush().unwrap();
        assert_eq!((log.writer.writes, log.writer.bytes), (1, 10_000));
        for _ in 0..2_000 {
            log.write_all(&[b'x'; 100]).unwrap();
        }
        assert_eq!(log.writer.writes, 1 + 200_000 / (MAX_BATCH_BYTES + 36), "what gathers is bounded");
        log.flush().unwrap();
        assert_eq!(log.writer.bytes, 210_000);
    }

    #[test]
    #[ignore = "changes its process: the test below has it run in one of its own"]
    fn panics_as_text() {
        panics(LogFormat::Text);
    }

    #[test]
    #[ignore = "changes its process: the test below has it run in one of its own"]
    fn panics_as_json() {
        panics(LogFormat::Json);
    }

    #[test]
    fn a_panic_is_a_line_without_its_words() {
        for (name, field) in
            [("text", "location=host/cli/src/log.rs:"), ("json", r#""location":"host/cli/src/log.rs:"#)]
        {
            let test = format!("log::tests::panics_as_{name}");
            let mut run = Command::new(std::env::current_exe().unwrap());
            let ran = run.args([&test, "--exact", "--ignored", "--nocapture"]).output().unwrap();
            let (told, log) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
            assert!(ran.status.success() && told.contains("1 passed"), "{told}{log}");
            let [line] = &*log.lines().collect::<Vec<_>>() else { panic!("{log}") };
            assert!(line.contains(field) && line.contains(&test) && line.contains("ERROR"), "{line}");
            assert!(!log.contains(WORDS) && !told.contains(WORDS), "{told}{log}");
        }
    }
}
