//! One name of one resource type in the store: the present and the previous value in each layer.

use std::sync::Arc;

use seaway_proto::ResourceRef;

use crate::store::LayerId;
use crate::store::body::Body;

#[cfg(test)]
thread_local! {
    /// The number of names that this thread has resolved: a measure of cost, for tests.
    pub(crate) static RESOLVED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// One name of one resource type, with an entry for each layer that has or had a value for it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: Arc<str>,
    pub(crate) entries: Vec<Entry>,
}

/// What one layer holds for a name: the present and the previous value, and the commits of both.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) layer: LayerId,
    /// The commit since which `value` stands.
    pub(crate) since: u64,
    /// The present value; with `LayerValue::Nothing` the entry is a tombstone.
    pub(crate) value: LayerValue,
    /// The previous value and the commit since which it stood. Its body is kept for clients that
    /// reject the new one.
    pub(crate) before: (u64, LayerValue),
}

/// What a layer holds for a name: no value, a resource, or a mark that hides the name below it.
#[derive(Clone, Debug)]
pub(crate) enum LayerValue {
    /// No value: the name resolves to what the next layer holds.
    Nothing,
    /// The name does not exist, whatever the layers below hold.
    Hidden(Arc<HiddenBy>),
    /// The resource.
    Body(Arc<Body>),
}

/// The origin (an object of the application) that hides a name in a layer.
#[derive(Debug)]
pub(crate) struct HiddenBy {
    pub(crate) origin: Arc<str>,
}

impl LayerValue {
    pub(crate) fn body(&self) -> Option<&Arc<Body>> {
        match self {
            LayerValue::Body(body) => Some(body),
            LayerValue::Nothing | LayerValue::Hidden(_) => None,
        }
    }

    /// The resources that the body refers to; empty without a body.
    pub(crate) fn refs(&self) -> &[ResourceRef] {
        self.body().map_or(&[], |body| &body.refs)
    }

    /// The origin of the body, or the origin that hides the name.
    pub(crate) fn origin(&self) -> Option<&Arc<str>> {
        match self {
            LayerValue::Body(body) => Some(&body.origin),
            LayerValue::Hidden(by) => Some(&by.origin),
            LayerValue::Nothing => None,
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, LayerValue::Nothing)
    }
}

impl Slot {
    pub(crate) fn entry(&self, layer: LayerId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.layer == layer)
    }

    /// The entry of the first of the layers that has a value or hides the name; none where only
    /// overriding layers do.
    pub(crate) fn decisive(&self, layers: &[LayerId]) -> Option<&Entry> {
        let entries = layers.iter().filter_map(|layer| self.entry(*layer));
        let mut first = None;
        for entry in entries.filter(|entry| !entry.value.is_nothing()) {
            let first = *first.get_or_insert(entry);
            if !entry.layer.is_overriding() {
                return Some(first);
            }
        }
        None
    }

    /// The body that a stream with these layers sees: that of the first layer with a value, unless
    /// a layer above it hides the name.
    pub(crate) fn resolve(&self, layers: &[LayerId]) -> Option<&Arc<Body>> {
        #[cfg(test)]
        RESOLVED.with(|count| count.set(count.get() + 1));
        self.decisive(layers)?.value.body()
    }

    /// Whether any layer got its value after a commit.
    pub(crate) fn is_newer_than(&self, commit: u64) -> bool {
        self.entries.iter().any(|entry| entry.since > commit)
    }

    /// The commit that was the last to give a layer what it has.
    pub(crate) fn changed(&self) -> u64 {
        let commits = self.entries.iter().map(|entry| entry.since);
        commits.max().unwrap_or_default()
    }

    /// What `resolve` gave after the commit `cursor`; `Err` if the entries no longer tell.
    pub(crate) fn resolved_at(
        &self,
        layers: &[LayerId],
        cursor: u64,
    ) -> Result<Option<&Arc<Body>>, Forgotten> {
        let mut first = None;
        for entry in layers.iter().filter_map(|layer| self.entry(*layer)) {
            let value = match &entry.before {
                _ if entry.since <= cursor => &entry.value,
                (since, before) if *since <= cursor => before,
                _ => return Err(Forgotten),
            };
            if !value.is_nothing() {
                let first = *first.get_or_insert(value);
                if !entry.layer.is_overriding() {
                    return Ok(first.body());
                }
            }
        }
        Ok(None)
    }

    /// The commit that put the body which `resolve` gives into its layer.
    pub(crate) fn resolved_since(&self, layers: &[LayerId]) -> Option<u64> {
        let entry = self.decisive(layers)?;
        entry.value.body().map(|_| entry.since)
    }

    /// The newest commit that gave one of the layers what it has, or took it away.
    pub(crate) fn decided_since(&self, layers: &[LayerId]) -> Option<u64> {
        let entries = layers.iter().filter_map(|layer| self.entry(*layer));
        match self.resolved_since(layers) {
            Some(since) => Some(since),
            None => entries.map(|entry| entry.since).max(),
        }
    }

    /// The previous body of the first of these layers that had one and has none now.
    pub(crate) fn removed(&self, layers: &[LayerId]) -> Option<&Arc<Body>> {
        let entries = layers.iter().filter_map(|layer| self.entry(*layer));
        let mut gone = entries.filter(|entry| entry.value.body().is_none());
        gone.find_map(|entry| entry.before.1.body())
    }

    /// The bodies of all layers.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Arc<Body>> {
        self.entries.iter().filter_map(|entry| entry.value.body())
    }

    /// A body of any layer, present or previous: enough to tell the resource's origin.
    pub(crate) fn any_body(&self) -> Option<&Arc<Body>> {
        let mut entries = self.entries.iter();
        entries.find_map(|entry| entry.value.body().or_else(|| entry.before.1.body()))
    }
}

/// The state at an older commit is unknown: an entry has changed more than once since then.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten;
