//! What a session is like, for those who look at the server: how far its client is with each type.
//!
//! A stream whose client does not take what is sent is not polled, and its session has not read the
//! newest commits. So what the log has for it is looked at here, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_proto::TypeUrl;

use super::error_text::of_resource;
use super::schedule::earlier;
use super::state::type_state::{Mark, RemovalForm, TypeState};
use super::{PATIENCE, Session};
use crate::store::changes::Changes;
use crate::store::slot::Slot;
use crate::store::{LayerId, ResourceId, Store};

/// For how long a client may be on the way to the newest state and count as there.
const GRACE: Duration = Duration::from_secs(1);
/// The most names that are listed of one kind and type.
const LISTED: usize = 16;

/// How far the client of a stream is: in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// It has acknowledged everything, or all that is older than a second.
    Synced,
    /// It has to be sent something, or has not acknowledged something.
    Behind {
        /// Since when.
        since: Instant,
    },
    /// It has rejected something and accepted nothing in its place.
    Rejects {
        /// Since when.
        since: Instant,
    },
}

/// How far the client of a stream is with one type that it has asked for.
#[derive(Clone, Debug)]
pub struct TypeReport {
    /// The type.
    pub type_url: TypeUrl,
    /// How far the client is.
    pub state: StreamState,
    /// Since when it is behind, if it is: also of a client that rejects something.
    pub behind: Option<Instant>,
    /// Whether the client subscribes to everything that there is.
    pub wildcard: bool,
    /// The number of names that the client subscribes to, whether or not they exist.
    pub names: usize,
    /// The number of those that do not exist.
    pub missing: usize,
    /// The number of resources that the client was sent, in whatever version.
    pub held: usize,
    /// The number of resources and removals that the client is still to be sent.
    pub owed: usize,
    /// When the oldest response was sent that the client has not answered.
    pub unacknowledged: Option<Instant>,
    /// The newest response that was sent.
    pub sent: Option<Mark>,
    /// The newest response that the client acknowledged.
    pub acked: Option<Mark>,
    /// The newest response that the client rejected, and its error text, which is cut.
    pub rejected: Option<(Mark, String)>,
    /// The first of the resources that the client rejects.
    pub rejecting: Vec<Rejecting>,
    /// The number of all that it rejects.
    pub rejecting_count: usize,
    /// The first of the names of which the newest content is held back from this client although it
    /// has not rejected it (xDS rules 82, 127).
    pub held_back: Vec<Arc<str>>,
    /// The number of all of those.
    pub held_back_count: usize,
}

/// A resource that a client has rejected and not accepted since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejecting {
    /// The resource's name.
    pub name: Arc<str>,
    /// The object the resource was made from.
    pub origin: Arc<str>,
    /// Since when it has been rejecting it.
    pub since: Instant,
    /// What the client says of it; the whole error text where that names no resource.
    pub error: String,
}

impl StreamState {
    /// The worse of two; of the same kind, the one that is older.
    #[must_use]
    pub fn worse(self, other: StreamState) -> StreamState {
        match (self, other) {
            (StreamState::Rejects { since }, StreamState::Rejects { since: also }) => {
                let since = since.min(also);
                StreamState::Rejects { since }
            }
            (StreamState::Rejects { .. }, _) | (_, StreamState::Synced) => self,
            (_, StreamState::Rejects { .. }) | (StreamState::Synced, _) => other,
            (StreamState::Behind { since }, StreamState::Behind { since: also }) => {
                let since = since.min(also);
                StreamState::Behind { since }
            }
        }
    }
}

/// What the log has for a stream that it has not read: by type and resource, the commit.
type Unread = BTreeMap<(usize, ResourceId), u64>;

/// The stream as a whole.
impl Session {
    /// How far the client is with each type that it has asked for.
    pub(crate) fn reports(
        &self,
        store: &Store,
        changes: &Changes,
        now: Instant,
    ) -> Vec<TypeReport> {
        let unread = self.unread(store);
        let active = self.states.iter().enumerate();
        let active = active.filter(|(_, state)| state.subscription().is_active());
        active
            .map(|(index, state)| {
                // The entries of a type stand together.
                let of_type = (index, ResourceId::FIRST)..(index + 1, ResourceId::FIRST);
                let of_type = unread.range(of_type);
                let count = of_type.clone().count();
                let oldest = of_type.map(|(_, seq)| *seq).min();
                let since = oldest.and_then(|seq| changes.committed_at(seq));
                self.report(index, state, store, (count, since), now)
            })
            .collect()
    }

    fn report(
        &self,
        index: usize,
        state: &TypeState,
        store: &Store,
        (unread, unread_since): (usize, Option<Instant>),
        now: Instant,
    ) -> TypeReport {
        let subscription = state.subscription();
        let status = state.status();
        let held_back = state.held_back_ids();
        let held_back: Vec<_> = held_back
            .filter(|id| !state.rejections().has(*id))
            .collect();
        let names = |id: ResourceId| Some(store.try_slot(index, id)?.name.clone());
        let behind = earlier(self.behind_since(index, state), unread_since);
        let behind = behind.filter(|since| *since + GRACE < now);
        TypeReport {
            type_url: self.types.spec(index).url,
            state: match (rejects_since(state), behind) {
                (Some(since), _) => StreamState::Rejects { since },
                (None, Some(since)) => StreamState::Behind { since },
                (None, None) => StreamState::Synced,
            },
            behind,
            wildcard: subscription.is_wildcard(),
            names: subscription.len(),
            missing: subscription.missing_count(),
            held: state.held_count(),
            owed: state.owed().len() + state.owed_names() + unread,
            unacknowledged: state.unanswered().map(|(_, sent)| sent),
            sent: status.sent,
            acked: status.acked,
            rejected: status.nacked.clone(),
            rejecting: self.rejecting(index, state, store),
            rejecting_count: state.rejections().iter().count(),
            held_back_count: held_back.len(),
            held_back: held_back
                .into_iter()
                .filter_map(names)
                .take(LISTED)
                .collect(),
        }
    }

