//! First answers before pushes (xDS rule 103): a client that asks for something new is answered although a change of an earlier type
//! still waits to be sent after it. What is owed of its type for other reasons stays in its place in the order.

use std::time::Instant;

use super::substream::SubStream;
use super::{Response, Session};
use crate::ids::Ids;
use crate::store::Store;

impl Session {
    /// Notes names that are newly asked for, by the ids of those that have a value, if something of an earlier type is under way
    /// that changes may have to wait for.
    pub(super) fn note_asked(&mut self, index: usize, ids: &[u32]) {
        if self.types.spec(index).gated {
            return;
        }
        let under_way = |sub: &SubStream| !sub.in_flight.is_empty();
        if self.subs.iter().take(index).any(under_way) {
            let asked = &mut self.subs[index].asked;
            let asked = asked.get_or_insert_with(Box::<Ids>::default);
            ids.iter().for_each(|id| asked.insert(*id));
        }
    }

    /// The answer to what is newly asked for of a type while earlier ones wait, or until when it has to wait itself.
    pub(super) fn first_answer(
        &mut self,
        index: usize,
        store: &Store,
        now: Instant,
    ) -> Result<Response, Option<Instant>> {
        let sub = &self.subs[index];
        if sub.asked.is_none() {
            return Err(None);
        }
        if let Some(until) = sub.unsettled_until(now) {
            return Err(Some(until));
        }
        let sub = &mut self.subs[index];
        let asked = sub.asked.take().unwrap_or_default();
        let mut others = std::mem::take(&mut sub.owed);
        for id in asked.iter() {
            if others.remove(id) {
                sub.owed.insert(id);
            }
        }
        let response = match self.subs[index].has_additions() {
            true => self.additions(index, store, now),
            false => None,
        };
        // What did not fit into the response is still asked for.
        let sub = &mut self.subs[index];
        if !sub.owed.is_empty() {
            sub.asked = Some(Box::new(sub.owed.clone()));
        }
        others.iter().for_each(|id| sub.owed.insert(id));
        response.ok_or(None)
    }
}
