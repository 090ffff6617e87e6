//! A policy file's text with its lines, and the parts of it that no diagnostic may show.

use crate::diagnostics::Diagnostics;
use crate::reader::Reader;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file's name and text.
#[derive(Clone)]
pub(crate) struct Source {
    /// The name, as the caller gave it.
    pub(crate) file: Arc<str>,
    /// The text.
    pub(crate) text: String,
    line_starts: Vec<usize>,
    hidden: Vec<Range<usize>>,
}

/// The text of a file that was read, kept for diagnostics that compare it with another file.
#[derive(Clone, Default)]
pub(crate) struct FileText(Option<Arc<Source>>);

impl FileText {
    /// The text of the file that `diagnostics` are about.
    pub(crate) fn of(diagnostics: &Diagnostics) -> Self {
        Self(Some(Arc::clone(diagnostics.source())))
    }

    /// Returns a reader that reports diagnostics of the same file.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(self.0.as_ref().map_or_else(|| Source::new("", String::new()), |source| (**source).clone()))
    }
}

/// Nothing of the text: it may hold what no log should.
impl fmt::Debug for FileText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileText")
    }
}

/// A piece of one line, fit to be shown: without control characters and hidden parts.
pub(crate) struct Excerpt {
    /// The text.
    pub(crate) text: String,
    /// Where in it the place is that it was asked for.
    pub(crate) span: Range<usize>,
}

/// Lines are shown up to this many bytes before and after the place.
const AROUND: usize = 200;

impl Source {
    pub(crate) fn new(file: &str, text: String) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(breaks).collect();
        Self { file: file.into(), text, line_starts, hidden: Vec::new() }
    }

    /// Line and column of a byte, both counted from 1; the column in characters.
    pub(crate) fn position(&self, at: usize) -> (usize, usize) {
        let at = self.text.floor_char_boundary(at);
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        (line, self.text[start..at].chars().count() + 1)
    }

    /// Returns the span of the text in this line, counted from 1, without the white space around it.
    pub(crate) fn line_span(&self, line: usize) -> Range<usize> {
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        let line = &self.text[start..end];
        let content = line.trim_start_matches([' ', '-']);
        let start = start + line.len() - content.len();
        start..start + content.trim_end().len()
    }

    /// Makes this part of the text one that is never shown: it may be a secret that does not belong there.
    ///
    /// References such as `${env:NAME}` and the words for the schemes of `authorization` stay visible.
    pub(crate) fn hide(&mut self, span: &Range<usize>) {
        let ranges = literal_ranges(&self.text, span);
        self.hidden.extend(ranges);
    }

    /// Whether the beginning of this part is never shown.
    pub(crate) fn is_hidden(&self, span: &Range<usize>) -> bool {
        self.hidden.iter().any(|range| range.contains(&span.start))
    }

    /// Hides possible secrets line by line in a text that is not YAML: what follows a key that may have one, and what looks like a key's
    /// hash. (After an `@` it is an adapter's.)
    pub(crate) fn hide_by_line(&mut self) {
        const NAMES: [&str; 8] = ["secret", "value", "hash", "key", "token", "password", "authorization", "config"];
        let mut found = Vec::new();
        for (index, start) in self.line_starts.iter().enumerate() {
            let end = self.line_starts.get(index + 1).copied().unwrap_or(self.text.len());
            let line = &self.text[*start..end];
            let lower = line.to_ascii_lowercase();
            let after = |key| lower.find(key).and_then(|at| line[at..].find(':').map(|colon| start + at + colon + 1));
            let hash = line.find("sha256:").filter(|at| !line[..*at].ends_with('@')).or_else(|| line.find("$argon2"));
            let hash = hash.map(|at| start + at);
            if let Some(at) = NAMES.into_iter().filter_map(after).chain(hash).min() {
                found.extend(literal_ranges(&self.text, &(at..end)));
            }
        }
        self.hidden.extend(found);
    }

    /// Hides the comments that `which` picks: what was commented out may be a secret, and the parser tells nothing of it.
    ///
    /// Takes for a comment whatever may be one: a number sign that no letter, digit or part of a URL precedes, to the line's end.
    pub(crate) fn hide_comments(&mut self, which: impl Fn(&str) -> bool) {
        let is_inside = |c: char| c.is_alphanumeric() || "/._~=&?%-".contains(c);
        for (index, start) in self.line_starts.iter().enumerate() {
            let end = self.line_starts.get(index + 1).copied().unwrap_or(self.text.len());
            let line = self.text[*start..end].trim_end();
            let opens = |(at, _): &(usize, &str)| !line[..*at].ends_with(is_inside);
            if let Some((at, _)) = line.match_indices('#').find(opens).filter(|(at, _)| which(&line[*at..])) {
                self.hidden.push(start + at..start + line.len());
            }
        }
    }

    /// The first line of `span`, or what of it is around the span's start.
    pub(crate) fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let start = self.text.floor_char_boundary(span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let from = self.text.ceil_char_boundary(line_start.max(start.saturating_sub(AROUND)));
        let to = self.text.floor_char_boundary(line_end.min(start + AROUND));
        let end = span.end.clamp(start, to);
        let mut excerpt = Excerpt { text: String::new(), span: 0..0 };
        let hidden: Vec<_> = self.hidden.iter().filter(|range| range.start < to && range.end > from).collect();
        let mut was_hidden = false;
        for (at, c) in self.text[from..to].char_indices().map(|(at, c)| (from + at, c)) {
            let is_hidden = hidden.iter().any(|range| range.contains(&at));
            if at <= start && !(is_hidden && was_hidden) {
                excerpt.span.start = excerpt.text.len();
            }
            match (is_hidden, was_hidden) {
                (true, true) => {}
                (true, false) => excerpt.text.push_str("***"),
                (false, _) if c == '\r' => {}
                (false, _) => excerpt.text.push(if is_invisible(c) { '\u{fffd}' } else { c }),
            }
            was_hidden = is_hidden;
            if at < end {
                excerpt.span.end = excerpt.text.len();
            }
        }
        if start >= to {
            excerpt.span.start = excerpt.text.len();
        }
        excerpt.span.end = excerpt.span.end.max(excerpt.span.start);
        excerpt
    }
}

/// Characters that change how a text looks without being seen in it, among them the byte order mark.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The parts of `span` that are neither references nor harmless words.
fn literal_ranges(text: &str, span: &Range<usize>) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = span.start;
    while let Some(rest) = text.get(at..span.end).filter(|rest| !rest.is_empty()) {
        // Anything else in `${}` may be the secret itself.
        let is_reference = |at: usize| ["${env:", "${file:"].iter().any(|kind| rest[at..].starts_with(kind));
        let (literal, reference) = match rest.match_indices("${").map(|(at, _)| at).find(|at| is_reference(*at)) {
            Some(open) => (open, rest[open..].find('}').map_or(rest.len() - open, |close| close + 1)),
            None => (rest.len(), 0),
        };
        let piece = &rest[..literal];
        let trimmed = piece.trim_matches([' ', '"', '\'', '}', '\r', '\n']);
        if !["", "Bearer", "Basic", "Token"].contains(&trimmed) {
            let offset = at + piece.find(trimmed).unwrap_or_default();
            ranges.push(offset..offset + trimmed.len());
        }
        at += literal + reference;
    }
    ranges
}
