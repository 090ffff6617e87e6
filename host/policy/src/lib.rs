//! Policy: the files in `policies/` become values here, and the decisions over them are taken here.
//!
//! In go texts of YAML files and requests' targets; out come valid policies, diagnostics and decisions. Nothing here does
//! I/O, reads a clock or knows the sandbox or the server: what is decided can be tested as a table.

pub mod address;
mod base_url;
mod credential_headers;
mod diagnostics;
mod draw;
mod egress;
mod files;
mod grant;
mod grant_url;
mod host;
mod id;
mod keys;
mod limits;
mod limits_change;
mod lock;
mod model_names;
mod models;
mod node;
mod path;
mod plan;
mod public_suffix;
mod raw;
mod reach;
mod reader;
mod render;
mod review;
mod route;
mod scalar;
mod secret;
mod source;
mod suggest;
mod target;
mod yaml;

pub use address::AddressClass;
pub use base_url::{BaseUrl, InvalidBaseUrl};
pub use credential_headers::CREDENTIAL_HEADERS;
pub use diagnostics::{Diagnostic, Diagnostics, Parsed, Severity};
pub use egress::{Denial, Egress, Holder};
pub use files::Routing;
pub use files::schema::schemas;
pub use grant::{AdapterRef, Grant, HostPattern, Locality, Network, PathPrefix};
pub use host::{Host, InvalidHost};
pub use id::{AdapterId, Digest, InvalidAdapterId, InvalidDigest};
pub use keys::{Argon2id, Key, KeyHash, Keys};
pub use limits::{AdapterLimits, LatencyBudgets, LedgerLimits, Limits, ServerLimits};
pub use limits_change::{LimitChange, LiveLimits};
pub use lock::{Change, Drift, DriftKind, Lock, Locked, Unapproved};
pub use model_names::ModelNames;
pub use models::{Finding, Model, Models, is_model_id};
pub use plan::{Ask, Fact, Held, Plan, Reason, Step, Why, plan};
pub use reach::{ModelScope, Reach, Scope, Standing};
pub use review::{AdapterFacts, AdapterFile, Review, review};
pub use route::{Candidate, Route};
pub use secret::{SecretPart, SecretTemplate};
pub use suggest::closest as did_you_mean;
pub use target::{InvalidTarget, MAX_URL, Method, Scheme, Target};
