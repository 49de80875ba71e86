//! Resources that a client rejected and has not accepted since. A rejection is a state, not an
//! event: it ends when the client accepts the content, when another takes its place, or when the
//! resource is removed or not subscribed to any more; not with some other acknowledgement (xDS rule
//! 79).
//!
//! If a rejection may pass by itself ([`TypeSpec::passes`](crate::TypeSpec::passes)), as when
//! another process holds the address of a listener, the resource is sent again after a delay that
//! grows. It takes its turn like a change: behind the same gates, and held back again when it is
//! rejected again (`hold_back`). The session tells when a retry is due, as with everything it waits
//! for; a stream that rejected nothing waits for nothing.
//!
//! A rejection that names no resource, or was cut before all were named, leaves open which ones the
//! client has. Then all others of the response count as rejected too; they are not held back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::owed::Gate;
use super::type_state::{InFlight, Nack, TypeState, is_cut};
use crate::session::nack::of_resource;
use crate::session::schedule::earlier;
use crate::session::{Outcome, Session};
use crate::store::name_map::ENTRY;
use crate::store::{ResourceId, Store};

/// The first delay before a rejected resource is sent again, and the longest; each is twice the one
/// before. All are up to a quarter shorter: streams that were rejected for one reason at one time
/// do not retry at one time.
const FIRST: Duration = Duration::from_secs(1);
pub(in crate::session) const LONGEST: Duration = Duration::from_secs(30);

/// The resources of one type that the client rejected and has not accepted since.
#[derive(Debug, Default)]
pub(in crate::session) struct Rejections {
    by_id: BTreeMap<ResourceId, Rejection>,
    /// Whether the newest answer rejects a response without resources.
    of_nothing: bool,
}

/// The rejection of one resource, and when the resource is sent again.
#[derive(Debug)]
struct Rejection {
    since: Instant,
    /// The hash of the client's error text, if that names the resource.
    named: Option<u64>,
    /// Whether the rejection may pass by itself, so that the resource is sent again.
    passes: bool,
    /// The number of retries so far.
    again: u32,
    /// The delay before the next retry.
    wait: Duration,
    /// When the resource is to be sent again; `None` while it is under way.
    due: Option<Instant>,
}

/// A resource that a client accepted after it had rejected it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AfterAll {
    pub(crate) name: Arc<str>,
    pub(crate) origin: Arc<str>,
    /// The time from the rejection to the acceptance.
    pub(crate) took: Duration,
    /// The hash of the error text of the rejection, if that named the resource.
    pub(crate) named: Option<u64>,
}

impl Rejections {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.by_id.is_empty() && !self.of_nothing
    }

    /// Whether a resource was rejected, or may have been.
    pub(in crate::session) fn has(&self, id: ResourceId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(in crate::session) fn bytes(&self) -> usize {
        self.by_id.len() * ENTRY
    }

    /// Forgets the rejection of a resource that changed, was removed, or is not subscribed to any
    /// more.
    pub(in crate::session) fn forget(&mut self, id: ResourceId) {
        self.by_id.remove(&id);
    }

    pub(in crate::session) fn retain(&mut self, keep: impl Fn(ResourceId) -> bool) {
        self.by_id.retain(|id, _| keep(*id));
    }

    /// Marks a rejection as one that will not pass by itself.
    pub(in crate::session) fn stays(&mut self, id: ResourceId) {
        if let Some(rejection) = self.by_id.get_mut(&id) {
            rejection.passes = false;
            rejection.due = None;
        }
    }

    pub(in crate::session) fn due(&self) -> Option<Instant> {
        self.by_id.values().filter_map(|of| of.due).min()
    }

    /// Takes the resources whose retry is due, and with them those due within half of their own
    /// delay: a client gets few responses for many rejections.
    fn take_due(&mut self, now: Instant) -> Vec<ResourceId> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let all = self.by_id.iter_mut();
        let due = all.filter(|(_, of)| of.due.is_some_and(|due| due <= now + of.wait / 2));
        due.map(|(id, of)| {
            of.due = None;
            *id
        })
        .collect()
    }

    /// Notes a rejection. Returns whether it repeats an earlier one.
    fn note(&mut self, id: ResourceId, named: Option<u64>, passes: bool, now: Instant) -> bool {
        let mut repeated = true;
        let of = self.by_id.entry(id).or_insert_with(|| {
            repeated = false;
            Rejection {
                since: now,
                named,
                passes,
                again: 0,
                wait: FIRST,
                due: None,
            }
        });
        repeated &= of.passes == passes;
        of.passes = passes;
        repeated
    }
}

impl TypeState {
    /// Whether the present content of a resource is to be sent, or was sent and has no answer yet.
    fn is_under_way(&self, id: ResourceId) -> bool {
        let mut sent = self.in_flight.iter();
        sent.any(|sent| sent.brings(id)) || (self.owed.contains(id) && !self.held_back.contains(id))
    }

