//! The response object: what a response says besides its output.
//!
//! In go what is known of request and answer; out comes the object's JSON, on one line.

use super::spoken::Spoken;
use crate::dialect::{UNIQUE, finish};
use crate::error::ApiError;
use crate::json::{Object, one_line, quoted};

/// What a response repeats of its request: clients' types require it.
#[derive(Default)]
pub(super) struct Echo {
    /// The model's name, a JSON string.
    pub(super) model: String,
    /// Members that are the same in each state of the response.
    pub(super) members: String,
    /// The tier that was asked for, until the provider says which one it was.
    pub(super) service_tier: Option<String>,
}

/// What the first words of an answer tell of the whole.
pub(super) struct Head {
    /// What the response's and its items' names are made of.
    pub(super) name: String,
    created: String,
    model: String,
}

/// Why an answer ended.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Finish {
    Completed,
    /// It is cut off, for this reason.
    Cut(&'static str),
}

/// How far a response is.
pub(super) enum Stage<'a> {
    InProgress,
    /// It ended with this output.
    Ended(Finish, &'a str),
    /// It broke off, for this reason.
    Failed(&'a ApiError),
}

impl Head {
    pub(super) fn new(spoken: &Spoken, name: Option<String>, echo: &Echo) -> Self {
        let model = spoken.model().unwrap_or(&echo.model).to_owned();
        let said = spoken.id();
        let name = name.filter(|_| said.len() < UNIQUE).unwrap_or(said);
        Self { name, created: spoken.created().to_owned(), model }
    }
}

impl From<finish::Finish> for Finish {
    fn from(finish: finish::Finish) -> Self {
        match finish {
            finish::Finish::Length => Self::Cut("max_output_tokens"),
            finish::Finish::Filter => Self::Cut("content_filter"),
            finish::Finish::Stop | finish::Finish::Calls => Self::Completed,
        }
    }
}

/// The response's JSON.
pub(super) fn json(head: &Head, echo: &Echo, stage: &Stage, usage: Option<&str>) -> String {
    let (status, output, details) = match stage {
        Stage::InProgress => ("in_progress", "[]", None),
        Stage::Ended(Finish::Completed, output) => ("completed", *output, None),
        Stage::Ended(Finish::Cut(reason), output) => ("incomplete", *output, Some(*reason)),
        Stage::Failed(_) => ("failed", "[]", None),
    };
    let error = match stage {
        Stage::Failed(error) => Object::new().text("code", error.code).text("message", &error.message).end(),
        _ => "null".to_owned(),
    };
    let details = details.map_or("null".to_owned(), |reason| Object::new().put("reason", &quoted(reason)).end());
    let response = Object::new()
        .text("id", &format!("resp_{}", head.name))
        .text("object", "response")
        .put("created_at", &head.created)
        .text("status", status)
        .put("error", &error)
        .put("incomplete_details", &details)
        .put("model", &head.model)
        .put("output", output)
        .put("usage", usage.unwrap_or("null"))
        .put("service_tier", echo.service_tier.as_deref().unwrap_or("null"))
        .splice(&echo.members)
        .end();
    one_line(&response).into_owned()
}
