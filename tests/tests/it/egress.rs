//! What adapters can reach, tried by a component over both ways out: `upstream` and `wasi:http`.

use hauski_egress::{Resolve, Resolving};
use hauski_policy::AdapterId;
use hauski_server::StartError;
use hauski_tests::{Log, TestHost, UNRELATED, Upstream};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Both ways; every attack goes over each of them.
pub(crate) const WAYS: [&str; 2] = ["probe", "probe-wasi-http"];

/// Answers with these addresses, and counts the questions.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) asked: AtomicUsize,
    answer: Vec<IpAddr>,
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a AdapterId, _name: &'a str) -> Resolving<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(self.answer.clone()) })
    }
}

pub(crate) fn names(answer: &[&str]) -> Arc<Names> {
    let answer = answer.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(Names { asked: AtomicUsize::new(0), answer })
}

/// Lets the probe send `order`, and gives what it saw.
pub(crate) async fn send(host: &TestHost, way: &str, order: Value) -> Value {
    let answer = host.client().chat(way, &order.to_string()).await;
    serde_json::from_str(&answer.content()).unwrap_or_else(|error| panic!("{error}: {}", answer.text))
}

pub(crate) fn probes() -> hauski_tests::Builder {
    TestHost::builder().guest("probe").guest("probe_wasi_http")
}

