//! One stream's protocol state, without sockets, tasks or clock.
//!
//! In: requests ([`Session::on_request`]) and the store, whose log tells what changed
//! ([`Session::next`] reads it first). Out: the next response, or until when to wait for one. What
//! a client is owed follows from three sets per type, all by resource id: what it subscribes to,
//! what it holds, and what of that has changed since.

mod catch_up;
mod chunk;
mod content;
mod empty_assignments;
mod nack;
mod requests;
mod respond;
mod resume;
mod schedule;
mod state;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod test_request;
#[cfg(test)]
mod tests;
mod unknown_types;

use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_proto::TypeUrl;
use thiserror::Error;

use crate::client_kind::ClientKind;
use crate::dialect::Dialect;
use crate::store::Store;
use crate::store::cursors::Cursor;
use crate::store::interest::Interest;
use crate::store::missing::Missing;
use crate::store::quarantine::Voter;
use crate::store::{LayerId, PlacementId};
use crate::types::Types;
use crate::wire::request::{Malformed, Names, Request};
use crate::wire::response::{Message, Nonce};
use crate::xdstp;
use nack::QuarantineView;
use state::awaited::PendingDependencies;
pub(crate) use state::rejections::{AfterAll, error_hash};
use state::type_state::TypeState;
pub(crate) use state::type_state::{Nack, Rejected, Status};
use state::type_states::TypeStates;
use unknown_types::Unknown;

/// How long a response may stay unacknowledged before the next one of its type is sent all the same
/// (xDS rules 58, 129), and how long additions wait for what they depend on (xDS rule 87).
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Why a stream ends with an error: only for what the protocol forbids (xDS rule 110).
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    #[error("a request on an aggregated stream needs a type_url")]
    NoTypeUrl,
    #[error("the stream asked for more than {0} types that are not served here")]
    TooManyTypes(usize),
    #[error("a name has {0} bytes; more than {MAX_NAME} are not taken")]
    LongName(usize),
    #[error("more than {MAX_NAMES} names of one type are not taken")]
    TooManyNames,
    #[error(
        "what the stream asks for and does not exist, and what it rejected, takes more than {MAX_REMEMBERED} bytes"
    )]
    TooMuch,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl ProtocolError {
    /// Whether it asks for nothing wrong, but for too much.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(
            self,
            ProtocolError::TooManyTypes(_) | ProtocolError::TooManyNames | ProtocolError::TooMuch
        )
    }
}

/// What a request brought besides its names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing: it answers no response.
    Plain,
    /// It acknowledges a response.
    Acked,
    /// It rejects one.
    Rejected(Nack),
    /// It is about a type that is not served.
    UnknownType,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    Send(Response),
    /// Nothing now; ask again after a request, a commit, or at this moment.
    Wait(Option<Instant>),
}

/// A response, ready for the wire.
#[derive(Debug)]
pub(crate) struct Response {
    /// A type that is served.
    pub(crate) type_url: Option<TypeUrl>,
    pub(crate) message: Message,
    pub(crate) resources: usize,
    /// Its bytes, if they cannot be split and near what clients accept (xDS rule 125).
    pub(crate) large: Option<usize>,
}

/// The longest name that may be asked for, in bytes, and how many of one type (xDS rule 218): far
/// more than any client has.
const MAX_NAME: usize = 4096;
const MAX_NAMES: usize = 250_000;
/// What a stream may have remembered, in bytes, of all types together (xDS rule 218): names that do
/// not exist are kept as they are, of what exists there is a bit. A node that comes back with a
/// hundred thousand Services which are all gone has less.
const MAX_REMEMBERED: usize = 32 << 20;

#[derive(Debug)]
pub(crate) struct Session {
    dialect: Dialect,
    client_kind: ClientKind,
    types: Types,
    states: TypeStates,
    unknown: Unknown,
    placement: PlacementId,
    layers: Arc<[LayerId]>,
    /// Whether the layers were looked up at all.
    placed: bool,
    cursor: Cursor,
    /// Whether the client may ask for every type here.
    aggregated: bool,
    /// It came back and did not ask for clusters.
    silent: bool,
    /// The type of whose first request there are parts to come.
    first_in_parts: Option<usize>,
    /// What it may ever have to do with.
    interest: Interest,
    /// What additions of gated types wait for although the client has not asked for it yet.
    awaited: PendingDependencies,
    /// What several others rejected (xDS rule 82), and who this client is.
    quarantine_view: QuarantineView,
    /// What the client accepted after it had rejected it, not told yet.
    after_all: Vec<AfterAll>,
    voter: Option<Voter>,
    /// The last nonce: unique on the stream across all types, and unlike those of any other stream
    /// of this server (xDS rule 64).
    nonce: Nonce,
    /// The name of this replica, sent in every response (xDS rule 18).
    identifier: Arc<str>,
    /// When it was asked or told something last.
    now: Instant,
}

