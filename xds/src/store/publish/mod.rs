//! Publishing: one `Publisher` makes commits, and every stream reads them through `Snapshots`.

pub(crate) mod coalesce;
mod contents;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use seaway_proto::{Resource, ResourceRef, TypeUrl};
use tokio::sync::watch;

use crate::store::Store;
use crate::store::body::Body;
use crate::store::changes::{Changes, Summary};
use crate::store::cursors::{Cursor, Cursors};
use crate::store::missing::demand::{Demand, Demands};
use crate::store::missing::{Missing, MissingName};
use crate::store::notify::CommitNotifier;
use crate::store::quarantine::{Quarantine, Quarantined};
use crate::store::rejected::{RejectedList, RejectedResource};
use crate::store::slot::{HiddenBy, LayerValue};
use crate::store::{LayerId, PlacementId, ResourceId};
use crate::types::Types;
use crate::xdstp;

/// The resources of one origin (an object of the application) after a change; published together
/// with others in one [`Commit`].
#[derive(Clone, Debug, Default)]
pub struct Replace {
    /// The mark of the object, for logs and for the next `Replace` of the same object.
    pub origin: Arc<str>,
    /// The object's resources, each in its layer. Those that it had before and that are not listed
    /// here are removed.
    pub resources: Vec<(LayerId, Resource)>,
    /// Names that the object hides, each in a layer: a proxy with that layer does not see what the
    /// layers below it have under that name. A name that is also listed as a resource of the same
    /// layer is hidden.
    pub hidden: Vec<(LayerId, ResourceRef)>,
}

/// A set of changes that becomes visible to all streams at once.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Changed objects, each with all its resources.
    pub replace: Vec<Replace>,
    /// Placements to set (their layers, most specific first) or to retire (`None`).
    pub placements: Vec<(PlacementId, Option<Vec<LayerId>>)>,
    /// When the event behind it was read, the first of them if there were several; `None`: now.
    pub since: Option<Instant>,
}

/// The result of a commit: its sequence number and the number of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The commit's sequence number; that of the commit before, if this one has none of its own.
    pub seq: u64,
    /// Resources that are new or have new bytes, and names newly hidden, counted per layer.
    pub set: usize,
    /// Resources removed and names no longer hidden, counted per layer.
    pub removed: usize,
}

/// The state that the publisher and all its readers share.
#[derive(Debug)]
struct Shared {
    store: RwLock<Store>,
    types: Types,
    cursors: Cursors,
    missing: Arc<Missing>,
    demand: Arc<Demand>,
    rejected: Arc<RejectedList>,
    notifier: CommitNotifier,
    changes: Arc<Changes>,
}

/// The only writer of the store: makes commits, and wakes the connections that they concern.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    /// The entries of each origin's resources and hidden names in the store.
    origins: HashMap<Arc<str>, Vec<EntryKey>>,
    /// The last commit after which all connections were woken.
    last_full_wake_up: u64,
    /// The number of entries put since the cursors of all streams were last looked at.
    put: usize,
}

/// The largest resource, in bytes, that makes a response below the 4 MiB that gRPC clients accept
/// (xDS rule 127).
const LARGEST: usize = (4 << 20) - (64 << 10);
/// The number of commits after which all connections are woken, even those that no commit
/// concerned.
const FULL_WAKE_UP: u64 = 256;

/// The number of cursors looked at per resource put, on average, so that removed resources can be
/// forgotten: with few streams after each commit, with thousands after some.
const LOOKS: usize = 64;

/// The reading end of a [`Publisher`], for any number of streams; clones share the store.
#[derive(Clone, Debug)]
pub struct Snapshots {
    shared: Arc<Shared>,
}

/// The key of an entry in the store: the index of the type, the id of the name, and the layer.
pub(crate) type EntryKey = (usize, ResourceId, LayerId);

/// Creates an empty store, and returns its only writer and a reader.
pub fn channel(types: Types) -> (Publisher, Snapshots) {
    let (store, notifier) = (Store::new(&types), CommitNotifier::default());
    store.quarantine().notify_with(&notifier);
    let shared = Arc::new(Shared {
        store: RwLock::new(store),
        missing: Arc::new(Missing::new(&types)),
        demand: Arc::default(),
        rejected: Arc::default(),
        types,
        cursors: Cursors::default(),
        notifier,
        changes: Arc::default(),
    });
    let publisher = Publisher {
        shared: shared.clone(),
        origins: HashMap::new(),
        last_full_wake_up: 0,
        put: 0,
    };
    (publisher, Snapshots { shared })
}

