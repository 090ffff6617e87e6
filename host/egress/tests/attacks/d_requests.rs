//! D: a request's head and body as the guest gives them. What frames the message or names the way is the door's.

use crate::upstream::{HELLO, Upstream};
use crate::world::{Frames, World, read};
use bytes::Bytes;
use hauski_egress::{EgressError, InvalidRequest, OutboundBody, UploadError, headers};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt as _;

fn world(upstream: &Upstream) -> (World, String) {
    let url = format!("http://127.0.0.1:{}/", upstream.port());
    let entry = format!(r#"{{ url: "{url}", adapters: [a] }}"#);
    (World::new(&[&entry]), format!("POST {url}"))
}

/// A field that the door does not take: an error before a connection, whether the map was made by the door or elsewhere.
async fn refused(name: &str, value: &str) {
    let upstream = Upstream::answering(HELLO);
    let (mut world, url) = world(&upstream);
    let lower = HeaderName::from_bytes(name.as_bytes()).unwrap();
    let mut made = HeaderMap::new();
    made.append("accept", HeaderValue::from_static("*/*"));
    made.append(&lower, HeaderValue::from_str(value).unwrap());
    let permit = world.permit(&world.caller("a"), &url).await.unwrap();
    let sent = world.door.send(permit, made, OutboundBody::Whole("{}".into())).await;
    assert!(
        matches!(&sent, Err(EgressError::InvalidRequest(InvalidRequest::Forbidden(f))) if *f == lower),
        "{name}: {sent:?}"
    );
    world.fields = vec![("accept", "*/*"), (name.to_owned().leak(), value.to_owned().leak())];
    let sent = world.send_body(&world.caller("a"), &url, OutboundBody::Whole("{}".into())).await;
    assert!(
        matches!(&sent, Err(EgressError::InvalidRequest(InvalidRequest::Forbidden(f))) if *f == lower),
        "{name}: {sent:?}"
    );
    assert!(headers::is_forbidden(&lower), "over `wasi:http` it can't even be set: {name}");
    assert_eq!((upstream.connections(), world.log.ends()), (0, vec!["invalid-request"; 2]), "{name}");
}

#[tokio::test]
async fn d04_no_request_asks_for_another_protocol() {
    for (name, value) in [
        ("Upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("Connection", "upgrade"),
        ("connection", "Upgrade, HTTP2-Settings"),
        ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    ] {
        refused(name, value).await;
    }
}

#[tokio::test]
async fn d05_what_names_the_way() {
    for name in
        "Host host HOST Forwarded X-Forwarded-For X-Forwarded-Host x-forwarded-proto X-Forwarded X-Forwarded-Server \
                 Proxy-Authorization Proxy-Connection Proxy-Authenticate proxy-x"
            .split_whitespace()
    {
        refused(name, "evil.test").await;
    }
}

#[tokio::test]
async fn d07_text_that_ends_a_line() {
    for name in "|a b|a\r\nb|a\nb|a:b|:authority|:method|ä|a\0|a\t|a\"|(a)|a/b|a\u{7f}".split('|') {
        let got = headers::from_pairs([(name, &b"x"[..])]);
        assert_eq!(got.unwrap_err(), InvalidRequest::Name, "{name:?}");
    }
    for value in "a\r\nb: c|a\nb|a\rb|a\0b|\u{7f}|\r\n|\n|\r|a\r\n b|a\u{b}b|a\u{1b}[31m".split('|') {
        let got = headers::from_pairs([("x-a", value.as_bytes().to_vec())]);
        assert_eq!(got.unwrap_err(), InvalidRequest::Value(HeaderName::from_static("x-a")), "{value:?}");
    }
}

#[tokio::test]
async fn d08_framing_is_the_doors() {
    for (name, value) in [("Transfer-Encoding", "chunked"), ("transfer-encoding", "identity"), ("TE", "trailers")] {
        refused(name, value).await;
    }
    let upstream = Upstream::answering(HELLO);
    let (mut world, url) = world(&upstream);
    for values in
        ["3", "1", "0", "2|2", "2|3", "3|2", "+2", "2, 2", " 2|2", "-2", "0x2", "2.0", "", "99999999999999999999"]
    {
        world.fields = values.split('|').map(|value| ("Content-Length", value)).collect();
        let sent = world.send_body(&world.caller("a"), &url, OutboundBody::Whole("{}".into())).await;
        assert!(matches!(sent, Err(EgressError::InvalidRequest(InvalidRequest::ContentLength))), "{values}: {sent:?}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn d08_bodies_that_break_their_word_end_the_request() {
    let trailers = || Ok(Frame::trailers(HeaderMap::new()));
    let empty = || Ok(Frame::data(Bytes::new()));
    let one = || Ok(Frame::data(Bytes::from_static(b"x")));
    let more = Ok(Frame::data(Bytes::from_static(b"xGET /evil HTTP/1.1\r\nhost: evil\r\n\r\n")));
    for (length, frames, expected) in [
        (Some("2"), vec![one()], UploadError::Length),
        (Some("1"), vec![more], UploadError::Length),
        (Some("1"), vec![one(), one()], UploadError::Length),
        (Some("0"), vec![one()], UploadError::Length),
        (None, vec![one(), Err("gone".into())], UploadError::Source),
        (None, vec![one(), trailers()], UploadError::Trailers),
        (None, vec![trailers()], UploadError::Trailers),
        (None, (0..100_000).map(|_| empty()).collect(), UploadError::EmptyPieces),
    ] {
        let upstream = Upstream::answering(HELLO);
        let (mut world, url) = world(&upstream);
        world.fields = length.map(|length| ("content-length", length)).into_iter().collect();
        let sent =
            world.send_body(&world.caller("a"), &url, OutboundBody::Stream(Frames(frames.into()).boxed_unsync())).await;
        match sent {
            // What was declared has been sent; what is too much never is.
            Ok(response) if expected == UploadError::Length => drop(read(response).await),
            got => {
                assert!(matches!(got, Err(EgressError::Upload(error)) if error == expected), "{expected:?}: {got:?}")
            }
        }
        let requests = upstream.requests();
        let whole = |request: &String| request.ends_with(if length == Some("0") { "\r\n\r\n" } else { "\r\n\r\nx" });
        assert!(requests.iter().all(|request| !request.contains("/evil") && whole(request)), "{requests:?}");
        assert!(requests.len() <= 1, "{requests:?}");
    }
}

#[test]
fn d09_heads_are_bounded() {
    // It stops at the first one too many: of a million the rest is not looked at.
    let mut taken = 0;
    let million = (0..1_000_000).inspect(|_| taken += 1).map(|_| ("x-a", &b""[..]));
    assert_eq!(headers::from_pairs(million).unwrap_err(), InvalidRequest::TooManyFields);
    assert_eq!(taken, headers::MAX_FIELDS + 1);
    let long = vec![b'x'; 1 << 20];
    assert_eq!(headers::from_pairs([("x-a", long.clone())]).unwrap_err(), InvalidRequest::TooLarge);
    assert_eq!(headers::from_pairs([("x".repeat(1 << 20), long)]).unwrap_err(), InvalidRequest::TooLarge);
    let many = (0..100).map(|_| ("x-a", vec![b'x'; 1000]));
    assert_eq!(headers::from_pairs(many).unwrap_err(), InvalidRequest::TooLarge);
}

#[tokio::test]
async fn d09_a_head_made_elsewhere_is_bounded_as_well() {
    let upstream = Upstream::answering(HELLO);
    let (world, url) = world(&upstream);
    for (count, length, expected) in [
        (129, 0, InvalidRequest::TooManyFields),
        (2, 40_000, InvalidRequest::TooLarge),
        (1, 1 << 20, InvalidRequest::TooLarge),
    ] {
        let mut made = HeaderMap::new();
        for _ in 0..count {
            made.append("x-a", HeaderValue::try_from("x".repeat(length)).unwrap());
        }
        let permit = world.permit(&world.caller("a"), &url).await.unwrap();
        let sent = world.door.send(permit, made, OutboundBody::Whole("{}".into())).await;
        assert!(matches!(&sent, Err(EgressError::InvalidRequest(error)) if *error == expected), "{sent:?}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn d14_hop_by_hop_fields() {
    for (name, value) in [
        // Would have a proxy on the way strip what it names, the secret for one.
        ("Connection", "close, authorization"),
        ("Connection", "keep-alive"),
        ("Keep-Alive", "timeout=999"),
        ("TE", "trailers"),
        ("Trailer", "x-a"),
        ("Expect", "100-continue"),
        ("expect", "x"),
        ("Proxy-Connection", "keep-alive"),
    ] {
        refused(name, value).await;
    }
}

/// Where names become variables, as in CGI, `_` and `-` are the same.
#[tokio::test]
async fn d15_names_that_are_forbidden_ones_to_some() {
    for name in "x_forwarded_for X_Forwarded_Host transfer_encoding Content_Length proxy_authorization http2_settings \
                 X-Forwarded_For keep_alive"
        .split_whitespace()
    {
        refused(name, "1").await;
    }
}

/// A grant names methods, hosts and paths. A header that tells the provider to take others is refused.
#[tokio::test]
async fn d16_headers_that_stand_for_another_method_host_path_or_client_are_refused() {
    for name in
        "X-HTTP-Method-Override X-HTTP-Method X-Method-Override x_http_method_override X-Original-URL X-Rewrite-URL \
                 X-Original-Method X-Original-URI X-Original-Host X-Host X-Rewrite-URI \
                 _method X-Method X-Tunneled-Method X-HTTP-Host-Override X-HTTP-Path-Override X-Override-URL \
                 X-Envoy-Original-Path X-Envoy-Original-Host X-Original-Path X-Forward-For Via Proxy \
                 X-Real-IP True-Client-IP X-Client-IP X_Envoy_Original_Path x_real_ip"
            .split_whitespace()
    {
        refused(name, "DELETE").await;
    }
}

#[tokio::test]
async fn d17_values_go_out_as_they_are_or_not_at_all() {
    let upstream = Upstream::answering(HELLO);
    let (world, url) = world(&upstream);
    let fields = [
        ("X-High", &b"\xff\x80\xc3"[..]),
        ("x-tab", b"a\tb"),
        ("x-blank", b" a "),
        ("x-empty", b""),
        ("x-colon", b"host: evil.test"),
        ("Content-Encoding", b"gzip"),
        ("Authorization", b"one"),
        ("AUTHORIZATION", b"two"),
        ("Cookie", b"a=b"),
    ];
    let made = headers::from_pairs(fields.map(|(name, value)| (name, value.to_vec()))).unwrap();
    let permit = world.permit(&world.caller("a"), &url).await.unwrap();
    read(world.door.send(permit, made, OutboundBody::Whole("{}".into())).await.unwrap()).await.unwrap();
    let expected = format!(
        "POST / HTTP/1.1\r\nx-high: \u{ff}\u{80}\u{c3}\r\nx-tab: a\tb\r\nx-blank:  a \r\nx-empty: \r\nx-colon: host: evil.test\r\n\
         content-encoding: gzip\r\nauthorization: one\r\nauthorization: two\r\ncookie: a=b\r\n\
         host: 127.0.0.1:{}\r\ncontent-length: 2\r\n\r\n{{}}",
        upstream.port()
    );
    assert_eq!(upstream.requests(), [expected]);
}

#[tokio::test]
async fn d18_methods_without_a_body_carry_no_second_request() {
    let smuggled = "GET /evil HTTP/1.1\r\nhost: evil\r\n\r\n";
    for (method, length) in
        [("GET", None), ("HEAD", None), ("GET", Some(smuggled.len())), ("OPTIONS", None), ("DELETE", None)]
    {
        let upstream =
            Upstream::start(|conn, _| while conn.request().is_some() && conn.write("HTTP/1.1 204 X\r\n\r\n") {});
        let (mut world, url) = world(&upstream);
        world.fields = length.map(|length| ("content-length", &*length.to_string().leak())).into_iter().collect();
        let url = url.replace("POST", method);
        for whole in [true, false] {
            let body = Bytes::from_static(smuggled.as_bytes());
            let frames = Frames([Ok(Frame::data(body.clone()))].into());
            let body = if whole { OutboundBody::Whole(body) } else { OutboundBody::Stream(frames.boxed_unsync()) };
            let _ = world.send_body(&world.caller("a"), &url, body).await.map(drop);
            let requests = upstream.requests();
            let begins = |request: &String| request.starts_with(&format!("{method} / HTTP/1.1\r\n"));
            assert!(requests.iter().all(begins), "{requests:?}");
        }
    }
}
