//! The next response: which type, which of its resources, and whether it may go out yet.
//!
//! Additions go in the order of the types (xDS rule 84), then removals, first what refers and then what is referred to
//! (xDS rule 86); removals of an exclusive type go with its additions. A type waits for the acknowledgement of its last response,
//! a gated one also for those of the types before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::content::{CHUNK, Content};
use super::fit::{take_keys, take_names};
use super::{Dialect, Next, PATIENCE, Response, Session};
use crate::store::Store;
use crate::types::TypeSpec;
use crate::wire::{self, Tail, parse_version};

impl Session {
    /// What to send next, from the newest state of the store.
    pub(crate) fn next(&mut self, store: &Store, now: Instant) -> Next {
        self.catch_up(store);
        let again = self.try_again(now);
        self.heed_quarantine(store);
        match self.next_owed(store, now) {
            Next::Wait(until) => Next::Wait([until, again].into_iter().flatten().min()),
            Next::Send(response) => Next::Send(response),
        }
    }

    fn next_owed(&mut self, store: &Store, now: Instant) -> Next {
        let silent_until = self.doubt_the_silent(now);
        if let Some(response) = self.unknown_names() {
            return Next::Send(response);
        }
        let mut waits = None;
        for index in 0..self.subs.len() {
            if !self.subs.is_touched(index) || !self.subs[index].has_additions() {
                continue;
            }
            let until = match waits {
                None => self.additions_wait(index, now),
                // Only what a client has just asked for overtakes what waits.
                Some(_) => match self.first_answer(index, store, now) {
                    Ok(response) => return Next::Send(response),
                    Err(until) => until,
                },
            };
            waits = [waits, until].into_iter().flatten().min();
            if waits.is_none()
                && let Some(response) = self.additions(index, store, now)
            {
                return Next::Send(response);
            }
        }
        if waits.is_some() {
            return Next::Wait(waits);
        }
        let order = self.types.removal_order();
        let mut types = order.iter();
        let Some(at) = types.position(|index| self.has_removals(*index)) else {
            return Next::Wait(silent_until);
        };
        // What referred to these resources must have let go of them.
        let before = order[..=at].iter();
        let waits = before.filter_map(|index| self.subs[*index].unsettled_until(now));
        let (waits, index) = (waits.max(), order[at]);
        if let Some(until) = waits.or_else(|| self.empties_wait(index, now)) {
            return Next::Wait(Some(until));
        }
        match self.removals(index, store, now) {
            Some(response) => Next::Send(response),
            None => self.next_owed(store, now),
        }
    }

    fn has_removals(&self, index: usize) -> bool {
        self.subs.is_touched(index) && !self.subs[index].removed.is_empty()
    }

    fn additions_wait(&self, index: usize, now: Instant) -> Option<Instant> {
        let own = self.subs[index].unsettled_until(now);
        if !self.types.spec(index).gated {
            return own;
        }
        let before = self.subs.iter().take(index);
        let before = before.filter_map(|sub| sub.unsettled_until(now)).max();
        let awaited = self
            .awaited_until
            .filter(|until| *until > now && !self.awaited.is_empty());
        own.max(before).max(awaited)
    }

    pub(super) fn additions(
        &mut self,
        index: usize,
        store: &Store,
        now: Instant,
    ) -> Option<Response> {
        let TypeSpec {
            complete,
            exclusive,
            ..
        } = *self.types.spec(index);
        let must_answer = std::mem::take(&mut self.subs[index].must_answer);
        let must_answer = must_answer || self.subs[index].said_more;
        // Of a complete response only the names are needed, for clients that read errors.
        let make_room = match self.dialect {
            Dialect::Sotw if exclusive && complete => std::mem::take(&mut self.subs[index].removed),
            Dialect::Sotw | Dialect::Delta => BTreeMap::new(),
        };
        let content = match self.dialect {
            Dialect::Sotw if complete => {
                let content = self.everything(index, store, true);
                let known = self.subs[index].client_version.take();
                self.subs[index].owed.clear();
                // The client has it already: a reconnect (xDS rule 32 allows this of wildcards only).
                let said = self.subs[index].absent.is_empty();
                if said && known.and_then(|known| parse_version(&known)) == Some(content.digest) {
                    content
                        .ids
                        .iter()
                        .for_each(|id| self.subs[index].held.insert(*id));
                    return None;
                }
                content
            }
            Dialect::Sotw | Dialect::Delta => self.owed_chunk(index, store),
        };
        self.follow_refs(index, &content.ids, store, now);
        let room = CHUNK.saturating_sub(content.size());
        let sub = &mut self.subs[index];
        let mut removed: Vec<Arc<str>> = make_room.into_keys().collect();
        if exclusive && !sub.removed.is_empty() {
            removed = take_keys(&mut sub.removed, room);
        }
        if sub.owed.is_empty() {
            sub.asked = None;
        }
        let used: usize = removed.iter().map(|name| name.len()).sum();
        if !sub.absent.is_empty() {
            removed.extend(take_names(&mut sub.absent, room.saturating_sub(used)));
        }
        // What is owed may all be held back.
        let complete = complete && self.dialect == Dialect::Sotw;
        if content.parts.is_empty() && removed.is_empty() && !must_answer && !complete {
            return None;
        }
        // All that was owed may be held back.
        let says_nothing = content.ids.is_empty() && removed.is_empty() && !must_answer;
        if says_nothing && self.dialect == Dialect::Sotw && !complete {
            return None;
        }
        Some(self.response(index, content, &removed, store, now))
    }

