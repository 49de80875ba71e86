//! Reading commits: what a stream owes its client after a change of the store.

use std::sync::Arc;

use super::Session;
use super::state::type_states::bit;
use crate::store::body::Body;
use crate::store::{LayerId, Record, ResourceId, Store};

/// A resource that changed: the index of its type, and its id.
type Changed = (usize, ResourceId);

impl Session {
    /// Reads the log up to the newest commit, or compares all resources if the placement has other
    /// layers than before. Returns whether there was anything to read.
    pub(super) fn catch_up(&mut self, store: &Store) -> bool {
        let cursor = self.cursor.get();
        if self.placed && cursor == store.seq() {
            return false;
        }
        self.placed = true;
        self.changed = 0;
        let placed = store.placement(self.placement);
        let before = self.layers.clone();
        match placed.filter(|layers| !Arc::ptr_eq(layers, &before)) {
            Some(layers) => {
                self.layers = layers.clone();
                self.compare_all(store, &before, cursor);
            }
            None if cursor != store.seq() => {
                let mut changed: Vec<Changed> = match store.records_after(cursor) {
                    Some(records) => self.concerning(records),
                    None => self.concerning(&store.changed_after(cursor)),
                };
                changed.sort_unstable();
                changed.dedup();
                for (type_index, id) in changed {
                    self.compare(store, type_index, id, &before, cursor);
                }
            }
            None => {}
        }
        self.cursor.advance(store.seq());
        self.follow_commits(cursor);
        true
    }

    /// Follows the commits that came since this was called last until the client has answered them,
    /// those that changed anything for this stream. Those after `cursor` were read just now.
    pub(super) fn follow_commits(&mut self, cursor: u64) {
        for deliveries in self.inbox.take() {
            let is_new = deliveries.seq() > cursor;
            deliveries.split(|index, delivery| {
                let state = self.states.at(index);
                // Of one that was read before it came here, only the response can tell.
                let concerned = match is_new {
                    true => self.changed & bit(index) != 0 && state.is_owing(),
                    false => state.subscription().is_active(),
                };
                match concerned {
                    true => self.states.follow(index, delivery),
                    false => delivery.unconcerned(),
                }
            });
        }
    }

    /// The resources that changed in this stream's layers, of the types that concern it.
    fn concerning<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> Vec<Changed> {
        let concerned = records.into_iter().filter(|record| {
            self.concerns(record.type_index) && self.layers.contains(&record.layer)
        });
        concerned
            .map(|record| (record.type_index, record.id))
            .collect()
    }

    /// Whether changes of a type concern this stream, for a subscription or for what they refer to.
    fn concerns(&self, index: usize) -> bool {
        self.states[index].subscription().is_active() || self.follows(index)
    }

    /// Handles a resource that may have changed. Only what the stream saw at its cursor, in these
    /// layers, and what it sees now matter, so that a change below an override, the end of an
    /// override with the lower value's bytes, or a move between layers are no change.
    fn compare(
        &mut self,
        store: &Store,
        type_index: usize,
        id: ResourceId,
        layers: &[LayerId],
        cursor: u64,
    ) {
        let slot = store.slot(type_index, id);
        let version = |body: Option<&Arc<Body>>| body.map(|body| body.version);
        let known = slot.resolved_at(layers, cursor);
        let was = known.as_ref().ok().copied().flatten();
        let before = known.map(version);
        let now = slot.resolve(&self.layers);
        if before == Ok(version(now)) {
            return;
        }
        self.changed |= bit(type_index);
        self.states[type_index].follow_digest(id, &slot.name, before.ok(), now);
        match now {
            Some(_) => self.resource_changed(type_index, id, &slot.name),
            None => {
                let was = was.or_else(|| slot.removed(layers));
                if let Some(was) = was {
                    self.lose_refs(type_index, was);
                }
                self.resource_removed(type_index, id, &slot.name, was.cloned());
            }
        }
    }

    /// Handles a new value of a resource: the client is owed it, if it is subscribed to.
    fn resource_changed(&mut self, type_index: usize, id: ResourceId, name: &Arc<str>) {
        if self.states[type_index].covers(id, name) {
            let (now, gate) = (self.now, self.gate(type_index));
            self.states[type_index].changed(id, name, now, gate);
        }
    }

    /// Handles the removal of a resource: the client is owed the removal, if it holds the resource
    /// or waits for it.
    fn resource_removed(
        &mut self,
        type_index: usize,
        id: ResourceId,
        name: &Arc<str>,
        was: Option<Arc<Body>>,
    ) {
        let form = self.removal_form(type_index);
        // Only a complete response lists the resource until its removal is sent.
        let last = was.filter(|_| self.is_complete(type_index));
        let now = self.now;
        self.awaited.take(type_index, &[id]);
        self.awaited.drop_referring(type_index, |gone| gone == id);
        self.states[type_index].removed(id, name, last, now, form);
    }

    /// Compares all resources after the application moved this placement from the layers `before`
    /// to others: what resolves differently is owed or lost.
    fn compare_all(&mut self, store: &Store, before: &[LayerId], cursor: u64) {
        for type_index in 0..self.states.len() {
            if self.concerns(type_index) {
                for id in store.ids(type_index) {
                    self.compare(store, type_index, id, before, cursor);
                }
            }
        }
    }
}
