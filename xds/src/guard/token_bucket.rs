//! A token bucket, kept as the moment at which it will be full again.

use std::time::{Duration, Instant};

/// How far a bucket may be from full: what comes in a second may come at once.
const BURST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// Between two tokens.
    interval: Duration,
    full: Instant,
}

impl TokenBucket {
    /// A full bucket of so many tokens a second; zero is taken as one.
    pub(crate) fn new(per_second: u32, now: Instant) -> TokenBucket {
        TokenBucket {
            interval: Duration::from_secs(1) / per_second.max(1),
            full: now,
        }
    }

    /// Takes a token: from when on it counts, unless that is after the deadline.
    pub(crate) fn take(&mut self, now: Instant, deadline: Instant) -> Option<Instant> {
        let full = self.full.max(now) + self.interval;
        let at = full.checked_sub(BURST).map_or(now, |at| at.max(now));
        (at <= deadline).then(|| {
            self.full = full;
            at
        })
    }

    /// Whether it is as if nothing had ever been taken.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full <= now
    }
}
