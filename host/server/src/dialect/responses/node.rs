//! An object of the client's request, with the place where it stands.
//!
//! In goes JSON text with its place, such as `input[2].content[0]`; out come its members, or errors that name the field.

use super::json::{Members, decoded, elements};
use crate::error::ApiError;
use std::borrow::Cow;

/// An object whose members are taken one by one.
pub(super) struct Node<'a> {
    at: String,
    members: Members<'a>,
}

impl<'a> Node<'a> {
    /// The object `text`, which stands at `at`.
    ///
    /// # Errors
    /// If it is something else.
    pub(super) fn new(text: &'a str, at: String) -> Result<Self, ApiError> {
        match Members::of(text) {
            Some(members) => Ok(Self { at, members }),
            None => Err(ApiError::wrong(at, "an object")),
        }
    }

    /// The body, whose members have no place before their names.
    pub(super) fn body(text: &'a str) -> Result<Self, ApiError> {
        match Members::of(text) {
            Some(members) => Ok(Self { at: String::new(), members }),
            None => Err(ApiError::invalid("invalid_json", None, "the body is no JSON object")),
        }
    }

    /// The place of a member.
    pub(super) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// A member's JSON, which stays.
    pub(super) fn peek(&self, name: &str) -> Option<&'a str> {
        self.members.get(name)
    }

    /// Takes a member's JSON.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a str> {
        self.members.take(name)
    }

    /// Takes a member that is a string, as JSON.
    pub(super) fn string(&mut self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let value = self.take(name);
        if value.is_some_and(|value| !value.starts_with('"')) {
            return Err(ApiError::wrong(self.path(name), "a string"));
        }
        Ok(value)
    }

    /// Takes a member that is a string and has to be there, as JSON.
    pub(super) fn needed(&mut self, name: &str) -> Result<&'a str, ApiError> {
        self.string(name)?.ok_or_else(|| ApiError::wrong(self.path(name), "a string, and is missing"))
    }

    /// Takes a member that is `true` or `false`.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.take(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ApiError::wrong(self.path(name), "`true` or `false`")),
        }
    }

    /// Takes a member that is an object.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Node<'a>>, ApiError> {
        self.take(name).map(|value| Node::new(value, self.path(name))).transpose()
    }

    /// Takes a member that is an array: its elements, with their places.
    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<(&'a str, String)>>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let path = self.path(name);
        match elements(value) {
            Some(elements) => Ok(Some(
                elements.into_iter().enumerate().map(|(at, raw)| (raw.get(), format!("{path}[{at}]"))).collect(),
            )),
            None => Err(ApiError::wrong(path, "an array")),
        }
    }

    /// Takes `type`, decoded; empty if it is missing.
    pub(super) fn kind(&mut self) -> Result<Cow<'a, str>, ApiError> {
        Ok(self.string("type")?.map(decoded).unwrap_or_default())
    }

    /// Takes a member that can't be honoured: it is refused unless its value is one of those that ask for nothing.
    pub(super) fn refuse(&mut self, name: &str, harmless: &[&str], instead: &str) -> Result<(), ApiError> {
        match self.take(name) {
            Some(value) if !harmless.contains(&value) => Err(self.unsupported(name, instead)),
            Some(_) | None => Ok(()),
        }
    }

    /// An error for a member that asks for what isn't done; `instead` says what to do.
    pub(super) fn unsupported(&self, name: &str, instead: &str) -> ApiError {
        let path = self.path(name);
        let message = format!("`{path}` is not supported here: {instead}");
        ApiError::unsupported(path, message)
    }

    /// The members that are left; they are passed on, next to members with the names `ours`, which nothing may have twice.
    pub(super) fn rest(mut self, ours: &[&str]) -> Result<Members<'a>, ApiError> {
        for name in ours {
            self.refuse(name, &[], "it is no field of responses; leave it out")?;
        }
        Ok(self.members)
    }

    /// Refuses what is left where there is no place to pass it on to.
    pub(super) fn nothing_else(self) -> Result<(), ApiError> {
        match self.members.first() {
            Some(name) => Err(self.unsupported(name, "chat completions have no counterpart; leave it out")),
            None => Ok(()),
        }
    }
}
