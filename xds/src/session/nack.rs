//! The ACKs and NACKs of a client: a rejected resource is held back from the client (xDS rules 69,
//! 80), until the client accepts it or its content changes. Retries are planned in
//! `state::rejections`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_proto::TypeUrl;

use super::error_text::{Nack, Rejected, error_hash, is_cut, of_resource};
use super::schedule::earlier;
use super::state::type_state::InFlight;
use super::{Outcome, Session};
use crate::store::quarantine::Suspect;
use crate::store::{ResourceId, Store};

/// A resource that a client accepted after it had rejected it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LateAcceptance {
    pub(crate) name: Arc<str>,
    pub(crate) origin: Arc<str>,
    /// The time from the rejection to the acceptance.
    pub(crate) took: Duration,
    /// The hash of the error text of the rejection, if that named the resource.
    pub(crate) named: Option<u64>,
}

impl Session {
    /// Takes the ACK or NACK of a response.
    pub(super) fn answered(
        &mut self,
        index: usize,
        answered: &InFlight,
        error: Option<&str>,
        store: &Store,
    ) -> Outcome {
        let now = self.now;
        let outcome = match error {
            Some(text) => Outcome::Rejected(self.rejected(index, answered, text, store)),
            None => {
                self.states[index].reject_nothing(false);
                self.accepted(index, answered, &[], store);
                Outcome::Acked
            }
        };
        let stream = self.nonce.stream;
        if !self.states[index].rejections().has_no_resource() {
            self.states[index].plan_retries(stream, now);
        }
        outcome
    }

    /// Takes the NACK of a response.
    fn rejected(&mut self, index: usize, answered: &InFlight, text: &str, store: &Store) -> Nack {
        let now = self.now;
        let mut nack = Nack::new(answered, text, (store, index));
        let named: Vec<ResourceId> = nack.resources.iter().map(|named| named.id).collect();
        self.awaited.rejected(index, answered.nonce, &named);
        let hash = error_hash(&nack.error);
        for rejected in &mut nack.resources {
            if self.is_superseded(index, rejected.id, store) {
                continue;
            }
            let words = of_resource(&nack.error, &rejected.name);
            let passes = self.types.spec(index).passes(&words);
            let state = &mut self.states[index];
            rejected.repeated = state.reject(rejected.id, Some(hash), passes, now);
            self.hold_back(index, rejected, &words, store);
        }
        if self.types.spec(index).atomic && self.resend(index, answered, &named, store) {
            return nack;
        }
        // Clients cut error texts, and so does this server: a cut text may not name all rejected
        // resources. A text that names no present resource is about a removed one.
        if (!named.is_empty() || answered.lost) && !is_cut(text) {
            self.accepted(index, answered, &named, store);
            return nack;
        }
        let passes = self.types.spec(index).passes(&nack.error);
        nack.repeated = !answered.ids.is_empty();
        for id in answered.ids.iter().filter(|id| !named.contains(id)) {
            if !answered.brings(*id) || self.is_superseded(index, *id, store) {
                continue;
            }
            nack.repeated &= self.states[index].reject(*id, None, passes, now);
        }
        self.states[index].reject_nothing(answered.ids.is_empty());
        nack
    }

    /// Owes again what was in a response of which the client took nothing, but for the resources
    /// that the error names: one by one if it names none. Returns whether there was anything: of a
    /// single resource it is clear that it was rejected.
    fn resend(
        &mut self,
        index: usize,
        answered: &InFlight,
        named: &[ResourceId],
        store: &Store,
    ) -> bool {
        let (now, gate) = (self.now, self.gate(index));
        let brought = answered.ids.iter().copied();
        let brought = brought.filter(|id| answered.brings(*id) && !named.contains(id));
        let others: Vec<ResourceId> = brought
            .filter(|id| !self.is_superseded(index, *id, store))
            .collect();
        // Where every response has all there is, nothing goes alone.
        let alone = named.is_empty();
        if others.is_empty() || alone && (answered.ids.len() == 1 || self.is_complete(index)) {
            return false;
        }
        let state = &mut self.states[index];
        others
            .iter()
            .for_each(|id| state.resend(*id, alone, now, gate));
        true
    }

