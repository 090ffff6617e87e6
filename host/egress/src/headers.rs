//! A request's head: what a guest may set, and what the door sets itself.
//!
//! In go a guest's fields; out come the fields as they are sent. What frames the message or names the way is the door's:
//! such a field is refused, not dropped, so that an author sees what is wrong.

pub(crate) mod names;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};

/// Fields in one head, names repeated or not.
pub const MAX_FIELDS: usize = 128;

/// Bytes of all names and values of one head.
pub const MAX_BYTES: usize = 64 * 1024;

/// A reason why a request's head can't be sent as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// A header that the gateway sets, that says how the message travels, or that stands for another method, host, path or client.
    #[error("header `{0}` can't be sent: it says where or how the message goes; leave it out")]
    Forbidden(HeaderName),
    /// A header such as `range` beside an attached secret. An echo that arrives in parts is not recognized.
    #[error(
        "header `{0}` can't be sent: an echo of the attached secret is not redacted in a partial response; leave it out"
    )]
    Partial(HeaderName),
    /// A query field that some servers take for another method.
    #[error(
        "query field `{0}` (`_` is read as `-`) can't be sent: some servers take it for another method; leave it out"
    )]
    QueryMethod(&'static str),
    /// A query field with a credential beside an attached secret.
    #[error(
        "query field `{0}` (`_` is read as `-`) can't be sent: the gateway attaches a secret, and this is another credential; leave it out"
    )]
    QueryCredential(&'static str),
    /// A name with characters that no field name has.
    #[error("a header's name has characters that are not allowed")]
    Name,
    /// A value with control characters, such as a line's end.
    #[error("the value of header `{0}` has characters that are not allowed")]
    Value(HeaderName),
    /// More fields than [`MAX_FIELDS`].
    #[error("more than {MAX_FIELDS} headers")]
    TooManyFields,
    /// More than [`MAX_BYTES`].
    #[error("more than {MAX_BYTES} bytes of headers")]
    TooLarge,
    /// More than one `content-length`, one that is no number, or one that is not the body's length.
    #[error("`content-length` is not the body's length, once and in decimal digits")]
    ContentLength,
    /// The target does not fit on the wire.
    #[error("the target can't be sent")]
    Target,
}

/// Returns whether an adapter may not set this header at all. `content-length` is not among them: it is compared with the body.
#[must_use]
pub fn is_forbidden(name: &HeaderName) -> bool {
    names::is_forbidden(name)
}

/// The fields with these names and values, in this order; stops at the first one too many.
///
/// # Errors
/// If a name or a value is malformed, or there are too many.
pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<HeaderMap, InvalidRequest>
where
    N: AsRef<str>,
    V: Into<Bytes>,
{
    let mut fields = HeaderMap::new();
    let mut size = Size::default();
    for (name, value) in pairs {
        let (name, value) = (name.as_ref(), value.into());
        size.add(name.len(), value.len())?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| InvalidRequest::Name)?;
        match HeaderValue::from_maybe_shared(value) {
            Ok(value) => fields.append(name, value),
            Err(_) => return Err(InvalidRequest::Value(name)),
        };
    }
    Ok(fields)
}

/// What a guest's fields come to.
#[derive(Debug)]
pub(crate) struct Head {
    /// The guest's fields, with `secret` in place of its own fields of that name and other credentials.
    pub(crate) fields: HeaderMap,
    /// The body's length that the guest declared.
    pub(crate) content_length: Option<u64>,
}

/// Judges a guest's fields and attaches the grant's secret.
pub(crate) fn prepare(guest: HeaderMap, secret: Option<(HeaderName, HeaderValue)>) -> Result<Head, InvalidRequest> {
    let mut size = Size::default();
    let mut lengths = guest.get_all(CONTENT_LENGTH).iter();
    let content_length = lengths.next().map(parse_length).transpose()?;
    if lengths.next().is_some() {
        return Err(InvalidRequest::ContentLength);
    }
    for (name, value) in &guest {
        if is_forbidden(name) {
            return Err(InvalidRequest::Forbidden(name.clone()));
        }
        size.add(name.as_str().len(), value.len())?;
    }
    let mut fields = guest;
    fields.remove(CONTENT_LENGTH);
    if let Some((name, value)) = secret {
        if let Some(partial) = fields.keys().find(|field| names::is_partial(field)) {
            return Err(InvalidRequest::Partial(partial.clone()));
        }
        let is_replaced = |field: &&HeaderName| {
            names::is_coding(field) || names::is_credential(field) || names::is_same(field, &name)
        };
        let replaced: Vec<_> = fields.keys().filter(is_replaced).cloned().collect();
        replaced.iter().for_each(|field| drop(fields.remove(field)));
        // Compression would hide an echo. Without this field, a provider could choose it by itself.
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        fields.insert(name, value);
    }
    Ok(Head { fields, content_length })
}

