//! Publishing: one writer commits, every stream reads.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use seaway_proto::Resource;

use crate::bell::Bell;
use crate::body::Body;
use crate::cursors::{Cursor, Cursors};
use crate::interest::Interest;
use crate::missing::{Missing, MissingName};
use crate::quarantine::{HeldBack, Quarantine};
use crate::store::Store;
use crate::types::Types;

/// A layer: a set of resources that some proxies share. What it stands for is the application's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub u32);

/// A place from which proxies look at the layers. Streams with the same placement see the same resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlacementId(pub u32);

/// All resources that were made from one object, after a change of it.
#[derive(Clone, Debug)]
pub struct Replace {
    /// A mark of the object, for logs and for the next `Replace` of the same object.
    pub origin: Arc<str>,
    /// Its resources, each in its layer. What the object had before and is not listed here is removed.
    pub resources: Vec<(LayerId, Resource)>,
}

/// What becomes visible together.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Changed objects.
    pub replace: Vec<Replace>,
    /// Placements to set (their layers, most specific first) or to retire.
    pub placements: Vec<(PlacementId, Option<Vec<LayerId>>)>,
}

/// What a commit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The commit's sequence number.
    pub seq: u64,
    /// Resources that are new or have new bytes, counted per layer.
    pub set: usize,
    /// Resources removed, counted per layer.
    pub removed: usize,
}

#[derive(Debug)]
struct Shared {
    store: RwLock<Store>,
    types: Types,
    cursors: Cursors,
    missing: Arc<Missing>,
    bell: Bell,
}

/// The writing end; there is one.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    /// Where the resources of each object stand.
    origins: HashMap<Arc<str>, Vec<Place>>,
    /// The last commit of which everybody was told.
    last_roll_call: u64,
}

/// A response with a single resource of so many bytes stays below the 4 MiB that gRPC clients accept (xDS rule 127).
const LARGEST: usize = (4 << 20) - (64 << 10);
/// After so many commits everybody is woken, whom they concern or not.
const ROLL_CALL: u64 = 256;

/// The reading end, for any number of streams.
#[derive(Clone, Debug)]
pub struct Snapshots {
    shared: Arc<Shared>,
}

/// A resource's place in the store: type, id, layer.
pub(crate) type Place = (usize, u32, LayerId);

/// An empty world, its one writer and its readers.
pub fn channel(types: Types) -> (Publisher, Snapshots) {
    let shared = Arc::new(Shared {
        store: RwLock::new(Store::new(types.len())),
        missing: Arc::new(Missing::new(&types)),
        types,
        cursors: Cursors::default(),
        bell: Bell::default(),
    });
    let publisher = Publisher {
        shared: shared.clone(),
        origins: HashMap::new(),
        last_roll_call: 0,
    };
    (publisher, Snapshots { shared })
}

impl Publisher {
    /// Makes a commit visible, all at once: a stream sees the whole of it or nothing.
    ///
    /// A resource whose bytes are as before is left alone. Resources of a type that [`Types`] does not list are ignored.
    pub fn commit(&mut self, commit: Commit) -> Committed {
        let replaces = self.prepare(commit.replace);
        let shared = self.shared.clone();
        let mut store = shared.store.write().unwrap_or_else(PoisonError::into_inner);
        let before = store.seq();
        let seq = store.begin();
        let placed = !commit.placements.is_empty();
        for (id, layers) in commit.placements {
            store.place(id, layers);
        }
        let (set, removed) = self.replace_all(&mut store, replaces, Instant::now());
        store.forget_until(shared.cursors.slowest(before));
        let concerns = store.concerns();
        drop(store);
        // Now and then everybody has to come, so that what was removed can be forgotten.
        if placed || seq >= self.last_roll_call + ROLL_CALL {
            self.last_roll_call = seq;
            shared.bell.ring(seq, Interest::EVERYTHING);
        } else if set + removed > 0 {
            shared.bell.ring(seq, concerns);
        }
        Committed { seq, set, removed }
    }

