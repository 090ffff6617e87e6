//! What a request asks its provider to fetch: images and other media by URL.
//!
//! A URL in a prompt makes the provider open a connection in the client's name, or tells a stranger that it was read. So it is
//! judged like a request of the adapter's own; `data:` URLs reach nothing and pass.

use crate::json::{Members, elements};

/// Returns the URLs in `messages`, each with the field in which it stands. `messages` is a JSON array.
pub(crate) fn of(messages: &str) -> Vec<(String, String)> {
    within(messages, "messages")
}

/// Returns the same of what is to be embedded: texts, or objects like the parts of a message, or messages.
pub(crate) fn of_input(input: &str) -> Vec<(String, String)> {
    within(input, "input")
}

fn within(list: &str, place: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if may_have(list) {
        of_parts(list, place, &mut found);
    }
    found
}

/// Returns whether a closer look is worth it. Keys and slashes may be written with escapes, and some readers accept one slash or none.
fn may_have(text: &str) -> bool {
    ["_url", "//", ":/", "\\", "http:", "HTTP", "ttps:"].iter().any(|sign| text.contains(sign))
}

fn of_parts(list: &str, place: &str, found: &mut Vec<(String, String)>) {
    for (at, part) in items(list).enumerate() {
        of_part(part, &format!("{place}[{at}]"), found);
    }
}

/// Finds the URLs in a message or a part: what a field says that is called so, and whatever else is one, but for texts and the calls of
/// tools. A part's `content`, such as that of a tool's result, has parts of its own.
fn of_part(part: &str, place: &str, found: &mut Vec<(String, String)>) {
    let Some(part) = Members::of(part) else { return };
    for (name, value) in part.iter() {
        let place = || format!("{place}.{name}");
        match name {
            "content" => of_parts(value, &place(), found),
            "text" | "refusal" | "reasoning" | "reasoning_content" | "thinking" | "tool_calls" | "function_call" => {}
            _ => {
                if name.ends_with("_url") {
                    found.extend(url(value).filter(|url| !is_data(url)).map(|url| (url, place())));
                }
                let new = strings(value).into_iter().filter(|text| is_remote(text));
                found.extend(new.map(|url| (url, place())));
            }
        }
    }
    found.dedup();
}

/// All strings in a value, however deep.
fn strings(value: &str) -> Vec<String> {
    match value.bytes().next() {
        Some(b'"') => serde_json::from_str(value).into_iter().collect(),
        Some(b'[') => elements(value).unwrap_or_default().into_iter().flat_map(strings).collect(),
        Some(b'{') => Members::of(value).iter().flat_map(Members::iter).flat_map(|(_, value)| strings(value)).collect(),
        _ => Vec::new(),
    }
}

/// The items of an array; what is none is the only item.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let items = elements(text).unwrap_or_default();
    let only = items.is_empty().then_some(text);
    items.into_iter().chain(only)
}

/// The URL that a part names: a string, or an object with the string `url`.
fn url(value: &str) -> Option<String> {
    let text = |value: &str| serde_json::from_str::<String>(value).ok();
    text(value).or_else(|| text(Members::of(value)?.get("url")?))
}

fn is_data(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Returns whether a text is a URL that leads somewhere (RFC 3986, section 3): a scheme and a slash, or `//` alone. Readers by the WHATWG's
/// standard skip tabs and line ends, take `\` for a slash, and need none after `http:`. Base64 may begin with `//` as well: what has its letters and length alone is taken for it.
fn is_remote(text: &str) -> bool {
    const HEAD: usize = 256;
    let head: String = text.trim_start().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).take(HEAD).collect();
    let Some((scheme, rest)) = head.split_once(':') else { return leads_to_host(&head, text.len()) };
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let leads = rest.starts_with(['/', '\\']) || is_web && !rest.is_empty() && !rest.starts_with(' ');
    leads_to_host(&head, text.len()) || is_scheme && leads && !is_data(&head)
}

/// Returns whether a text that begins with `head` and has `len` bytes is a URL without its scheme, and not base64.
fn leads_to_host(head: &str, len: usize) -> bool {
    let is_base64 =
        len.is_multiple_of(4) && head.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
    ["//", "\\\\", "/\\", "\\/"].iter().any(|slashes| head.starts_with(slashes)) && !is_base64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(part: &str, expected: Option<(&str, &str)>) {
        let messages = format!(r#"[{{"role":"user","content":"x"}},{{"content":[{{"type":"text"}},{part}]}}]"#);
        let expected: Vec<_> = expected.into_iter().map(|(url, place)| (url.to_owned(), place.to_owned())).collect();
        assert_eq!(of(&messages), expected, "{part}");
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
        assert_eq!(of(r#"["junk",{"content":{"image_url":"http://a"}}]"#).len(), 1);
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
            ("http: a protocol", false),
            ("//uQxAAAAAAA", false),
            ("data:application/pdf;base64,AA//", false),
            ("report.pdf", false),
        ] {
            let part = format!(r#"{{"content":[{{"type":"file","file":{{"file_data":"{text}"}}}}]}}"#);
            assert_eq!(of(&format!("[{part}]")).len(), usize::from(expected), "{text}");
        }
    }

    #[test]
    fn urls_outside_the_parts_of_a_message() {
        let check = |message: &str, expected: &[&str]| {
            let found = of(&format!("[{message}]"));
            assert_eq!(found.iter().map(|(_, place)| &**place).collect::<Vec<_>>(), expected, "{message}");
        };
        check(r#"{"images":["http://a/b"]}"#, &["messages[0].images"]);
        check(
            r#"{"content":[{"type":"tool_result","content":[{"image_url":{"url":"http://a"}}]}]}"#,
            &["messages[0].content[0].content[0].image_url"],
        );
        check(r#"{"content":"http://a","tool_calls":[{"function":{"arguments":"http://a"}}]}"#, &[]);
    }

    #[test]
    fn inputs() {
        let check = |input: &str, expected: &[&str]| {
            let found = of_input(input);
            assert_eq!(found.iter().map(|(_, place)| &**place).collect::<Vec<_>>(), expected, "{input}");
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
}
