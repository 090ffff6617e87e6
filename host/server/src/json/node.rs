//! An object of the client's request, with the place where it stands.
//!
//! In goes JSON text with its place, such as `input[2].content[0]`; out come its members, one by one, or errors that name the field.
//! What nobody takes is passed on or refused, never dropped.

use super::{Members, decoded, elements};
use crate::error::ApiError;
use std::borrow::Cow;

/// An object whose members are taken one by one.
#[derive(Default)]
pub(crate) struct Node<'a> {
    at: String,
    members: Members<'a>,
}

impl<'a> Node<'a> {
    /// The object `text`, which stands at `at`.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn new(text: &'a str, at: String) -> Result<Self, ApiError> {
        match Members::of(text) {
            Some(members) => Ok(Self { at, members }),
            None => Err(ApiError::wrong(at, "an object")),
        }
    }

    /// The body, whose members have no place before their names.
    pub(crate) fn body(text: &'a str) -> Result<Self, ApiError> {
        match Members::of(text) {
            Some(members) => Ok(Self { at: String::new(), members }),
            None => Err(ApiError::invalid("invalid_json", None, "the body is no JSON object")),
        }
    }

    /// The place of a member.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// A member's JSON, which stays.
    pub(crate) fn peek(&self, name: &str) -> Option<&'a str> {
        self.members.get(name)
    }

    /// Takes a member's JSON.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a str> {
        self.members.take(name)
    }

    /// Takes a member that is a string, as JSON.
    pub(crate) fn string(&mut self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let value = self.take(name);
        if value.is_some_and(|value| !value.starts_with('"')) {
            return Err(self.wrong(name, "a string"));
        }
        Ok(value)
    }

    /// Takes a member that is a string and has to be there, as JSON.
    pub(crate) fn needed(&mut self, name: &str) -> Result<&'a str, ApiError> {
        self.string(name)?.ok_or_else(|| self.wrong(name, "a string, and is missing"))
    }

    /// Whether a member, which stays, is `true` and not `false`.
    pub(crate) fn is(&self, name: &str) -> Result<bool, ApiError> {
        match self.peek(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.wrong(name, "`true` or `false`")),
        }
    }

    /// Takes a member that is `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        let flag = self.is(name)?;
        self.take(name);
        Ok(flag)
    }

    /// Takes a member that is a JSON Schema and has to be there.
    pub(crate) fn schema(&mut self, name: &str) -> Result<&'a str, ApiError> {
        let schema = self.take(name).filter(|schema| schema.starts_with('{'));
        schema.ok_or_else(|| self.wrong(name, "a JSON Schema, which is an object"))
    }

    /// Takes a member that is an object.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Node<'a>>, ApiError> {
        self.take(name).map(|value| Node::new(value, self.path(name))).transpose()
    }

    /// Takes a member that is an array: its elements, with their places.
    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<(&'a str, String)>>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let elements = elements(value).ok_or_else(|| self.wrong(name, "an array"))?;
        let path = self.path(name);
        let placed = elements.into_iter().enumerate();
        Ok(Some(placed.map(|(at, element)| (element, format!("{path}[{at}]"))).collect()))
    }

    /// Takes a member that is an array of objects.
    pub(crate) fn objects(&mut self, name: &str) -> Result<Option<Vec<Node<'a>>>, ApiError> {
        let list = self.list(name)?;
        list.map(|list| list.into_iter().map(|(element, at)| Node::new(element, at)).collect()).transpose()
    }

    /// Takes `type`, decoded; empty if it is missing.
    pub(crate) fn kind(&mut self) -> Result<Cow<'a, str>, ApiError> {
        Ok(self.string("type")?.map(decoded).unwrap_or_default())
    }

    /// The same where it has to be there.
    pub(crate) fn needed_kind(&mut self) -> Result<Cow<'a, str>, ApiError> {
        self.needed("type").map(decoded)
    }

    /// Takes a member that can't be honoured: it is refused unless its value is one of those that ask for nothing.
    pub(crate) fn refuse(&mut self, name: &str, harmless: &[&str], instead: &str) -> Result<(), ApiError> {
        match self.take(name) {
            Some(value) if !harmless.contains(&value) => Err(self.unsupported(name, instead)),
            Some(_) | None => Ok(()),
        }
    }

    /// An error for a member that has the wrong type or value; `expected` completes "has to be".
    pub(crate) fn wrong(&self, name: &str, expected: &str) -> ApiError {
        ApiError::wrong(self.path(name), expected)
    }

    /// An error for a member that asks for what isn't done; `instead` says what to do.
    pub(crate) fn unsupported(&self, name: &str, instead: &str) -> ApiError {
        let path = self.path(name);
        let message = format!("`{path}` is not supported here: {instead}");
        ApiError::unsupported(path, message)
    }

    /// The members that are left; they are passed on, next to members with the names `ours`, which nothing may have twice.
    pub(crate) fn rest(mut self, ours: &[&str]) -> Result<Members<'a>, ApiError> {
        for name in ours {
            self.refuse(name, &[], "it is no field of this API; leave it out")?;
        }
        Ok(self.members)
    }

    /// Refuses what is left and asks for something, where there is no place to pass it on to.
    pub(crate) fn nothing_else(self) -> Result<(), ApiError> {
        match self.members.iter().find(|(_, value)| *value != "false") {
            Some((name, _)) => Err(self.unsupported(name, "chat completions have no counterpart; leave it out")),
            None => Ok(()),
        }
    }
}
