//! Durations of chat requests, at this moment and over the last minutes: until the first token of a stream, what the gateway adds, and
//! in all.
//!
//! In goes each request, for the price of one addition a measure; out come percentiles. What requests add to only ever grows: every
//! ten seconds the console notes how it stands, and what lies between two notes is a step. So the way of a request has no lock and no
//! clock of its own. Durations fall into buckets of a sixteenth of their size, so that a percentile is at most that much too high.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a step is.
pub(crate) const STEP: Duration = Duration::from_secs(10);
/// So many of them are kept, besides the one that is under way.
pub(super) const STEPS: usize = 60;

/// Each power of two has 16 buckets; the last one, of 2³⁰ microseconds, takes what is longer.
const BUCKETS: usize = 16 * (30 - 3) + 1;

/// The paths whose requests are counted: those that ask a model for a chat completion, in whichever dialect.
const PATHS: [&str; 4] = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"];

/// A duration that the console shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// From a streaming request's last byte to the first chunk of its answer.
    FirstToken,
    /// The gateway's own part of the time until an answer, or its first chunk, is there.
    Added,
    /// From a request's head to the end of its answer.
    Whole,
}

/// The counts since the start.
pub(crate) struct Pace {
    durations: [[AtomicU64; BUCKETS]; MEASURES],
    failed: AtomicU64,
}

/// The number of measures.
const MEASURES: usize = 3;

impl Default for Pace {
    fn default() -> Self {
        Self { durations: [const { [const { AtomicU64::new(0) }; BUCKETS] }; MEASURES], failed: AtomicU64::new(0) }
    }
}

impl Pace {
    /// Counts a duration.
    pub(crate) fn count(&self, measure: Measure, took: Duration) {
        self.durations[measure as usize][bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a finished request. One that was refused says nothing of how long answers take, and is left out.
    pub(crate) fn note(&self, path: &str, status: &str, took: Duration) {
        if !PATHS.contains(&path) {
            return;
        }
        match status.as_bytes().first() {
            Some(b'2') => self.count(Measure::Whole, took),
            Some(b'5') => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn counts(&self) -> Counts {
        let load = |counts: &[AtomicU64; BUCKETS]| counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Counts { durations: self.durations.each_ref().map(load), failed: self.failed.load(Ordering::Relaxed) }
    }
}

/// How it stood at one moment.
struct Counts {
    durations: [Vec<u64>; MEASURES],
    failed: u64,
}

/// The requests that ended within some time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    durations: [Durations; MEASURES],
    /// Requests that failed.
    pub(super) failed: u64,
}

/// Durations of one measure: buckets and how many fell into each, ascending; only those that have any.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Durations(Vec<(usize, u64)>);

impl Step {
    fn between(before: &Counts, after: &Counts) -> Self {
        let durations = std::array::from_fn(|measure| {
            let (before, after) = (&before.durations[measure], &after.durations[measure]);
            Durations::of(after.iter().zip(before).map(|(after, before)| after.saturating_sub(*before)))
        });
        Self { durations, failed: after.failed.saturating_sub(before.failed) }
    }

    /// Several together.
    pub(super) fn sum<'a>(steps: impl Iterator<Item = &'a Self>) -> Self {
        let (mut counts, mut failed) = ([[0; BUCKETS]; MEASURES], 0);
        for step in steps {
            for (counts, durations) in counts.iter_mut().zip(&step.durations) {
                durations.0.iter().for_each(|(bucket, count)| counts[*bucket] += count);
            }
            failed += step.failed;
        }
        Self { durations: counts.map(|counts| Durations::of(counts.into_iter())), failed }
    }

    /// Returns the durations of one measure.
    pub(super) fn of(&self, measure: Measure) -> &Durations {
        &self.durations[measure as usize]
    }

    /// Returns how many requests ended, answered or failed.
    pub(super) fn ended(&self) -> u64 {
        self.of(Measure::Whole).count() + self.failed
    }
}

impl Durations {
    fn of(counts: impl Iterator<Item = u64>) -> Self {
        Self(counts.enumerate().filter(|(_, count)| *count > 0).collect())
    }

    /// Returns their number.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The duration that so many of a hundred requests did not exceed; `None` where there were none.
    pub(super) fn percentile(&self, percent: u64) -> Option<Duration> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        found.map(|(bucket, _)| end(*bucket))
    }
}

/// The last steps, and where the one that is under way began.
pub(crate) struct History(Mutex<Inner>);

struct Inner {
    steps: VecDeque<Step>,
    before: Counts,
    began: Instant,
}

/// What is known of the pace at a moment.
#[derive(Clone, Debug)]
pub(super) struct Recently {
    /// The steps, the oldest first; the last one is under way.
    pub(super) steps: Vec<Step>,
    /// How long the last one is by now.
    pub(super) under_way: Duration,
}

impl Default for History {
    fn default() -> Self {
        let before = Counts { durations: std::array::from_fn(|_| vec![0; BUCKETS]), failed: 0 };
        Self(Mutex::new(Inner { steps: VecDeque::new(), before, began: Instant::now() }))
    }
}

impl History {
    /// Ends the step that is under way.
    pub(crate) fn step(&self, pace: &Pace) {
        let (mut inner, now) = (self.lock(), pace.counts());
        let step = Step::between(&inner.before, &now);
        if inner.steps.len() == STEPS {
            inner.steps.pop_front();
        }
        inner.steps.push_back(step);
        (inner.before, inner.began) = (now, Instant::now());
    }

