//! Credentials in the `config` of a model, where an adapter would hold them: found by the names of keys, and by the forms of values.

use crate::credential_headers::CREDENTIAL_HEADERS;
use crate::node::{Node, Value};
use crate::reader::{Reader, Step};

/// The fewest characters of a value that can be a credential under a name that says so. A shorter one, such as `</s>`, is none.
const MIN_NAMED: usize = 8;

/// The fewest characters of a credential that is known by its form alone, or by a name that other settings have as well.
const MIN_FORMED: usize = 16;

/// What the names of the keys above a value say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// Nothing.
    Plain,
    /// A credential, or a setting such as `cache_key`: the value decides.
    Ambiguous,
    /// A credential.
    Credential,
}

/// Reports every credential below `config`, and hides it from all excerpts.
pub(super) fn reject(config: &Node, reader: &mut Reader) {
    search(config, Name::Plain, false, reader);
}

fn search(node: &Node, above: Name, are_headers: bool, reader: &mut Reader) {
    match &node.value {
        Value::Map(entries) => {
            for (key, child) in entries {
                let name = above.max(judge(&key.text, are_headers));
                let are_headers = plain(&key.text).ends_with("headers");
                reader.within(Step::Key(key.text.clone()), |reader| search(child, name, are_headers, reader));
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                reader.within(Step::Index(index), |reader| search(item, above, are_headers, reader));
            }
        }
        value if is_credential(value, above) => {
            reader.hide(node, &|_| true);
            let message = format!("{} is a secret, which adapters never hold", reader.here());
            reader
                .error("secret-in-config", &node.span, message)
                .help("delete it, and write a `secret` in the grant in `routing.yaml`: the host attaches it");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

fn is_credential(value: &Value, name: Name) -> bool {
    match (value, name) {
        (Value::Text(text), Name::Credential) => {
            text.chars().count() >= MIN_NAMED && !is_marker(text) || has_form(text)
        }
        (Value::Number(digits), Name::Credential) => {
            digits.len() >= MIN_NAMED && digits.bytes().all(|b| b.is_ascii_digit())
        }
        (Value::Text(text), Name::Ambiguous) => has_form(text) || is_random(text),
        (Value::Text(text), Name::Plain) => has_form(text),
        _ => false,
    }
}

/// A key in lower case with `_` between its words, in whichever style it is written, and without a number at its end.
fn plain(key: &str) -> String {
    let mut plain = String::new();
    let mut was_lower = false;
    for c in key.chars() {
        if was_lower && c.is_ascii_uppercase() {
            plain.push('_');
        }
        was_lower = c.is_ascii_lowercase();
        plain.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
    }
    let end = plain.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_').len();
    plain.truncate(end);
    plain
}

fn judge(key: &str, is_header: bool) -> Name {
    const CREDENTIALS: &[&str] = &[
        "api_key",
        "apikey",
        "api_keys",
        "access_key",
        "secret_key",
        "private_key",
        "subscription_key",
        "auth_key",
        "functions_key",
        "api_token",
        "access_token",
        "auth_token",
        "bearer_token",
        "refresh_token",
        "session_token",
        "security_token",
        "secret",
        "secrets",
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "authorization",
        "bearer",
        "jwt",
        "credential",
        "credentials",
        "cookie",
    ];
    // `max_tokens`, `eos_token`, `image_token` and `cache_key` are settings.
    const AMBIGUOUS: &[&str] = &["_key", "_keys", "_token", "_auth", "signature"];
    let plain = plain(key);
    let is_one_of = |names: &[&str]| names.iter().any(|name| plain.ends_with(name));
    if matches!(&*plain, "token" | "key" | "auth")
        || is_one_of(CREDENTIALS)
        || is_header && CREDENTIAL_HEADERS.contains(&&*plain.replace('_', "-"))
    {
        return Name::Credential;
    }
    if is_one_of(AMBIGUOUS) { Name::Ambiguous } else { Name::Plain }
}

/// Returns whether the text is one of a tokenizer's marks, such as `<|endoftext|>` or `[MASK]`.
fn is_marker(text: &str) -> bool {
    let pairs = [('<', '>'), ('[', ']')];
    pairs.iter().any(|(open, close)| text.starts_with(*open) && text.ends_with(*close))
}

/// Returns whether the text looks random: one long word of letters and digits.
fn is_random(text: &str) -> bool {
    let is_word = text.len() >= MIN_FORMED && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_word && !is_marker(text) && text.contains(|c: char| c.is_ascii_digit()) && text.contains(char::is_alphabetic)
}

/// Returns whether the text has the form of a credential: one word that begins as the keys of well-known providers do, alone or after the
/// name of a scheme (RFC 9110, section 11), a JSON Web Token, or a key in PEM.
fn has_form(text: &str) -> bool {
    const BEGINS: [&str; 15] = [
        "sk-",
        "gsk_",
        "hf_",
        "xai-",
        "AIza",
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "nvapi-",
        "pplx-",
        "r8_",
        "AKIA",
        "eyJ",
    ];
    let text = text.trim();
    let is_word = !text.contains(char::is_whitespace);
    let begins = BEGINS.iter().any(|begin| text.starts_with(begin));
    is_word && begins && text.len() >= MIN_FORMED || is_after_scheme(text) || text.starts_with("-----BEGIN ")
}

/// Returns whether the text is `Bearer`, `Basic` or `Token` and a word that is none of a language: `Basic assistant` is a title.
fn is_after_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(' ') else { return false };
    let is_scheme = ["bearer", "basic", "token"].iter().any(|name| scheme.eq_ignore_ascii_case(name));
    let is_word = rest.len() >= MIN_NAMED && !rest.contains(char::is_whitespace);
    let changes_case =
        rest.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let is_long = rest.len() >= MIN_FORMED;
    is_scheme && is_word && (is_long || changes_case || rest.contains(|c: char| c.is_ascii_digit() || c == '='))
}
