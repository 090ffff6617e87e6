//! F: what is one adapter's, or one entry's, is no other's: grants, connections, sessions, secrets.

use crate::ground::{Ground, code};
use crate::provider::{Provider, authority, certificate};
use crate::upstream::Upstream;
use crate::world::{World, limits, read};
use hauski_egress::{Destination, EgressError, InvalidRequest};
use hauski_policy::{Digest, Egress, Holder, Target};

/// A secret under this header, of one of the two variables that a world knows.
fn secret(header: &str, variable: &str) -> String {
    format!(r#"secret: {{ header: {header}, value: "Bearer ${{env:{variable}}}" }}"#)
}

/// All lines of a request that hold `text`.
fn lines(request: &str, text: &str) -> Vec<String> {
    request.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

const SHARED: &str = r#"{ url: "http://api.test:PORT/", adapters: [a, b], network: loopback }"#;

#[tokio::test]
async fn f01_one_adapters_grant_is_not_anothers() {
    let ground = Ground::new(&[]);
    let url = ground.fill("POST http://api.allowed.test:PORT/v1/x");
    for id in ["b", "aa", "a-b", "a2"] {
        let got = ground.world.permit(&ground.world.caller(id), &url).await;
        assert_eq!(code(got), "host-not-granted", "{id}: the same as for a host that no entry names");
    }
    assert!(ground.world.permit(&ground.caller, &url).await.is_ok());
    assert_eq!(ground.upstream.connections(), 0);
}

#[tokio::test]
async fn f01_connections_are_never_shared() {
    let ground = Ground::new(&[SHARED]);
    let url = ground.fill("GET http://api.test:PORT/");
    for id in ["a", "b", "a", "b"] {
        ground.world.get(&ground.world.caller(id), &url).await.unwrap();
    }
    assert_eq!((ground.upstream.connections(), ground.world.log.reused()), (2, vec![false, false, true, true]));
    // Other bytes under the same id are another adapter.
    ground.world.get(&ground.world.caller_of("a", limits(), 8), &url).await.unwrap();
    assert_eq!(ground.upstream.connections(), 3);
}

#[tokio::test]
async fn f01_sessions_are_never_shared() {
    let issuer = authority();
    let provider = Provider::start(certificate(Some(&issuer), "api.allowed.test", false), &["http/1.1"]).await;
    let (world, url) = crate::provider::world(&provider, vec![issuer.der().clone()], "api.allowed.test");
    for id in ["a", "a", "b", "b"] {
        world.get(&world.caller(id), &format!("GET {url}/close")).await.unwrap();
    }
    assert_eq!(*provider.resumed.lock().unwrap(), [false, true, false, true]);
}

#[tokio::test]
async fn f01_cookies_are_nobodys() {
    let answer = "HTTP/1.1 200 OK\r\nset-cookie: session=1; Path=/; Domain=test\r\ncontent-length: 5\r\n\r\nhello";
    let ground = Ground::against(Upstream::answering(answer), &[SHARED]);
    for id in ["a", "a", "b"] {
        ground.world.get(&ground.world.caller(id), &ground.fill("GET http://api.test:PORT/")).await.unwrap();
    }
    assert!(ground.upstream.requests().iter().all(|request| !request.to_lowercase().contains("cookie")));
}

#[tokio::test]
async fn f02_the_guests_value_is_dropped() {
    let entry = format!(
        r#"{{ url: "http://s.test:PORT/", adapters: [a], network: loopback, {} }}"#,
        secret("authorization", "KEY")
    );
    let mut ground = Ground::new(&[&entry]);
    ground.world.fields = vec![("Authorization", "Bearer guest"), ("authorization", "again"), ("AUTHORIZATION", "")];
    ground.world.get(&ground.caller, &ground.fill("GET http://s.test:PORT/")).await.unwrap();
    assert_eq!(
        lines(&ground.upstream.requests()[0].to_lowercase(), "authorization"),
        ["authorization: bearer sk-12345"]
    );
    assert_eq!(*ground.world.door.attached_headers(&ground.caller, &ground.world.scope), ["authorization".into()]);
}

#[tokio::test]
async fn f04_a_secret_goes_with_its_entry_only() {
    let keyed = format!(
        r#"{{ url: "http://s.test:PORT/v1/", adapters: [a], methods: [GET], network: loopback, {} }}"#,
        secret("authorization", "KEY")
    );
    let open = r#"{ url: "http://s.test:PORT/", adapters: [a, b], network: loopback }"#;
    let other = r#"{ url: "http://t.test:PORT/", adapters: [a], network: loopback }"#;
    let ground = Ground::new(&[&keyed, open, other]);
    for (id, request, attached) in [
        ("a", "GET http://s.test:PORT/v1/x", true),
        ("a", "GET http://s.test:PORT/v1", false),
        ("a", "GET http://s.test:PORT/v2/x", false),
        ("a", "GET http://s.test:PORT/", false),
        ("a", "POST http://s.test:PORT/v1/x", false),
        ("a", "GET http://t.test:PORT/v1/x", false),
        ("b", "GET http://s.test:PORT/v1/x", false),
        ("a", "GET http://S.TEST:PORT/v1/x?y", true),
    ] {
        ground.world.get(&ground.world.caller(id), &ground.fill(request)).await.unwrap();
        let sent = ground.upstream.requests().pop().unwrap();
        assert_eq!(sent.contains("sk-12345"), attached, "{request}: {sent}");
    }
}

#[tokio::test]
async fn f09_a_grant_for_bytes_is_for_no_others() {
    let pinned = format!(
        r#"{{ url: "http://s.test:PORT/", adapters: ["a@sha256:{}"], network: loopback, {} }}"#,
        "07".repeat(32),
        secret("x-key", "KEY")
    );
    let ground = Ground::new(&[&pinned]);
    let url = ground.fill("GET http://s.test:PORT/");
    for digest in [0, 6, 8, 0x70, 255] {
        let impostor = ground.world.caller_of("a", limits(), digest);
        assert_eq!(code(ground.world.permit(&impostor, &url).await), "host-not-granted", "{digest}");
        assert!(ground.world.door.attached_headers(&impostor, &ground.world.scope).is_empty(), "{digest}");
    }
    assert_eq!((ground.upstream.connections(), ground.world.resolver.asked()), (0, 0));
    ground.world.get(&ground.world.caller_of("a", limits(), 7), &url).await.unwrap();
    assert!(ground.upstream.requests()[0].contains("x-key: Bearer sk-12345"));
}

#[tokio::test]
async fn f13_methods_of_one_path_with_secrets_of_their_own() {
    let entry = |method: &str, secret: String| {
        format!(r#"{{ url: "http://s.test:PORT/", adapters: [a], methods: [{method}], network: loopback, {secret} }}"#)
    };
    let ground = Ground::new(&[
        &entry("GET", secret("authorization", "KEY")),
        &entry("POST", secret("authorization", "OTHER")),
        &entry("PUT", secret("x-api-key", "OTHER")),
    ]);
    // Over one connection, in any order: what was attached before is not attached again.
    for (method, expected) in [
        ("GET", "authorization: Bearer sk-12345"),
        ("POST", "authorization: Bearer sk-67890"),
        ("PUT", "x-api-key: Bearer sk-67890"),
        ("GET", "authorization: Bearer sk-12345"),
        ("PUT", "x-api-key: Bearer sk-67890"),
        ("POST", "authorization: Bearer sk-67890"),
    ] {
        ground.world.get(&ground.caller, &ground.fill(&format!("{method} http://s.test:PORT/"))).await.unwrap();
        assert_eq!(lines(&ground.upstream.requests().pop().unwrap(), "Bearer"), [expected], "{method}");
    }
    assert_eq!(ground.upstream.connections(), 1);
}

#[tokio::test]
async fn f14_the_first_entry_that_covers_decides_over_the_secret() {
    let wild = r#"{ url: "http://*.s.test:PORT/", adapters: [a], network: loopback }"#.to_owned();
    let exact = |path: &str, variable| {
        let secret = secret("authorization", variable);
        format!(r#"{{ url: "http://x.s.test:PORT{path}", adapters: [a], network: loopback, {secret} }}"#)
    };
    let (all, some) = (exact("/", "KEY"), exact("/v1/", "OTHER"));
    for (entries, keys) in [
        ([&wild, &all, &some], ["", "", ""]),
        ([&all, &some, &wild], ["sk-12345", "sk-12345", ""]),
        ([&some, &all, &wild], ["sk-12345", "sk-67890", ""]),
        ([&some, &wild, &all], ["", "sk-67890", ""]),
    ] {
        let ground = Ground::new(&entries.map(String::as_str));
        for (url, key) in ["x.s.test:PORT/", "X.S.TEST:PORT/v1/", "y.s.test:PORT/v1/"].into_iter().zip(keys) {
            ground.world.get(&ground.caller, &ground.fill(&format!("GET http://{url}"))).await.unwrap();
            let sent = ground.upstream.requests().pop().unwrap();
            let expected: Vec<_> =
                (!key.is_empty()).then(|| format!("authorization: Bearer {key}")).into_iter().collect();
            assert_eq!(lines(&sent, "sk-"), expected, "{url}: never both");
        }
    }
}

#[tokio::test]
async fn f15_an_expired_entry_takes_its_secret_with_it() {
    let old = format!(
        r#"{{ url: "http://s.test:PORT/", adapters: [a], network: loopback, expires: 2020-01-01, {} }}"#,
        secret("authorization", "KEY")
    );
    let open = r#"{ url: "http://s.test:PORT/", adapters: [a], network: loopback }"#;
    let ground = Ground::new(&[&old, open]);
    ground.world.get(&ground.caller, &ground.fill("GET http://s.test:PORT/")).await.unwrap();
    assert!(!ground.upstream.requests()[0].contains("sk-12345"));
    let ground = Ground::new(&[&old]);
    ground.method_denied("GET", "http://s.test:PORT/", "grant-expired").await;
}

#[test]
fn f16_an_entry_ends_with_its_day() {
    let ground_entry = r#"{ url: "http://s.test/", adapters: [a], expires: 2027-02-28 }"#;
    let egress = Egress { grants: crate::world::grants(&[ground_entry]), local_only: false };
    let (id, digest) = ("a".parse().unwrap(), Digest::from_bytes([7; 32]));
    let target = Target::parse("GET", "http://s.test/").unwrap();
    for (day, holds) in
        [("2026-12-31", true), ("2027-02-27", true), ("2027-02-28", true), ("2027-03-01", false), ("2028-02-28", false)]
    {
        let got = egress.decide(
            Holder { id: &id, digest: &digest },
            &crate::world::scope("m", None),
            &target,
            day.parse().unwrap(),
            false,
        );
        assert_eq!(got.is_ok(), holds, "{day}");
    }
}

#[tokio::test]
async fn f17_without_a_secret_the_guests_own_credentials_go_as_they_are() {
    let keyed = format!(
        r#"{{ url: "http://s.test:PORT/v1/", adapters: [a], network: loopback, {} }}"#,
        secret("authorization", "KEY")
    );
    let open = r#"{ url: "http://s.test:PORT/open/", adapters: [a], network: loopback }"#;
    let mut ground = Ground::new(&[&keyed, open]);
    ground.world.fields = vec![("Authorization", "Bearer guest"), ("authorization", "again")];
    for (path, expected) in [
        ("/open/", &["authorization: Bearer guest", "authorization: again"][..]),
        ("/v1/", &["authorization: Bearer sk-12345"]),
        ("/open/", &["authorization: Bearer guest", "authorization: again"]),
    ] {
        ground.world.get(&ground.caller, &ground.fill(&format!("GET http://s.test:PORT{path}"))).await.unwrap();
        assert_eq!(lines(&ground.upstream.requests().pop().unwrap(), "authorization"), expected, "{path}");
    }
    assert_eq!(ground.upstream.connections(), 1);
}

/// Where names become variables, the guest's field would stand beside the operator's, or in its place.
#[tokio::test]
async fn f18_the_secrets_header_by_another_name() {
    let entry = format!(
        r#"{{ url: "http://s.test:PORT/", adapters: [a], network: loopback, {} }}"#,
        secret("x-api-key", "KEY")
    );
    let open = r#"{ url: "http://t.test:PORT/", adapters: [a], network: loopback }"#;
    let mut ground = Ground::new(&[&entry, open]);
    ground.world.fields =
        vec![("x_api_key", "guest"), ("X-Api_Key", "guest"), ("x-api-keys", "kept"), ("X-API-KEY", "guest")];
    ground.world.get(&ground.caller, &ground.fill("GET http://s.test:PORT/")).await.unwrap();
    let sent = ground.upstream.requests().pop().unwrap();
    assert_eq!(lines(&sent, "key"), ["x-api-keys: kept", "x-api-key: Bearer sk-12345"]);
    ground.world.get(&ground.caller, &ground.fill("GET http://t.test:PORT/")).await.unwrap();
    assert_eq!(lines(&ground.upstream.requests().pop().unwrap(), "guest").len(), 3, "the other entry attaches nothing");
}

/// Names, values, reason, trailers, hints: nothing of an answer but its redacted fields and body comes back.
#[tokio::test]
async fn f19_echoes_in_odd_places() {
    let entry = format!(
        r#"{{ url: "http://s.test:PORT/", adapters: [a], network: loopback, {} }}"#,
        secret("authorization", "KEY")
    );
    let answer = "HTTP/1.1 103 Early\r\nx-early: sk-12345\r\n\r\nHTTP/1.1 200 sk-12345\r\nsk-12345: 1\r\nx-sk-12345-x: 1\r\n\
                  x-a: sk-12345\r\nx-a: b;sk-12345\r\nset-cookie: k=sk-12345\r\nlocation: https://evil.test/sk-12345\r\n\
                  trailer: x-t\r\nwww-authenticate: Bearer realm=\"sk-12345\"\r\ntransfer-encoding: chunked\r\n\r\n\
                  5;x=sk-12345\r\nhello\r\n0\r\nx-t: sk-12345\r\n\r\n";
    let ground = Ground::against(Upstream::answering(answer), &[&entry]);
    for _ in 0..2 {
        let response = ground.world.send(&ground.caller, &ground.fill("GET http://s.test:PORT/")).await.unwrap();
        let shown = format!("{response:?}");
        assert!(!shown.contains("sk-12345") && shown.contains("********"), "{shown}");
        assert_eq!(response.headers.get_all("x-a").iter().count(), 2);
        assert_eq!(read(response).await.unwrap(), "hello");
    }
    assert!(ground.world.log.decided().iter().all(|line| !line.contains("sk-12345")));
}

/// What an adapter can learn of another one's entries: nothing.
#[tokio::test]
async fn f20_entries_of_others_can_not_be_told() {
    let entry =
        format!(r#"{{ url: "http://s.test:PORT/", adapters: [b], network: loopback, {} }}"#, secret("x-b-key", "KEY"));
    let ground = Ground::new(&[&entry]);
    assert!(ground.world.door.attached_headers(&ground.caller, &ground.world.scope).is_empty());
    for url in ["http://s.test:PORT/", "http://nobodys.test:PORT/", "https://s.test/", "http://s.test:1/x"] {
        ground.method_denied("GET", url, "host-not-granted").await;
    }
}

/// `range` could cut a secret's echo to pieces; it is refused where there is one, and by whatever name.
#[tokio::test]
async fn f21_parts_of_an_echo_can_not_be_asked_for() {
    let entry = format!(
        r#"{{ url: "http://s.test:PORT/", adapters: [a], network: loopback, {} }}"#,
        secret("authorization", "KEY")
    );
    let mut ground = Ground::new(&[&entry]);
    for name in ["Range", "range", "RANGE"] {
        ground.world.fields = vec![(name, "bytes=0-3")];
        let url = ground.fill("http://s.test:PORT/");
        let permit = ground.world.ask(&ground.caller, "GET", Destination::Url(&url)).await.unwrap();
        drop(permit);
        let sent = ground.world.send(&ground.caller, &format!("GET {url}")).await;
        assert!(matches!(sent, Err(EgressError::InvalidRequest(InvalidRequest::Partial(_)))), "{sent:?}");
    }
    assert_eq!(ground.upstream.connections(), 0);
}

/// A world's secrets are loaded with its policy; what one policy attached, the next one does not.
#[tokio::test]
async fn f22_another_policy_is_another_secret() {
    let entry = |rest: &str| format!(r#"{{ url: "http://s.test:PORT/", adapters: [a], network: loopback{rest} }}"#);
    let ground = Ground::new(&[&entry(&format!(", {}", secret("authorization", "KEY")))]);
    let url = ground.fill("GET http://s.test:PORT/");
    for (rest, expected) in [
        (Some(format!(", {}", secret("authorization", "OTHER"))), vec!["authorization: Bearer sk-67890"]),
        (Some(String::new()), vec![]),
        (Some(format!(", {}", secret("x-key", "KEY"))), vec!["x-key: Bearer sk-12345"]),
    ] {
        ground.world.set_policy(&[&ground.fill(&entry(&rest.unwrap()))]);
        ground.world.get(&ground.caller, &url).await.unwrap();
        assert_eq!(lines(&ground.upstream.requests().pop().unwrap(), "sk-"), expected);
    }
}

/// A key that is kept in the door's hands: a world whose policy has none has nothing to attach.
#[tokio::test]
async fn f23_a_secret_that_is_not_loaded_stops_the_request() {
    let entry = format!(
        r#"{{ url: "http://s.test:PORT/", adapters: [a], network: loopback, {} }}"#,
        secret("authorization", "KEY")
    );
    let ground = Ground::new(&[&entry]);
    let world: &World = &ground.world;
    world.shared.set_policy(world.shared.policy().egress.clone(), hauski_egress::Secrets::default());
    let got = world.send(&ground.caller, &ground.fill("GET http://s.test:PORT/")).await;
    assert!(matches!(got, Err(EgressError::SecretMissing { line: 6, .. })), "{got:?}");
    assert_eq!(ground.upstream.connections(), 0);
}

/// Who the gateway is at the provider is the operator's to say: with a key of its own, a guest would be somebody else there, and
/// what it sends would be somebody else's.
#[tokio::test]
async fn f25_other_credentials_beside_the_secret() {
    let secret = secret("x-api-key", "KEY");
    let keyed = format!(r#"{{ url: "http://s.test:PORT/v1/", adapters: [a], network: loopback, {secret} }}"#);
    let open = r#"{ url: "http://s.test:PORT/open/", adapters: [a], network: loopback }"#;
    let mut ground = Ground::new(&[&keyed, open]);
    ground.world.fields = vec![
        ("Authorization", "Bearer guest"),
        ("cookie", "session=guest"),
        ("Api-Key", "guest"),
        ("X_Goog_Api_Key", "guest"),
        ("x-auth-token", "guest"),
        ("openai-project", "kept"),
    ];
    ground.world.get(&ground.caller, &ground.fill("GET http://s.test:PORT/v1/")).await.unwrap();
    let sent = ground.upstream.requests().pop().unwrap();
    assert!(!sent.contains("guest"), "{sent}");
    assert!(sent.contains("openai-project: kept\r\n") && sent.contains("x-api-key: Bearer sk-12345\r\n"), "{sent}");
    ground.world.get(&ground.caller, &ground.fill("GET http://s.test:PORT/open/")).await.unwrap();
    assert_eq!(lines(&ground.upstream.requests().pop().unwrap(), "guest").len(), 5);
}
