//! What goes into a response: gathered from the store resource by resource, or taken whole from a
//! first sync that many share.

use std::sync::Arc;

use bytes::Bytes;

use super::Session;
use super::state::type_state::TypeState;
use crate::store::Store;
use crate::store::body::Body;
use crate::store::initial_sync::{Chunk, InitialSync};

/// A response that can be split stays below this many bytes; clients commonly refuse 4 MiB (xDS
/// rule 124).
pub(super) const CHUNK: usize = 7 << 19;
/// A response that cannot be split is reported from here on (xDS rule 125).
const LARGE: usize = 3 << 20;
/// From this many resources on it pays to look for a first sync to share.
const SHARE: usize = 32;

/// The resources of a response.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) ids: Arc<[u32]>,
    /// Those of them that are not sent as they are, in ascending order.
    pub(super) instead: Vec<u32>,
    pub(super) parts: Vec<Bytes>,
    /// The sum over the resources' digests, whatever their order.
    pub(super) digest: u64,
    pub(super) shared: Option<Arc<InitialSync>>,
    /// Its bytes, if they cannot be split and are many.
    pub(super) large: Option<usize>,
}

impl Content {
    fn shared(chunk: &Chunk, shared: Arc<InitialSync>) -> Content {
        Content {
            ids: chunk.ids.clone(),
            instead: Vec::new(),
            parts: vec![chunk.bytes.clone()],
            digest: chunk.digest,
            shared: Some(shared),
            large: None,
        }
    }

    pub(super) fn size(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

/// Content while it is gathered.
#[derive(Default)]
struct Gather {
    ids: Vec<u32>,
    instead: Vec<u32>,
    parts: Vec<Bytes>,
    size: usize,
    digest: u64,
}

impl Gather {
    /// What is sent of a resource, and what it is. What it was before is the same where only its
    /// layer changed since.
    fn note(&mut self, id: u32, of: &TypeState, sent: &Body, is: Option<&Arc<Body>>) {
        self.ids.push(id);
        let same = |is: &Arc<Body>| is.version == sent.version;
        if of.held_back.contains(id) && !is.is_some_and(same) {
            self.instead.push(id);
        }
    }

    fn push(&mut self, name: &str, body: &Body, bytes: Bytes) {
        self.digest = self.digest.wrapping_add(body.digest(name));
        self.size += bytes.len();
        self.parts.push(bytes);
    }

    fn finish(self) -> Content {
        Content {
            ids: self.ids.into(),
            instead: self.instead,
            parts: self.parts,
            digest: self.digest,
            shared: None,
            large: None,
        }
    }
}

impl Session {
    /// All that is subscribed to (xDS rule 21); with `with_removed` also what is to be removed
    /// after this response.
    pub(super) fn everything(&self, index: usize, store: &Store) -> Content {
        let content = self.whole_view(index, store);
        let mut content = content.unwrap_or_else(|| self.gather_everything(index, store));
        let size = content.size();
        content.large = (size > LARGE).then_some(size);
        content
    }

    /// The same for a wildcard, shared.
    fn whole_view(&self, index: usize, store: &Store) -> Option<Content> {
        let state = &self.states[index];
        let plain = state.subscription.is_wildcard() && state.held_back.is_empty();
        let now = state.removed.is_empty() && !state.owed.has_waiting();
        if !plain || !now || store.len(index) < SHARE {
            return None;
        }
        let shared = store.initial_sync(self.placement, index, self.dialect, usize::MAX)?;
        let chunk = shared.whole()?;
        Some(Content::shared(chunk, shared.clone()))
    }

    fn gather_everything(&self, index: usize, store: &Store) -> Content {
        let state = &self.states[index];
        let mut gather = Gather::default();
        let ids: Vec<u32> = match state.subscription.is_wildcard() {
            true => store.ids(index).collect(),
            false => state.subscription.named().collect(),
        };
        let waits = |id: &u32| !state.held.contains(*id) && state.owed.is_waiting(*id);
        for id in ids.into_iter().filter(|id| !waits(id)) {
            let slot = store.slot(index, id);
            let body = match state.held_back.get(id) {
                Some(before) => before.as_ref(),
                None => slot.resolve(&self.layers),
            };
            if let Some(body) = body {
                gather.note(id, state, body, slot.resolve(&self.layers));
                gather.push(&slot.name, body, body.bytes(self.dialect));
            }
        }
        for (name, gone) in state.removed.iter() {
            if let Some(body) = &gone.body {
                gather.push(name, body, body.bytes(self.dialect));
            }
        }
        gather.finish()
    }

    /// As much of what is owed, and does not wait, as fits into one response.
    pub(super) fn owed_chunk(&mut self, index: usize, store: &Store) -> Content {
        let content = match self.first_chunk(index, store) {
            Some(content) => content,
            None => self.gather_owed(index, store),
        };
        self.states[index].owed.sent(&content.ids);
        content
    }

    /// The same of a client that is owed most there is, shared with others in that state.
    fn first_chunk(&self, index: usize, store: &Store) -> Option<Content> {
        let state = &self.states[index];
        let owed = state.owed.ready();
        let count = owed.len();
        let instead = state.held_back.ids().any(|id| owed.contains(id));
        if instead || count < SHARE {
            return None;
        }
        let place = self.placement;
        let shared = match count * 2 < store.len(index) {
            true => store.known_first_sync(place, index, self.dialect)?,
            false => store.initial_sync(place, index, self.dialect, CHUNK)?,
        };
        let chunk = shared.within(&owed)?;
        Some(Content::shared(chunk, shared.clone()))
    }

    fn gather_owed(&mut self, index: usize, store: &Store) -> Content {
        let state = &mut self.states[index];
        let mut gather = Gather::default();
        let mut without_value = Vec::new();
        for id in state.owed.ready().iter() {
            let slot = store.slot(index, id);
            let body = match state.held_back.get(id) {
                Some(before) => before.as_ref(),
                None => slot.resolve(&self.layers),
            };
            let Some(body) = body else {
                without_value.push(id);
                continue;
            };
            let bytes = body.bytes(self.dialect);
            if gather.size + bytes.len() > CHUNK && !gather.ids.is_empty() {
                break;
            }
            gather.note(id, state, body, slot.resolve(&self.layers));
            gather.push(&slot.name, body, bytes);
        }
        state.owed.sent(&without_value);
        gather.finish()
    }

    /// The version of all that is subscribed to: what a state-of-the-world response of a type that
    /// lists only changes is called (xDS rule 72). Kept up to date change by change, and summed up
    /// anew after a change of the subscription.
    pub(super) fn subscription_version(&mut self, index: usize, store: &Store) -> u64 {
        let state = &self.states[index];
        if let Some(digest) = state.digest {
            return digest;
        }
        let all: Box<dyn Iterator<Item = u32>> = match state.subscription.is_wildcard() {
            true => Box::new(store.ids(index)),
            false => Box::new(state.subscription.named()),
        };
        let each = all.filter_map(|id| {
            let slot = store.slot(index, id);
            Some(slot.resolve(&self.layers)?.digest(&slot.name))
        });
        let digest = each.fold(0, u64::wrapping_add);
        self.states[index].digest = Some(digest);
        digest
    }
}
