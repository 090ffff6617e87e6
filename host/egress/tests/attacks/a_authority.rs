//! A: authority and host as text, which the guest sets. What is ambiguous is refused, not put right.

use crate::ground::Ground;
use crate::world::World;
use hauski_policy::Routing;

#[tokio::test]
async fn a01_userinfo() {
    let ground = Ground::new(&[]);
    for authority in "api.allowed.test@evil.test api.allowed.test:PORT@evil.test:PORT user:pass@api.allowed.test \
                      user@api.allowed.test:PORT api.allowed.test@x@evil.test @api.allowed.test api.allowed.test@ @@ \
                      :@api.allowed.test"
        .split_whitespace()
    {
        ground.denied(&format!("https://{authority}/v1/x"), "invalid-userinfo").await;
        ground.denied(&format!("http://{authority}/v1/x"), "invalid-userinfo").await;
    }
    // What stands before the `@` is not for the log.
    assert!(ground.world.log.decided().iter().all(|line| !line.contains("pass")));
}

#[tokio::test]
async fn a02_a_dot_at_the_end() {
    let ground = Ground::new(&[]);
    for authority in
        "api.allowed.test. api.allowed.test.:443 api.allowed.test.. api.allowed.test.:PORT . .:443".split(' ')
    {
        ground.denied(&format!("https://{authority}/v1/x"), "invalid-host").await;
        ground.denied(&format!("http://{authority}/v1/x"), "invalid-host").await;
    }
}

#[tokio::test]
async fn a03_capitals_are_lower_cased_on_the_wire() {
    let ground = Ground::new(&[]);
    for host in ["API.Allowed.TEST", "api.allowed.test", "API.ALLOWED.TEST"] {
        ground.reaches(&format!("http://{host}:PORT/v1/X"), "POST /v1/X", "api.allowed.test:PORT").await;
    }
}

#[tokio::test]
async fn a04_ports_that_are_not_plain() {
    let ground = Ground::new(&[]);
    for port in "|abc|0|00|65536|99999|+443|-443|0443|4_43|443 | 443|0x1bb|4.43|443:|443:443|:443|99999999999999999999|４４３|443\0|443\t"
        .split('|')
    {
        ground.denied(&format!("https://api.allowed.test:{port}/v1/x"), "invalid-port").await;
        ground.denied(&format!("http://api.allowed.test:{port}/v1/x"), "invalid-port").await;
    }
    for port in ["0PORT", "+PORT", "PORT:PORT"] {
        ground.denied(&format!("http://api.allowed.test:{port}/v1/x"), "invalid-port").await;
    }
}

