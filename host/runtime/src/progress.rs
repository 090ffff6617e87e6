//! How far a request has come at its providers, as the host sees it: whether one has begun to answer, and how long they were
//! waited for. An adapter can't claim otherwise.

use hauski_egress::{DnsError, EgressError};
use http::{HeaderMap, HeaderValue, header};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far a request has come at its providers. A clone shares it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Seen>>);

/// Which time-out has ended a request to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedOut {
    /// No connection in time (limit `connect_ms`).
    Connect,
    /// No answer in time (limit `first_token_ms`).
    FirstToken,
    /// The answer stalled (limit `idle_ms`).
    Idle,
}

#[derive(Debug, Default)]
struct Seen {
    /// Heads of answers that have come.
    answers: u32,
    /// When the last of them asks to come back.
    retry_after: Option<HeaderValue>,
    /// Time for which at least one provider was waited for, those that are over.
    waited: Duration,
    /// Waits that are under way, and when the first of them began.
    waiting: u32,
    since: Option<Instant>,
    /// The time-out that ended the last request which one has ended.
    timed_out: Option<TimedOut>,
}

impl Progress {
    /// How many heads of answers have come. What is asked again after one could be done twice.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.seen(|seen| seen.answers)
    }

    /// Whether a provider has been waited for at all.
    #[must_use]
    pub fn began(&self) -> bool {
        self.seen(|seen| seen.since.is_some() || seen.waited > Duration::ZERO)
    }

    /// How long others were waited for so far: resolving, connecting, sending, reading, and pauses between tries.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.seen(|seen| seen.waited + seen.since.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    /// The time-out that ended the last request which one has ended.
    #[must_use]
    pub fn timed_out(&self) -> Option<TimedOut> {
        self.seen(|seen| seen.timed_out)
    }

    /// When the last answer asks to come back: the value of its `Retry-After` field as it came (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<HeaderValue> {
        self.seen(|seen| seen.retry_after.clone())
    }

    /// A request to a provider has failed.
    pub(crate) fn failed(&self, error: &EgressError) {
        let timed_out = match error {
            EgressError::Dns(DnsError::Timeout) | EgressError::ConnectTimeout => TimedOut::Connect,
            EgressError::FirstByteTimeout => TimedOut::FirstToken,
            EgressError::IdleTimeout => TimedOut::Idle,
            // It has answered; only its answer is none that could be handed on.
            EgressError::SwitchingProtocols
            | EgressError::ResponseHead
            | EgressError::Unreadable
            | EgressError::ResponseTooLarge { .. } => return self.answered(&HeaderMap::new()),
            EgressError::Broken(broken) if broken.is_parse() => return self.answered(&HeaderMap::new()),
            _ => return,
        };
        self.seen(|seen| seen.timed_out = Some(timed_out));
    }

    /// A provider's head has come, with these fields.
    pub(crate) fn answered(&self, fields: &HeaderMap) {
        self.seen(|seen| {
            seen.answers = seen.answers.saturating_add(1);
            seen.retry_after = fields.get(header::RETRY_AFTER).cloned();
        });
    }

    /// Waits for `others`, such as a provider's answer or a pause before it is asked again. What is done before there is anything to wait
    /// for is the gateway's own; from there to the end, time is the others'. They are pinned by the caller: a copy would be large.
    pub async fn wait_for<T>(&self, mut others: Pin<&mut impl Future<Output = T>>) -> T {
        let mut waiting = None;
        poll_fn(|context| {
            let poll = others.as_mut().poll(context);
            if poll.is_pending() {
                waiting.get_or_insert_with(|| self.wait());
            }
            poll
        })
        .await
    }

    /// A provider is waited for until the result is dropped. Waits that overlap count once.
    pub(crate) fn wait(&self) -> Waiting {
        self.seen(|seen| {
            seen.waiting += 1;
            seen.since.get_or_insert_with(Instant::now);
        });
        Waiting(self.clone())
    }

    fn seen<T>(&self, f: impl FnOnce(&mut Seen) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A provider is waited for while this lives.
pub(crate) struct Waiting(Progress);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.seen(|seen| {
            seen.waiting -= 1;
            if seen.waiting == 0 {
                seen.waited += seen.since.take().map_or(Duration::ZERO, |since| since.elapsed());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::thread::sleep;

    #[test]
    fn waits_that_overlap_count_once() {
        let (progress, step) = (Progress::default(), Duration::from_millis(20));
        let first = progress.wait();
        sleep(step);
        let second = progress.clone().wait();
        sleep(step);
        drop(first);
        assert!(progress.waited() >= 2 * step, "a wait under way counts");
        drop(second);
        let waited = progress.waited();
        assert!((2 * step..4 * step).contains(&waited), "{waited:?}");
        sleep(step);
        assert_eq!(progress.waited(), waited);
    }

    #[tokio::test]
    async fn what_is_done_at_once_is_no_wait() {
        let (progress, step) = (Progress::default(), Duration::from_millis(20));
        progress.wait_for(pin!(async { sleep(step) })).await;
        assert_eq!(progress.waited(), Duration::ZERO);
        progress.wait_for(pin!(tokio::time::sleep(step))).await;
        let waited = progress.waited();
        assert!(waited >= step, "{waited:?}");
        // Given up, it is over as well.
        let never = pin!(std::future::pending::<()>());
        assert!(tokio::time::timeout(step, progress.wait_for(never)).await.is_err());
        let waited = progress.waited();
        assert!(waited >= 2 * step, "{waited:?}");
        sleep(step);
        assert_eq!(progress.waited(), waited);
    }

    #[test]
    fn an_answer_is_seen() {
        let progress = Progress::default();
        assert_eq!(progress.answers(), 0);
        progress.answered(&HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("7"))]));
        assert_eq!((progress.clone().answers(), progress.retry_after()), (1, Some(HeaderValue::from_static("7"))));
        progress.answered(&HeaderMap::new());
        assert_eq!((progress.answers(), progress.retry_after()), (2, None));
    }

    /// What has answered is not asked again, also where its answer could not be handed on.
    #[test]
    fn an_answer_that_is_not_handed_on_is_one() {
        let progress = Progress::default();
        for (error, answers) in [
            (EgressError::ResponseTooLarge { limit: 1 }, 1),
            (EgressError::Unreadable, 2),
            (EgressError::ResponseHead, 3),
            (EgressError::SwitchingProtocols, 4),
            (EgressError::FirstByteTimeout, 4),
            (EgressError::Withdrawn, 4),
        ] {
            progress.failed(&error);
            assert_eq!(progress.answers(), answers, "{error:?}");
        }
    }
}
