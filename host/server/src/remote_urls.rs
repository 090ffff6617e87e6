//! The URLs that a request asks its provider to fetch: images and other media.
//!
//! A URL in a prompt makes the provider open a connection in the client's name, or tells a stranger that it was read. So it is
//! judged like a request of the adapter's own; `data:` URLs reach nothing and pass.

use crate::error::ApiError;
use crate::json::{Members, elements};
use std::fmt::{self, Write as _};

/// The most URLs in one request. Each is compared with the grants.
const MAX_URLS: usize = 256;

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

/// Returns the URLs in `messages`, a JSON array.
///
/// # Errors
/// [`ApiError`] with status 400 if there are more than [`MAX_URLS`].
pub(crate) fn in_messages(messages: &str) -> Result<Vec<RemoteUrl>, ApiError> {
    find(messages, |search| search.parts(messages, &Place::root("messages"), true))
}

/// Returns the URLs in what is to be embedded: texts, or objects like the parts of a message, or messages. `modality` is the member of
/// that name of the request: with any other than `"text"`, some servers fetch the strings of `input`.
///
/// # Errors
/// [`ApiError`] with status 400 if there are more than [`MAX_URLS`].
pub(crate) fn in_input(input: &str, modality: Option<&str>) -> Result<Vec<RemoteUrl>, ApiError> {
    let place = Place::root("input");
    match modality {
        None | Some("null" | "\"text\"") => find(input, |search| search.parts(input, &place, true)),
        Some(_) => find(input, |search| search.strings(input, &place)),
    }
}

/// Returns the URLs in the member `name` of a request, which holds media.
///
/// # Errors
/// [`ApiError`] with status 400 if there are more than [`MAX_URLS`].
pub(crate) fn in_media(name: &str, value: &str) -> Result<Vec<RemoteUrl>, ApiError> {
    find(value, |search| search.strings(value, &Place::root(name)))
}

fn find(text: &str, search: impl FnOnce(&mut Search)) -> Result<Vec<RemoteUrl>, ApiError> {
    let mut found = Search::default();
    if may_have(text) {
        search(&mut found);
    }
    match found.is_full {
        false => Ok(found.list),
        true => {
            let message = format!("the request has more than {MAX_URLS} URLs for its provider to fetch; send fewer");
            Err(ApiError::invalid("too_many_urls", None, message))
        }
    }
}