impl Publisher {
    /// Makes a commit visible at once: a stream sees the whole of it or nothing.
    ///
    /// A resource whose bytes are as before is left alone. Resources of a type that [`Types`] does
    /// not list are ignored. A stream is woken if a change lies in one of its layers, or if its
    /// placement has other layers than before. A commit that only sets placements which no stream
    /// uses yet, or retires some, brings no stream anything to read: it has no sequence number of
    /// its own.
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
        let mut summary = self.replace_all(&mut store, replaces, Instant::now());
        summary.moved = moved.len();
        let (set, removed) = summary.totals();
        self.put += set + removed;
        if let Some(passed) = passed {
            store.forget_until(passed);
        }
        let mut concerns = store.take_concerns();
        let (deliveries, forgotten) = shared.changes.begin(seq, commit.since, summary);
        drop(store);
        drop(forgotten);
        concerns.set_moved(moved);
        // Now and then all streams have to read the log, so that tombstones can be forgotten.
        let all = seq >= self.last_full_wake_up + FULL_WAKE_UP;
        if all {
            self.last_full_wake_up = seq;
        }
        if all || !concerns.is_empty() {
            shared.notifier.notify_commit(&concerns, deliveries, all);
        }
        Committed { seq, set, removed }
    }

    /// The commit that all streams have read, if enough was put since the last look to make it
    /// worth while. It is determined before readers are locked out; a stream that begins meanwhile
    /// begins at that commit or later.
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

    /// Encodes the resources that differ from the published ones. Only the writer changes the
    /// store, so readers need not be locked out for that.
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
            let mut shared: HashMap<_, Arc<Body>> = HashMap::new();
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
                let is_same =
                    |body: &&Arc<Body>| body.version == resource.version && body.origin == origin;
                let present = standing(type_index, &name, layer).body();
                if present.filter(is_same).is_some() {
                    return Some((type_index, name, layer, None));
                }
                // What is in several layers is encoded once.
                let key = (type_index, name.clone(), resource.version);
                let standing = store.find(type_index, &name);
                let standing = standing.map(|id| store.slot(type_index, id));
                let elsewhere = || standing?.bodies().find(is_same).cloned();
                let body = match shared.get(&key).cloned().or_else(elsewhere) {
                    Some(body) => body,
                    None => Arc::new(Body::new(canonical(resource), origin.clone())),
                };
                shared.insert(key, body.clone());
                Some((type_index, name, layer, Some(LayerValue::Body(body))))
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
            let entries = resources.chain(hidden).collect();
            Prepared { origin, entries }
        };
        replaces.into_iter().map(prepare).collect()
    }

    /// Puts the changed values into the store and removes what the origins no longer list. Returns
    /// what changed with that.
    fn replace_all(&mut self, store: &mut Store, replaces: Vec<Prepared>, now: Instant) -> Summary {
        let mut summary = Summary::new(self.shared.types.len());
        let mut origins = Vec::with_capacity(replaces.len());
        let mut left = Vec::new();
        for Prepared { origin, entries } in replaces {
            let mut keys = Vec::with_capacity(entries.len());
            let mut changed = false;
            for (type_index, name, layer, value) in entries {
                let key = (type_index, store.intern(type_index, &name), layer);
                keys.push(key);
                if let Some(value) = value {
                    summary.set(type_index, value.body().map_or(0, |body| body.len()));
                    self.set(store, key, value, now);
                    changed = true;
                }
            }
            let kept: HashSet<EntryKey> = keys.iter().copied().collect();
            let before = match keys.is_empty() {
                true => self.origins.remove(&origin),
                false => self.origins.insert(origin.clone(), keys),
            };
            let gone = before.into_iter().flatten().filter(|p| !kept.contains(p));
            left.extend(gone.map(|key| (origins.len(), key)));
            origins.push((origin, changed));
        }
        // Removals come last: a resource that moved from one object to another in this commit
        // stays.
        for (of, key) in left {
            let (origin, changed) = &mut origins[of];
            if store.get(key).origin() == Some(origin) {
                store.put(key, LayerValue::Nothing);
                summary.removed(key.0);
                *changed = true;
            }
        }
        for (origin, _) in origins.into_iter().filter(|(_, changed)| *changed) {
            summary.origin(origin);
        }
        summary
    }

    /// Puts a changed value into the store, and notes what follows for reconnects and for large
    /// resources.
    fn set(&self, store: &mut Store, place: EntryKey, value: LayerValue, now: Instant) {
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

/// The resource with all names in canonical form, so that names with the same meaning compare equal
/// (xDS rule 114).
fn canonical(mut resource: Resource) -> Resource {
    resource.name = xdstp::shared(resource.name);
    for reference in &mut resource.refs {
        reference.name = xdstp::shared(reference.name.clone());
    }
    resource
}

/// A [`Replace`] with its changed values encoded: for each entry its type, name and layer, and the
/// new value if it differs from the present one.
struct Prepared {
    origin: Arc<str>,
    entries: Vec<(usize, Arc<str>, LayerId, Option<LayerValue>)>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.notifier.close();
    }
}

