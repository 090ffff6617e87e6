//! The text of a message, in the forms that providers give it.
//!
//! In goes `content` as it came; out come words and thoughts, as what stands between the quotes of JSON strings. As a rule it is one
//! string, which is borrowed; some give an array of parts, in which thoughts may stand as well.

use crate::json::{Members, elements, inner};
use std::borrow::Cow;

/// What a message or a piece of one says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) thoughts: Cow<'a, str>,
}

/// What `content` says; none if it has another form.
pub(super) fn of(content: Option<&str>) -> Option<Words<'_>> {
    read(content, false)
}

/// Reads content. Nested reasoning is rejected, since each level would be read again.
fn read(content: Option<&str>, is_reasoning: bool) -> Option<Words<'_>> {
    match content {
        None | Some("null") => Some(Words::default()),
        Some(text) if text.starts_with('"') => Some(Words { text: inner(text).into(), thoughts: "".into() }),
        Some(parts) => {
            let (mut text, mut thoughts) = (String::new(), String::new());
            for part in elements(parts)? {
                let part = Members::of(part)?;
                // What is neither, such as a reference, is no text.
                text.extend(part.get("text").map(inner));
                match part.get("thinking") {
                    Some(thinking) if thinking.starts_with('"') => thoughts.push_str(inner(thinking)),
                    Some(_) if is_reasoning => return None,
                    Some(thinking) => thoughts.push_str(&read(Some(thinking), true)?.text),
                    None => {}
                }
            }
            Some(Words { text: text.into(), thoughts: thoughts.into() })
        }
    }
}

/// One text of several, with a blank line between: the JSON string. They are what stands between the quotes of theirs.
pub(super) fn paragraphs(texts: &[&str]) -> String {
    format!("\"{}\"", texts.join(r"\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, expected: Option<(&str, &str)>) {
        let expected = expected.map(|(text, thoughts)| Words { text: text.into(), thoughts: thoughts.into() });
        assert_eq!(of(Some(content)), expected, "{content}");
    }

    #[test]
    fn forms() {
        check("null", Some(("", "")));
        check(r#""a\"b""#, Some((r#"a\"b"#, "")));
        check("[]", Some(("", "")));
        check(r#"[{"type":"text","text":"a"},{"type":"text","text":"\u0062"}]"#, Some((r"a\u0062", "")));
        let thought = r#"{"type":"thinking","thinking":[{"type":"text","text":"t"},{"type":"text","text":"u"}]}"#;
        check(&format!(r#"[{thought},{{"type":"text","text":"a"}}]"#), Some(("a", "tu")));
        check(r#"[{"type":"thinking","thinking":"t"},{"type":"reference","reference_ids":[1]}]"#, Some(("", "t")));
        check(&format!(r#"[{{"thinking":[{thought}]}}]"#), None);
        check("{}", None);
        check("7", None);
        check("[7]", None);
        check(r#"["a"]"#, None);
        assert_eq!(of(None), Some(Words::default()));
        assert_eq!((paragraphs(&[]), paragraphs(&["a", r"\u0062"])), (r#""""#.into(), r#""a\n\n\u0062""#.into()));
    }
}
