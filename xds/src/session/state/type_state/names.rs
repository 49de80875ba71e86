//! Transitions and queries of names that do not exist: those that are subscribed to, and those of
//! removed resources. The parent module has the drawing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::{Ids, ResourceId, Store, TypeState};
use crate::session::PATIENCE;
use crate::session::chunk::take_names;
use crate::session::state::owed::Gate;
use crate::session::state::removed::Removed;
use crate::store::body::Body;

/// The form in which the removal of a resource of a type is sent to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum RemovalForm {
    /// Its name, as one that does not exist: in delta responses, and in errors that gRPC reads.
    Name,
    /// A complete response that does not list it (xDS rule 21).
    Omission,
    /// An empty value in its place (xDS rule 95).
    Empty,
    /// None: state of the world cannot express it (xDS rule 22).
    Never,
}

/// Transitions of one name.
impl TypeState {
    /// Adds a name that does not exist to a delta subscription, and owes it as not found.
    pub(in crate::session) fn subscribe_missing(&mut self, name: Arc<str>) {
        self.subscription.add_missing(name.clone());
        self.deny(name, false);
    }

    /// Owes a name that a request has just added and that does not exist as not found. An owed
    /// removal of the name serves as well.
    pub(in crate::session) fn deny_new(&mut self, name: &Arc<str>) {
        if !self.subscription.is_missing(name) && !self.removed.contains(name) {
            self.deny(name.clone(), false);
        }
    }

    /// Owes a name as not existing, once (xDS rule 34); `had`: the client may have something of it.
    fn deny(&mut self, name: Arc<str>, had: bool) {
        let had = self.removed.remove(&name).is_some() || had;
        self.not_found.insert_new(name, had);
    }

    /// Owes the name of a resource as not found whose only content is held back, if the client
    /// subscribes to it by name and waits for it (xDS rule 48).
    pub(in crate::session) fn deny_held_back(&mut self, id: ResourceId, name: &Arc<str>) {
        if self.subscription.is_named(id) && !self.held.contains(id) {
            self.not_found.insert_new(name.clone(), false);
        }
    }

    /// Takes the removal of a resource: the removal is owed, if the client holds the resource or
    /// waits for it. `last` is its last content, where complete responses list it until the removal
    /// is sent.
    pub(in crate::session) fn removed(
        &mut self,
        id: ResourceId,
        name: &Arc<str>,
        last: Option<Arc<Body>>,
        now: Instant,
        form: RemovalForm,
    ) {
        let was_owed = self.owed.remove(id);
        self.alone.remove(id);
        let was_held_back = self.held_back.remove(id).is_some();
        self.last_good.remove(id);
        self.rejections.forget(id);
        for sent in &mut self.in_flight {
            sent.lost |= sent.ids.contains(&id);
        }
        self.subscription.remove_id(id, name);
        let was_held = self.held.remove(id);
        let is_missing = || self.subscription.is_missing(name);
        match form {
            RemovalForm::Empty if (was_held || was_owed || was_held_back) && is_missing() => {
                self.removed.insert(name.clone(), last, now);
            }
            RemovalForm::Name | RemovalForm::Omission if was_held => {
                self.removed.insert(name.clone(), last, now);
            }
            RemovalForm::Name if was_owed && is_missing() => {
                self.not_found.insert_new(name.clone(), false);
            }
            _ => {}
        }
    }

    /// Owes an empty value for a name that does not exist and that a request has just added, if the
    /// client waits for it: because it `did_exist`, or may be read in a response in flight.
    pub(in crate::session) fn expect_empty(
        &mut self,
        name: &Arc<str>,
        did_exist: bool,
        now: Instant,
    ) {
        let new = !self.subscription.is_missing(name);
        if new && (did_exist || self.unsettled.contains(name)) {
            self.removed.insert(name.clone(), None, now);
        }
    }

    /// Owes an empty value for a subscribed name that does not exist, since what referred to it is
    /// gone.
    pub(in crate::session) fn lose_referrer(&mut self, name: &Arc<str>, now: Instant) {
        if self.subscription.is_missing(name) {
            self.removed.insert_new(name.clone(), now);
        }
    }

    /// Takes a name that a reconnected client claims to have and that does not exist. Under a
    /// wildcard its removal is owed; a name that the client subscribes to is in `not_found`
    /// already. Returns whether the removal is owed.
    pub(in crate::session) fn reconnect_missing(&mut self, name: &str, now: Instant) -> bool {
        let takes = self.subscription.is_wildcard() && !self.not_found.contains(name);
        if takes {
            self.removed.insert(name.into(), None, now);
        }
        takes
    }

    /// Owes the removal of a name that the client may still read in a response to an earlier
    /// subscription.
    pub(in crate::session) fn may_be_read_missing(&mut self, name: Arc<str>, now: Instant) {
        if !self.not_found.contains(&name) {
            self.removed.insert_new(name, now);
        }
    }

    /// Drops a name from a delta subscription. If a wildcard still covers the name, the resource is
    /// owed once more, or the name as not found (xDS rule 42). `gate` is that of a resource which
    /// is owed once more. Returns whether the subscription still covers the name.
    pub(in crate::session) fn unsubscribe(
        &mut self,
        name: &str,
        found: Option<(ResourceId, &Arc<str>)>,
        now: Instant,
        gate: Gate,
    ) -> bool {
        let id = found.map(|(id, _)| id);
        let named = self.subscription.drop_name(name, id);
        if self.subscription.is_wildcard() {
            match id {
                _ if !named => {}
                Some(id) if !self.is_held_back_entirely(id) => self.owed.insert(id, now, gate),
                id => {
                    let had = id.is_some_and(|id| self.held.remove(id));
                    self.deny(name.into(), had);
                }
            }
            return true;
        }
        if let Some((id, name)) = found {
            self.drop_id(id, name);
        }
        let not_found = self.not_found.remove(name).filter(|(_, had)| *had);
        let had = not_found.map(|(name, _)| name);
        for name in self.removed.remove(name).into_iter().chain(had) {
            self.unsettle(&name);
        }
        false
    }

