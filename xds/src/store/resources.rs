//! The store: for each type and name the values of each layer, and the log of what commits changed.
//!
//! One global sequence of commits orders all layers. Each entry knows the commit that last changed
//! it, and the log lists the entries by commit, so that a stream finds what changed since its
//! cursor without looking at anything else. An entry that was removed stays as a tombstone until
//! every stream has passed it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_proto::TypeUrl;

use crate::dialect::Dialect;
use crate::store::initial_sync::{InitialSync, InitialSyncs};
use crate::store::interest::{Concerns, Interest};
use crate::store::publish::EntryKey;
use crate::store::quarantine::{Quarantine, Suspect};
use crate::store::referrers::{Referrer, Referrers};
use crate::store::slot::{Entry, LayerValue, Slot};
use crate::store::{LayerId, PlacementId, ResourceId};
use crate::types::Types;

/// How long after a change a client that reconnects may still be in the middle of taking it in.
const RECENT: Duration = Duration::from_secs(180);
/// The most records kept in the log; a stream further behind looks through all entries instead.
const LOG_LIMIT: usize = 1 << 16;

/// All published resources and placements, the log of changes, and what is derived from them.
#[derive(Debug, Default)]
pub(crate) struct Store {
    seq: u64,
    types: Vec<TypeStore>,
    /// The layers of each placement, most specific first.
    placements: HashMap<PlacementId, Arc<[LayerId]>>,
    /// Each distinct list of layers, with the number of placements that have it.
    lists: HashMap<Arc<[LayerId]>, usize>,
    log: VecDeque<Record>,
    /// The newest commit whose records are no longer all in the log.
    log_start: u64,
    /// The tombstones (commit, type, id), in the order of the commits that made them.
    tombstones: VecDeque<(u64, usize, ResourceId)>,
    initial_syncs: InitialSyncs,
    referrers: Referrers,
    /// Recently changed resources of types after which clients reload another, by time of change.
    recent: VecDeque<(Instant, usize, ResourceId)>,
    quarantine: Arc<Quarantine>,
    /// What each layer has of each type: how many resources, and the sum of their digests.
    digests: BTreeMap<(usize, LayerId), (u64, u64)>,
    /// The scope of the commit that is being made.
    concerns: Concerns,
}

/// One record of the log: an entry (type, id and layer) that a commit changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    pub(crate) type_index: usize,
    pub(crate) id: ResourceId,
    pub(crate) layer: LayerId,
}

/// The names of one resource type, with their ids and slots.
#[derive(Debug, Default)]
struct TypeStore {
    by_name: HashMap<Arc<str>, ResourceId>,
    slots: Vec<Slot>,
    free: Vec<ResourceId>,
    /// The last commit that changed anything of this type.
    changed: u64,
}

impl Store {
    pub(crate) fn new(types: &Types) -> Store {
        let mut store = Store {
            referrers: Referrers::new(types),
            ..Store::default()
        };
        store.types.resize_with(types.len(), TypeStore::default);
        store
    }

