//! A rate limit: many actions at once after a while without, and then steadily.

use std::time::{Duration, Instant};

/// A token bucket that limits requests to the API server, kept as the moment at which it will be
/// full again.
#[derive(Debug)]
pub(super) struct Rate {
    burst: u32,
    each: Duration,
    full: Option<Instant>,
}

impl Rate {
    /// A full bucket of `burst` tokens that gains one in each period `each`.
    pub(super) fn new(burst: u32, each: Duration) -> Rate {
        Rate {
            burst,
            each,
            full: None,
        }
    }

    /// When, from this moment on, the next action is allowed.
    pub(super) fn allowed(&self, from: Instant) -> Instant {
        let spare = self.each * self.burst.saturating_sub(1);
        let allowed = self.full.and_then(|full| full.checked_sub(spare));
        allowed.map_or(from, |allowed| from.max(allowed))
    }

    /// Takes a token for an action.
    pub(super) fn take(&mut self, now: Instant) {
        self.full = Some(self.full.map_or(now, |full| full.max(now)) + self.each);
    }
}
