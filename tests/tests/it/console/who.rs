//! Who may look: everybody at the machine where nobody is asked for a key, else operators, and never a foreign page.

use super::{PATHS, Viewer, gateway, get, open};
use base64ct::{Base64, Encoding};
use hauski_tests::TestHost;
use http::Method;
use sha2::{Digest, Sha256};
use std::time::Duration;

const OPERATOR: &str = "hk-operator-4kTz8vQm";
const CLIENT: &str = "hk-client-9Xw2nRaf";
const GONE: &str = "hk-expired-1Lb6yUeh";

fn entry(name: &str, key: &str, rest: &str) -> String {
    format!("  - {{ name: {name}, models: [echo]{rest}, hash: \"sha256:{:x}\" }}\n", Sha256::digest(key))
}

fn keys() -> String {
    let operator = entry("operator", OPERATOR, ", operator: true, requests_per_minute: 1");
    let gone = entry("gone", GONE, ", operator: true, expires: 2020-01-31");
    format!("keys:\n{operator}{}{gone}", entry("laptop", CLIENT, ""))
}

fn basic(key: &str) -> String {
    format!("Basic {}", Base64::encode(format!("anyone:{key}").as_bytes(), &mut [0; 256]).unwrap())
}

/// Status and code of what is answered to these fields, at the page and for the events alike.
#[track_caller]
fn check(host: &TestHost, fields: &[(&str, &str)], status: u16, code: &str) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        for path in PATHS {
            let answer = open(host, Method::GET, path, fields).await;
            assert_eq!(answer.status(), status, "{path} at {caller}");
            let asks = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(asks.is_some_and(|asks| asks.starts_with("Basic realm=")), status == 401, "{path} at {caller}");
        }
        if status != 200 {
            assert_eq!(get(host, "/console", fields).await.code(), code, "{caller}");
        }
    }
}

#[tokio::test]
async fn foreign_pages_may_not_look() {
    let host = gateway().start().await;
    check(&host, &[], 200, "").await;
    check(&host, &[("host", "localhost"), ("origin", "http://localhost")], 200, "").await;
    for field in [("host", "evil.test"), ("origin", "https://evil.test"), ("origin", "null")] {
        check(&host, &[field], 403, "foreign_origin").await;
    }
}

#[tokio::test]
async fn where_keys_are_asked_for_operators_may_look() {
    let any = ([0, 0, 0, 0], 0).into();
    for builder in [gateway(), gateway().bind(any)] {
        let host = builder.keys(&keys()).start().await;
        let (bearer, password) = (format!("Bearer {OPERATOR}"), basic(OPERATOR));
        for field in [("authorization", &*bearer), ("x-api-key", OPERATOR), ("authorization", &*password)] {
            // More than a minute's worth: looking is not asking.
            check(&host, &[field], 200, "").await;
        }
        check(&host, &[], 401, "invalid_api_key").await;
        check(&host, &[("authorization", &basic(CLIENT))], 403, "no_operator").await;
        check(&host, &[("x-api-key", CLIENT)], 403, "no_operator").await;
        check(&host, &[("authorization", &basic(GONE))], 401, "invalid_api_key").await;
        for wrong in [&basic("none"), &basic(""), "Basic !", "Basic", &OPERATOR[1..]] {
            check(&host, &[("authorization", wrong)], 401, "invalid_api_key").await;
        }
        let told = get(&host, "/console", &[("x-api-key", CLIENT)]).await.text;
        assert!(told.contains("the key `laptop` is none's") && told.contains("`operator: true`"), "{told}");
        // A page of another origin has no use of a password that the browser keeps.
        check(&host, &[("authorization", &password), ("origin", "https://evil.test")], 403, "foreign_origin").await;
        // A password is good for the console only.
        let models = get(&host, "/v1/models", &[("authorization", &password)]).await;
        assert_eq!((models.status.as_u16(), &models.headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
        assert_eq!(get(&host, "/v1/models", &[("authorization", &bearer)]).await.status, 200);
        assert_eq!(get(&host, "/v1/models", &[("authorization", &bearer)]).await.status, 429, "and asking counts");
    }
}

/// An open stream outlives no key: not one that is taken away, and not the time before there were keys.
#[tokio::test]
async fn whose_key_is_gone_sees_no_more() {
    let host = gateway().keys(&keys()).start().await;
    let mut viewer = Viewer::with(&host, "/console/events", &[("x-api-key", OPERATOR)]).await;
    viewer.until("status", "Policy").await;
    host.set_keys(&format!("keys:\n{}", entry("operator", OPERATOR, "")));
    host.reload();
    assert!(viewer.ends_within(Duration::from_secs(8)).await);

    let host = gateway().start().await;
    let mut viewer = Viewer::of(&host).await;
    viewer.until("status", "Policy").await;
    host.set_keys(&keys());
    host.reload();
    assert!(viewer.ends_within(Duration::from_secs(8)).await);
    check(&host, &[], 401, "invalid_api_key").await;
}

/// The key is neither in the log nor on the page.
#[tokio::test]
async fn no_key_is_written_down() {
    let host = gateway().keys(&keys()).start().await;
    let page = get(&host, "/console", &[("authorization", &basic(OPERATOR))]).await;
    assert!(page.status == 200 && page.text.contains("id=\"chat-key\""), "the box asks for a key");
    let encoded = basic(OPERATOR);
    for text in [OPERATOR, encoded.trim_start_matches("Basic ")] {
        assert!(!page.text.contains(text) && hauski_tests::Log::lines_with(text).is_empty());
    }
    assert!(!get(&gateway().start().await, "/console", &[]).await.text.contains("id=\"chat-key\""));
}
