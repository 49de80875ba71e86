//! The protocol state of one stream, without sockets, tasks or clock.
//!
//! Its inputs are requests ([`Session::on_request`]) and the store, whose log says what changed
//! ([`Session::next`] reads it first). Its output is the next response, or the time until which
//! there is none. What a client is owed follows from three sets per type, all by resource id: what
//! it subscribes to, what it holds, and what of that has changed since. How these sets change is
//! drawn in `state::type_state`.

mod catch_up;
mod chunk;
mod content;
mod empty_assignments;
mod error_text;
mod nack;
mod quarantine;
mod report;
mod requests;
mod respond;
mod resume;
mod schedule;
mod standings;
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
use crate::store::changes::Inbox;
use crate::store::cursors::Cursor;
use crate::store::interest::Interest;
use crate::store::missing::Missing;
use crate::store::missing::demand::DemandedNames;
use crate::store::quarantine::Voter;
use crate::store::{LayerId, PlacementId};
use crate::types::Types;
use crate::wire::request::{Malformed, Names, Request};
use crate::wire::response::{Message, Nonce};
use crate::xdstp;
pub(crate) use error_text::{Nack, error_hash, of_resource};
pub(crate) use nack::LateAcceptance;
use quarantine::QuarantineView;
pub use report::{Rejecting, StreamState, TypeReport};
pub use standings::Standing;
pub(crate) use standings::Standings;
use state::pending_dependencies::PendingDependencies;
pub use state::type_state::Mark;
use state::type_state::TypeState;
use state::type_states::TypeStates;
use unknown_types::Unknown;

/// How long a response may stay unacknowledged before the next one of its type is sent all the same
/// (xDS rules 58, 129), and how long additions wait for what they depend on (xDS rule 87).
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The client's error for which a stream ends: a violation of the protocol or of a limit, and
/// nothing else (xDS rule 110).
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    #[error("a request on an aggregated stream needs a type_url")]
    NoTypeUrl,
    #[error("the stream requested more than {0} types that are not served here")]
    TooManyTypes(usize),
    #[error("a resource name has {0} bytes; the limit is {MAX_NAME}")]
    LongName(usize),
    #[error("the stream subscribes to more than {MAX_NAMES} names of one type")]
    TooManyNames,
    #[error(
        "the missing names and rejected resources of the stream take more than {MAX_REMEMBERED} bytes"
    )]
    TooMuch,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl ProtocolError {
    /// Whether the request is correct but exceeds a limit.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(
            self,
            ProtocolError::TooManyTypes(_) | ProtocolError::TooManyNames | ProtocolError::TooMuch
        )
    }
}

/// The meaning of a request besides its names: an ACK, a NACK, or neither.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The request answers no response.
    Plain,
    /// The request acknowledges a response (ACK).
    Acked,
    /// The request rejects a response (NACK).
    Rejected(Nack),
    /// The request is about a type that is not served.
    UnknownType,
}

/// The next step of a stream: to send a response, or to wait.
#[derive(Debug)]
pub(crate) enum Next {
    /// A response to send now.
    Send(Response),
    /// Nothing to send now; ask again after a request, a commit, or at this time.
    Wait(Option<Instant>),
}

/// An encoded response, with what metrics and logs tell of it.
#[derive(Debug)]
pub(crate) struct Response {
    /// The type, if it is one that is served.
    pub(crate) type_url: Option<TypeUrl>,
    pub(crate) message: Message,
    pub(crate) resources: usize,
    /// The size in bytes, if the response cannot be split and is near what clients accept (xDS rule
    /// 125).
    pub(crate) large: Option<usize>,
}

/// The longest name, in bytes, that a client may subscribe to, and the most names of one type (xDS
/// rule 218): far more than any client has.
const MAX_NAME: usize = 4096;
const MAX_NAMES: usize = 250_000;
/// The most bytes that a stream may have remembered, of all types together (xDS rule 218): names
/// that do not exist are kept as they are, existing ones as a bit. A node that reconnects with the
/// names of a hundred thousand removed Services has less.
const MAX_REMEMBERED: usize = 32 << 20;

