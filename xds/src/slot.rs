//! One name of one type in the store: its value in each layer, and what stood there before.

use std::sync::Arc;

use crate::body::Body;
use crate::publish::LayerId;

/// One name of one type.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: Arc<str>,
    pub(crate) entries: Vec<Entry>,
}

/// The value of a name in a layer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) layer: LayerId,
    /// The commit that gave it this value.
    pub(crate) since: u64,
    pub(crate) value: Value,
    /// What stood here before, and from which commit on. The body stays for a client that rejects the new one.
    pub(crate) before: (u64, Option<Arc<Body>>),
}

#[derive(Debug)]
pub(crate) enum Value {
    Present(Arc<Body>),
    /// A tombstone, with what stood here last.
    Gone(Arc<Body>),
}

impl Entry {
    pub(crate) fn present(&self) -> Option<&Arc<Body>> {
        match &self.value {
            Value::Present(body) => Some(body),
            Value::Gone(_) => None,
        }
    }
}

impl Slot {
    pub(crate) fn entry(&self, layer: LayerId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.layer == layer)
    }

    /// The value in the first of the layers that has one.
    pub(crate) fn resolve(&self, layers: &[LayerId]) -> Option<&Arc<Body>> {
        let mut entries = layers.iter().filter_map(|layer| self.entry(*layer));
        entries.find_map(Entry::present)
    }

    /// What `resolve` gave after the commit `cursor`; `Err` if that is not known any more.
    pub(crate) fn resolved_at(
        &self,
        layers: &[LayerId],
        cursor: u64,
    ) -> Result<Option<&Arc<Body>>, Forgotten> {
        for entry in layers.iter().filter_map(|layer| self.entry(*layer)) {
            let body = match &entry.before {
                _ if entry.since <= cursor => entry.present(),
                (since, body) if *since <= cursor => body.as_ref(),
                _ => return Err(Forgotten),
            };
            if body.is_some() {
                return Ok(body);
            }
        }
        Ok(None)
    }

    /// The commit that gave `resolve` its value.
    pub(crate) fn resolved_since(&self, layers: &[LayerId]) -> Option<u64> {
        let mut entries = layers.iter().filter_map(|layer| self.entry(*layer));
        entries
            .find(|entry| entry.present().is_some())
            .map(|entry| entry.since)
    }

    /// What was removed from one of the layers.
    pub(crate) fn removed(&self, layers: &[LayerId]) -> Option<&Arc<Body>> {
        let mut entries = layers.iter().filter_map(|layer| self.entry(*layer));
        entries.find_map(|entry| match &entry.value {
            Value::Gone(body) => Some(body),
            Value::Present(_) => None,
        })
    }

    /// A value in any layer, present or past: enough to tell where the resource came from.
    pub(crate) fn any_body(&self) -> Option<&Arc<Body>> {
        self.entries.first().map(|entry| match &entry.value {
            Value::Present(body) | Value::Gone(body) => body,
        })
    }
}

/// The entry changed more than once since: what stood there in between is not kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten;
