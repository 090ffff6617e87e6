//! The rules for a request's query: fields that would undo a grant, or carry a credential beside an attached secret.
//!
//! A refused request fails with an error that names the field. A URL is never rewritten: an author has to see the cause. Only the
//! query is looked at. A method in the body, such as a form's `_method`, is between the adapter and a provider that reads it: a
//! body has no form that the gateway could know.

use crate::InvalidRequest;
use crate::headers::names::METHODS;

/// Names that carry another method, or whole headers, in a query alone. They are refused whatever methods a grant lists:
/// a method that no grant can list, such as TRACE, could be meant. A plain `method` is ordinary data at most APIs.
const QUERY_METHODS: &[&str] = &["$httpheaders", "$httpmethod"];

/// Names of credentials in a query. All are lower case, with `-` for `_`.
const CREDENTIALS: &[&str] = &[
    "access-key",
    "access-token",
    "accesskey",
    "accesstoken",
    "api-key",
    "api-secret",
    "api-token",
    "apikey",
    "apitoken",
    "auth",
    "auth-key",
    "auth-token",
    "authorization",
    "authtoken",
    "bearer",
    "bearer-token",
    "client-secret",
    "id-token",
    "jwt",
    "key",
    "oauth-token",
    "password",
    "passwd",
    "private-token",
    "secret",
    "session-token",
    "sessionid",
    "sig",
    "signature",
    "token",
    "x-access-token",
    "x-api-key",
    "x-auth-token",
    // Azure: API Management, Functions.
    "code",
    "ocp-apim-subscription-key",
    "subscription-key",
    "x-functions-key",
    // Amazon: signed URLs of S3 (both versions) and CloudFront.
    "awsaccesskeyid",
    "key-pair-id",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    // Google: API keys and signed URLs.
    "googleaccessid",
    "x-goog-api-key",
    "x-goog-credential",
    "x-goog-signature",
    // OAuth 1.
    "oauth-consumer-key",
    "oauth-signature",
    // GitLab.
    "deploy-token",
    "job-token",
];

/// Checks the fields of `query`, which is a checked [`hauski_policy::Target`]'s. Takes a time linear in its length.
///
/// # Errors
/// The first field that stands for a method or, beside a secret, is a credential.
pub(crate) fn check(query: &str, has_secret: bool) -> Result<(), InvalidRequest> {
    // Some servers take `;` for `&`.
    for field in query.split(['&', ';']) {
        let name = name(field);
        if let Some(known) = find(METHODS, &name).or_else(|| find(QUERY_METHODS, &name)) {
            return Err(InvalidRequest::QueryMethod(known));
        }
        if let Some(known) = find(CREDENTIALS, &name).filter(|_| has_secret) {
            return Err(InvalidRequest::QueryCredential(known));
        }
    }
    Ok(())
}

