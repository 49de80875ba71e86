//! Invariants of a [`TypeState`] that hold between any two transitions, checked by tests.

use super::{ResourceId, Store, TypeState};
use crate::store::name_map::cost;

impl TypeState {
    /// Fails unless all sets agree with each other, with the subscription and with the store.
    pub(in crate::session) fn verify(&self, (store, type_index): (&Store, usize)) {
        self.verify_ids(store, type_index);
        self.verify_names(store, type_index);
        assert_eq!(self.remembered_bytes(), self.recount(), "bytes");
        if self.in_flight.is_empty() {
            assert!(self.unsettled.is_empty(), "all responses are answered");
        }
        if self.empty_due.is_some() {
            assert!(!self.removed.is_empty(), "no empty value is due");
        }
    }

    /// Only what is subscribed to is in any set that decides what is sent. An id in one stands for
    /// the name for which it was put there: it is not used again before this stream has read the
    /// removal.
    fn verify_ids(&self, store: &Store, type_index: usize) {
        let subscription = &self.subscription;
        let covered = |id| subscription.is_wildcard() || subscription.is_named(id);
        let exists = |id| store.try_slot(type_index, id).is_some();
        let sets: [(&str, Vec<ResourceId>); 7] = [
            ("named", subscription.named().collect()),
            ("held", self.held.iter().collect()),
            ("owed", self.owed.iter().collect()),
            ("alone", self.alone.iter().collect()),
            ("held back", self.held_back.ids().collect()),
            ("last good", self.last_good.ids().collect()),
            ("rejected", self.rejections.ids().collect()),
        ];
        for (set, ids) in sets {
            for id in ids {
                assert!(covered(id), "{set}, but not subscribed to: {id:?}");
                assert!(exists(id), "{set}, but not in the store: {id:?}");
            }
        }
    }

    /// A name takes one way at a time: it is owed as a resource, as not found, or as a removal.
    fn verify_names(&self, store: &Store, type_index: usize) {
        let owed = |name: &str| {
            let id = store.find(type_index, name);
            id.is_some_and(|id| self.owed.contains(id) && !self.is_held_back(id))
        };
        for (name, _) in self.not_found.iter() {
            assert!(
                !self.removed.contains(name),
                "not found and removed: {name}"
            );
            assert!(!owed(name), "not found and owed: {name}");
        }
        for (name, _) in self.removed.iter() {
            let id = store.find(type_index, name);
            let held = id.is_some_and(|id| self.held.contains(id));
            assert!(!held && !owed(name), "removed, and held or owed: {name}");
        }
        for name in self.subscription.missing() {
            let id = store.find(type_index, name);
            let named = id.is_some_and(|id| self.subscription.is_named(id));
            assert!(!named, "missing and existing: {name}");
        }
    }

    /// The bytes that this state accounts for, counted anew.
    fn recount(&self) -> usize {
        let missing: usize = self.subscription.missing().map(|name| cost(name)).sum();
        let not_found: usize = self.not_found.iter().map(|(name, _)| cost(name)).sum();
        let unsettled: usize = self.unsettled.iter().map(|(name, ())| cost(name)).sum();
        let removed: usize = self.removed.iter().map(|(name, _)| cost(name)).sum();
        let older = self.held_back.recount() + self.last_good.recount();
        let names = missing + not_found + unsettled + removed;
        names + older + self.rejections.bytes() + self.status.bytes()
    }
}
