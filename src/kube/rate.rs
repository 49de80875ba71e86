//! How often something may be done: many times at once after a while without, and then steadily.

use std::time::{Duration, Instant};

/// A token bucket, kept as the moment at which it will be full again.
#[derive(Debug)]
pub(super) struct Rate {
    burst: u32,
    each: Duration,
    full: Option<Instant>,
}

impl Rate {
    /// So many at once, and one for each `each` after that.
    pub(super) fn new(burst: u32, each: Duration) -> Rate {
        Rate {
            burst,
            each,
            full: None,
        }
    }

    /// When, from this moment on, the next one is allowed.
    pub(super) fn allowed(&self, from: Instant) -> Instant {
        let spare = self.each * self.burst.saturating_sub(1);
        let allowed = self.full.and_then(|full| full.checked_sub(spare));
        allowed.map_or(from, |allowed| from.max(allowed))
    }

    /// One is done.
    pub(super) fn take(&mut self, now: Instant) {
        self.full = Some(self.full.map_or(now, |full| full.max(now)) + self.each);
    }
}
