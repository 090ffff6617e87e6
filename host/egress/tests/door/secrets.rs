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
fn all_that_is_missing_is_named_at_once() {
    let grants = grants(&[
        &entry(1, "Bearer ${env:KEY}"),
        &entry(2, "${env:UNSET}-${env:EMPTY}"),
        &entry(3, "${file:/run/secrets/gone}"),
        &entry(4, "${file:/run/secrets/blank}"),
        &entry(5, "x ${file:/run/secrets/binary}"),
        &entry(6, "${env:SHORT}"),
        &entry(7, "x ${file:/run/secrets/umlaut}"),
        &entry(8, "${file:/run/secrets/good}"),
    ]);
    let env = |name: &str| match name {
        "KEY" => Some("sk-12345".into()),
        "EMPTY" => Some("".into()),
        "SHORT" => Some("1234567".into()),
        _ => None,
    };
    let read = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("blank") => Ok(b" \r\n".to_vec()),
        Some("binary") => Ok(b"sk-\n12345\n".to_vec()),
        Some("umlaut") => Ok("sk-12345ä".into()),
        Some("good") => Ok(b"sk-of-a-file\n".to_vec()),
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
            (8, "`${file:/run/secrets/binary}`", SecretProblem::NotAHeader),
            (9, "`${env:SHORT}`", SecretProblem::TooShort),
            (10, "`${file:/run/secrets/umlaut}`", SecretProblem::NotAHeader),
        ]
    );
    assert_eq!(missing[0].to_string(), "the entry in line 5 needs `${env:UNSET}`, which is not set");
    assert_eq!(
        missing[5].to_string(),
        "the entry in line 9 needs `${env:SHORT}`, which is shorter than 8 characters: redacting it would blank out ordinary text"
    );
    assert!(Secrets::load(&grants[7..], &env, &read).is_ok());
}

#[tokio::test]
async fn a_file_is_trimmed_at_its_end() {
    let upstream = Upstream::answering(HELLO);
    let world = World::new(&[]);
    let egress =
        Egress { grants: grants(&[&entry(upstream.port(), "Bearer ${file:/run/secrets/key}")]), local_only: false };
    let secrets = Secrets::load(&egress.grants, &|_| None, &|_| Ok(b"sk-of-a-file \r\n".to_vec())).unwrap();
    assert_eq!(format!("{secrets:?}"), "Secrets { loaded: 1, .. }");
    world.shared.set_policy(egress, secrets);
    world.get(&world.caller("a"), &format!("GET http://127.0.0.1:{}/v1/x", upstream.port())).await.unwrap();
    assert!(upstream.requests()[0].contains("authorization: Bearer sk-of-a-file\r\n"));
}
