//! How far each stream has read the log of commits; the slowest decides when a tombstone may go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// One stream's place in the log. Dropping it ends its hold on tombstones.
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

#[derive(Debug, Default)]
pub(crate) struct Cursors(Mutex<Vec<Weak<AtomicU64>>>);

impl Cursors {
    /// A cursor that stands at `seq`. The caller holds the store's lock, so that no commit passes in between (xDS rule 16).
    pub(crate) fn register(&self, seq: u64) -> Cursor {
        let cursor = Arc::new(AtomicU64::new(seq));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::downgrade(&cursor));
        Cursor(cursor)
    }

    /// The place of the slowest stream, `newest` if there is none.
    pub(crate) fn slowest(&self, newest: u64) -> u64 {
        let mut slowest = newest;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|weak| match weak.upgrade() {
            Some(cursor) => {
                slowest = slowest.min(cursor.load(Ordering::Acquire));
                true
            }
            None => false,
        });
        slowest
    }
}
