//! D: redirects, proxies, methods, protocols. What leads elsewhere is handed back, and nothing is followed.

use crate::ground::{Ground, code};
use crate::upstream::{HELLO, Upstream};
use crate::world::{World, read};
use hauski_egress::{EgressError, Timeouts};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn world(upstream: &Upstream) -> (World, String) {
    let url = format!("http://127.0.0.1:{}/", upstream.port());
    (World::new(&[&format!(r#"{{ url: "{url}", adapters: [a] }}"#)]), format!("GET {url}"))
}

#[tokio::test]
async fn d01_redirects_are_handed_back() {
    let elsewhere = Upstream::answering(HELLO);
    let near = format!("http://127.0.0.1:{}/", elsewhere.port());
    let far = format!("http://127.0.0.2:{}/", elsewhere.port());
    for to in [&near, &far, "https://evil.test/", "//evil.test/", "/v1/next", "next", "?x", "http://169.254.169.254/"] {
        for status in [300, 301, 302, 303, 305, 307, 308] {
            let answer = format!("HTTP/1.1 {status} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            let upstream = Upstream::answering(answer.leak());
            let (world, url) = world(&upstream);
            let response = world.send(&world.caller("a"), &url).await.unwrap();
            assert_eq!((response.status.as_u16(), response.headers["location"].to_str().unwrap()), (status, to));
            read(response).await.unwrap();
            assert_eq!((upstream.connections(), upstream.requests().len()), (1, 1), "{status} {to}");
            assert_eq!(world.log.ends(), ["complete"]);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn d01_what_follows_is_authorised_from_zero() {
    let elsewhere = Upstream::answering(HELLO);
    let location = format!("http://127.0.0.1:{}/open/", elsewhere.port());
    let answer = format!("HTTP/1.1 307 X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let upstream = Upstream::answering(answer.leak());
    let secret = r#"secret: { header: authorization, value: "Bearer ${env:KEY}" }"#;
    let url = format!("http://127.0.0.1:{}/v1/", upstream.port());
    let granted = format!(r#"{{ url: "{url}", adapters: [a], {secret} }}"#);
    for (next, followed) in [(format!(r#"{{ url: "{location}", adapters: [a] }}"#), true), (granted.clone(), false)] {
        let world = World::new(&[&granted, &next.replace(&url, &format!("{url}x/"))]);
        let response = world.send(&world.caller("a"), &format!("GET {url}")).await.unwrap();
        let location = response.headers["location"].to_str().unwrap().to_owned();
        let got = world.get(&world.caller("a"), &format!("GET {location}")).await;
        if followed {
            assert_eq!(got.unwrap(), "hello");
            assert!(!elsewhere.requests()[0].contains("authorization"), "{}", elsewhere.requests()[0]);
        } else {
            assert_eq!(code(got), "port-not-granted");
        }
    }
    assert_eq!(elsewhere.connections(), 1);
}

/// What a proxy variable could do is not there to be done: nothing here reads the environment.
#[test]
fn d02_nothing_reads_the_environment() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            folders.extend(inside.filter(|path| !path.ends_with("tests")));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["env::var", "std::env", "proxy::", "option_env"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
        let opens =
            text.contains("TcpStream::connect") || text.contains("TcpSocket::new") || text.contains("UdpSocket");
        assert!(!opens || path.ends_with("dial.rs"), "{}", path.display());
        assert!(!text.contains("lookup_host") || path.ends_with("resolve.rs"), "{}", path.display());
    }
}

/// In a process of its own, whose environment names proxies.
#[tokio::test]
async fn d02_proxy_variables_have_no_effect() {
    const TEST: &str = "d_protocol::d02_proxy_variables_have_no_effect";
    if std::env::var_os("http_proxy").is_some_and(|value| value.to_string_lossy().ends_with("/d02")) {
        let upstream = Upstream::answering(HELLO);
        let (world, url) = world(&upstream);
        assert_eq!(world.get(&world.caller("a"), &url).await.unwrap(), "hello");
        return assert!(upstream.requests()[0].starts_with("GET / HTTP/1.1\r\n"));
    }
    let proxy = Upstream::answering(HELLO);
    let address = format!("http://127.0.0.1:{}/d02", proxy.port());
    let mut child = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, &address);
    }
    child.env("NO_PROXY", "").env("no_proxy", "").args(["--exact", TEST]);
    let said = child.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    assert!(String::from_utf8_lossy(&said.stdout).contains("1 passed"), "{TEST} is not its name any more");
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn d03_methods_that_can_not_be_granted() {
    let ground = Ground::new(&[r#"{ url: "http://all.test:PORT/v1/", adapters: [a], network: loopback }"#]);
    for method in "CONNECT|TRACE|TRACK|PRI|FOO BAR|BREW|PROPFIND|MKCOL|LOCK|QUERY|PURGE|*|M-SEARCH|UPDATE".split('|') {
        for url in ["http://all.test:PORT/v1/x", "http://api.allowed.test:PORT/v1/x", "https://evil.test/"] {
            ground.method_denied(method, url, "invalid-method").await;
        }
    }
}

#[tokio::test]
async fn d04_switching_protocols_is_an_error_that_closes() {
    for more in ["", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"] {
        let upstream = Upstream::start(move |conn, _| {
            conn.request();
            conn.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
            conn.write(more);
            assert!(conn.sees_the_end());
        });
        let (world, url) = world(&upstream);
        let got = world.send(&world.caller("a"), &url).await;
        assert!(matches!(got, Err(EgressError::SwitchingProtocols)), "{got:?}");
        tokio::task::yield_now().await;
        upstream.wait_for_a_close();
        assert_eq!(world.log.ends(), ["switching-protocols"]);
    }
}

#[tokio::test]
async fn d10_a_guest_that_asks_for_nothing_or_for_ever_does_no_harm() {
    let upstream = Upstream::answering(HELLO);
    let (mut world, url) = world(&upstream);
    for span in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_nanos(u64::MAX), Duration::from_nanos(1)]
    {
        let caller = world.caller("a");
        world.timeouts = Timeouts { connect: Some(span), first_byte: Some(span), idle: Some(span), deadline: None };
        match world.get(&caller, &url).await {
            Ok(body) => assert_eq!(body, "hello"),
            Err(error) => assert!(error.is_timeout() && span < Duration::from_secs(1), "{span:?}: {error}"),
        }
    }
    let zero = Some(Duration::ZERO);
    world.timeouts = Timeouts { connect: zero, first_byte: zero, idle: zero, deadline: None };
    if let Err(error) = world.get(&world.caller("a"), &url).await {
        assert!(error.is_timeout(), "{error}");
    }
}

#[tokio::test]
async fn d12_methods_in_other_letters() {
    let ground = Ground::new(&[r#"{ url: "http://all.test:PORT/v1/", adapters: [a], network: loopback }"#]);
    for method in
        "post|Post|get|GeT|POST |  POST|POST\t|POST\r\n|POST\0|PO\u{17f}T|ＰＯＳＴ||GET POST|POST,GET|%50OST|connect"
            .split('|')
    {
        ground.method_denied(method, "http://all.test:PORT/v1/x", "invalid-method").await;
    }
}

#[tokio::test]
async fn d13_what_an_answer_says_of_other_places_is_only_said() {
    let elsewhere = Upstream::answering(HELLO);
    let to = format!("http://127.0.0.1:{}/", elsewhere.port());
    let port = elsewhere.port();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nalt-svc: http=\"127.0.0.1:{port}\", h2=\":{port}\"; ma=86400\r\nrefresh: 0; url={to}\r\n\
         link: <{to}>; rel=preload\r\nlocation: {to}\r\ncontent-location: {to}\r\nstrict-transport-security: max-age=9\r\n\
         set-cookie: a=b; Path=/\r\nretry-after: 0\r\nproxy-authenticate: Basic\r\ncontent-length: 5\r\n\r\nhello"
    );
    for status in ["200", "401", "407", "408", "425", "429", "503"] {
        let upstream = Upstream::answering(answer.replace("200 OK", status).leak());
        let (world, url) = world(&upstream);
        for round in 1..=3 {
            let response = world.send(&world.caller("a"), &url).await.unwrap();
            assert_eq!(response.status.as_str(), status);
            read(response).await.unwrap();
            assert_eq!(upstream.requests().len(), round, "{status}");
        }
        // The same request each time: nothing was learned from the answer before.
        let requests = upstream.requests();
        assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
        assert_eq!(upstream.connections(), 1, "{status}");
    }
    assert_eq!(elsewhere.connections(), 0);
}
