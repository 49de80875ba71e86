//! What a commit means for this stream.

use std::sync::Arc;

use super::{Dialect, Session};
use crate::body::Body;
use crate::store::{Record, Store};

impl Session {
    /// Reads the log up to the newest commit.
    pub(super) fn catch_up(&mut self, store: &Store) {
        let cursor = self.cursor.get();
        if cursor != store.seq() {
            match store.records_after(cursor) {
                Some(records) => records.for_each(|record| self.note(store, record, cursor)),
                None => {
                    let changed = store.changed_after(cursor);
                    changed
                        .iter()
                        .for_each(|record| self.note(store, record, cursor));
                }
            }
        }
        self.follow_placement(store);
        self.cursor.advance(store.seq());
    }

    /// One changed entry. Only what the stream saw at its cursor and what it sees now matter, so a resource may be noted more
    /// than once, and a change below an override, the end of an override with the lower value's bytes, or a move between layers
    /// are all no change.
    fn note(&mut self, store: &Store, record: &Record, cursor: u64) {
        let concerned = self.layers.contains(&record.layer)
            && self.subs[record.type_index].subscription.is_active();
        if !concerned {
            return;
        }
        let slot = store.slot(record.type_index, record.id);
        let now = slot.resolve(&self.layers);
        if slot.resolved_at(&self.layers, cursor) == Ok(now.map(|body| body.version)) {
            return;
        }
        match now {
            Some(_) => self.owe(record.type_index, record.id, &slot.name),
            None => {
                let was = slot.removed(&self.layers).cloned();
                self.lose(record.type_index, record.id, &slot.name, was);
            }
        }
    }

    /// The resource has a new value: the client is owed it, if it is subscribed.
    fn owe(&mut self, type_index: usize, id: u32, name: &Arc<str>) {
        let sub = &mut self.subs[type_index];
        if sub.subscription.covers(id, name) {
            sub.owed.insert(id);
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
