//! D: other credentials, another method and partial responses beside an attached secret.

use crate::upstream::{HELLO, Upstream};
use crate::world::World;
use hauski_egress::{EgressError, InvalidRequest};
use http::HeaderName;

/// A provider with one path that has a secret and one that has none, and the URL of the first.
fn world() -> (World, Upstream, String) {
    let upstream = Upstream::answering(HELLO);
    let base = format!("http://127.0.0.1:{}", upstream.port());
    let secret = r#"secret: { header: authorization, value: "Bearer ${env:KEY}" }"#;
    let world = World::new(&[
        &format!(r#"{{ url: "{base}/v1/", adapters: [a], methods: [POST], {secret} }}"#),
        &format!(r#"{{ url: "{base}/open/", adapters: [a] }}"#),
    ]);
    (world, upstream, format!("POST {base}/v1/x"))
}

fn refusal<T>(sent: Result<T, EgressError>) -> InvalidRequest {
    match sent.map(drop) {
        Err(EgressError::InvalidRequest(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn d35_other_credentials_are_dropped_beside_a_secret() {
    for name in "apikey Ocp-Apim-Subscription-Key Private-Token X-API-Token X-Access-Token X-Amz-Security-Token \
                 X-Goog-IAM-Authorization-Token cookie x_api_key x-goog-api-key xi-api-key"
        .split_whitespace()
    {
        let (mut world, upstream, url) = world();
        world.fields = vec![(name, "of-the-adapter"), ("openai-project", "p"), ("OpenAI-Organization", "o")];
        world.get(&world.caller("a"), &url).await.unwrap();
        world.get(&world.caller("a"), &url.replace("/v1/", "/open/")).await.unwrap();
        let requests = upstream.requests();
        assert!(!requests[0].contains("of-the-adapter"), "{name}: {}", requests[0]);
        assert!(requests[0].contains("\r\nauthorization: Bearer sk-12345\r\n"), "{}", requests[0]);
        assert!(requests[0].contains("openai-project: p\r\n") && requests[0].contains("openai-organization: o\r\n"));
        assert!(requests[1].contains(&format!("{}: of-the-adapter\r\n", name.to_lowercase())), "{}", requests[1]);
    }
}

#[tokio::test]
async fn d36_credentials_in_the_query_are_refused_beside_a_secret() {
    let (world, upstream, url) = world();
    for (query, known) in [
        ("key=AIza", "key"),
        ("alt=sse&api_key=x", "api-key"),
        ("Access%5FToken=x", "access-token"),
        ("a;X-Amz-Signature=x", "x-amz-signature"),
    ] {
        let url = format!("{url}?{query}");
        let refused = refusal(world.get(&world.caller("a"), &url).await);
        assert_eq!(refused, InvalidRequest::QueryCredential(known));
        assert!(!refused.to_string().contains("AIza"), "{refused}");
        let open = url.replace("/v1/", "/open/");
        world.get(&world.caller("a"), &open).await.unwrap();
        assert!(upstream.requests().pop().unwrap().contains(query), "without a secret it is sent as it is");
    }
    assert_eq!(upstream.requests().len(), 4);
    world.get(&world.caller("a"), &format!("{url}?alt=sse&max_tokens=5")).await.unwrap();
}

#[tokio::test]
async fn d37_another_method_in_the_query_is_refused() {
    let (world, upstream, url) = world();
    for (query, known) in [
        ("_method=DELETE", "-method"),
        ("a=b&%5Fmethod=DELETE", "-method"),
        ("X-HTTP-Method-Override=PUT", "x-http-method-override"),
    ] {
        for path in ["/v1/", "/open/"] {
            let url = format!("{}?{query}", url.replace("/v1/", path));
            assert_eq!(refusal(world.get(&world.caller("a"), &url).await), InvalidRequest::QueryMethod(known), "{url}");
        }
    }
    assert_eq!((upstream.connections(), world.log.ends()), (0, vec!["invalid-request"; 6]));
}

#[tokio::test]
async fn d38_requests_for_parts_are_refused_beside_a_secret() {
    let (mut world, upstream, url) = world();
    for name in ["range", "request-range", "request_range", "if-range", "x-range", "a-im"] {
        world.fields = vec![(name, "bytes=0-3")];
        let refused = refusal(world.get(&world.caller("a"), &url).await);
        assert_eq!(refused, InvalidRequest::Partial(HeaderName::from_static(name)));
        world.get(&world.caller("a"), &url.replace("/v1/", "/open/")).await.unwrap();
    }
    assert_eq!(upstream.requests().len(), 6);
}

#[tokio::test]
async fn d39_other_codings_are_dropped_beside_a_secret() {
    let (mut world, upstream, url) = world();
    world.fields = vec![("accept_encoding", "gzip"), ("Accept-Encoding", "br"), ("accept-charset", "utf-16")];
    world.get(&world.caller("a"), &url).await.unwrap();
    let request = upstream.requests().pop().unwrap();
    let accepts: Vec<_> = request.lines().filter(|line| line.starts_with("accept")).collect();
    assert_eq!(accepts, ["accept-encoding: identity"]);
}