    /// Keeps a rejected resource at what the client had before, until it changes or its rejection
    /// may have passed; everything else flows (xDS rules 69, 80).
    fn hold_back(&mut self, index: usize, rejected: &Rejected, words: &str, store: &Store) {
        let id = rejected.id;
        let slot = store.slot(index, id);
        let (Some(content), Some(since)) = (
            slot.resolve(&self.layers),
            slot.resolved_since(&self.layers),
        ) else {
            return;
        };
        let before = slot.resolved_at(&self.layers, since - 1).ok().flatten();
        let before = self.states[index].hold_back(id, before.cloned());
        let spec = self.types.spec(index);
        if let Some(voter) = &self.voter
            && !spec.passes(words)
        {
            let suspect = Suspect {
                type_url: spec.url,
                type_index: index,
                id,
                name: &rejected.name,
                content,
                before: before.as_ref(),
            };
            store.quarantine().reject(&suspect, voter, words);
        }
    }

    /// Whether the rejection of a resource no longer matters: its newer content is owed already, or
    /// sent and not answered yet; it is not subscribed to any more; or the client has other content
    /// in its place.
    fn is_superseded(&self, index: usize, id: ResourceId, store: &Store) -> bool {
        let state = &self.states[index];
        let subscription = state.subscription();
        let wanted = subscription.is_wildcard() || subscription.is_named(id);
        let slot = store.try_slot(index, id);
        !wanted
            || state.owed().contains(id)
            || state.is_sent(id)
            || state.is_held_back(id)
            || slot.is_none_or(|slot| slot.resolve(&self.layers).is_none())
    }

    /// Notes that the client has what a response brought, except for the resources in `but`.
    fn accepted(&mut self, index: usize, answered: &InFlight, but: &[ResourceId], store: &Store) {
        let now = self.now;
        let state = &mut self.states[index];
        if state.rejected_nothing() {
            return;
        }
        let brought = answered.ids.iter().copied();
        for id in brought.filter(|id| answered.brings(*id) && !but.contains(id)) {
            let Some(of) = state.accept(id) else {
                continue;
            };
            let Some(slot) = store.try_slot(index, id) else {
                continue;
            };
            if let Some(body) = slot.resolve(&self.layers) {
                self.late_acceptances.push(LateAcceptance {
                    name: slot.name.clone(),
                    origin: body.origin.clone(),
                    took: now.saturating_duration_since(of.since),
                    named: of.named,
                });
            }
        }
    }

    /// Takes the resources that were accepted after a rejection since the last call.
    pub(crate) fn take_late_acceptances(&mut self) -> Vec<LateAcceptance> {
        std::mem::take(&mut self.late_acceptances)
    }

    /// Whether the client has rejected a resource of this type that it has not accepted since.
    pub(crate) fn is_rejecting(&self, type_url: &str) -> bool {
        let index = self.types.index(type_url);
        index.is_some_and(|index| !self.states[index].rejections().is_empty())
    }

    /// The type of this URL, if it is one that is served.
    pub(crate) fn known_type(&self, type_url: &str) -> Option<TypeUrl> {
        let index = self.types.index(type_url)?;
        Some(self.types.spec(index).url)
    }

    /// Whether the client has rejected this resource, and has accepted no content of it since.
    pub(crate) fn rejects(&self, type_url: TypeUrl, id: ResourceId) -> bool {
        let index = self.types.index(type_url.as_str());
        index.is_some_and(|index| self.states[index].rejections().has(id))
    }

    /// Owes again the resources of all types whose rejection may have passed by now. Returns when
    /// the next retry is due.
    pub(super) fn retry_rejected(&mut self) -> Option<Instant> {
        let mut next = None;
        for index in 0..self.states.len() {
            if self.states.is_touched(index) && self.states[index].rejections().due().is_some() {
                let gate = self.gate(index);
                let due = self.states[index].retry(self.now, gate);
                next = earlier(next, due);
            }
        }
        next
    }
}
