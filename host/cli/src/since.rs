//! A time that the command line names: a moment, a day, or how long ago.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Span, SpanRelativeTo, Timestamp};
use std::str::FromStr;

/// A time from which on something is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since(Timestamp);

/// Why a text is no [`Since`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSince;

impl Since {
    pub(crate) fn begin(self) -> Timestamp {
        self.0
    }
}

impl FromStr for Since {
    type Err = InvalidSince;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = || text.parse::<Timestamp>().ok();
        let day = || Offset::UTC.to_timestamp(text.parse::<Date>().ok()?.at(0, 0, 0, 0)).ok();
        moment().or_else(day).or_else(|| ago(text)).map(Self).ok_or(InvalidSince)
    }
}

/// `24h`, `7d`, `90min`. A day has 24 hours.
fn ago(text: &str) -> Option<Timestamp> {
    let span = text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    if span.is_negative() { None } else { Timestamp::now().checked_sub(span).ok() }
}

impl std::fmt::Display for InvalidSince {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("write a time such as `2026-11-22`, `2026-11-22T10:00:00Z`, or how long ago: `24h`, `7d`")
    }
}

impl std::error::Error for InvalidSince {}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn moments_days_and_spans() {
        let parse = |text: &str| text.parse::<Since>().map(|since| since.0.to_string());
        assert_eq!(parse("2026-11-22"), Ok("2026-11-22T00:00:00Z".to_owned()));
        assert_eq!(parse("2026-11-22T10:00:00+01:00"), Ok("2026-11-22T09:00:00Z".to_owned()));
        for (text, minutes) in [("24h", 24 * 60), ("7d", 168 * 60), ("1w", 168 * 60), ("90min", 90)] {
            let since = text.parse::<Since>().unwrap().0;
            let off = Timestamp::now().duration_since(since) - SignedDuration::from_mins(minutes);
            // Clocks are set back now and then.
            assert!(off.abs() < SignedDuration::from_mins(1), "{text}: {off}");
        }
        for bad in ["", "yesterday", "-24h", "24", "2026-13-01", "1000000y"] {
            assert_eq!(parse(bad), Err(InvalidSince), "{bad}");
        }
    }
}
