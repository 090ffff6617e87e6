//! Credentials in the `config` of a model, where an adapter would hold them: found by the names of keys, and by the forms of values.

use crate::credential_headers::CREDENTIAL_HEADERS;
use crate::node::{Key, Node, Value};
use crate::reader::{Reader, Step};

/// The fewest characters of a value that can be a credential under a name that says so. A shorter one, such as `</s>`, is none.
const MIN_NAMED: usize = 8;

/// The fewest characters of a credential that is known by its form alone, or by a name that other settings have as well.
const MIN_FORMED: usize = 16;

/// The kind of a value, by the names of the keys above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeyKind {
    /// A setting, by its name.
    Plain,
    /// A credential, or a setting such as `cache_key`: the value decides.
    Ambiguous,
    /// A credential.
    Credential,
}

/// Reports every credential below `config`, and hides it from all excerpts.
///
/// The rules of `base_url` itself reject userinfo and a query, so it is left out.
pub(super) fn reject(config: &Node, reader: &mut Reader) {
    let Value::Map(entries) = &config.value else { return };
    for (key, child) in entries.iter().filter(|(key, _)| &*key.text != "base_url") {
        search_member(key, child, KeyKind::Plain, false, reader);
    }
}

fn search_member(key: &Key, child: &Node, above: KeyKind, is_header: bool, reader: &mut Reader) {
    // A credential's own settings, such as its `type`, are none.
    let kind = above.min(KeyKind::Ambiguous).max(classify_key(&key.text, is_header));
    let are_headers = normalize_key(&key.text).ends_with("headers");
    reader.within(Step::Key(key.text.clone()), |reader| search(child, kind, are_headers, reader));
}

fn search(node: &Node, above: KeyKind, are_headers: bool, reader: &mut Reader) {
    match &node.value {
        Value::Map(entries) => {
            for (key, child) in entries {
                search_member(key, child, above, are_headers, reader);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                reader.within(Step::Index(index), |reader| search(item, above, are_headers, reader));
            }
        }
        value if is_credential(value, above) || are_headers && is_credential_line(value) => {
            reader.hide(node, &|_| true);
            let message = format!("{} is a secret, which adapters never hold", reader.here());
            reader
                .error("secret-in-config", &node.span, message)
                .help("delete it, and write a `secret` in the grant in `routing.yaml`: the host attaches it");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

/// Returns whether the value is a header field as text, such as `x-api-key: ...`, with a credential.
fn is_credential_line(value: &Value) -> bool {
    let Value::Text(text) = value else { return false };
    let field = text.split_once(':').map(|(name, value)| (classify_key(name.trim(), true), value.trim()));
    field.is_some_and(|(kind, value)| kind == KeyKind::Credential && value.len() >= MIN_NAMED)
}

fn is_credential(value: &Value, kind: KeyKind) -> bool {
    match (value, kind) {
        (Value::Text(text), KeyKind::Credential) => {
            text.chars().count() >= MIN_NAMED && !is_marker(text) || has_form(text)
        }
        (Value::Number(digits), KeyKind::Credential) => {
            digits.len() >= MIN_NAMED && digits.bytes().all(|b| b.is_ascii_digit())
        }
        (Value::Text(text), KeyKind::Ambiguous) => has_form(text) || is_random(text),
        (Value::Text(text), KeyKind::Plain) => has_form(text),
        _ => false,
    }
}

/// Returns the key in lower case with `_` between its words, in whichever style it is written, and without a number at its end.
fn normalize_key(key: &str) -> String {
    let mut plain = String::new();
    let mut was_lower = false;
    for c in key.chars() {
        if was_lower && c.is_ascii_uppercase() {
            plain.push('_');
        }
        was_lower = c.is_ascii_lowercase();
        plain.push(if "-. ".contains(c) { '_' } else { c.to_ascii_lowercase() });
    }
    let end = plain.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_').len();
    plain.truncate(end);
    plain
}

fn classify_key(key: &str, is_header: bool) -> KeyKind {
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
        "apitoken",
        "accesstoken",
        "authtoken",
        "bearertoken",
        "api_token",
        "access_token",
        "auth_token",
        "bearer_token",
        "refresh_token",
        "session_token",
        "security_token",
        "hf_token",
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
    // `max_tokens`, `eos_token` and `image_token` are settings.
    const AMBIGUOUS: &[&str] = &["_key", "_keys", "_token", "_auth", "signature"];
    // What only names a credential, such as `api_key_env`, is none.
    const NAMES: &[&str] = &["env", "file", "header", "id", "name", "path", "prefix", "type", "url"];
    const SETTINGS: &[&str] = &["cache_key", "partition_key", "primary_key", "public_key", "sort_key"];
    let plain = normalize_key(key);
    let is_one_of = |names: &[&str]| names.iter().any(|name| plain.ends_with(name));
    let words: Vec<_> = plain.split('_').collect();
    let has_run = |name: &&str| {
        let name: Vec<_> = name.split('_').collect();
        words.windows(name.len()).any(|run| *run == *name)
    };
    if words.last().is_some_and(|last| NAMES.contains(last)) {
        return KeyKind::Plain;
    }
    if is_one_of(CREDENTIALS)
        || CREDENTIALS.iter().any(has_run)
        || is_header && CREDENTIAL_HEADERS.contains(&&*key.to_ascii_lowercase().replace('_', "-"))
    {
        return KeyKind::Credential;
    }
    let is_bare = matches!(&*plain, "token" | "key" | "keys" | "auth");
    if (is_bare || is_one_of(AMBIGUOUS)) && !is_one_of(SETTINGS) { KeyKind::Ambiguous } else { KeyKind::Plain }
}

/// Returns whether the text is one of a tokenizer's marks, such as `<|endoftext|>` or `[MASK]`.
fn is_marker(text: &str) -> bool {
    let pairs = [('<', '>'), ('[', ']')];
    pairs.iter().any(|(open, close)| text.starts_with(*open) && text.ends_with(*close))
}

/// Returns whether the text looks random: a word with a long run of letters and digits, or a UUID.
fn is_random(text: &str) -> bool {
    let has_both = |run: &str| run.bytes().any(|b| b.is_ascii_digit()) && run.bytes().any(|b| b.is_ascii_alphabetic());
    let is_long = |run: &str| run.len() >= MIN_FORMED && has_both(run);
    let is_uuid = || text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_word = text.bytes().all(|byte| byte.is_ascii_graphic());
    is_word && (text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_long) || is_uuid())
}

/// Returns whether the text is a URL with userinfo.
fn has_userinfo(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    authority.and_then(|authority| authority.split_once('@')).is_some_and(|(userinfo, _)| userinfo.contains(':'))
}

/// Returns whether the text has the form of a credential: one word that begins as the keys of well-known providers do, alone or after the
/// name of a scheme (RFC 9110, section 11), a JSON Web Token, or a key in PEM.
fn has_form(text: &str) -> bool {
    const BEGINS: [&str; 17] = [
        "xoxb-",
        "xoxp-",
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
    let is_key = is_word && begins && text.len() >= MIN_FORMED;
    is_key || is_after_scheme(text) || has_userinfo(text) || text.starts_with("-----BEGIN ")
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
