//! The door: asks the guard, then sends what it permits.

use crate::account::Account;
use crate::connection::Link;
use crate::pass::{LOOK, Pass, Standing, today};
use crate::pool::Pool;
use crate::redact::Redactor;
use crate::upload::{Gauge, Upload};
use crate::{
    Ask, Caller, Denied, EgressError, InvalidRequest, OutboundBody, Permit, Response, ResponseBody, Shared, dial,
    guard, headers, query, tls,
};
use bytes::Bytes;
use hauski_policy::{Method, Scheme, Scope, Target};
use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The way out of one worker: the guard before it and the open connections behind it.
///
/// Cheap to clone. Each worker has a door of its own, because connections are driven by the runtime on which they were
/// opened.
#[derive(Clone)]
pub struct Door {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
}

impl Door {
    /// A door without open connections.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let pool = shared.new_pool();
        Self { shared, pool }
    }

    /// Judges what `caller` asks for. Nothing is sent, and where the text alone is denied, nothing is resolved.
    ///
    /// # Errors
    /// [`EgressError::Denied`] where no grant covers the request and all addresses of its host; [`EgressError::Dns`] where its
    /// name has no usable address, or is below a granted wildcard and has addresses that are not granted;
    /// [`EgressError::TotalTimeout`].
    pub async fn permit(&self, caller: &Caller, ask: Ask<'_>) -> Result<Permit, EgressError> {
        guard::judge(&self.shared, caller, &ask).await.map_err(|refusal| {
            if let (EgressError::Denied(denied), Some(target)) = (&refusal.error, &refusal.target)
                && self.withdraws(denied, caller, target)
            {
                self.pool.close(caller, target);
            }
            refusal.into_error()
        })
    }

    /// Sends what `permit` is for, with the guest's `fields` and `body`. Method, URL, `host`, TLS name and addresses are the
    /// permit's. Redirects are answers like any other.
    ///
    /// Dropping the future closes the connection or, in HTTP/2, resets the stream.
    ///
    /// # Errors
    /// [`EgressError`]; a denial is not among them.
    pub async fn send(&self, permit: Permit, fields: HeaderMap, body: OutboundBody) -> Result<Response, EgressError> {
        let Permit(mut account) = permit;
        match self.exchange(&mut account, fields, body).await {
            Ok((response, link, mut redactor)) => {
                let (mut head, incoming) = response.into_parts();
                if let Some(redactor) = &mut redactor {
                    redactor.redact_fields(&mut head.headers);
                }
                let body = ResponseBody::new(incoming, link, account, Arc::clone(&self.pool), redactor);
                Ok(Response { status: head.status, headers: head.headers, body })
            }
            Err(error) => Err(account.fail(error)),
        }
    }

    /// Returns whether a denial leaves `caller` without any way to the origin of `target`, so that its open connections there are closed.
    /// While a grant for another model still covers the origin, they stay open for that model.
    fn withdraws(&self, denied: &Denied, caller: &Caller, target: &Target) -> bool {
        match denied {
            Denied::Grant(_) => {
                let (host, port) = (target.host(), target.port());
                let policy = self.shared.policy();
                !policy.egress.reaches(caller.holder(), target.scheme(), host, port, today())
            }
            Denied::AddressClass { .. } | Denied::OwnAddress(_) | Denied::OwnInterface(_) => true,
            Denied::Target(_) | Denied::UrlTooLong => false,
        }
    }

    /// Returns the names of the headers that the policy attaches for `caller` in this scope: it may not set them itself.
    #[must_use]
    pub fn attached_headers(&self, caller: &Caller, scope: &Scope) -> Vec<Box<str>> {
        let policy = self.shared.policy();
        let held = policy.egress.held_by(caller.holder());
        let in_reach = held.filter(|grant| match scope {
            Scope::Model(model) => grant.is_in_reach_of(model),
            Scope::Gateway => true,
        });
        let secrets = in_reach.filter_map(|grant| grant.secret.as_ref());
        secrets.map(|secret| secret.header.clone()).collect()
    }

    async fn exchange(
        &self,
        account: &mut Account,
        fields: HeaderMap,
        body: OutboundBody,
    ) -> Result<(http::Response<Incoming>, Link, Option<Box<Redactor>>), EgressError> {
        let Outgoing { mut request, gauge, redactor } = assemble(account, fields, body)?;
        account.follow(Arc::clone(&gauge));
        let mut open = self.pool.take(account.pass());
        loop {
            account.reused = open.is_some();
            let mut link = match open.take() {
                Some(link) => link,
                None => self.connect(account).await?,
            };
            account.check_unsent()?;
            let pass = Arc::clone(account.pass());
            link.address(&mut request, &pass.target).map_err(|_| InvalidRequest::Target)?;
            match answer(&mut link, request, account.standing(), &gauge).await {
                Ok(response) => {
                    account.answered(response.status());
                    account.check()?;
                    check_head(&response, &pass)?;
                    return Ok((response, link, redactor));
                }
                // It was closed while it lay idle, and nothing was written: once more, over a new one.
                Err(Failure::Unsent(unsent, _)) if account.reused => request = *unsent,
                Err(failure) => {
                    if matches!(&failure, Failure::Error(error) if error.is_timeout()) {
                        self.pool.retire(&pass, &link);
                    }
                    return Err(account.upload_error().unwrap_or_else(|| failure.into_error()));
                }
            }
        }
    }

    /// A new connection to one of the permit's addresses.
    async fn connect(&self, account: &mut Account) -> Result<Link, EgressError> {
        let pass = Arc::clone(account.pass());
        let clocks = &pass.clocks;
        let until = clocks.until(clocks.connect);
        let established = async {
            let (stream, peer) = dial::connect(&pass.addresses, until).await?;
            match pass.target.scheme() {
                Scheme::Http => Link::begin(stream, peer, false).await,
                Scheme::Https => {
                    let connector = self.pool.tls(&pass.caller, &self.shared.tls);
                    let stream = tls::handshake(&connector, pass.target.host(), stream).await?;
                    let h2 = tls::chose_h2(&stream);
                    Link::begin(stream, peer, h2).await
                }
            }
        };
        let link = match timeout_at(until, established).await {
            Ok(Err(EgressError::ConnectTimeout)) | Err(_) if clocks.is_over() => return Err(EgressError::TotalTimeout),
            Ok(link) => link?,
            Err(_elapsed) => return Err(EgressError::ConnectTimeout),
        };
        account.check()?;
        if let Link::Many(many) = &link {
            self.pool.share(&pass, many);
            // It may have been withdrawn just before it was known.
            account.check().inspect_err(|_| self.pool.close(&pass.caller, &pass.target))?;
        }
        Ok(link)
    }
}

