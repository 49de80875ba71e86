//! The content of a response: gathered from the store resource by resource, or taken as a whole
//! from an initial sync that many streams share.

use std::sync::Arc;

use bytes::Bytes;

use super::Session;
use super::state::type_state::TypeState;
use crate::store::body::Body;
use crate::store::initial_sync::{Chunk, InitialSync};
use crate::store::{ResourceId, Store};

/// The most bytes of a response that can be split; clients commonly refuse 4 MiB (xDS rule 124).
pub(super) const CHUNK: usize = 7 << 19;
/// The size in bytes from which a response that cannot be split is reported (xDS rule 125).
const LARGE: usize = 3 << 20;
/// The number of resources from which it pays to look for an initial sync to share.
const SHARE: usize = 32;

/// The resources of a response: their ids and encoded bytes, and the sum of their digests.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) ids: Arc<[ResourceId]>,
    /// The ids of those resources that are sent in an older version than the present one,
    /// ascending.
    pub(super) instead: Vec<ResourceId>,
    pub(super) parts: Vec<Bytes>,
    /// The sum of the resources' digests, whatever their order.
    pub(super) digest: u64,
    /// The initial sync that the bytes belong to, if they are shared.
    pub(super) shared: Option<Arc<InitialSync>>,
    /// The size in bytes, if the content cannot be split and is large.
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

/// A [`Content`] while resources are appended to it.
#[derive(Default)]
struct Gather {
    ids: Vec<ResourceId>,
    instead: Vec<ResourceId>,
    parts: Vec<Bytes>,
    size: usize,
    digest: u64,
}

impl Gather {
    /// Appends the id of a resource, and notes whether `sent` differs from its present content
    /// `is`. They are equal where only the layer of the content changed.
    fn push_id(&mut self, id: ResourceId, of: &TypeState, sent: &Body, is: Option<&Arc<Body>>) {
        self.ids.push(id);
        let same = |is: &Arc<Body>| is.version == sent.version;
        if of.is_held_back(id) && !is.is_some_and(same) {
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
    /// The content of a complete response: all that is subscribed to (xDS rule 21), and removed
    /// resources whose removal is still to come.
    pub(super) fn everything(&self, index: usize, store: &Store) -> Content {
        let content = self.whole_view(index, store);
        let mut content = content.unwrap_or_else(|| self.gather_everything(index, store));
        let size = content.size();
        content.large = (size > LARGE).then_some(size);
        content
    }

    /// The content of `everything` as a shared initial sync, for a wildcard from which nothing is
    /// held back.
    fn whole_view(&self, index: usize, store: &Store) -> Option<Content> {
        let state = &self.states[index];
        let plain = state.subscription().is_wildcard() && state.holds_back_nothing();
        let now = state.removals().is_empty() && !state.owed().has_waiting();
        if !plain || !now || store.len(index) < SHARE {
            return None;
        }
        let shared = store.initial_sync(self.placement, index, self.dialect, usize::MAX)?;
        let chunk = shared.whole()?;
        Some(Content::shared(chunk, shared.clone()))
    }

    /// The content of `everything`, gathered resource by resource.
    fn gather_everything(&self, index: usize, store: &Store) -> Content {
        let state = &self.states[index];
        let mut gather = Gather::default();
        let ids: Vec<ResourceId> = match state.subscription().is_wildcard() {
            true => store.ids(index).collect(),
            false => state.subscription().named().collect(),
        };
        for id in ids.into_iter().filter(|id| !state.is_left_out(*id)) {
            let slot = store.slot(index, id);
            let body = match state.older_content(id) {
                Some(before) => before.as_ref(),
                None => slot.resolve(&self.layers),
            };
            if let Some(body) = body {
                gather.push_id(id, state, body, slot.resolve(&self.layers));
                gather.push(&slot.name, body, body.bytes(self.dialect));
            }
        }
        for (name, gone) in state.removals().iter() {
            if let Some(body) = &gone.body {
                gather.push(name, body, body.bytes(self.dialect));
            }
        }
        gather.finish()
    }

    /// The owed resources that do not wait, as many as fit into one response; they are owed no
    /// longer.
    pub(super) fn owed_chunk(&mut self, index: usize, store: &Store) -> Content {
        let content = match self.first_chunk(index, store) {
            Some(content) => content,
            None => self.gather_owed(index, store),
        };
        self.states[index].take_owed(&content.ids);
        content
    }

    /// The next chunk of a shared initial sync, for a client that is owed most of what there is.
    fn first_chunk(&self, index: usize, store: &Store) -> Option<Content> {
        let state = &self.states[index];
        let owed = state.owed().ready();
        let count = owed.len();
        let instead = state.held_back_ids().any(|id| owed.contains(id));
        if instead || count < SHARE || !state.all_go_together() {
            return None;
        }
        let placement = self.placement;
        let shared = match count * 2 < store.len(index) {
            true => store.known_initial_sync(placement, index, self.dialect)?,
            false => store.initial_sync(placement, index, self.dialect, CHUNK)?,
        };
        let chunk = shared.within(&owed)?;
        Some(Content::shared(chunk, shared.clone()))
    }

    /// The owed resources that do not wait, gathered one by one up to the size of a response.
    fn gather_owed(&mut self, index: usize, store: &Store) -> Content {
        let state = &mut self.states[index];
        let mut gather = Gather::default();
        let mut without_value = Vec::new();
        for id in state.owed().ready().iter() {
            let slot = store.slot(index, id);
            let body = match state.older_content(id) {
                Some(before) => before.as_ref(),
                None => slot.resolve(&self.layers),
            };
            let Some(body) = body else {
                without_value.push(id);
                continue;
            };
            let bytes = body.bytes(self.dialect);
            let alone = state.goes_alone(id);
            if (alone || gather.size + bytes.len() > CHUNK) && !gather.ids.is_empty() {
                break;
            }
            gather.push_id(id, state, body, slot.resolve(&self.layers));
            gather.push(&slot.name, body, bytes);
            if alone {
                break;
            }
        }
        state.take_owed(&without_value);
        gather.finish()
    }

    /// The version of all that is subscribed to, which a state-of-the-world response carries whose
    /// type lists only changes (xDS rule 72). It is updated with every change, and summed up anew
    /// after a change of the subscription.
    pub(super) fn subscription_version(&mut self, index: usize, store: &Store) -> u64 {
        let state = &self.states[index];
        if let Some(digest) = state.digest() {
            return digest;
        }
        let all: Box<dyn Iterator<Item = ResourceId>> = match state.subscription().is_wildcard() {
            true => Box::new(store.ids(index)),
            false => Box::new(state.subscription().named()),
        };
        let each = all.filter_map(|id| {
            let slot = store.slot(index, id);
            Some(slot.resolve(&self.layers)?.digest(&slot.name))
        });
        let digest = each.fold(0, u64::wrapping_add);
        self.states[index].set_digest(Some(digest));
        digest
    }
}