#[tokio::test]
async fn a05_no_port_is_the_schemes_own_and_no_other() {
    let ground = Ground::new(&[r#"{ url: "https://b.allowed.test:443/", adapters: [a], methods: [POST] }"#]);
    for url in "https://api.allowed.test:8443/v1/x https://api.allowed.test:80/v1/x https://api.allowed.test:PORT/v1/x \
                https://b.allowed.test:8443/ http://api.allowed.test/v1/x http://api.allowed.test:443/v1/x"
        .split_whitespace()
    {
        ground.denied(url, "port-not-granted").await;
    }
    ground.world.resolver.set("*", &["1.1.1.1"]);
    for url in ["https://api.allowed.test/v1/x", "https://api.allowed.test:443/v1/x", "https://b.allowed.test/"] {
        ground.permitted(url).await;
    }
}

#[tokio::test]
async fn a06_the_scheme_is_judged_as_it_would_be_used() {
    let ground = Ground::new(&[r#"{ url: "https://tls.test:PORT/v1/", adapters: [a], network: loopback }"#]);
    ground.denied("http://tls.test:PORT/v1/x", "scheme-not-granted").await;
    ground.denied("https://api.allowed.test:PORT/v1/x", "port-not-granted").await;
    for url in ["//api.allowed.test/v1/x", "api.allowed.test/v1/x", "https:/api.allowed.test/v1/x", "http//api", ""] {
        ground.denied(url, "invalid-scheme").await;
    }
    ground.parts_denied("", "api.allowed.test:PORT", "/v1/x", "invalid-scheme").await;
}

#[tokio::test]
async fn a07_other_schemes() {
    let ground = Ground::new(&[]);
    for scheme in
        "ws|wss|file|gopher|ftp|data|unix|http+unix|httpss|h2c|http | http|https:||ht\ntp|ｈttp|http\0".split('|')
    {
        ground.denied(&format!("{scheme}://api.allowed.test:PORT/v1/x"), "invalid-scheme").await;
    }
    for url in ["data:text/plain,x", "file:/etc/passwd", "javascript:alert(1)", "http:api.allowed.test:PORT/v1/x"] {
        ground.denied(url, "invalid-scheme").await;
    }
    for scheme in ["HTTP", "Http", "http"] {
        ground.reaches(&format!("{scheme}://api.allowed.test:PORT/v1/x"), "POST /v1/x", "api.allowed.test:PORT").await;
    }
}

#[tokio::test]
async fn a08_beyond_ascii() {
    let ground = Ground::new(&[]);
    for host in "ａpi.allowed.test api。allowed.test api．allowed.test api｡allowed.test аpi.allowed.test \
                 äpi.allowed.test api.allowed.teſt api.allowed.test\u{301} xn--pi-7kc.allowed.test XN--PI-7KC.test \
                 api.allowed.xn--p1ai %61pi.allowed.test api%2eallowed.test api.allowed.test%2f ①②⑦.⓪.⓪.①"
        .split_whitespace()
    {
        ground.denied(&format!("http://{host}:PORT/v1/x"), "invalid-host").await;
        policy_refuses(&format!("http://{host}/v1/x"), "host-invalid");
    }
}

#[tokio::test]
async fn a09_blanks_controls_and_backslashes() {
    let ground = Ground::new(&[]);
    for authority in "api.allowed.test | api.allowed.test|api.allowed.test\t|api.allowed.test\r\n|api.allowed.test\n|api.allowed.test\0|api.allowed.test\0.evil.test|api.\rallowed.test|api.allowed.test\u{b}|api.allowed.test\u{7f}"
        .split('|')
    {
        ground.denied(&format!("https://{authority}/v1/x"), "invalid-host").await;
        ground.denied(&format!("http://{authority}:PORT/v1/x"), "invalid-host").await;
    }
    for authority in ["api.allowed.test:PORT\\", "api.allowed.test\\.evil.test", "evil.test\\.api.allowed.test"] {
        ground.denied(&format!("http://{authority}/v1/x"), "invalid-path").await;
        let code = if authority.contains("PORT") { "invalid-port" } else { "invalid-host" };
        ground.parts_denied("http", authority, "/v1/x", code).await;
    }
    for before in [" ", "\t", "\n", "\0", "\u{feff}"] {
        ground.denied(&format!("{before}http://api.allowed.test:PORT/v1/x"), "invalid-scheme").await;
    }
}

const WILD: &str = r#"{ url: "http://*.allowed.test:PORT/v1/", adapters: [a], methods: [POST], network: loopback }"#;

#[tokio::test]
async fn a10_a_wildcard_is_one_label() {
    let ground = Ground::new(&[WILD]);
    for host in
        "evilallowed.test allowed.test allowed.test.evil a.b.allowed.test a.allowed.test.evil.test a-allowed.test \
                 test 127.0.0.1 [::1]"
            .split_whitespace()
    {
        ground.denied(&format!("http://{host}:PORT/v1/x"), "host-not-granted").await;
    }
    for host in "a..allowed.test .allowed.test *.allowed.test ..allowed.test".split(' ') {
        ground.denied(&format!("http://{host}:PORT/v1/x"), "invalid-host").await;
    }
    ground.reaches("http://a.allowed.test:PORT/v1/x", "POST /v1/x", "a.allowed.test:PORT").await;
    ground.reaches("http://B.Allowed.Test:PORT/v1/x", "POST /v1/x", "b.allowed.test:PORT").await;
}

/// A policy file with this entry is refused, with its place and what to write instead.
#[track_caller]
fn policy_refuses(url: &str, code: &str) {
    for entry in [format!("\"{url}\""), format!("{{ url: \"{url}\", adapters: [a], methods: [POST] }}")] {
        let rest = "routing: { prefer_local: true, cloud_fallback: { enabled: false } }\n";
        let file = format!("egress:\n  default: deny\n  allow:\n    - {entry}\n{rest}");
        let found = Routing::parse("routing.yaml", file.as_bytes()).expect_err(&entry);
        let first = found.iter().find(|found| found.severity.as_str() == "error").unwrap();
        assert_eq!((first.code, first.line), (code, 4), "{entry}");
        assert!(first.column >= 7 && first.help.is_some(), "{entry}: {first:?}");
    }
}

#[test]
fn a11_entries_that_say_too_much() {
    for (code, urls) in [
        (
            "wildcard-invalid",
            "https://* https://*com https://*.com https://api.*.test https://*.* https://*.*.test https://*.127.0.0.1 \
             https://**.allowed.test https://a*.allowed.test https://*.allowed.test. https://*.[::1] https://*:443/v1/",
        ),
        ("scheme-missing", "* *.allowed.test api.allowed.test //api.allowed.test api.allowed.test:443"),
        ("scheme-unsupported", "*://api.allowed.test ftp://api.allowed.test"),
        ("userinfo", "https://user@api.allowed.test https://u:p@api.allowed.test/v1 https://@api.allowed.test"),
        ("query", "https://api.allowed.test/v1?key=1 https://api.allowed.test?"),
        ("fragment", "https://api.allowed.test/v1#top https://api.allowed.test#"),
        ("port-invalid", "https://api.allowed.test:*/v1 https://api.allowed.test: https://api.allowed.test:0443"),
        ("path-invalid", "https://api.allowed.test/v1/../ https://api.allowed.test//v1 https://api.allowed.test/%2e"),
    ] {
        urls.split_whitespace().for_each(|url| policy_refuses(url, code));
    }
}

#[tokio::test]
async fn a12_labels() {
    let ground = Ground::new(&[WILD]);
    let (long, longer) = (format!("{}.allowed.test", "a".repeat(64)), "abcdefg.".repeat(31) + "a.test");
    assert_eq!(longer.len(), 254);
    for host in "a_b.allowed.test _api.allowed.test .api.allowed.test api..allowed.test -api.allowed.test \
                 api-.allowed.test a.allowed.- .. a.b-"
        .split_whitespace()
        .chain([&*long, &*longer])
    {
        ground.denied(&format!("http://{host}:PORT/v1/x"), "invalid-host").await;
    }
    ground.denied(&format!("http://{}:PORT/v1/x", &longer[1..]), "host-not-granted").await;
    let label = "a".repeat(63);
    ground
        .reaches(&format!("http://{label}.allowed.test:PORT/v1/"), "POST /v1/", &format!("{label}.allowed.test:PORT"))
        .await;
}

#[tokio::test]
async fn a13_no_authority() {
    let ground = Ground::new(&[]);
    for path in ["/v1/x", "http://api.allowed.test:PORT/v1/x", "//api.allowed.test:PORT/v1/x", "", "?x"] {
        ground.parts_denied("http", "", path, "invalid-host").await;
    }
    for authority in [":PORT", ":443"] {
        ground.denied(&format!("http://{authority}/v1/x"), "invalid-host").await;
    }
    for url in ["http:///v1/x", "http://", "http://?x", "http:///api.allowed.test/v1/x", "https:////evil.test/"] {
        ground.denied(url, "invalid-host").await;
    }
    for url in ["/v1/x", "//api.allowed.test/v1/x", "?x"] {
        ground.denied(url, "invalid-scheme").await;
    }
}

#[tokio::test]
async fn a14_the_gateway_itself_is_out_of_reach() {
    let all =
        ["127.0.0.1:8080", "127.0.0.2:8080", "[::1]:8080", "127.0.0.1:9090", "me.test:8080", "10.255.255.254:8080"];
    let world = World::new(&[
        r#"{ url: "http://127.0.0.1:8080", adapters: [a] }"#,
        r#"{ url: "http://127.0.0.2:8080", adapters: [a] }"#,
        r#"{ url: "http://[::1]:8080", adapters: [a] }"#,
        r#"{ url: "http://127.0.0.1:9090", adapters: [a] }"#,
        r#"{ url: "http://me.test:8080", adapters: [a], network: loopback }"#,
        r#"{ url: "http://10.255.255.254:8080", adapters: [a] }"#,
    ]);
    world.resolver.set("me.test", &["127.0.0.1"]);
    for (own, denied) in [
        ("", &[][..]),
        ("127.0.0.1:8080", &["127.0.0.1:8080", "me.test:8080"]),
        ("[::ffff:127.0.0.1]:8080", &["127.0.0.1:8080", "me.test:8080"]),
        ("[::1]:8080", &["[::1]:8080"]),
        ("0.0.0.0:8080", &["127.0.0.1:8080", "127.0.0.2:8080", "[::1]:8080", "me.test:8080"]),
        ("[::]:8080", &["127.0.0.1:8080", "127.0.0.2:8080", "[::1]:8080", "me.test:8080"]),
        ("127.0.0.3:1 127.0.0.1:9090", &["127.0.0.1:9090"]),
    ] {
        world.shared.set_own_addresses(own.split_whitespace().map(|text| text.parse().unwrap()).collect());
        for to in all {
            let got = world.permit(&world.caller("a"), &format!("GET http://{to}/")).await;
            let code = got.err().map(|error| error.code());
            assert_eq!(code, denied.contains(&to).then_some("own-address"), "{own:?} {to}");
        }
    }
}

#[tokio::test]
async fn a15_invisible_characters() {
    let ground = Ground::new(&[]);
    for character in
        "\u{ad}|\u{200b}|\u{200c}|\u{200d}|\u{2060}|\u{feff}|\u{180e}|\u{202e}|\u{2028}|\u{85}|\u{a0}|\u{e0061}"
            .split('|')
    {
        ground.denied(&format!("http://api.allowed{character}.test:PORT/v1/x"), "invalid-host").await;
        ground.denied(&format!("http://{character}api.allowed.test:PORT/v1/x"), "invalid-host").await;
        ground.denied(&format!("http://api.allowed.test:PORT{character}/v1/x"), "invalid-port").await;
    }
}

#[tokio::test]
async fn a16_percent_signs_in_the_authority() {
    let ground = Ground::new(&[]);
    for host in "api.allowed.test%00 %00api.allowed.test api.allowed.test%00.evil.test api.allowed.test%0d%0a \
                 evil.test%2f.api.allowed.test evil.test%23.api.allowed.test api.allowed.test%40evil.test \
                 api.allowed.test%3aPORT %5b::1%5d %31%32%37.0.0.1 api.allowed.test% api.allowed.test%2 %"
        .split_whitespace()
    {
        ground.denied(&format!("http://{host}/v1/x"), "invalid-host").await;
    }
    ground.denied("http://api.allowed.test:%38%30/v1/x", "invalid-port").await;
}

#[tokio::test]
async fn a17_brackets() {
    let ground = Ground::new(&[]);
    for host in "[api.allowed.test] api.allowed.test] [api.allowed.test [] [ ] ][ [::1 ::1] [::1]] [[::1]] \
                 [::1]api.allowed.test api.allowed.test[::1] [::1].allowed.test [v1.fe80::a] [127.0.0.1] [:::1] [::1%] \
                 [12345::] [::1]evil.test [1:2:3:4:5:6:7:8:9]"
        .split_whitespace()
    {
        ground.denied(&format!("http://{host}:PORT/v1/x"), "invalid-host").await;
    }
    ground.denied("http://[::1]:PORT:PORT/v1/x", "invalid-port").await;
    // Colons without brackets are a port's, whatever they were meant to be.
    for url in ["http://::1/v1/x", "http://1::/v1/x", "http://fe80::1:PORT/v1/x"] {
        ground.denied(url, if url.contains("fe80") { "invalid-port" } else { "invalid-host" }).await;
    }
}

#[tokio::test]
async fn a18_delimiters_in_the_authority() {
    let ground = Ground::new(&[]);
    for authority in "api.allowed.test/ api.allowed.test/v1/ api.allowed.test? api.allowed.test# evil.test#.api.allowed.test \
                      evil.test?.api.allowed.test evil.test/.api.allowed.test api.allowed.test,evil.test a;b.allowed.test \
                      api.allowed.test|x \"api.allowed.test\" <api.allowed.test> {api}.allowed.test api.allowed.test&x \
                      api.allowed.test=x ~api.allowed.test $api.allowed.test api!.allowed.test"
        .split_whitespace()
    {
        ground.parts_denied("http", authority, "/v1/x", "invalid-host").await;
    }
    for authority in
        ["api.allowed.test:PORT/", "api.allowed.test:PORT/v1", "api.allowed.test:PORT?x", "api.allowed.test:PORT#"]
    {
        ground.parts_denied("http", authority, "/v1/x", "invalid-port").await;
    }
}

#[tokio::test]
async fn a19_where_the_authority_ends() {
    let ground = Ground::new(&[]);
    for (url, code) in [
        ("http://evil.test#@api.allowed.test:PORT/v1/x", "invalid-path"),
        ("http://evil.test?@api.allowed.test:PORT/v1/x", "host-not-granted"),
        ("http://evil.test/@api.allowed.test:PORT/v1/x", "host-not-granted"),
        ("http://evil.test\\@api.allowed.test:PORT/v1/x", "invalid-path"),
        ("http://evil.test:80;@api.allowed.test:PORT/v1/x", "invalid-userinfo"),
        ("http://api.allowed.test:PORT#/v1/x", "invalid-path"),
        ("http://api.allowed.test:PORT?/v1/x", "path-not-granted"),
        ("http:\\\\api.allowed.test:PORT/v1/x", "invalid-scheme"),
        ("http:/\\api.allowed.test:PORT/v1/x", "invalid-scheme"),
        ("http://http://api.allowed.test:PORT/v1/x", "invalid-port"),
        ("http://api.allowed.test:PORT://evil.test/v1/x", "invalid-port"),
        ("view-source:http://api.allowed.test:PORT/v1/x", "invalid-scheme"),
    ] {
        ground.denied(url, code).await;
    }
}

#[tokio::test]
async fn a20_the_longest_url() {
    let ground = Ground::new(&[]);
    let url = |length: usize| {
        let begin = ground.fill("http://api.allowed.test:PORT/v1/");
        begin.clone() + &"x".repeat(length - begin.len())
    };
    ground.permitted(&url(8192)).await;
    for length in [8193, 9_000, 65_535, 65_536, 1 << 20] {
        ground.denied(&url(length), "url-too-long").await;
    }
    // However long it is, it is not copied to the log.
    assert!(ground.world.log.decided().iter().skip(2).all(|line| line.len() < 400));
}
