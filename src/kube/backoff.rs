//! How long to wait before asking an API server again.

use std::time::{Duration, Instant};

use super::wire::Failure;

/// After this long without a failure the next one counts as the first.
const CALM: Duration = Duration::from_secs(10);
/// A server that cannot be reached is tried often, so that its return is noticed at once: it costs it nothing.
const UNREACHABLE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A server that says no has heard us, and is left alone for longer.
const REFUSED: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// A server may ask for more patience, but not for any.
const PATIENCE: Duration = Duration::from_secs(60);

/// The failures so far.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<Instant>,
    random: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new(random: fastrand::Rng) -> Backoff {
        Backoff {
            failures: 0,
            last: None,
            random,
        }
    }

    /// The time to wait after this failure: longer with each in a row, and never the same for two replicas.
    pub(super) fn after(&mut self, failure: &Failure, now: Instant) -> Duration {
        if self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) > CALM)
        {
            self.failures = 0;
        }
        self.last = Some(now);
        let (first, longest, asked) = match failure {
            // A new list is due, at once when it is not a storm of them.
            Failure::Refused { code: 410, .. } if self.failures == 0 => {
                self.failures = 1;
                return Duration::ZERO;
            }
            Failure::Refused { after, .. } => (REFUSED.0, REFUSED.1, after.unwrap_or_default()),
            _ => (UNREACHABLE.0, UNREACHABLE.1, Duration::ZERO),
        };
        let longer = first.saturating_mul(1 << self.failures.min(10));
        self.failures += 1;
        let jittered = longer.min(longest).mul_f64(0.5 + self.random.f64() / 2.0);
        let asked = asked.min(PATIENCE);
        // More than was asked for, so that not all come back at the same moment.
        if asked.is_zero() {
            jittered
        } else {
            asked + jittered
        }
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
}