/// Whether the body of an answer with these fields is what it says, byte for byte: neither compressed nor otherwise encoded.
pub(crate) fn is_plain(fields: &HeaderMap) -> bool {
    let all = |name, plain: &str| {
        let mut codings = fields.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        codings
            .all(|coding| coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(plain.as_bytes()))
    };
    all(CONTENT_ENCODING, "identity") && all(TRANSFER_ENCODING, "chunked")
}

fn parse_length(value: &HeaderValue) -> Result<u64, InvalidRequest> {
    let text = value.to_str().map_err(|_| InvalidRequest::ContentLength)?;
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().map_err(|_| InvalidRequest::ContentLength) } else { Err(InvalidRequest::ContentLength) }
}

#[derive(Default)]
struct Size {
    fields: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, name: usize, value: usize) -> Result<(), InvalidRequest> {
        self.fields += 1;
        self.bytes = self.bytes.saturating_add(name).saturating_add(value);
        if self.fields > MAX_FIELDS {
            return Err(InvalidRequest::TooManyFields);
        }
        if self.bytes > MAX_BYTES { Err(InvalidRequest::TooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Result<HeaderMap, InvalidRequest> {
        from_pairs(pairs.iter().map(|(name, value)| (*name, Bytes::copy_from_slice(value.as_bytes()))))
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Result<Option<u64>, InvalidRequest>) {
        let got = map(pairs).and_then(|fields| prepare(fields, None)).map(|head| head.content_length);
        assert_eq!(got, expected, "{pairs:?}");
    }

    #[test]
    fn what_frames_or_routes_is_refused() {
        for name in [
            "Host",
            "connection",
            "Keep-Alive",
            "proxy-authorization",
            "Proxy-Connection",
            "TE",
            "trailer",
            "Transfer-Encoding",
            "upgrade",
            "HTTP2-Settings",
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-host",
            "Expect",
        ] {
            let lower = HeaderName::from_bytes(name.as_bytes()).unwrap();
            check(&[("accept", "*/*"), (name, "x")], Err(InvalidRequest::Forbidden(lower)));
        }
        for name in ["cookie", "authorization", "x-api-key", "user-agent", "accept-encoding", "x-request-id"] {
            check(&[(name, "x")], Ok(None));
        }
    }

    #[test]
    fn text_that_ends_a_line_is_refused() {
        for name in ["", "a b", "a\r\nb", "a:b", "ä", "a\0"] {
            check(&[(name, "x")], Err(InvalidRequest::Name));
        }
        for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\u{7f}"] {
            check(&[("x-a", value)], Err(InvalidRequest::Value(HeaderName::from_static("x-a"))));
        }
    }

    #[test]
    fn a_declared_length_is_one_number() {
        check(&[("content-length", "5")], Ok(Some(5)));
        check(&[("content-length", "5"), ("Content-Length", "5")], Err(InvalidRequest::ContentLength));
        for text in ["", "+5", "5, 5", "-1", "5 ", "0x5", "99999999999999999999"] {
            check(&[("content-length", text)], Err(InvalidRequest::ContentLength));
        }
        let transfer = HeaderName::from_static("transfer-encoding");
        check(&[("content-length", "5"), ("transfer-encoding", "x")], Err(InvalidRequest::Forbidden(transfer)));
    }

    #[test]
    fn heads_are_bounded() {
        let many = vec![("x-a", ""); MAX_FIELDS];
        check(&many, Ok(None));
        check(&[many.as_slice(), &[("x-a", "")]].concat(), Err(InvalidRequest::TooManyFields));
        let long = "v".repeat(65_536 - 3);
        check(&[("x-a", &long)], Ok(None));
        check(&[("x-ab", &long)], Err(InvalidRequest::TooLarge));
        // Also where the map was made elsewhere.
        let mut made = HeaderMap::new();
        for _ in 0..=MAX_FIELDS {
            made.append("x-a", HeaderValue::from_static(""));
        }
        assert_eq!(prepare(made, None).map(drop), Err(InvalidRequest::TooManyFields));
    }

    #[test]
    fn the_secret_takes_the_guests_place() {
        let guest = map(&[("authorization", "guest"), ("Authorization", "again"), ("accept", "*/*")]).unwrap();
        let name = HeaderName::from_static("authorization");
        let head = prepare(guest, Some((name.clone(), HeaderValue::from_static("ours")))).unwrap();
        let values: Vec<_> = head.fields.get_all(name).iter().collect();
        assert_eq!(values, ["ours"]);
        assert_eq!(head.fields.len(), 3);
    }

    #[test]
    fn with_a_secret_nothing_may_hide_an_echo() {
        let secret = || Some((HeaderName::from_static("authorization"), HeaderValue::from_static("ours")));
        for guest in [&[][..], &[("Accept-Encoding", "gzip"), ("accept-encoding", "br")]] {
            let head = prepare(map(guest).unwrap(), secret()).unwrap();
            assert_eq!(head.fields.get_all(ACCEPT_ENCODING).iter().collect::<Vec<_>>(), ["identity"]);
            let untouched = prepare(map(guest).unwrap(), None).unwrap();
            assert_eq!(untouched.fields.len(), guest.len());
        }
        for (name, lower) in [
            ("Range", "range"),
            ("Request-Range", "request-range"),
            ("request_range", "request_range"),
            ("If-Range", "if-range"),
        ] {
            let range = [("accept", "*/*"), (name, "bytes=0-3")];
            let refused = Err(InvalidRequest::Partial(HeaderName::from_static(lower)));
            assert_eq!(prepare(map(&range).unwrap(), secret()).map(drop), refused);
            assert_eq!(prepare(map(&range).unwrap(), None).map(drop), Ok(()));
        }
    }

    #[test]
    fn secret_replaces_other_credentials_and_codings() {
        for secret in ["authorization", "x-of-an-operator", "accept_encoding"] {
            let guest = [
                ("Cookie", "a=b"),
                ("X_API_Key", "guest"),
                ("apikey", "guest"),
                ("Private-Token", "guest"),
                ("x_of-an_operator", "guest"),
                ("accept_encoding", "gzip"),
                ("Accept-Charset", "utf-16"),
                ("OpenAI-Project", "p"),
                ("x-a", "a"),
            ];
            let attached = Some((HeaderName::from_static(secret), HeaderValue::from_static("ours")));
            let head = prepare(map(&guest).unwrap(), attached).unwrap();
            let mut got: Vec<_> = head.fields.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
            got.sort_unstable();
            let mut expected =
                vec![("accept-encoding", "identity"), ("openai-project", "p"), ("x-a", "a"), (secret, "ours")];
            if secret != "x-of-an-operator" {
                expected.push(("x_of-an_operator", "guest"));
            }
            expected.sort_unstable();
            assert_eq!(got, expected);
            assert_eq!(prepare(map(&guest).unwrap(), None).unwrap().fields.len(), guest.len(), "without a secret");
        }
    }

    #[test]
    fn encoded_answers_are_told() {
        for (fields, plain) in [
            (&[][..], true),
            (&[("content-encoding", "identity"), ("transfer-encoding", "chunked")], true),
            (&[("content-encoding", "IDENTITY , identity,"), ("content-encoding", "")], true),
            (&[("content-encoding", "gzip")], false),
            (&[("content-encoding", "identity, br")], false),
            (&[("content-encoding", "identity"), ("Content-Encoding", "zstd")], false),
            (&[("transfer-encoding", "gzip, chunked")], false),
            (&[("transfer-encoding", "deflate")], false),
        ] {
            assert_eq!(is_plain(&map(fields).unwrap()), plain, "{fields:?}");
        }
    }
}
