//! Anthropic's list of models as OpenAI's.
//!
//! In goes the answer to `GET /v1/models`; out come its entries with OpenAI's `object`, `created` and `owned_by` beside their own
//! members.

use hauski_adapter_sdk::{Error, Json, Object};

use crate::errors::{bad, error_told_by};

/// The entries of a list of models.
pub(crate) fn entries(list: &str) -> Result<Vec<Json>, Error> {
    let no_list = || bad("the provider's list of models has no array `data`");
    if let Some(error) = error_told_by(list) {
        return Err(error);
    }
    let object = Object::parse(list).map_err(|_| no_list())?;
    let items = object.get("data").and_then(|_| object.items("data").ok()).ok_or_else(no_list)?;
    items.iter().map(|item| entry(item).ok_or_else(|| bad("an entry of the provider's models is no object"))).collect()
}

fn entry(item: &str) -> Option<Json> {
    let mut entry = Object::parse(item).ok()?;
    let created: Option<String> = entry.read("created_at").ok().flatten();
    entry.remove("type");
    entry.set("object", "model").ok()?;
    entry.set("created", &created.as_deref().and_then(seconds).unwrap_or(0)).ok()?;
    entry.set("owned_by", "anthropic").ok()?;
    Some(entry.into_json())
}

/// Seconds since 1970 of a time such as `2025-02-19T00:00:00Z`. Anthropic gives all of them in UTC.
fn seconds(time: &str) -> Option<u64> {
    let part = |from: usize, to: usize| time.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their odd day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // The first of March of the year 0 lies so many days before 1970.
    Some(days.checked_sub(719_468)? * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_models() {
        let list = r#"{"data":[{"type":"model","id":"claude-x","display_name":"X","created_at":"2025-02-19T00:00:00Z","n":1.0}],"has_more":false}"#;
        let expected = r#"{"id":"claude-x","display_name":"X","created_at":"2025-02-19T00:00:00Z","n":1.0,"object":"model","created":1739923200,"owned_by":"anthropic"}"#;
        assert_eq!(entries(list), Ok(vec![expected.to_owned()]));
        assert_eq!(entries(r#"{"data":[]}"#), Ok(vec![]));
        for bad in ["", "[]", "{}", r#"{"data":{}}"#, r#"{"data":[7]}"#] {
            assert!(matches!(entries(bad), Err(Error::Upstream(_))), "{bad}");
        }
        let full = r#"{"type":"error","error":{"type":"overloaded_error","message":"full"}}"#;
        assert_eq!(entries(full), Err(crate::errors::error_in(full)));
    }

    #[test]
    fn times() {
        for (time, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00+00:00", Some(0)),
            ("2000-02-29T23:59:59Z", Some(951_868_799)),
            ("2024-03-01T00:00:00.5Z", Some(1_709_251_200)),
            ("2025-12-31T12:30:45Z", Some(1_767_184_245)),
            ("1969-12-31T00:00:00Z", None),
            ("2025-13-01T00:00:00Z", None),
            ("2025-00-01T00:00:00Z", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds(time), expected, "{time}");
        }
    }
}
