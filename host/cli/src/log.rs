//! The log: lines on standard error, written by a thread of its own.
//!
//! Workers hand their lines over and go on: a terminal that is paused, or a log collector that hangs, must not hold up the
//! requests of a whole core. Up to [`LINES`] wait; beyond that lines are dropped, and counted at the end.

use crate::failure::colour;
use hauski_server::environment::LogFormat;
use std::io;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The most lines that wait to be written: some megabytes.
const LINES: usize = 16_384;

/// What is logged, and how.
pub(crate) struct Wanted {
    pub(crate) filter: EnvFilter,
    pub(crate) format: LogFormat,
}

/// The log while it is written; what waits is written when this is dropped, which takes a second at most.
pub(crate) struct Log {
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

impl Log {
    /// Starts the log as it was asked for.
    pub(crate) fn start(wanted: Wanted) -> Self {
        let (lines, writer) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LINES)
            .thread_name("hauski-log")
            .finish(io::stderr());
        let dropped = lines.error_counter();
        let log = tracing_subscriber::fmt().with_env_filter(wanted.filter).with_writer(lines);
        match wanted.format {
            LogFormat::Text => log.with_ansi(colour(&io::stderr())).init(),
            LogFormat::Json => log.with_ansi(false).json().flatten_event(true).with_current_span(false).init(),
        }
        Self { dropped, _writer: writer }
    }
}

/// The filter that the text of [`LOG`](hauski_server::environment::LOG) describes, if it is one.
pub(crate) fn filter(text: &str) -> Option<EnvFilter> {
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(text).ok()
}

impl Drop for Log {
    fn drop(&mut self) {
        let lines = self.dropped.dropped_lines();
        if lines > 0 {
            tracing::warn!(lines, "nobody took the log quickly enough: lines were dropped");
        }
    }
}
