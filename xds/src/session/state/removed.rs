//! The removed resources of one type whose removal is still to be sent to a client.

use std::sync::Arc;
use std::time::Instant;

use crate::session::chunk::fitting;
use crate::store::body::Body;
use crate::store::name_map::NameMap;

/// The removed resources of one type whose removal is still to be sent.
#[derive(Debug, Default)]
pub(in crate::session) struct Removed {
    names: NameMap<Gone>,
    /// The time since which the oldest of them is gone, or an earlier one.
    since: Option<Instant>,
}

/// A removed resource whose removal is still to be sent.
#[derive(Debug)]
pub(in crate::session) struct Gone {
    /// The last content, where complete responses list it until the removal is sent.
    pub(in crate::session) body: Option<Arc<Body>>,
    pub(in crate::session) since: Instant,
}

impl Removed {
    pub(in crate::session) fn bytes(&self) -> usize {
        self.names.bytes()
    }

    pub(in crate::session) fn len(&self) -> usize {
        self.names.len()
    }

    pub(in crate::session) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(in crate::session) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Gone)> {
        self.names.iter()
    }

    pub(in crate::session) fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn insert(&mut self, name: Arc<str>, body: Option<Arc<Body>>, since: Instant) {
        self.began(since);
        self.names.insert(name, Gone { body, since });
    }

    /// Adds a name unless it is there.
    pub(super) fn insert_new(&mut self, name: Arc<str>, since: Instant) {
        self.began(since);
        self.names.insert_new(name, Gone { body: None, since });
    }

    fn began(&mut self, since: Instant) {
        self.since = Some(self.since.map_or(since, |before| before.min(since)));
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<str>> {
        let (name, _) = self.names.remove(name)?;
        if self.names.is_empty() {
            self.since = None;
        }
        Some(name)
    }

    /// Takes out the names for which `keep` does not hold.
    pub(super) fn take_unless(&mut self, mut keep: impl FnMut(&Arc<str>) -> bool) -> Vec<Arc<str>> {
        let mut taken = Vec::new();
        self.names.retain(|name| {
            let keeps = keep(name);
            if !keeps {
                taken.push(name.clone());
            }
            keeps
        });
        if self.names.is_empty() {
            self.since = None;
        }
        taken
    }

    /// Takes out the first names gone since before `cutoff` that fit into `room` bytes, at least
    /// one if there is any.
    pub(super) fn take_before(&mut self, cutoff: Option<Instant>, room: usize) -> Vec<Arc<str>> {
        let before = |gone: &Gone| cutoff.is_none_or(|cutoff| gone.since < cutoff);
        let ready = self.names.iter().filter(|(_, gone)| before(gone));
        let ready: Vec<Arc<str>> = fitting(ready.map(|(name, _)| name), room)
            .cloned()
            .collect();
        for name in &ready {
            self.names.remove(name);
        }
        self.since = self.names.iter().map(|(_, gone)| gone.since).min();
        ready
    }

    /// Takes out all names.
    pub(super) fn take(&mut self) -> Vec<Arc<str>> {
        self.since = None;
        self.names.take().into_keys().collect()
    }
}
