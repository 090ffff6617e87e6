//! `secret` of a grant: the header that the host attaches, and the references to what it holds.

use crate::raw::raw;
use crate::reader::Reader;
use crate::scalar::{Checked, Fault, Grammar};
use crate::secret::{SecretPart, SecretTemplate};
use serde_json::{Value, json};
use std::ops::Range;

raw! {
    /// A header that the host attaches after the request was allowed; the adapter never sees it.
    #[schemars(rename = "Secret")]
    pub(super) struct RawSecret {
        required {
            /// The header field's name.
            header: Checked<HeaderName> = "authorization",
            /// The header field's value: text with references `${env:NAME}` or `${file:/path}`.
            value: Checked<Parts> = "\"Bearer ${env:API_KEY}\"",
        }
        optional {}
    }
}

impl RawSecret {
    pub(super) fn validate(self, _: &mut Reader) -> Option<SecretTemplate> {
        let (header, value) = (self.header.get(), self.value.get());
        Some(SecretTemplate { header: header?.0.0, parts: value?.0.0 })
    }
}

/// The template as the file has it, but for the plain text, which nobody can tell from a secret.
pub(super) fn to_json(template: &SecretTemplate) -> Value {
    let references = template.parts.iter().filter_map(|part| match part {
        SecretPart::Text(_) => None,
        SecretPart::Env(name) => Some(format!("${{env:{name}}}")),
        SecretPart::File(path) => Some(format!("${{file:{path}}}")),
    });
    json!({ "header": template.header, "value": references.collect::<String>() })
}

/// A header field's name in lower case.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeaderName(Box<str>);

/// Fields that frame or route a message; set by the host alone. `proxy-` and whatever follows it are too.
const RESERVED: [&str; 16] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "accept-encoding",
];

impl Grammar for HeaderName {
    const PATTERN: &'static str = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let fault = |message: &str| {
            let help = "write a field's name, such as `authorization` or `x-api-key`".to_owned();
            Err(Fault { code: "header-invalid", at: 0..text.len(), message: message.to_owned(), help })
        };
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !(1..=100).contains(&text.len()) || !text.bytes().all(is_token) {
            return fault("the header is no field name: 1 to 100 letters, digits and `-`");
        }
        let name = text.to_ascii_lowercase();
        if RESERVED.contains(&&*name) || name.starts_with("proxy-") || name.starts_with("x-forwarded-") {
            return fault("the header frames or routes the message and can't carry a secret");
        }
        Ok(Self(name.into()))
    }
}

/// The most references in one value. A header's value is a word and a key, or a user and a password.
const MAX_REFERENCES: usize = 8;

/// The parts of a secret header's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts(Vec<SecretPart>);

// No message here quotes the text: where a person wrote the secret itself, it would end in a log.
impl Grammar for Parts {
    const PATTERN: &'static str = r"\$\{(env:[A-Za-z_][A-Za-z0-9_]*|file:/[^}]+)\}";

    fn parse(text: &str) -> Result<Self, Fault> {
        let fault = |code, at: Range<usize>, message: &str, help: &str| {
            Err(Fault { code, at, message: message.to_owned(), help: help.to_owned() })
        };
        if let Some((at, c)) = text.char_indices().find(|(_, c)| !matches!(c, ' '..='~')) {
            let help = "write printable ASCII on one line, and secrets as `${env:NAME}`";
            return fault("secret-character", at..at + c.len_utf8(), "a character that no header field has", help);
        }
        if text.trim() != text {
            return fault(
                "secret-character",
                0..text.len(),
                "a space at the value's end",
                "delete it: headers are trimmed",
            );
        }
        let (mut parts, mut references) = (Vec::new(), 0);
        let mut at = 0;
        while let Some(open) = text[at..].find("${").map(|open| at + open) {
            let Some(close) = text[open..].find('}').map(|close| open + close) else {
                return fault(
                    "secret-reference",
                    open..text.len(),
                    "a reference without its `}`",
                    "write `${env:NAME}`",
                );
            };
            if open > at {
                parts.push(SecretPart::Text(text[at..open].into()));
            }
            let Some(part) = reference(&text[open + 2..close]) else {
                let help = "write `${env:NAME}`, or `${file:/run/secrets/name}` with an absolute path";
                return fault("secret-reference", open..close + 1, "a reference of no known kind", help);
            };
            references += 1;
            if references > MAX_REFERENCES {
                let message = format!("more than {MAX_REFERENCES} references in one value");
                let help = "write the whole key into one variable or file";
                return fault("secret-reference", open..close + 1, &message, help);
            }
            parts.push(part);
            at = close + 1;
        }
        if parts.is_empty() {
            let message = "the secret itself stands in the file, or nothing does";
            let help = "write `\"Bearer ${env:NAME}\"` and set the variable, and change the secret if it was real";
            return fault("secret-literal", 0..text.len(), message, help);
        }
        if at < text.len() {
            parts.push(SecretPart::Text(text[at..].into()));
        }
        Ok(Self(parts))
    }
}

fn reference(text: &str) -> Option<SecretPart> {
    let (kind, name) = text.split_once(':')?;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match kind {
        "env" if !name.is_empty() && name.bytes().all(is_word) && !name.as_bytes()[0].is_ascii_digit() => {
            Some(SecretPart::Env(name.into()))
        }
        "file"
            if name.len() > 1
                && name.starts_with('/')
                && !name.contains("${")
                && name.split('/').all(|s| s != "..") =>
        {
            Some(SecretPart::File(name.into()))
        }
        _ => None,
    }
}
