//! The key that a request shows: `authorization: Bearer <key>`, as OpenAI's clients send it, or `x-api-key: <key>`, as Anthropic's;
//! and for the console, as browsers send it, the password of `authorization: Basic …`.

use base64ct::{Base64, Encoding};
use http::{HeaderMap, HeaderName, header};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

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

/// The password that a browser was told (RFC 7617), where that is all the head shows; whichever name was told with it.
pub(super) fn password(headers: &HeaderMap) -> Option<Zeroizing<Vec<u8>>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None, false) = (values.next(), values.next(), headers.contains_key(API_KEY)) else { return None };
    let told = after(b"basic", value.as_bytes()).filter(|told| told.len() <= 4 * LONGEST)?;
    let mut text = Zeroizing::new(vec![0; told.len()]);
    let pair = Base64::decode(told, &mut text).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(Zeroizing::new(pair[colon + 1..].to_vec())).filter(|password| (1..=LONGEST).contains(&password.len()))
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

fn bearer(value: &[u8]) -> Option<&[u8]> {
    after(b"bearer", value)
}

/// What follows `scheme`, whose name has no case.
fn after<'a>(scheme: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (own, rest) = value.split_at_checked(scheme.len())?;
    let ok = own.eq_ignore_ascii_case(scheme) && rest.first().is_none_or(|b| *b == b' ');
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

    #[track_caller]
    fn check_password(fields: &[(&'static str, &str)], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        assert_eq!(password(&headers).as_deref().map(Vec::as_slice), expected.map(str::as_bytes), "{fields:?}");
    }

    #[test]
    fn what_browsers_send() {
        // `anyone:abc`, `:abc`, `a:b:c`, `ä:ö`
        check_password(&[("authorization", "Basic YW55b25lOmFiYw==")], Some("abc"));
        check_password(&[("authorization", "bASIC OmFiYw==")], Some("abc"));
        check_password(&[("authorization", "Basic YTpiOmM=")], Some("b:c"));
        check_password(&[("authorization", "Basic w6Q6w7Y=")], Some("ö"));
        // `anyone:`, `anyone`, nothing, no base64, another scheme, a space too few, and what has two keys.
        for wrong in
            ["Basic YW55b25lOg==", "Basic YW55b25l", "Basic ", "Basic", "Basic ***", "Bearer OmFiYw==", "BasicOmFiYw=="]
        {
            check_password(&[("authorization", wrong)], None);
        }
        check_password(&[], None);
        check_password(&[("authorization", "Basic OmFiYw=="), ("x-api-key", "abc")], None);
        check_password(&[("authorization", "Basic OmFiYw=="), ("authorization", "Basic OmFiYw==")], None);
        let long = format!("Basic {}", Base64::encode(&[b':'; 3000], &mut [0; 4000]).unwrap());
        check_password(&[("authorization", &long)], None);
    }
}
