//! What becomes of a request that a model did not answer: it is tried again there, asked of the next model, or refused.
//!
//! All of it before the first byte of an answer has reached the client; so nothing is ever said twice. What a provider has begun
//! to answer is not asked of it again, whatever the adapter says: the host has seen the head of the answer itself.

use hauski_runtime::{AdapterError, CallError, Full};
use http::HeaderValue;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

/// The pause before the first try after a failure; it doubles with each.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest that a provider may ask to wait and is waited for. Who asks for more is told the client.
const PATIENCE: Duration = Duration::from_secs(2);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Tell the client.
    Tell,
    /// Ask another model, if there is one.
    Elsewhere,
    /// Try again after a pause, or ask another model where no try is left.
    Again(Duration),
}

/// What a failure says of the provider's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered, if only to refuse.
    Well,
    /// It can't be used.
    Ill,
    /// Nothing.
    Unknown,
}

impl Health {
    /// `well`, `ill` or `unknown`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Ill => "ill",
            Self::Unknown => "unknown",
        }
    }
}

/// A try that failed.
pub(crate) struct Tried<'a> {
    pub(crate) error: &'a CallError,
    /// Whether the provider's head had come.
    pub(crate) answered: bool,
    /// When its answer asks to come back.
    pub(crate) retry_after: Option<HeaderValue>,
    /// How often the model has been tried, from 1.
    pub(crate) tries: u32,
    /// How long this try took.
    pub(crate) took: Duration,
}

impl Tried<'_> {
    /// What it means for the request and for the model.
    pub(crate) fn judge(&self) -> (Next, Health) {
        match self.error {
            CallError::Adapter(error) => match error {
                AdapterError::InvalidRequest(_) => (Next::Tell, Health::Unknown),
                AdapterError::ModelNotFound(_) | AdapterError::Unauthorized(_) => (Next::Elsewhere, Health::Well),
                AdapterError::RateLimited(limit) => {
                    let asked = limit.retry_after.as_deref().or(self.asked());
                    (asked.map_or(Next::Elsewhere, when), Health::Well)
                }
                // A status of its own is a whole answer: nothing was done.
                AdapterError::Upstream(failure) if failure.retryable => {
                    let health = if failure.status >= 500 { Health::Ill } else { Health::Well };
                    (self.asked().map_or_else(|| self.again(), when), health)
                }
                AdapterError::Upstream(failure) if failure.status < 500 => (Next::Tell, Health::Well),
                AdapterError::Upstream(_) => (Next::Elsewhere, Health::Unknown),
                AdapterError::Unreachable(_) if self.answered => (Next::Elsewhere, Health::Unknown),
                AdapterError::Unreachable(_) => (self.again(), Health::Ill),
                AdapterError::Timeout(_) => (Next::Elsewhere, Health::Ill),
                AdapterError::Denied | AdapterError::Internal(_) => (Next::Elsewhere, Health::Unknown),
            },
            // The provider has given the answer, and counts it. Another one would count it again.
            CallError::Busy(Full::Memory { .. }) if self.answered => (Next::Tell, Health::Unknown),
            CallError::NotServed(_) | CallError::Busy(_) => (Next::Elsewhere, Health::Unknown),
            // Another model may have more time. This one is to blame if most of it was its own.
            CallError::TotalTimeout(limit) if self.took * 2 < *limit => (Next::Elsewhere, Health::Unknown),
            CallError::TotalTimeout(_) => (Next::Elsewhere, Health::Ill),
            CallError::ComputedTooLong(_)
            | CallError::OutOfMemory(_)
            | CallError::HandedOverTooMuch(_)
            | CallError::Trapped(_) => (Next::Elsewhere, Health::Unknown),
        }
    }

    /// When the client may come back, where the provider says so and only asks for time.
    pub(crate) fn come_back(self) -> Option<HeaderValue> {
        match self.error {
            CallError::Adapter(AdapterError::RateLimited(_)) => self.retry_after,
            CallError::Adapter(AdapterError::Upstream(failure)) if failure.retryable => self.retry_after,
            _ => None,
        }
    }

    fn again(&self) -> Next {
        Next::Again(jitter(PAUSE * 2_u32.saturating_pow(self.tries.saturating_sub(1).min(5))))
    }

    fn asked(&self) -> Option<&str> {
        self.retry_after.as_ref()?.to_str().ok()
    }
}

/// When to try again where the provider says so: not before, and not all at once. What asks for too much is the client's to wait for.
fn when(retry_after: &str) -> Next {
    match seconds_of(retry_after) {
        Some(wait) if wait <= PATIENCE => Next::Again(wait + jitter(PAUSE)),
        Some(_) | None => Next::Elsewhere,
    }
}

/// Half of `pause` to all of it, so that those who failed together don't come back together.
fn jitter(pause: Duration) -> Duration {
    // The hasher's keys are random, and differ from one to the next.
    let random = RandomState::new().hash_one(0) % 1_000;
    pause / 2 + pause * u32::try_from(random).unwrap_or(0) / 2_000
}

