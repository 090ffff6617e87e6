//! Time-outs: what a guest asks for, and what it gets: never more than the adapter's limits.

use hauski_policy::AdapterLimits;
use std::time::Duration;
use tokio::time::Instant;

/// The shortest time-out: what zero is taken for.
const SHORTEST: Duration = Duration::from_millis(1);

/// Beyond any limit, but not so far that adding to it overflows.
const FAR: Duration = Duration::from_hours(24 * 365);

/// What the asker wants; each value can only shorten the adapter's limit. The default leaves the limits as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the dial to an established connection, TLS included; also the time for resolving the name.
    pub connect: Option<Duration>,
    /// From the request, once it is sent, to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the answer's body, while somebody waits for one.
    pub idle: Option<Duration>,
    /// When the whole request must be over.
    pub deadline: Option<Instant>,
}

/// The time-outs that hold for one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) started: Instant,
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) deadline: Instant,
}

impl Clocks {
    pub(crate) fn start(asked: &Timeouts, limits: &AdapterLimits) -> Self {
        let started = Instant::now();
        let clamp = |asked: Option<Duration>, limit: Duration| asked.unwrap_or(limit).min(limit).clamp(SHORTEST, FAR);
        let total = started + limits.total.clamp(SHORTEST, FAR);
        Self {
            started,
            connect: clamp(asked.connect, limits.connect),
            first_byte: clamp(asked.first_byte, limits.first_token),
            idle: clamp(asked.idle, limits.idle),
            deadline: asked.deadline.map_or(total, |deadline| deadline.min(total)),
        }
    }

    /// When something that begins now and may take `span` must be over.
    pub(crate) fn until(&self, span: Duration) -> Instant {
        (Instant::now() + span).min(self.deadline)
    }

    /// Whether the request's whole time is over.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> AdapterLimits {
        let span = Duration::from_secs;
        AdapterLimits {
            memory_bytes: 0,
            cpu: span(1),
            instances: 1,
            connect: span(5),
            first_token: span(60),
            idle: span(30),
            total: Duration::MAX,
            queue: 0,
            queue_wait: Duration::ZERO,
            retries: 0,
            breaker_failures: 1,
            breaker_open: Duration::ZERO,
            probe: None,
            response_bytes: 0,
        }
    }

    #[test]
    fn a_guest_can_only_shorten() {
        let asked = |span| Timeouts { connect: span, first_byte: span, idle: span, deadline: None };
        for (span, connect, first_byte, idle) in [
            (None, 5_000, 60_000, 30_000),
            (Some(Duration::ZERO), 1, 1, 1),
            (Some(Duration::from_secs(40)), 5_000, 40_000, 30_000),
            (Some(Duration::MAX), 5_000, 60_000, 30_000),
        ] {
            let clocks = Clocks::start(&asked(span), &limits());
            let got = [clocks.connect, clocks.first_byte, clocks.idle].map(|d| d.as_millis());
            assert_eq!(got, [connect, first_byte, idle], "{span:?}");
        }
    }

    #[test]
    fn the_deadline_is_the_earlier_one() {
        let now = Instant::now();
        let early = Timeouts { deadline: Some(now), ..Timeouts::default() };
        assert_eq!(Clocks::start(&early, &limits()).deadline, now);
        assert!(Clocks::start(&early, &limits()).is_over());
        let late = Timeouts { deadline: Some(now + FAR), ..Timeouts::default() };
        let short = AdapterLimits { total: Duration::from_secs(1), ..limits() };
        assert!(Clocks::start(&late, &short).deadline < now + Duration::from_secs(60));
    }
}
