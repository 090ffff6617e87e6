//! The field `traceparent` of a client (W3C Trace Context, level 1): the span that a request belongs to.
//!
//! Anything but the one form of version 00 counts as absent, as the recommendation says: the request begins a trace of its own.

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The client's span, if `headers` name one. `tracestate` is not looked at: it would be handed on unread.
pub(super) fn of(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all("traceparent").iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    parse(value.to_str().ok()?)
}

fn parse(text: &str) -> Option<SpanContext> {
    let rest = text.strip_prefix("00-")?;
    let mut parts = rest.split('-');
    let (trace, span, flags) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
    if parts.next().is_some() {
        return None;
    }
    let (trace, span) = (TraceId::from(trace), SpanId::from(u64::try_from(span).ok()?));
    // Of the flags, only this one is known.
    let flags = TraceFlags::new(u8::try_from(flags).ok()?) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

/// The value of so many hexadecimal digits in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (text.len() == digits && text.bytes().all(plain)).then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_a_parent() {
        let parent = parse(GOOD).unwrap();
        assert_eq!(parent.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span_id().to_string(), "00f067aa0ba902b7");
        assert!(parent.is_sampled() && parent.is_remote());
        for (flags, sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let parent = parse(&format!("{}{flags}", &GOOD[..53])).unwrap();
            assert_eq!((parent.is_sampled(), parent.trace_flags().to_u8() & !1), (sampled, 0), "{flags}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
        let twice = [("traceparent", GOOD), ("traceparent", GOOD)];
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        assert!(of(&headers(&twice)).is_none() && of(&headers(&[])).is_none());
        assert!(of(&headers(&twice[..1])).is_some());
    }
}
