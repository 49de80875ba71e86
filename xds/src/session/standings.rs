//! Where single resources stand with the client of a session, for those who look at the server.

use std::sync::Arc;
use std::time::Instant;

use seaway_proto::Version;

use super::Session;
use super::report::{asks, words};
use super::state::type_state::TypeState;
use crate::store::id_set::Ids;
use crate::store::slot::Slot;
use crate::store::{LayerId, ResourceId, Store};

/// Where the present content of a resource stands with the client of a stream that asks for it. The
/// further from being held, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The client has it.
    Held,
    /// The client was sent it and has not answered.
    Sent,
    /// The client is to be sent it.
    Owed,
    /// It is held back from this client.
    HeldBack,
    /// The client has rejected it.
    Rejected,
}

/// Where the resources of one type stand with the client of a stream.
pub(crate) struct Standings<'a> {
    session: &'a Session,
    state: &'a TypeState,
    /// Those that responses without an answer brought.
    brought: Ids,
    /// Whether nothing is owed, on its way, rejected or held back: what is held is all there is to
    /// know. Nearly all streams are like this nearly always, and are asked for each resource of a
    /// page.
    is_settled: bool,
}

impl Standings<'_> {
    /// Whether the client asks for all these resources of its layers and has their present content,
    /// none of which is newer than the commit `newest`. `false` where that is not plain.
    pub(crate) fn are_held(&self, ids: &Ids, newest: u64) -> bool {
        let subscription = self.state.subscription();
        self.is_settled
            && self.session.cursor.get() >= newest
            && (subscription.is_wildcard() || subscription.names_all(ids))
            && self.state.holds_all(ids)
    }

    /// Where the present content of a resource stands; `None` if the client does not ask for it.
    pub(crate) fn of(&self, id: ResourceId, slot: &Slot) -> Option<Standing> {
        let (session, state) = (self.session, self.state);
        if !asks(state, id, slot) {
            return None;
        }
        let is_new =
            || slot.is_newer_than(session.cursor.get()) && session.is_new(slot, session.layers());
        Some(if self.is_settled {
            match state.is_held(id) && !is_new() {
                true => Standing::Held,
                false => Standing::Owed,
            }
        } else if is_new() || !state.is_held(id) && !state.is_held_back(id) {
            Standing::Owed
        } else if state.rejections().has(id) {
            Standing::Rejected
        } else if state.is_held_back(id) {
            Standing::HeldBack
        } else if state.owed().contains(id) {
            Standing::Owed
        } else if self.brought.contains(id) {
            Standing::Sent
        } else {
            Standing::Held
        })
    }
}

impl Session {
    /// The layers through which the stream sees resources.
    pub(crate) fn layers(&self) -> &Arc<[LayerId]> {
        &self.layers
    }

    /// Where the resources of a type stand with the client.
    pub(crate) fn standings(&self, index: usize) -> Standings<'_> {
        let state = self.states.at(index);
        let mut brought = Ids::default();
        brought.extend(state.being_brought());
        let is_settled = brought.is_empty()
            && state.owed().is_empty()
            && state.holds_back_nothing()
            && state.rejections().is_empty();
        Standings {
            session: self,
            state,
            brought,
            is_settled,
        }
    }

    /// The resources of a type that the client asks for and that exist in its layers.
    pub(crate) fn asked<'a>(
        &'a self,
        index: usize,
        store: &'a Store,
    ) -> impl Iterator<Item = (ResourceId, &'a Slot)> {
        let all = store.ids(index).map(move |id| (id, store.slot(index, id)));
        all.filter(move |(id, slot)| {
            asks(self.states.at(index), *id, slot) && slot.resolve(&self.layers).is_some()
        })
    }

    /// The version that the client has instead of a content that it rejected or that is held back
    /// from it.
    pub(crate) fn kept_version(&self, index: usize, id: ResourceId) -> Option<Version> {
        let kept = self.states.at(index).older_content(id)?.as_ref()?;
        Some(kept.version)
    }

    /// What the client said last when it rejected something of a type, as far as that is about a
    /// resource.
    pub(crate) fn rejection(&self, index: usize, name: &str) -> Option<(Instant, String)> {
        let (mark, text) = self.states.at(index).status().nacked.as_ref()?;
        Some((mark.at, words(text, name)))
    }

    /// Whether the client was sent a resource of a type, in whatever version.
    pub(crate) fn has_some(&self, index: usize, id: ResourceId) -> bool {
        self.states.at(index).is_held(id)
    }

    /// Since when the client has been rejecting a resource of a type.
    pub(crate) fn rejected_since(&self, index: usize, id: ResourceId) -> Option<Instant> {
        self.states.at(index).rejections().since(id)
    }

    /// The names of a type whose removal is still to be sent, and since when each is gone.
    pub(crate) fn leaving(&self, index: usize) -> impl Iterator<Item = (&Arc<str>, Instant)> {
        let all = self.states.at(index).removals().iter();
        all.map(|(name, gone)| (name, gone.since))
    }
}
