//! An object that is being written, member by member.
//!
//! In go names and JSON texts; out comes JSON.

use super::{Members, quoted};
use crate::work::visit;

/// An object in the making.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    /// One that will have about so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self(text)
    }

    /// Adds a member. `name` needs no escapes, `value` is JSON.
    pub(crate) fn put(mut self, name: &str, value: &str) -> Self {
        self.separate();
        for part in ["\"", name, "\":", value] {
            self.push(part);
        }
        self
    }

    /// Adds a member whose value is a text.
    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.put(name, &quoted(value))
    }

    /// Adds a member if there is a value for it.
    pub(crate) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    /// Adds members as they came.
    pub(crate) fn pass(mut self, members: &Members) -> Self {
        for (written, value) in members.written() {
            self.separate();
            for part in [written, ":", value] {
                self.push(part);
            }
        }
        self
    }

    /// Adds what [`Object::members`] gave.
    pub(crate) fn splice(mut self, members: &str) -> Self {
        if !members.is_empty() {
            self.separate();
            self.push(members);
        }
        self
    }

    /// The members without the braces.
    pub(crate) fn members(mut self) -> String {
        visit(self.0.len());
        self.0.remove(0);
        self.0
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn push(&mut self, part: &str) {
        visit(part.len());
        self.0.push_str(part);
    }

    fn separate(&mut self) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
    }
}

/// The array of some JSON texts.
pub(crate) fn array<T: AsRef<str>>(elements: &[T]) -> String {
    let mut text = String::from("[");
    for (at, element) in elements.iter().enumerate() {
        text.push_str(if at == 0 { "" } else { "," });
        visit(element.as_ref().len());
        text.push_str(element.as_ref());
    }
    text.push(']');
    text
}
