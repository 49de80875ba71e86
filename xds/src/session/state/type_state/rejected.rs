//! Transitions and queries of a resource whose present content the client does not have: because it
//! rejected that (xDS rules 69, 80), or because it is quarantined (xDS rule 82). The parent module
//! has the drawing.

use std::sync::Arc;
use std::time::Instant;

use super::{ResourceId, TypeState};
use crate::session::state::owed::Gate;
use crate::session::state::rejections::{Rejection, Rejections};
use crate::store::body::Body;

/// Transitions of one resource.
impl TypeState {
    /// Notes the rejection of a resource; `named` is the hash of the error text, if that names the
    /// resource, and `passes` says whether the rejection may pass by itself. Returns whether it
    /// repeats an earlier one.
    pub(in crate::session) fn reject(
        &mut self,
        id: ResourceId,
        named: Option<u64>,
        passes: bool,
        now: Instant,
    ) -> bool {
        self.rejections.add(id, named, passes, now)
    }

    /// Notes whether the newest answer rejects a response without resources.
    pub(in crate::session) fn reject_nothing(&mut self, of_nothing: bool) {
        self.rejections.set_of_nothing(of_nothing);
    }

    /// Owes a resource again that was in a response which the client refused for another one: in a
    /// response of its own if `alone` says so.
    pub(in crate::session) fn resend(
        &mut self,
        id: ResourceId,
        alone: bool,
        now: Instant,
        gate: Gate,
    ) {
        self.owed.insert(id, now, gate);
        if alone {
            self.alone.insert(id);
        }
    }

    /// Holds the present content of a rejected resource back from the client, which keeps the
    /// content `before`; or what it accepted last, if it rejected that as well. Returns what it
    /// keeps.
    pub(in crate::session) fn hold_back(
        &mut self,
        id: ResourceId,
        before: Option<Arc<Body>>,
    ) -> Option<Arc<Body>> {
        let before = self.last_good.remove(id).unwrap_or(before);
        self.held_back.insert(id, before.clone());
        before
    }

    /// Holds an owed content back that is in quarantine. The client is sent `instead`, if there is
    /// anything.
    pub(in crate::session) fn quarantine(&mut self, id: ResourceId, instead: Option<Arc<Body>>) {
        if instead.is_none() {
            self.owed.remove(id);
        }
        self.held_back.insert(id, instead);
        self.rejections.stays(id);
    }

    /// Owes a content that was held back and is so no longer.
    pub(in crate::session) fn release(
        &mut self,
        id: ResourceId,
        name: &str,
        now: Instant,
        gate: Gate,
    ) {
        self.held_back.remove(id);
        self.not_found.remove(name);
        self.owed.insert(id, now, gate);
    }

    /// Notes that the client accepted the present content of a resource. Returns the rejection that
    /// this ends.
    pub(in crate::session) fn accept(&mut self, id: ResourceId) -> Option<Rejection> {
        self.last_good.remove(id);
        self.rejections.remove(id)
    }

    /// Plans retries after an answer, for all rejected resources that are not under way. `stream`
    /// varies the delays.
    pub(in crate::session) fn plan_retries(&mut self, stream: u64, now: Instant) {
        let mut rejections = std::mem::take(&mut self.rejections);
        rejections.plan(stream, now, |id| self.is_under_way(id));
        self.rejections = rejections;
    }

    /// Owes again the resources whose rejection may have passed by now. Returns when the next retry
    /// is due.
    pub(in crate::session) fn retry(&mut self, now: Instant, gate: Gate) -> Option<Instant> {
        for id in self.rejections.take_due(now) {
            if self.is_under_way(id) {
                continue;
            }
            if let Some(before) = self.held_back.remove(id) {
                self.last_good.insert(id, before);
            }
            self.owed.insert(id, now, gate);
        }
        self.rejections.due()
    }

    /// Whether the present content of a resource is to be sent, or was sent and has no answer yet.
    fn is_under_way(&self, id: ResourceId) -> bool {
        self.is_being_brought(id) || (self.owed.contains(id) && !self.held_back.contains(id))
    }
}

/// Where resources stand.
impl TypeState {
    pub(in crate::session) fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// Whether nothing is known of what the client rejected or had before, so that an
    /// acknowledgement changes nothing.
    pub(in crate::session) fn rejected_nothing(&self) -> bool {
        self.last_good.is_empty() && self.rejections.has_no_resource()
    }

    pub(in crate::session) fn is_held_back(&self, id: ResourceId) -> bool {
        self.held_back.contains(id)
    }

    /// Whether the present content of a resource is held back, and there is none before it.
    pub(in crate::session) fn is_held_back_entirely(&self, id: ResourceId) -> bool {
        matches!(self.held_back.get(id), Some(None))
    }

    pub(in crate::session) fn holds_back_nothing(&self) -> bool {
        self.held_back.is_empty()
    }

    pub(in crate::session) fn held_back_ids(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.held_back.ids()
    }

    /// What the client is sent of a resource whose present content is held back, if there is
    /// anything. `None`: the present content is not held back.
    pub(in crate::session) fn older_content(&self, id: ResourceId) -> Option<&Option<Arc<Body>>> {
        self.held_back.get(id)
    }
}
