//! The next response: which type, which of its resources, and whether it may go out yet.
//!
//! Additions go in the order of the types (xDS rule 84), then removals, first what refers and then what is referred to
//! (xDS rule 86); removals of an exclusive type go with its additions. A type waits for the acknowledgement of its last response,
//! a gated one also for those of the types before it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Dialect, Next, PATIENCE, Response, Session};
use crate::body::Body;
use crate::store::Store;
use crate::types::TypeSpec;
use crate::wire::{self, Tail};

/// A response that can be split stays below this many bytes; clients commonly refuse 4 MiB (xDS rule 124).
const CHUNK: usize = 2 << 20;
/// A response that cannot be split is worth a warning from here on (xDS rule 125).
const LARGE: usize = 3 << 20;

/// The resources of a response.
#[derive(Default)]
struct Content {
    ids: Vec<u32>,
    parts: Vec<Bytes>,
    size: usize,
    /// A hash over names and versions, whatever their order.
    digest: u64,
}

impl Content {
    fn push(&mut self, name: &str, body: &Body, bytes: Bytes) {
        let hash = xxh3_64_with_seed(name.as_bytes(), body.version.hash());
        self.digest = self.digest.wrapping_add(hash);
        self.size += bytes.len();
        self.parts.push(bytes);
    }
}

impl Session {
    /// What to send next, from the newest state of the store.
    pub(crate) fn next(&mut self, store: &Store, now: Instant) -> Next {
        self.catch_up(store);
        if let Some(response) = self.unknown_names() {
            return Next::Send(response);
        }
        for index in 0..self.subs.len() {
            if self.subs[index].has_additions() {
                if let Some(until) = self.additions_wait(index, now) {
                    return Next::Wait(Some(until));
                }
                if let Some(response) = self.additions(index, store, now) {
                    return Next::Send(response);
                }
            }
        }
        let order = self.types.removal_order();
        for (at, index) in order.iter().copied().enumerate() {
            if !self.subs[index].removed.is_empty() {
                // What referred to these resources must have let go of them.
                let before = order[..=at].iter();
                let waits = before.filter_map(|index| self.subs[*index].unsettled_until(now));
                if let Some(until) = waits.max() {
                    return Next::Wait(Some(until));
                }
                return Next::Send(self.removals(index, store, now));
            }
        }
        Next::Wait(None)
    }

    fn additions_wait(&self, index: usize, now: Instant) -> Option<Instant> {
        let own = self.subs[index].unsettled_until(now);
        if !self.types.spec(index).gated {
            return own;
        }
        let before = self.subs[..index].iter();
        let before = before.filter_map(|sub| sub.unsettled_until(now)).max();
        let awaited = self
            .awaited_until
            .filter(|until| *until > now && !self.awaited.is_empty());
        own.max(before).max(awaited)
    }

    fn additions(&mut self, index: usize, store: &Store, now: Instant) -> Option<Response> {
        let TypeSpec {
            complete,
            exclusive,
            ..
        } = *self.types.spec(index);
        let make_room = exclusive.then(|| std::mem::take(&mut self.subs[index].removed));
        let (content, removed) = match self.dialect {
            Dialect::Sotw if complete => {
                let content = self.everything(index, store, true);
                let known = self.subs[index].client_version.take();
                self.subs[index].owed.clear();
                self.subs[index].must_answer = false;
                // The client has it already: a reconnect (xDS rule 32 allows this of wildcards only).
                if known.is_some_and(|known| known == version(content.digest)) {
                    content
                        .ids
                        .iter()
                        .for_each(|id| self.subs[index].held.insert(*id));
                    return None;
                }
                (content, Vec::new())
            }
            Dialect::Sotw => (self.owed_chunk(index, store), Vec::new()),
            Dialect::Delta => {
                let content = self.owed_chunk(index, store);
                let absent = std::mem::take(&mut self.subs[index].absent);
                let removed = make_room.unwrap_or_default().into_keys();
                (content, absent.into_iter().chain(removed).collect())
            }
        };
        self.subs[index].must_answer = false;
        self.follow_refs(index, &content.ids, store, now);
        Some(self.response(index, content, &removed, now))
    }

