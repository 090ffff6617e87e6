//! What of YAML is refused, and that nothing in it makes the parser panic, hang or grow.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use hauski_policy::{Limits, Models, Routing};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const WHOLE: &str =
    "egress:\n  default: deny\n  allow: []\nrouting:\n  prefer_local: true\n  cloud_fallback: { enabled: false }\n";

/// The first error's code and place.
#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: &str) {
    let text = text.as_ref();
    let start = Instant::now();
    let found = match Routing::parse("f", text) {
        Ok(_) => "ok".to_owned(),
        Err(found) => {
            let first = found.iter().find(|d| d.severity.as_str() == "error").unwrap();
            assert!(!found.render(true).is_empty());
            format!("{}:{} {}", first.line, first.column, first.code)
        }
    };
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&text[..text.len().min(200)]));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn spellings_of_the_same() {
    check(WHOLE, "ok");
    check(WHOLE.replace('\n', "\r\n"), "ok");
    check(format!("---\n{WHOLE}...\n"), "ok");
    check(WHOLE.trim_end(), "ok");
    check(WHOLE.replace("true", "True"), "ok");
    check(WHOLE.replace("deny", "\"deny\""), "ok");
    check(WHOLE.replace("[]", "[\n  ]"), "ok");
    check(
        r#"{"egress":{"default":"deny","allow":[]},"routing":{"prefer_local":true,"cloud_fallback":{"enabled":false}}}"#,
        "ok",
    );
}

#[test]
fn f06_nothing_is_allowed_by_absence() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "null", "~\n"] {
        check(text, "1:1 empty-file");
    }
    check("[]", "1:1 wrong-type");
    check("deny", "1:1 wrong-type");
    check("{}", "1:1 missing-key");
    check(WHOLE.replace(" []", ""), "3:3 missing-value");
    check(WHOLE.replace("[]", "~"), "3:3 missing-value");
    check(WHOLE.replace("[]", "{}"), "3:10 wrong-type");
    check(WHOLE.replace("[]", "\"\""), "3:10 wrong-type");
    check(WHOLE.replace(" deny", ""), "2:3 missing-value");
    check(WHOLE.replace("deny", "allow"), "2:12 unknown-word");
    check(WHOLE.replace("  default: deny\n", ""), "2:3 missing-key");
    check(WHOLE.replace("  allow: []\n", ""), "2:3 missing-key");
    check(WHOLE.replace("  prefer_local: true\n", ""), "5:3 missing-key");
    check(WHOLE.replace("{ enabled: false }", "{ }"), "6:19 missing-key");
    check(WHOLE.replace("{ enabled: false }", "false"), "6:19 wrong-type");
    check(WHOLE.replace("true", "yes"), "5:17 wrong-type");
    check(format!("{WHOLE}extra: 1\n"), "7:1 unknown-key");
    check(format!("{WHOLE}egress: {{}}\n"), "7:1 duplicate-key");
    check(format!("{WHOLE}  routes: []\n"), "ok");
    check(format!("{WHOLE}  routes:\n"), "7:3 missing-value");
    check(format!("{WHOLE}  routes: [{{}}]\n"), "7:12 missing-key");
    check(WHOLE.replace("  cloud", "  routes: [{}]\n  cloud"), "6:12 missing-key");
}

#[test]
fn f06_surprising_yaml() {
    check(format!("\u{feff}{WHOLE}"), "1:1 byte-order-mark");
    check(format!("{WHOLE}\u{feff}"), "7:1 invisible-character");
    check(WHOLE.replace("  default", "\tdefault"), "2:1 tab");
    check(WHOLE.replace("deny", "deny\0"), "2:16 invisible-character");
    check(WHOLE.replace("deny", "deny # \u{202e}"), "2:19 invisible-character");
    check(WHOLE.replace("deny\n", "deny\r"), "2:16 invisible-character");
    check([WHOLE.as_bytes(), b"# \xff"].concat(), "7:3 not-utf8");
    check(format!("{WHOLE}---\n{WHOLE}"), "7:1 many-documents");
    check(format!("%YAML 1.2\n---\n{WHOLE}"), "1:1 directive");
    check(WHOLE.replace("[]", "&a []"), "3:10 anchor");
    check(WHOLE.replace("[]", "*a"), "3:10 alias");
    check(WHOLE.replace("deny", "!!str deny"), "2:12 tag");
    check(WHOLE.replace("[]", "! []"), "3:10 tag");
    check(WHOLE.replace("  default", "  <<: {}\n  default"), "2:3 merge-key");
    check(WHOLE.replace("default:", "? [default]\n  :"), "2:5 key-not-text");
    check(WHOLE.replace("  default", "  1: 2\n  default"), "2:3 key-not-text");
    check(WHOLE.replace("default", "? default\n  "), "ok");
    check(WHOLE.replace("[]", "["), "5:15 syntax");
}

