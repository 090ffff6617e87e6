//! A denial as the ledger's line has it, parsed as strictly as the request was.

use crate::Denied;
use crate::ledger::class_named;
use hauski_policy::{AdapterId, AddressClass, Denial, Digest, InvalidHost, InvalidTarget, Target};
use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A denial.
pub(crate) struct Row {
    pub(crate) time: Timestamp,
    pub(crate) adapter: AdapterId,
    pub(crate) digest: Digest,
    pub(crate) reason: &'static str,
    pub(crate) asked: Asked,
}

/// What was asked for.
pub(crate) enum Asked {
    /// What an entry may allow; with the class of the address that none covered.
    Target { target: Target, class: Option<AddressClass> },
    /// What no entry can allow.
    Other { shown: String, why: &'static str },
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    kind: Cow<'a, str>,
    verdict: Option<Cow<'a, str>>,
    adapter: Option<Cow<'a, str>>,
    digest: Option<Cow<'a, str>>,
    reason: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    scheme: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    port: Option<u16>,
    path: Option<Cow<'a, str>>,
    address_class: Option<Cow<'a, str>>,
    shown: Option<Cow<'a, str>>,
}

impl Row {
    /// The denial in this line; `None` where it is another record.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        if line.kind != "request" || line.verdict.as_deref() != Some("denied") {
            return None;
        }
        let denied = denied_as(line.reason.as_deref()?)?;
        let (adapter, digest) = (line.adapter.as_ref()?.parse().ok()?, line.digest.as_ref()?.parse().ok()?);
        let asked = match line.target() {
            Some(target) => match why_not(&denied) {
                Some(why) => Asked::Other { shown: target.to_string(), why },
                None => Asked::Target { target, class: line.class(&denied)? },
            },
            None => Asked::Other { shown: line.shown?.into_owned(), why: "it is no URL that is let out" },
        };
        Some(Self { time: line.time.parse().ok()?, adapter, digest, reason: denied.code(), asked })
    }
}

impl Line<'_> {
    fn target(&self) -> Option<Target> {
        let authority = format!("{}:{}", self.host.as_ref()?, self.port?);
        Target::from_parts(self.method.as_ref()?, self.scheme.as_ref()?, &authority, self.path.as_ref()?).ok()
    }

    /// The class that was not covered, where that is why it was denied; `None` where it should be there and is not.
    fn class(&self, denied: &Denied) -> Option<Option<AddressClass>> {
        match denied {
            Denied::AddressClass { .. } => class_named(self.address_class.as_deref()?).map(Some),
            _ => Some(None),
        }
    }
}

/// Why no entry helps against a denial of this kind.
fn why_not(denied: &Denied) -> Option<&'static str> {
    match denied {
        Denied::Grant(Denial::NotLocal) => Some("the request was held to what is local, and an entry covers it"),
        Denied::OwnAddress(_) => Some("it is the gateway itself"),
        Denied::Target(_) | Denied::UrlTooLong => Some("it is no URL that is let out"),
        Denied::Grant(_) | Denied::AddressClass { .. } => None,
    }
}

/// A denial with this code, its details made up.
fn denied_as(code: &str) -> Option<Denied> {
    let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let grants =
        [Denial::Host, Denial::Scheme, Denial::Port, Denial::Path, Denial::Method, Denial::Expired, Denial::NotLocal];
    let targets = [
        InvalidTarget::Method,
        InvalidTarget::Scheme,
        InvalidTarget::Userinfo,
        InvalidTarget::Host(InvalidHost::Empty),
        InvalidTarget::Port,
        InvalidTarget::Path,
        InvalidTarget::Encoding,
        InvalidTarget::Character,
    ];
    let others = [
        Denied::UrlTooLong,
        Denied::AddressClass { address, class: AddressClass::Reserved },
        Denied::OwnAddress(SocketAddr::new(address, 0)),
    ];
    let all = grants.into_iter().map(Denied::Grant).chain(targets.into_iter().map(Denied::Target)).chain(others);
    all.into_iter().find(|denied| denied.code() == code)
}
