//! The positions of all streams in the log of commits; the slowest decides which tombstones are
//! kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The last commit that a stream has read. Later tombstones are kept until it advances or is
/// dropped.
#[derive(Debug)]
pub(crate) struct Cursor(Arc<AtomicU64>);

impl Cursor {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn advance(&self, seq: u64) {
        self.0.store(seq, Ordering::Release);
    }
}

/// The cursors of all open streams.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    all: Mutex<All>,
    /// The number of cursors that were looked at.
    #[cfg(test)]
    looks: std::sync::atomic::AtomicUsize,
}

/// The registered cursors, some of them of streams that have ended.
#[derive(Debug, Default)]
struct All {
    cursors: Vec<Weak<AtomicU64>>,
    /// The number of cursors at which those of streams that ended are taken out.
    full: usize,
}

/// The number of cursors below which those of streams that ended are not searched for.
const FEW: usize = 64;

impl Cursors {
    /// Registers a cursor at commit `seq`. The caller holds the store's lock, so that no commit
    /// passes in between (xDS rule 16).
    pub(crate) fn register(&self, seq: u64) -> Cursor {
        let cursor = Arc::new(AtomicU64::new(seq));
        let mut all = self.all();
        if all.cursors.len() >= all.full.max(FEW) {
            all.cursors.retain(|weak| weak.strong_count() > 0);
            all.full = all.cursors.len() * 2;
        }
        all.cursors.push(Arc::downgrade(&cursor));
        Cursor(cursor)
    }

    /// The number of cursors, some of which may be of streams that ended.
    pub(crate) fn len(&self) -> usize {
        self.all().cursors.len()
    }

    /// The commit that the slowest stream has read, or `newest` if there is no stream.
    pub(crate) fn slowest(&self, newest: u64) -> u64 {
        let mut slowest = newest;
        let mut all = self.all();
        #[cfg(test)]
        self.looks.fetch_add(all.cursors.len(), Ordering::Relaxed);
        all.cursors.retain(|weak| match weak.upgrade() {
            Some(cursor) => {
                slowest = slowest.min(cursor.load(Ordering::Acquire));
                true
            }
            None => false,
        });
        slowest
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn looks(&self) -> usize {
        self.looks.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_stream_counts_as_long_as_it_is_there() {
        let cursors = Cursors::default();
        let (slow, fast) = (cursors.register(3), cursors.register(5));
        fast.advance(8);
        assert_eq!(cursors.slowest(9), 3);
        drop(slow);
        assert_eq!(cursors.slowest(9), 8);
        drop(fast);
        assert_eq!(cursors.slowest(9), 9);
    }

    #[test]
    fn streams_that_come_and_go_leave_nothing_without_a_commit() {
        let cursors = Cursors::default();
        let _stays = cursors.register(1);
        for _ in 0..10_000 {
            cursors.register(1);
        }
        assert!(cursors.len() <= FEW, "{}", cursors.len());
    }
}
