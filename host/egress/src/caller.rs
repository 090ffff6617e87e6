//! Who asks: a loaded adapter with the grants it holds and the limits it is under.

use hauski_policy::{AdapterId, AdapterLimits, Digest, GrantSet};
use std::sync::Arc;

/// A loaded adapter, as the door knows it. The runtime makes one for each load; a clone is one reference count.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: AdapterId,
    digest: Digest,
    grants: GrantSet,
    limits: AdapterLimits,
}

impl Caller {
    /// The adapter `id` with these bytes, holding `grants`.
    #[must_use]
    pub fn new(id: AdapterId, digest: Digest, grants: GrantSet, limits: AdapterLimits) -> Self {
        Self(Arc::new(Inner { id, digest, grants, limits }))
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

    /// The grants that the adapter holds.
    #[must_use]
    pub fn grants(&self) -> &GrantSet {
        &self.0.grants
    }

    /// The limits that the adapter is under.
    #[must_use]
    pub fn limits(&self) -> &AdapterLimits {
        &self.0.limits
    }
}
