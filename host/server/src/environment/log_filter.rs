//! The filter of the log: which targets write, and from which level on.
//!
//! A misspelled level is an error. `tracing_subscriber::EnvFilter` reads it as a target, which silences everything else.

use hauski_policy::did_you_mean;
use std::str::FromStr;
use tracing::level_filters::LevelFilter;

/// The levels, from none to all.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// A filter of the log, parsed from `level` or `crate=level,…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// The level of targets that are not named; off if none is given.
    pub level: LevelFilter,
    /// The level of each named target and of the modules below it.
    pub targets: Vec<(Box<str>, LevelFilter)>,
}

/// An error in the text of a [`LogFilter`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFilterError {
    /// A word without `=`, or behind one, that is no level.
    #[error("`{word}` is not a level{}", suggestion.map(|level| format!(", did you mean `{level}`?")).unwrap_or_default())]
    UnknownLevel {
        /// The word, escaped.
        word: String,
        /// The level that is closest to it.
        suggestion: Option<&'static str>,
    },
    /// Nothing between two commas, or before the first or behind the last.
    #[error("an item is empty")]
    EmptyItem,
    /// Nothing before or behind `=`.
    #[error("`{0}` is not complete")]
    Incomplete(String),
    /// A target with characters that no target has, such as a filter for spans.
    #[error("`{0}` is not a target; filters for spans and fields are not supported")]
    InvalidTarget(String),
    /// More than one level without a target.
    #[error("more than one level stands without a target")]
    SecondLevel,
    /// A target that is named more than once.
    #[error("the target `{0}` is named more than once")]
    SecondTarget(String),
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, LogFilterError> {
        let (mut level, mut targets) = (None, Vec::<(Box<str>, LevelFilter)>::new());
        for item in text.split(',').map(str::trim) {
            let Some((target, word)) = item.split_once('=') else {
                if level.replace(parse_level(item)?).is_some() {
                    return Err(LogFilterError::SecondLevel);
                }
                continue;
            };
            if target.is_empty() || word.is_empty() {
                return Err(LogFilterError::Incomplete(escaped(item)));
            }
            if !is_target(target) {
                return Err(LogFilterError::InvalidTarget(escaped(target)));
            }
            if targets.iter().any(|(other, _)| **other == *target) {
                return Err(LogFilterError::SecondTarget(escaped(target)));
            }
            targets.push((target.into(), parse_level(word)?));
        }
        Ok(Self { level: level.unwrap_or(LevelFilter::OFF), targets })
    }
}

/// Parses a level in any case.
fn parse_level(word: &str) -> Result<LevelFilter, LogFilterError> {
    if let Some((_, level)) = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        return Ok(*level);
    }
    if word.is_empty() {
        return Err(LogFilterError::EmptyItem);
    }
    if word.contains(['[', ']', '{', '}']) {
        return Err(LogFilterError::InvalidTarget(escaped(word)));
    }
    let suggestion = did_you_mean(word, &LEVELS.map(|(name, _)| name));
    Err(LogFilterError::UnknownLevel { word: escaped(word), suggestion })
}

/// Returns whether `text` can be a module's path, such as `hauski_runtime::log`.
fn is_target(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-:.".contains(&b))
}

fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, level: LevelFilter, targets: &[(&str, LevelFilter)]) {
        let targets = targets.iter().map(|(target, level)| (Box::from(*target), *level)).collect();
        assert_eq!(text.parse(), Ok(LogFilter { level, targets }), "{text}");
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = text.parse::<LogFilter>().unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }

    #[test]
    fn filter_parses_levels_and_targets() {
        for (name, level) in LEVELS {
            check(name, level, &[]);
            check(&name.to_uppercase(), level, &[]);
            check(&format!("a={name}"), LevelFilter::OFF, &[("a", level)]);
        }
        check("info,hauski_runtime::log=off", LevelFilter::INFO, &[("hauski_runtime::log", LevelFilter::OFF)]);
        check("hyper=Warn, debug", LevelFilter::DEBUG, &[("hyper", LevelFilter::WARN)]);
    }

    #[test]
    fn filter_rejects_what_is_no_level() {
        check_error("inof", "`inof` is not a level, did you mean `info`?");
        check_error("debgu,hyper=info", "`debgu` is not a level, did you mean `debug`?");
        check_error("hauski=wran", "`wran` is not a level, did you mean `warn`?");
        check_error("hauski=loud", "`loud` is not a level");
        check_error("hauski_server", "`hauski_server` is not a level");
        check_error("3", "`3` is not a level");
        check_error("a\u{1b}[31m", "`a\\u{1b}[31m` is not a target; filters for spans and fields are not supported");
        check_error("a=b=info", "`b=info` is not a level");
    }

    #[test]
    fn filter_rejects_items_that_name_nothing() {
        for text in ["", " ", "info,", ",info", "info,,hyper=warn"] {
            check_error(text, "an item is empty");
        }
        for item in ["=info", "=", "hyper="] {
            check_error(&format!("info,{item}"), &format!("`{item}` is not complete"));
        }
    }

    #[test]
    fn filter_rejects_spans_and_repetitions() {
        for target in ["[span]", "a[span]", "a[span{field}]", "a b"] {
            let expected = format!("`{target}` is not a target; filters for spans and fields are not supported");
            check_error(&format!("{target}=info"), &expected);
        }
        check_error("[span]", "`[span]` is not a target; filters for spans and fields are not supported");
        check_error("info,debug", "more than one level stands without a target");
        check_error("a=info,a=debug", "the target `a` is named more than once");
    }
}
