//! What the door tells: one [`Decision`] for each look at a request, one [`Exchange`] for each request that was permitted.
//!
//! The server turns them into log lines and metrics. Nothing is told twice.

use crate::ledger::{cut_path, cut_text};
use crate::{Caller, Denied, EgressError, advice};
use hauski_policy::{Grant, Scope, Target};
use http::StatusCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who is told. Called on the request's path: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// A request was allowed, denied, or failed before it could be sent. Exactly one call for each finished
    /// [`crate::Door::permit`].
    fn decided(&self, decision: &Decision<'_>);

    /// A permitted request is over, whichever way. Exactly one call for each [`crate::Permit`], used or not.
    fn finished(&self, exchange: &Exchange<'_>);
}

/// What was decided over one request.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The adapter.
    pub caller: &'a Caller,
    /// The party on whose behalf the request is sent.
    pub scope: &'a Scope,
    /// The inbound request's id.
    pub request_id: &'a Arc<str>,
    /// What it asked for.
    pub asked: Asked<'a>,
    /// What was decided.
    pub verdict: Verdict<'a>,
}

impl Decision<'_> {
    /// The entry of `egress.allow` that would allow what was denied, on one line of YAML; `None` where nothing was, or no entry could.
    #[must_use]
    pub fn entry(&self) -> Option<String> {
        match (self.verdict, self.asked) {
            (Verdict::Denied(denied), Asked::Target(target)) => {
                advice::entry(self.caller, self.scope, target, denied).map(|entry| entry.to_string())
            }
            _ => None,
        }
    }
}

/// What an adapter asked for. Prints method and URL as the ledger has them: without the query, and of what is long the beginning.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// A request that can be judged.
    Target(&'a Target),
    /// A text that is none: shortened, escaped, without query and userinfo.
    Text(&'a str),
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(target) => {
                let (path, cut) = cut_path(target.path());
                let more = if cut { "…" } else { "" };
                write!(f, "{} {}{more}", target.method(), advice::url(target, path))
            }
            Self::Text(text) => f.write_str(&cut_text(text)),
        }
    }
}

/// The decision.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// This grant covers the request and all addresses of its host.
    Allowed(&'a Grant),
    /// It is denied; nothing was sent.
    Denied(&'a Denied),
    /// It failed before anything was sent, and was not denied: its name has no usable address, it took too long, or it could not be
    /// recorded.
    Unresolved(&'a EgressError),
}

/// One request that was permitted, from its permit to its end.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The adapter.
    pub caller: &'a Caller,
    /// The party on whose behalf the request is sent.
    pub scope: &'a Scope,
    /// The inbound request's id.
    pub request_id: &'a Arc<str>,
    /// What was asked for.
    pub target: &'a Target,
    /// The grant that covers it.
    pub grant: &'a Arc<Grant>,
    /// The answer's status, if there was one.
    pub status: Option<StatusCode>,
    /// Whether it went over a connection that was open already.
    pub reused: bool,
    /// Bytes of the request's body that were handed to the connection.
    pub bytes_out: u64,
    /// Bytes of the answer's body that were handed on.
    pub bytes_in: u64,
    /// From the question to the answer's head.
    pub first_byte: Option<Duration>,
    /// From the question, resolving included, to the end.
    pub duration: Duration,
    /// How it ended.
    pub end: End<'a>,
}

impl Exchange<'_> {
    /// Method and URL as the ledger has them: the path is the grant's, because an adapter may put into its own what it was given.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} {}", self.target.method(), advice::url(self.target, self.grant.path.as_str()))
    }
}

/// How a permitted request ended.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// The answer was read to its end.
    Complete,
    /// Who asked no longer wanted it, or never sent it.
    Dropped,
    /// With this error.
    Failed(&'a EgressError),
}

impl End<'_> {
    /// `complete`, `dropped`, or the error's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Dropped => "dropped",
            Self::Failed(error) => error.code(),
        }
    }
}