#[test]
fn f06_bombs() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (it, before) in ('b'..='z').zip('a'..) {
        writeln!(bomb, "{it}: &{it} [{}]", vec![format!("*{before}"); 9].join(", ")).unwrap();
    }
    check(bomb, "1:4 anchor");
    check("[".repeat(1_000_000), "1:33 too-deep");
    check("{a: ".repeat(100_000), "1:129 too-deep");
    check("- ".repeat(500_000), "1:65 too-deep");
    check((0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>(), "33:33 too-deep");
    check(format!("{WHOLE}#{}", "x".repeat(1024 * 1024)), "1:1 file-too-large");
    check(format!("a: [{}]", "x,".repeat(200_000)), "1:100005 too-many-values");
    check((0..90_000).map(|n| format!("k{n}: \n")).collect::<String>(), "25001:7 too-many-values");
    check(format!("a: \"{}", "\\".repeat(1_000_000)), "1:4 syntax");
    check("&a ".repeat(300_000), "1:1 anchor");
    check("? ".repeat(300_000), "1:65 too-deep");
    check("#\n".repeat(500_000), "1:1 empty-file");
    check("\t".repeat(1_000_000), "1:1 tab");
    check(WHOLE.replace("[]", &format!("[{}]", "https://a.test, ".repeat(4096))), "3:27 duplicate-entry");
    let entries: String = (0..4097).map(|n| format!("https://a{n}.test/, ")).collect();
    check(WHOLE.replace("[]", &format!("[{entries}]")), "3:10 too-many-items");
}

#[test]
fn models_are_limited_in_number() {
    let parse = |count: usize| {
        let models: String = (0..count).map(|n| format!("  - id: m{n}\n")).collect();
        Models::parse("models.yml", format!("models:\n{models}").as_bytes())
    };
    assert_eq!(parse(4096).unwrap().value.iter().count(), 4096);
    let found = parse(4097).unwrap_err();
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["too-many-items"]);
}

#[test]
fn many_errors_are_counted() {
    let text = WHOLE.replace("[]", &format!("[{}x]", "https://a.test, ".repeat(500)));
    let found = Routing::parse("f", text.as_bytes()).unwrap_err();
    assert_eq!((found.errors(), found.warnings()), (500, 500));
    assert_eq!(found.iter().count(), 200);
    let rendered = found.render(false);
    assert!(
        rendered.ends_with("\n... and 400 more errors in f\n\n... and 400 more warnings in f\n"),
        "{}",
        &rendered[rendered.len() - 200..]
    );
}

/// Bytes are changed, dropped and doubled by a generator with a fixed seed; whatever comes out, nothing panics.
#[test]
fn damaged_files() {
    let files = [
        include_str!("../../../policies/routing.yaml"),
        include_str!("../../../policies/limits.yaml"),
        include_str!("../../../policies/models.yml"),
        include_str!("broken/types.yaml"),
        include_str!("broken/secrets.yaml"),
        include_str!("broken/yaml.yaml"),
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for round in 0..3000 {
        let mut text = files[round % files.len()].as_bytes().to_vec();
        for _ in 0..=random(4) {
            if text.is_empty() {
                break;
            }
            let at = random(text.len());
            match random(4) {
                0 => text[at] = b"\n\r\t :-{}[],\"'#&*!%|>?@`~\0\xff\xc30a"[random(29)],
                1 => drop(text.remove(at)),
                2 => drop(text.splice(at..at, *b"  ")),
                _ => text.truncate(at.max(1)),
            }
        }
        let results = [
            Routing::parse("f", &text).map(|p| (p.value.to_json(), p.warnings)),
            Limits::parse("f", &text).map(|p| (p.value.to_json(), p.warnings)),
            Models::parse("f", &text).map(|p| (p.value.to_json(), p.warnings)),
        ];
        for found in results.into_iter().map(|result| result.map_or_else(|errors| errors, |(_, warnings)| warnings)) {
            assert_eq!(found.render(false).is_empty(), found.is_empty());
        }
    }
}
