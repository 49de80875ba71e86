//! Resources that a client rejected and has not accepted since. A rejection is a state, not an
//! event: it ends when the client accepts the content, when another content replaces it, or when
//! the resource is removed or unsubscribed from; not with any other acknowledgement (xDS rule 79).
//!
//! If a rejection may pass by itself ([`TypeSpec::passes`](crate::TypeSpec::passes)), as when
//! another process holds the address of a listener, the resource is sent again after a delay that
//! grows. A retry is handled like a change: it waits for the same gates, and the resource is held
//! back again if it is rejected again (`TypeState::hold_back`). The session reports when the next
//! retry is due, as for everything it waits for; a stream without rejections has no timer.
//!
//! A rejection that names no resource, or whose text was cut before all were named, leaves open
//! which resources the client has. Then all others of the response count as rejected too; they are
//! not held back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use crate::store::ResourceId;
use crate::store::name_map::ENTRY;

/// The first delay before a rejected resource is sent again, and the longest; each is twice the one
/// before. All are up to a quarter shorter: streams that were rejected for one reason at one time
/// do not retry at one time.
const FIRST: Duration = Duration::from_secs(1);
pub(in crate::session) const LONGEST: Duration = Duration::from_secs(30);

/// The resources of one type that the client rejected and has not accepted since.
#[derive(Debug, Default)]
pub(in crate::session) struct Rejections {
    by_id: BTreeMap<ResourceId, Rejection>,
    /// Whether the newest answer rejects a response without resources.
    of_nothing: bool,
}

/// The rejection of one resource, and when the resource is sent again.
#[derive(Debug)]
pub(in crate::session) struct Rejection {
    pub(in crate::session) since: Instant,
    /// The hash of the client's error text, if that names the resource.
    pub(in crate::session) named: Option<u64>,
    /// Whether the rejection may pass by itself, so that the resource is sent again.
    passes: bool,
    /// The number of retries so far.
    again: u32,
    /// The delay before the next retry.
    wait: Duration,
    /// When the resource is to be sent again; `None` while it is under way.
    due: Option<Instant>,
}

impl Rejections {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.by_id.is_empty() && !self.of_nothing
    }

    /// Whether no resource counts as rejected.
    pub(in crate::session) fn has_no_resource(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether a resource was rejected, or may have been.
    pub(in crate::session) fn has(&self, id: ResourceId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Since when a resource has been rejected.
    pub(in crate::session) fn since(&self, id: ResourceId) -> Option<Instant> {
        self.by_id.get(&id).map(|of| of.since)
    }

    /// The resources that were rejected, and since when.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = (ResourceId, Instant)> + '_ {
        self.by_id.iter().map(|(id, of)| (*id, of.since))
    }

    #[cfg(test)]
    pub(super) fn ids(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.by_id.keys().copied()
    }

    pub(in crate::session) fn bytes(&self) -> usize {
        self.by_id.len() * ENTRY
    }

    /// Forgets the rejection of a resource that changed, was removed, or is not subscribed to any
    /// more.
    pub(super) fn forget(&mut self, id: ResourceId) {
        self.by_id.remove(&id);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(ResourceId) -> bool) {
        self.by_id.retain(|id, _| keep(*id));
    }

    /// Marks a rejection as one that will not pass by itself.
    pub(super) fn stays(&mut self, id: ResourceId) {
        if let Some(rejection) = self.by_id.get_mut(&id) {
            rejection.passes = false;
            rejection.due = None;
        }
    }

    pub(in crate::session) fn due(&self) -> Option<Instant> {
        self.by_id.values().filter_map(|of| of.due).min()
    }

    /// Takes the resources whose retry is due, and with them those due within half of their own
    /// delay: a client gets few responses for many rejections.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<ResourceId> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let all = self.by_id.iter_mut();
        let due = all.filter(|(_, of)| of.due.is_some_and(|due| due <= now + of.wait / 2));
        due.map(|(id, of)| {
            of.due = None;
            *id
        })
        .collect()
    }

    /// Notes a rejection. Returns whether it repeats an earlier one.
    pub(super) fn add(
        &mut self,
        id: ResourceId,
        named: Option<u64>,
        passes: bool,
        now: Instant,
    ) -> bool {
        let mut repeated = true;
        let of = self.by_id.entry(id).or_insert_with(|| {
            repeated = false;
            Rejection {
                since: now,
                named,
                passes,
                again: 0,
                wait: FIRST,
                due: None,
            }
        });
        repeated &= of.passes == passes;
        of.passes = passes;
        repeated
    }

    /// Notes whether the newest answer rejects a response without resources.
    pub(super) fn set_of_nothing(&mut self, of_nothing: bool) {
        self.of_nothing = of_nothing;
    }

    /// Takes out the rejection of a resource that the client accepted.
    pub(super) fn remove(&mut self, id: ResourceId) -> Option<Rejection> {
        self.by_id.remove(&id)
    }

    /// Plans retries after an answer, for all rejected resources that are not under way. `stream`
    /// varies the delays.
    pub(super) fn plan(
        &mut self,
        stream: u64,
        now: Instant,
        is_under_way: impl Fn(ResourceId) -> bool,
    ) {
        for (id, of) in &mut self.by_id {
            if of.passes && of.due.is_none() && !is_under_way(*id) {
                of.wait = wait(stream, of.again);
                of.due = Some(now + of.wait);
                of.again = of.again.saturating_add(1);
            }
        }
    }
}

/// The delay before the retry after `again` earlier ones, shortened by chance.
fn wait(stream: u64, again: u32) -> Duration {
    let longest = FIRST * 2u32.pow(again.min(5));
    let longest = longest.min(LONGEST);
    let hash = xxh3_64(&[stream.to_le_bytes(), u64::from(again).to_le_bytes()].concat());
    longest - longest / 4 * (hash % 256) as u32 / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_not_the_same_on_all_streams() {
        for stream in 0..100 {
            for (again, longest) in [1, 2, 4, 8, 16, 30, 30, 30].into_iter().enumerate() {
                let longest = Duration::from_secs(longest);
                let wait = wait(stream, again as u32);
                assert!(wait <= longest && wait >= longest / 4 * 3, "{wait:?}");
            }
        }
        assert_ne!(wait(1, 3), wait(2, 3));
    }
}
