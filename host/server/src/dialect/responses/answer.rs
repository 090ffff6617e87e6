//! The answer: what the adapter says in chat completions, said in responses.
//!
//! In goes a completion, or its chunks in order; out come the response, or the events that a client puts one together from.

use super::output::{Events, Output, Told};
use super::response::{self, Echo, Finish, Head, Stage};
use super::spoken::Spoken;
use crate::dialect::{Answer, broke, finish};
use crate::error::ApiError;
use crate::json::{Members, Object, one_line, quoted};

/// What has been said so far.
pub(super) struct Response {
    echo: Echo,
    /// What the response is called if its provider's name for it is not unique.
    name: Option<String>,
    /// There is none before the first words.
    head: Option<Head>,
    output: Output,
    finish: Option<Finish>,
    usage: Option<String>,
    /// The next event's number.
    next: u64,
    /// The answer broke off: nothing more is said.
    broken: bool,
}

impl Response {
    pub(super) fn new(echo: Echo, told: Told) -> Self {
        let output = Output::new(String::new(), told);
        Self { echo, name: None, head: None, output, finish: None, usage: None, next: 0, broken: false }
    }

    fn take(&mut self, spoken: &Spoken, out: &mut String) -> Result<(), ApiError> {
        if let Some(tier) = spoken.service_tier {
            self.echo.service_tier = Some(tier.0.to_owned());
        }
        if let Some(usage) = spoken.usage() {
            self.usage = Some(usage);
        }
        let Some(choice) = spoken.choice() else { return Ok(()) };
        let mut next = self.next;
        let mut events = Events { out, next: &mut next };
        // Some providers' first chunk has neither a choice nor an id; the response gets its name from the first that has.
        if self.head.is_none() {
            let head = Head::new(spoken, self.name.take(), &self.echo);
            self.output.named(head.name.clone());
            for kind in ["response.created", "response.in_progress"] {
                let response = response::json(&head, &self.echo, &Stage::InProgress, None);
                events.send(kind, Object::new().put("response", &response));
            }
            self.head = Some(head);
        }
        let added = choice.delta.as_ref().map(|says| self.output.add(choice, says, &mut events));
        self.next = next;
        added.transpose()?;
        if let Some(reason) = choice.finish_reason
            && let Some(finish) = finish::Finish::of(reason.0)?
        {
            self.finish = Some(finish.into());
        }
        Ok(())
    }

    /// Closes the items; gives how the answer ended, and the response.
    fn finish(&mut self, out: &mut String) -> Result<(Finish, String), ApiError> {
        let (Some(head), Some(finish)) = (&self.head, self.finish) else {
            return Err(broke("ended without a `finish_reason`"));
        };
        let cut = finish != Finish::Completed;
        self.output.end(cut, &mut Events { out, next: &mut self.next })?;
        let stage = Stage::Ended(finish, &self.output.json());
        Ok((finish, response::json(head, &self.echo, &stage, self.usage.as_deref())))
    }
}

impl Answer for Response {
    fn named(&mut self, unique: &str) {
        self.name = Some(unique.to_owned());
    }

    fn whole(&mut self, completion: String) -> Result<String, ApiError> {
        let spoken = Spoken::whole(&completion)?;
        // A whole answer is one whose events nobody reads.
        let mut unread = String::new();
        self.take(&spoken, &mut unread)?;
        let (_, response) = self.finish(&mut unread)?;
        Ok(response)
    }

    fn chunk(&mut self, chunk: &str, events: &mut String) -> Result<(), ApiError> {
        let spoken = Spoken::chunk(chunk)?;
        if !self.broken {
            self.take(&spoken, events)?;
        }
        Ok(())
    }

    fn end(&mut self, events: &mut String) -> Result<(), ApiError> {
        if self.broken {
            return Ok(());
        }
        let (finish, response) = self.finish(events)?;
        let kind = if finish == Finish::Completed { "response.completed" } else { "response.incomplete" };
        Events { out: events, next: &mut self.next }.send(kind, Object::new().put("response", &response));
        Ok(())
    }

    fn broken(&mut self, error: &ApiError, events: &mut String) {
        if std::mem::replace(&mut self.broken, true) {
            return;
        }
        let param = error.param.as_deref().map_or("null".to_owned(), quoted);
        let event = Object::new().text("code", error.code).text("message", &error.message).put("param", &param);
        let body = error.body();
        // OpenAI's clients raise only what is under `error`, though their types don't have it.
        let nested = Members::of(&body).and_then(|members| members.get("error")).map(one_line);
        let event = event.maybe("error", nested.as_deref());
        let mut events = Events { out: events, next: &mut self.next };
        events.send("error", event);
        // Others, such as Codex, tell only what a failed response says.
        if let Some(head) = &self.head {
            let response = response::json(head, &self.echo, &Stage::Failed(error), self.usage.as_deref());
            events.send("response.failed", Object::new().put("response", &response));
        }
    }
}
