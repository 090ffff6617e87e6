//! Events that are written one after the other and numbered.
//!
//! In go an event's kind and members; out comes its text, appended to what the client gets.

use crate::json::Object;
use crate::sse;

/// Where events go.
pub(in crate::dialect::responses) struct Events<'a> {
    pub(in crate::dialect::responses) out: &'a mut String,
    /// The next event's number.
    pub(in crate::dialect::responses) next: &'a mut u64,
}

impl Events<'_> {
    /// Writes an event. `kind` is its name and its `type`.
    pub(in crate::dialect::responses) fn send(&mut self, kind: &str, members: Object) {
        let number = self.next.to_string();
        *self.next += 1;
        let data = Object::new().text("type", kind).put("sequence_number", &number).splice(&members.members()).end();
        sse::event(self.out, Some(kind), &data);
    }
}
