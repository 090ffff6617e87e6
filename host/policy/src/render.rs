//! Diagnostics as text for people, drawn by annotate-snippets.

use crate::diagnostics::{Diagnostic, Severity};
use crate::source::{Source, is_invisible};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One diagnostic: head, line with caret, help. Ends in a line break.
pub(crate) fn diagnostic(source: &Source, it: &Diagnostic, color: bool) -> String {
    let (level, style) = match it.severity {
        Severity::Error => (Level::ERROR, "\u{1b}[1;31m"),
        Severity::Warning => (Level::WARNING, "\u{1b}[1;33m"),
    };
    let kind = format!("{}[{}]", it.severity.as_str(), it.code);
    let place = format!("{}:{}:{}", visible(&it.file), it.line, it.column);
    let mut out = if color {
        format!("{place} {style}{kind}\u{1b}[0m\u{1b}[1m: {}\u{1b}[0m\n", it.message)
    } else {
        format!("{place} {kind}: {}\n", it.message)
    };
    let mut group = Group::with_level(level);
    if !source.text.is_empty() {
        let excerpt = source.excerpt(&it.span);
        let caret = AnnotationKind::Primary.span(excerpt.span).label(it.label.clone());
        group = group.element(Snippet::source(excerpt.text).line_start(it.line).fold(false).annotation(caret));
    }
    if let Some(help) = &it.help {
        group = group.element(Level::HELP.message(help.clone()));
    }
    if !group.is_empty() {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        out.push_str(&renderer.decor_style(DecorStyle::Ascii).render(&[group]));
        out.push('\n');
    }
    out
}

/// A text with what a terminal would obey, or people would not see, escaped.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) || matches!(c, '\n' | '\t') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A piece of a file within a message: in backticks, visible, and not too long.
pub(crate) fn quote(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("`{}...`", visible(&text[..end])),
        None => format!("`{}`", visible(text)),
    }
}