    fn removals(&mut self, index: usize, store: &Store, now: Instant) -> Option<Response> {
        if self.says_empty(index) {
            let content = self.empties(index, store)?;
            return Some(self.response(index, content, &[], store, now));
        }
        if self.dialect == Dialect::Sotw && self.types.spec(index).complete {
            let removed = std::mem::take(&mut self.subs[index].removed);
            let names: Vec<Arc<str>> = removed.into_keys().collect();
            let content = self.everything(index, store, false);
            return Some(self.response(index, content, &names, store, now));
        }
        let names = take_keys(&mut self.subs[index].removed, CHUNK);
        let content = Content::default();
        Some(self.response(index, content, &names, store, now))
    }

    /// After a resource its client loads what it refers to anew (xDS rules 88-91): send that even if unchanged, and let gated
    /// types wait for what the client does not have yet.
    fn follow_refs(&mut self, index: usize, sent: &[u32], store: &Store, now: Instant) {
        for id in sent {
            self.awaited.remove(&(index, *id));
        }
        let Some(target) = self.types.spec(index).reloads else {
            return;
        };
        let Some(target_index) = self.types.index(target.as_str()) else {
            return;
        };
        if !self.subs[target_index].subscription.is_active() {
            sent.iter()
                .for_each(|id| self.subs[index].sent_first.insert(*id));
            return;
        }
        for id in sent {
            let Some(body) = store.slot(index, *id).resolve(&self.layers) else {
                continue;
            };
            for reference in body.refs.iter().filter(|r| r.type_url == target) {
                let Some(child) = store.find(target_index, &reference.name) else {
                    continue;
                };
                if store
                    .slot(target_index, child)
                    .resolve(&self.layers)
                    .is_none()
                {
                    continue;
                }
                let sub = &mut self.subs[target_index];
                if !sub.held.contains(child) {
                    self.awaited.insert((target_index, child));
                    self.interest.add_names(target_index, &[&*reference.name]);
                    self.awaited_until = Some(now + PATIENCE);
                }
                let wanted = sub.subscription.covers(child, &reference.name);
                // Of one held back the content before, if there is any.
                if wanted && !matches!(sub.held_back.get(&child), Some(None)) {
                    sub.owed.insert(child);
                }
            }
        }
    }

    fn response(
        &mut self,
        index: usize,
        mut content: Content,
        removed: &[Arc<str>],
        store: &Store,
        now: Instant,
    ) -> Response {
        let url = self.types.spec(index).url;
        let version = match self.dialect {
            Dialect::Sotw if !self.types.spec(index).complete => {
                let all = self.subscription_version(index, store);
                // What is not among all there is: empty values.
                match content.ids.is_empty() {
                    true => all.wrapping_add(content.digest),
                    false => all,
                }
            }
            Dialect::Sotw | Dialect::Delta => content.digest,
        };
        let (resources, large) = (content.ids.len(), content.large);
        self.nonce.number += 1;
        let removed = if self.says_absent() { removed } else { &[] };
        let more = self.dialect == Dialect::Delta && !self.subs[index].owed.is_empty();
        let tail = Tail {
            more,
            ..self.tail(url.as_str(), version, removed)
        };
        let message = wire::message(&content.parts, &tail);
        content.parts.clear();
        let sub = &mut self.subs[index];
        for id in &*content.ids {
            sub.held.insert(*id);
        }
        if let Some(believed) = &mut sub.believed {
            believed.forget(&content.ids);
        }
        sub.sent(self.nonce.number, version, (content, more), now);
        Response {
            type_url: Some(url),
            message,
            resources,
            large,
        }
    }

    pub(super) fn tail<'a>(
        &'a self,
        type_url: &'a str,
        version: u64,
        removed: &'a [Arc<str>],
    ) -> Tail<'a> {
        Tail {
            dialect: self.dialect,
            version,
            more: false,
            type_url,
            nonce: self.nonce,
            identifier: &self.identifier,
            removed,
        }
    }
}
