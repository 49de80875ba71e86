//! The resources of one type that a client has to be sent, and since when.
//!
//! A resource may have to wait for what was owed of earlier types before it; if its type is gated,
//! also for what was sent of them and is not acknowledged yet. It does not wait for what becomes
//! owed of earlier types later, and it waits for a second at most in total, however often it
//! changes meanwhile. So each waiting resource belongs to a slice: the resources that became owed
//! at about the same time.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::session::PATIENCE;
use crate::store::ResourceId;
use crate::store::id_set::Ids;

/// The longest time between the moments at which resources of one slice became owed. There are as
/// many slices as fit into a second, and some.
const SLICE: Duration = Duration::from_millis(50);

/// The resources of one type that a client has to be sent; some of them wait for other types.
#[derive(Debug, Default)]
pub(in crate::session) struct Owed {
    ids: Ids,
    /// The time since which the oldest of them is owed, or an earlier one.
    since: Option<Instant>,
    waiting: Vec<Slice>,
}

/// Resources that became owed at about the same time and wait for other types.
#[derive(Debug)]
struct Slice {
    /// When the first of them became owed; a second later they wait no longer.
    first: Instant,
    /// When one of them changed last: they wait for what was owed until then.
    last: Instant,
    ids: Ids,
}

/// Whether a resource that the client is newly owed may be sent at once, or only after it has
/// acknowledged other types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Gate {
    /// The resource may be sent at once.
    Open,
    /// The resource has to wait.
    Closed,
}

impl Owed {
    pub(in crate::session) fn contains(&self, id: ResourceId) -> bool {
        self.ids.contains(id)
    }

    /// Whether any resource of `other` is owed.
    pub(in crate::session) fn meets(&self, other: &Ids) -> bool {
        self.ids.meets(other)
    }

