//! A rate limit for log lines about frequent events: the first event is logged at once, then one
//! line stands for all events of the ten seconds since.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// The rate limit of one kind of log line.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<State>);

/// The time of the last line, and the number of events since then.
#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    times: u64,
}

impl LogLimit {
    /// Counts an event; returns the number of events since the last line, if a line is due now.
    pub(crate) fn count_event(&self) -> Option<u64> {
        self.count_event_at(Instant::now())
    }

    fn count_event_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.times += 1;
        if state.last.is_some_and(|last| now < last + INTERVAL) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_and_another_for_the_rest() {
        let limit = LogLimit::default();
        let start = Instant::now();
        assert_eq!(limit.count_event_at(start), Some(1));
        for _ in 0..5 {
            assert_eq!(limit.count_event_at(start + INTERVAL / 2), None);
        }
        assert_eq!(limit.count_event_at(start + INTERVAL), Some(6));
    }
}
