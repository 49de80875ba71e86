//! The quarantine as a stream applies it: contents that several proxies rejected, or that are too
//! large for gRPC clients, are not sent to a client that was not sent them before (xDS rules 82,
//! 127). What this client alone rejected is held back by `nack`.

use std::collections::BTreeSet;
use std::sync::Arc;

use seaway_proto::Version;

use super::Session;
use crate::store::quarantine::{QuarantinedContent, QuarantinedSet, Voter};
use crate::store::{ResourceId, Store};

/// The quarantine as one stream knows it: which contents are held back, and which of them its
/// client was sent before.
#[derive(Debug, Default)]
pub(super) struct QuarantineView {
    /// The generation of the quarantine that was read last.
    generation: u64,
    held: Arc<QuarantinedSet>,
    /// The contents that this client was sent before: they are not held back from it.
    sent: BTreeSet<Content>,
    /// The contents of `sent` that this client has not answered yet, or whose acceptance was not
    /// counted.
    uncounted: BTreeSet<Content>,
    /// The contents that are held back from this client.
    kept: BTreeSet<Content>,
}

/// The key of a content: the index of the type, the id and the version.
type Content = (usize, ResourceId, Version);

impl Session {
    /// Sets the verified identity of the client: its NACKs and ACKs count for other proxies, too
    /// (xDS rule 82).
    pub(crate) fn identify(&mut self, voter: Option<Voter>) {
        self.voter = voter;
    }

    /// Keeps contents that the quarantine holds back from this client, unless it was sent them
    /// already.
    pub(super) fn read_quarantine(&mut self, store: &Store) {
        let generation = store.quarantine().generation();
        if generation != self.quarantine_view.generation {
            self.read_generation(store, generation);
        }
        if self.quarantine_view.held.is_empty() {
            return;
        }
        self.vote(store);
        let all = self.quarantine_view.held.clone();
        for (index, ids) in all.ids() {
            if !self.states.is_touched(index) || !self.states[index].owed().meets(ids) {
                continue;
            }
            let owed = ids
                .iter()
                .filter(|id| self.states[index].owed().contains(*id));
            let owed: Vec<ResourceId> = owed.collect();
            for held in owed.iter().flat_map(|id| all.of(index, *id)) {
                self.apply_quarantine(store, held);
            }
        }
    }

    /// Keeps a held back content from this client, if that is what it would be sent.
    fn apply_quarantine(&mut self, store: &Store, held: &QuarantinedContent) {
        let (index, id) = (held.type_index, held.id);
        let says_absent = self.says_absent();
        let state = &mut self.states[index];
        let key = (index, id, held.version);
        if !held.concerns(self.client_kind)
            || !state.owed().contains(id)
            || state.is_held_back(id)
            || self.quarantine_view.sent.contains(&key)
        {
            return;
        }
        let slot = store.slot(index, id);
        if slot.resolve(&self.layers).map(|body| body.version) != Some(held.version) {
            return;
        }
        if held.instead.is_none() && says_absent {
            state.deny_held_back(id, &slot.name);
        }
        state.quarantine(id, held.instead.clone());
        self.quarantine_view.kept.insert(key);
    }

    /// Reads a new generation of the quarantine, and remembers which of its new contents this
    /// client was sent before.
    fn read_generation(&mut self, store: &Store, generation: u64) {
        let held = store.quarantine().held();
        let is_held = |(index, id, version): &Content| held.find(*index, *id, *version).is_some();
        let QuarantineView {
            generation: before,
            mut sent,
            mut uncounted,
            kept,
            ..
        } = std::mem::take(&mut self.quarantine_view);
        sent.retain(is_held);
        uncounted.retain(is_held);
        for held in held.iter().filter(|held| held.since > before) {
            let (index, id) = (held.type_index, held.id);
            let state = &self.states[index];
            let was_sent = state.is_current(id);
            let now = store.slot(index, id).resolve(&self.layers);
            if was_sent && now.is_some_and(|body| body.version == held.version) {
                let key = (index, id, held.version);
                sent.insert(key);
                if held.is_rejected() {
                    uncounted.insert(key);
                }
            }
        }
        let (kept, over) = kept.into_iter().partition(is_held);
        self.quarantine_view = QuarantineView {
            generation,
            held,
            sent,
            uncounted,
            kept,
        };
        self.release_contents(store, over);
    }

    /// Reports which contents that several proxies rejected this client accepted, as soon as it has
    /// answered them.
    pub(super) fn vote(&mut self, store: &Store) {
        let Some(voter) = self
            .voter
            .as_ref()
            .filter(|_| !self.quarantine_view.uncounted.is_empty())
        else {
            return;
        };
        let held = self.quarantine_view.held.clone();
        let states = &self.states;
        let layers = &self.layers;
        self.quarantine_view
            .uncounted
            .retain(|(index, id, version)| {
                let state = &states[*index];
                if state.is_being_brought(*id) {
                    return true;
                }
                let now = store.try_slot(*index, *id);
                let now = now.and_then(|slot| slot.resolve(layers));
                let took = state.is_current(*id)
                    && !state.rejections().has(*id)
                    && now.is_some_and(|body| body.version == *version);
                if took && let Some(held) = held.find(*index, *id, *version) {
                    store.quarantine().accept(held, voter);
                }
                false
            });
    }

    /// Owes contents that are held back no longer. One that changed and changed back in the
    /// meantime looks to this stream as if it had never changed.
    fn release_contents(&mut self, store: &Store, over: BTreeSet<Content>) {
        for (index, id, version) in over {
            let Some(slot) = store.try_slot(index, id) else {
                continue;
            };
            let present = slot.resolve(&self.layers);
            let same = present.is_some_and(|body| body.version == version);
            if same && self.states[index].is_held_back(id) {
                let (now, gate) = (self.now, self.gate(index));
                self.states[index].release(id, &slot.name, now, gate);
            }
        }
    }
}