    pub(in crate::session) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(in crate::session) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.ids.iter()
    }

    pub(in crate::session) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Owes a resource that changed at `at`, is newly subscribed to, or has to be sent again
    /// together with what was owed since then.
    pub(super) fn insert(&mut self, id: ResourceId, at: Instant, gate: Gate) {
        let before = !self.ids.insert(id);
        let since = self.since.map_or(at, |since| since.min(at));
        self.since = Some(since);
        if gate == Gate::Open && self.waiting.is_empty() {
            return;
        }
        let slice = self.waiting.iter_mut().find(|of| of.ids.contains(id));
        match (gate, slice) {
            (Gate::Open, Some(slice)) => _ = slice.ids.remove(id),
            (Gate::Open, None) => {}
            (Gate::Closed, Some(slice)) => slice.last = slice.last.max(at),
            // It could have been sent already: it counts as owed as long as the oldest one here.
            (Gate::Closed, None) if before => self.wait(id, since, at),
            (Gate::Closed, None) => self.wait(id, at, at),
        }
    }

    fn wait(&mut self, id: ResourceId, first: Instant, last: Instant) {
        let fits = |of: &&mut Slice| of.first <= first && first < of.first + SLICE;
        match self.waiting.iter_mut().find(fits) {
            Some(slice) => {
                slice.ids.insert(id);
                slice.last = slice.last.max(last);
            }
            None => {
                let mut ids = Ids::default();
                ids.insert(id);
                self.waiting.push(Slice { first, last, ids });
            }
        }
    }

    pub(super) fn remove(&mut self, id: ResourceId) -> bool {
        let there = self.ids.remove(id);
        if there {
            for slice in &mut self.waiting {
                slice.ids.remove(id);
            }
            if self.ids.is_empty() {
                self.clear();
            }
        }
        there
    }

    fn clear(&mut self) {
        self.ids.clear();
        self.since = None;
        self.waiting.clear();
    }

    /// Takes out resources that were sent.
    pub(super) fn sent(&mut self, ids: &[ResourceId]) {
        for id in ids {
            self.remove(*id);
        }
        // Only what waits is left: when that came to be owed is known better.
        if !self.ids.is_empty() && !self.has_ready() {
            self.since = self.waiting.iter().map(|slice| slice.first).min();
        }
    }

    /// Ends the waiting of resources that became owed before `cutoff`, or that have waited for a
    /// second. `cutoff` is since when the oldest thing that is waited for is owed; `None`: nothing
    /// is.
    pub(super) fn release(&mut self, cutoff: Option<Instant>, now: Instant) {
        let waits = |of: &Slice| {
            cutoff.is_some_and(|cutoff| cutoff <= of.last) && now < of.first + PATIENCE
        };
        self.waiting.retain(|of| !of.ids.is_empty() && waits(of));
    }

    /// When the first of the waiting resources will have waited for a second.
    pub(in crate::session) fn patience_ends(&self) -> Option<Instant> {
        self.waiting.iter().map(|of| of.first + PATIENCE).min()
    }

    pub(in crate::session) fn is_waiting(&self, id: ResourceId) -> bool {
        self.waiting.iter().any(|of| of.ids.contains(id))
    }

    pub(in crate::session) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether any resource does not wait.
    pub(in crate::session) fn has_ready(&self) -> bool {
        let waiting: usize = self.waiting.iter().map(|of| of.ids.len()).sum();
        waiting < self.ids.len()
    }

    /// The resources that do not wait.
    pub(in crate::session) fn ready(&self) -> Cow<'_, Ids> {
        if self.waiting.is_empty() {
            return Cow::Borrowed(&self.ids);
        }
        let mut ready = self.ids.clone();
        for id in self.waiting.iter().flat_map(|of| of.ids.iter()) {
            ready.remove(id);
        }
        Cow::Owned(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(20);

    fn id(number: usize) -> ResourceId {
        ResourceId::from_index(number)
    }

    fn ready(owed: &Owed) -> Vec<usize> {
        owed.ready().iter().map(ResourceId::index).collect()
    }

    #[test]
    fn what_was_owed_before_the_cutoff_goes_and_what_came_later_waits() {
        let start = Instant::now();
        let at = |steps: u32| start + steps * STEP;
        let mut owed = Owed::default();
        owed.insert(id(1), at(0), Gate::Closed);
        owed.insert(id(2), at(5), Gate::Closed);
        owed.insert(id(3), at(5), Gate::Open);
        assert_eq!(ready(&owed), [3]);
        owed.release(Some(at(0)), at(5));
        assert_eq!(ready(&owed), [3]);
        owed.release(Some(at(5)), at(5));
        assert_eq!(ready(&owed), [1, 3]);
        owed.sent(&[1, 3].map(id));
        assert_eq!((owed.since(), owed.has_ready()), (Some(at(5)), false));
        owed.release(None, at(6));
        assert_eq!(ready(&owed), [2]);
        owed.sent(&[id(2)]);
        assert_eq!((owed.since(), owed.has_waiting()), (None, false));
    }

    #[test]
    fn what_changes_again_and_again_waits_for_a_second_in_all() {
        let start = Instant::now();
        let mut owed = Owed::default();
        owed.insert(id(1), start, Gate::Closed);
        let mut now = start;
        while now < start + PATIENCE {
            owed.insert(id(1), now, Gate::Closed);
            owed.insert(id(2), now, Gate::Closed);
            owed.release(Some(now), now);
            assert!(!owed.has_ready());
            owed.remove(id(2));
            assert_eq!(owed.patience_ends(), Some(start + PATIENCE));
            now += STEP;
        }
        owed.insert(id(2), now, Gate::Closed);
        owed.release(Some(start), now);
        assert_eq!(ready(&owed), [1]);
    }

    #[test]
    fn there_are_few_slices_however_much_comes() {
        let start = Instant::now();
        let mut owed = Owed::default();
        for step in 0..1000 {
            let now = start + Duration::from_millis(step as u64);
            owed.insert(id(step), now, Gate::Closed);
            owed.release(Some(start), now);
            assert!(owed.waiting.len() <= 21, "{}", owed.waiting.len());
        }
    }
}
