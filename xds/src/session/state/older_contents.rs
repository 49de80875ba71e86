//! Resources whose present content a client does not have, each with the content that it has
//! instead: for a rejected resource the content accepted before.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::ResourceId;
use crate::store::body::Body;
use crate::store::name_map::ENTRY;

/// Resources whose present content a client does not have, each with the content that it has
/// instead, if it has any.
#[derive(Debug, Default)]
pub(in crate::session) struct OlderContents {
    by_id: BTreeMap<ResourceId, Option<Arc<Body>>>,
    bytes: usize,
}

/// The approximate memory of one of them, in bytes.
fn cost(body: Option<&Arc<Body>>) -> usize {
    ENTRY + body.map_or(0, |body| body.len())
}

impl OlderContents {
    /// The memory that all contents take, in bytes. Other holders may share them, or there may be
    /// none.
    pub(in crate::session) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(in crate::session) fn recount(&self) -> usize {
        self.by_id.values().map(|body| cost(body.as_ref())).sum()
    }

    pub(in crate::session) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(in crate::session) fn ids(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.by_id.keys().copied()
    }

    pub(in crate::session) fn contains(&self, id: ResourceId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(in crate::session) fn get(&self, id: ResourceId) -> Option<&Option<Arc<Body>>> {
        self.by_id.get(&id)
    }

    pub(super) fn insert(&mut self, id: ResourceId, body: Option<Arc<Body>>) {
        self.bytes += cost(body.as_ref());
        if let Some(before) = self.by_id.insert(id, body) {
            self.bytes -= cost(before.as_ref());
        }
    }

    pub(super) fn remove(&mut self, id: ResourceId) -> Option<Option<Arc<Body>>> {
        let body = self.by_id.remove(&id)?;
        self.bytes -= cost(body.as_ref());
        Some(body)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(ResourceId) -> bool) {
        let bytes = &mut self.bytes;
        self.by_id.retain(|id, body| {
            let keeps = keep(*id);
            if !keeps {
                *bytes -= cost(body.as_ref());
            }
            keeps
        });
    }
}
