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
        check(status, "", &upstream(status, "no reason was given", true, None));
    }
    for status in [400, 404, 413, 422, 501] {
        check(status, "<html>", &upstream(status, "no reason was given", false, None));
    }
    check(307, "", &upstream(307, "redirects are not followed", false, None));
}

#[test]
fn words_and_bodies_are_the_provider_s() {
    let body = r#"{"error":{"message":"too long","type":"invalid_request_error","param":null,"code":null, "x":1.0}}"#;
    check(400, body, &upstream(400, "too long", false, Some(body)));
    check(400, r#"{"error":"too long"}"#, &upstream(400, "too long", false, Some(r#"{"error":"too long"}"#)));
    check(400, r#"{"object":"error","message":"too long"}"#, &upstream(400, "too long", false, None));
    check(422, r#"{"detail":"field required"}"#, &upstream(422, "field required", false, None));
    check(422, r#"{"detail":[{"loc":[]}]}"#, &upstream(422, "no reason was given", false, None));
    check(400, r#"{"error":null}"#, &upstream(400, "no reason was given", false, None));
    assert_eq!(
        Error::from_answer(400, None, b"{\"error\":\"\xff\"}"),
        upstream(400, "no reason was given", false, None)
    );
}

/// What providers say in forms of their own: the words, and the code where it is told only with them.
#[test]
fn words_in_other_forms() {
    for (body, words) in [
        (r#"{"success":false,"errors":[{"code":7003,"message":"no route"}],"messages":[],"result":null}"#, "no route"),
        (r#"{"errors":[{"message":"a"},{"code":1},{"message":"b"}]}"#, "a; b"),
        (
            r#"{"detail":[{"loc":["body","messages",0],"msg":"Field required","type":"missing"},{"msg":"odd"}]}"#,
            "`body.messages.0`: Field required; odd",
        ),
        (
            r#"{"object":"error","message":{"detail":[{"loc":["body","x"],"msg":"not permitted"}]},"code":null}"#,
            "`body.x`: not permitted",
        ),
        (r#"{"message":"bad tool","id":"1"}"#, "bad tool"),
        (r#"{"detail":{"message":"no"}}"#, "no"),
        (r#"{"text":"**NETWORK ERROR**","error_code":50001}"#, "**NETWORK ERROR**"),
        (r#"{"text":"words of an answer"}"#, "no reason was given"),
        (r#"{"message":7,"detail":["",null,{"msg":{}}]}"#, "no reason was given"),
        (r#""no""#, "no"),
        ("[]", "no reason was given"),
    ] {
        check(400, body, &upstream(400, words, false, None));
    }
    let inner = r#"{"error":{"code":400,"message":"bad schema","status":"INVALID_ARGUMENT", "x":1.0}}"#;
    check(400, &format!(" [ {inner}\n]"), &upstream(400, "bad schema", false, Some(inner)));
    let lists = r#"{"error":{"message":[{"msg":"no","loc":[]}]}}"#;
    check(400, lists, &upstream(400, "no", false, Some(lists)));
    // What lies deeper is not looked for.
    for (open, close) in [(r#"{"message":"#, "}"), ("[", "]")] {
        let deep = format!("{{\"detail\":{}\"no\"{}}}", open.repeat(5_000), close.repeat(5_000));
        check(400, &deep, &upstream(400, "no reason was given", false, None));
    }
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
        (
            r#"[{"error":{"code":404,"message":"models/x is not found for API version v1main","status":"NOT_FOUND"}}]"#,
            "models/x is not found for API version v1main",
        ),
        (r#"{"success":false,"errors":[{"code":5007,"message":"No such model @x"}]}"#, "No such model @x"),
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
    check(401, body, &Error::Unauthorized("status 401, `invalid_api_key`".into()));
    check(403, "", &Error::Unauthorized("status 403".into()));
    check(401, r#"{"error":{"code":"sk-ab yz"}}"#, &Error::Unauthorized("status 401".into()));
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
    check(body, upstream(502, "no reason was given", false, Some(body)));
}

#[test]
fn what_says_that_it_is_an_error() {
    for (body, status) in [
        (r#"{"error":{"message":"m","code":400}}"#, 400),
        (r#"{"error":"m"}"#, 502),
        (r#"[{"error":{"message":"m","code":500}}]"#, 500),
        (r#"{"object":"error","message":"m","code":500}"#, 500),
        (r#"{"type":"error","message":"m"}"#, 502),
        (r#"{"text":"m","error_code":50001}"#, 502),
        (r#"{"result":null,"success":false,"errors":[{"code":7003,"message":"m"}]}"#, 502),
        (r#"{"errors":[{"message":"m"}]}"#, 502),
    ] {
        let error = Error::told_by(body);
        let Some(Error::Upstream(failure)) = error else { panic!("{body}: {error:?}") };
        assert_eq!((failure.status, failure.message.as_str()), (status, "m"), "{body}");
    }
    for body in [
        "{}",
        "[]",
        "7",
        "[{}]",
        r#"[[{"error":"m"}]]"#,
        r#"{"error":null,"errors":[],"success":true,"error_code":0,"object":"chat.completion"}"#,
        r#"{"errors":null,"error_code":null,"message":"m"}"#,
    ] {
        assert_eq!(Error::told_by(body), None, "{body}");
    }
    let words = |body| Error::instead_of_answer(body, "nothing in it");
    assert_eq!(words("{}"), upstream(502, "nothing in it", false, None));
    assert_eq!(words(r#"{"detail":"m"}"#), upstream(502, "m", false, None));
}
