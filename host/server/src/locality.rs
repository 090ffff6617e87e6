//! `x-hauski-locality: local-only`: a client's word that its prompt may not leave this machine and what the policy calls local.
//!
//! It is only read here. That it holds is the door's to see to, whatever routes and adapters do.

use crate::error::ApiError;
use hauski_runtime::{AdapterError, CallError};
use http::{HeaderMap, HeaderName};

/// The request's field.
pub(crate) const LOCALITY: HeaderName = HeaderName::from_static("x-hauski-locality");

/// Whether the request is to stay local.
///
/// # Errors
/// If the field says anything else: who writes it means something by it.
pub(crate) fn local_only(headers: &HeaderMap) -> Result<bool, ApiError> {
    let mut values = headers.get_all(LOCALITY).iter().peekable();
    if values.peek().is_none() {
        return Ok(false);
    }
    if values.all(|value| value == "local-only") {
        return Ok(true);
    }
    let message = "`x-hauski-locality` can only be `local-only`: write that, or leave the field out";
    Err(ApiError::invalid("invalid_locality", None, message))
}

/// The answer for `error`; where the request was `held` to what is local, a denial is most likely for that reason.
pub(crate) fn explain(error: CallError, held: bool) -> ApiError {
    if held && matches!(error, CallError::Adapter(AdapterError::Denied)) { ApiError::not_local() } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_field_can_say() {
        for (values, expected) in [
            (&[][..], Some(false)),
            (&["local-only"], Some(true)),
            (&["local-only", "local-only"], Some(true)),
            (&["local"], None),
            (&[""], None),
            (&["Local-Only"], None),
            (&["local-only, cloud"], None),
            (&["local-only", "cloud"], None),
        ] {
            let headers = values.iter().map(|value| (LOCALITY, value.parse().unwrap())).collect();
            assert_eq!(local_only(&headers).ok(), expected, "{values:?}");
        }
    }
}
