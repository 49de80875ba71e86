//! Reading commits: what a stream owes its client after a change of the store.

use std::sync::Arc;

use super::Session;
use crate::dialect::Dialect;
use crate::store::body::Body;
use crate::store::{LayerId, Record, ResourceId, Store};

/// A resource that changed: the index of its type, and its id.
type Changed = (usize, ResourceId);

impl Session {
    /// Reads the log up to the newest commit, or compares all resources if the placement has other
    /// layers than before.
    pub(super) fn catch_up(&mut self, store: &Store) {
        let cursor = self.cursor.get();
        if self.placed && cursor == store.seq() {
            return;
        }
        self.placed = true;
        let placed = store.placement(self.placement);
        let before = self.layers.clone();
        match placed.filter(|layers| !Arc::ptr_eq(layers, &before)) {
            Some(layers) => {
                self.layers = layers.clone();
                self.look_anew(store, &before, cursor);
            }
            None if cursor != store.seq() => {
                let mut changed: Vec<Changed> = match store.records_after(cursor) {
                    Some(records) => self.concerning(records),
                    None => self.concerning(&store.changed_after(cursor)),
                };
                changed.sort_unstable();
                changed.dedup();
                for (type_index, id) in changed {
                    self.note(store, type_index, id, &before, cursor);
                }
            }
            None => {}
        }
        self.cursor.advance(store.seq());
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
        self.states[index].subscription.is_active() || self.follows(index)
    }

    /// Handles a resource that may have changed. Only what the stream saw at its cursor, in these
    /// layers, and what it sees now matter, so that a change below an override, the end of an
    /// override with the lower value's bytes, or a move between layers are no change.
    fn note(
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
        self.states[type_index].follow_digest(id, &slot.name, before.ok(), now);
        match now {
            Some(_) => self.gain(type_index, id, &slot.name),
            None => {
                let was = was.or_else(|| slot.removed(layers));
                if let Some(was) = was {
                    self.lose_refs(type_index, was);
                }
                self.lose(type_index, id, &slot.name, was.cloned());
            }
        }
    }

    /// Handles a new value of a resource: the client is owed it, if it is subscribed to.
    fn gain(&mut self, type_index: usize, id: ResourceId, name: &Arc<str>) {
        if self.states[type_index].subscription.covers(id, name) {
            self.owe(type_index, id);
            let state = &mut self.states[type_index];
            state.rejections.forget(id);
            if let Some(before) = state.held_back.remove(id) {
                state.last_good.insert(id, before);
            }
            state.not_found.remove(name);
            // It was removed and came back before the client was told: the client still has the old
            // one.
            if state.removed.remove(name).is_some() {
                state.held.insert(id);
                if state.removed.is_empty() {
                    state.empty_due = None;
                }
            }
        }
    }

    /// Handles the removal of a resource: the client has to be told, if it holds the resource or
    /// waits for it.
    fn lose(&mut self, type_index: usize, id: ResourceId, name: &Arc<str>, was: Option<Arc<Body>>) {
        let complete = self.types.spec(type_index).complete;
        let says_empty = self.says_empty(type_index);
        let says_absent = self.says_absent();
        // Only a response that lists everything goes on listing it.
        let was = was.filter(|_| complete && self.dialect == Dialect::Sotw);
        let now = self.now;
        self.awaited.take(type_index, &[id]);
        self.awaited.drop_referring(type_index, |gone| gone == id);
        let state = &mut self.states[type_index];
        let was_owed = state.owed.remove(id);
        let was_held_back = state.held_back.remove(id).is_some();
        state.last_good.remove(id);
        state.rejections.forget(id);
        for sent in &mut state.in_flight {
            sent.lost |= sent.ids.contains(&id);
        }
        state.subscription.lose(id, name);
        let was_held = state.held.remove(id);
        if says_empty {
            if (was_held || was_owed || was_held_back) && state.subscription.is_missing(name) {
                state.removed.insert(name.clone(), was, now);
            }
        } else if was_held {
            // State of the world has no words for the removal of other types (xDS rule 22), unless
            // the client reads errors.
            if says_absent || complete {
                state.removed.insert(name.clone(), was, now);
            }
        } else if was_owed && says_absent && state.subscription.is_missing(name) {
            state.not_found.insert_new(name.clone(), false);
        }
    }

    /// Compares all resources after the application moved this placement from the layers `before`
    /// to others: what resolves differently is owed or lost.
    fn look_anew(&mut self, store: &Store, before: &[LayerId], cursor: u64) {
        for type_index in 0..self.states.len() {
            if self.concerns(type_index) {
                for id in store.ids(type_index) {
                    self.note(store, type_index, id, before, cursor);
                }
            }
        }
    }
}
