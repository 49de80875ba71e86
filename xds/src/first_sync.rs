//! First syncs: all that a view has of a type, put together once for every stream that asks for it at about the same time.
//!
//! After a restart a whole fleet asks for everything at once. What is put together here is held by the responses under way and by
//! nothing else, so that it is gone when the storm is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::{Bytes, BytesMut};

use crate::ids::Ids;
use crate::publish::PlacementId;
use crate::session::Dialect;

/// A view's resources of one type, in responses of bounded size.
#[derive(Debug)]
pub(crate) struct FirstSync {
    chunks: Vec<Chunk>,
}

/// The resources of one response, by ascending id.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) ids: Arc<[u32]>,
    set: Ids,
    pub(crate) bytes: Bytes,
    pub(crate) digest: u64,
}

impl FirstSync {
    /// Puts together resources given by ascending id, each with its bytes and its part of the digest.
    pub(crate) fn build(
        resources: impl Iterator<Item = (u32, Bytes, u64)>,
        limit: usize,
    ) -> FirstSync {
        let mut chunks = Vec::new();
        let mut chunk = Builder::default();
        for (id, bytes, digest) in resources {
            if !chunk.ids.is_empty() && chunk.bytes.len() + bytes.len() > limit {
                chunks.push(std::mem::take(&mut chunk).finish());
            }
            chunk.ids.push(id);
            chunk.bytes.extend_from_slice(&bytes);
            chunk.digest = chunk.digest.wrapping_add(digest);
        }
        chunks.push(chunk.finish());
        FirstSync { chunks }
    }

    /// The response that begins with the smallest id of a set, if the set has all its resources.
    pub(crate) fn within(&self, owed: &Ids) -> Option<&Chunk> {
        let first = owed.iter().next()?;
        let at = self
            .chunks
            .iter()
            .find(|chunk| chunk.ids.first() == Some(&first))?;
        at.set.is_subset(owed).then_some(at)
    }

    /// All resources in one response, where they were not to be split.
    pub(crate) fn whole(&self) -> Option<&Chunk> {
        match self.chunks.as_slice() {
            [chunk] => Some(chunk),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Builder {
    ids: Vec<u32>,
    bytes: BytesMut,
    digest: u64,
}

impl Builder {
    fn finish(self) -> Chunk {
        let mut set = Ids::default();
        self.ids.iter().for_each(|id| set.insert(*id));
        Chunk {
            ids: self.ids.into(),
            set,
            bytes: self.bytes.freeze(),
            digest: self.digest,
        }
    }
}

/// Whose first sync, of which type, in which dialect.
pub(crate) type Key = (PlacementId, usize, Dialect);

/// The first syncs under way, each with the commit that last changed its type.
#[derive(Debug, Default)]
pub(crate) struct FirstSyncs(Mutex<HashMap<Key, (u64, Weak<FirstSync>)>>);

impl FirstSyncs {
    /// The one that somebody else is being sent, or a new one. Streams that come meanwhile wait for it instead of building theirs.
    pub(crate) fn share(
        &self,
        key: Key,
        changed: u64,
        build: impl FnOnce() -> FirstSync,
    ) -> Arc<FirstSync> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known)) = all.get(&key)
            && *at == changed
            && let Some(known) = known.upgrade()
        {
            return known;
        }
        let new = Arc::new(build());
        all.insert(key, (changed, Arc::downgrade(&new)));
        new
    }

    /// The one that somebody else is being sent.
    pub(crate) fn known(&self, key: Key, changed: u64) -> Option<Arc<FirstSync>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, known) = all.get(&key)?;
        (*at == changed).then(|| known.upgrade())?
    }

    /// The placement has other layers now, or none.
    pub(crate) fn forget(&self, placement: PlacementId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(of, _, _), _| *of != placement);
    }
}