#[tokio::test]
async fn a_granted_host_is_reached() {
    let upstream = Upstream::json(r#"{"hello":"world"}"#);
    let host = probes()
        .grant(&format!("{{ url: \"{}\", adapters: [probe, probe-wasi-http] }}", upstream.url("/v1/")))
        .start()
        .await;
    for way in WAYS {
        let seen = send(&host, way, json!({ "method": "POST", "url": upstream.url("/v1/x?q=1"), "body": "hi" })).await;
        assert_eq!(
            (&seen["ok"]["status"], &seen["ok"]["body"]),
            (&json!(200), &json!(r#"{"hello":"world"}"#)),
            "{way}: {seen}"
        );
        let request = upstream.requests().pop().unwrap();
        assert!(request.starts_with("POST /v1/x?q=1 HTTP/1.1\r\n"), "{way}: {request}");
        assert!(request.contains(&format!("host: {}\r\n", upstream.address())), "{way}: {request}");
        let done = format!(
            "hauski_egress_requests_total{{adapter=\"{way}\",destination=\"http://{}\",result=\"complete\"}} 1",
            upstream.address()
        );
        assert_eq!(host.client().metrics(&format!("hauski_egress_requests_total{{adapter=\"{way}\"")).await, [done]);
    }
}

#[tokio::test]
async fn an_unlisted_host_is_denied_without_a_packet() {
    let upstream = Upstream::json("{}");
    let names = names(&["127.0.0.1"]);
    let host = probes().grant("https://api.allowed.test").resolver(names.clone()).start().await;
    for way in WAYS {
        for url in [
            upstream.url("/"),
            "https://evil.test/".into(),
            "http://api.allowed.test/".into(),
            "https://api.allowed.test:8443/".into(),
        ] {
            let seen = send(&host, way, json!({ "url": url })).await;
            assert_eq!(seen["err"], "denied", "{way} {url}: {seen}");
        }
        let denied = host.client().metrics(&format!("hauski_egress_denied_total{{adapter=\"{way}\"")).await;
        for reason in ["host-not-granted", "scheme-not-granted", "port-not-granted"] {
            assert!(
                denied
                    .iter()
                    .any(|line| line.contains(&format!("reason=\"{reason}\""))
                        && line.contains("destination=\"unlisted\"")),
                "{denied:?}"
            );
        }
        let log = Log::lines_with(&format!("destination=\"GET {}\"", upstream.url("/")));
        let line =
            log.iter().find(|line| line.contains(&format!("adapter={way} "))).unwrap_or_else(|| panic!("{log:?}"));
        assert!(line.contains("egress denied") && line.contains("reason=\"host-not-granted\""), "{line}");
        assert!(
            line.contains(&format!(
                "allow_with=- {{ url: '{}', adapters: ['{way}'], models: ['{way}'], methods: [GET] }}",
                upstream.url("/")
            )),
            "the log says which entry would allow it: {line}"
        );
    }
    assert_eq!((upstream.connections(), names.asked.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn a_denial_that_reaches_the_client_tells_no_reason() {
    let upstream = Upstream::json("{}");
    let host = probes().grant(UNRELATED).start().await;
    for way in WAYS {
        let answer = host.client().stream(way, &json!({ "url": upstream.url("/") }).to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "egress_denied"), "{}", answer.text);
        assert!(!answer.text.contains("127.0.0.1") && !answer.text.contains("granted"), "{}", answer.text);
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_request_can_not_flood_the_log_with_denials() {
    let host = probes().grant(UNRELATED).limit("cpu_ms", 20_000).start().await;
    for way in WAYS {
        let url = format!("http://flooded-{way}.test/");
        let seen = send(&host, way, json!({ "url": url, "repeat": 300 })).await;
        assert_eq!(seen.as_array().unwrap().iter().filter(|one| one["err"] == "denied").count(), 256, "{way}");
        assert_eq!(Log::lines_with(&format!("destination=\"GET {url}\"")).len(), 256, "{way}");
    }
}

#[tokio::test]
async fn what_the_client_is_not_told_is_in_the_log() {
    let upstream = Upstream::json("{}");
    let (url, granted) = (upstream.url("/gone"), upstream.url("/"));
    let host = probes().grant(&granted).start().await;
    drop(upstream);
    for (way, told) in [("probe", "unreachable"), ("probe-wasi-http", "ConnectionRefused")] {
        let seen = send(&host, way, json!({ "url": url })).await;
        assert_eq!(seen["err"], told, "{way}: {seen}");
        assert!(!seen.to_string().contains("os error"), "{seen}");
        let log = Log::lines_with(&format!("adapter=\"{way}\""));
        let of = format!("destination=GET {granted} ");
        assert!(log.iter().any(|line| line.contains(&of) && line.contains("code=\"connect\"")), "{log:?}");
    }
}

#[tokio::test]
async fn one_adapters_grant_is_not_anothers() {
    let upstream = Upstream::json("{}");
    let host = probes()
        .grant(&format!("{{ url: \"{}\", adapters: [probe] }}", upstream.url("/")))
        .grant(UNRELATED)
        .start()
        .await;
    assert_eq!(send(&host, "probe", json!({ "url": upstream.url("/") })).await["ok"]["status"], 200);
    assert_eq!(send(&host, "probe-wasi-http", json!({ "url": upstream.url("/") })).await["err"], "denied");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn whole_entries_match_or_none() {
    let upstream = Upstream::json("{}");
    let host = probes()
        .grant(&format!("{{ url: \"{}\", methods: [GET] }}", upstream.url("/a")))
        .grant(&format!("{{ url: \"{}\", methods: [POST] }}", upstream.url("/b/")))
        .start()
        .await;
    for way in WAYS {
        for (method, path, allowed) in [
            ("GET", "/a", true),
            ("GET", "/a/b", true),
            ("POST", "/b/x", true),
            ("POST", "/a", false),
            ("GET", "/b/x", false),
            ("POST", "/b", false),
            ("GET", "/ab", false),
            ("GET", "/A", false),
            ("GET", "/", false),
            ("GET", "/a/../b", false),
            ("GET", "/a/%2e%2e/b", false),
            ("GET", "/a//b", false),
            ("DELETE", "/a", false),
        ] {
            let seen = send(&host, way, json!({ "method": method, "url": upstream.url(path) })).await;
            assert_eq!(seen.get("ok").is_some(), allowed, "{way} {method} {path}: {seen}");
        }
    }
}

#[tokio::test]
async fn addresses_are_judged_after_resolving() {
    let upstream = Upstream::json("{}");
    let port = upstream.address().port();
    for (answer, network, reached) in [
        (&["127.0.0.1"][..], "loopback", true),
        (&["127.0.0.1"], "public", false),
        (&["127.0.0.1"], "private", false),
        (&["::ffff:127.0.0.1"], "loopback", true),
        (&["10.0.0.1", "127.0.0.1"], "loopback", false),
        (&["127.0.0.1", "93.184.216.34"], "loopback", false),
        (&["169.254.169.254"], "private", false),
    ] {
        let grant = format!(
            "{{ url: \"http://api.allowed.test:{port}/\", adapters: [probe, probe-wasi-http], network: {network} }}"
        );
        let host = probes().grant(&grant).resolver(names(answer)).start().await;
        for way in WAYS {
            let seen = send(&host, way, json!({ "url": format!("http://api.allowed.test:{port}/") })).await;
            assert_eq!(seen.get("ok").is_some(), reached, "{way} {answer:?} {network}: {seen}");
        }
    }
    assert_eq!(upstream.connections(), 4);
}

#[tokio::test]
async fn the_gateway_itself_can_not_be_reached() {
    let host = on_a_port_of_its_own(|port| {
        let grant = |host| {
            format!("{{ url: \"http://{host}:{port}/\", network: loopback, adapters: [probe, probe-wasi-http] }}")
        };
        probes().grant(&grant("127.0.0.1")).grant(&grant("own.test")).resolver(names(&["127.0.0.1"]))
    })
    .await;
    let port = host.address().port();
    for way in WAYS {
        for name in ["127.0.0.1", "own.test"] {
            let own = format!("http://{name}:{port}");
            assert_eq!(send(&host, way, json!({ "url": format!("{own}/health") })).await["err"], "denied");
            let line = format!(
                "hauski_egress_denied_total{{adapter=\"{way}\",destination=\"{own}\",reason=\"own-address\"}} 1"
            );
            let denied = host
                .client()
                .metrics(&format!("hauski_egress_denied_total{{adapter=\"{way}\",destination=\"{own}\""))
                .await;
            assert_eq!(denied, [line]);
        }
        let all = host.client().metrics(&format!("hauski_egress_denied_total{{adapter=\"{way}\"")).await;
        assert_eq!(all.len(), 2, "{all:?}");
    }
}

/// A gateway whose policy names its own port: one that was free a moment ago, and if it is not any more, another.
async fn on_a_port_of_its_own(builder: impl Fn(u16) -> hauski_tests::Builder) -> TestHost {
    for _ in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        match builder(port).bind(([127, 0, 0, 1], port).into()).try_start().await {
            Ok(host) => return host,
            Err(StartError::Bind { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("each port was taken again");
}

#[tokio::test]
async fn redirects_are_handed_back() {
    let elsewhere = Upstream::json("{}");
    let location = elsewhere.url("/stolen");
    let upstream = Upstream::start(move |conversation| {
        conversation.request()?;
        conversation.answer("307 Temporary Redirect", &format!("location: {location}\r\nconnection: close\r\n"), "")
    });
    // Even where the policy would allow the next hop.
    let host = probes().grant(&upstream.url("/")).grant(&elsewhere.url("/")).start().await;
    for way in WAYS {
        let seen = send(&host, way, json!({ "url": upstream.url("/") })).await;
        assert_eq!(seen["ok"]["status"], 307, "{way}: {seen}");
    }
    assert_eq!((upstream.connections(), elsewhere.connections()), (2, 0));
}

#[tokio::test]
async fn secrets_are_attached_and_never_seen() {
    let upstream = Upstream::json("{}");
    let grant = format!(
        "{{ url: \"{}\", adapters: [probe, probe-wasi-http], secret: {{ header: x-api-key, value: \"key ${{env:PROVIDER_KEY}}\" }} }}",
        upstream.url("/v1/")
    );
    let host = probes().grant(&grant).grant(&upstream.url("/open/")).env("PROVIDER_KEY", "s3cr3t-4711").start().await;
    for way in WAYS {
        let seen = send(&host, way, json!({ "url": upstream.url("/v1/x") })).await;
        assert_eq!(seen["ok"]["status"], 200, "{way}: {seen}");
        assert!(upstream.requests().pop().unwrap().contains("x-api-key: key s3cr3t-4711\r\n"));
        send(&host, way, json!({ "url": upstream.url("/open/x") })).await;
        assert!(!upstream.requests().pop().unwrap().contains("s3cr3t"), "a secret goes with its own entry only");
    }
    // The guest's own value: dropped over `upstream`, and not even settable over `wasi:http`.
    let own = json!({ "url": upstream.url("/v1/x"), "headers": [["x-api-key", "guest"]] });
    let before = upstream.requests().len();
    assert_eq!(send(&host, "probe", own.clone()).await["ok"]["status"], 200);
    assert!(upstream.requests().iter().all(|request| !request.contains("guest")));
    assert_eq!(send(&host, "probe-wasi-http", own).await["err"], "refused-here");
    assert_eq!(upstream.requests().len(), before + 1);
    assert_eq!(Log::lines_with("s3cr3t-4711"), Vec::<String>::new());
    assert!(!host.client().get("/metrics").await.text.contains("s3cr3t"));
}

#[tokio::test]
async fn fields_of_the_connection_are_the_hosts() {
    let upstream = Upstream::json("{}");
    let host = probes().grant(&upstream.url("/")).start().await;
    for way in WAYS {
        for name in
            ["host", "connection", "transfer-encoding", "upgrade", "proxy-authorization", "x-forwarded-for", "te"]
        {
            let seen = send(&host, way, json!({ "url": upstream.url("/"), "headers": [[name, "x"]] })).await;
            assert!(seen.get("ok").is_none(), "{way} {name}: {seen}");
        }
        let seen = send(&host, way, json!({ "url": upstream.url("/"), "headers": [["x-a", "b\r\nx-c: d"]] })).await;
        assert!(seen.get("ok").is_none(), "{way}: {seen}");
    }
    assert_eq!(upstream.requests(), Vec::<String>::new());
    for way in WAYS {
        let seen = send(&host, way, json!({ "url": upstream.url("/"), "headers": [["x-a", "x"]] })).await;
        assert_eq!(seen["ok"]["status"], 200, "others pass: {way}: {seen}");
    }
}

#[tokio::test]
async fn connections_are_kept_and_not_shared() {
    let upstream = Upstream::json("{}");
    // One worker, so that both ways go by one door.
    let host = probes().grant(&upstream.url("/")).workers(1).start().await;
    let order = json!({ "url": upstream.url("/"), "repeat": 5 });
    send(&host, "probe", order.clone()).await;
    send(&host, "probe", order.clone()).await;
    // A guest that computes aside may ask again in the moment before its connection is back, which then takes another one.
    let own = upstream.connections();
    assert!(own <= 3 && upstream.requests().len() == 10, "{own} connections");
    send(&host, "probe-wasi-http", order).await;
    assert_eq!(upstream.requests().len(), 15);
    let others = upstream.connections() - own;
    assert!((1..=2).contains(&others), "another adapter has connections of its own, and keeps them: {others}");
}

/// F03: in heads, bodies and streams, split over writes.
#[tokio::test]
async fn an_echo_of_the_secret_is_redacted() {
    let upstream = Upstream::start(|conversation| {
        loop {
            let request = conversation.request()?;
            let key = request.lines().find_map(|line| line.strip_prefix("x-api-key: ")).unwrap_or_default();
            let body = format!(r#"{{"bad":"{key}","again":"{}"}}"#, key.replace('/', r"\/"));
            let head = format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\nx-echo: {key}\r\n\r\n", body.len());
            conversation.write(head)?;
            for piece in body.as_bytes().chunks(5) {
                conversation.write(piece)?;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    });
    let grant = format!(
        "{{ url: \"{}\", adapters: [probe, probe-wasi-http], secret: {{ header: x-api-key, value: \"key ${{env:ECHOED}}\" }} }}",
        upstream.url("/v1/")
    );
    let host = probes().grant(&grant).env("ECHOED", "3choed/0815").start().await;
    let expected = format!(r#"{{"bad":"{}","again":"{}"}}"#, "*".repeat(15), "*".repeat(16));
    for way in WAYS {
        let order = json!({ "url": upstream.url("/v1/x") });
        let seen = send(&host, way, order.clone()).await;
        assert_eq!((&seen["ok"]["status"], &seen["ok"]["body"]), (&json!(401), &json!(expected)), "{way}: {seen}");
        assert!(seen["ok"]["headers"].to_string().contains(&"*".repeat(15)), "{way}: {seen}");
        assert!(!seen.to_string().contains("3choed"), "{way}: {seen}");
        let answer = host.client().stream(way, &order.to_string()).await;
        assert!(!answer.text.contains("3choed") && answer.text.contains('*'), "{way}: {}", answer.text);
        assert!(upstream.requests().pop().unwrap().contains("x-api-key: key 3choed/0815\r\n"), "{way}");
    }
    assert_eq!(Log::lines_with("3choed"), Vec::<String>::new());
    assert!(!host.client().get("/metrics").await.text.contains("3choed"));
}
