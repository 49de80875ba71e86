//! The commits that concern a stream and that it has not read yet. A stream whose client does not
//! take what is sent is not polled: its commits wait here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use smallvec::SmallVec;

use super::delivery::{Deliveries, FOLLOWED};

/// The commits that concern a stream and that it has not read yet. It is the stream's own: nobody
/// else waits for its lock but the writer.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<SmallVec<[Deliveries; 1]>>);

impl Inbox {
    /// Adds a commit. When there are too many, the one after the oldest is followed no longer.
    pub(crate) fn push(&self, deliveries: Deliveries) {
        let mut all = self.all();
        if all.len() >= FOLLOWED {
            all.remove(1).lose();
        }
        all.push(deliveries);
    }

    /// Takes all of them, the oldest first.
    pub(crate) fn take(&self) -> SmallVec<[Deliveries; 1]> {
        std::mem::take(&mut *self.all())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// When the event behind the oldest of them that changed anything of a type was read.
    pub(crate) fn since(&self, type_index: usize) -> Option<Instant> {
        let all = self.all();
        all.iter().find_map(|of| of.of_type(type_index))
    }

    fn all(&self) -> MutexGuard<'_, SmallVec<[Deliveries; 1]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
