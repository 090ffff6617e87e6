//! Server-sent events, as the WHATWG specification reads them.
//!
//! In: bytes, cut anywhere. Out: events. However the bytes are cut, the events are the same. Each byte is looked at once,
//! and no more is kept than one event, which has a cap.
//!
//! One field is read that the specification does not have: `error`, by which llama.cpp's server says in the place of `data` that
//! an answer failed. It gives an event with the name `error`, whose data is an object with that member.

mod lines;

use std::mem::take;

use serde_json::value::RawValue;

use crate::Error;
use lines::Lines;

/// How large one event may be if nothing else is said: 8 MiB.
pub const MAX_EVENT: usize = 8 * 1024 * 1024;

/// An event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The event's name; empty if it has none, which means `message`.
    pub name: String,
    /// The `data` lines, joined by line feeds.
    pub data: String,
    /// The last `id` that the stream gave, with this event or before.
    pub id: String,
}

/// Reads events out of bytes.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    max: usize,
    name: String,
    data: Option<String>,
    /// The event is one of an `error` field: nothing else makes another of it.
    failed: bool,
    id: String,
    retry: Option<u64>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::with_max(MAX_EVENT)
    }
}

impl Reader {
    /// A reader for a new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader for a new stream whose events may have this many bytes.
    #[must_use]
    pub fn with_max(max: usize) -> Self {
        let (name, id) = (String::new(), String::new());
        Self { lines: Lines::default(), max, name, data: None, failed: false, id, retry: None }
    }

    /// Takes the next bytes. Call [`next`](Self::next) until it gives `None` before the next ones.
    pub fn feed(&mut self, bytes: Vec<u8>) {
        self.lines.feed(bytes);
    }

    /// The next event; `None` if it needs more bytes.
    ///
    /// # Errors
    /// `upstream` if the bytes are no UTF-8 or an event is too large. The reader is of no use afterwards.
    #[expect(clippy::should_implement_trait, reason = "`None` is not the end, but a wish for more bytes")]
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        let Self { lines, max, name, data, failed, id, retry } = self;
        loop {
            let room = max.saturating_sub(data.as_ref().map_or(0, String::len));
            let Some(line) = lines.next() else {
                return if lines.waiting() > room { Err(too_large(*max)) } else { Ok(None) };
            };
            if line.len() > room {
                return Err(too_large(*max));
            }
            let line = str::from_utf8(line).map_err(|_| malformed("the event stream is not UTF-8"))?;
            if line.is_empty() {
                let name = take(name);
                *failed = false;
                if let Some(data) = take(data) {
                    return Ok(Some(Event { name, data, id: id.clone() }));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" | "event" | "error" if *failed => {}
                "data" => match data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => *data = Some(value.to_owned()),
                },
                "event" => value.clone_into(name),
                "error" if !matches!(value, "" | "null") => {
                    *failed = true;
                    "error".clone_into(name);
                    *data = Some(as_member(value));
                }
                "id" if !value.contains('\0') => value.clone_into(id),
                "retry" if value.bytes().all(|b| b.is_ascii_digit()) => *retry = value.parse().ok().or(*retry),
                _ => {}
            }
        }
    }

    /// Ends the stream: the last event if its blank line, or the end of its last line, is missing.
    ///
    /// The specification drops such an event. Providers forget the blank line, so it is handed out here; whether it is whole
    /// is for the caller to judge.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub fn finish(mut self) -> Result<Option<Event>, Error> {
        self.lines.finish();
        match self.next()? {
            Some(event) => Ok(Some(event)),
            None => Ok(self.data.map(|data| Event { name: self.name, data, id: self.id })),
        }
    }

    /// How long to wait before connecting again, in milliseconds, if the stream said so.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }
}

/// An object whose member `error` is this JSON, or this text if it is none.
fn as_member(value: &str) -> String {
    match serde_json::from_str::<&RawValue>(value) {
        Ok(value) => format!(r#"{{"error":{value}}}"#),
        Err(_) => serde_json::json!({ "error": value }).to_string(),
    }
}

fn too_large(max: usize) -> Error {
    malformed(&format!("an event of the stream is larger than {max} bytes"))
}

fn malformed(message: &str) -> Error {
    Error::upstream(502, message, false)
}

#[cfg(test)]
mod tests;
