//! Secrets: where they come from, where they go, and where they are never seen.

use crate::upstream::{HELLO, Upstream};
use crate::world::{World, grants};
use hauski_egress::{EgressError, SecretProblem, Secrets};
use std::io;
use std::path::Path;

fn entry(port: u16, value: &str) -> String {
    format!(
        r#"{{ url: "http://127.0.0.1:{port}/v1/", adapters: [a], secret: {{ header: authorization, value: "{value}" }} }}"#
    )
}

#[tokio::test]
async fn the_secret_is_attached_in_place_of_the_guests_value() {
    let upstream = Upstream::answering(HELLO);
    let open = format!(r#"{{ url: "http://127.0.0.1:{}/open", adapters: [a] }}"#, upstream.port());
    let mut world = World::new(&[&entry(upstream.port(), "Bearer ${env:KEY}"), &open]);
    world.fields = vec![("Authorization", "Bearer guest"), ("authorization", "again")];
    let caller = world.caller("a");
    world.get(&caller, &format!("GET http://127.0.0.1:{}/v1/x", upstream.port())).await.unwrap();
    // Bound to one entry: another path of the same host does not get it.
    world.get(&caller, &format!("GET http://127.0.0.1:{}/open", upstream.port())).await.unwrap();
    let requests = upstream.requests();
    let lines = |request: &str| -> Vec<String> {
        request.lines().filter(|line| line.to_lowercase().starts_with("authorization")).map(str::to_owned).collect()
    };
    assert_eq!(lines(&requests[0]), ["authorization: Bearer sk-12345"]);
    assert_eq!(lines(&requests[1]), ["authorization: Bearer guest", "authorization: again"]);
}

#[tokio::test]
async fn a_secret_that_is_not_loaded_stops_the_request() {
    let upstream = Upstream::answering(HELLO);
    let world = World::new(&[&entry(upstream.port(), "Bearer ${env:KEY}")]);
    world.shared.set_secrets(Secrets::default());
    let url = format!("GET http://127.0.0.1:{}/v1/x", upstream.port());
    let got = world.send(&world.caller("a"), &url).await;
    assert!(matches!(got, Err(EgressError::SecretMissing { line: 4, .. })), "{got:?}");
    assert_eq!(upstream.connections(), 0);
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
        "KEY" => Some("sk-12345".to_owned()),
        "EMPTY" => Some(String::new()),
        "SHORT" => Some("1234567".to_owned()),
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
    let mut world = World::new(&[]);
    world.grants = grants(&[&entry(upstream.port(), "Bearer ${file:/run/secrets/key}")]);
    let secrets = Secrets::load(&world.grants, &|_| None, &|_| Ok(b"sk-of-a-file \r\n".to_vec())).unwrap();
    assert_eq!(format!("{secrets:?}"), "Secrets { loaded: 1, .. }");
    world.shared.set_secrets(secrets);
    world.get(&world.caller("a"), &format!("GET http://127.0.0.1:{}/v1/x", upstream.port())).await.unwrap();
    assert!(upstream.requests()[0].contains("authorization: Bearer sk-of-a-file\r\n"));
}
