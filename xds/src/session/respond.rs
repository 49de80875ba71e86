//! Building the next response: which resources of a type are in it, and how the state of the type
//! changes with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::content::{CHUNK, Content};
use super::schedule::earlier;
use super::state::type_state::RemovalForm;
use super::{Next, PATIENCE, Response, Session};
use crate::dialect::Dialect;
use crate::store::{ResourceId, Store};
use crate::wire::response::{self, Tail};

impl Session {
    /// The next response, or the time to wait, by the newest state of the store.
    pub(crate) fn next(&mut self, store: &Store, now: Instant) -> Next {
        self.now = now;
        if !self.catch_up(store) {
            // What a request was read with comes here afterwards.
            self.follow_commits(store.seq());
        }
        let retry_at = self.retry_rejected();
        self.read_quarantine(store);
        match self.next_owed(store) {
            Next::Wait(until) => {
                self.states.settle_deliveries();
                Next::Wait(earlier(until, retry_at))
            }
            Next::Send(response) => Next::Send(response),
        }
    }

    /// Whether responses of a type list everything that the client subscribes to, and not only
    /// changes.
    pub(super) fn is_complete(&self, index: usize) -> bool {
        self.dialect == Dialect::Sotw && self.types.spec(index).complete
    }

    /// A response with the additions of a type; `None` if there is nothing to send after all.
    pub(super) fn additions(&mut self, index: usize, store: &Store) -> Option<Response> {
        match self.is_complete(index) {
            true => self.complete_response(index, store),
            false => self.partial_response(index, store),
        }
    }

    /// A response with all resources that the client is to have of a type; `None` if it has them
    /// already.
    fn complete_response(&mut self, index: usize, store: &Store) -> Option<Response> {
        let exclusive = self.types.spec(index).exclusive;
        let now = self.now;
        let state = &mut self.states[index];
        state.waive_answer();
        let since = state.owed().since().unwrap_or(now);
        // Of what is gone only the names are needed, for clients that read errors.
        let mut removed = match exclusive {
            true => state.take_all_removals(),
            false => Vec::new(),
        };
        let (content, since) = self.complete_content(index, since, store)?;
        let room = CHUNK.saturating_sub(content.size());
        self.states[index].take_not_found(&mut removed, room);
        Some(self.response(index, content, (&removed, since), store))
    }

    /// A response with the owed resources of a type, as many as fit; `None` if there is nothing to
    /// send after all.
    fn partial_response(&mut self, index: usize, store: &Store) -> Option<Response> {
        let exclusive = self.types.spec(index).exclusive;
        let now = self.now;
        let state = &mut self.states[index];
        let must_answer = state.take_must_answer();
        let since = state.owed().since().unwrap_or(now);
        let content = self.owed_chunk(index, store);
        let since = self.follow_refs(index, &content.ids, since, store);
        let room = CHUNK.saturating_sub(content.size());
        let state = &mut self.states[index];
        let mut removed = match exclusive {
            true => state.take_removals(None, room),
            false => Vec::new(),
        };
        state.take_not_found(&mut removed, room);
        // All that was owed may be held back.
        let says_nothing = match self.dialect {
            Dialect::Delta => content.parts.is_empty(),
            Dialect::Sotw => content.ids.is_empty(),
        };
        if says_nothing && removed.is_empty() && !must_answer {
            return None;
        }
        Some(self.response(index, content, (&removed, since), store))
    }

    /// All resources that the client is to have of a type, and since when any of them is owed;
    /// `None` if it has them already.
    fn complete_content(
        &mut self,
        index: usize,
        since: Instant,
        store: &Store,
    ) -> Option<(Content, Instant)> {
        let content = self.everything(index, store);
        let state = &mut self.states[index];
        let owed = state.owed().iter().filter(|id| !state.is_left_out(*id));
        let mut owed: Vec<ResourceId> = owed.collect();
        state.take_owed(&owed);
        owed.retain(|id| content.ids.binary_search(id).is_ok());
        let known = state.take_client_version();
        // The client has it already: a reconnect (xDS rule 32 allows this of wildcards only).
        if !state.has_not_found() && known == Some(content.digest) {
            state.has_already(&content.ids);
            return None;
        }
        // Only what changed has the client load anything anew (xDS rule 91).
        let since = self.follow_refs(index, &owed, since, store);
        Some((content, since))
    }

    /// A response with the removals of a type that became owed before `cutoff`.
    pub(super) fn removals(
        &mut self,
        index: usize,
        cutoff: Option<Instant>,
        store: &Store,
    ) -> Option<Response> {
        let since = self.states[index].removals().since().unwrap_or(self.now);
        if self.removal_form(index) == RemovalForm::Empty {
            let content = self.empties(index, cutoff, store)?;
            return Some(self.response(index, content, (&[], since), store));
        }
        let complete = self.is_complete(index);
        let room = if complete { usize::MAX } else { CHUNK };
        let mut names = self.states[index].take_removals(cutoff, room);
        if names.is_empty() {
            return None;
        }
        self.states[index].take_not_found(&mut names, CHUNK);
        let (content, since) = match complete {
            true => self.complete_content(index, since, store)?,
            false => (Content::default(), since),
        };
        Some(self.response(index, content, (&names, since), store))
    }

    /// Owes the client what it reloads after the `sent` resources (xDS rules 88-91), even if that
    /// is unchanged, and lets gated types wait for what the client does not have yet and may
    /// subscribe to. Returns since when any of `sent` is owed, or what referred to it.
    fn follow_refs(
        &mut self,
        index: usize,
        sent: &[ResourceId],
        since: Instant,
        store: &Store,
    ) -> Instant {
        let asked_since = self.awaited.take(index, sent);
        let since = asked_since.map_or(since, |asked| asked.min(since));
        let target = self.types.spec(index).reloads;
        let Some(target) = target.and_then(|target| self.types.index(target.as_str())) else {
            return since;
        };
        if !self.states[target].subscription().is_active() {
            self.states[index].sent_before_dependents(sent);
            return since;
        }
        let gate = self.gate(target);
        let mut awaited = BTreeSet::new();
        for id in sent {
            let Some(body) = store.slot(index, *id).resolve(&self.layers) else {
                continue;
            };
            let url = self.types.spec(target).url;
            for reference in body.refs.iter().filter(|r| r.type_url == url) {
                let Some(child) = self.visible(target, &reference.name, store) else {
                    continue;
                };
                let state = &mut self.states[target];
                if state.covers(child, &reference.name) {
                    state.reload(child, since, gate);
                } else if !state.is_held(child) {
                    self.interest.add_names(target, &[&*reference.name]);
                    awaited.insert((child, *id));
                }
            }
        }
        let nonce = self.nonce.number + 1;
        let times = (since, self.now + PATIENCE);
        self.awaited.add((index, target), nonce, times, awaited);
        since
    }

    /// Encodes a response, and notes it as sent and in flight.
    fn response(
        &mut self,
        index: usize,
        mut content: Content,
        (removed, since): (&[Arc<str>], Instant),
        store: &Store,
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
        let more = self.dialect == Dialect::Delta && !self.states[index].owed().is_empty();
        let tail = Tail {
            more,
            ..self.tail(url.as_str(), version, removed)
        };
        let message = response::message(&content.parts, &tail);
        content.parts.clear();
        self.states[index].sent(
            self.nonce.number,
            version,
            (content, more),
            (since, self.now),
        );
        Response {
            type_url: Some(url),
            message,
            resources,
            large,
        }
    }

    /// The fields of the next response besides its resources.
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
