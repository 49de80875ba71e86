//! One name of one type in the store: what each layer says of it, and what it said before.

use std::sync::Arc;

use seaway_proto::ResourceRef;

use crate::store::LayerId;
use crate::store::body::Body;

#[cfg(test)]
thread_local! {
    /// How often a name was resolved, by this thread: what something costs.
    pub(crate) static RESOLVED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// One name of one type.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: Arc<str>,
    pub(crate) entries: Vec<Entry>,
}

/// A name in a layer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) layer: LayerId,
    /// The commit from which on it says this.
    pub(crate) since: u64,
    /// Nothing is a tombstone.
    pub(crate) value: LayerValue,
    /// What it said before, and from which commit on. The body stays for a client that rejects the
    /// new one.
    pub(crate) before: (u64, LayerValue),
}

/// What a layer says of a name.
#[derive(Clone, Debug)]
pub(crate) enum LayerValue {
    /// To look in the next layer.
    Nothing,
    /// That it does not exist, whatever the layers below say.
    Hidden(Arc<HiddenBy>),
    /// What it is.
    Body(Arc<Body>),
}

/// The object that hides a name.
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

    /// What it refers to.
    pub(crate) fn refs(&self) -> &[ResourceRef] {
        self.body().map_or(&[], |body| &body.refs)
    }

    /// The object that says so.
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

    /// The first entry that says something.
    fn decisive(&self, layers: &[LayerId]) -> Option<&Entry> {
        let mut entries = layers.iter().filter_map(|layer| self.entry(*layer));
        entries.find(|entry| !entry.value.is_nothing())
    }

    /// The value in the first of the layers that has one, unless one above hides it.
    pub(crate) fn resolve(&self, layers: &[LayerId]) -> Option<&Arc<Body>> {
        #[cfg(test)]
        RESOLVED.with(|count| count.set(count.get() + 1));
        self.decisive(layers)?.value.body()
    }

    /// What `resolve` gave after the commit `cursor`; `Err` if that is not known any more.
    pub(crate) fn resolved_at(
        &self,
        layers: &[LayerId],
        cursor: u64,
    ) -> Result<Option<&Arc<Body>>, Forgotten> {
        for entry in layers.iter().filter_map(|layer| self.entry(*layer)) {
            let said = match &entry.before {
                _ if entry.since <= cursor => &entry.value,
                (since, before) if *since <= cursor => before,
                _ => return Err(Forgotten),
            };
            if !said.is_nothing() {
                return Ok(said.body());
            }
        }
        Ok(None)
    }

    /// The commit that gave `resolve` its value.
    pub(crate) fn resolved_since(&self, layers: &[LayerId]) -> Option<u64> {
        let entry = self.decisive(layers)?;
        entry.value.body().map(|_| entry.since)
    }

    /// What was removed from one of the layers.
    pub(crate) fn removed(&self, layers: &[LayerId]) -> Option<&Arc<Body>> {
        let entries = layers.iter().filter_map(|layer| self.entry(*layer));
        let mut gone = entries.filter(|entry| entry.value.body().is_none());
        gone.find_map(|entry| entry.before.1.body())
    }

    /// A value in any layer, present or past: enough to tell where the resource came from.
    pub(crate) fn any_body(&self) -> Option<&Arc<Body>> {
        let mut entries = self.entries.iter();
        entries.find_map(|entry| entry.value.body().or_else(|| entry.before.1.body()))
    }
}

/// The entry changed more than once since: what stood there in between is not kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten;
