//! What a request asks its provider to fetch: images and other media by URL.
//!
//! A URL in a prompt makes the provider open a connection in the client's name, or tells a stranger that it was read. So it is
//! judged like a request of the adapter's own; `data:` URLs reach nothing and pass.

use crate::json::{Members, elements};

/// The URLs in the content parts of `messages`, each with the field in which it stands. `messages` is a JSON array.
pub(crate) fn of(messages: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if may_have(messages) {
        for (at, message) in items(messages).enumerate() {
            let Some(message) = Members::of(message) else { continue };
            for (part_at, part) in message.get("content").into_iter().flat_map(items).enumerate() {
                of_part(part, &format!("messages[{at}].content[{part_at}]"), &mut found);
            }
        }
    }
    found
}

/// The same of what is to be embedded: texts, or objects like the parts of a message, or messages.
pub(crate) fn of_input(input: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if may_have(input) {
        for (at, item) in items(input).enumerate() {
            let place = format!("input[{at}]");
            for (part_at, part) in
                Members::of(item).iter().flat_map(|item| item.get("content")).flat_map(items).enumerate()
            {
                of_part(part, &format!("{place}.content[{part_at}]"), &mut found);
            }
            of_part(item, &place, &mut found);
        }
    }
    found
}

/// Whether it is worth a closer look. Keys and slashes may be written with escapes.
fn may_have(text: &str) -> bool {
    ["_url", "://", ":\\/", "\\u"].iter().any(|sign| text.contains(sign))
}

/// The URLs in a part: what a field says that is called so, and whatever else is one, but for its text.
fn of_part(part: &str, place: &str, found: &mut Vec<(String, String)>) {
    let Some(part) = Members::of(part) else { return };
    for (name, value) in part.iter() {
        let place = || format!("{place}.{name}");
        if name.ends_with("_url") {
            found.extend(url(value).filter(|url| !is_data(url)).map(|url| (url, place())));
        }
        if !matches!(name, "text" | "refusal" | "content") {
            let new = strings(value).into_iter().filter(|text| is_remote(text));
            found.extend(new.map(|url| (url, place())));
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

/// Whether a text is a URL that leads somewhere (RFC 3986, section 3): a scheme and `//`, or `//` alone.
fn is_remote(text: &str) -> bool {
    let text = text.trim_start();
    let Some((scheme, rest)) = text.split_once(':') else { return text.starts_with("//") };
    let plain = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    text.starts_with("//") || plain && rest.starts_with(['/', '\\']) && !is_data(text)
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
