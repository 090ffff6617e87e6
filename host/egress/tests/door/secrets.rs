//! Secrets: where they come from, where they go, and where they are never seen.

use crate::upstream::{HELLO, Upstream};
use crate::world::{World, grants};
use hauski_egress::{SecretProblem, Secrets};
use hauski_policy::Egress;
use std::io;
use std::path::Path;

fn entry(port: u16, value: &str) -> String {
    format!(
        r#"{{ url: "http://127.0.0.1:{port}/v1/", adapters: [a], secret: {{ header: authorization, value: "{value}" }} }}"#
    )
}

#[test]
fn all_problems_are_named_at_once() {
    let grants = grants(&[
        &entry(1, "Bearer ${env:KEY}"),
        &entry(2, "${env:UNSET}-${env:EMPTY}"),
        &entry(3, "${file:/run/secrets/gone}"),
        &entry(4, "${file:/run/secrets/blank}"),
        &entry(5, "x ${file:/run/secrets/binary}"),
        &entry(6, "${env:SHORT}"),
        &entry(7, "x ${file:/run/secrets/umlaut}"),
        &entry(8, "${file:/run/secrets/good}"),
        &entry(9, "${env:BLANK}"),
        &entry(10, "${file:/run/secrets/long}"),
        &entry(11, "${env:RULER}"),
        &entry(12, "${env:NUL}"),
    ]);
    let env = |name: &str| match name {
        "KEY" => Some("sk-12345".into()),
        "EMPTY" => Some("".into()),
        "SHORT" => Some("1234567   ".into()),
        "BLANK" => Some("        ".into()),
        "RULER" => Some("--------".into()),
        "NUL" => Some("sk-123\u{1}45".into()),
        _ => None,
    };
    let read = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("blank") => Ok(b" \r\n".to_vec()),
        Some("binary") => Ok(b"sk-\n12345\n".to_vec()),
        Some("umlaut") => Ok("sk-12345ä".into()),
        Some("good") => Ok(b"sk-of-a-file\n".to_vec()),
        Some("long") => Ok(b"sk-12345".repeat(10_000)),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let missing = Secrets::load(&grants, &env, &read).unwrap_err();
    let got: Vec<_> = missing.iter().map(|m| (m.line, m.reference.as_str(), m.problem)).collect();
    assert_eq!(
        got,
        [
            (5, "`${env:UNSET}`", SecretProblem::Unset),
            (5, "`${env:EMPTY}`", SecretProblem::Empty),
            (6, "`${file:/run/secrets/gone}`", SecretProblem::Unreadable(io::ErrorKind::NotFound)),
            (7, "`${file:/run/secrets/blank}`", SecretProblem::Empty),
            (8, "`${file:/run/secrets/binary}`", SecretProblem::WhiteSpace),
            (9, "`${env:SHORT}`", SecretProblem::TooShort),
            (10, "`${file:/run/secrets/umlaut}`", SecretProblem::NotAscii),
            (12, "`${env:BLANK}`", SecretProblem::Empty),
            (13, "`${file:/run/secrets/long}`", SecretProblem::TooLong),
            (14, "`${env:RULER}`", SecretProblem::Repeated),
            (15, "`${env:NUL}`", SecretProblem::Control),
        ]
    );
    let texts: Vec<_> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[0],
        "the secret of the entry in line 5 can't be used: `${env:UNSET}` is not set; set it in the environment of the gateway"
    );
    assert_eq!(
        texts[4],
        "the secret of the entry in line 8 can't be used: `${file:/run/secrets/binary}` has white space inside, which no key has; \
         write the key alone into it, on one line"
    );
    assert!(texts.iter().all(|text| !text.contains("sk-") && !text.contains("1234")), "{texts:?}");
    assert!(Secrets::load(&grants[7..8], &env, &read).is_ok());
}

#[tokio::test]
async fn values_are_trimmed_at_both_edges() {
    let upstream = Upstream::answering(HELLO);
    let world = World::new(&[]);
    for (n, value) in ["sk-12345", " sk-12345", "sk-12345 ", "\tsk-12345\t", "sk-12345 \r\n", "\u{feff} sk-12345\n"]
        .into_iter()
        .enumerate()
    {
        for reference in
            ["${env:KEY}", "${file:/run/secrets/key}", "Bearer ${env:KEY}", "Bearer ${file:/run/secrets/key}"]
        {
            let egress = Egress { grants: grants(&[&entry(upstream.port(), reference)]), local_only: false };
            let read = |_: &Path| Ok(value.as_bytes().to_vec());
            let secrets = Secrets::load(&egress.grants, &|_| Some(value.into()), &read).unwrap();
            assert_eq!(format!("{secrets:?}"), "Secrets { loaded: 1, .. }");
            world.shared.set_policy(egress, secrets);
            let url = format!("GET http://127.0.0.1:{}/v1/x", upstream.port());
            world.get(&world.caller("a"), &url).await.unwrap();
            let sent = if reference.starts_with('B') { "Bearer sk-12345" } else { "sk-12345" };
            let request = upstream.requests().pop().unwrap();
            assert!(request.contains(&format!("authorization: {sent}\r\n")), "{n} {reference}: {request}");
        }
    }
}
