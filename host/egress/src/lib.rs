//! The only door out: whatever reaches the network goes through [`Door::permit`] and [`Door::send`].
//!
//! In goes the text of a request with who asks for it; out comes the provider's answer, piece by piece. No other crate of the
//! host resolves names or opens outbound sockets. The order is fixed by types: [`Door::send`] takes a [`Permit`], only the
//! guard makes one, and it names the addresses that may be dialled.

mod account;
mod advice;
mod caller;
mod connection;
mod denied;
mod dial;
mod door;
mod error;
mod flood_guard;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
pub mod headers;
pub mod ledger;
mod observe;
pub mod os_lock;
mod pass;
mod pool;
mod query;
mod redact;
mod resolve;
mod response;
mod search;
mod secret_value;
mod secrets;
mod shared;
mod spelling;
pub mod suggest;
mod timeouts;
mod tls;
mod upload;
mod usage;

pub use caller::Caller;
pub use denied::Denied;
pub use door::Door;
pub use error::{DnsError, EgressError};
pub use guard::{Ask, Destination, Permit};
pub use headers::InvalidRequest;
pub use ledger::{Ledger, LedgerError, LedgerUnavailable, LedgerWriter, Recovery};
pub use observe::{Asked, Decision, End, Exchange, Observer, Verdict};
pub use pass::today;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use response::{Response, ResponseBody};
pub use rustls::pki_types::CertificateDer;
pub use secret_value::SecretProblem;
pub use secrets::{MissingSecret, Secrets};
pub use shared::{Parts, Policy, Shared};
pub use timeouts::Timeouts;
pub use tls::InvalidRoot;
pub use upload::{BoxError, OutboundBody, UploadError};
pub use usage::{Usage, Usages};