    /// Since when the client has had to be sent, or has had to answer, something that the session
    /// has read.
    fn behind_since(&self, index: usize, state: &TypeState) -> Option<Instant> {
        let removed = state.removals().since();
        // Empty values come a second later by intention.
        let removed = match self.removal_form(index) {
            RemovalForm::Empty => removed.map(|since| since + PATIENCE),
            _ => removed,
        };
        let unanswered = state.unanswered().map(|(since, _)| since);
        earlier(earlier(state.owed().since(), removed), unanswered)
    }

    /// For each type, since when the client has had to acknowledge something: with what the stream
    /// has not read.
    pub(crate) fn unacknowledged(&self) -> impl Iterator<Item = Option<Instant>> + '_ {
        let all = self.states.iter().enumerate();
        all.map(|(index, state)| {
            let read = self.behind_since(index, state);
            match state.subscription().is_active() {
                true => earlier(read, self.inbox.since(index)),
                false => read,
            }
        })
    }

    fn rejecting(&self, index: usize, state: &TypeState, store: &Store) -> Vec<Rejecting> {
        let text = state.status().nacked.as_ref();
        let text = text.map_or("", |(_, text)| text.as_str());
        let all = state.rejections().iter().filter_map(|(id, since)| {
            let slot = store.try_slot(index, id)?;
            let body = slot.resolve(&self.layers).or_else(|| slot.any_body())?;
            Some(Rejecting {
                name: slot.name.clone(),
                origin: body.origin.clone(),
                since,
                error: words(text, &slot.name),
            })
        });
        all.take(LISTED).collect()
    }

    /// What the log has for this stream that it has not read.
    fn unread(&self, store: &Store) -> Unread {
        let cursor = self.cursor.get();
        if self.inbox.is_empty() || cursor == store.seq() {
            return Unread::new();
        }
        let layers = store.placement(self.placement).unwrap_or(&self.layers);
        let moved = !Arc::ptr_eq(layers, &self.layers);
        let records = match store.records_after(cursor) {
            Some(records) if !moved => records.copied().collect(),
            // A placement that moved concerns everything, and what it moved with is not known.
            _ if moved => self.everything_asked(store),
            _ => store.changed_after(cursor),
        };
        let mut unread = Unread::new();
        for (type_index, id, layer, seq) in records.iter().map(|of| {
            let layer = if moved { None } else { Some(of.layer) };
            (of.type_index, of.id, layer, of.seq)
        }) {
            let slot = store.slot(type_index, id);
            if layer.is_none_or(|layer| layers.contains(&layer))
                && asks(self.states.at(type_index), id, slot)
                && self.is_new(slot, layers)
            {
                unread.entry((type_index, id)).or_insert(seq);
            }
        }
        unread
    }

    /// All resources of the types that the client has asked for, as if they had changed just after
    /// what was read.
    fn everything_asked(&self, store: &Store) -> Vec<crate::store::Record> {
        let seq = self.cursor.get() + 1;
        let asked = (0..self.states.len())
            .filter(|index| self.states.at(*index).subscription().is_active());
        let all = asked.flat_map(|type_index| {
            store.ids(type_index).map(move |id| crate::store::Record {
                seq,
                type_index,
                id,
                layer: LayerId(0),
            })
        });
        all.collect()
    }

    /// Whether a resource has another version in these layers than what the stream has read of it.
    pub(super) fn is_new(&self, slot: &Slot, layers: &[LayerId]) -> bool {
        let now = slot.resolve(layers).map(|body| body.version);
        let read = slot.resolved_at(&self.layers, self.cursor.get());
        read.map(|body| body.map(|body| body.version)) != Ok(now)
    }
}

/// Whether the client asks for a resource.
pub(super) fn asks(state: &TypeState, id: ResourceId, slot: &Slot) -> bool {
    let subscription = state.subscription();
    subscription.is_wildcard() || subscription.is_named(id) || subscription.is_missing(&slot.name)
}

/// Since when the client of a stream has been rejecting anything of a type.
fn rejects_since(state: &TypeState) -> Option<Instant> {
    let resources = state.rejections().iter().map(|(_, since)| since).min();
    let nothing = state.status().nacked.as_ref().map(|(mark, _)| mark.at);
    let rejects = !state.rejections().is_empty();
    resources.or(nothing.filter(|_| rejects))
}

/// What an error text says of a resource: the whole of it where it names no resource.
pub(super) fn words(text: &str, name: &str) -> String {
    match of_resource(text, name) {
        words if words.is_empty() => text.to_owned(),
        words => words,
    }
}