/// Returns whether a closer look is worth it. Keys and slashes may be written with escapes, and some readers accept one slash or none.
fn may_have(text: &str) -> bool {
    let is_web = |at: usize| {
        let scheme = text.as_bytes()[..at].rsplit(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")
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

/// The URLs found so far.
#[derive(Default)]
struct Search {
    list: Vec<RemoteUrl>,
    /// More were found than a request may have; the others are not in the list.
    is_full: bool,
}

impl Search {
    fn add(&mut self, url: &str, place: &Place<'_>) {
        if self.list.len() >= MAX_URLS {
            self.is_full = true;
        } else {
            self.list.push(RemoteUrl { url: url.to_owned(), field: place.to_string() });
        }
    }

    /// Searches the elements of an array; what is none is the only element.
    fn parts(&mut self, list: &str, place: &Place<'_>, are_messages: bool) {
        let items = elements(list).unwrap_or_default();
        let only = items.is_empty().then_some(list);
        for (at, part) in items.into_iter().chain(only).enumerate() {
            if self.is_full {
                return;
            }
            self.part(part, &place.below(Step::Element(at)), are_messages);
        }
    }

    /// Searches a message or a part: the members that are called so, and whatever else is a URL, but for texts and the calls of tools.
    /// A part's `content`, such as that of a tool's result, has parts of its own. A message's `annotations` are citations of an earlier
    /// answer, which nobody fetches.
    fn part(&mut self, part: &str, place: &Place<'_>, is_message: bool) {
        let Some(part) = Members::of(part) else { return };
        for (name, value) in part.iter() {
            let place = place.below(Step::Member(name));
            match name {
                "content" => self.parts(value, &place, false),
                "text" | "refusal" | "reasoning" | "reasoning_content" | "thinking" | "tool_calls"
                | "function_call" => {}
                "annotations" if is_message => {}
                _ if name.ends_with("_url") => self.media(value, &place),
                _ => self.strings(value, &place),
            }
        }
    }

    /// Searches a member that is called a URL: a string, or the string `url` of an object, is one whatever it looks like.
    fn media(&mut self, value: &str, place: &Place<'_>) {
        match value.bytes().next() {
            Some(b'"') => self.named(value, place),
            Some(b'{') => {
                for (name, value) in Members::of(value).iter().flat_map(Members::iter) {
                    match name == "url" && value.starts_with('"') {
                        true => self.named(value, place),
                        false => self.strings(value, place),
                    }
                }
            }
            _ => self.strings(value, place),
        }
    }

    fn named(&mut self, string: &str, place: &Place<'_>) {
        with_text(string, |text| {
            if !text.is_some_and(is_data) {
                self.add(text.unwrap_or(string), place);
            }
        });
    }

    /// Searches all strings of a value, however deep.
    fn strings(&mut self, value: &str, place: &Place<'_>) {
        match value.bytes().next() {
            _ if self.is_full => {}
            Some(b'"') => with_text(value, |text| {
                if text.is_none_or(is_remote) {
                    self.add(text.unwrap_or(value), place);
                }
            }),
            Some(b'[') => {
                elements(value).unwrap_or_default().into_iter().for_each(|value| self.strings(value, place));
            }
            Some(b'{') => {
                Members::of(value).iter().flat_map(Members::iter).for_each(|(_, value)| self.strings(value, place));
            }
            _ => {}
        }
    }
}

/// Calls `judge` with the text of a JSON string, or with none where it stands for no text, such as half a surrogate pair: readers differ
/// about those, so that it can't be judged and counts as a URL.
fn with_text(string: &str, judge: impl FnOnce(Option<&str>)) {
    // Without an escape it is not copied: a string may be an image of megabytes.
    if let Ok(text) = serde_json::from_str::<&str>(string) {
        return judge(Some(text));
    }
    judge(serde_json::from_str::<String>(string).ok().as_deref());
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
    let begin = text.trim_start_matches(|c: char| c <= ' ' || c.is_whitespace());
    let head: String = begin.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).take(HEAD).collect();
    let Some((scheme, rest)) = head.split_once(':') else { return leads_to_host(&head, begin) };
    let is_scheme =
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
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
    ["//", "\\\\", "/\\", "\\/"].iter().any(|slashes| head.starts_with(slashes)) && !is_base64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(part: &str, expected: Option<(&str, &str)>) {
        let messages = format!(r#"[{{"role":"user","content":"x"}},{{"content":[{{"type":"text"}},{part}]}}]"#);
        let found = in_messages(&messages).unwrap();
        let found: Vec<_> = found.iter().map(|one| (&*one.url, &*one.field)).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{part}");
    }

    #[test]
    fn urls() {
        const PLACE: &str = "messages[1].content[1].image_url";
        check(r#"{"type":"image_url","image_url":{"url":"http://a/b"}}"#, Some(("http://a/b", PLACE)));
        check(r#"{"type":"image_url","image_url":"http://a/b"}"#, Some(("http://a/b", PLACE)));
        check(r#"{"image\u005fur\u006c":{"\u0075rl":"http:\/\/a"}}"#, Some(("http://a", PLACE)));
        check(r#"{"video_url":{"url":"file:///etc"}}"#, Some(("file:///etc", "messages[1].content[1].video_url")));
        check(r#"{"image_url":{"url":"data:image/png;base64,AAAA"}}"#, None);
        check(r#"{"image_url":{"url":"DATA:image/png;base64,AAAA"}}"#, None);
        check(r#"{"image_url":{"url":" data:x"}}"#, Some((" data:x", PLACE)));
        check(r#"7,{"image_url":"http://a"}"#, Some(("http://a", "messages[1].content[2].image_url")));
        assert_eq!(in_messages(r#"["junk",{"content":{"image_url":"http://a"}}]"#).unwrap().len(), 1);
        check(r#"{"text":"see image_url http://a"}"#, None);
        check(r#"{"type":"image","image":"http://a"}"#, Some(("http://a", "messages[1].content[1].image")));
        check(r#"{"imageUrl":{"url":"http://a"}}"#, Some(("http://a", "messages[1].content[1].imageUrl")));
        check(r#"{"image_url":[{"url":"http://a"}]}"#, Some(("http://a", PLACE)));
        let file = r#"{"type":"file","file":{"filename":"x","file_data":"https://a/b.pdf"}}"#;
        check(file, Some(("https://a/b.pdf", "messages[1].content[1].file")));
        check(r#"{"type":"file","file":{"filename":"a: b","file_data":"data:application/pdf;base64,AA//"}}"#, None);
        check(r#"{"type":"input_audio","input_audio":{"data":"//4AAA==","format":"wav"}}"#, None);
        check(r#"{"image_url":"data:,","input_audio":{"data":"//4AAA==","format":"http"}}"#, None);
    }

    #[test]
    fn urls_in_forms_that_lenient_readers_accept() {
        for (text, expected) in [
            ("//evil.test/x", true),
            ("//evil/img", true),
            (r"\\\\evil.test/x", true),
            ("http:/evil.test", true),
            ("http:evil.test/a.pdf", true),
            (r"https:\\evil.test", true),
            (r"ht\ttp://evil.test", true),
            ("HTTPS://evil.test", true),
            ("Http:evil.test/a.png", true),
            (r"\u0001http://evil.test", true),
            (r"http://evil.test/x#\ud800", true),
            (r"\udc00", true),
            (r"C:\\Users\\me\\a.pdf", false),
            ("http: a protocol", false),
            ("//uQxAAAAAAA", false),
            (r"//uQxAAAAAA\nA", false),
            ("data:application/pdf;base64,AA//", false),
            ("report.pdf", false),
        ] {
            let part = format!(r#"{{"content":[{{"type":"file","file":{{"file_data":"{text}"}}}}]}}"#);
            assert_eq!(in_messages(&format!("[{part}]")).unwrap().len(), usize::from(expected), "{text}");
        }
    }

    #[test]
    fn urls_outside_the_parts_of_a_message() {
        let check = |message: &str, expected: &[&str]| {
            let found = in_messages(&format!("[{message}]")).unwrap();
            assert_eq!(found.iter().map(|one| &*one.field).collect::<Vec<_>>(), expected, "{message}");
        };
        check(r#"{"images":["http://a/b"]}"#, &["messages[0].images"]);
        check(
            r#"{"content":[{"type":"tool_result","content":[{"image_url":{"url":"http://a"}}]}]}"#,
            &["messages[0].content[0].content[0].image_url"],
        );
        check(r#"{"content":"http://a","tool_calls":[{"function":{"arguments":"http://a"}}]}"#, &[]);
        // Citations of an earlier answer, echoed by the client.
        let cited = r#"[{"type":"url_citation","url_citation":{"url":"https://a/"}}]"#;
        check(&format!(r#"{{"role":"assistant","content":"a","annotations":{cited}}}"#), &[]);
        check(&format!(r#"{{"content":[{{"annotations":{cited}}}]}}"#), &["messages[0].content[0].annotations"]);
    }

    #[test]
    fn inputs() {
        let check = |input: &str, expected: &[&str]| {
            let found = in_input(input, None).unwrap();
            assert_eq!(found.iter().map(|one| &*one.field).collect::<Vec<_>>(), expected, "{input}");
        };
        check(r#""http://a""#, &[]);
        check(r#"["http://a",{"text":"http://a"},[1,2]]"#, &[]);
        check(r#"[{"image":"http://a"}]"#, &["input[0].image"]);
        check(r#"{"image":"data:image/png;base64,AAAA"}"#, &[]);
        check(
            r#"["a",{"content":[{"type":"image_url","image_url":{"url":"http://a"}}]}]"#,
            &["input[1].content[0].image_url"],
        );
    }

    #[test]
    fn inputs_of_other_modalities_are_fetched() {
        let input = r#"["http://a/x.jpg","data:image/png;base64,AAAA","plain"]"#;
        for (modality, expected) in
            [(None, 0), (Some("null"), 0), (Some("\"text\""), 0), (Some("\"image\""), 1), (Some("7"), 1)]
        {
            assert_eq!(in_input(input, modality).unwrap().len(), expected, "{modality:?}");
        }
        assert_eq!(in_media("images", input).unwrap()[0].field, "images");
    }

    #[test]
    fn urls_are_limited_in_number() {
        let messages = |count: usize| format!("[{}{{}}]", r#"{"image_url":"b"},"#.repeat(count));
        assert_eq!(in_messages(&messages(MAX_URLS)).unwrap().len(), MAX_URLS);
        let error = in_messages(&messages(MAX_URLS + 1)).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code), (400, "too_many_urls"));
    }

    /// A name of any length makes no long field of each of its URLs.
    #[test]
    fn fields_are_shown_in_part() {
        let long = "x".repeat(100_000);
        let found = in_messages(&format!(r#"[{{"{long}":["http://a","http://b"]}}]"#)).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|one| one.field.len() < 2 * MAX_NAME), "{}", found[0].field.len());
    }
}
