//! The key that a request shows: `authorization: Bearer <key>`, as OpenAI's clients send it, or `x-api-key: <key>`, as Anthropic's.

use http::{HeaderMap, HeaderName, header};
use subtle::ConstantTimeEq;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The longest key that is looked at. What `hauski keys new` makes has 46 characters.
const LONGEST: usize = 512;

/// Why there is no key to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    Missing,
    /// There is something, and it is no key: what completes "the request has".
    Unusable(&'static str),
}

/// The key that a request's head shows. Where it is shown twice it has to be the same.
pub(super) fn presented(headers: &HeaderMap) -> Result<&[u8], NoKey> {
    let mut found: Option<&[u8]> = None;
    for value in headers.get_all(header::AUTHORIZATION) {
        let key =
            bearer(value.as_bytes()).ok_or(NoKey::Unusable("an `authorization` field that is not `Bearer <key>`"))?;
        found = Some(same(found, key)?);
    }
    for value in headers.get_all(API_KEY) {
        found = Some(same(found, value.as_bytes().trim_ascii())?);
    }
    match found {
        None | Some([]) => Err(NoKey::Missing),
        Some(key) if key.len() > LONGEST => Err(NoKey::Unusable("a key that is longer than any")),
        Some(key) => Ok(key),
    }
}

/// Takes the key out, so that nothing behind this sees it.
pub(super) fn take(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    headers.remove(API_KEY);
}

fn same<'a>(found: Option<&[u8]>, key: &'a [u8]) -> Result<&'a [u8], NoKey> {
    match found {
        Some(found) if !bool::from(found.ct_eq(key)) => Err(NoKey::Unusable("two different keys")),
        _ => Ok(key),
    }
}

/// What follows the scheme, whose name has no case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let ok = scheme.eq_ignore_ascii_case(SCHEME) && rest.first().is_none_or(|b| *b == b' ');
    ok.then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &[(&'static str, &str)], expected: Result<&str, NoKey>) {
        let headers: HeaderMap =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        assert_eq!(presented(&headers), expected.map(str::as_bytes), "{fields:?}");
    }

    #[test]
    fn where_a_key_stands() {
        const BASIC: NoKey = NoKey::Unusable("an `authorization` field that is not `Bearer <key>`");
        const TWO: NoKey = NoKey::Unusable("two different keys");
        let (long, longer) = ("k".repeat(512), "k".repeat(513));
        check(&[], Err(NoKey::Missing));
        check(&[("authorization", "Bearer abc")], Ok("abc"));
        check(&[("authorization", "bEARER   abc ")], Ok("abc"));
        check(&[("x-api-key", " abc ")], Ok("abc"));
        check(&[("authorization", "Bearer abc"), ("x-api-key", "abc")], Ok("abc"));
        check(&[("authorization", "Bearer abc"), ("authorization", "Bearer abc")], Ok("abc"));
        check(&[("x-api-key", &long)], Ok(&long));
        check(&[("authorization", "Bearer")], Err(NoKey::Missing));
        check(&[("authorization", "Bearer ")], Err(NoKey::Missing));
        check(&[("x-api-key", "")], Err(NoKey::Missing));
        for wrong in ["", "abc", "Basic abc", "Bearerabc", "Bearer\tabc"] {
            check(&[("authorization", wrong)], Err(BASIC));
        }
        check(&[("authorization", "Basic abc"), ("x-api-key", "abc")], Err(BASIC));
        check(&[("authorization", "Bearer abc"), ("x-api-key", "abd")], Err(TWO));
        check(&[("x-api-key", "abc"), ("x-api-key", "")], Err(TWO));
        check(&[("x-api-key", &longer)], Err(NoKey::Unusable("a key that is longer than any")));
    }
}
