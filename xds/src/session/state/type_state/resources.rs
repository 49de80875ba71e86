//! Transitions and queries of a resource that exists. The parent module has the drawing.

use std::sync::Arc;
use std::time::Instant;

use super::{Ids, ResourceId, TypeState};
use crate::session::state::owed::{Gate, Owed};

/// The resources whose present version a reconnected client claims to have, while it has not
/// subscribed to the types that refer to them.
#[derive(Debug)]
pub(super) struct Claimed {
    ids: Ids,
    /// The time at which the claim is no longer relied on.
    until: Instant,
}

impl Claimed {
    /// Removes resources that are sent to the client: their claim does not matter any more.
    pub(super) fn forget(&mut self, sent: &[ResourceId]) {
        for id in sent {
            self.ids.remove(*id);
        }
    }
}

/// Transitions of one resource.
impl TypeState {
    /// Adds the name of a resource to a delta subscription. The resource is owed, even if the
    /// client should have it (xDS rule 47), or has rejected it.
    pub(in crate::session) fn subscribe(
        &mut self,
        id: ResourceId,
        name: &str,
        now: Instant,
        gate: Gate,
    ) {
        self.subscription.add_id(id);
        self.owed.insert(id, now, gate);
        self.held_back.remove(id);
        self.not_found.remove(name);
    }

    /// Owes a resource that a state-of-the-world request names and the one before did not, even if
    /// the client was sent it before (xDS rule 23).
    pub(in crate::session) fn subscribe_anew(
        &mut self,
        id: ResourceId,
        name: &str,
        now: Instant,
        gate: Gate,
    ) {
        self.owed.insert(id, now, gate);
        self.held_back.remove(id);
        if self.unsettled.contains(name) {
            self.held.insert(id);
        }
    }

    /// Owes the new content of a subscribed resource.
    pub(in crate::session) fn changed(
        &mut self,
        id: ResourceId,
        name: &str,
        now: Instant,
        gate: Gate,
    ) {
        self.owed.insert(id, now, gate);
        self.rejections.forget(id);
        if let Some(before) = self.held_back.remove(id) {
            self.last_good.insert(id, before);
        }
        self.not_found.remove(name);
        // It was removed and added again before the removal was sent: the client still has the old
        // content.
        if self.removed.remove(name).is_some() {
            self.held.insert(id);
            if self.removed.is_empty() {
                self.empty_due = None;
            }
        }
    }

    /// Owes a subscribed resource once more, as one that the client reloads or may lack. If its
    /// content is held back, the client is sent the one before; if there is none, nothing.
    pub(in crate::session) fn reload(&mut self, id: ResourceId, since: Instant, gate: Gate) {
        if !self.is_held_back_entirely(id) {
            self.owed.insert(id, since, gate);
        }
    }

    /// Owes a resource that a new wildcard covers, unless the client holds it.
    pub(in crate::session) fn owe_unless_held(&mut self, id: ResourceId, now: Instant, gate: Gate) {
        if !self.held.contains(id) {
            self.owed.insert(id, now, gate);
        }
    }

    /// Counts a resource as held that the client may still read in a response to an earlier
    /// subscription.
    pub(in crate::session) fn may_be_read(&mut self, id: ResourceId) {
        self.held.insert(id);
    }

    /// Counts resources as held that a client was found to have already.
    pub(in crate::session) fn has_already(&mut self, ids: &[ResourceId]) {
        self.held.extend(ids.iter().copied());
    }

    /// Takes a resource that a reconnected client claims to have: in another version than the
    /// present one, or in one that cannot be relied on.
    pub(in crate::session) fn reconnect_outdated(
        &mut self,
        id: ResourceId,
        now: Instant,
        gate: Gate,
    ) {
        self.held.insert(id);
        self.owed.insert(id, now, gate);
    }

    /// Takes a resource that a reconnected client claims to have in the present version.
    pub(in crate::session) fn reconnect_current(&mut self, id: ResourceId) {
        self.held.insert(id);
        self.owed.remove(id);
    }

