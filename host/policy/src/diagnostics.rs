//! Diagnostics: what is wrong with a policy file, where, and what to write instead.
//!
//! They are collected while a file is read and leave as one [`Diagnostics`], which is an error that people read, and a list
//! that programs read.

use crate::render;
use crate::source::Source;
use serde::{Serialize, Serializer};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used, but a person should look at it.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What it is, in kebab case; does not change between versions.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The place, as bytes of the file.
    #[serde(skip)]
    pub span: Range<usize>,
    /// What the caret says.
    #[serde(skip)]
    pub label: Option<String>,
}

/// All that was found in a file, in the order of the file.
///
/// At most 100 errors and 100 warnings are kept; the others are counted.
#[derive(Clone)]
pub struct Diagnostics {
    source: Arc<Source>,
    list: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    pub(crate) fn new(source: Arc<Source>, list: Vec<Diagnostic>, errors: usize, warnings: usize) -> Self {
        Self { source, list, errors, warnings }
    }

    /// The one diagnostic of a file that could not be read at all; `reason` is the operating system's word for it.
    #[must_use]
    pub fn unreadable(file: &str, reason: &dyn fmt::Display) -> Self {
        let source = Source::new(file, String::new());
        let diagnostic = Diagnostic {
            file: source.file.to_string(),
            line: 1,
            column: 1,
            code: "unreadable-file",
            severity: Severity::Error,
            message: format!("the file can't be read: {reason}"),
            help: Some("create it or make it readable; a missing policy file is not an empty one".to_owned()),
            span: 0..0,
            label: None,
        };
        Self::new(Arc::new(source), vec![diagnostic], 1, 0)
    }

    /// The file that was read.
    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The file's name, as the caller gave it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.file
    }

    /// What was found and kept, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many errors were found, including those that are only counted.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings were found, including those that are only counted.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// What people read: each as `file:line:col error[code]: message`, the line with a caret, and what to write instead.
    ///
    /// The text ends in a line break where it is not empty.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let mut out = String::new();
        for diagnostic in &self.list {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&render::diagnostic(&self.source, diagnostic, color));
        }
        for (severity, all) in [(Severity::Error, self.errors), (Severity::Warning, self.warnings)] {
            let kept = self.list.iter().filter(|d| d.severity == severity).count();
            if all > kept {
                out.push_str(&format!("\n... and {} more {}s in {}\n", all - kept, severity.as_str(), self.file()));
            }
        }
        out
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// As [`Diagnostics::render`] without colour.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

/// The list alone: the file's text may hold what no log should.
impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl std::error::Error for Diagnostics {}

impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.list)
    }
}

/// A file's value, and what a person should look at nevertheless.
#[derive(Clone, Debug)]
pub struct Parsed<T> {
    /// The value.
    pub value: T,
    /// Warnings only; may be empty.
    pub warnings: Diagnostics,
}
