//! Whether a request may come in: from where it is sent, and whose key it shows. Before any handler, and before its body is read.

use super::Access;
use super::keyring::{Client, InFlight, Keyring, Unknown};
use super::presented::{NoKey, password, presented, take};
use crate::app::App;
use crate::error::ApiError;
use crate::heads::Ambiguous;
use crate::origin::{self, Hosts};
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// Whose request it is, to be written down when that is found out; among a request's extensions.
#[derive(Clone, Default)]
pub(crate) struct Named(Arc<OnceLock<Arc<str>>>);

impl Named {
    /// The client's name.
    pub(crate) fn get(&self) -> Option<&str> {
        self.0.get().map(|name| &**name)
    }
}

/// Refuses requests that others could read otherwise, those of foreign pages, and those without a key where one is needed; a client is among the extensions then.
pub(crate) async fn admit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if request.extensions().get::<Ambiguous>().is_some() {
        let message = "the head gives the body's length more than once; send one of `Content-Length` and `Transfer-Encoding`, once";
        // What follows may be a request to us, and a body to others.
        return ([(header::CONNECTION, "close")], ApiError::invalid("ambiguous_length", None, message)).into_response();
    }
    let access = &app.gateway.access;
    let admitted = match access.keyring() {
        None => origin::judge(&request, Hosts::Near).map(|()| None),
        Some(keyring) => identify(access, &keyring, &mut request).await,
    };
    match admitted {
        Ok(None) => next.run(request).await,
        Ok(Some(place)) => next.run(request).await.map(|body| Body::new(Counted { body, _place: place })),
        Err(error) => refuse(error, request.uri().path()),
    }
}

/// The body of an answer, which keeps its client's place until it ends.
struct Counted {
    body: Body,
    _place: InFlight,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer to who is not let in. Browsers ask their user where the console asks for a key.
fn refuse(error: ApiError, path: &str) -> Response {
    let mut response = error.into_response();
    let is_operators = needs(path) == Needs::Operator;
    if is_operators && response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
    }
    response
}

/// How a browser may show an operator's key: as the password, with any name.
const BASIC: &str = "Basic realm=\"HausKI console: an operator's key is the password\", charset=\"UTF-8\"";

/// What a path asks of who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Key,
    /// An operator's key; browsers may show it as a password.
    Operator,
    /// Nothing, but it tells more to those who show one.
    TellsMore,
    Nothing,
}

/// What is at `path` needs where there are keys, whatever the gateway is bound to: a reverse proxy before loopback lets the world in, and
/// nothing in a request tells its requests from others. All that is not named here needs a key.
fn needs(path: &str) -> Needs {
    match path {
        "/health" => Needs::Nothing,
        "/" | "/ready" => Needs::TellsMore,
        "/console" => Needs::Operator,
        _ if path.starts_with("/console/") => Needs::Operator,
        _ => Needs::Key,
    }
}

/// Finds the client of a request, and takes its place among the client's requests at once, where these are limited.
async fn identify(access: &Access, keyring: &Keyring, request: &mut Request) -> Result<Option<InFlight>, ApiError> {
    let needs = needs(request.uri().path());
    // A page that a name was rebound for has no key. Without one it is told that a gateway is here, and whether it is ready.
    origin::judge(request, Hosts::Any)?;
    let asking = Asking::of(access, keyring, request);
    let client = match needs {
        Needs::Nothing => None,
        Needs::TellsMore => asking.find(presented(request.headers())).await.ok(),
        Needs::Key => Some(asking.find(presented(request.headers())).await?),
        Needs::Operator => Some(asking.operator(request.headers()).await?),
    };
    take(request.headers_mut());
    let Some(client) = client else { return Ok(None) };
    let mut place = None;
    if needs == Needs::Key {
        place = client.begin().map_err(|limit| ApiError::too_many_at_once(&client.name, limit))?;
        client.count().map_err(|(limit, wait)| ApiError::too_many(&client.name, limit, wait))?;
    }
    request.extensions_mut().insert(client);
    Ok(place)
}

/// A request whose client is looked for.
struct Asking<'a> {
    access: &'a Access,
    keyring: &'a Keyring,
    /// Where the client's name is noted.
    named: Option<Named>,
    /// The client's address, where the connection tells it.
    peer: Option<IpAddr>,
}

impl<'a> Asking<'a> {
    fn of(access: &'a Access, keyring: &'a Keyring, request: &Request) -> Self {
        let extensions = request.extensions();
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Self { access, keyring, named: extensions.get().cloned(), peer }
    }

    /// The operator whose key a request's head shows, as a key or as a password.
    async fn operator(&self, headers: &HeaderMap) -> Result<Arc<Client>, ApiError> {
        let password = password(headers);
        let key = password.as_ref().map_or_else(|| presented(headers), |password| Ok(password));
        let client = self.find(key).await?;
        if client.is_operator() { Ok(client) } else { Err(ApiError::no_operator(&client.name)) }
    }

    /// Whose key was shown. Whose it is, is noted, also where it holds no more.
    async fn find(&self, key: Result<&[u8], NoKey>) -> Result<Arc<Client>, ApiError> {
        let key = key.map_err(|none| match none {
            NoKey::Missing => ApiError::no_key(
                "this gateway asks for a key: send it as `authorization: Bearer <key>` or `x-api-key: <key>`",
            ),
            NoKey::Unusable(what) => ApiError::no_key(format!(
                "the request has {what}: send one key, as `authorization: Bearer <key>` or `x-api-key: <key>`"
            )),
        })?;
        let found = self.keyring.find(key, &self.access.slow, self.peer).await;
        let (Ok(client) | Err(Unknown::Expired(client))) = &found else {
            return Err(match found {
                Err(Unknown::Busy) => ApiError::comparing(),
                _ => ApiError::no_key("the key is none of this gateway's: ask its operator for one"),
            });
        };
        if let Some(named) = &self.named {
            let _ = named.0.set(client.name.clone());
        }
        if found.is_err() {
            return Err(ApiError::no_key(format!(
                "the key `{}` has expired: ask the operator of this gateway for another",
                client.name
            )));
        }
        Ok(client.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_key() {
        for (path, expected) in [
            ("/health", Needs::Nothing),
            ("/", Needs::TellsMore),
            ("/ready", Needs::TellsMore),
            ("/metrics", Needs::Key),
            ("/openapi.json", Needs::Key),
            ("/adapters", Needs::Key),
            ("/config/routing", Needs::Key),
            ("/v1/models", Needs::Key),
            ("/v1/chat/completions", Needs::Key),
            ("/console", Needs::Operator),
            ("/console/events", Needs::Operator),
            ("/consolex", Needs::Key),
            ("/health/", Needs::Key),
            ("/Health", Needs::Key),
            ("//health", Needs::Key),
            ("/config", Needs::Key),
            ("//", Needs::Key),
            ("", Needs::Key),
        ] {
            assert_eq!(needs(path), expected, "{path}");
        }
    }
}
