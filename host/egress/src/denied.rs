//! The reasons for which the guard denies a request.

use hauski_policy::{AddressClass, Denial, InvalidTarget};
use std::net::{IpAddr, SocketAddr};

/// Why a request is denied. The operator sees it; an adapter sees one error for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The method or the URL is malformed or ambiguous.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// The URL is longer than any that is sent.
    #[error("the URL is longer than {} bytes", crate::guard::MAX_URL)]
    UrlTooLong,
    /// No grant covers the request as a whole.
    #[error("no entry of `egress.allow` covers it: {}", .0.code())]
    Grant(Denial),
    /// The host has an address of a class that the grant is not for. One such address is enough.
    #[error("its address {address} is {class:?}, which the entry's `network` does not cover")]
    AddressClass {
        /// The first such address.
        address: IpAddr,
        /// Its class.
        class: AddressClass,
    },
    /// The host has an address on which this gateway itself listens.
    #[error("{0} is the gateway itself")]
    OwnAddress(SocketAddr),
}

impl Denied {
    /// The reason's stable code, for log, ledger and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Target(InvalidTarget::Method) => "invalid-method",
            Self::Target(InvalidTarget::Scheme) => "invalid-scheme",
            Self::Target(InvalidTarget::Userinfo) => "invalid-userinfo",
            Self::Target(InvalidTarget::Host(_)) => "invalid-host",
            Self::Target(InvalidTarget::Port) => "invalid-port",
            Self::Target(InvalidTarget::Path) => "invalid-path",
            Self::Target(InvalidTarget::Encoding) => "invalid-encoding",
            Self::Target(InvalidTarget::Character) => "invalid-character",
            Self::UrlTooLong => "url-too-long",
            Self::Grant(denial) => denial.code(),
            Self::AddressClass { .. } => "address-class",
            Self::OwnAddress(_) => "own-address",
        }
    }
}
