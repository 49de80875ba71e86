//! Assignments that a client will ask for, once it has read the clusters it was sent: listeners
//! wait for them, too (xDS rule 87).
//!
//! Whether it will, nobody knows. It does not if it rejects the cluster, or gives it or the
//! assignment up; then nothing waits any longer. Each response is waited for by itself, for a
//! second: a later one does not prolong that.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::session::schedule::earlier;

/// What was sent in the last second and refers to something that the client neither has nor asks
/// for.
#[derive(Debug, Default)]
pub(in crate::session) struct PendingDependencies(Vec<Group>);

/// What one response refers to.
#[derive(Debug)]
struct Group {
    /// The types of the response and of what it refers to.
    types: (usize, usize),
    nonce: u64,
    /// Since when what it brought was owed.
    since: Instant,
    until: Instant,
    /// A resource that is awaited, and one that refers to it.
    refs: BTreeSet<(u32, u32)>,
}

impl PendingDependencies {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes what a response refers to, by pairs of a resource and one that refers to it.
    pub(in crate::session) fn add(
        &mut self,
        types: (usize, usize),
        nonce: u64,
        (since, until): (Instant, Instant),
        refs: BTreeSet<(u32, u32)>,
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

    /// These are sent now, or not there any more. Returns since when what refers to them was owed.
    pub(in crate::session) fn take(&mut self, index: usize, ids: &[u32]) -> Option<Instant> {
        let mut since = None;
        for group in self.0.iter_mut().filter(|of| of.types.1 == index) {
            for id in ids {
                let of_id = group.refs.range((*id, 0)..=(*id, u32::MAX));
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

    /// The client gave these up, or they are gone: nobody asks for what they refer to.
    pub(in crate::session) fn drop_referring(&mut self, index: usize, gone: impl Fn(u32) -> bool) {
        for group in self.0.iter_mut().filter(|of| of.types.0 == index) {
            group.refs.retain(|(_, referring)| !gone(*referring));
        }
        self.0.retain(|group| !group.refs.is_empty());
    }

    /// The client rejected these of a response; all of it, if it does not say which.
    pub(in crate::session) fn rejected(&mut self, index: usize, nonce: u64, ids: &[u32]) {
        let of_response = |of: &&mut Group| of.types.0 == index && of.nonce == nonce;
        for group in self.0.iter_mut().filter(of_response) {
            let refs = &mut group.refs;
            refs.retain(|(_, referring)| !ids.is_empty() && !ids.contains(referring));
        }
        self.0.retain(|group| !group.refs.is_empty());
    }

    /// Forgets what was awaited for long enough.
    pub(in crate::session) fn expire(&mut self, now: Instant) {
        self.0.retain(|group| group.until > now);
    }

    /// Since when the oldest of what is waited for was owed, of types before this one.
    pub(in crate::session) fn since(&self, before: usize) -> Option<Instant> {
        let groups = self.0.iter().filter(|of| of.types.1 < before);
        groups.map(|group| group.since).min()
    }

    /// When the next is not waited for any more.
    pub(in crate::session) fn until(&self) -> Option<Instant> {
        self.0.iter().map(|group| group.until).min()
    }
}
