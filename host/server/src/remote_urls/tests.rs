//! Tests of what counts as a URL, and where.

use super::*;

fn of_messages(messages: &str) -> Vec<RemoteUrl> {
    let mut urls = Vec::new();
    in_messages(messages, &mut urls).unwrap();
    urls
}

fn of_input(input: &str, modality: Option<&str>) -> Vec<RemoteUrl> {
    let mut urls = Vec::new();
    in_input(input, modality, &mut urls).unwrap();
    urls
}

#[track_caller]
fn check(part: &str, expected: Option<(&str, &str)>) {
    let messages = format!(r#"[{{"role":"user","content":"x"}},{{"content":[{{"type":"text"}},{part}]}}]"#);
    let found = of_messages(&messages);
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
    assert_eq!(of_messages(r#"["junk",{"content":{"image_url":"http://a"}}]"#).len(), 1);
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
        (r"http://e\ud83dvil.test", true),
        (r"ht\ud83dtp://evil.test", true),
        (r"https://\ud83d\ude00.test", true),
        (r"\udc00", false),
        (r"a text that was cut \ud83d", false),
        (r"\\ud800//evil.test", false),
        ("ftp:evil.test/x", true),
        ("url:http://evil.test/", true),
        ("<URL:http://evil.test/>", true),
        (r"\ufeffhttp://evil.test/", true),
        (r"// code of main\n", false),
        (r"// main.c\nint x;", false),
        ("///evil", false),
        (r"C:\\Users\\me\\a.pdf", false),
        ("http: a protocol", false),
        ("//uQxAAAAAAA", false),
        (r"//uQxAAAAAA\nA", false),
        ("data:application/pdf;base64,AA//", false),
        ("report.pdf", false),
    ] {
        let part = format!(r#"{{"content":[{{"type":"file","file":{{"file_data":"{text}"}}}}]}}"#);
        assert_eq!(of_messages(&format!("[{part}]")).len(), usize::from(expected), "{text}");
    }
}

#[test]
fn urls_outside_the_parts_of_a_message() {
    let check = |message: &str, expected: &[&str]| {
        let found = of_messages(&format!("[{message}]"));
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
    let file = r#"[{"type":"file","file":{"content":[{"image_url":{"url":"http://a"}}]}}]"#;
    check(&format!(r#"{{"role":"assistant","annotations":{file}}}"#), &["messages[0].annotations"]);
}

#[test]
fn inputs() {
    let check = |input: &str, expected: &[&str]| {
        let found = of_input(input, None);
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
fn input_of_another_modality_yields_urls() {
    let input = r#"["http://a/x.jpg","data:image/png;base64,AAAA","plain"]"#;
    for (modality, expected) in
        [(None, 0), (Some("null"), 0), (Some("\"text\""), 0), (Some("\"image\""), 1), (Some("7"), 1)]
    {
        assert_eq!(of_input(input, modality).len(), expected, "{modality:?}");
    }
    let mut urls = Vec::new();
    in_media("images", input, &mut urls).unwrap();
    assert_eq!(urls[0].field, "images");
}

#[test]
fn urls_are_limited_in_number() {
    let messages = |count: usize| format!("[{}{{}}]", r#"{"image_url":"b"},"#.repeat(count));
    assert_eq!(of_messages(&messages(MAX_URLS)).len(), MAX_URLS);
    let error = in_messages(&messages(MAX_URLS + 1), &mut Vec::new()).unwrap_err();
    assert_eq!((error.status.as_u16(), error.code), (400, "too_many_urls"));
    // All members of a request count together.
    let mut urls = of_messages(&messages(MAX_URLS));
    assert_eq!(in_media("images", r#"["http://a"]"#, &mut urls).unwrap_err().code, "too_many_urls");
}

/// A name of any length makes no long field of each of its URLs.
#[test]
fn field_name_is_truncated() {
    let long = "x".repeat(100_000);
    let found = of_messages(&format!(r#"[{{"{long}":["http://a","http://b"]}}]"#));
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|one| one.field.len() < 2 * MAX_NAME), "{}", found[0].field.len());
}
