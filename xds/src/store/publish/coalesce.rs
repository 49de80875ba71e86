//! The timing of commits: at once after a quiet period, else at the end of an adaptive window that
//! merges changes.

use std::time::{Duration, Instant};

/// The size of the window after a quiet period; it only grows while changes keep coming.
const SMALLEST: Duration = Duration::from_millis(1);

/// Decides when the writer commits, with an adaptive window in which successive changes are merged.
///
/// The cost of a change lies in the wake-up, the frame and the acknowledgement of every stream and
/// hardly in its bytes, so a busy writer gathers for some milliseconds. The window doubles each
/// time a commit had to wait for it, up to its maximum, and starts anew after a time of quiet as
/// long as the maximum.
#[derive(Debug)]
pub struct CommitWindow {
    max: Duration,
    window: Duration,
    last_commit: Option<Instant>,
    due: Option<Instant>,
}

impl CommitWindow {
    /// A window that is never longer than `max` (`--coalesce`); with zero every change is committed
    /// at once.
    pub fn new(max: Duration) -> CommitWindow {
        CommitWindow {
            max,
            window: SMALLEST.min(max),
            last_commit: None,
            due: None,
        }
    }

    /// Notes a change at `now` and returns when to commit it. Further changes before then do not
    /// move that time.
    pub fn due(&mut self, now: Instant) -> Instant {
        *self.due.get_or_insert_with(|| match self.last_commit {
            Some(last) if now < last + self.max.max(self.window) => (last + self.window).max(now),
            _ => {
                self.window = SMALLEST.min(self.max);
                now
            }
        })
    }

    /// The time of the next commit, if a change waits for one.
    pub fn pending(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that the waiting changes were committed at `now`.
    pub fn committed(&mut self, now: Instant) {
        let waited = match (self.due.take(), self.last_commit) {
            (Some(due), Some(last)) => due == last + self.window,
            _ => false,
        };
        if waited {
            self.window = (self.window * 2).min(self.max);
        }
        self.last_commit = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_millis(10);

    #[test]
    fn the_first_change_after_quiet_goes_at_once() {
        let start = Instant::now();
        let mut window = CommitWindow::new(MAX);
        assert_eq!(window.due(start), start);
        window.committed(start);
        let later = start + MAX * 2;
        assert_eq!(window.due(later), later);
    }

    #[test]
    fn changes_in_a_row_are_merged_in_a_growing_window() {
        let start = Instant::now();
        let mut window = CommitWindow::new(MAX);
        let mut now = start;
        let mut commits = vec![];
        // A change every 100 microseconds for 100 milliseconds.
        for _ in 0..1000 {
            if window.pending().is_some_and(|due| due <= now) {
                window.committed(now);
                commits.push(now - start);
            }
            window.due(now);
            now += Duration::from_micros(100);
        }
        assert!((9..20).contains(&commits.len()), "{commits:?}");
        let longest = commits.windows(2).map(|w| w[1] - w[0]).max().unwrap();
        assert!(longest <= MAX + Duration::from_micros(100), "{longest:?}");
    }

    #[test]
    fn no_change_waits_longer_than_the_maximum() {
        let mut now = Instant::now();
        let mut window = CommitWindow::new(MAX);
        for _ in 0..50 {
            let due = window.due(now);
            assert!(due <= now + MAX);
            window.committed(due);
            now = due + Duration::from_micros(700);
        }
    }

    #[test]
    fn zero_never_waits() {
        let start = Instant::now();
        let mut window = CommitWindow::new(Duration::ZERO);
        for i in 0..5 {
            let now = start + Duration::from_micros(i);
            assert_eq!(window.due(now), now);
            window.committed(now);
        }
    }
}
