//! Sets of model names, as keys and grants have them.

use std::collections::BTreeSet;

/// A set of public names of models and routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelNames {
    /// Every name: `["*"]` in the file.
    All,
    /// These names.
    These(BTreeSet<Box<str>>),
}

impl ModelNames {
    /// Returns whether the set has this name.
    #[must_use]
    pub fn covers(&self, model: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.contains(model),
        }
    }
}
