//! The URLs that a request asks its provider to fetch: images and other media.
//!
//! A URL in a prompt makes the provider open a connection in the client's name, or tells a stranger that it was read. So it is
//! judged like a request of the adapter's own; `data:` URLs reach nothing and pass.

use crate::error::ApiError;
use crate::json::{decoded, string_end};
use crate::work::visit;
use std::fmt::{self, Write as _};

/// The most URLs in one request. Each is compared with the grants.
const MAX_URLS: usize = 256;

/// Schemes after which the WHATWG's standard needs no slash.
const SPECIAL: [&str; 6] = ["http", "https", "ftp", "ws", "wss", "file"];

/// Characters of a member's name that the name of a field shows.
const MAX_NAME: usize = 64;

/// A URL that a provider is asked to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteUrl {
    /// The URL, or the JSON string as it was written where it stands for no text.
    pub(crate) url: String,
    /// The field in which it stands, such as `messages[1].content[0].image_url`.
    pub(crate) field: String,
}

/// Adds the URLs in `messages`, a JSON array, to those of the request.
///
/// # Errors
/// [`ApiError`] with status 400 if there are more than [`MAX_URLS`] by now.
pub(crate) fn in_messages(messages: &str, urls: &mut Vec<RemoteUrl>) -> Result<(), ApiError> {
    find(messages, "messages", Kind::Parts { are_messages: true }, urls)
}

/// Adds the URLs in the input of an embedding: texts, objects like the parts of a message, or messages. `modality` is the member of that
/// name of the request: with any other than `"text"`, some servers fetch the strings of `input`.
///
/// # Errors
/// As [`in_messages`].
pub(crate) fn in_input(input: &str, modality: Option<&str>, urls: &mut Vec<RemoteUrl>) -> Result<(), ApiError> {
    let kind = match modality {
        None | Some("null" | "\"text\"") => Kind::Parts { are_messages: true },
        Some(_) => Kind::Any,
    };
    find(input, "input", kind, urls)
}

/// Adds the URLs in the member `name` of a request, which holds media.
///
/// # Errors
/// As [`in_messages`].
pub(crate) fn in_media(name: &str, value: &str, urls: &mut Vec<RemoteUrl>) -> Result<(), ApiError> {
    find(value, name, Kind::Any, urls)
}

/// Scans the JSON `text` once.
fn find(text: &str, place: &str, kind: Kind, urls: &mut Vec<RemoteUrl>) -> Result<(), ApiError> {
    visit(text.len());
    let mut finder = UrlFinder { text, urls };
    if may_have(text) && finder.value(0, &Place::root(place), kind).is_err() {
        let message = format!("the request has more than {MAX_URLS} URLs for its provider to fetch; send fewer");
        return Err(ApiError::invalid("too_many_urls", None, message));
    }
    Ok(())
}

/// Returns whether a closer look is worth it. Keys and slashes may be written with escapes, and some readers accept one slash or none.
fn may_have(text: &str) -> bool {
    let is_web = |at: usize| {
        let scheme = text.as_bytes()[..at].rsplit(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default();
        SPECIAL.iter().any(|special| scheme.eq_ignore_ascii_case(special.as_bytes()))
    };
    ["_url", "//", ":/", "\\"].iter().any(|sign| text.contains(sign))
        || text.match_indices(':').any(|(at, _)| is_web(at))
}

/// A place in a request, linked to the one above it: its name is made for what is found alone.
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Member(&'a str),
    Element(usize),
}

impl<'a> Place<'a> {
    fn root(name: &'a str) -> Self {
        Self { above: None, step: Step::Member(name) }
    }

    fn below(&'a self, step: Step<'a>) -> Self {
        Self { above: Some(self), step }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            Step::Element(at) => write!(f, "[{at}]"),
            Step::Member(name) => {
                if self.above.is_some() {
                    f.write_char('.')?;
                }
                name.chars().take(MAX_NAME).try_for_each(|c| f.write_char(c))
            }
        }
    }
}

/// The kinds of values, by what in them is a URL.
#[derive(Clone, Copy)]
enum Kind {
    /// Messages or the parts of one: an array, or one of them alone.
    Parts { are_messages: bool },
    /// A message or a part. A string in its place is a text.
    Part { is_message: bool },
    /// A member that is called a URL: a string, or the string `url` of an object, is one whatever it looks like.
    Url,
    /// Any value: of its strings, however deep, those that look like one.
    Any,
    /// The citations of an earlier answer, which a client sends back with it.
    Annotations,
    /// A text, or another value that providers do not fetch.
    Text,
}

