//! B: addresses, written out or resolved. One of the wrong class is enough for a denial.

use crate::ground::{Ground, code};
use crate::world::World;
use hauski_policy::{AddressClass, Egress, address};

/// Entries that cover whatever leads to the networks that can be granted.
const ALL: [&str; 3] = [
    r#"{ url: "http://public.test:PORT/", adapters: [a] }"#,
    r#"{ url: "http://private.test:PORT/", adapters: [a], network: private }"#,
    r#"{ url: "http://loop.test:PORT/", adapters: [a], network: loopback }"#,
];

/// Addresses that no entry can reach: as a text without a query, as an answer without a connection.
async fn out_of_reach(addresses: &str, code: &str) {
    let ground = Ground::new(&ALL);
    for text in addresses.split_whitespace() {
        ground.denied(&format!("http://{text}:PORT/v1/x"), code).await;
        // What is no address as a text is none as an answer.
        let answers = if code.starts_with("invalid") { &[][..] } else { &["public.test", "private.test", "loop.test"] };
        for name in answers {
            ground.world.resolver.set(name, &[text.trim_matches(['[', ']'])]);
            ground.address_denied(&format!("http://{name}:PORT/x"), "address-class", 1).await;
        }
    }
}

#[tokio::test]
async fn b01_numbers_that_some_read_as_addresses() {
    out_of_reach(
        "2130706433 0x7f000001 0177.0.0.1 127.1 127.0.1 017700000001 0x7f.1 0x7f.0.0.1 127.0.0.0x1 0X7F000001 0 00 0x \
         1.2.3.256 1.2.3.4.5 4294967295 08.0.0.1 a.1 api.allowed.0x1",
        "invalid-host",
    )
    .await;
}

#[tokio::test]
async fn b02_ipv4_inside_ipv6_is_judged_as_ipv4() {
    let world = World::new(&[
        r#"{ url: "http://127.0.0.1:11434", adapters: [a] }"#,
        r#"{ url: "http://public.test", adapters: [a] }"#,
        r#"{ url: "http://loop.test", adapters: [a], network: loopback }"#,
    ]);
    let caller = world.caller("a");
    for inside in ["::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "0:0:0:0:0:FFFF:7F00:1"] {
        let permit = world.permit(&caller, &format!("GET http://[{inside}]:11434/")).await.unwrap();
        assert_eq!(permit.addresses(), ["127.0.0.1:11434".parse().unwrap()], "{inside}");
        assert_eq!(permit.target().authority(), "127.0.0.1:11434", "{inside}");
        assert_eq!(code(world.permit(&caller, &format!("GET http://[{inside}]:11435/")).await), "port-not-granted");
        world.resolver.set("public.test", &[inside]);
        assert_eq!(code(world.permit(&caller, "GET http://public.test/").await), "address-class", "{inside}");
        world.resolver.set("loop.test", &[inside]);
        let permit = world.permit(&caller, "GET http://loop.test/").await.unwrap();
        assert_eq!(permit.addresses(), ["127.0.0.1:80".parse().unwrap()], "{inside}");
    }
    // It is dialled as what it is, and once.
    world.resolver.set("public.test", &["::ffff:1.1.1.1 1.1.1.1 ::1.1.1.1"]);
    let permit = world.permit(&caller, "GET http://public.test/").await.unwrap();
    assert_eq!(permit.addresses(), ["1.1.1.1:80".parse().unwrap()]);
}

#[tokio::test]
async fn b03_translations_and_tunnels() {
    out_of_reach(
        "[64:ff9b::a9fe:a9fe] [64:ff9b::7f00:1] [64:ff9b::1.1.1.1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [2001::1] \
         [2001:0:53aa:64c::1] [fe80::5efe:7f00:1] [2a00::5efe:7f00:1] [2a00::200:5efe:a00:1] 192.88.99.1",
        "host-not-granted",
    )
    .await;
}

#[tokio::test]
async fn b04_zones_and_malformed_brackets() {
    out_of_reach(
        "[fe80::1%25eth0] [fe80::1%eth0] [::1%lo] [::1%251] [::1%25] [fe80::1%] [::1 ::1] [] [[::1]] [::1]] [127.0.0.1]",
        "invalid-host",
    )
    .await;
}

