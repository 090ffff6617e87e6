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
    #[error("the URL is longer than {} bytes", hauski_policy::MAX_URL)]
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
    /// The entry is for a name on the internet without TLS, and the name leads to one of this machine's own addresses. Behind
    /// those are services that count on not being reached from outside.
    #[error("its address {0} is one of this machine's own; grant the address itself if that is meant")]
    OwnInterface(IpAddr),
}

impl Denied {
    /// Returns whether the request was denied for an address, after its name was resolved.
    #[must_use]
    pub fn is_of_address(&self) -> bool {
        match self {
            Self::AddressClass { .. } | Self::OwnAddress(_) | Self::OwnInterface(_) => true,
            Self::Target(_) | Self::UrlTooLong | Self::Grant(_) => false,
        }
    }

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
            Self::OwnInterface(_) => "own-interface",
        }
    }
}
