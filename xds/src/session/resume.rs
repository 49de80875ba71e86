//! Reconnects: a client lists the versions that it has, and is sent only what differs (xDS rule
//! 52), unless the list cannot be relied on.
//!
//! A client whose stream ended while it warmed a changed cluster has the new cluster, and the
//! assignment that it was sent for the old one. It lists both as present, and waits for the
//! assignment until its initial fetch times out (envoy#22418, envoy#31535, xDS rules 53, 93). So an
//! assignment that is listed in its present version is sent all the same
//! - if its cluster changed in the last minutes,
//! - if its cluster was sent on this stream before the client subscribed to assignments,
//! - if the client does not subscribe to clusters at all: Envoy delays that request while a cluster
//!   is warming. A server that has just started has no other sign of it (xDS rule 99).

use std::collections::HashSet;
use std::time::Instant;

use super::{PATIENCE, ProtocolError, Session};
use crate::store::{ResourceId, Store};
use crate::wire::request::Part;
use crate::wire::response::parse_version;
use crate::xdstp;

impl Session {
    /// Marks the stream as one of a single-type service, where a client that asks for no other type
    /// is no sign of warming.
    pub(crate) fn of_one_type(&mut self) {
        self.aggregated = false;
    }

    /// Takes the names and versions that a client lists in its first request for a type.
    pub(super) fn resume(
        &mut self,
        index: usize,
        initial: &[(&str, &str)],
        part: Part,
        store: &Store,
    ) -> Result<(), ProtocolError> {
        let (now, gate) = (self.now, self.gate_asked(index));
        let warming = match initial.is_empty() {
            true => HashSet::new(),
            false => self.children_of_the_changed(index, store),
        };
        if !part.more {
            for parent in self.parents(index).collect::<Vec<_>>() {
                self.states[parent].clear_sent_first();
            }
        }
        if initial.is_empty() {
            return Ok(());
        }
        let resends = self.types.spec(index).resends;
        let mut claimed = self.states[index].take_claims();
        let mut next = ResourceId::FIRST;
        for &(name, version) in initial {
            let version = parse_version(version);
            let name = &*xdstp::canonical(name);
            let id = self.visible_in_turn(index, name, store, &mut next);
            let state = &mut self.states[index];
            match id {
                Some(id) => {
                    if !state.covers(id, name) {
                        continue;
                    }
                    let body = store.slot(index, id).resolve(&self.layers);
                    let same = body.is_some_and(|body| Some(body.version.hash()) == version);
                    if same && !resends && !warming.contains(name) {
                        state.reconnect_current(id);
                        claimed.insert(id);
                    } else {
                        state.reconnect_outdated(id, now, gate);
                    }
                }
                None if state.reconnect_missing(name, now) => self.check_remembered()?,
                None => {}
            }
        }
        self.states[index].waive_answer();
        if self.aggregated && !claimed.is_empty() && !self.knows_parents(index) {
            self.states[index].claim(claimed, now + PATIENCE);
        }
        Ok(())
    }

    /// The names of this type that clients reload after resources that changed lately, or that were
    /// sent on this stream already.
    fn children_of_the_changed<'a>(&self, index: usize, store: &'a Store) -> HashSet<&'a str> {
        let url = self.types.spec(index).url;
        let recent = store.recently_changed(self.now);
        let recent = recent.filter(|(parent, _)| self.types.spec(*parent).reloads == Some(url));
        let recent = recent.map(|(_, slot)| slot);
        let sent = self.parents(index).flat_map(|parent| {
            let sent = self.states[parent].sent_first();
            sent.map(move |id| store.slot(parent, id))
        });
        recent
            .chain(sent)
            .filter_map(|slot| slot.resolve(&self.layers))
            .flat_map(|body| body.refs.iter().filter(|r| r.type_url == url))
            .map(|reference| &*reference.name)
            .collect()
    }

    /// The types after whose resources a client reloads those of this type.
    fn parents(&self, index: usize) -> impl Iterator<Item = usize> {
        let url = self.types.spec(index).url;
        (0..self.states.len()).filter(move |parent| self.types.spec(*parent).reloads == Some(url))
    }

    /// Whether the client has subscribed to all types after whose resources it reloads those of
    /// this type.
    fn knows_parents(&self, index: usize) -> bool {
        let mut parents = self.parents(index);
        parents.all(|parent| self.states[parent].subscription().is_active())
    }

    /// Whether, since the last call, the client was found to have reconnected with resources of a
    /// type and not to subscribe to the type after which it reloads them (xDS rule 99).
    pub(crate) fn is_warming_reconnect(&mut self) -> bool {
        std::mem::take(&mut self.is_warming)
    }

    /// Owes again the resources that a reconnected client claims to have, if it has not subscribed
    /// in time to the types that refer to them. Returns until when it still may.
    pub(super) fn resend_doubtful_claims(&mut self) -> Option<Instant> {
        let now = self.now;
        for index in 0..self.states.len() {
            if !self.states.is_touched(index) {
                continue;
            }
            let Some(until) = self.states[index].claimed_until() else {
                continue;
            };
            let knows_parents = self.knows_parents(index);
            if !knows_parents && until > now {
                return Some(until);
            }
            self.is_warming |= !knows_parents;
            let gate = self.gate(index);
            let state = &mut self.states[index];
            match knows_parents {
                true => drop(state.take_claims()),
                false => state.resend_claims(now, gate),
            }
        }
        None
    }
}
