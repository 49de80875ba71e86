//! A token bucket, stored as the time at which it will be full again.

use std::time::{Duration, Instant};

/// How far a bucket may be from full: the tokens of one second may be taken at once.
const BURST: Duration = Duration::from_secs(1);

/// A token bucket, whose tokens may be taken ahead of time by a caller that waits.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// The time between two tokens.
    interval: Duration,
    full: Instant,
}

impl TokenBucket {
    /// A full bucket that gets so many tokens a second; zero is taken as one.
    pub(crate) fn new(per_second: u32, now: Instant) -> TokenBucket {
        TokenBucket {
            interval: Duration::from_secs(1) / per_second.max(1),
            full: now,
        }
    }

    /// Takes a token and returns from when on it counts; `None` if that is after the deadline.
    pub(crate) fn take(&mut self, now: Instant, deadline: Instant) -> Option<Instant> {
        let full = self.full.max(now) + self.interval;
        let at = full.checked_sub(BURST).map_or(now, |at| at.max(now));
        (at <= deadline).then(|| {
            self.full = full;
            at
        })
    }

    /// Whether all tokens that were taken have been refilled.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full <= now
    }
}