    pub(super) fn recently(&self, pace: &Pace) -> Recently {
        let inner = self.lock();
        let last = Step::between(&inner.before, &pace.counts());
        Recently { steps: inner.steps.iter().cloned().chain([last]).collect(), under_way: inner.began.elapsed() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recently {
    /// Requests a second, over the last whole step and the one under way.
    pub(super) fn rate(&self) -> f64 {
        let newest = &self.steps[self.steps.len().saturating_sub(2)..];
        let whole = STEP * u32::from(newest.len() > 1);
        let requests: u64 = newest.iter().map(Step::ended).sum();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let requests = requests as f64;
        requests / (whole + self.under_way).as_secs_f64().max(1.0)
    }
}

/// The bucket of a duration.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, 1 << 30);
    let power = micros.ilog2();
    if power < 4 {
        return usize::try_from(micros).unwrap_or_default();
    }
    // The power of two, and the four bits behind its first.
    let sixteenth = usize::try_from((micros >> (power - 4)) & 15).unwrap_or_default();
    (power as usize - 3) * 16 + sixteenth
}

/// The longest duration of a bucket.
fn end(bucket: usize) -> Duration {
    let (power, sixteenth) = (bucket / 16, bucket as u64 % 16);
    let micros = match power.checked_sub(1) {
        None => sixteenth,
        Some(shift) => ((16 + sixteenth + 1) << shift) - 1,
    };
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_falls_into_them_and_are_narrow() {
        let mut last = 0;
        for micros in (1..5_000).chain((5_000..2_000_000).step_by(997)).chain([1 << 29, (1 << 30) - 1, 1 << 30]) {
            let took = Duration::from_micros(micros);
            let bucket = bucket(took);
            assert!(bucket >= last && bucket < BUCKETS, "{micros}");
            assert!(end(bucket) >= took && end(bucket).as_micros() * 16 <= took.as_micros() * 17, "{micros}");
            last = bucket;
        }
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (1, BUCKETS - 1));
    }

    fn note(pace: &Pace, millis: impl IntoIterator<Item = u64>) {
        millis.into_iter().for_each(|ms| pace.note("/v1/chat/completions", "200", Duration::from_millis(ms)));
    }

    #[test]
    fn percentiles_are_those_of_their_step() {
        let (pace, history) = (Pace::default(), History::default());
        note(&pace, 1..=100);
        history.step(&pace);
        note(&pace, [1_000; 3]);
        pace.note("/v1/messages", "502", Duration::ZERO);
        let recently = history.recently(&pace);
        let [first, last] = &recently.steps[..] else { panic!("{recently:?}") };
        for (percent, ms) in [(50, 50), (95, 95), (99, 99), (100, 100)] {
            let found = first.of(Measure::Whole).percentile(percent).unwrap().as_micros();
            assert!((ms * 1_000..=ms * 1_063).contains(&found), "p{percent}: {found}");
        }
        let count = |step: &Step| step.of(Measure::Whole).count();
        assert_eq!((count(first), count(last), first.failed, last.failed), (100, 3, 0, 1));
        assert!(last.of(Measure::Whole).percentile(50) > Some(Duration::from_millis(999)));
        let all = Step::sum(recently.steps.iter());
        assert_eq!((count(&all), all.failed, all.ended()), (103, 1, 104));
        assert_eq!(Durations::default().percentile(95), None);
    }

    #[test]
    fn measures_are_counted_apart() {
        let (pace, history) = (Pace::default(), History::default());
        pace.count(Measure::Added, Duration::from_millis(2));
        history.step(&pace);
        pace.count(Measure::Added, Duration::from_millis(4));
        pace.count(Measure::FirstToken, Duration::from_millis(300));
        note(&pace, [5_000]);
        let all = Step::sum(history.recently(&pace).steps.iter());
        for (measure, count, least, most) in
            [(Measure::Added, 2, 4, 5), (Measure::FirstToken, 1, 300, 319), (Measure::Whole, 1, 5_000, 5_400)]
        {
            let durations = all.of(measure);
            let p95 = durations.percentile(95).unwrap();
            assert_eq!(durations.count(), count, "{measure:?}");
            assert!((Duration::from_millis(least)..Duration::from_millis(most)).contains(&p95), "{measure:?}: {p95:?}");
        }
        assert_eq!(all.ended(), 1, "a request counts once");
    }

    /// Refusals are quick, and would make answers look quick; other paths are no answers at all.
    #[test]
    fn only_answers_count() {
        let (pace, history) = (Pace::default(), History::default());
        for (path, status) in
            [("/v1/chat/completions", "429"), ("/v1/responses", "499"), ("/health", "200"), ("/v1/embeddings", "200")]
        {
            pace.note(path, status, Duration::from_millis(1));
        }
        assert_eq!(history.recently(&pace).steps, [Step::default()]);
    }

    #[test]
    fn what_is_old_goes() {
        let (pace, history) = (Pace::default(), History::default());
        for _ in 0..2 * STEPS {
            note(&pace, [1]);
            history.step(&pace);
        }
        let recently = history.recently(&pace);
        assert_eq!((recently.steps.len(), Step::sum(recently.steps.iter()).ended()), (STEPS + 1, STEPS as u64));
        assert!(recently.rate() > 0.05 && recently.rate() <= 0.1, "{}", recently.rate());
    }
}
