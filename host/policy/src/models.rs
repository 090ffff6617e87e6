//! The models of `models.yml` in their valid form.

use crate::base_url::BaseUrl;
use crate::diagnostics::{Diagnostics, Severity};
use crate::id::AdapterId;
use crate::source::FileText;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

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
    /// The base URL of its provider: `base_url` of the `config`. Without it, the default that the adapter describes holds.
    pub base_url: Option<BaseUrl>,
    /// The file with its weights, for people and other tools.
    pub path: Option<Box<str>>,
    /// The video memory that it needs, in gigabytes (10⁹ bytes).
    pub vram_min_gb: Option<f64>,
    /// Whether it takes part only as canary.
    pub canary: bool,
    pub(crate) places: ModelPlaces,
}

/// The places of a model's values in the file, for diagnostics that need other files as well.
#[derive(Clone, Default)]
pub(crate) struct ModelPlaces {
    pub(crate) id: Range<usize>,
    pub(crate) adapter: Option<Range<usize>>,
    pub(crate) base_url: Option<Range<usize>>,
}

/// The same text for every file: places say nothing of a model.
impl fmt::Debug for ModelPlaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelPlaces")
    }
}

impl Model {
    /// The name that the provider is asked for.
    #[must_use]
    pub fn upstream_name(&self) -> &str {
        self.upstream.as_deref().unwrap_or(&self.id)
    }
}

/// Returns whether `text` can be the id of a model: 1 to 128 letters, digits, `/`, `:`, `.`, `-`, `_` and `@`.
#[must_use]
pub fn is_model_id(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"/:._@-".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Something that was found about a model beyond its file, such as by asking its provider.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// The public name of the model.
    pub model: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in kebab case; does not change between versions.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// All models, in the file's order; their ids are distinct.
#[derive(Clone, Debug, Default)]
pub struct Models {
    pub(crate) list: Vec<Model>,
    pub(crate) text: FileText,
}

impl Models {
    /// The models, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.list.iter()
    }

    /// Returns diagnostics at the places of models, one for each finding.
    #[must_use]
    pub fn diagnose(&self, findings: &[Finding<'_>]) -> Diagnostics {
        let mut reader = self.text.reader();
        for finding in findings {
            let places = self.get(finding.model).map(|model| &model.places);
            let place = places.map(|places| places.base_url.clone().unwrap_or_else(|| places.id.clone()));
            let (code, message) = (finding.code, finding.message.clone());
            match finding.severity {
                Severity::Error => reader.error(code, &place.unwrap_or_default(), message).help(&*finding.help),
                Severity::Warning => reader.warning(code, &place.unwrap_or_default(), message).help(&*finding.help),
            };
        }
        reader.into_diagnostics()
    }

    /// The model with this public name.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Model> {
        self.list.iter().find(|model| &*model.id == id)
    }
}
