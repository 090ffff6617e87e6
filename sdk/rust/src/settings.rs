//! The configuration of the model that the request is for: its `config` in `policies/models.yml`.

use serde::de::DeserializeOwned;

use crate::Error;
use crate::bindings::imports::hauski::adapter::settings;

/// The value of `key`; `None` if it is not set, or set to null.
///
/// # Errors
/// `internal` if the value is something else than a `T`: the operator has to mend it.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    match settings::get(key) {
        Some(text) => read(key, &text),
        None => Ok(None),
    }
}

/// The value of `key`, which must be set.
///
/// # Errors
/// `internal` if it is not set, or is something else than a `T`.
pub fn required<T: DeserializeOwned>(key: &str) -> Result<T, Error> {
    get(key)?.ok_or_else(|| Error::Internal(format!("the model's `config` has no `{key}`")))
}

fn read<T: DeserializeOwned>(key: &str, text: &str) -> Result<Option<T>, Error> {
    serde_json::from_str(text).map_err(|error| Error::Internal(format!("`{key}` of the model's `config`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(read::<String>("k", r#""v""#).unwrap().as_deref(), Some("v"));
        assert_eq!(read::<String>("k", "null").unwrap(), None);
        assert!(
            matches!(read::<String>("k", "7"), Err(Error::Internal(message)) if message.starts_with("`k` of the model's `config`: "))
        );
    }
}
