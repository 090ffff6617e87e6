//! The reading of one file: collects diagnostics, knows where in the tree it is, and decides at the end whether there is a value.

use crate::diagnostics::{Diagnostic, Diagnostics, Parsed, Severity};
use crate::node::{Node, Value};
use crate::source::Source;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// Of errors and of warnings, each.
const MOST_KEPT: usize = 100;

/// What has been found so far in one file.
pub(crate) struct Reader {
    pub(crate) source: Source,
    path: Vec<Step>,
    list: Vec<Draft>,
    errors: usize,
    warnings: usize,
    /// Where drafts go that are only counted.
    spill: Draft,
}

/// A diagnostic without its position.
#[derive(Default)]
pub(crate) struct Draft {
    warning: bool,
    code: &'static str,
    span: Range<usize>,
    message: String,
    label: Option<String>,
    help: Option<String>,
}

impl Draft {
    /// Says what to write instead.
    pub(crate) fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    /// Puts a text at the caret.
    pub(crate) fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.label = Some(text.into());
        self
    }
}

/// A step down the tree.
#[derive(Clone)]
pub(crate) enum Step {
    /// Into a map.
    Key(Box<str>),
    /// Into a list.
    Index(usize),
}

impl Reader {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, path: Vec::new(), list: Vec::new(), errors: 0, warnings: 0, spill: Draft::default() }
    }

    /// Notes an error.
    pub(crate) fn error(&mut self, code: &'static str, span: &Range<usize>, message: impl Into<String>) -> &mut Draft {
        self.errors += 1;
        self.note(Draft { code, span: span.clone(), message: message.into(), ..Draft::default() })
    }

    /// Notes a warning.
    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Draft {
        self.warnings += 1;
        self.note(Draft { warning: true, code, span: span.clone(), message: message.into(), ..Draft::default() })
    }

    fn note(&mut self, draft: Draft) -> &mut Draft {
        let count = if draft.warning { self.warnings } else { self.errors };
        if count > MOST_KEPT {
            self.spill = draft;
            return &mut self.spill;
        }
        let at = self.list.len();
        self.list.push(draft);
        &mut self.list[at]
    }

    /// An error about a value's kind.
    pub(crate) fn wrong_type(&mut self, node: &Node, expected: &str) -> &mut Draft {
        let message = format!("{} is {}, not {expected}", self.here(), node.value.kind());
        self.error("wrong-type", &node.span, message)
    }

    /// Reports an error if there are more than `max` items.
    pub(crate) fn check_count(&mut self, count: usize, max: usize, items: &str, span: &Range<usize>) {
        if count > max {
            let message = format!("the file has {count} {items}, more than {max}");
            self.error("too-many-items", span, message).help("delete unused ones, or run a second gateway");
        }
    }

    /// Returns whether another error would be kept. Past that, errors are only counted, and no help for them needs to be found.
    pub(crate) fn keeps_errors(&self) -> bool {
        self.errors < MOST_KEPT
    }

    /// Returns whether another warning would be kept.
    pub(crate) fn keeps_warnings(&self) -> bool {
        self.warnings < MOST_KEPT
    }

    /// Whether an error was noted.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Runs `f` one step further down the tree.
    pub(crate) fn within<T>(&mut self, step: Step, f: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = f(self);
        self.path.pop();
        result
    }

    /// Where in the tree it is, for messages: `` `egress.allow[0]` ``, or `the file`.
    pub(crate) fn here(&self) -> String {
        if self.path.is_empty() {
            return "the file".to_owned();
        }
        let mut out = String::from("`");
        for (at, step) in self.path.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => out.push_str(&crate::render::visible(key)),
                Step::Key(key) => out.extend([".", &crate::render::visible(key)]),
                // Writing to a string can't fail.
                Step::Index(index) => drop(write!(out, "[{index}]")),
            }
        }
        out.push('`');
        out
    }

    /// Makes the scalars in `node` for which `which` holds ones that are never shown: they may be secrets.
    pub(crate) fn hide(&mut self, node: &Node, which: &dyn Fn(&Value) -> bool) {
        match &node.value {
            Value::Map(entries) => entries.iter().for_each(|(_, child)| self.hide(child, which)),
            Value::List(items) => items.iter().for_each(|item| self.hide(item, which)),
            scalar if which(scalar) => self.source.hide(&node.span),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }

    /// The line of a place, counted from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.source.position(span.start).0
    }

    /// The text of a place.
    pub(crate) fn text(&self, span: &Range<usize>) -> &str {
        self.source.text.get(span.clone()).unwrap_or_default()
    }

    /// The place of a part of the text that stands at `span`; all of `span` where escapes or folding make that impossible.
    pub(crate) fn part(&self, span: &Range<usize>, text: &str, part: &Range<usize>) -> Range<usize> {
        let raw = self.text(span);
        let offset = match raw.strip_prefix(['"', '\'']) {
            None if raw == text => 0,
            Some(rest) if rest.get(..rest.len().saturating_sub(1)) == Some(text) => 1,
            _ => return span.clone(),
        };
        span.start + offset + part.start..span.start + offset + part.end
    }

    /// The value, if there is one and no error was noted.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<Parsed<T>, Diagnostics> {
        let diagnostics = self.into_diagnostics();
        match value {
            Some(value) if diagnostics.errors() == 0 => Ok(Parsed { value, warnings: diagnostics }),
            _ => Err(diagnostics),
        }
    }

    /// Returns everything that was noted, in the order of the file.
    pub(crate) fn into_diagnostics(self) -> Diagnostics {
        let Self { source, list, errors, warnings, .. } = self;
        let source = Arc::new(source);
        let mut list: Vec<_> = list.into_iter().map(|draft| positioned(&source, draft)).collect();
        list.sort_by_key(|diagnostic| diagnostic.span.start);
        Diagnostics::new(source, list, errors, warnings)
    }
}

fn positioned(source: &Source, draft: Draft) -> Diagnostic {
    let Draft { warning, code, span, message, label, help } = draft;
    let (line, column) = source.position(span.start);
    let severity = if warning { Severity::Warning } else { Severity::Error };
    Diagnostic { file: source.file.to_string(), line, column, code, severity, message, help, span, label }
}
