//! Secrets: fetched with each policy from the environment and from files, attached to permitted requests, wiped when no longer held.
//!
//! In go the grants' templates; out comes the value for a grant, and only to the door. There is no way to print one.

use crate::search::Needles;
use crate::secret_value::{self, MAX_HEADER_LENGTH, SecretProblem};
use bytes::Bytes;
use hauski_policy::{Grant, SecretPart, SecretTemplate};
use http::{HeaderName, HeaderValue};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The values of all grants' secrets.
#[derive(Default)]
pub struct Secrets {
    // A handful: compared, not hashed.
    entries: Vec<Entry>,
}

struct Entry {
    template: SecretTemplate,
    attached: Attached,
}

/// What is attached to a request, and what must not come back with its answer.
#[derive(Clone)]
pub(crate) struct Attached {
    pub(crate) name: HeaderName,
    /// Marked as sensitive.
    pub(crate) value: HeaderValue,
    pub(crate) needles: Arc<Needles>,
}

/// A secret that could not be loaded. Names the reference, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of the entry in line {line} can't be used: {reference} {problem}")]
pub struct MissingSecret {
    /// The line of the grant in `routing.yaml`.
    pub line: usize,
    /// What the policy refers to, such as `${env:OPENAI_API_KEY}`.
    pub reference: String,
    /// What is wrong with it.
    pub problem: SecretProblem,
}

impl Secrets {
    /// Fetches the secrets of all `grants`. `env` looks up a variable, `read_file` a file's content. Both are held to the same
    /// rule: white space at the edges and a byte order mark are trimmed, and anything that no key has is refused.
    ///
    /// # Errors
    /// All that are missing or unusable, in the file's order.
    pub fn load(
        grants: &[Arc<Grant>],
        env: &dyn Fn(&str) -> Option<OsString>,
        read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, Vec<MissingSecret>> {
        let mut secrets = Self::default();
        let mut missing = Vec::new();
        for grant in grants {
            let Some(template) = &grant.secret else { continue };
            if secrets.entries.iter().any(|entry| entry.template == *template) {
                continue;
            }
            match fetch(template, grant.line, env, read_file) {
                Ok(entry) => secrets.entries.push(entry),
                Err(problems) => missing.extend(problems),
            }
        }
        if missing.is_empty() { Ok(secrets) } else { Err(missing) }
    }

    /// What `template` comes to; `None` where it was not loaded.
    pub(crate) fn get(&self, template: &SecretTemplate) -> Option<Attached> {
        self.entries.iter().find(|entry| entry.template == *template).map(|entry| entry.attached.clone())
    }
}

/// Only how many there are.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("loaded", &self.entries.len()).finish_non_exhaustive()
    }
}

fn fetch(
    template: &SecretTemplate,
    line: usize,
    env: &dyn Fn(&str) -> Option<OsString>,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Entry, Vec<MissingSecret>> {
    let mut parts = Vec::with_capacity(template.parts.len());
    let mut missing = Vec::new();
    for part in &template.parts {
        match fetch_part(part, env, read_file) {
            Ok(bytes) => parts.push(bytes),
            Err(problem) => missing.push(MissingSecret { line, reference: reference(part), problem }),
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    let is_text = |part: &SecretPart| matches!(part, SecretPart::Text(_));
    let unusable = |problem| {
        let references = template.parts.iter().filter(|part| !is_text(part)).map(reference);
        let reference = references.collect::<Vec<_>>().join(" and ");
        vec![MissingSecret { line, reference, problem }]
    };
    let len = parts.iter().map(|part| part.len()).sum();
    if len > MAX_HEADER_LENGTH {
        return Err(unusable(SecretProblem::HeaderTooLong));
    }
    // Of its full size from the start: growing would leave copies behind.
    let mut value = Zeroizing::new(Vec::with_capacity(len));
    parts.iter().for_each(|part| value.extend_from_slice(part));
    let values = template.parts.iter().zip(parts).filter(|(part, _)| !is_text(part)).map(|(_, value)| value);
    let needles = Needles::new(values.chain([value.clone()]));
    attach(template, value, needles).ok_or_else(|| unusable(SecretProblem::NotAHeader))
}

/// Makes the header. The value's bytes stay in one place, which is wiped when the last header that shares them is gone.
fn attach(template: &SecretTemplate, value: Zeroizing<Vec<u8>>, needles: Needles) -> Option<Entry> {
    // Recipients trim values, and the redactor knows the spellings of printable ASCII only.
    if value.trim_ascii().len() != value.len() || !value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let name = HeaderName::from_bytes(template.header.as_bytes()).ok()?;
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).ok()?;
    value.set_sensitive(true);
    Some(Entry { template: template.clone(), attached: Attached { name, value, needles: Arc::new(needles) } })
}

fn fetch_part(
    part: &SecretPart,
    env: &dyn Fn(&str) -> Option<OsString>,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    let bytes = match part {
        SecretPart::Text(text) => return Ok(Zeroizing::new(text.as_bytes().to_vec())),
        SecretPart::Env(name) => env(name).ok_or(SecretProblem::Unset)?.into_encoded_bytes(),
        SecretPart::File(path) => {
            read_file(Path::new(&**path)).map_err(|error| SecretProblem::Unreadable(error.kind()))?
        }
    };
    secret_value::check(Zeroizing::new(bytes))
}

fn reference(part: &SecretPart) -> String {
    match part {
        SecretPart::Text(text) => text.to_string(),
        SecretPart::Env(name) => format!("`${{env:{name}}}`"),
        SecretPart::File(path) => format!("`${{file:{path}}}`"),
    }
}

#[cfg(test)]
mod tests;