impl Kind {
    /// Returns the kind of the member `name` of an object of this kind. A part's `content`, such as that of a tool's result, has parts of
    /// its own.
    fn member(self, name: &str) -> Self {
        match (self, name) {
            (Self::Text, _) | (Self::Annotations, "url_citation") => Self::Text,
            (Self::Url, "url") => Self::Url,
            (Self::Url | Self::Any | Self::Annotations, _) => Self::Any,
            (Self::Parts { .. } | Self::Part { .. }, "content") => Self::Parts { are_messages: false },
            (
                Self::Parts { .. } | Self::Part { .. },
                "text" | "refusal" | "reasoning" | "reasoning_content" | "thinking" | "tool_calls" | "function_call",
            ) => Self::Text,
            (Self::Parts { are_messages: true } | Self::Part { is_message: true }, "annotations") => Self::Annotations,
            (Self::Parts { .. } | Self::Part { .. }, _) if name.ends_with("_url") => Self::Url,
            (Self::Parts { .. } | Self::Part { .. }, _) => Self::Any,
        }
    }

    /// Returns the kind of the elements of an array of this kind.
    fn element(self) -> Self {
        match self {
            Self::Parts { are_messages } => Self::Part { is_message: are_messages },
            Self::Part { .. } => Self::Part { is_message: false },
            Self::Url | Self::Any => Self::Any,
            Self::Annotations => Self::Annotations,
            Self::Text => Self::Text,
        }
    }
}

/// More URLs than a request may have.
struct TooManyUrls;

/// A scanner of a JSON text that collects URLs.
struct UrlFinder<'t> {
    text: &'t str,
    urls: &'t mut Vec<RemoteUrl>,
}

impl UrlFinder<'_> {
    /// Reads the value that begins at `at`, and returns the place behind it. The depth is that of the body, which is bounded.
    fn value(&mut self, at: usize, place: &Place<'_>, kind: Kind) -> Result<usize, TooManyUrls> {
        let at = self.next(at);
        match self.text.as_bytes().get(at) {
            Some(b'"') => {
                let end = string_end(self.text.as_bytes(), at) + 1;
                self.collect(self.text.get(at..end).unwrap_or_default(), place, kind)?;
                Ok(end)
            }
            Some(b'[') => self.array(at + 1, place, kind),
            // A message or part without an array around it is the only one.
            Some(b'{') if matches!(kind, Kind::Parts { .. }) => {
                self.object(at + 1, &place.below(Step::Element(0)), kind)
            }
            Some(b'{') => self.object(at + 1, place, kind),
            _ => {
                let rest = self.text.as_bytes().get(at..).unwrap_or_default();
                Ok(at + rest.iter().position(|byte| b",]} \t\n\r".contains(byte)).unwrap_or(rest.len()))
            }
        }
    }

    fn array(&mut self, mut at: usize, place: &Place<'_>, kind: Kind) -> Result<usize, TooManyUrls> {
        for element in 0.. {
            at = self.next(at);
            if matches!(self.text.as_bytes().get(at), None | Some(b']')) {
                break;
            }
            at = match kind {
                // What is not a part has no number in the names of fields.
                Kind::Url | Kind::Any | Kind::Annotations | Kind::Text => self.value(at, place, kind.element())?,
                Kind::Parts { .. } | Kind::Part { .. } => {
                    self.value(at, &place.below(Step::Element(element)), kind.element())?
                }
            };
            at = self.behind_comma(at);
        }
        Ok(at + 1)
    }

    fn object(&mut self, mut at: usize, place: &Place<'_>, kind: Kind) -> Result<usize, TooManyUrls> {
        loop {
            at = self.next(at);
            if !matches!(self.text.as_bytes().get(at), Some(b'"')) {
                return Ok(at + 1);
            }
            let end = string_end(self.text.as_bytes(), at) + 1;
            let name = decoded(self.text.get(at..end).unwrap_or_default());
            let colon = self.next(end);
            at = match kind {
                Kind::Url | Kind::Any | Kind::Annotations | Kind::Text => {
                    self.value(colon + 1, place, kind.member(&name))?
                }
                Kind::Parts { .. } | Kind::Part { .. } => {
                    self.value(colon + 1, &place.below(Step::Member(&name)), kind.member(&name))?
                }
            };
            at = self.behind_comma(at);
        }
    }

    /// Returns the first place from `at` on that is not blank.
    fn next(&self, at: usize) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let blanks = rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len());
        visit(blanks + 1);
        at + blanks
    }

    /// Returns the place behind the comma that comes next, or of what comes instead.
    fn behind_comma(&self, at: usize) -> usize {
        let at = self.next(at);
        at + usize::from(self.text.as_bytes().get(at) == Some(&b','))
    }

    /// Notes a JSON string of this kind, if it is a URL that leads somewhere.
    fn collect(&mut self, string: &str, place: &Place<'_>, kind: Kind) -> Result<(), TooManyUrls> {
        visit(string.len());
        let is_url: fn(&str) -> bool = match kind {
            Kind::Parts { .. } | Kind::Part { .. } | Kind::Text => return Ok(()),
            Kind::Url => |text| !is_data(text),
            Kind::Any | Kind::Annotations => is_remote,
        };
        let url = with_text(string, |text| text.is_some_and(is_url).then(|| text.unwrap_or_default().to_owned()));
        // Readers differ about half a surrogate pair. What is a URL without it is one as it was written, which no entry covers.
        let is_disguised = || with_text(&without_surrogates(string), |text| text.is_none_or(is_url));
        let url = match url {
            None if with_text(string, |text| text.is_none()) && is_disguised() => Some(string.to_owned()),
            url => url,
        };
        if let Some(url) = url {
            if self.urls.len() >= MAX_URLS {
                return Err(TooManyUrls);
            }
            let field = place.to_string();
            visit(field.len());
            self.urls.push(RemoteUrl { url, field });
        }
        Ok(())
    }
}