    /// Notes resources as sent before the client subscribed to the type that it reloads after this
    /// one.
    pub(in crate::session) fn sent_before_dependents(&mut self, ids: &[ResourceId]) {
        self.sent_first.extend(ids.iter().copied());
    }

    /// Forgets which resources were sent before the client subscribed to the type that it reloads
    /// after this one.
    pub(in crate::session) fn clear_sent_first(&mut self) {
        self.sent_first.clear();
    }

    /// Notes the claims of a reconnected client, which are relied on until a time.
    pub(in crate::session) fn claim(&mut self, ids: Ids, until: Instant) {
        self.claimed = Some(Box::new(Claimed { ids, until }));
    }

    /// Takes out the claims of a reconnected client, to rely on them or to add to them.
    pub(in crate::session) fn take_claims(&mut self) -> Ids {
        self.claimed
            .take()
            .map(|claimed| claimed.ids)
            .unwrap_or_default()
    }

    /// Owes the resources that a reconnected client claims to have: the claims are not relied on
    /// any more.
    pub(in crate::session) fn resend_claims(&mut self, now: Instant, gate: Gate) {
        for id in self.take_claims().iter() {
            if self.held.contains(id) && !self.held_back.contains(id) {
                self.owed.insert(id, now, gate);
            }
        }
    }

    /// Takes owed resources out that were put into a response, or that have no content to send.
    pub(in crate::session) fn take_owed(&mut self, ids: &[ResourceId]) {
        self.owed.sent(ids);
        if !self.alone.is_empty() {
            for id in ids {
                self.alone.remove(*id);
            }
        }
    }

    /// Ends the waiting of owed resources ([`Owed::release`]).
    pub(in crate::session) fn open_gates(&mut self, cutoff: Option<Instant>, now: Instant) {
        self.owed.release(cutoff, now);
    }

    /// Drops a resource that is not subscribed to any more.
    pub(super) fn drop_id(&mut self, id: ResourceId, name: &Arc<str>) {
        if self.held.remove(id) {
            self.unsettle(name);
        }
        self.owed.remove(id);
        self.alone.remove(id);
        self.held_back.remove(id);
        self.last_good.remove(id);
        self.rejections.forget(id);
    }
}

/// Where resources stand.
impl TypeState {
    /// What the client has to be sent, and what of it waits.
    pub(in crate::session) fn owed(&self) -> &Owed {
        &self.owed
    }

    /// Whether an owed resource goes in a response of its own.
    pub(in crate::session) fn goes_alone(&self, id: ResourceId) -> bool {
        self.alone.contains(id)
    }

    /// Whether no owed resource goes in a response of its own.
    pub(in crate::session) fn all_go_together(&self) -> bool {
        self.alone.is_empty()
    }

    /// The number of resources that the client holds, in whatever version.
    pub(in crate::session) fn held_count(&self) -> usize {
        self.held.len()
    }

    pub(in crate::session) fn is_held(&self, id: ResourceId) -> bool {
        self.held.contains(id)
    }

    pub(in crate::session) fn holds_all(&self, ids: &Ids) -> bool {
        ids.is_subset(&self.held)
    }

    /// Whether the client was sent the present content of a resource, whatever it answered.
    pub(in crate::session) fn is_current(&self, id: ResourceId) -> bool {
        self.held.contains(id) && !self.owed.contains(id) && !self.held_back.contains(id)
    }

    /// Whether a resource has to wait for other types and the client has nothing of it, so that it
    /// is left out of complete responses.
    pub(in crate::session) fn is_left_out(&self, id: ResourceId) -> bool {
        !self.held.contains(id) && self.owed.is_waiting(id)
    }

    pub(in crate::session) fn sent_first(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.sent_first.iter()
    }

    /// The time at which the claims of a reconnected client are no longer relied on, if there are
    /// any.
    pub(in crate::session) fn claimed_until(&self) -> Option<Instant> {
        self.claimed.as_ref().map(|claimed| claimed.until)
    }
}
