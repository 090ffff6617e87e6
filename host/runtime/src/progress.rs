//! How far a request has come at its providers, as the host sees it: whether one has begun to answer, and how long they were
//! waited for. An adapter can't claim otherwise.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far a request has come at its providers. A clone shares it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Heads of answers that have come.
    answers: u32,
    /// Time for which at least one provider was waited for, those that are over.
    waited: Duration,
    /// Waits that are under way, and when the first of them began.
    waiting: u32,
    since: Option<Instant>,
}

impl Progress {
    /// How many heads of answers have come. What is asked again after one could be done twice.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.seen(|seen| seen.answers)
    }

    /// How long providers were waited for so far: connecting, sending and reading.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.seen(|seen| seen.waited + seen.since.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    /// A provider's head has come.
    pub(crate) fn answered(&self) {
        self.seen(|seen| seen.answers = seen.answers.saturating_add(1));
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

    #[test]
    fn an_answer_is_seen() {
        let progress = Progress::default();
        assert_eq!(progress.answers(), 0);
        progress.answered();
        assert_eq!(progress.clone().answers(), 1);
    }
}
