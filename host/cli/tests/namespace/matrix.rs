//! What is tried, and what has to be seen of it on the wire: nothing, unless a row says otherwise.

use crate::world::DNS;
use serde_json::{Value, json};

/// What the policy allows.
pub(crate) const GRANTS: &str = r#"[
    { url: "http://127.0.0.1:8001/v1/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://[::1]:8002/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://93.184.216.34/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://127.0.0.1:8006/", adapters: [probe], models: ["*"] },
    { url: "http://127.0.0.1:8080/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://api.allowed.test:8003/v1/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://long.allowed.test:8003/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://gpu.allowed.test:8004/", adapters: [probe, probe-wasi-http], network: private, models: ["*"] },
    { url: "http://*.wild.test:8005/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "https://api.allowed.test/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://rebound.allowed.test:8003/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://metadata.allowed.test/", adapters: [probe, probe-wasi-http], network: private, models: ["*"] },
    { url: "http://mixed.allowed.test:8003/", adapters: [probe, probe-wasi-http], models: ["*"] },
    { url: "http://listed.allowed.test:8004/", adapters: [probe, probe-wasi-http], network: private, models: ["*"] },
    { url: "http://gone.allowed.test:8003/", adapters: [probe, probe-wasi-http], models: ["*"] },
  ]"#;

/// Where something answers: what is granted, and what is not and would be found.
pub(crate) const PROVIDERS: [&str; 12] = [
    "127.0.0.1:8001",
    "127.0.0.1:8006",
    "127.0.0.1:3128",
    "[::1]:8002",
    "93.184.216.34:80",
    "93.184.216.34:443",
    "93.184.216.34:8003",
    "93.184.216.34:8005",
    "10.1.2.3:8003",
    "10.1.2.3:8004",
    "169.254.169.254:80",
    "127.0.0.1:8003",
];

/// Proxies that an HTTP library might ask, and other variables that change where things go.
pub(crate) const VARIABLES: [(&str, &str); 8] = [
    ("HTTP_PROXY", "http://127.0.0.1:3128"),
    ("http_proxy", "http://127.0.0.1:3128"),
    ("HTTPS_PROXY", "http://proxy.evil.test:3128"),
    ("https_proxy", "http://127.0.0.1:3128"),
    ("ALL_PROXY", "socks5h://127.0.0.1:3128"),
    ("all_proxy", "http://127.0.0.1:3128"),
    ("NO_PROXY", ""),
    ("OPENAI_BASE_URL", "http://evil.test/v1"),
];

/// One thing that is tried.
pub(crate) struct Row {
    pub(crate) order: Value,
    /// The status that comes back over each way; `None` where it must be an error.
    pub(crate) status: Option<u16>,
    /// Connections and datagrams, as `tcp 127.0.0.1:80`.
    pub(crate) flows: Vec<String>,
    /// The names that are asked for.
    pub(crate) names: Vec<String>,
    /// The adapters for which all this holds. For others nothing may happen.
    pub(crate) only: Option<&'static str>,
}

impl Row {
    fn new(order: Value, status: Option<u16>, name: Option<&str>, address: Option<&str>) -> Self {
        let query = name.map(|_| format!("udp {DNS}"));
        let flows = query.into_iter().chain(address.map(|address| format!("tcp {address}"))).collect();
        Self { order, status, flows, names: name.map(str::to_owned).into_iter().collect(), only: None }
    }
}

fn get(url: &str) -> Value {
    json!({ "url": url })
}

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = granted();
    rows.extend(DENIED.iter().map(|url| Row::new(get(url), None, None, None)));
    let denied = [
        json!({ "url": "http://evil.test:443", "method": "CONNECT" }),
        json!({ "url": "http://127.0.0.1:8001/v1/x", "method": "CONNECT" }),
        json!({ "url": "http://127.0.0.1:8001/v1/x", "headers": [["host", "evil.test"]] }),
        json!({ "url": "http://127.0.0.1:8001/v1/x", "headers": [["proxy-authorization", "Basic eDp5"]] }),
        json!({ "url": format!("http://{}.evil.test/", "a".repeat(60)) }),
    ];
    rows.extend(denied.map(|order| Row::new(order, None, None, None)));
    rows
}