impl Session {
    /// The state of a new stream. `stream` is a number no other stream of this process has.
    pub(crate) fn new(
        dialect: Dialect,
        types: Types,
        placement: PlacementId,
        cursor: Cursor,
        stream: u64,
        identifier: Arc<str>,
        now: Instant,
    ) -> Session {
        let states = TypeStates::new(types.len());
        Session {
            dialect,
            client_kind: ClientKind::Other,
            types,
            states,
            unknown: Unknown::default(),
            placement,
            layers: Arc::new([]),
            placed: false,
            cursor,
            aggregated: true,
            silent: false,
            first_in_parts: None,
            interest: Interest::default(),
            awaited: PendingDependencies::default(),
            quarantine_view: QuarantineView::default(),
            after_all: Vec::new(),
            voter: None,
            nonce: Nonce { stream, number: 0 },
            identifier,
            now,
        }
    }

    /// Lists the names that the client asks for and that do not exist (xDS rule 107).
    pub(crate) fn list_missing_in(&mut self, all: &Arc<Missing>) {
        for index in 0..self.states.len() {
            let subscription = &mut self.states[index].subscription;
            subscription.list_missing_in(all.clone(), index);
        }
    }

    /// Sets what kind of client this is.
    pub(crate) fn set_client_kind(&mut self, client_kind: ClientKind) {
        self.client_kind = client_kind;
    }

    /// Takes a request. What it is owed for it comes from [`Session::next`].
    pub(crate) fn on_request(
        &mut self,
        request: &Request<'_>,
        store: &Store,
        now: Instant,
    ) -> Result<Outcome, ProtocolError> {
        if request.type_url.is_empty() {
            return Err(ProtocolError::NoTypeUrl);
        }
        let Some(index) = self.types.index(request.type_url) else {
            return self.unknown_type(request);
        };
        self.now = now;
        self.catch_up(store);
        self.read_quarantine(store);
        let outcome = self.acknowledge(index, request, store);
        self.vote(store);
        match &request.names {
            Names::Complete { names, version } => {
                self.complete_names(index, names, version, store)?;
            }
            Names::Change {
                subscribe,
                unsubscribe,
                initial,
            } => xdstp::with(subscribe, |subscribe| {
                xdstp::with(unsubscribe, |unsubscribe| {
                    let names = (subscribe, unsubscribe);
                    self.change_names(index, names, initial, request.part, store)
                })
            })?,
        }
        Ok(outcome.unwrap_or(Outcome::Plain))
    }

    /// Pairs a request with the response it answers.
    fn acknowledge(
        &mut self,
        index: usize,
        request: &Request<'_>,
        store: &Store,
    ) -> Option<Outcome> {
        let nonce = Nonce::parse(request.nonce)?;
        let ours = nonce.stream == self.nonce.stream;
        let now = self.now;
        let state = ours.then(|| &mut self.states[index])?;
        let answered = state.acknowledge(nonce.number, request.error, now)?;
        Some(self.answered(index, &answered, request.error, store))
    }

    /// What is remembered of this client's choice: names that do not exist or not any more,
    /// rejections, and what it has instead of what it rejected; in bytes, about.
    pub(crate) fn remembered_bytes(&self) -> usize {
        let types = self.states.iter().map(TypeState::remembered_bytes);
        self.unknown.bytes() + types.sum::<usize>()
    }

    /// Of that, the names, which are charged to the client.
    pub(crate) fn name_bytes(&self) -> usize {
        self.unknown.bytes() + self.states.iter().map(TypeState::name_bytes).sum::<usize>()
    }

    /// Refuses what has made that too much.
    fn check_remembered(&self) -> Result<(), ProtocolError> {
        match self.remembered_bytes() > MAX_REMEMBERED {
            true => Err(ProtocolError::TooMuch),
            false => Ok(()),
        }
    }

    /// What a commit must have changed to bring this stream anything. Only ever grows.
    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// From where this stream looks.
    pub(crate) fn stream_layers(&self) -> (PlacementId, &Arc<[LayerId]>) {
        (self.placement, &self.layers)
    }

    /// Whether anything is known that has to be sent, now or later. What a newer commit brings is
    /// not known before [`Session::next`].
    pub(crate) fn is_pending(&mut self) -> bool {
        self.states.is_pending() || self.unknown.is_pending()
    }

    /// What was sent and said of each type, for status pages and logs (xDS rule 78).
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "read by the inspection API to come")
    )]
    pub(crate) fn status(&self) -> impl Iterator<Item = (&'static str, &Status)> {
        let types = (0..self.states.len()).map(|index| self.types.spec(index).url.as_str());
        types.zip(self.states.iter().map(|state| &state.status))
    }
}
