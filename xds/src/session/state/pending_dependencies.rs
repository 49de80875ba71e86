//! References from clusters that a client was sent to assignments that it will subscribe to once it
//! has read the clusters: listeners wait for those assignments, too (xDS rule 87).
//!
//! The client may never subscribe: if it rejects the cluster, or unsubscribes from the cluster or
//! the assignment, nothing waits any longer. The references of each response are waited for
//! separately, for a second: a later response does not prolong that.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::session::schedule::earlier;
use crate::store::ResourceId;

/// References from resources sent in the last second to resources that the client neither has nor
/// subscribes to.
#[derive(Debug, Default)]
pub(in crate::session) struct PendingDependencies(Vec<Group>);

/// The references of one response to resources that the client neither has nor subscribes to.
#[derive(Debug)]
struct Group {
    /// The type of the response, and the type that it refers to.
    types: (usize, usize),
    nonce: u64,
    /// The time since which the resources of the response were owed.
    since: Instant,
    /// The time until which the references are waited for.
    until: Instant,
    /// Pairs of an awaited resource and a resource that refers to it.
    refs: BTreeSet<(ResourceId, ResourceId)>,
}

impl PendingDependencies {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the references of a response, as pairs of a resource and one that refers to it.
    pub(in crate::session) fn add(
        &mut self,
        types: (usize, usize),
        nonce: u64,
        (since, until): (Instant, Instant),
        refs: BTreeSet<(ResourceId, ResourceId)>,
    ) {
        if !refs.is_empty() {
            self.0.push(Group {
                types,
                nonce,
                since,
                until,
                refs,
            });
        }
    }

    /// Drops references to resources that are sent now, or were removed. Returns since when the
    /// resources that refer to them were owed.
    pub(in crate::session) fn take(&mut self, index: usize, ids: &[ResourceId]) -> Option<Instant> {
        let mut since = None;
        for group in self.0.iter_mut().filter(|of| of.types.1 == index) {
            for id in ids {
                let of_id = group
                    .refs
                    .range((*id, ResourceId::FIRST)..=(*id, ResourceId::LAST));
                let of_id: Vec<_> = of_id.copied().collect();
                for of in of_id {
                    group.refs.remove(&of);
                    since = earlier(since, Some(group.since));
                }
            }
        }
        self.0.retain(|group| !group.refs.is_empty());
        since
    }

    /// Drops the references of resources that the client gave up, or that were removed: it will not
    /// ask for what they refer to.
    pub(in crate::session) fn drop_referring(
        &mut self,
        index: usize,
        gone: impl Fn(ResourceId) -> bool,
    ) {
        for group in self.0.iter_mut().filter(|of| of.types.0 == index) {
            group.refs.retain(|(_, referring)| !gone(*referring));
        }
        self.0.retain(|group| !group.refs.is_empty());
    }

    /// Drops the references of resources of a response that the client rejected; of all its
    /// resources, if it names none.
    pub(in crate::session) fn rejected(&mut self, index: usize, nonce: u64, ids: &[ResourceId]) {
        let of_response = |of: &&mut Group| of.types.0 == index && of.nonce == nonce;
        for group in self.0.iter_mut().filter(of_response) {
            let refs = &mut group.refs;
            refs.retain(|(_, referring)| !ids.is_empty() && !ids.contains(referring));
        }
        self.0.retain(|group| !group.refs.is_empty());
    }

    /// Drops references that were waited for long enough.
    pub(in crate::session) fn expire(&mut self, now: Instant) {
        self.0.retain(|group| group.until > now);
    }

    /// The time since which the oldest response was owed whose references to types before this one
    /// are waited for.
    pub(in crate::session) fn since(&self, before: usize) -> Option<Instant> {
        let groups = self.0.iter().filter(|of| of.types.1 < before);
        groups.map(|group| group.since).min()
    }

    /// The time at which the next reference is not waited for any more.
    pub(in crate::session) fn until(&self) -> Option<Instant> {
        self.0.iter().map(|group| group.until).min()
    }
}