fn find(table: &[&'static str], name: &[u8]) -> Option<&'static str> {
    table.iter().find(|known| known.as_bytes() == name).copied()
}

/// A field's name as the most lenient server reads it: percent-decoded, in lower case, without blanks around it and an index
/// (`key[]`) behind it, up to a NUL, and with `-` for `_`, `.` and blanks (PHP makes `_` of all of them).
fn name(field: &str) -> Vec<u8> {
    let name = field.split('=').next().unwrap_or_default();
    let decoded = decode(name.as_bytes());
    let end = decoded.iter().position(|byte| matches!(byte, b'[' | b'\0')).unwrap_or(decoded.len());
    let trimmed = decoded[..end].trim_ascii();
    trimmed
        .iter()
        .map(|byte| if matches!(byte, b'_' | b'.' | b' ') { b'-' } else { byte.to_ascii_lowercase() })
        .collect()
}

/// Decodes a form's field (WHATWG URL, section 5.1): `%XX`, and `+` for a blank.
fn decode(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped = digit(at + 1).zip(digit(at + 2)).filter(|_| *byte == b'%');
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        at += if escaped.is_some() { 3 } else { 1 };
        decoded.push(escaped.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn test(query: &str, expected: Result<(), InvalidRequest>) {
        assert_eq!(check(query, true), expected, "{query}");
    }

    #[test]
    fn tables_are_in_canonical_form() {
        let tables = [METHODS, QUERY_METHODS, CREDENTIALS];
        for known in tables.into_iter().flatten() {
            assert_eq!(name(known), known.as_bytes());
            assert_eq!(tables.into_iter().flatten().filter(|other| *other == known).count(), 1, "{known}");
        }
    }

    #[test]
    fn field_that_stands_for_a_method_is_refused_with_and_without_a_secret() {
        for (query, known) in [
            ("_method=DELETE", "-method"),
            ("a=b&_METHOD=DELETE", "-method"),
            ("a=b;_method", "-method"),
            ("x-http-method-override=PUT", "x-http-method-override"),
            ("X_HTTP_Method_Override=PUT", "x-http-method-override"),
            ("x-tunneled-method=PUT", "x-tunneled-method"),
            ("_HttpMethod=PATCH", "-httpmethod"),
            ("$httpMethod=DELETE", "$httpmethod"),
            ("%24httpHeaders=Authorization%3Ax", "$httpheaders"),
        ] {
            for has_secret in [true, false] {
                assert_eq!(check(query, has_secret), Err(InvalidRequest::QueryMethod(known)), "{query}");
            }
        }
    }

    #[test]
    fn credential_is_refused_beside_a_secret_alone() {
        for (query, known) in [
            ("key=AIza", "key"),
            ("a=b&key=AIza", "key"),
            ("KEY", "key"),
            ("api_key=x", "api-key"),
            ("api.key=x", "api-key"),
            ("api+key=x", "api-key"),
            ("api%20key=x", "api-key"),
            ("apiKey=x", "apikey"),
            ("access_token=x", "access-token"),
            ("token=", "token"),
            ("auth=x", "auth"),
            ("subscription-key=x", "subscription-key"),
            ("sv=1&sig=x", "sig"),
            ("Signature=x", "signature"),
            ("X-Amz-Signature=x", "x-amz-signature"),
            ("X-Goog-Signature=x", "x-goog-signature"),
            ("%6bey=x", "key"),
            ("k%65%79=x", "key"),
            ("%6B%45y=x", "key"),
            ("key[]=x", "key"),
            ("key%5B0%5D=x", "key"),
            ("key%00a=x", "key"),
            ("%20key=x", "key"),
            ("+key%09=x", "key"),
            ("a;key=x", "key"),
            ("&&key=x&", "key"),
        ] {
            test(query, Err(InvalidRequest::QueryCredential(known)));
            assert_eq!(check(query, false), Ok(()), "{query}");
        }
    }

    #[test]
    fn other_fields_pass() {
        for query in [
            "",
            "&",
            "=",
            "=key",
            "a=key",
            "a=key=b",
            "alt=sse",
            "api-version=2024-10-21",
            "method=a",
            "keys=a",
            "monkey=a",
            "key2=a",
            "k%2565y=a",
            "max_tokens=5",
            "page_token=a",
            "pageToken=a",
            "a=%26key%3Db",
            "%26key=a",
            "%=a",
            "%6=a",
            "%zzkey=a",
            "k-e-y",
        ] {
            test(query, Ok(()));
        }
    }

    proptest! {
        #[test]
        fn spelling_of_a_name_does_not_matter(
            known in prop::sample::select(CREDENTIALS.to_vec()),
            choices in prop::collection::vec(0..6_u8, 40),
        ) {
            let spelled: String = known.bytes().zip(choices).map(|(byte, choice)| match (choice, byte) {
                (0, _) => format!("%{byte:02x}"),
                (1, _) => format!("%{:02X}", byte.to_ascii_uppercase()),
                (2, b'-') => "_".to_owned(),
                (3, b'-') => "+".to_owned(),
                (4, _) => char::from(byte).to_uppercase().to_string(),
                _ => char::from(byte).to_string(),
            }).collect();
            prop_assert_eq!(check(&format!("a=1&{spelled}=x"), true), Err(InvalidRequest::QueryCredential(known)));
        }

        #[test]
        fn any_query_is_checked(query in "[ -~]{0,200}") {
            let _ = check(&query, true);
        }
    }
}
