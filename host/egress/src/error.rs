//! All that can end a request at the door, one variant a cause.

use crate::ledger::LedgerUnavailable;
use crate::{Denied, InvalidRequest, UploadError};
use std::io;
use std::sync::Arc;

/// Why a request did not get its answer, or not all of it.
///
/// Texts name addresses and reasons: they are for the operator. None holds a secret or a header's value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EgressError {
    /// The guard denied it; nothing was sent. What an adapter is told must not tell the reasons apart.
    #[error("denied: {0}")]
    Denied(#[from] Denied),
    /// There is no place for the decision's record, so that it was not taken; nothing was sent.
    #[error("the request can't be recorded: {0}")]
    Unrecorded(LedgerUnavailable),
    /// Who asked no longer wanted it, before there was a decision; its name may have been asked for.
    #[error("given up before it was decided")]
    Abandoned,
    /// The policy changed while the request was under way, and permits it no longer: nothing more is sent or handed on.
    #[error("the grant was withdrawn while the request was under way")]
    Withdrawn,
    /// The head or the body's declared length can't be sent as it is; nothing was sent.
    #[error(transparent)]
    InvalidRequest(#[from] InvalidRequest),
    /// The secret that the grant attaches is not loaded; nothing was sent.
    #[error("the secret for header `{header}` of the entry in line {line} is not loaded")]
    SecretMissing {
        /// The header that the grant attaches.
        header: Box<str>,
        /// The line of the grant in `routing.yaml`.
        line: usize,
    },
    /// The host's name has no usable answer.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// No address took the connection.
    #[error("could not connect: {0}")]
    Connect(Arc<io::Error>),
    /// The TLS handshake failed: a certificate that is not trusted, or not for this host, or no common version.
    #[error("TLS handshake failed: {0}")]
    Tls(Arc<io::Error>),
    /// No connection, TLS included, within its time.
    #[error("no connection within the connect time-out")]
    ConnectTimeout,
    /// No head of an answer within its time.
    #[error("no answer within the first-byte time-out")]
    FirstByteTimeout,
    /// No further piece of the answer within its time.
    #[error("no further piece of the answer within the idle time-out")]
    IdleTimeout,
    /// The request's whole time is over.
    #[error("the request's total time is over")]
    TotalTimeout,
    /// The connection broke or the answer is not HTTP.
    #[error("the connection failed: {0}")]
    Broken(Arc<hyper::Error>),
    /// The request's body ended with an error.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The provider wants to change the protocol (101), which no request asks for.
    #[error("the provider answered 101: protocols are never switched")]
    SwitchingProtocols,
    /// The answer's head is too large, has too many fields, or follows too many informational (1xx) ones.
    #[error("the answer's head is too large, or follows too many informational (1xx) responses")]
    ResponseHead,
    /// The answer is compressed, though the grant attaches a secret and so asked for `identity`.
    #[error("the answer is encoded, so that an echo of the secret could not be found in it")]
    Unreadable,
    /// The answer's body is larger than the adapter's limit.
    #[error("the answer is larger than {limit} bytes")]
    ResponseTooLarge {
        /// The adapter's limit, in bytes.
        limit: u64,
    },
}

impl EgressError {
    /// The error's stable code, for log, ledger and metrics; of a denial its reason's.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Unrecorded(_) => "ledger-unavailable",
            Self::Abandoned => "abandoned",
            Self::Withdrawn => "grant-withdrawn",
            Self::InvalidRequest(_) => "invalid-request",
            Self::SecretMissing { .. } => "secret-missing",
            Self::Dns(DnsError::Timeout) => "dns-timeout",
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::ConnectTimeout => "connect-timeout",
            Self::FirstByteTimeout => "first-byte-timeout",
            Self::IdleTimeout => "idle-timeout",
            Self::TotalTimeout => "total-timeout",
            Self::Broken(_) => "broken",
            Self::Upload(_) => "upload",
            Self::SwitchingProtocols => "switching-protocols",
            Self::ResponseHead => "response-head",
            Self::Unreadable => "unreadable",
            Self::ResponseTooLarge { .. } => "response-too-large",
        }
    }

    /// Whether a time-out of any kind ended the request.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Dns(DnsError::Timeout)
            | Self::ConnectTimeout
            | Self::FirstByteTimeout
            | Self::IdleTimeout
            | Self::TotalTimeout => true,
            Self::Denied(_)
            | Self::Unrecorded(_)
            | Self::Abandoned
            | Self::Withdrawn
            | Self::InvalidRequest(_)
            | Self::SecretMissing { .. }
            | Self::Dns(_)
            | Self::Connect(_)
            | Self::Tls(_)
            | Self::Broken(_)
            | Self::Upload(_)
            | Self::SwitchingProtocols
            | Self::ResponseHead
            | Self::Unreadable
            | Self::ResponseTooLarge { .. } => false,
        }
    }

    /// Whether the guard denied the request.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }

    pub(crate) fn connect(error: io::Error) -> Self {
        Self::Connect(Arc::new(error))
    }

    pub(crate) fn broken(error: hyper::Error) -> Self {
        if error.is_parse_too_large() { Self::ResponseHead } else { Self::Broken(Arc::new(error)) }
    }
}

/// Why a name has no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DnsError {
    /// The resolver failed or knows no such name.
    #[error("could not resolve the name: {0}")]
    Failed(Arc<io::Error>),
    /// The resolver gave no address.
    #[error("the name has no address")]
    Empty,
    /// The resolver gave more addresses than are looked at.
    #[error("the name has more than {} addresses", crate::resolve::MAX_ADDRESSES)]
    TooMany,
    /// The name is below a granted wildcard, and has an address that is not granted: recorded as a denial.
    #[error("the name has an address that is not granted")]
    NotGranted,
    /// The resolver did not answer within the connect time-out.
    #[error("the name was not resolved within the connect time-out")]
    Timeout,
}
