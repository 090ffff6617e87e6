//! What the environment says of log and telemetry.

use super::{Environment, LOG, LOG_FORMAT, LogFilter, OTLP, SettingError, parse, set};
use crate::telemetry::Endpoint;

/// What a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object, for programs.
    Json,
}

/// Returns the filter that [`LOG`] describes.
///
/// # Errors
/// If it is not UTF-8, or not a filter.
pub fn log(env: &dyn Environment) -> Result<LogFilter, SettingError> {
    let text = parse(env, LOG, "`level` or `crate=level,…`", |text| Some(text.to_owned()))?;
    text.parse().map_err(|cause| SettingError::Log { value: text.escape_debug().to_string(), cause })
}

/// What [`LOG_FORMAT`] says.
///
/// # Errors
/// If it says anything else.
pub fn log_format(env: &dyn Environment) -> Result<LogFormat, SettingError> {
    parse(env, LOG_FORMAT, "`text` or `json`", |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    })
}

/// The collector that [`OTLP`] names.
pub(super) fn otlp(env: &dyn Environment) -> Result<Option<Endpoint>, SettingError> {
    let Some(value) = set(env, OTLP) else { return Ok(None) };
    let endpoint = value.to_str().and_then(|text| text.parse().ok());
    endpoint.map(Some).ok_or(SettingError::Collector)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use std::collections::BTreeMap;

    fn env(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn telemetry_is_off_unless_a_collector_is_named() {
        for env in [BTreeMap::new(), env(OTLP, "")] {
            assert_eq!(Settings::read(&env).unwrap().otlp, None);
        }
        let endpoint = "http://127.0.0.1:4318";
        assert_eq!(Settings::read(&env(OTLP, endpoint)).unwrap().otlp, endpoint.parse().ok());
    }

    #[test]
    fn a_collector_that_is_none_is_an_error_that_shows_no_key() {
        let errors = Settings::read(&env(OTLP, "http://user:hunter22@host?k=hunter22")).unwrap_err();
        assert_eq!(errors, [SettingError::Collector]);
        assert!(!errors[0].to_string().contains("hunter22"));
    }

    #[test]
    fn log_filter_is_info_unless_it_is_set() {
        for env in [BTreeMap::new(), env(LOG, "")] {
            assert_eq!(log(&env).unwrap(), "info".parse().unwrap());
        }
    }

    #[test]
    fn log_filter_error_says_what_to_write() {
        assert_eq!(
            log(&env(LOG, "inof")).unwrap_err().to_string(),
            "HAUSKI_LOG=`inof`: `inof` is not a level, did you mean `info`?; write `level` or `crate=level,…` with the \
             levels off, error, warn, info, debug and trace, or unset it for the default `info`"
        );
    }

    #[test]
    fn lines_are_text_or_json() {
        assert_eq!(log_format(&BTreeMap::new()), Ok(LogFormat::Text));
        assert_eq!(log_format(&env(LOG_FORMAT, "json")), Ok(LogFormat::Json));
        let error = log_format(&env(LOG_FORMAT, "JSON")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HAUSKI_LOG_FORMAT=`JSON`: write `text` or `json` instead, or unset it for the default `text`"
        );
    }
}