#[tokio::test]
async fn b05_metadata_services() {
    out_of_reach(
        "169.254.169.254 [fd00:ec2::254] 100.100.100.200 192.0.0.192 168.63.129.16 [fe80::a9fe:a9fe]",
        "host-not-granted",
    )
    .await;
    // Their names as well, even where a policy could grant them.
    let mut world = World::new(&[r#"{ url: "http://x.google.internal", adapters: [a], network: private }"#]);
    world.resolver.set("*", &["169.254.169.254"]);
    let mut grant = (*world.grants[0]).clone();
    for name in address::METADATA_NAMES {
        grant.host = hauski_policy::HostPattern::Exact(name.parse().unwrap());
        world.grants = vec![grant.clone().into()];
        world.set_egress(Egress { grants: world.grants.clone(), local_only: false });
        assert_eq!(code(world.permit(&world.caller("a"), &format!("GET http://{name}/")).await), "address-class");
    }
}

#[tokio::test]
async fn b06_what_is_no_single_host() {
    out_of_reach(
        "0.0.0.0 0.1.2.3 [::] 224.0.0.1 239.255.255.250 255.255.255.255 240.0.0.1 [ff02::1] [ff0e::1] 100.64.0.1 \
         100.127.255.255 198.18.0.1 198.19.255.255 192.0.2.1 198.51.100.1 203.0.113.1 192.0.0.8 [2001:db8::1] [3fff::1] \
         [100::1] [fec0::1] [4000::1] 169.254.0.1 [fe80::1]",
        "host-not-granted",
    )
    .await;
}

#[tokio::test]
async fn b07_a_literal_needs_its_own_entry() {
    let ground = Ground::new(&[r#"{ url: "http://127.0.0.1:11434", adapters: [a] }"#]);
    for (url, code) in [
        ("http://127.0.0.1:11435/", "port-not-granted"),
        ("http://127.0.0.1/", "port-not-granted"),
        ("https://127.0.0.1:11434/", "scheme-not-granted"),
        ("http://127.0.0.2:11434/", "host-not-granted"),
        ("http://[::1]:11434/", "host-not-granted"),
        ("http://localhost:11434/", "host-not-granted"),
        ("http://a.localhost:11434/", "host-not-granted"),
        ("http://0.0.0.0:11434/", "host-not-granted"),
    ] {
        ground.method_denied("GET", url, code).await;
    }
    assert!(ground.world.permit(&ground.caller, "GET http://127.0.0.1:11434/").await.is_ok());
}

#[tokio::test]
async fn b08_a_name_leads_only_where_its_entry_says() {
    let ground = Ground::new(&ALL);
    for (name, answer, allowed) in [
        ("public", "1.1.1.1 2606:4700::1111", true),
        ("public", "127.0.0.1", false),
        ("public", "::1", false),
        ("public", "10.0.0.1", false),
        ("public", "172.16.0.1", false),
        ("public", "192.168.1.1", false),
        ("public", "fd00::1", false),
        ("public", "169.254.1.1", false),
        ("private", "10.0.0.1 192.168.0.1 fd00::1", true),
        ("private", "127.0.0.1", false),
        ("private", "1.1.1.1", false),
        ("private", "169.254.169.254", false),
        ("loop", "127.0.0.1 127.9.9.9 ::1", true),
        ("loop", "10.0.0.1", false),
        ("loop", "1.1.1.1", false),
    ] {
        ground.world.resolver.set(&format!("{name}.test"), &[answer]);
        let url = format!("http://{name}.test:PORT/");
        if allowed {
            assert!(ground.world.permit(&ground.caller, &ground.fill(&format!("GET {url}"))).await.is_ok(), "{answer}");
        } else {
            ground.address_denied(&url, "address-class", 1).await;
        }
    }
}

#[tokio::test]
async fn b09_localhost_stays_on_this_machine() {
    let ground = Ground::new(&[
        r#"{ url: "http://localhost:PORT/", adapters: [a] }"#,
        r#"{ url: "http://b.localhost:PORT/", adapters: [a] }"#,
    ]);
    for name in ["localhost", "b.localhost"] {
        for answer in ["1.1.1.1", "10.0.0.1", "127.0.0.1 1.1.1.1", "2606:4700::1111", "169.254.169.254"] {
            ground.world.resolver.set(name, &[answer]);
            ground.address_denied(&format!("http://{name}:PORT/"), "address-class", 1).await;
        }
    }
    // Whatever the entry's network says.
    let mut grant = (*ground.world.grants[2]).clone();
    grant.network = hauski_policy::Network::Public;
    ground.world.set_egress(Egress { grants: vec![grant.into()], local_only: false });
    ground.world.resolver.set("localhost", &["1.1.1.1"]);
    ground.address_denied("http://localhost:PORT/", "address-class", 1).await;
}

#[tokio::test]
async fn b10_rarer_translations() {
    // IPv4-translated (RFC 2765), local-use NAT64 (RFC 8215), discard-only, ORCHID, segment routing, AS112.
    out_of_reach(
        "[::ffff:0:7f00:1] [::ffff:0:a9fe:a9fe] [64:ff9b:1::7f00:1] [64:ff9b:1:ffff::1] [64:ff9b:2::1] [100::7f00:1] \
         [100:0:0:1::1] [2001:10::1] [2001:20::1] [2001:2::7f00:1] [5f00::1] [2001:4:112::1] [::1:0:0:1] [::ffff:ffff:7f00:1]",
        "host-not-granted",
    )
    .await;
}

#[tokio::test]
async fn b11_addresses_not_in_their_one_spelling() {
    out_of_reach(
        "127.0.0.1. 1.1.1.1. 127.0.0.01 127.00.0.1 0127.0.0.1 127.0.0.1.1 127..1 .127.0.0.1 127.0.0\
         +127.0.0.1 127.0.0.-1 127.0x0.0.1 0x7f.0x0.0x0.0x1 １２７.0.0.1 127。0。0。1 127.0.0.1%00",
        "invalid-host",
    )
    .await;
}

#[tokio::test]
async fn b12_where_other_clouds_hand_out_credentials() {
    // Amazon's pod identities and the rest of its range, Oracle's and Scaleway's services.
    out_of_reach(
        "[fd00:ec2::23] [fd00:ec2::253] [fd00:ec2:1::1] [fd00:c1::a9fe:a9fe] [fd00:42::42] [fd20:ce::254] 169.254.170.2 \
         169.254.170.23 169.254.42.42 169.254.0.23",
        "host-not-granted",
    )
    .await;
}

#[test]
fn b13_the_first_and_the_last_of_each_range() {
    use AddressClass::{LinkLocal, Loopback, Private, Public, Reserved};
    for (class, addresses) in [
        (Reserved, "0.0.0.0 0.255.255.255 100.64.0.0 100.127.255.255 192.0.0.0 192.0.0.191 192.0.2.0 192.0.2.255"),
        (Reserved, "198.18.0.0 198.19.255.255 198.51.100.0 203.0.113.255 224.0.0.0 239.255.255.255 255.255.255.254"),
        (
            Reserved,
            "::2 1fff:ffff::1 4000:: 2001:1ff:: 2001:db8:ffff:: 3fff:fff:ffff:: fbff:ffff:: fec0:: feff:: ff00::",
        ),
        (Private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 fc00:: fdff:ffff::"),
        (Loopback, "127.0.0.0 127.255.255.255 ::1"),
        (LinkLocal, "169.254.0.0 169.254.255.255 fe80:: febf:ffff::"),
        (Public, "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255"),
        (
            Public,
            "169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255",
        ),
        (Public, "198.20.0.0 198.51.99.255 203.0.112.255 203.0.114.0 223.255.255.255 2000:: 2001:200:: 2003:: 3ffe::"),
        (Public, "2001:db7:: 2001:db9:: 3fff:1000:: 168.63.129.15 168.63.129.17 192.88.98.255 192.88.100.0"),
    ] {
        for address in addresses.split_whitespace() {
            assert_eq!(address::classify(address.parse().unwrap()), class, "{address}");
        }
    }
}

#[tokio::test]
async fn b14_the_gateway_by_its_other_names() {
    let ground = Ground::new(&[
        r#"{ url: "http://localhost:PORT/", adapters: [a] }"#,
        r#"{ url: "http://127.0.0.1:PORT/", adapters: [a] }"#,
        r#"{ url: "http://[::1]:PORT/", adapters: [a] }"#,
        r#"{ url: "http://loop.test:PORT/", adapters: [a], network: loopback }"#,
    ]);
    for own in ["127.0.0.1", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]"] {
        ground.world.shared.set_own_addresses(vec![ground.fill(&format!("{own}:PORT")).parse().unwrap()]);
        for (url, queries) in [
            ("http://127.0.0.1:PORT/", 0),
            ("http://[::ffff:127.0.0.1]:PORT/", 0),
            ("http://[::ffff:7f00:1]:PORT/", 0),
            ("http://[::127.0.0.1]:PORT/", 0),
            ("http://localhost:PORT/", 1),
            ("http://LOCALHOST:PORT/", 1),
            ("http://loop.test:PORT/", 1),
        ] {
            ground.address_denied(url, "own-address", queries).await;
        }
        // One of several is enough, and so is one in another dress.
        for answer in ["127.0.0.9 127.0.0.1", "127.0.0.1 127.0.0.9", "::ffff:127.0.0.1"] {
            ground.world.resolver.set("loop.test", &[answer]);
            ground.address_denied("http://loop.test:PORT/", "own-address", 1).await;
        }
        ground.world.resolver.set("loop.test", &["127.0.0.1"]);
    }
    // Bound to all addresses, the machine's other ones lead here as well.
    ground.world.shared.set_own_addresses(vec![ground.fill("[::]:PORT").parse().unwrap()]);
    for answer in ["127.0.0.2", "127.255.255.254", "::1"] {
        ground.world.resolver.set("loop.test", &[answer]);
        ground.address_denied("http://loop.test:PORT/", "own-address", 1).await;
    }
}