    fn removals(&mut self, index: usize, store: &Store, now: Instant) -> Response {
        let removed = std::mem::take(&mut self.subs[index].removed);
        match self.dialect {
            Dialect::Delta => {
                let names: Vec<Arc<str>> = removed.into_keys().collect();
                self.response(index, Content::default(), &names, now)
            }
            Dialect::Sotw => {
                let content = self.everything(index, store, false);
                self.response(index, content, &[], now)
            }
        }
    }

    /// All that is subscribed to (xDS rule 21); with `with_removed` also what is to be removed after this response.
    fn everything(&self, index: usize, store: &Store, with_removed: bool) -> Content {
        let sub = &self.subs[index];
        let mut content = Content::default();
        let ids: Vec<u32> = match sub.subscription.is_wildcard() {
            true => store.ids(index).collect(),
            false => sub.subscription.named().collect(),
        };
        for id in ids {
            let slot = store.slot(index, id);
            if let Some(body) = slot.resolve(&self.layers) {
                content.ids.push(id);
                content.push(&slot.name, body, body.sotw());
            }
        }
        if with_removed {
            for (name, body) in &sub.removed {
                if let Some(body) = body {
                    content.push(name, body, body.sotw());
                }
            }
        }
        if content.size > LARGE {
            tracing::warn!(
                r#type = self.types.spec(index).url.short(),
                bytes = content.size,
                "a state-of-the-world response that cannot be split nears the 4 MiB that clients accept; use delta"
            );
        }
        content
    }

    /// As much of what is owed as fits into one response.
    fn owed_chunk(&mut self, index: usize, store: &Store) -> Content {
        let sub = &mut self.subs[index];
        let mut content = Content::default();
        let owed: Vec<u32> = sub.owed.iter().collect();
        for id in owed {
            let slot = store.slot(index, id);
            let Some(body) = slot.resolve(&self.layers) else {
                sub.owed.remove(id);
                continue;
            };
            let bytes = match self.dialect {
                Dialect::Delta => body.delta(),
                Dialect::Sotw => body.sotw(),
            };
            if content.size + bytes.len() > CHUNK && !content.ids.is_empty() {
                return content;
            }
            sub.owed.remove(id);
            content.ids.push(id);
            content.push(&slot.name, body, bytes);
        }
        sub.owed.clear();
        content
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
                    self.awaited_until = Some(now + PATIENCE);
                }
                if sub.subscription.covers(child, &reference.name) {
                    sub.owed.insert(child);
                }
            }
        }
    }

    fn response(
        &mut self,
        index: usize,
        content: Content,
        removed: &[Arc<str>],
        now: Instant,
    ) -> Response {
        let nonce = self.nonces.next();
        let url = self.types.spec(index).url.as_str();
        let version = version(content.digest);
        let resources = content.parts.len();
        let tail = Tail {
            version: &version,
            type_url: url,
            nonce: &nonce,
            identifier: &self.identifier,
        };
        let mut parts = content.parts;
        parts.push(match self.dialect {
            Dialect::Delta => wire::delta_tail(&tail, removed),
            Dialect::Sotw => wire::sotw_tail(&tail),
        });
        let sub = &mut self.subs[index];
        for id in &content.ids {
            sub.held.insert(*id);
        }
        sub.sent(nonce, version, content.ids, now);
        Response {
            type_url: url.into(),
            parts,
            resources,
        }
    }

    /// Names of types that nobody serves do not exist (xDS rule 5).
    fn unknown_names(&mut self) -> Option<Response> {
        let waiting = self.unknown.iter_mut().find(|(_, names)| !names.is_empty());
        let (url, names) = waiting?;
        let names: Vec<Arc<str>> = std::mem::take(names).into_iter().collect();
        let nonce = self.nonces.next();
        let tail = Tail {
            version: "",
            type_url: url,
            nonce: &nonce,
            identifier: &self.identifier,
        };
        Some(Response {
            type_url: url.as_str().into(),
            parts: vec![wire::delta_tail(&tail, &names)],
            resources: 0,
        })
    }
}

fn version(digest: u64) -> String {
    format!("{digest:016x}")
}
