//! TLS for clients: who the gateway shows itself to be, what clients it serves, and files that change.

use hauski_server::setup::Problem;
use hauski_tests::{Builder, TestHost};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate for `gateway.test` and its key, as PEM.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn echo() -> Builder {
    TestHost::builder().adapter("echo").model("{ id: echo, adapter: echo }")
}

/// Shakes hands as one who trusts `cert` alone.
async fn connect(
    host: &TestHost,
    cert: &str,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = host.client().begin("").await;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("gateway.test").unwrap(), stream).await
}

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// What `GET path` gives over a new connection.
async fn get(host: &TestHost, cert: &str, path: &str) -> io::Result<String> {
    let mut stream = connect(host, cert, BOTH, &[]).await?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn until(host: &TestHost, cert: &str, path: &str, wanted: &str) {
    let begin = Instant::now();
    loop {
        let got = get(host, cert, path).await;
        if got.as_ref().is_ok_and(|text| text.contains(wanted)) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "no `{wanted}`: {got:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn both_versions_and_one_protocol() {
    let (cert, key) = pair();
    let host = echo().tls(&cert, &key).start().await;
    for (version, expected) in
        [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let stream = connect(&host, &cert, &[version], &["h2", "http/1.1"]).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!((session.protocol_version(), session.alpn_protocol()), (Some(expected), Some(&b"http/1.1"[..])));
    }
    assert!(connect(&host, &cert, BOTH, &["h2"]).await.is_err(), "HTTP/2 is not spoken");
    assert!(connect(&host, &pair().0, BOTH, &[]).await.is_err(), "it shows its own certificate");
    let answer = get(&host, &cert, "/health").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test]
async fn streams_come_through_and_end() {
    let (cert, key) = pair();
    let host = echo().tls(&cert, &key).start().await;
    let mut stream = connect(&host, &cert, BOTH, &["http/1.1"]).await.unwrap();
    let body = r#"{"model":"echo","stream":true,"messages":[{"role":"user","content":"one two three"}]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    // An end without TLS' own word for it would be an error.
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("data: [DONE]\n\n"), "{answer}");
}

/// Who says nothing, says something else, or stops half-way holds up nobody, and is given up.
#[tokio::test]
async fn those_who_do_not_shake_hands_are_given_up() {
    let (cert, key) = pair();
    let host = echo().tls(&cert, &key).workers(1).request_seconds(1).start().await;
    let mut idle = Vec::new();
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"\x16"] {
        for _ in 0..5 {
            idle.push(host.client().begin(bytes).await);
        }
    }
    let begin = Instant::now();
    assert!(get(&host, &cert, "/health").await.unwrap().ends_with("ok"));
    assert!(begin.elapsed() < Duration::from_millis(900), "{:?}", begin.elapsed());
    for mut stream in idle {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok() && rest.is_empty(), "{rest:?}");
    }
    for plain in ["GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", "\x7f\x7f\x7f\x7f\x7f\x7f"] {
        assert!(!host.client().raw(plain).await.contains("HTTP/1.1"), "nothing is said in the clear");
    }
    until(&host, &cert, "/metrics", "\nhauski_http_connections 1\n").await;
}

#[tokio::test]
async fn a_handshake_under_way_holds_up_no_stop() {
    let (cert, key) = pair();
    let host = echo().tls(&cert, &key).start().await;
    let _silent = host.client().begin("").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begin = Instant::now();
    tokio::task::spawn_blocking(move || host.stop()).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn what_can_not_be_used_is_told_before_the_start() {
    let ((cert, key), (other, _)) = (pair(), pair());
    for (cert, key, expected) in [
        ("", &*key, "`cert.pem` has no certificate"),
        (&cert, "", "`key.pem` has no private key"),
        (&other, &key, "the private key in `key.pem` does not fit the first certificate in `cert.pem`"),
    ] {
        let (prepared, folder) = echo().tls(cert, key).prepare();
        let problems = prepared.map(drop).unwrap_err();
        let [problem @ Problem::Tls(_)] = &problems[..] else { panic!("{problems:?}") };
        let text = problem.to_string().replace(&format!("{}/", folder.path().display()), "");
        assert!(text.contains(expected), "{text}");
    }
}

/// The old one stays until both files hold together.
#[tokio::test]
async fn a_certificate_that_changes_is_shown_from_then_on() {
    let ((old, old_key), (new, new_key)) = (pair(), pair());
    let host = echo().tls(&old, &old_key).start().await;
    let mut kept = connect(&host, &old, BOTH, &[]).await.unwrap();
    host.set_file("cert.pem", &new);
    until(&host, &old, "/ready", "\"problem\":\"key.pem: private-key-of-another\"").await;
    until(&host, &old, "/metrics", "\nhauski_tls_stale 1\n").await;
    assert!(connect(&host, &new, BOTH, &[]).await.is_err());
    host.set_file("key.pem", &new_key);
    until(&host, &new, "/ready", "\"tls\":{\"stale\":null}").await;
    until(&host, &new, "/metrics", "\nhauski_tls_stale 0\n").await;
    assert!(connect(&host, &old, BOTH, &[]).await.is_err());
    // Connections go on with what they have.
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ok"), "{answer}");

    std::fs::remove_file(host.folder().join("key.pem")).unwrap();
    until(&host, &new, "/ready", "\"problem\":\"key.pem: entity not found\"").await;
    assert!(get(&host, &new, "/health").await.unwrap().ends_with("ok"));
}
