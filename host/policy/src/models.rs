//! The models of `models.yml` in their valid form.

use crate::id::AdapterId;
use std::collections::BTreeMap;

/// A model that the gateway knows.
#[derive(Clone, Debug)]
pub struct Model {
    /// The public name: what clients put into `model`.
    pub id: Box<str>,
    /// The adapter that serves it. A model without one is listed and can't be asked.
    pub adapter: Option<AdapterId>,
    /// The provider's name for it; the public one where it is not given.
    pub upstream: Option<Box<str>>,
    /// What the adapter reads by `settings.get`: keys and their values as JSON text.
    pub config: BTreeMap<Box<str>, Box<str>>,
    /// The file with its weights, for people and other tools.
    pub path: Option<Box<str>>,
    /// The video memory that it needs, in gigabytes (10⁹ bytes).
    pub vram_min_gb: Option<f64>,
    /// Whether it takes part only as canary.
    pub canary: bool,
}

impl Model {
    /// The name that the provider is asked for.
    #[must_use]
    pub fn upstream_name(&self) -> &str {
        self.upstream.as_deref().unwrap_or(&self.id)
    }
}

/// All models, in the file's order; their ids are distinct.
#[derive(Clone, Debug, Default)]
pub struct Models {
    pub(crate) list: Vec<Model>,
}

impl Models {
    /// The models, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.list.iter()
    }

    /// The model with this public name.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Model> {
        self.list.iter().find(|model| &*model.id == id)
    }
}