    /// Makes these names the subscription. Returns the resources that were not named before, and
    /// whether others are named no longer.
    pub(in crate::session) fn replace_names(
        &mut self,
        ids: Ids,
        missing: HashSet<Arc<str>>,
    ) -> (Vec<ResourceId>, bool) {
        self.subscription.replace_names(ids, missing)
    }

    /// Settles names that are subscribed to again and do not exist. Returns whether the client may
    /// still read any of them.
    pub(in crate::session) fn settle_missing(&mut self, missing: &HashSet<Arc<str>>) -> bool {
        let before = self.unsettled.len();
        self.unsettled.retain(|name| !missing.contains(name));
        self.unsettled.len() < before
    }

    /// Takes the names that the client may still read in responses in flight.
    pub(in crate::session) fn take_unsettled(&mut self) -> impl Iterator<Item = Arc<str>> + use<> {
        self.unsettled.take().into_keys()
    }

    /// Remembers a dropped name while responses are in flight.
    pub(super) fn unsettle(&mut self, name: &Arc<str>) {
        if !self.in_flight.is_empty() {
            self.unsettled.add(name.clone());
        }
    }

    /// Drops what was sent or owed of names no longer subscribed to, so that a new subscription to
    /// them is answered anew (xDS rules 24, 44). Returns the resources that were dropped; `None`
    /// under a wildcard, which covers all.
    pub(in crate::session) fn drop_unsubscribed(
        &mut self,
        (store, type_index): (&Store, usize),
    ) -> Option<Vec<ResourceId>> {
        for (name, had) in self.not_found.take() {
            let named = |id| self.subscription.is_named(id);
            let is_missing = self.subscription.is_missing(&name);
            if is_missing || store.find(type_index, &name).is_some_and(named) {
                self.not_found.insert(name, had);
            } else if had {
                self.unsettle(&name);
            }
        }
        if self.subscription.is_wildcard() {
            return None;
        }
        let known = self.held.iter().chain(self.owed.iter());
        let dropped = known.filter(|id| !self.subscription.is_named(*id));
        let dropped: Vec<ResourceId> = dropped.collect();
        for id in &dropped {
            self.drop_id(*id, &store.slot(type_index, *id).name);
        }
        let subscription = &self.subscription;
        self.held_back.retain(|id| subscription.is_named(id));
        self.last_good.retain(|id| subscription.is_named(id));
        self.rejections.retain(|id| subscription.is_named(id));
        self.drop_removed();
        Some(dropped)
    }

    /// Drops the empty values to come of names that are not subscribed to any more. A wildcard
    /// alone waits for no name.
    pub(in crate::session) fn drop_empties(&mut self) {
        self.drop_removed();
        if self.removed.is_empty() {
            self.empty_due = None;
        }
    }

    fn drop_removed(&mut self) {
        let subscription = &self.subscription;
        let dropped = self
            .removed
            .take_unless(|name| subscription.is_missing(name));
        for name in &dropped {
            self.unsettle(name);
        }
    }

    /// Adds names that do not exist to the removed names of a response, up to `room` bytes.
    pub(in crate::session) fn take_not_found(&mut self, names: &mut Vec<Arc<str>>, room: usize) {
        if !self.not_found.is_empty() {
            let used: usize = names.iter().map(|name| name.len()).sum();
            names.extend(take_names(&mut self.not_found, room.saturating_sub(used)));
        }
    }

    /// Takes the names of all removed resources, for a response with their removal.
    pub(in crate::session) fn take_all_removals(&mut self) -> Vec<Arc<str>> {
        self.removed.take()
    }

    /// Takes the names removed before `cutoff` that fit into `room` bytes, for a response with
    /// their removal.
    pub(in crate::session) fn take_removals(
        &mut self,
        cutoff: Option<Instant>,
        room: usize,
    ) -> Vec<Arc<str>> {
        self.removed.take_before(cutoff, room)
    }

    /// Takes the names removed before `cutoff` that fit into `room` bytes, for a response with
    /// empty values. What is left for want of room is sent next; the others wait for a second of
    /// their own.
    pub(in crate::session) fn take_empties(
        &mut self,
        cutoff: Option<Instant>,
        room: usize,
    ) -> Vec<Arc<str>> {
        let gone = self.removed.take_before(cutoff, room);
        let left = self.removed.since();
        if left.is_none_or(|since| cutoff.is_some_and(|cutoff| cutoff <= since)) {
            self.empty_due = None;
        }
        gone
    }

    /// The time at which the empty values for removed names are due: a second after this was asked
    /// first.
    pub(in crate::session) fn empties_due(&mut self, now: Instant) -> Instant {
        *self.empty_due.get_or_insert(now + PATIENCE)
    }
}

/// Where names stand.
impl TypeState {
    /// The removed resources whose removal is still to be sent.
    pub(in crate::session) fn removals(&self) -> &Removed {
        &self.removed
    }

    /// The number of names that are owed as gone, or as not found.
    pub(in crate::session) fn owed_names(&self) -> usize {
        self.removed.len() + self.not_found.len()
    }

    /// Whether any name is owed as not found.
    pub(in crate::session) fn has_not_found(&self) -> bool {
        !self.not_found.is_empty()
    }
}
