//! What a record says: taken from a decision or an exchange on the request's core, made a line on the writer's thread.
//!
//! A record has no body, no header, no query and no userinfo. That of a request which was allowed has nothing that a guest wrote
//! but the host, where the grant is for several: its path is the grant's prefix. That of one which was not let out has the host
//! and the beginning of the path as they were asked for, or, of a text that is no URL, its beginning, escaped.

use super::chain::{self, Hash, Head};
use crate::{Asked, Caller, Decision, Denied, Exchange, Verdict};
use hauski_policy::{AddressClass, Grant, Host, HostPattern, Method, Scheme, Scope, Target};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a path, or of a text that is no URL, in a record: an adapter can make them up.
const SHOWN: usize = 200;

/// The beginning of a path that is too long for a record, up to and with a `/`; whether there was more.
pub(crate) fn cut_path(path: &str) -> (&str, bool) {
    if path.len() <= SHOWN {
        return (path, false);
    }
    let end = path.as_bytes()[..SHOWN].iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    (&path[..end], true)
}

/// A text that is no URL, or its beginning, with `…` behind it, where it is too long for a record.
pub(crate) fn cut_text(text: &str) -> Cow<'_, str> {
    if text.len() <= SHOWN {
        return text.into();
    }
    let end = text.floor_char_boundary(SHOWN - '…'.len_utf8());
    format!("{}…", &text[..end]).into()
}

/// A decision that is final, with what came of it. Cheap to make: reference counts, and a copy of what no grant has.
pub(crate) struct Record {
    time: Timestamp,
    request_id: Arc<str>,
    caller: Caller,
    scope: Scope,
    duration: Duration,
    what: What,
}

enum What {
    /// A text that is no target.
    Text { shown: Box<str>, denied: Denied },
    /// A target that was denied.
    Denied { asked: Place, denied: Denied },
    /// A target that is granted, but whose name has no usable address.
    Unresolved { asked: Place, code: &'static str },
    /// A target that was allowed, and how it ended.
    Allowed(Box<Allowed>),
}

struct Place {
    method: Method,
    scheme: Scheme,
    host: Host,
    port: u16,
    path: Box<str>,
    path_cut: bool,
}

struct Allowed {
    method: Method,
    /// Where the grant does not name it.
    host: Option<Host>,
    grant: Arc<Grant>,
    status: Option<u16>,
    end: &'static str,
    reused: bool,
    bytes_out: u64,
    bytes_in: u64,
}

impl Record {
    /// The record of a request that was not allowed, `duration` after it was asked for; `None` for one that was.
    pub(crate) fn of_decision(decision: &Decision<'_>, duration: Duration) -> Option<Self> {
        let what = match (decision.verdict, decision.asked) {
            (Verdict::Allowed(_), _) => return None,
            (Verdict::Denied(denied), Asked::Text(shown)) => {
                What::Text { shown: cut_text(shown).into(), denied: *denied }
            }
            (Verdict::Denied(denied), Asked::Target(target)) => {
                What::Denied { asked: Place::of(target), denied: *denied }
            }
            (Verdict::Unresolved(error), Asked::Target(target)) => {
                What::Unresolved { asked: Place::of(target), code: error.code() }
            }
            // What is no target is not resolved.
            (Verdict::Unresolved(_), Asked::Text(_)) => return None,
        };
        let (request_id, caller) = (Arc::clone(decision.request_id), decision.caller.clone());
        let scope = decision.scope.clone();
        Some(Self { time: Timestamp::now(), request_id, caller, scope, duration, what })
    }

    /// The record of a request that was allowed and is over.
    pub(crate) fn of_exchange(exchange: &Exchange<'_>) -> Self {
        let named = matches!(exchange.grant.host, HostPattern::Exact(_));
        let allowed = Allowed {
            method: exchange.target.method(),
            host: (!named).then(|| exchange.target.host().clone()),
            grant: Arc::clone(exchange.grant),
            status: exchange.status.map(|status| status.as_u16()),
            end: exchange.end.code(),
            reused: exchange.reused,
            bytes_out: exchange.bytes_out,
            bytes_in: exchange.bytes_in,
        };
        Self {
            time: Timestamp::now(),
            request_id: Arc::clone(exchange.request_id),
            caller: exchange.caller.clone(),
            scope: exchange.scope.clone(),
            duration: exchange.duration,
            what: What::Allowed(Box::new(allowed)),
        }
    }

    pub(crate) fn request_id(&self) -> &Arc<str> {
        &self.request_id
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether it was denied by its text alone: nothing was sent for it, not even the question for a name.
    pub(crate) fn is_of_text(&self) -> bool {
        match &self.what {
            What::Text { .. } => true,
            What::Denied { denied, .. } => !denied.is_of_address(),
            What::Unresolved { .. } | What::Allowed(_) => false,
        }
    }

    /// Writes the record behind `head` at the end of `buffer`; the head is then this record's.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, head: &mut Head) {
        write(buffer, head, self.time, &self.entry());
    }

    fn entry(&self) -> Entry<'_> {
        let mut entry = Entry {
            kind: "request",
            request: &self.request_id,
            adapter: self.caller.id().as_str(),
            digest: Shown(self.caller.digest()),
            model: self.scope.model(),
            duration_us: u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
            ..Entry::default()
        };
        match &self.what {
            What::Text { shown, denied } => {
                entry.denied(denied);
                entry.shown = Some(shown);
            }
            What::Denied { asked, denied } => {
                entry.place(asked);
                entry.denied(denied);
            }
            What::Unresolved { asked, code } => {
                entry.place(asked);
                (entry.verdict, entry.reason) = ("unresolved", code);
            }
            What::Allowed(allowed) => entry.allowed(allowed),
        }
        entry
    }
}

