//! Backoff: how long to wait after a failure before the API server is asked again.

use std::time::{Duration, Instant};

use super::wire::Failure;

/// After this long without a failure of its kind, a failure counts as the first.
const CALM: Duration = Duration::from_secs(10);
/// Shortest and longest wait while the server cannot be reached. It is tried often, since that
/// costs it nothing, so that its return is noticed at once.
const UNREACHABLE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Shortest and longest wait after an error response: such a server is left alone for longer.
const REFUSED: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Shortest and longest wait after an error response of a server that was away a moment ago: it
/// answers with errors until it has started.
const STARTING: (Duration, Duration) = (REFUSED.0, Duration::from_secs(1));
/// How long after it could not be reached a server may be starting.
const START: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is obeyed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The failures of one kind that came one after the other.
#[derive(Debug, Default)]
struct Row {
    failures: u32,
    last: Option<Instant>,
}

impl Row {
    /// Counts a failure; returns how many there were in the row before it.
    fn another(&mut self, now: Instant) -> u32 {
        let calm = |last| now.saturating_duration_since(last) > CALM;
        if self.last.is_none_or(calm) {
            self.failures = 0;
        }
        self.last = Some(now);
        let before = self.failures;
        self.failures = before.saturating_add(1);
        before
    }
}

/// Exponential backoff with jitter for requests to an API server. Each kind of failure is counted
/// by itself: how long a server was away says nothing of how long to leave it alone when it is
/// back.
#[derive(Debug)]
pub(super) struct Backoff {
    unreachable: Row,
    refused: Row,
    gone: Row,
    random: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new(random: fastrand::Rng) -> Backoff {
        Backoff {
            unreachable: Row::default(),
            refused: Row::default(),
            gone: Row::default(),
            random,
        }
    }

    /// The time to wait after this failure: longer with each in a row, and never equal for two
    /// replicas.
    pub(super) fn after(&mut self, failure: &Failure, now: Instant) -> Duration {
        if failure.is_gone() {
            // A new list is due, at once when it is not a storm of them.
            return match self.gone.another(now) {
                0 => Duration::ZERO,
                before => self.wait(REFUSED, before),
            };
        }
        match failure {
            Failure::Refused { after, .. } => {
                let before = self.refused.another(now);
                let asked = after.unwrap_or_default().min(PATIENCE);
                let limits = match self.is_starting(now) {
                    false => REFUSED,
                    true if asked.is_zero() => STARTING,
                    // "storage is (re)initializing", one second at a time.
                    true => (REFUSED.0, REFUSED.0),
                };
                // More than was asked for, so that not all come back at the same moment.
                asked + self.wait(limits, before)
            }
            Failure::Endless(_) => {
                let before = self.refused.another(now);
                self.wait(REFUSED, before)
            }
            _ => {
                let before = self.unreachable.another(now);
                self.wait(UNREACHABLE, before)
            }
        }
    }

    fn is_starting(&self, now: Instant) -> bool {
        let away = self.unreachable.last;
        away.is_some_and(|away| now.saturating_duration_since(away) < START)
    }

    fn wait(&mut self, (first, longest): (Duration, Duration), before: u32) -> Duration {
        let longer = first.saturating_mul(1 << before.min(10));
        longer.min(longest).mul_f64(0.5 + self.random.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, after: Option<u64>) -> Failure {
        Failure::Refused {
            code,
            message: String::new(),
            after: after.map(Duration::from_secs),
        }
    }

    fn backoff() -> Backoff {
        Backoff::new(fastrand::Rng::with_seed(7))
    }

    #[test]
    fn an_unreachable_server_is_tried_at_least_every_second() {
        let (mut backoff, mut now) = (backoff(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..100 {
            let wait = backoff.after(&Failure::Unreachable("refused".into()), now);
            waits.push(wait);
            now += wait;
        }
        assert!(waits[0] <= Duration::from_millis(50), "{waits:?}");
        let late = &waits[10..];
        assert!(
            late.iter()
                .all(|wait| *wait <= Duration::from_secs(1) && *wait >= Duration::from_millis(500))
        );
        assert!(late.iter().any(|wait| *wait != late[0]), "no jitter");
    }

    #[test]
    fn a_server_that_says_no_is_left_alone_for_as_long_as_it_asks() {
        let mut backoff = backoff();
        let wait = backoff.after(&refused(429, Some(5)), Instant::now());
        assert!(wait > Duration::from_secs(5) && wait < Duration::from_secs(6));
        let wait = backoff.after(&refused(429, Some(1_000_000)), Instant::now());
        assert!(wait < PATIENCE + REFUSED.1);
    }

    #[test]
    fn the_first_new_list_is_asked_for_at_once_and_a_storm_of_them_is_not() {
        let (mut backoff, now) = (backoff(), Instant::now());
        assert_eq!(backoff.after(&refused(410, None), now), Duration::ZERO);
        assert!(backoff.after(&refused(410, None), now) > Duration::ZERO);
        assert_eq!(
            backoff.after(&refused(410, None), now + CALM * 2),
            Duration::ZERO
        );
    }

    #[test]
    fn a_server_that_was_away_is_asked_often_while_it_starts_however_long_it_was_away() {
        let (mut backoff, mut now) = (backoff(), Instant::now());
        let gone = refused(410, None);
        for outage in [1, 15, 600] {
            let back = now + Duration::from_secs(outage);
            while now < back {
                now += backoff.after(&Failure::Unreachable("refused".into()), now);
            }
            let first = backoff.after(&refused(403, None), now);
            assert!(first <= REFUSED.0, "after {outage} s: {first:?}");
            for code in [403, 401, 429, 500, 503].repeat(6) {
                let wait = backoff.after(&refused(code, None), now);
                assert!(wait <= Duration::from_secs(1), "after {outage} s: {wait:?}");
                now += wait;
            }
            let wait = backoff.after(&refused(429, Some(1)), now);
            assert!(wait <= Duration::from_millis(1250), "{wait:?}");
            assert_eq!(backoff.after(&gone, now), Duration::ZERO);
        }
        // One that has been there all the while means it.
        now += START;
        let waits = (0..10).map(|_| backoff.after(&refused(403, None), now));
        assert!(waits.max() > Some(Duration::from_secs(4)));
    }
}
