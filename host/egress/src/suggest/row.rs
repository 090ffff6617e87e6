//! A denial as the ledger's line has it, parsed as strictly as the request was.
//!
//! Where the ledger has only the beginning of a path, the entry is for all below that, unless that is the whole origin.

use crate::Denied;
use crate::ledger::{class_named, cut_path, cut_text};
use hauski_policy::{AdapterId, AddressClass, Denial, Digest, InvalidHost, InvalidTarget, Target, is_model_id};
use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A denial.
pub(crate) struct Row {
    pub(crate) time: Timestamp,
    pub(crate) adapter: AdapterId,
    pub(crate) digest: Digest,
    /// The model on whose behalf the request was sent.
    pub(crate) model: Option<String>,
    pub(crate) reason: &'static str,
    pub(crate) asked: Asked,
}

/// What was asked for.
pub(crate) enum Asked {
    /// What an entry may allow; with the class of the address that none covered.
    Target {
        target: Target,
        /// Whether the target's path is the beginning of what was asked for, up to and with a `/`.
        cut: bool,
        class: Option<AddressClass>,
    },
    /// What no entry can allow.
    Other { shown: String, why: &'static str },
    /// So many more requests, of which the ledger has nothing else.
    Counted(u64),
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    kind: Cow<'a, str>,
    verdict: Option<Cow<'a, str>>,
    adapter: Option<Cow<'a, str>>,
    digest: Option<Cow<'a, str>>,
    model: Option<Cow<'a, str>>,
    reason: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    scheme: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    port: Option<u16>,
    path: Option<Cow<'a, str>>,
    path_cut: Option<bool>,
    address_class: Option<Cow<'a, str>>,
    shown: Option<Cow<'a, str>>,
    repeated: Option<u64>,
}

impl Row {
    /// The denial in this line; `None` where it is another record.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        let (time, adapter) = (line.time.parse().ok()?, line.adapter.as_ref()?.parse().ok()?);
        let digest = line.digest.as_ref()?.parse().ok()?;
        let model = match line.model.as_deref() {
            Some(model) if is_model_id(model) => Some(model.to_owned()),
            Some(_) => return None,
            None => None,
        };
        if line.kind == "repeated" {
            let asked = Asked::Counted(line.repeated?);
            return Some(Self { time, adapter, digest, model, reason: "repeated", asked });
        }
        if line.kind != "request" || line.verdict.as_deref() != Some("denied") {
            return None;
        }
        let denied = denied_as(line.reason.as_deref()?)?;
        let asked = match line.target() {
            Some((target, cut)) => match why_not(&denied).or_else(|| why_not_below(&target, cut)) {
                Some(why) => Asked::Other { shown: format!("{target}{}", if cut { "…" } else { "" }), why },
                None => Asked::Target { class: line.class(&denied)?, target, cut },
            },
            None => Asked::Other { shown: cut_text(&line.shown?).into(), why: "it is no URL that is let out" },
        };
        Some(Self { time, adapter, digest, model, reason: denied.code(), asked })
    }
}

impl Line<'_> {
    /// What was asked for, and whether its path was longer.
    fn target(&self) -> Option<(Target, bool)> {
        let authority = format!("{}:{}", self.host.as_ref()?, self.port?);
        let (path, cut) = cut_path(self.path.as_ref()?);
        let target = Target::from_parts(self.method.as_ref()?, self.scheme.as_ref()?, &authority, path).ok()?;
        Some((target, cut || self.path_cut == Some(true)))
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
        Denied::Grant(Denial::NotLocal) => Some("the request was local-only, and an entry covers it"),
        Denied::OwnAddress(_) => Some("it is the gateway itself"),
        Denied::OwnInterface(_) => Some("the name leads to this machine itself"),
        Denied::Target(_) | Denied::UrlTooLong => Some("it is no URL that is let out"),
        Denied::Grant(_) | Denied::AddressClass { .. } => None,
    }
}

/// Why a path that was cut is no prefix of an entry.
fn why_not_below(target: &Target, cut: bool) -> Option<&'static str> {
    let narrow = target.path() != "/" && target.path().ends_with('/');
    (cut && !narrow).then_some("its path is too long for the ledger, which has nothing of it that an entry could name")
}

/// A denial with this code, its details made up.
fn denied_as(code: &str) -> Option<Denied> {
    let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let grants = [
        Denial::Host,
        Denial::Scheme,
        Denial::Port,
        Denial::Path,
        Denial::Method,
        Denial::Model,
        Denial::Expired,
        Denial::NotLocal,
    ];
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
        Denied::OwnInterface(address),
    ];
    let all = grants.into_iter().map(Denied::Grant).chain(targets.into_iter().map(Denied::Target)).chain(others);
    all.into_iter().find(|denied| denied.code() == code)
}
