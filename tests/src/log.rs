//! The log of the whole test process, to be searched by what only one test has.

use std::io;
use std::sync::{Mutex, Once, PoisonError};
use tracing_subscriber::fmt::MakeWriter;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The log that is written while tests run.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Log {
    /// Starts to write it down; further calls do nothing.
    pub fn start() {
        static START: Once = Once::new();
        START.call_once(|| {
            let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Log);
            log.with_max_level(tracing::Level::DEBUG).init();
        });
    }

    /// The lines so far that hold `text`.
    #[must_use]
    pub fn lines_with(text: &str) -> Vec<String> {
        let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.contains(text)).cloned().collect()
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// A call is a line.
impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line).into_owned();
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