/// The protocol state of one stream: its subscriptions, and what its client holds and is owed.
#[derive(Debug)]
pub(crate) struct Session {
    dialect: Dialect,
    client_kind: ClientKind,
    types: Types,
    states: TypeStates,
    unknown: Unknown,
    placement: PlacementId,
    layers: Arc<[LayerId]>,
    /// Whether the layers of the placement were looked up yet.
    placed: bool,
    cursor: Cursor,
    /// Whether the client may ask for every type on this stream (ADS).
    aggregated: bool,
    /// Whether the client reconnected, and did not subscribe in time to the types (clusters) after
    /// which it reloads others.
    is_warming: bool,
    /// The type whose first request is being taken in parts.
    first_in_parts: Option<usize>,
    /// What a commit must change to bring this stream anything.
    interest: Interest,
    /// The commits that concern this stream and that it has not read.
    inbox: Arc<Inbox>,
    /// The types of which something changed with the commits that were read last, one bit each.
    changed: u64,
    /// What additions of gated types wait for although the client has not subscribed to it yet.
    awaited: PendingDependencies,
    /// The contents that are held back (xDS rule 82), as far as this stream knows them.
    quarantine_view: QuarantineView,
    /// Resources that the client accepted after it had rejected them, not reported yet.
    late_acceptances: Vec<LateAcceptance>,
    /// The names of which resources are made because this client asks for them.
    demanded: Option<DemandedNames>,
    /// The verified identity by which the client's ACKs and NACKs count for other proxies.
    voter: Option<Voter>,
    /// The last nonce: unique on the stream across all types, and different from those of any other
    /// stream of this server (xDS rule 64).
    nonce: Nonce,
    /// The name of this replica, sent in every response (xDS rule 18).
    identifier: Arc<str>,
    /// The time of the last call.
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
            is_warming: false,
            first_in_parts: None,
            interest: Interest::default(),
            inbox: Arc::default(),
            changed: 0,
            awaited: PendingDependencies::default(),
            quarantine_view: QuarantineView::default(),
            late_acceptances: Vec::new(),
            demanded: None,
            voter: None,
            nonce: Nonce { stream, number: 0 },
            identifier,
            now,
        }
    }

    /// Lists the names that the client subscribes to and that do not exist (xDS rule 107) in `all`.
    pub(crate) fn list_missing_in(&mut self, all: &Arc<Missing>) {
        for index in 0..self.states.len() {
            self.states[index].list_missing_in(all.clone(), index);
        }
    }

    /// Has resources be made of the names that the client asks for.
    pub(crate) fn set_demanded(&mut self, names: DemandedNames) {
        self.demanded = Some(names);
    }

    /// What has to be made before the next response, since the client just asked for it.
    pub(crate) fn take_awaited(&mut self) -> Option<u64> {
        self.demanded.as_mut()?.take_awaited()
    }

    /// The names of a type of which resources are made, if that is done for this client.
    fn demanded(&mut self, index: usize) -> Option<&mut DemandedNames> {
        let url = self.types.spec(index).url;
        let names = self.demanded.as_mut();
        names.filter(|names| names.type_url() == url)
    }

    /// Sets what kind of client this is.
    pub(crate) fn set_client_kind(&mut self, client_kind: ClientKind) {
        self.client_kind = client_kind;
    }

    /// Takes a request. The responses to it come from [`Session::next`].
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
        self.states.settle_deliveries();
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

    /// The approximate memory, in bytes, of what the client makes this stream remember: names that
    /// do not exist or were removed, rejections, and contents kept in place of rejected ones.
    pub(crate) fn remembered_bytes(&self) -> usize {
        let types = self.states.used().map(TypeState::remembered_bytes);
        self.unknown.bytes() + types.sum::<usize>()
    }

    /// The part of `remembered_bytes` that names take, which is charged to the client.
    pub(crate) fn name_bytes(&self) -> usize {
        let types = self.states.used().map(TypeState::name_bytes);
        let demanded = self.demanded.as_ref().map_or(0, DemandedNames::bytes);
        self.unknown.bytes() + types.sum::<usize>() + demanded
    }

    /// Fails if this stream remembers too much.
    fn check_remembered(&self) -> Result<(), ProtocolError> {
        match self.remembered_bytes() > MAX_REMEMBERED {
            true => Err(ProtocolError::TooMuch),
            false => Ok(()),
        }
    }

    /// What a commit must have changed to bring this stream anything. It only grows.
    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// Where the commits are put that concern this stream.
    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// The placement of this stream, and its layers.
    pub(crate) fn stream_layers(&self) -> (PlacementId, &Arc<[LayerId]>) {
        (self.placement, &self.layers)
    }

    /// Whether anything known has to be sent, now or later. Newer commits are not known before
    /// [`Session::next`] reads them.
    pub(crate) fn is_pending(&mut self) -> bool {
        self.states.is_pending() || self.unknown.is_pending()
    }
}
