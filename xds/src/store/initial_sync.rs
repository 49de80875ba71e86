//! Initial syncs: all resources of one type that are visible through the same layers, assembled
//! once for all streams that need them at about the same time.
//!
//! After a restart of the server all proxies ask for all resources at once. An initial sync is
//! owned by the responses in flight alone, so its memory is freed when the last of them is
//! acknowledged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Bytes, BytesMut};

use crate::dialect::Dialect;
use crate::store::id_set::Ids;
use crate::store::{LayerId, ResourceId};

/// An initial sync: all resources of one type visible through one list of layers, in chunks
/// of bounded size.
#[derive(Debug)]
pub(crate) struct InitialSync {
    chunks: Vec<Chunk>,
}

/// The encoded resources of one response of an initial sync, by ascending id.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) ids: Arc<[ResourceId]>,
    set: Ids,
    pub(crate) bytes: Bytes,
    pub(crate) digest: u64,
}

impl InitialSync {
    /// Assembles chunks from resources given by ascending id, each with its bytes and its digest.
    pub(crate) fn build(
        resources: impl Iterator<Item = (ResourceId, Bytes, u64)>,
        limit: usize,
    ) -> InitialSync {
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
        InitialSync { chunks }
    }

    /// The chunk that begins with the smallest id of `owed`, if all of its resources are in `owed`.
    pub(crate) fn within(&self, owed: &Ids) -> Option<&Chunk> {
        let first = owed.iter().next()?;
        let at = self
            .chunks
            .iter()
            .find(|chunk| chunk.ids.first() == Some(&first))?;
        at.set.is_subset(owed).then_some(at)
    }

    /// The only chunk, if all resources are in one.
    pub(crate) fn whole(&self) -> Option<&Chunk> {
        match self.chunks.as_slice() {
            [chunk] => Some(chunk),
            _ => None,
        }
    }
}

/// A [`Chunk`] while resources are appended to it.
#[derive(Default)]
struct Builder {
    ids: Vec<ResourceId>,
    bytes: BytesMut,
    digest: u64,
}

impl Builder {
    fn finish(self) -> Chunk {
        let mut set = Ids::default();
        set.extend(self.ids.iter().copied());
        Chunk {
            ids: self.ids.into(),
            set,
            bytes: self.bytes.freeze(),
            digest: self.digest,
        }
    }
}

/// The key of an initial sync: the list of layers, the index of the type, and the dialect.
pub(crate) type Key = (Arc<[LayerId]>, usize, Dialect);

/// The initial syncs that streams are being sent, for other streams to share.
#[derive(Debug, Default)]
pub(crate) struct InitialSyncs(Mutex<HashMap<Key, Arc<UnderWay>>>);

/// An initial sync, with the commit that had last changed its type when it was built. The mutex is
/// locked while it is being built.
type UnderWay = Mutex<(u64, Weak<InitialSync>)>;

impl InitialSyncs {
    /// The initial sync that other streams are being sent, or a new one. Streams that ask for it
    /// meanwhile wait for it instead of building theirs; those that ask for another one do not
    /// wait.
    pub(crate) fn share(
        &self,
        key: Key,
        changed: u64,
        build: impl FnOnce() -> InitialSync,
    ) -> Arc<InitialSync> {
        let under_way = self.all().entry(key).or_default().clone();
        let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = of_commit(&under_way, changed) {
            return known;
        }
        let new = Arc::new(build());
        *under_way = (changed, Arc::downgrade(&new));
        new
    }

    /// The initial sync that other streams are being sent; none is built or waited for.
    pub(crate) fn known(&self, key: Key, changed: u64) -> Option<Arc<InitialSync>> {
        let under_way = self.all().get(&key)?.clone();
        // While it is being built no stream is sent it.
        let under_way = under_way.try_lock().ok()?;
        of_commit(&under_way, changed)
    }

    /// Drops the initial syncs of a list of layers that no placement has any more; `types` is the
    /// number of types.
    pub(crate) fn forget(&self, layers: &Arc<[LayerId]>, types: usize) {
        let mut all = self.all();
        for type_index in 0..types {
            for dialect in [Dialect::Delta, Dialect::Sotw] {
                all.remove(&(layers.clone(), type_index, dialect));
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all().len()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Arc<UnderWay>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The initial sync, if its type has not changed since and responses still hold it.
fn of_commit((at, known): &(u64, Weak<InitialSync>), changed: u64) -> Option<Arc<InitialSync>> {
    (*at == changed).then(|| known.upgrade())?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn key(layer: u32) -> Key {
        (Arc::new([LayerId(layer)]), 0, Dialect::Delta)
    }

    fn empty() -> InitialSync {
        InitialSync::build(std::iter::empty(), 0)
    }

    #[test]
    fn placements_do_not_wait_for_one_another() {
        let all = InitialSyncs::default();
        let (begun, has_begun) = channel();
        let (other_is_done, other_done) = channel();
        std::thread::scope(|scope| {
            let first = &all;
            let one = scope.spawn(move || {
                first.share(key(1), 7, || {
                    begun.send(()).unwrap();
                    let done = other_done.recv_timeout(Duration::from_secs(10));
                    done.expect("the other one waits for this one");
                    empty()
                })
            });
            has_begun.recv().unwrap();
            let _other = all.share(key(2), 7, empty);
            // Who only asks does not wait either.
            assert!(all.known(key(1), 7).is_none());
            other_is_done.send(()).unwrap();
            let one = one.join().unwrap();
            assert!(Arc::ptr_eq(&all.known(key(1), 7).unwrap(), &one));
        });
    }

    #[test]
    fn who_comes_while_one_is_built_shares_it() {
        let all = InitialSyncs::default();
        let builds = std::sync::atomic::AtomicUsize::new(0);
        let shared: Vec<Arc<InitialSync>> = std::thread::scope(|scope| {
            let share = || {
                all.share(key(1), 7, || {
                    builds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    empty()
                })
            };
            // All are kept until the last has its own.
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(share)).collect();
            let mut all = threads.into_iter().map(|thread| thread.join());
            all.by_ref().map(Result::unwrap).collect()
        });
        assert!(shared.iter().all(|one| Arc::ptr_eq(one, &shared[0])));
        assert_eq!(builds.into_inner(), 1);
    }
}
