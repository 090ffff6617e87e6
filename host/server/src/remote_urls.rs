//! What a request asks its provider to fetch: images and other media by URL.
//!
//! A URL in a prompt makes the provider open a connection in the client's name, or tells a stranger that it was read. So it is
//! judged like a request of the adapter's own; `data:` URLs reach nothing and pass.

use crate::json::{Members, elements};

/// The URLs in the content parts of `messages`, each with the field in which it stands. `messages` is a JSON array.
pub(crate) fn of(messages: &str) -> Vec<(String, String)> {
    // Keys may be written with escapes; a text without either has none of these keys.
    if !messages.contains("_url") && !messages.contains("\\u") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, message) in items(messages).enumerate() {
        let Some(message) = Members::of(message) else { continue };
        for (part_at, part) in message.get("content").into_iter().flat_map(items).enumerate() {
            let Some(part) = Members::of(part) else { continue };
            for (name, value) in part.iter().filter(|(name, _)| name.ends_with("_url")) {
                let place = format!("messages[{at}].content[{part_at}].{name}");
                if let Some(url) = url(value).filter(|url| !is_data(url)) {
                    found.push((url, place));
                }
            }
        }
    }
    found
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
    }
}
