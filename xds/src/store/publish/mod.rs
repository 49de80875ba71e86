//! Publishing: one writer commits, every stream reads.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use seaway_proto::{Resource, ResourceRef};

use crate::store::Store;
use crate::store::body::Body;
use crate::store::cursors::{Cursor, Cursors};
use crate::store::interest::{Concerns, Interest};
use crate::store::missing::{Missing, MissingName};
use crate::store::notify::CommitNotifier;
use crate::store::quarantine::{HeldBack, Quarantine};
use crate::store::slot::{HiddenBy, LayerValue};
use crate::store::{LayerId, PlacementId};
use crate::types::Types;
use crate::xdstp;

/// All resources that were made from one object, after a change of it.
#[derive(Clone, Debug, Default)]
pub struct Replace {
    /// A mark of the object, for logs and for the next `Replace` of the same object.
    pub origin: Arc<str>,
    /// Its resources, each in its layer. What the object had before and is not listed here is
    /// removed.
    pub resources: Vec<(LayerId, Resource)>,
    /// Names that the object hides, each in a layer: who looks from there does not see what the
    /// layers below have under that name. A name that is listed as a resource of the same layer,
    /// too, is hidden.
    pub hidden: Vec<(LayerId, ResourceRef)>,
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
    /// Resources that are new or have new bytes, and names newly hidden, counted per layer.
    pub set: usize,
    /// Resources removed and names no longer hidden, counted per layer.
    pub removed: usize,
}

#[derive(Debug)]
struct Shared {
    store: RwLock<Store>,
    types: Types,
    cursors: Cursors,
    missing: Arc<Missing>,
    notifier: CommitNotifier,
}

/// The writing end; there is one.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    /// Where the resources of each object stand.
    origins: HashMap<Arc<str>, Vec<EntryKey>>,
    /// The last commit of which everybody was told.
    last_roll_call: u64,
    /// What was put since it was last looked how far streams have read.
    put: usize,
}

/// A response with a single resource of so many bytes stays below the 4 MiB that gRPC clients
/// accept (xDS rule 127).
const LARGEST: usize = (4 << 20) - (64 << 10);
/// After so many commits everybody is woken, whom they concern or not.
const ROLL_CALL: u64 = 256;

/// For each resource that is put it is looked how far so many streams have read, on average, so
/// that what was removed can be forgotten: with a few streams after each commit, with thousands
/// after some.
const LOOKS: usize = 64;

/// The reading end, for any number of streams.
#[derive(Clone, Debug)]
pub struct Snapshots {
    shared: Arc<Shared>,
}

/// A resource's place in the store: type, id, layer.
pub(crate) type EntryKey = (usize, u32, LayerId);

/// An empty world, its one writer and its readers.
pub fn channel(types: Types) -> (Publisher, Snapshots) {
    let (store, notifier) = (Store::new(&types), CommitNotifier::default());
    store.quarantine().notify_with(&notifier);
    let shared = Arc::new(Shared {
        store: RwLock::new(store),
        missing: Arc::new(Missing::new(&types)),
        types,
        cursors: Cursors::default(),
        notifier,
    });
    let publisher = Publisher {
        shared: shared.clone(),
        origins: HashMap::new(),
        last_roll_call: 0,
        put: 0,
    };
    (publisher, Snapshots { shared })
}

impl Publisher {
    /// Makes a commit visible, all at once: a stream sees the whole of it or nothing.
    ///
    /// A resource whose bytes are as before is left alone. Resources of a type that [`Types`] does
    /// not list are ignored. Streams hear of it if what changed lies in a layer they look through,
    /// or if their placement has other layers than before. A commit that only sets placements for
    /// streams to come, or retires some, is nothing that any stream has to read: it has no number
    /// of its own.
    pub fn commit(&mut self, commit: Commit) -> Committed {
        let replaces = self.prepare(commit.replace);
        let shared = self.shared.clone();
        let passed = self.passed_by_all();
        let mut store = shared.store.write().unwrap_or_else(PoisonError::into_inner);
        let before = store.seq();
        let is_moved = |(id, layers): &(PlacementId, Option<Vec<LayerId>>)| {
            let known = store.placement(*id);
            (known.zip(layers.as_ref())).is_some_and(|(known, layers)| **known != **layers)
        };
        let moved = commit.placements.iter().filter(|place| is_moved(place));
        let moved: Vec<PlacementId> = moved.map(|(id, _)| *id).collect();
        let only_places = replaces.is_empty() && moved.is_empty() && !commit.placements.is_empty();
        for (id, layers) in commit.placements {
            store.place(id, layers);
        }
        if only_places {
            return Committed {
                seq: before,
                set: 0,
                removed: 0,
            };
        }
        let seq = store.begin();
        let (set, removed) = self.replace_all(&mut store, replaces, Instant::now());
        self.put += set + removed;
        if let Some(passed) = passed {
            store.forget_until(passed);
        }
        let mut concerns = store.take_concerns();
        drop(store);
        concerns.set_moved(moved);
        // Now and then everybody has to come, so that what was removed can be forgotten.
        if seq >= self.last_roll_call + ROLL_CALL {
            self.last_roll_call = seq;
            let everybody = Concerns::anywhere(Interest::EVERYTHING);
            shared.notifier.notify(&everybody);
        } else if !concerns.is_empty() {
            shared.notifier.notify(&concerns);
        }
        Committed { seq, set, removed }
    }