impl Place {
    fn of(target: &Target) -> Self {
        let (method, scheme, port) = (target.method(), target.scheme(), target.port());
        let (path, path_cut) = cut_path(target.path());
        Self { method, scheme, host: target.host().clone(), port, path: path.into(), path_cut }
    }
}

/// What the ledger says of itself.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    /// A gateway took the ledger up, which the one before it had closed.
    Opened { version: &'a str },
    /// A gateway took the ledger up, which the one before it had not closed: requests that were under way then have no record,
    /// and what they were denied beyond their first denials is not counted.
    Recovered {
        version: &'a str,
        /// The bytes of a record, or several, that were not whole and were cut off.
        torn_bytes: u64,
        /// The file that has these bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        kept: Option<&'a str>,
    },
    /// An inbound request had more denied by their text alone than it has records of.
    Repeated {
        request: &'a str,
        adapter: &'a str,
        digest: &'a str,
        /// How many more.
        repeated: u64,
    },
    /// A gateway let go of the ledger.
    Closed {
        /// Requests that were allowed, had not ended, and have no record.
        unfinished: usize,
    },
}

impl Event<'_> {
    /// Writes the event behind `head`, as [`Record::write`].
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, head: &mut Head) {
        write(buffer, head, Timestamp::now(), self);
    }
}

fn write(buffer: &mut Vec<u8>, head: &mut Head, time: Timestamp, body: &impl Serialize) {
    let (start, seq) = (buffer.len(), head.seq + 1);
    let line = Line { seq, time: Micros(time), body, prev: Shown(&head.hash) };
    // Neither the types' serialisation nor writing to memory can fail.
    if serde_json::to_writer(&mut *buffer, &line).is_err() {
        buffer.truncate(start);
        return;
    }
    *head = Head { seq, hash: chain::seal(buffer, start) };
}

#[derive(Serialize)]
struct Line<'a, B> {
    seq: u64,
    time: Micros,
    #[serde(flatten)]
    body: &'a B,
    /// Stands last: [`chain::seal`] adds the hash behind it.
    prev: Shown<&'a Hash>,
}

/// A record of a request, member by member in the order of the line.
#[derive(Serialize, Default)]
struct Entry<'a> {
    kind: &'static str,
    request: &'a str,
    adapter: &'a str,
    digest: Shown<&'a dyn Display>,
    /// The public name of the model on whose behalf the request was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    verdict: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Shown<&'a Host>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The prefix that covered it; of one that was not allowed, the path's beginning, which is what a grant would have to name.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    /// Whether the path went on behind that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    path_cut: bool,
    /// What was asked for, where it can't be taken apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<&'a str>,
    /// The line in `routing.yaml` of the entry that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reused: Option<bool>,
    bytes_out: u64,
    bytes_in: u64,
    duration_us: u64,
}

impl<'a> Entry<'a> {
    fn place(&mut self, asked: &'a Place) {
        (self.method, self.scheme) = (Some(asked.method.as_str()), Some(asked.scheme.as_str()));
        (self.host, self.port, self.path) = (Some(Shown(&asked.host)), Some(asked.port), Some(&*asked.path));
        self.path_cut = asked.path_cut;
    }

    fn denied(&mut self, denied: &Denied) {
        (self.verdict, self.reason) = ("denied", denied.code());
        match denied {
            Denied::AddressClass { address, class } => {
                (self.address, self.address_class) = (Some(*address), Some(name_of(*class)));
            }
            Denied::OwnAddress(address) => self.address = Some(address.ip()),
            Denied::OwnInterface(address) => self.address = Some(*address),
            _ => {}
        }
    }

    fn allowed(&mut self, allowed: &'a Allowed) {
        let grant = &allowed.grant;
        (self.verdict, self.reason) = ("allowed", "granted");
        (self.method, self.scheme) = (Some(allowed.method.as_str()), Some(grant.scheme.as_str()));
        let named = match &grant.host {
            HostPattern::Exact(host) => Some(host),
            HostPattern::OneLabelBelow(_) => None,
        };
        self.host = allowed.host.as_ref().or(named).map(Shown);
        (self.port, self.path) = (Some(grant.port), Some(grant.path.as_str()));
        (self.entry, self.network) = (Some(grant.line), Some(grant.network.as_str()));
        (self.status, self.end, self.reused) = (allowed.status, Some(allowed.end), Some(allowed.reused));
        (self.bytes_out, self.bytes_in) = (allowed.bytes_out, allowed.bytes_in);
    }
}

/// The class' word in the ledger.
fn name_of(class: AddressClass) -> &'static str {
    match class {
        AddressClass::Public => "public",
        AddressClass::Private => "private",
        AddressClass::Loopback => "loopback",
        AddressClass::LinkLocal => "link-local",
        AddressClass::Metadata => "metadata",
        AddressClass::Translated => "translated",
        AddressClass::Reserved => "reserved",
    }
}

/// The class with this word.
pub(crate) fn class_named(word: &str) -> Option<AddressClass> {
    use AddressClass::{LinkLocal, Loopback, Metadata, Private, Public, Reserved, Translated};
    let all = [Public, Private, Loopback, LinkLocal, Metadata, Translated, Reserved];
    all.into_iter().find(|class| name_of(*class) == word)
}

/// Written as it is printed.
struct Shown<T>(T);

impl Default for Shown<&dyn Display> {
    fn default() -> Self {
        Self(&"")
    }
}

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A time in UTC with microseconds: always as many digits, so that texts sort as times do.
struct Micros(Timestamp);

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.6}", self.0))
    }
}
