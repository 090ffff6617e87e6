//! Who asks: a loaded adapter and the limits it is under. What it may reach is the policy's to say, anew for each request.

use hauski_policy::{AdapterId, AdapterLimits, Digest, Holder};
use std::sync::Arc;

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