    /// How far all streams have read, if it is time to look: after as much was put as makes it
    /// worth while, and before readers are kept out. Who comes meanwhile begins behind that.
    fn passed_by_all(&mut self) -> Option<u64> {
        let cursors = &self.shared.cursors;
        if self.put * LOOKS < cursors.len() {
            return None;
        }
        self.put = 0;
        let newest = self.shared.store.read();
        let newest = newest.unwrap_or_else(PoisonError::into_inner).seq();
        Some(cursors.slowest(newest))
    }

    /// Encodes what differs from what stands. The one writer need not keep readers out for that.
    fn prepare(&self, replaces: Vec<Replace>) -> Vec<Prepared> {
        let store = self.shared.store.read();
        let store = store.unwrap_or_else(PoisonError::into_inner);
        let types = &self.shared.types;
        let standing = |type_index: usize, name: &str, layer| match store.find(type_index, name) {
            Some(id) => store.get((type_index, id, layer)),
            None => &LayerValue::Nothing,
        };
        let prepare = |replace: Replace| {
            let origin = replace.origin;
            let hidden = &replace.hidden;
            let hides = |layer: LayerId, resource: &Resource| {
                let mut hidden = hidden.iter().filter(|(of, _)| *of == layer);
                hidden.any(|(_, r)| r.type_url == resource.type_url && r.name == resource.name)
            };
            let resources = replace.resources.into_iter();
            let shown = resources.filter(|(layer, resource)| !hides(*layer, resource));
            let resources = shown.filter_map(|(layer, resource)| {
                let type_index = types.index(resource.type_url.as_str())?;
                let name = xdstp::shared(resource.name.clone());
                let present = standing(type_index, &name, layer).body();
                let same = present
                    .is_some_and(|body| body.version == resource.version && body.origin == origin);
                let body =
                    || LayerValue::Body(Arc::new(Body::new(canonical(resource), origin.clone())));
                Some((type_index, name, layer, (!same).then(body)))
            });
            let hidden = hidden.iter().cloned();
            let hidden = hidden.filter_map(|(layer, ResourceRef { type_url, name })| {
                let type_index = types.index(type_url.as_str())?;
                let name = xdstp::shared(name);
                let value = standing(type_index, &name, layer);
                let same = matches!(value, LayerValue::Hidden(by) if by.origin == origin);
                let origin = origin.clone();
                let hidden = || LayerValue::Hidden(Arc::new(HiddenBy { origin }));
                Some((type_index, name, layer, (!same).then(hidden)))
            });
            let said = resources.chain(hidden).collect();
            Prepared { origin, said }
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
        for Prepared { origin, said } in replaces {
            let mut keys = Vec::with_capacity(said.len());
            for (type_index, name, layer, value) in said {
                let key = (type_index, store.intern(type_index, &name), layer);
                keys.push(key);
                if let Some(value) = value {
                    self.say(store, key, value, now);
                    set += 1;
                }
            }
            let kept: HashSet<EntryKey> = keys.iter().copied().collect();
            let before = match keys.is_empty() {
                true => self.origins.remove(&origin),
                false => self.origins.insert(origin.clone(), keys),
            };
            let gone = before.into_iter().flatten().filter(|p| !kept.contains(p));
            left.extend(gone.map(|key| (origin.clone(), key)));
        }
        // Removals come last: a resource that moved from one object to another in this commit
        // stays.
        for (origin, key) in left {
            if store.get(key).origin() == Some(&origin) {
                store.put(key, LayerValue::Nothing);
                removed += 1;
            }
        }
        (set, removed)
    }

    fn say(&self, store: &mut Store, place: EntryKey, value: LayerValue, now: Instant) {
        let (type_index, id, _) = place;
        let spec = self.shared.types.spec(type_index);
        // A first value is no change: at its start this process knows nothing of what clients are
        // in the middle of.
        let changed = store.get(place).body().is_some();
        if changed && spec.reloads.is_some() {
            store.note_recent(type_index, id, now);
        }
        let large = value.body().is_some_and(|body| body.len() > LARGEST);
        store.put(place, value);
        if large {
            store.note_large(spec.url, place);
        }
    }
}

/// A resource whose names compare equal if they mean the same (xDS rule 114).
fn canonical(mut resource: Resource) -> Resource {
    resource.name = xdstp::shared(resource.name);
    for reference in &mut resource.refs {
        reference.name = xdstp::shared(reference.name.clone());
    }
    resource
}

/// A [`Replace`] whose changed resources are encoded: type, name, layer, and what the layer says if
/// it says something else now.
struct Prepared {
    origin: Arc<str>,
    said: Vec<(usize, Arc<str>, LayerId, Option<LayerValue>)>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.notifier.close();
    }
}

impl Snapshots {
    /// Contents that are kept from proxies which were not sent them yet (xDS rules 82, 127), by
    /// type and name.
    pub fn held_back(&self) -> Vec<HeldBack> {
        self.quarantine().reports()
    }

    /// Names that streams ask for and that do not exist, up to ten thousand of each type (xDS rule
    /// 107); by type and name.
    pub fn missing(&self) -> Vec<MissingName> {
        self.shared.missing.reports()
    }

    pub(crate) fn all_missing(&self) -> &Arc<Missing> {
        &self.shared.missing
    }

    pub(crate) fn quarantine(&self) -> Arc<Quarantine> {
        self.read().quarantine().clone()
    }

    /// The store, for as long as it takes to compute a response; never while sending one (xDS rule
    /// 128).
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

    pub(crate) fn notifier(&self) -> &CommitNotifier {
        &self.shared.notifier
    }
}

#[cfg(test)]
mod tests;
