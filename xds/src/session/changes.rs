//! What a commit means for this stream.

use std::sync::Arc;

use super::{Dialect, Session};
use crate::body::Body;
use crate::store::{Record, Store};

/// A type and an id.
type Changed = (usize, u32);

impl Session {
    /// Reads the log up to the newest commit.
    pub(super) fn catch_up(&mut self, store: &Store) {
        let cursor = self.cursor.get();
        if cursor != store.seq() {
            let mut changed: Vec<Changed> = match store.records_after(cursor) {
                Some(records) => self.concerning(records),
                None => self.concerning(&store.changed_after(cursor)),
            };
            changed.sort_unstable();
            changed.dedup();
            for (type_index, id) in changed {
                self.note(store, type_index, id, cursor);
            }
        }
        self.follow_placement(store);
        self.cursor.advance(store.seq());
    }

    /// The resources that changed in this stream's layers, of the types it asked for.
    fn concerning<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> Vec<Changed> {
        let concerned = records.into_iter().filter(|record| {
            self.subs[record.type_index].subscription.is_active()
                && self.layers.contains(&record.layer)
        });
        concerned
            .map(|record| (record.type_index, record.id))
            .collect()
    }

    /// A resource that may have changed. Only what the stream saw at its cursor and what it sees now matter, so that a change below
    /// an override, the end of an override with the lower value's bytes, or a move between layers are no change.
    fn note(&mut self, store: &Store, type_index: usize, id: u32, cursor: u64) {
        let slot = store.slot(type_index, id);
        let version = |body: Option<&Arc<Body>>| body.map(|body| body.version);
        let before = slot.resolved_at(&self.layers, cursor).map(version);
        let now = slot.resolve(&self.layers);
        if before == Ok(version(now)) {
            return;
        }
        self.subs[type_index].follow_digest(id, &slot.name, before.ok(), now);
        match now {
            Some(_) => self.owe(type_index, id, &slot.name),
            None => {
                let was = slot.removed(&self.layers).cloned();
                self.lose(type_index, id, &slot.name, was);
            }
        }
    }

    /// The resource has a new value: the client is owed it, if it is subscribed.
    fn owe(&mut self, type_index: usize, id: u32, name: &Arc<str>) {
        let sub = &mut self.subs[type_index];
        if sub.subscription.covers(id, name) {
            sub.owed.insert(id);
            sub.held_back.remove(&id);
            sub.absent.remove(name);
            // It was removed and came back before the client was told: the client still has the old one.
            if sub.removed.remove(name).is_some() {
                sub.held.insert(id);
            }
        }
    }

    /// The resource has no value any more.
    fn lose(&mut self, type_index: usize, id: u32, name: &Arc<str>, was: Option<Arc<Body>>) {
        let complete = self.types.spec(type_index).complete;
        let sub = &mut self.subs[type_index];
        let was_owed = sub.owed.remove(id);
        sub.held_back.remove(&id);
        sub.subscription.lose(id, name);
        self.awaited.remove(&(type_index, id));
        if sub.held.remove(id) {
            // State of the world has no words for the removal of other types (xDS rule 22).
            if self.dialect == Dialect::Delta || complete {
                sub.removed.insert(name.clone(), was);
            }
        } else if was_owed && self.dialect == Dialect::Delta && sub.subscription.is_missing(name) {
            sub.absent.insert(name.clone());
        }
    }

    /// The application moved this placement to other layers: what resolves differently is owed or lost.
    fn follow_placement(&mut self, store: &Store) {
        let Some(layers) = store.placement(self.placement) else {
            return;
        };
        if Arc::ptr_eq(layers, &self.layers) {
            return;
        }
        let before = std::mem::replace(&mut self.layers, layers.clone());
        for type_index in 0..self.subs.len() {
            if !self.subs[type_index].subscription.is_active() {
                continue;
            }
            self.subs[type_index].digest = None;
            for id in store.ids(type_index) {
                let slot = store.slot(type_index, id);
                let old = slot.resolve(&before);
                let new = slot.resolve(&self.layers);
                match (old, new) {
                    (Some(old), Some(new)) if old.version == new.version => {}
                    (_, Some(_)) => self.owe(type_index, id, &slot.name),
                    (Some(old), None) => self.lose(type_index, id, &slot.name, Some(old.clone())),
                    (None, None) => {}
                }
            }
        }
    }
}