/// What a layer has of a type: equal if two servers have the same resources there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerDigest {
    /// The layer.
    pub layer: LayerId,
    /// The type.
    pub type_url: TypeUrl,
    /// How many resources there are.
    pub count: u64,
    /// A hash of their names and versions, whatever their order.
    pub hash: u64,
}

impl Snapshots {
    /// What each of these layers has of each type, and nothing of those that have none.
    pub fn digests(&self, layers: impl Fn(LayerId) -> bool) -> Vec<LayerDigest> {
        let store = self.read();
        let digest = |(type_index, layer, count, hash)| LayerDigest {
            layer,
            type_url: self.shared.types.spec(type_index).url,
            count,
            hash,
        };
        let digests = store.digests().filter(|(_, layer, ..)| layers(*layer));
        digests.map(digest).collect()
    }

    /// The quarantined contents: held back from proxies that were not sent them yet (xDS rules 82,
    /// 127), sorted by type and name.
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.quarantine().reports()
    }

    /// The names that streams subscribe to and that do not exist, up to ten thousand of each type
    /// (xDS rule 107), by type and name.
    pub fn missing(&self) -> Vec<MissingName> {
        self.shared.missing.reports()
    }

    /// The first of [`Snapshots::missing`], of each type at most `limit`.
    pub fn first_missing(&self, limit: usize) -> Vec<MissingName> {
        let mut first = self.shared.missing.first(limit);
        first.truncate(limit);
        first
    }

    /// The names of which resources are to be made for clients that ask for them
    /// ([`Admission::on_demand`](crate::Admission::on_demand)): for the one who commits them.
    pub fn demands(&self) -> Demands {
        Demands::new(self.shared.demand.clone())
    }

    pub(crate) fn demand(&self) -> &Arc<Demand> {
        &self.shared.demand
    }

    /// The contents that clients reject now, up to 256, by type and name.
    pub fn rejected(&self) -> Vec<RejectedResource> {
        self.shared.rejected.reports()
    }

    /// Receives something whenever [`Snapshots::rejected`] may have become something else.
    pub fn rejections(&self) -> watch::Receiver<()> {
        self.shared.rejected.changes()
    }

    pub(crate) fn all_rejected(&self) -> &Arc<RejectedList> {
        &self.shared.rejected
    }

    pub(crate) fn all_missing(&self) -> &Arc<Missing> {
        &self.shared.missing
    }

    pub(crate) fn quarantine(&self) -> Arc<Quarantine> {
        self.read().quarantine().clone()
    }

    /// The store, locked for reading: for as long as it takes to compute a response, never while
    /// sending one (xDS rule 128).
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.shared
            .store
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn types(&self) -> &Types {
        &self.shared.types
    }

    /// A new cursor at the newest commit.
    pub(crate) fn cursor(&self) -> Cursor {
        let store = self.read();
        self.shared.cursors.register(store.seq())
    }

    pub(crate) fn notifier(&self) -> &CommitNotifier {
        &self.shared.notifier
    }

    /// The newest commits.
    pub(crate) fn changes(&self) -> &Arc<Changes> {
        &self.shared.changes
    }
}

#[cfg(test)]
mod tests;
