//! Lines for the operator's log. Bounded by the host; never log prompts or what a client sent.

use crate::bindings::imports::hauski::adapter::log;

pub use log::Level;

/// Writes one line with fields.
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields: Vec<(String, String)> = fields.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    log::write(level, message, &fields);
}

/// Writes a line for the adapter's author.
pub fn debug(message: &str) {
    write(Level::Debug, message, &[]);
}

/// Writes a line that is worth knowing.
pub fn info(message: &str) {
    write(Level::Info, message, &[]);
}

/// Writes a line that is worth a look.
pub fn warn(message: &str) {
    write(Level::Warn, message, &[]);
}

/// Writes a line about something that failed.
pub fn error(message: &str) {
    write(Level::Error, message, &[]);
}
