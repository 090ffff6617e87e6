//! E: paths and methods. Whole, plain segments; a path that a server could take for another one is refused.

use crate::ground::Ground;

#[tokio::test]
async fn e01_dot_segments() {
    let ground = Ground::new(&[]);
    for path in
        "/v1/../admin /v1/./x /v1/..;/admin /v1/.. /v1/. /v1/../ /../v1/x /./v1/x /v1/x/.. /v1/x/../../admin /.. /. \
                 /v1/.;a=b/x /v1/..;a=b /v1/..;;/x"
            .split_whitespace()
    {
        ground.denied(&format!("http://api.allowed.test:PORT{path}"), "invalid-path").await;
        ground.denied(&format!("http://api.allowed.test:PORT{path}?x=1"), "invalid-path").await;
    }
}

#[tokio::test]
async fn e02_encodings_that_hide_something() {
    let ground = Ground::new(&[]);
    for part in "%2e%2e %2E%2E %2e . %2f %2F %5c %5C %252e%252e %252f %25 %25252e %ZZ %2 % %% %2% %c0%ae%c0%ae %c0%af %e0%80%af \
                 %c1%9c %ff %80 %ed%a0%80 %f4%90%80%80 %3f %3F %23 %3b %3B %u002e %u2215"
        .split_whitespace()
        .filter(|part| *part != ".")
    {
        for path in [format!("/v1/{part}"), format!("/v1/{part}/admin"), format!("/v1/x{part}"), format!("/{part}/v1/x")] {
            ground.denied(&format!("http://api.allowed.test:PORT{path}"), "invalid-encoding").await;
        }
    }
}

