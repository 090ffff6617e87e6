//! Who asks: a loaded adapter and the limits it is under, or the gateway itself for its telemetry. What it may reach is the
//! policy's to say, anew for each request.

use hauski_policy::{AdapterId, AdapterLimits, Digest, Holder};
use std::sync::Arc;
use std::time::Duration;

/// The limits under which the gateway sends its telemetry. Those that bind a sandbox bind nothing here.
const TELEMETRY: AdapterLimits = AdapterLimits {
    memory_bytes: 0,
    cpu: Duration::ZERO,
    instances: 1,
    connect: Duration::from_secs(2),
    first_token: Duration::from_secs(5),
    idle: Duration::from_secs(5),
    total: Duration::from_secs(10),
    queue: 0,
    queue_wait: Duration::ZERO,
    retries: 0,
    breaker_failures: 1,
    breaker_open: Duration::ZERO,
    probe: None,
    response_bytes: 64 << 10,
};

/// A loaded adapter, as the door knows it. The runtime makes one for each load; a clone is one reference count.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: AdapterId,
    digest: Digest,
    limits: AdapterLimits,
}

impl Caller {
    /// The adapter `id` with these bytes.
    #[must_use]
    pub fn new(id: AdapterId, digest: Digest, limits: AdapterLimits) -> Self {
        Self(Arc::new(Inner { id, digest, limits }))
    }

    /// The gateway itself, which sends its telemetry by the same door and the same rules. It has no bytes, and so no digest.
    #[must_use]
    pub fn telemetry() -> Self {
        Self::new(AdapterId::telemetry(), Digest::from_bytes([0; 32]), TELEMETRY)
    }

    /// The adapter's id.
    #[must_use]
    pub fn id(&self) -> &AdapterId {
        &self.0.id
    }

    /// The digest of the adapter's bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// The adapter as the policy knows it.
    #[must_use]
    pub fn holder(&self) -> Holder<'_> {
        Holder { id: &self.0.id, digest: &self.0.digest }
    }

    /// The limits that the adapter is under.
    #[must_use]
    pub fn limits(&self) -> &AdapterLimits {
        &self.0.limits
    }
}