    /// Owes again the resources of this type whose rejection may have passed by now. Returns when
    /// the next retry is due.
    fn try_again(&mut self, now: Instant, gate: Gate) -> Option<Instant> {
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

    /// Plans retries after an answer, for all rejected resources that are not under way.
    fn plan(&mut self, stream: u64, now: Instant) {
        let mut rejections = std::mem::take(&mut self.rejections);
        for (id, of) in &mut rejections.by_id {
            if of.passes && of.due.is_none() && !self.is_under_way(*id) {
                of.wait = wait(stream, of.again);
                of.due = Some(now + of.wait);
                of.again = of.again.saturating_add(1);
            }
        }
        self.rejections = rejections;
    }
}

/// The hash of an error text, by which rejections are compared.
pub(crate) fn error_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// The delay before the retry after `again` earlier ones, shortened by chance.
fn wait(stream: u64, again: u32) -> Duration {
    let longest = FIRST * 2u32.pow(again.min(5));
    let longest = longest.min(LONGEST);
    let hash = xxh3_64(&[stream.to_le_bytes(), u64::from(again).to_le_bytes()].concat());
    longest - longest / 4 * (hash % 256) as u32 / 256
}

impl Session {
    /// Takes the ACK or NACK of a response.
    pub(in crate::session) fn answered(
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
                self.states[index].rejections.of_nothing = false;
                self.accepted(index, answered, &[], store);
                Outcome::Acked
            }
        };
        let stream = self.nonce.stream;
        if !self.states[index].rejections.by_id.is_empty() {
            self.states[index].plan(stream, now);
        }
        outcome
    }

    /// Takes the NACK of a response.
    fn rejected(&mut self, index: usize, answered: &InFlight, text: &str, store: &Store) -> Nack {
        let now = self.now;
        let mut nack = TypeState::nack(answered, text, (store, index));
        let named: Vec<ResourceId> = nack.resources.iter().map(|named| named.id).collect();
        self.awaited.rejected(index, answered.nonce, &named);
        let hash = error_hash(&nack.error);
        for rejected in &mut nack.resources {
            if self.is_superseded(index, rejected.id, store) {
                continue;
            }
            let words = of_resource(&nack.error, &rejected.name);
            let passes = self.types.spec(index).passes(&words);
            let rejections = &mut self.states[index].rejections;
            rejected.repeated = rejections.note(rejected.id, Some(hash), passes, now);
            self.hold_back(index, rejected, &words, store);
        }
        // Clients cut their words, and so does this server: what is behind that is not known. Words
        // that name nothing there is are about what is gone.
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
            let rejections = &mut self.states[index].rejections;
            nack.repeated &= rejections.note(*id, None, passes, now);
        }
        self.states[index].rejections.of_nothing = answered.ids.is_empty();
        nack
    }

    /// Whether the rejection of a resource no longer matters: its newer content is owed already, or
    /// sent and not answered yet; it is not subscribed to any more; or the client has other content
    /// in its place.
    fn is_superseded(&self, index: usize, id: ResourceId, store: &Store) -> bool {
        let state = &self.states[index];
        let mut later = state.in_flight.iter();
        let wanted = state.subscription.is_wildcard() || state.subscription.is_named(id);
        let slot = store.try_slot(index, id);
        !wanted
            || state.owed.contains(id)
            || later.any(|sent| sent.ids.contains(&id))
            || state.held_back.contains(id)
            || slot.is_none_or(|slot| slot.resolve(&self.layers).is_none())
    }

    /// Notes that the client has what a response brought, except for the resources in `but`.
    fn accepted(&mut self, index: usize, answered: &InFlight, but: &[ResourceId], store: &Store) {
        let now = self.now;
        let state = &mut self.states[index];
        if state.last_good.is_empty() && state.rejections.by_id.is_empty() {
            return;
        }
        let brought = answered.ids.iter().copied();
        for id in brought.filter(|id| answered.brings(*id) && !but.contains(id)) {
            state.last_good.remove(id);
            let Some(of) = state.rejections.by_id.remove(&id) else {
                continue;
            };
            let Some(slot) = store.try_slot(index, id) else {
                continue;
            };
            if let Some(body) = slot.resolve(&self.layers) {
                self.after_all.push(AfterAll {
                    name: slot.name.clone(),
                    origin: body.origin.clone(),
                    took: now.saturating_duration_since(of.since),
                    named: of.named,
                });
            }
        }
    }

    /// Takes the resources that were accepted after a rejection since the last call.
    pub(crate) fn accepted_after_all(&mut self) -> Vec<AfterAll> {
        std::mem::take(&mut self.after_all)
    }

    /// Whether the client has rejected a resource of this type that it has not accepted since.
    pub(crate) fn is_rejecting(&self, type_url: &str) -> bool {
        let index = self.types.index(type_url);
        index.is_some_and(|index| !self.states[index].rejections.is_empty())
    }

    /// Owes again the resources of all types whose rejection may have passed by now. Returns when
    /// the next retry is due.
    pub(in crate::session) fn try_again(&mut self) -> Option<Instant> {
        let mut next = None;
        for index in 0..self.states.len() {
            if self.states.is_touched(index) && self.states[index].rejections.due().is_some() {
                let gate = self.gate(index);
                let due = self.states[index].try_again(self.now, gate);
                next = earlier(next, due);
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_not_the_same_on_all_streams() {
        for stream in 0..100 {
            for (again, longest) in [1, 2, 4, 8, 16, 30, 30, 30].into_iter().enumerate() {
                let longest = Duration::from_secs(longest);
                let wait = wait(stream, again as u32);
                assert!(wait <= longest && wait >= longest / 4 * 3, "{wait:?}");
            }
        }
        assert_ne!(wait(1, 3), wait(2, 3));
    }
}
