//! Tables of answers and the errors that they are.

use super::*;

#[track_caller]
fn check(status: u16, body: &str, expected: &Error) {
    assert_eq!(&Error::from_answer(status, None, body.as_bytes()), expected);
}

fn upstream(status: u16, message: &str, retryable: bool, body: Option<&str>) -> Error {
    Error::Upstream(UpstreamFailure { status, message: message.into(), retryable, body: body.map(Into::into) })
}

#[test]
fn statuses() {
    for status in [408, 500, 502, 503, 504, 529] {
        check(status, "", &upstream(status, &format!("the provider answered with status {status}"), true, None));
    }
    for status in [400, 404, 413, 422, 501] {
        check(status, "<html>", &upstream(status, &format!("the provider answered with status {status}"), false, None));
    }
    check(307, "", &upstream(307, "the provider answered with status 307; redirects are not followed", false, None));
}

#[test]
fn words_and_bodies_are_the_provider_s() {
    let body = r#"{"error":{"message":"too long","type":"invalid_request_error","param":null,"code":null, "x":1.0}}"#;
    check(400, body, &upstream(400, "too long", false, Some(body)));
    check(400, r#"{"error":"too long"}"#, &upstream(400, "too long", false, Some(r#"{"error":"too long"}"#)));
    check(400, r#"{"object":"error","message":"too long"}"#, &upstream(400, "too long", false, None));
    check(422, r#"{"detail":"field required"}"#, &upstream(422, "field required", false, None));
    check(422, r#"{"detail":[{"loc":[]}]}"#, &upstream(422, "the provider answered with status 422", false, None));
    check(400, r#"{"error":null}"#, &upstream(400, "the provider answered with status 400", false, None));
    assert_eq!(
        Error::from_answer(400, None, b"{\"error\":\"\xff\"}"),
        upstream(400, "the provider answered with status 400", false, None)
    );
}

#[test]
fn missing_models_and_missing_paths() {
    for (body, message) in [
        (r#"{"error":{"message":"nope","code":"model_not_found"}}"#, "nope"),
        (r#"{"object":"error","message":"The model `x` does not exist.","code":404}"#, "The model `x` does not exist."),
        (
            r#"{"error":{"message":"model \"x\" not found, try pulling it first"}}"#,
            "model \"x\" not found, try pulling it first",
        ),
        (r#"{"error":"model 'x' not found"}"#, "model 'x' not found"),
    ] {
        check(404, body, &Error::ModelNotFound(message.into()));
    }
    check(404, r#"{"detail":"Not Found"}"#, &upstream(404, "Not Found", false, None));
    let file = r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#;
    check(404, file, &upstream(404, "File Not Found", false, Some(file)));
}

#[test]
fn refused_credentials_do_not_tell_the_key() {
    let body = r#"{"error":{"message":"Incorrect API key provided: sk-ab***yz","code":"invalid_api_key"}}"#;
    check(
        401,
        body,
        &Error::Unauthorized("the provider refused the credentials (status 401, `invalid_api_key`)".into()),
    );
    check(403, "", &Error::Unauthorized("the provider refused the credentials (status 403)".into()));
    check(
        401,
        r#"{"error":{"code":"sk-ab yz"}}"#,
        &Error::Unauthorized("the provider refused the credentials (status 401)".into()),
    );
}

#[test]
fn retry_after_stays_as_it_came() {
    for value in ["20", "Fri, 31 Dec 1999 23:59:59 GMT"] {
        let body = r#"{"error":{"message":"slow down"}}"#;
        let expected =
            RateLimit { message: "slow down".into(), retry_after: Some(value.into()), body: Some(body.into()) };
        assert_eq!(Error::from_answer(429, Some(value.into()), body.as_bytes()), Error::RateLimited(expected));
    }
}

#[test]
fn errors_in_good_answers() {
    let check = |body: &str, expected: Error| assert_eq!(Error::from_error_body(body), expected);
    let body = r#"{"error":{"message":"context overflow","code":400}}"#;
    check(body, upstream(400, "context overflow", false, Some(body)));
    let body = r#"{"error":{"message":"overloaded","code":"503"}}"#;
    check(body, upstream(503, "overloaded", true, Some(body)));
    let body = r#"{"error":{"message":"boom","type":"server_error"}}"#;
    check(body, upstream(502, "boom", false, Some(body)));
    let body = r#"{"error":{"message":"slow","code":429}}"#;
    check(body, Error::RateLimited(RateLimit { message: "slow".into(), retry_after: None, body: Some(body.into()) }));
    let body = r#"{"error":true}"#;
    check(body, upstream(502, "the provider answered with status 502", false, Some(body)));
}
