//! Where texts are tried: a name is granted, each name leads to a provider that counts, and a denial is looked at whole.

use crate::upstream::{HELLO, Upstream};
use crate::world::{World, read};
use bytes::Bytes;
use hauski_egress::{Caller, Destination, EgressError, OutboundBody};
use http::HeaderMap;

/// `G` of the cases: a name over TLS, a path, one method.
pub(crate) const G: &str = r#"{ url: "https://api.allowed.test/v1/", adapters: [a], methods: [POST] }"#;

pub(crate) struct Ground {
    pub(crate) world: World,
    pub(crate) upstream: Upstream,
    pub(crate) caller: Caller,
}

impl Ground {
    /// `G`; the same host and path at the provider's port, in the clear; and `more`, in which `PORT` is that port. Whatever
    /// name is asked for has the provider's address: a text that slips through reaches it.
    pub(crate) fn new(more: &[&str]) -> Self {
        Self::against(Upstream::answering(HELLO), more)
    }

    pub(crate) fn against(upstream: Upstream, more: &[&str]) -> Self {
        let port = upstream.port().to_string();
        let clear = r#"{ url: "http://api.allowed.test:PORT/v1/", adapters: [a], methods: [POST], network: loopback }"#;
        let entries: Vec<_> = [G, clear].iter().chain(more).map(|entry| entry.replace("PORT", &port)).collect();
        let world = World::new(&entries.iter().map(String::as_str).collect::<Vec<_>>());
        world.resolver.set("*", &["127.0.0.1"]);
        let caller = world.caller("a");
        Self { world, upstream, caller }
    }

    /// `text`, with the provider's port for `PORT`.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("PORT", &self.upstream.port().to_string())
    }

    /// `POST` to `url`, whole and in parts, is denied by its text alone, for this reason.
    pub(crate) async fn denied(&self, url: &str, code: &str) {
        self.method_denied("POST", url, code).await;
    }

    pub(crate) async fn method_denied(&self, method: &str, url: &str, code: &str) {
        let url = &*self.fill(url);
        self.refused(method, Destination::Url(url), code, 0).await;
        if let Some(parts) = parts(url) {
            self.refused(method, parts, code, 0).await;
        }
    }

    /// The parts as they are; a guest of `wasi:http` need not have a URL that they come from.
    pub(crate) async fn parts_denied(&self, scheme: &str, authority: &str, path_and_query: &str, code: &str) {
        let (authority, path) = (self.fill(authority), self.fill(path_and_query));
        let to = Destination::Parts { scheme, authority: &authority, path_and_query: &path };
        self.refused("POST", to, code, 0).await;
    }

    /// `GET` of `url` is granted, and denied for an address.
    pub(crate) async fn address_denied(&self, url: &str, code: &str, queries: usize) {
        let url = &*self.fill(url);
        self.refused("GET", Destination::Url(url), code, queries).await;
        self.refused("GET", parts(url).unwrap(), code, queries).await;
    }

    /// What a denial is: an error that is one, one line with who, where to and why, no query but those that it took, no permit,
    /// no connection.
    async fn refused(&self, method: &str, to: Destination<'_>, code: &str, queries: usize) {
        let Self { world, upstream, caller } = self;
        let shown: String = format!("{method:.16} {to:?}").chars().take(300).collect();
        let before = (world.resolver.asked(), world.log.decided().len(), world.log.finished().len());
        let got = match world.ask(caller, method, to).await {
            Err(error) => error,
            Ok(permit) => {
                let sent = world.door.send(permit, HeaderMap::new(), OutboundBody::Whole(Bytes::new())).await;
                panic!("{shown} is permitted: {:?}", sent.map(|response| response.status));
            }
        };
        assert!(got.is_denied(), "{shown}: {got}");
        assert_eq!(got.code(), code, "{shown}");
        let decided = world.log.decided();
        assert_eq!(decided.len(), before.1 + 1, "{decided:?}");
        let line = &decided[before.1];
        let asked: String = method.chars().take(16).flat_map(char::escape_debug).collect();
        assert!(line.starts_with(&format!("a: {asked} ")) && line.ends_with(&format!(": {code}")), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let after = (world.resolver.asked(), world.log.finished().len(), upstream.connections());
        assert_eq!(after, (before.0 + queries, before.2, 0), "{shown}");
    }

    /// `POST` to `url` is permitted, whole and in parts, and the provider sees this in its request line and `host`.
    pub(crate) async fn reaches(&self, url: &str, line: &str, host: &str) {
        let url = &*self.fill(url);
        for to in [Destination::Url(url), parts(url).unwrap()] {
            let permit =
                self.world.ask(&self.caller, "POST", to).await.unwrap_or_else(|error| panic!("{to:?}: {error}"));
            let sent = self.world.door.send(permit, HeaderMap::new(), OutboundBody::Whole(Bytes::new())).await;
            read(sent.unwrap()).await.unwrap();
            let request = self.upstream.requests().pop().unwrap();
            assert!(request.starts_with(&format!("{line} HTTP/1.1\r\n")), "{to:?}: {request}");
            assert!(request.contains(&format!("\r\nhost: {}\r\n", self.fill(host))), "{to:?}: {request}");
        }
    }

    /// `POST` to `url` is permitted, whole and in parts; nothing is sent.
    pub(crate) async fn permitted(&self, url: &str) {
        let url = &*self.fill(url);
        for to in [Destination::Url(url), parts(url).unwrap()] {
            let got = self.world.ask(&self.caller, "POST", to).await;
            assert!(got.is_ok(), "{to:?}: {:?}", got.err());
        }
    }
}

/// The parts that a guest would make of `url`; none where it has no scheme.
fn parts(url: &str) -> Option<Destination<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    Some(Destination::Parts { scheme, authority: &rest[..end], path_and_query: &rest[end..] })
}

/// The code of what must be an error.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, EgressError>) -> &'static str {
    result.unwrap_err().code()
}