/// How long the value of a `Retry-After` field asks to wait: seconds or a date (RFC 9110, section 10.2.3).
fn seconds_of(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauski_runtime::{RateLimit, UpstreamFailure};

    fn text() -> String {
        "x".to_owned()
    }

    fn upstream(status: u16, retryable: bool) -> CallError {
        CallError::Adapter(AdapterError::Upstream(UpstreamFailure { status, message: text(), retryable, body: None }))
    }

    fn limited(retry_after: Option<&str>) -> CallError {
        let retry_after = retry_after.map(str::to_owned);
        CallError::Adapter(AdapterError::RateLimited(RateLimit { message: text(), retry_after, body: None }))
    }

    fn judge(error: &CallError, answered: bool, retry_after: Option<&str>, tries: u32) -> (Next, Health) {
        let retry_after = retry_after.map(|value| HeaderValue::from_str(value).unwrap());
        Tried { error, answered, retry_after, tries, took: LIMIT / 2 }.judge()
    }

    /// The total time of a request.
    const LIMIT: Duration = Duration::from_secs(60);

    #[track_caller]
    fn check_after(error: CallError, answered: bool, retry_after: Option<&str>, next: &str, health: Health) {
        let (found, state) = judge(&error, answered, retry_after, 1);
        let word = match found {
            Next::Tell => "tell".to_owned(),
            Next::Elsewhere => "elsewhere".to_owned(),
            Next::Again(pause) if pause <= PAUSE => "again".to_owned(),
            Next::Again(pause) => format!("again after {} s", pause.as_secs()),
        };
        assert_eq!((&*word, state), (next, health), "{error:?}");
    }

    #[track_caller]
    fn check(error: CallError, answered: bool, next: &str, health: Health) {
        check_after(error, answered, None, next, health);
    }

    #[test]
    fn what_happens_next() {
        let adapter = CallError::Adapter;
        check(adapter(AdapterError::InvalidRequest(text())), false, "tell", Health::Unknown);
        check(adapter(AdapterError::ModelNotFound(text())), true, "elsewhere", Health::Well);
        check(adapter(AdapterError::Unauthorized(text())), true, "elsewhere", Health::Well);
        check(adapter(AdapterError::Unreachable(text())), false, "again", Health::Ill);
        check(adapter(AdapterError::Unreachable(text())), true, "elsewhere", Health::Unknown);
        check(adapter(AdapterError::Timeout(text())), false, "elsewhere", Health::Ill);
        check(adapter(AdapterError::Denied), false, "elsewhere", Health::Unknown);
        check(adapter(AdapterError::Internal(text())), false, "elsewhere", Health::Unknown);
        check(upstream(503, true), true, "again", Health::Ill);
        check(upstream(408, true), true, "again", Health::Well);
        check(upstream(422, false), true, "tell", Health::Well);
        check(upstream(502, false), true, "elsewhere", Health::Unknown);
        check(limited(None), true, "elsewhere", Health::Well);
        check(limited(Some("1")), true, "again after 1 s", Health::Well);
        check(limited(Some("3")), true, "elsewhere", Health::Well);
        check(limited(Some("soon")), true, "elsewhere", Health::Well);
        check(CallError::Busy(Full::Pool), false, "elsewhere", Health::Unknown);
        check(CallError::Busy(Full::Memory { total: 1 }), false, "elsewhere", Health::Unknown);
        check(CallError::Busy(Full::Memory { total: 1 }), true, "tell", Health::Unknown);
        check(CallError::TotalTimeout(LIMIT), false, "elsewhere", Health::Ill);
        check(CallError::TotalTimeout(LIMIT * 2), false, "elsewhere", Health::Unknown);
        check(CallError::Trapped(text()), false, "elsewhere", Health::Unknown);
    }

    #[test]
    fn what_a_provider_asks_for_is_done() {
        let check = |error, retry_after, next, health| check_after(error, true, Some(retry_after), next, health);
        check(upstream(503, true), "2", "again after 2 s", Health::Ill);
        check(upstream(529, true), "30", "elsewhere", Health::Ill);
        check(upstream(408, true), "0", "again", Health::Well);
        check(upstream(422, false), "1", "tell", Health::Well);
        check(limited(None), "1", "again after 1 s", Health::Well);
        check(limited(Some("3")), "1", "elsewhere", Health::Well);
    }

    #[test]
    fn pauses_grow_and_differ() {
        let pauses: Vec<_> = (0..50).map(|_| jitter(PAUSE)).collect();
        assert!(pauses.iter().all(|pause| (PAUSE / 2..=PAUSE).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        let (Next::Again(third), _) = judge(&upstream(503, true), true, None, 3) else { panic!("not again") };
        assert!((2 * PAUSE..=4 * PAUSE).contains(&third), "{third:?}");
    }

    #[test]
    fn what_retry_after_says() {
        assert_eq!(seconds_of(" 7 "), Some(Duration::from_secs(7)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(10));
        assert!(seconds_of(&date).is_some_and(|wait| wait > Duration::from_secs(8) && wait < Duration::from_secs(11)));
        assert_eq!(seconds_of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(seconds_of("-1"), None);
    }
}