    /// The sequence number of the newest commit.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn placement(&self, id: PlacementId) -> Option<&Arc<[LayerId]>> {
        self.placements.get(&id)
    }

    pub(crate) fn slot(&self, type_index: usize, id: ResourceId) -> &Slot {
        &self.types[type_index].slots[id.index()]
    }

    /// The slot of an id, if the id still stands for a name.
    pub(crate) fn try_slot(&self, type_index: usize, id: ResourceId) -> Option<&Slot> {
        let slot = self.types.get(type_index)?.slots.get(id.index())?;
        (!slot.entries.is_empty()).then_some(slot)
    }

    pub(crate) fn find(&self, type_index: usize, name: &str) -> Option<ResourceId> {
        self.types[type_index].by_name.get(name).copied()
    }

    /// Finds the id of a name that is one of a list. Clients list names in the order in which they
    /// were sent them, which is that of the ids, so the id after the last one found is tried first.
    pub(crate) fn find_in_turn(
        &self,
        type_index: usize,
        name: &str,
        next: &mut ResourceId,
    ) -> Option<ResourceId> {
        let slot = self.try_slot(type_index, *next);
        let id = match slot.is_some_and(|slot| *slot.name == *name) {
            true => *next,
            false => self.find(type_index, name)?,
        };
        *next = id.next();
        Some(id)
    }

    /// All ids of a type that stand for a name.
    pub(crate) fn ids(&self, type_index: usize) -> impl Iterator<Item = ResourceId> + '_ {
        let slots = self.types[type_index].slots.iter().enumerate();
        slots
            .filter(|(_, slot)| !slot.entries.is_empty())
            .map(|(index, _)| ResourceId::from_index(index))
    }

    /// What changed after the commit `cursor`; `None` if the log no longer reaches back that far.
    pub(crate) fn records_after(&self, cursor: u64) -> Option<impl Iterator<Item = &Record>> {
        if cursor < self.log_start {
            return None;
        }
        let start = self.log.partition_point(|record| record.seq <= cursor);
        Some(self.log.range(start..))
    }

    /// What changed after the commit `cursor`, found by looking at every entry.
    pub(crate) fn changed_after(&self, cursor: u64) -> Vec<Record> {
        let mut records = Vec::new();
        for type_index in 0..self.types.len() {
            for id in self.ids(type_index) {
                let changed = self.slot(type_index, id).entries.iter();
                records.extend(changed.filter(|e| e.since > cursor).map(|entry| Record {
                    seq: entry.since,
                    type_index,
                    id,
                    layer: entry.layer,
                }));
            }
        }
        records
    }

    /// The number of names of a type.
    pub(crate) fn len(&self, type_index: usize) -> usize {
        self.types[type_index].by_name.len()
    }

    /// The initial sync of a type for a placement, shared with other streams that want it now. No
    /// chunk is larger than `limit` bytes, unless by a single resource.
    pub(crate) fn initial_sync(
        &self,
        placement: PlacementId,
        type_index: usize,
        dialect: Dialect,
        limit: usize,
    ) -> Option<Arc<InitialSync>> {
        let layers = self.placement(placement)?;
        let resources = self.ids(type_index).filter_map(|id| {
            let slot = self.slot(type_index, id);
            let body = slot.resolve(layers)?;
            Some((id, body.bytes(dialect), body.digest(&slot.name)))
        });
        let changed = self.types[type_index].changed;
        let key = (layers.clone(), type_index, dialect);
        let build = || InitialSync::build(resources, limit);
        Some(self.initial_syncs.share(key, changed, build))
    }

    /// The initial sync of a type for a placement, if another stream is being sent it already.
    pub(crate) fn known_initial_sync(
        &self,
        placement: PlacementId,
        type_index: usize,
        dialect: Dialect,
    ) -> Option<Arc<InitialSync>> {
        let changed = self.types[type_index].changed;
        let layers = self.placement(placement)?;
        self.initial_syncs
            .known((layers.clone(), type_index, dialect), changed)
    }

    /// The resources changed in the last minutes, of types after which clients reload another.
    pub(crate) fn recently_changed(&self, now: Instant) -> impl Iterator<Item = (usize, &Slot)> {
        let recent = self.recent.iter().rev();
        let recent = recent.take_while(move |(at, _, _)| *at + RECENT > now);
        recent
            .filter_map(|(_, type_index, id)| Some((*type_index, self.try_slot(*type_index, *id)?)))
    }

    /// The resources that refer to a name in any layer, of the types after which clients reload the
    /// name's type.
    pub(crate) fn referrers(&self, type_index: usize, name: &str) -> &[Referrer] {
        self.referrers.of(type_index, name)
    }

    /// The contents that are held back, as those that several proxies rejected (xDS rule 82).
    pub(crate) fn quarantine(&self) -> &Arc<Quarantine> {
        &self.quarantine
    }

    /// What each layer has of each type: how many resources, and a hash of their names and
    /// versions, whatever their order.
    pub(crate) fn digests(&self) -> impl Iterator<Item = (usize, LayerId, u64, u64)> {
        let digests = self.digests.iter();
        digests.map(|((type_index, layer), (count, sum))| (*type_index, *layer, *count, *sum))
    }

    // What follows is the writer's alone.

    /// Begins a commit and returns its sequence number.
    pub(crate) fn begin(&mut self) -> u64 {
        self.seq += 1;
        self.concerns = Concerns::default();
        self.seq
    }

    /// Takes the scope of the commit that is being made.
    pub(crate) fn take_concerns(&mut self) -> Concerns {
        std::mem::take(&mut self.concerns)
    }

    /// Sets the layers of a placement, or retires it.
    pub(crate) fn place(&mut self, id: PlacementId, layers: Option<Vec<LayerId>>) {
        let before = match layers {
            Some(layers) => {
                let list = self.share_list(layers.into());
                self.placements.insert(id, list)
            }
            None => self.placements.remove(&id),
        };
        if let Some(list) = before
            && let Some(placements) = self.lists.get_mut(&list)
        {
            *placements -= 1;
            if *placements == 0 {
                self.lists.remove(&list);
                self.initial_syncs.forget(&list, self.types.len());
            }
        }
    }

    /// The shared copy of a list of layers, counted for one more placement.
    fn share_list(&mut self, layers: Arc<[LayerId]>) -> Arc<[LayerId]> {
        let known = self.lists.get_key_value(&layers);
        let list = known.map_or(layers, |(known, _)| known.clone());
        *self.lists.entry(list.clone()).or_default() += 1;
        list
    }

    /// The number of distinct lists of layers, and of initial syncs.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> (usize, usize) {
        (self.lists.len(), self.initial_syncs.len())
    }

    /// The present value of an entry.
    pub(crate) fn get(&self, (type_index, id, layer): EntryKey) -> &LayerValue {
        let entry = self.slot(type_index, id).entry(layer);
        entry.map_or(&LayerValue::Nothing, |entry| &entry.value)
    }

    /// The id of a name, assigned now if it has none.
    pub(crate) fn intern(&mut self, type_index: usize, name: &Arc<str>) -> ResourceId {
        let types = &mut self.types[type_index];
        if let Some(id) = types.by_name.get(name) {
            return *id;
        }
        let slot = Slot {
            name: name.clone(),
            entries: Vec::with_capacity(1),
        };
        let id = match types.free.pop() {
            Some(id) => {
                types.slots[id.index()] = slot;
                id
            }
            None => {
                types.slots.push(slot);
                ResourceId::from_index(types.slots.len() - 1)
            }
        };
        types.by_name.insert(name.clone(), id);
        id
    }

    /// Sets the value of an entry and logs it. The value differs from the present one.
    pub(crate) fn put(&mut self, (type_index, id, layer): EntryKey, value: LayerValue) {
        let seq = self.seq;
        let slot = &mut self.types[type_index].slots[id.index()];
        let at = slot.entries.iter().position(|entry| entry.layer == layer);
        let old = at.map(|at| &slot.entries[at]);
        let nothing = (0, LayerValue::Nothing);
        let before = old.map_or(nothing, |old| (old.since, old.value.clone()));
        match (value.is_nothing(), before.1.is_nothing()) {
            (true, true) => return,
            (true, false) => self.tombstones.push_back((seq, type_index, id)),
            (false, _) => {}
        }
        let (was, is) = (before.1.refs(), value.refs());
        self.referrers.replace((type_index, id), was, is);
        let digest = |value: &LayerValue| value.body().map(|body| body.digest(&slot.name));
        sum_up(
            &mut self.digests,
            (type_index, layer),
            digest(&before.1),
            digest(&value),
        );
        let entry = Entry {
            layer,
            since: seq,
            value,
            before,
        };
        match at {
            Some(at) => slot.entries[at] = entry,
            None => slot.entries.push(entry),
        }
        let change = Interest::change(type_index, &slot.name);
        let entries = &slot.entries;
        let still = |version| {
            let mut present = entries.iter().filter_map(|entry| entry.value.body());
            present.any(|body| body.version == version)
        };
        self.quarantine.release(type_index, id, still);
        self.types[type_index].changed = seq;
        self.concerns.add(layer, change);
        self.log.push_back(Record {
            seq,
            type_index,
            id,
            layer,
        });
    }

    /// Quarantines a content that was just put and is too large for some clients.
    pub(crate) fn note_large(&self, type_url: TypeUrl, (type_index, id, layer): EntryKey) {
        let slot = self.slot(type_index, id);
        let Some(entry) = slot.entry(layer) else {
            return;
        };
        if let Some(content) = entry.value.body() {
            self.quarantine.too_large(&Suspect {
                type_url,
                type_index,
                id,
                name: &slot.name,
                content,
                before: entry.before.1.body(),
            });
        }
    }

    /// Remembers the change of a resource after which clients reload others.
    pub(crate) fn note_recent(&mut self, type_index: usize, id: ResourceId, now: Instant) {
        while self
            .recent
            .front()
            .is_some_and(|(at, _, _)| *at + RECENT <= now)
        {
            self.recent.pop_front();
        }
        self.recent.push_back((now, type_index, id));
    }

    /// Drops what every stream has read: log records, and tombstones with the ids that only they
    /// kept.
    pub(crate) fn forget_until(&mut self, slowest: u64) {
        while let Some(record) = self.log.front()
            && (record.seq <= slowest || self.log.len() > LOG_LIMIT)
        {
            self.log_start = record.seq;
            self.log.pop_front();
        }
        while let Some((seq, type_index, id)) = self.tombstones.front().copied()
            && seq <= slowest
        {
            self.tombstones.pop_front();
            let types = &mut self.types[type_index];
            let slot = &mut types.slots[id.index()];
            let was_used = !slot.entries.is_empty();
            slot.entries
                .retain(|entry| !(entry.value.is_nothing() && entry.since <= slowest));
            if was_used && slot.entries.is_empty() {
                types.by_name.remove(&slot.name);
                types.free.push(id);
            }
        }
    }
}

/// Replaces a resource's digest in the sum of its layer.
fn sum_up(
    digests: &mut BTreeMap<(usize, LayerId), (u64, u64)>,
    key: (usize, LayerId),
    before: Option<u64>,
    after: Option<u64>,
) {
    let (count, sum) = digests.entry(key).or_default();
    if let Some(before) = before {
        *count = count.saturating_sub(1);
        *sum = sum.wrapping_sub(before);
    }
    if let Some(after) = after {
        *count = count.saturating_add(1);
        *sum = sum.wrapping_add(after);
    }
    // What has been of a place is not remembered for ever.
    if *count == 0 {
        digests.remove(&key);
    }
}
