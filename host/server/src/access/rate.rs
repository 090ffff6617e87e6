//! How many requests a key may send: a bucket that holds a minute's worth, and fills evenly.
//!
//! Workers share it. It is kept as the one moment at which it will be full, so that there is nothing to fill, and a limit that
//! changes finds it as it stands.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// A key's bucket; full at first.
#[derive(Default)]
pub(super) struct Bucket {
    /// When it will be full again. The clock never goes back.
    full: Mutex<Option<Instant>>,
}

impl Bucket {
    /// Takes out one of `limit` requests in a minute.
    ///
    /// # Errors
    /// How long it takes until there is one. Nothing is taken then.
    pub(super) fn take(&self, limit: u32) -> Result<(), Duration> {
        self.take_at(limit, Instant::now())
    }

    fn take_at(&self, limit: u32, now: Instant) -> Result<(), Duration> {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let then = full.filter(|full| *full > now).unwrap_or(now) + MINUTE / limit.max(1);
        let missing = then - now;
        if missing > MINUTE {
            return Err(missing - MINUTE);
        }
        *full = Some(then);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_worth_and_then_one_at_a_time() {
        let (bucket, start) = (Bucket::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for _ in 0..60 {
            assert_eq!(bucket.take_at(60, at(0)), Ok(()));
        }
        assert_eq!(bucket.take_at(60, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take_at(60, at(400)), Err(Duration::from_millis(600)));
        assert_eq!(bucket.take_at(60, at(1_000)), Ok(()));
        assert_eq!(bucket.take_at(60, at(1_000)), Err(Duration::from_secs(1)));
        // Full again, and never more than full.
        for _ in 0..60 {
            assert_eq!(bucket.take_at(60, at(600_000)), Ok(()));
        }
        assert!(bucket.take_at(60, at(600_000)).is_err());
    }

    #[test]
    fn one_in_a_minute_and_very_many() {
        let (bucket, now) = (Bucket::default(), Instant::now());
        assert_eq!(bucket.take_at(1, now), Ok(()));
        assert_eq!(bucket.take_at(1, now), Err(MINUTE));
        assert_eq!(bucket.take_at(1, now + MINUTE), Ok(()));
        let bucket = Bucket::default();
        let taken = (0..1_000_001).take_while(|_| bucket.take_at(1_000_000, now).is_ok()).count();
        assert_eq!(taken, 1_000_000);
    }

    #[test]
    fn a_limit_that_changes_finds_what_was_used_up() {
        let (bucket, now) = (Bucket::default(), Instant::now());
        for _ in 0..30 {
            assert_eq!(bucket.take_at(60, now), Ok(()));
        }
        let taken = (0..100).take_while(|_| bucket.take_at(120, now).is_ok()).count();
        assert_eq!(taken, 60, "half of a minute's worth is left");
    }
}