    /// Encodes what differs from what stands. The one writer need not keep readers out for that.
    fn prepare(&self, replaces: Vec<Replace>) -> Vec<Prepared> {
        let store = self.shared.store.read();
        let store = store.unwrap_or_else(PoisonError::into_inner);
        let prepare = |replace: Replace| {
            let origin = replace.origin;
            let prepared = replace
                .resources
                .into_iter()
                .filter_map(|(layer, resource)| {
                    let type_index = self.shared.types.index(resource.type_url.as_str())?;
                    let id = store.find(type_index, &resource.name);
                    let present = id.and_then(|id| store.get(type_index, id, layer));
                    let same = present.is_some_and(|body| {
                        body.version == resource.version && body.origin == origin
                    });
                    let name = resource.name.clone();
                    let body = (!same).then(|| Body::new(resource, origin.clone()));
                    Some((type_index, name, layer, body))
                });
            let resources = prepared.collect();
            Prepared { origin, resources }
        };
        replaces.into_iter().map(prepare).collect()
    }

    fn replace_all(
        &mut self,
        store: &mut Store,
        replaces: Vec<Prepared>,
        now: Instant,
    ) -> (usize, usize) {
        let (mut set, mut removed) = (0, 0);
        let mut left = Vec::new();
        for Prepared { origin, resources } in replaces {
            let mut places = Vec::with_capacity(resources.len());
            for (type_index, name, layer, body) in resources {
                let id = store.intern(type_index, &name);
                places.push((type_index, id, layer));
                if let Some(body) = body {
                    // A first value is no change: at its start this process knows nothing of what clients are in the middle of.
                    let changed = store.get(type_index, id, layer).is_some();
                    if changed && self.shared.types.spec(type_index).reloads.is_some() {
                        store.note_recent(type_index, id, now);
                    }
                    let large = body.len() > LARGEST;
                    store.put(type_index, id, layer, Some(body));
                    if large {
                        let url = self.shared.types.spec(type_index).url;
                        store.note_large(url, (type_index, id, layer));
                    }
                    set += 1;
                }
            }
            let kept: HashSet<Place> = places.iter().copied().collect();
            let before = match places.is_empty() {
                true => self.origins.remove(&origin),
                false => self.origins.insert(origin.clone(), places),
            };
            let gone = before.into_iter().flatten().filter(|p| !kept.contains(p));
            left.extend(gone.map(|place| (origin.clone(), place)));
        }
        // Removals come last: a resource that moved from one object to another in this commit stays.
        for (origin, (type_index, id, layer)) in left {
            let owned = store
                .get(type_index, id, layer)
                .is_some_and(|body| body.origin == origin);
            if owned {
                store.put(type_index, id, layer, None);
                removed += 1;
            }
        }
        (set, removed)
    }
}

/// A [`Replace`] whose changed resources are encoded: type, name, layer, and the new content if it is another.
struct Prepared {
    origin: Arc<str>,
    resources: Vec<(usize, Arc<str>, LayerId, Option<Body>)>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.bell.close();
    }
}

impl Snapshots {
    /// Contents that are kept from proxies which were not sent them yet (xDS rules 82, 127), by
    /// type and name.
    pub fn held_back(&self) -> Vec<HeldBack> {
        self.quarantine().reports()
    }

    /// Names that streams ask for and that do not exist, up to ten thousand of each type (xDS rule 107); by type and name.
    pub fn missing(&self) -> Vec<MissingName> {
        self.shared.missing.reports()
    }

    pub(crate) fn all_missing(&self) -> &Arc<Missing> {
        &self.shared.missing
    }

    pub(crate) fn quarantine(&self) -> Arc<Quarantine> {
        self.read().quarantine().clone()
    }

    /// The store, for as long as it takes to compute a response; never while sending one (xDS rule 128).
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.shared
            .store
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn types(&self) -> &Types {
        &self.shared.types
    }

    pub(crate) fn cursor(&self) -> Cursor {
        let store = self.read();
        self.shared.cursors.register(store.seq())
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.shared.bell
    }
}