/// The request's fields and body. What depends on the connection is added when there is one.
fn assemble(account: &Account, fields: HeaderMap, body: OutboundBody) -> Result<Outgoing, EgressError> {
    let pass = account.pass();
    let secret =
        match &pass.grant.secret {
            None => None,
            Some(template) => Some(account.policy().secrets.get(template).ok_or_else(|| {
                EgressError::SecretMissing { header: template.header.clone(), line: pass.grant.line }
            })?),
        };
    let redactor = secret.as_ref().map(|secret| Box::new(Redactor::new(Arc::clone(&secret.needles))));
    query::check(pass.target.query(), secret.is_some())?;
    let head = headers::prepare(fields, secret.map(|secret| (secret.name, secret.value)))?;
    let body = unless_bodiless(pass.target.method(), head.content_length, body);
    let upload = Upload::new(body, head.content_length, account.standing())?;
    let gauge = upload.gauge();
    let mut request = Request::new(upload);
    *request.headers_mut() = head.fields;
    Ok(Outgoing { request, gauge, redactor })
}

/// `body`, unless it is a stream of unknown length for a method that has no use for one (RFC 9110, section 9.3.1). HTTP/1.1 would
/// not send it, and would leave open whether it has ended.
fn unless_bodiless(method: Method, content_length: Option<u64>, body: OutboundBody) -> OutboundBody {
    match (method, content_length, body) {
        (Method::Get | Method::Head, None, OutboundBody::Stream(_)) => OutboundBody::Whole(Bytes::new()),
        (_, _, body) => body,
    }
}

/// A request that is ready but for its connection.
struct Outgoing {
    request: Request<Upload>,
    gauge: Arc<Gauge>,
    /// Keeps the secret that is attached, if one is, out of the answer.
    redactor: Option<Box<Redactor>>,
}

/// Judges the answer's head before anybody sees it.
fn check_head(response: &http::Response<Incoming>, pass: &Pass) -> Result<(), EgressError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(EgressError::SwitchingProtocols);
    }
    if response.headers().len() > headers::MAX_FIELDS {
        return Err(EgressError::ResponseHead);
    }
    if pass.grant.secret.is_some() && !headers::is_plain(response.headers()) {
        return Err(EgressError::Unreadable);
    }
    let limit = pass.caller.limits().response_bytes;
    if response.body().size_hint().lower() > limit { Err(EgressError::ResponseTooLarge { limit }) } else { Ok(()) }
}

/// Why there is no answer.
enum Failure {
    /// Nothing was written.
    Unsent(Box<Request<Upload>>, hyper::Error),
    Error(EgressError),
}

impl Failure {
    fn into_error(self) -> EgressError {
        match self {
            Self::Unsent(_, error) => EgressError::broken(error),
            Self::Error(error) => error,
        }
    }
}

/// The head of the answer to `request`.
async fn answer(
    link: &mut Link,
    request: Request<Upload>,
    standing: Standing,
    gauge: &Gauge,
) -> Result<http::Response<Incoming>, Failure> {
    let timely = tokio::select! {
        biased;
        sent = link.send(request) => Ok(sent),
        error = too_late(standing, gauge) => Err(error),
    };
    match timely {
        Ok(Ok(_)) if link.is_flooded() => Err(Failure::Error(EgressError::ResponseHead)),
        Ok(Ok(response)) => Ok(response),
        Ok(Err(mut error)) => match error.take_message() {
            Some(unsent) => Err(Failure::Unsent(Box::new(unsent), error.into_error())),
            None if link.is_flooded() => Err(Failure::Error(EgressError::ResponseHead)),
            None => Err(Failure::Error(EgressError::broken(error.into_error()))),
        },
        Err(error) => Err(Failure::Error(error)),
    }
}

/// Ends when the first-byte time-out or the whole time is over, or when the request is no longer permitted. The first-byte time-out
/// counts from when the request is sent: a body that still moves starts it again.
async fn too_late(mut standing: Standing, gauge: &Gauge) -> EgressError {
    let pass = Arc::clone(&standing.pass);
    let clocks = &pass.clocks;
    let mut until = clocks.until(clocks.first_byte);
    loop {
        sleep_until(until.min(Instant::now() + LOOK)).await;
        if clocks.is_over() {
            return EgressError::TotalTimeout;
        }
        if !standing.holds() {
            return EgressError::Withdrawn;
        }
        if Instant::now() < until {
            continue;
        }
        until = (gauge.last_piece() + clocks.first_byte).min(clocks.deadline);
        if until <= Instant::now() {
            return EgressError::FirstByteTimeout;
        }
    }
}