#[tokio::test]
async fn e03_whole_segments_match() {
    let ground =
        Ground::new(&[r#"{ url: "http://e.test:PORT/v1", adapters: [a], methods: [POST], network: loopback }"#]);
    for path in
        ["/v1evil", "/v10", "/v1.", "/v1;x", "/v1%20", "/v", "/", "/v1evil/../v1", "", "/v2/v1/x", "/x/v1", "/v1-"]
    {
        let code = if path.contains("..") { "invalid-path" } else { "path-not-granted" };
        ground.denied(&format!("http://e.test:PORT{path}"), code).await;
    }
    // Below `/v1/`, but not it itself.
    for path in ["/v1", "/v1?x", "/v1evil", "/v10/x"] {
        ground.denied(&format!("http://api.allowed.test:PORT{path}"), "path-not-granted").await;
    }
    for path in ["/v1", "/v1/", "/v1/x", "/v1?x=/v2"] {
        ground.reaches(&format!("http://e.test:PORT{path}"), &format!("POST {path}"), "e.test:PORT").await;
    }
}

#[tokio::test]
async fn e04_slashes_and_capitals() {
    let ground = Ground::new(&[]);
    for path in ["//v1/x", "/v1//x", "///v1/x", "//", "/v1/x//", "/v1//", "//evil.test/v1/x", "/v1/x//../x"] {
        ground.denied(&format!("http://api.allowed.test:PORT{path}"), "invalid-path").await;
    }
    for path in ["/V1/x", "/v1\u{131}/x", "/\u{ff56}1/x"] {
        let code = if path.is_ascii() { "path-not-granted" } else { "invalid-character" };
        ground.denied(&format!("http://api.allowed.test:PORT{path}"), code).await;
    }
    // No segment after the last slash is a path of its own.
    ground.reaches("http://api.allowed.test:PORT/v1/x/", "POST /v1/x/", "api.allowed.test:PORT").await;
}

#[tokio::test]
async fn e05_targets_in_other_forms() {
    let ground = Ground::new(&[r#"{ url: "http://e.test:PORT/", adapters: [a], methods: [POST], network: loopback }"#]);
    for path in [
        "http://evil.test/",
        "http://e.test:PORT/",
        "https://e.test/v1/x",
        "*",
        "v1/x",
        "x",
        ".",
        "evil.test:80",
        " /v1/x",
        ";",
    ] {
        ground.parts_denied("http", "e.test:PORT", path, "invalid-path").await;
    }
    for path in ["//evil.test/", "//evil.test:PORT/v1/x"] {
        ground.parts_denied("http", "e.test:PORT", path, "invalid-path").await;
    }
    ground.denied("http://e.test:PORT*", "invalid-port").await;
    ground.reaches("http://e.test:PORT", "POST /", "e.test:PORT").await;
}

#[tokio::test]
async fn e06_one_entry_matches_whole() {
    let ground = Ground::new(&[
        r#"{ url: "http://e.test:PORT/get/", adapters: [a], methods: [GET], network: loopback }"#,
        r#"{ url: "http://e.test:PORT/post/", adapters: [a], methods: [POST], network: loopback }"#,
        r#"{ url: "https://f.test/get/", adapters: [a], methods: [GET] }"#,
        r#"{ url: "http://f.test:8080/post/", adapters: [a], methods: [POST] }"#,
    ]);
    for (method, url, code) in [
        ("GET", "http://e.test:PORT/post/x", "method-not-granted"),
        ("POST", "http://e.test:PORT/get/x", "method-not-granted"),
        ("PUT", "http://e.test:PORT/get/x", "method-not-granted"),
        ("HEAD", "http://e.test:PORT/get/x", "method-not-granted"),
        ("OPTIONS", "http://e.test:PORT/post/x", "method-not-granted"),
        ("GET", "http://e.test:PORT/x", "path-not-granted"),
        // Scheme of one, port, path or method of the other.
        ("GET", "http://f.test:8080/get/x", "path-not-granted"),
        ("POST", "https://f.test/post/x", "path-not-granted"),
        ("POST", "https://f.test/get/x", "method-not-granted"),
        ("POST", "https://f.test:8080/post/x", "port-not-granted"),
        ("GET", "http://f.test/get/x", "port-not-granted"),
    ] {
        ground.method_denied(method, url, code).await;
    }
}

/// Servers that know parameters of segments take them off, and what is left is an empty segment.
#[tokio::test]
async fn e07_parameters_of_nothing() {
    let ground = Ground::new(&[]);
    for path in ["/v1/;/x", "/v1/;x/y", "/;/v1/x", "/;x=1/v1/x", "/v1/x/;", "/v1/;", "/v1/;;", "/;v1/x"] {
        ground.denied(&format!("http://api.allowed.test:PORT{path}"), "invalid-path").await;
    }
    for path in ["/v1/x;y", "/v1/x;y=1/z", "/v1/x;"] {
        ground
            .reaches(&format!("http://api.allowed.test:PORT{path}"), &format!("POST {path}"), "api.allowed.test:PORT")
            .await;
    }
}

#[tokio::test]
async fn e08_dots_half_encoded() {
    let ground = Ground::new(&[]);
    for path in [
        "/v1/.%2e/x",
        "/v1/%2e./x",
        "/v1/%2E%2e",
        "/v1/.%252e",
        "/v1/..%2f",
        "/v1/..%5c",
        "/v1/.%2e;/x",
        "/v1/%2e%2e%3b/x",
    ] {
        ground.denied(&format!("http://api.allowed.test:PORT{path}"), "invalid-encoding").await;
    }
}

/// Some file systems take dots and blanks at a name's end off.
#[tokio::test]
async fn e09_segments_of_dots_and_blanks() {
    let ground = Ground::new(&[]);
    for path in [
        "/v1/..%20/x",
        "/v1/.%20",
        "/v1/%20../x",
        "/v1/.../x",
        "/v1/....",
        "/v1/%20/x",
        "/v1/.%20./x",
        "/v1/..%20;x/y",
        "/v1/%09",
    ] {
        let code = if path.contains("%09") { "invalid-encoding" } else { "invalid-path" };
        ground.denied(&format!("http://api.allowed.test:PORT{path}"), code).await;
    }
    for path in ["/v1/a%20b", "/v1/..a", "/v1/a..b", "/v1/.well-known", "/v1/gpt-4.1", "/v1/a%20"] {
        ground
            .reaches(&format!("http://api.allowed.test:PORT{path}"), &format!("POST {path}"), "api.allowed.test:PORT")
            .await;
    }
}

/// What some servers normalise to a slash, a dot, a percent sign or the like.
#[tokio::test]
async fn e10_characters_that_become_others() {
    let ground = Ground::new(&[]);
    for character in "\u{2024}\u{2025}\u{2026}\u{2044}\u{2215}\u{2216}\u{29f8}\u{fe52}\u{fe54}\u{fe56}\u{fe5f}\u{fe68}\u{fe6a}\u{ff03}\u{ff05}\u{ff0e}\u{ff0f}\u{ff1b}\u{ff1f}\u{ff3c}"
        .chars()
    {
        let encoded: String = character.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
        ground.denied(&format!("http://api.allowed.test:PORT/v1/{encoded}/x"), "invalid-encoding").await;
        ground.denied(&format!("http://api.allowed.test:PORT/v1/x{encoded}"), "invalid-encoding").await;
        ground.denied(&format!("http://api.allowed.test:PORT/v1/{character}"), "invalid-character").await;
    }
    for path in ["/v1/%C3%A4", "/v1/%e6%97%a5%e6%9c%ac", "/v1/%F0%9F%8E%89"] {
        ground
            .reaches(&format!("http://api.allowed.test:PORT{path}"), &format!("POST {path}"), "api.allowed.test:PORT")
            .await;
    }
}

#[tokio::test]
async fn e11_control_characters() {
    let ground = Ground::new(&[]);
    for part in "%00 %00.json %0a %0d%0a %0d%0aHost:evil.test %09 %1f %7f %c2%80 %c2%85 %c2%9f %e2%80%a8 %e2%80%a9"
        .split_whitespace()
    {
        ground.denied(&format!("http://api.allowed.test:PORT/v1/x{part}"), "invalid-encoding").await;
    }
    for part in
        "\0|\n|\r\n|\t|\u{7f}|\u{85}|\u{2028}| |x HTTP/1.1\r\nhost: evil|\\|\\..\\|\"|<|>|^|`|{|}|[|]".split('|')
    {
        ground.denied(&format!("http://api.allowed.test:PORT/v1/{part}"), "invalid-character").await;
        ground.denied(&format!("http://api.allowed.test:PORT/v1/x?{part}"), "invalid-character").await;
    }
}

#[tokio::test]
async fn e12_where_the_path_ends() {
    let ground = Ground::new(&[]);
    for (path, code) in [
        ("?/v1/x", "path-not-granted"),
        ("/?/v1/x", "path-not-granted"),
        ("/admin?/v1/x", "path-not-granted"),
        ("/admin;/v1/x", "path-not-granted"),
        ("/v1/x#", "invalid-character"),
        ("/v1/x#?", "invalid-character"),
        ("/v1/x?#", "invalid-character"),
        ("#/v1/x", "invalid-path"),
        ("/v1/x?a=%", "invalid-encoding"),
        ("/v1/x?a=%2", "invalid-encoding"),
        ("/v1/x?a=%zz", "invalid-encoding"),
    ] {
        ground.denied(&format!("http://api.allowed.test:PORT{path}"), code).await;
    }
    // A query is the provider's to read, and nothing in it moves the path.
    for path in ["/v1/x?", "/v1/x??", "/v1/x?/../../admin", "/v1/x?a=..%2f%2e%2e%00", "/v1/x?http://evil.test/@:"] {
        ground
            .reaches(&format!("http://api.allowed.test:PORT{path}"), &format!("POST {path}"), "api.allowed.test:PORT")
            .await;
    }
}

/// Never put right before it is compared: what is spelled in another way is not the granted path.
#[tokio::test]
async fn e13_other_spellings_of_a_granted_path() {
    let ground =
        Ground::new(&[r#"{ url: "http://e.test:PORT/%C3%A4/", adapters: [a], methods: [POST], network: loopback }"#]);
    for url in [
        "http://api.allowed.test:PORT/%761/x",
        "http://api.allowed.test:PORT/v%31/x",
        "http://e.test:PORT/%c3%a4/x",
        "http://e.test:PORT/a%CC%88/x",
        "http://e.test:PORT/%C3%84/x",
    ] {
        ground.denied(url, "path-not-granted").await;
    }
    ground.reaches("http://e.test:PORT/%C3%A4/x", "POST /%C3%A4/x", "e.test:PORT").await;
}
