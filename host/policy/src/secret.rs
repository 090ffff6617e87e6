//! Where a secret comes from: the text of `secret.value` with its references. The secret itself is never here.

/// A header whose value holds secrets that the egress door fetches and attaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretTemplate {
    /// The header field's name, in lower case.
    pub header: Box<str>,
    /// The value's parts, in order. At least one of them is a reference.
    pub parts: Vec<SecretPart>,
}

impl SecretTemplate {
    /// What it is made of, by name: `env:NAME`, `file:PATH`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |part: &SecretPart| match part {
            SecretPart::Text(_) => None,
            SecretPart::Env(name) => Some(format!("env:{name}")),
            SecretPart::File(path) => Some(format!("file:{path}")),
        };
        self.parts.iter().filter_map(name).collect()
    }
}

/// A part of a secret header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPart {
    /// Plain text, such as `Bearer `.
    Text(Box<str>),
    /// `${env:NAME}`: the value of an environment variable, without white space at its edges.
    Env(Box<str>),
    /// `${file:PATH}`: the content of a file, without white space at its edges.
    File(Box<str>),
}