fn granted() -> Vec<Row> {
    let ok = |url, name, address| Row::new(get(url), Some(200), name, Some(address));
    let (api, public) = (Some("api.allowed.test"), Some("93.184.216.34:8003"));
    let mut long = ok("http://long.allowed.test:8003/x", Some("long.allowed.test"), "93.184.216.34:8003");
    long.flows.push(format!("tcp {DNS}"));
    let mut probes = ok("http://127.0.0.1:8006/x", None, "127.0.0.1:8006");
    probes.only = Some("probe");
    vec![
        ok("http://127.0.0.1:8001/v1/x", None, "127.0.0.1:8001"),
        ok("http://[::ffff:127.0.0.1]:8001/v1/x", None, "127.0.0.1:8001"),
        ok("http://[::1]:8002/x", None, "[::1]:8002"),
        ok("http://93.184.216.34/x", None, "93.184.216.34:80"),
        probes,
        Row::new(get("http://api.allowed.test:8003/v1/x"), Some(200), api, public),
        Row::new(get("http://API.Allowed.TEST:8003/v1/x"), Some(200), api, public),
        long,
        ok("http://gpu.allowed.test:8004/x", Some("gpu.allowed.test"), "10.1.2.3:8004"),
        ok("http://a.wild.test:8005/x", Some("a.wild.test"), "93.184.216.34:8005"),
        // The system's own file has it.
        ok("http://listed.allowed.test:8004/x", None, "10.1.2.3:8004"),
        // Granted, and what they are told to do next is not.
        Row::new(get("http://127.0.0.1:8001/v1/redirect"), Some(302), None, Some("127.0.0.1:8001")),
        Row::new(get("http://api.allowed.test:8003/v1/to-metadata"), Some(307), api, public),
        // It does not speak TLS.
        Row::new(get("https://api.allowed.test/"), None, api, Some("93.184.216.34:443")),
        // Names that are granted, with addresses that are not.
        Row::new(get("http://rebound.allowed.test:8003/"), None, Some("rebound.allowed.test"), None),
        Row::new(get("http://metadata.allowed.test/latest/"), None, Some("metadata.allowed.test"), None),
        Row::new(get("http://mixed.allowed.test:8003/"), None, Some("mixed.allowed.test"), None),
        // It does not exist, but what the search list makes of it does.
        Row::new(get("http://gone.allowed.test:8003/"), None, Some("gone.allowed.test"), None),
    ]
}

const DENIED: [&str; 68] = [
    // The gateway itself, although granted.
    "http://127.0.0.1:8080/health",
    // Other ports, schemes, paths.
    "http://127.0.0.1:8002/v1/x",
    "http://127.0.0.1:53/v1/x",
    "http://127.0.0.1/v1/x",
    "http://127.0.0.1:3128/",
    "http://10.1.2.3:22/",
    "http://api.allowed.test/v1/x",
    "http://api.allowed.test:8004/v1/x",
    "https://127.0.0.1:8001/v1/x",
    "https://api.allowed.test:8003/v1/x",
    "http://127.0.0.1:8001/",
    "http://127.0.0.1:8001/v10",
    "http://127.0.0.1:8001/v1/../admin",
    "http://127.0.0.1:8001/v1/%2e%2e/admin",
    "http://127.0.0.1:8001/v1/..%2fadmin",
    "http://127.0.0.1:8001/v1\\..\\admin",
    // Other names.
    "http://evil.test/",
    "https://evil.test/",
    "http://c3RvbGVu.evil.test/",
    "http://stolen.api.allowed.test:8003/v1/x",
    "http://api.allowed.test.evil.test:8003/v1/x",
    "http://xapi.allowed.test:8003/v1/x",
    "http://allowed.test:8003/v1/x",
    "http://api.allowed.test.:8003/v1/x",
    "http://wild.test:8005/",
    "http://a.b.wild.test:8005/",
    "http://.wild.test:8005/",
    "http://localhost:8001/v1/x",
    "http://localhost.:8001/v1/x",
    "http://api:8003/v1/x",
    // Names in disguise.
    "http://api.allowed.test:8003@evil.test/v1/x",
    "http://api.allowed.test%3a8003%40evil.test/v1/x",
    "http://evil.test@api.allowed.test:8003/v1/x",
    "http://user:password@api.allowed.test:8003/v1/x",
    "http://evil.test#@api.allowed.test:8003/v1/x",
    "http://evil.test\\@api.allowed.test:8003/v1/x",
    "http://evil.test?@api.allowed.test:8003/v1/x",
    "http://api.allowed.test:8003\\.evil.test/v1/x",
    "http://api.allowed.test:8003:80/v1/x",
    "http://api.allowed.test\u{3002}evil.test:8003/v1/x",
    "http://\u{ff41}pi.allowed.test:8003/v1/x",
    "http://api.allowed.test\t.evil.test:8003/v1/x",
    "http://xn--pi-7kc.allowed.test:8003/v1/x",
    // Addresses of private networks and of clouds' metadata.
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://100.100.100.200/latest/",
    "http://[fd00:ec2::254]/latest/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://[fe80::1%25lo]:8002/",
    "http://[64:ff9b::7f00:1]:8001/v1/x",
    // This machine in other words.
    "http://127.0.0.2:8001/v1/x",
    "http://0.0.0.0:8001/v1/x",
    "http://[::]:8002/",
    "http://[::ffff:10.0.0.1]/",
    "http://2130706433:8001/v1/x",
    "http://0x7f000001:8001/v1/x",
    "http://0177.0.0.1:8001/v1/x",
    "http://127.1:8001/v1/x",
    // Name servers, and other schemes.
    "https://1.1.1.1/dns-query?name=evil.test",
    "http://8.8.8.8:53/",
    "file:///etc/passwd",
    "ftp://api.allowed.test:8003/v1/x",
    "unix:///run/docker.sock",
    "http:///v1/x",
];

/// What clients may try with the gateway itself: to use it as a proxy, and to name another host.
pub(crate) const BY_CLIENTS: [(&str, &str); 6] = [
    ("GET http://evil.test/ HTTP/1.1\r\nhost: evil.test\r\n", "403"),
    ("CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443\r\n", "403"),
    ("GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1:8080\r\nforwarded: host=evil.test\r\n", "200"),
    ("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n", "200"),
    ("GET /ready HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n", "200"),
    ("GET /health HTTP/1.1\r\nhost: evil.test\r\norigin: http://evil.test\r\n", "403"),
];