/// Removes the halves of surrogate pairs from a JSON string that has some: it stands for no text otherwise.
fn without_surrogates(string: &str) -> String {
    let unit = |at: usize| {
        let escape = string.get(at..at + 6).filter(|escape| escape.starts_with("\\u"))?;
        u16::from_str_radix(&escape[2..], 16).ok()
    };
    let (mut text, mut at) = (String::new(), 0);
    while let Some(c) = string[at..].chars().next() {
        let (length, is_kept) = match (c, unit(at)) {
            ('\\', Some(0xD800..=0xDBFF)) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => (12, true),
            ('\\', Some(0xD800..=0xDFFF)) => (6, false),
            // Two characters, so that the second is no escape of its own.
            ('\\', _) => (1 + string[at + 1..].chars().next().map_or(0, char::len_utf8), true),
            (c, _) => (c.len_utf8(), true),
        };
        if is_kept {
            text.push_str(&string[at..at + length]);
        }
        at += length;
    }
    text
}

/// Calls `judge` with the text of a JSON string, or with none where it stands for no text.
fn with_text<T>(string: &str, judge: impl FnOnce(Option<&str>) -> T) -> T {
    // Without an escape it is not copied: a string may be an image of megabytes.
    if let Ok(text) = serde_json::from_str::<&str>(string) {
        return judge(Some(text));
    }
    judge(serde_json::from_str::<String>(string).ok().as_deref())
}

fn is_data(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Returns whether a text is a URL that leads somewhere (RFC 3986, section 3): a scheme and a slash, or `//` alone.
///
/// Readers by the WHATWG's standard skip control characters and blanks before it, tabs and line ends anywhere, take `\` for a slash,
/// and need none after `http:`. A single letter is no scheme but a drive of Windows.
fn is_remote(text: &str) -> bool {
    const HEAD: usize = 256;
    let trim = |text: &'_ str| -> usize {
        text.len() - text.trim_start_matches(|c: char| c <= ' ' || c.is_whitespace() || c == '\u{feff}').len()
    };
    let mut begin = &text[trim(text)..];
    // Wrappers that some readers take off (RFC 3986, appendix C).
    begin = begin.strip_prefix('<').unwrap_or(begin);
    if begin.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("url:")) {
        begin = &begin[4..];
        begin = &begin[trim(begin)..];
    }
    let head: String = begin.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).take(HEAD).collect();
    let Some((scheme, rest)) = head.split_once(':') else { return leads_to_host(&head, begin) };
    let is_scheme =
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_web = SPECIAL.iter().any(|special| scheme.eq_ignore_ascii_case(special));
    let leads = rest.starts_with(['/', '\\']) || is_web && !rest.is_empty() && !rest.starts_with(' ');
    leads_to_host(&head, begin) || is_scheme && leads && !is_data(&head)
}

/// Returns whether `text`, which begins with `head`, is a URL without its scheme. Base64 may begin with `//` as well: a text that has its
/// characters alone, and either its length or that of no URL, is taken for it.
fn leads_to_host(head: &str, text: &str) -> bool {
    const LONG: usize = 2048;
    let is_base64 = || {
        let digits = text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).count();
        let has_length = digits.is_multiple_of(4) || digits > LONG;
        has_length && head.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    };
    let slashes = ["//", "\\\\", "/\\", "\\/"];
    let Some(rest) = slashes.iter().find_map(|slashes| head.strip_prefix(slashes)) else { return false };
    // A comment of a program begins so as well.
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    !authority.is_empty() && !authority.contains(char::is_whitespace) && !is_base64()
}

#[cfg(test)]
mod tests;
