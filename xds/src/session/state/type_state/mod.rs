//! The state of one type on a stream (xDS rule 7): the subscription, and the state of each resource
//! and each name with regard to the client.
//!
//! All fields are private to this module and its files. The session changes them by transitions,
//! which are methods named by verbs, and reads them by queries.
//!
//! # A resource that exists
//!
//! ```text
//!   (none) ── subscribe, subscribe_anew, owe_unless_held, ──┐
//!             changed, reconnect_outdated                   │
//!                                                           ▼
//!   ┌─────────┐ ── changed, reload, subscribe, ────────▶ ┌──────┐
//!   │         │    subscribe_anew, resend_claims           │      │
//!   │ current │                                            │ owed │
//!   │         │ ◀───────── take_owed and sent ──────────── │      │
//!   └─────────┘                                            └──────┘
//!        │                                                  │    ▲
//!        │ hold_back     ┌───────────┐ ◀──── quarantine ────┘    │
//!        └─────────────▶ │ held back │                           │
//!                        └───────────┘ ── changed, retry, ───────┘
//!                                         release, subscribe, subscribe_anew
//!
//!   (any) ── unsubscribe, drop_unsubscribed ──▶ (none)
//!   (any) ── removed ──▶ a name that does not exist: see below
//! ```
//!
//! `resend` owes what was in a response that the client refused as a whole.
//! `reconnect_current`, `has_already` and `may_be_read` make a resource current that the client has
//! from an earlier stream or subscription. `unsubscribe` of a name that a wildcard still covers
//! owes the resource once more. The states by the sets that stand for them:
//!
//! | state     | `held` | `owed` | `held_back` | the client                                  |
//! |-----------|--------|--------|-------------|---------------------------------------------|
//! | owed      | any    | yes    | no          | is to be sent the present content           |
//! | current   | yes    | no     | no          | was sent it; may not have answered yet      |
//! | held back | any    | any    | yes         | keeps, or is sent, an older content or none |
//!
//! A rejection may exist in any state: `reject` adds it to `rejections`, and `accept`, `changed`,
//! `removed` and the end of the subscription take it out. `last_good` has the content that a client
//! kept when `changed` or `retry` owes a resource that was held back, until the client accepts it.
//!
//! # A name that does not exist
//!
//! ```text
//!   (none) ── subscribe_missing, deny_new, ──▶ ┌───────────┐ ── take_not_found ──▶ (none)
//!             deny_held_back                   │ not found │
//!          ┌────── subscribe_missing ────────▶ └───────────┘ ◀── removed, if only owed ──┐
//!   ┌──────────────┐                                                                     │
//!   │              │ ◀─────────────── removed, if held ─────────────────────── (a resource)
//!   │ removal owed │ ◀── reconnect_missing, expect_empty, ──────────── (none)
//!   │              │     lose_referrer, may_be_read_missing
//!   └──────────────┘ ─── take_removals, take_all_removals, take_empties ──▶ (none)
//!
//!   (any) ── changed ──▶ the resource is owed
//!   (any) ── unsubscribe, drop_unsubscribed, drop_empties ──▶ (none)
//! ```
//!
//! Where `removed` leads also depends on the [`RemovalForm`]; without a form it leads to (none).
//!
//! A name is in one of `not_found` and `removed` at most, and in neither while a resource of that
//! name is owed. A name that leaves the subscription while the client may still read it in a
//! response in flight is `unsettled` until the client has answered all responses.

mod names;
mod rejected;
mod resources;
mod responses;
#[cfg(test)]
mod verify;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use seaway_proto::Version;
use smallvec::SmallVec;

use super::older_contents::OlderContents;
use super::owed::Owed;
use super::rejections::Rejections;
use super::removed::Removed;
use super::subscription::{Mode, Subscription};
use crate::store::body::{Body, version_digest};
use crate::store::changes::Delivery;
use crate::store::id_set::Ids;
use crate::store::missing::Missing;
use crate::store::name_map::{NameMap, NameSet};
use crate::store::{ResourceId, Store};
use crate::wire::request::List;
pub(in crate::session) use names::RemovalForm;
use resources::Claimed;
pub(in crate::session) use responses::InFlight;
pub use responses::Mark;
#[cfg(test)]
pub(in crate::session) use responses::REMEMBERED;
use responses::Status;

/// The state of one type on a stream: the subscription, and what the client holds and is owed.
#[derive(Debug, Default)]
pub(in crate::session) struct TypeState {
    subscription: Subscription,
    /// Resources that the client holds, in whatever version; not part of the subscription on
    /// purpose (xDS rule 46).
    held: Ids,
    /// What the client has to be sent: changed, newly subscribed to, or to be reloaded.
    owed: Owed,
    /// Owed resources that go in a response of their own: a response with one of them was refused,
    /// nobody knows for which.
    alone: Ids,
    /// Names to be answered as not existing (delta, xDS rule 48); `true`: the client may have them.
    not_found: NameMap<bool>,
    /// Removed resources whose removal is still to be sent.
    removed: Removed,
    /// When empty values for removed names are due, where they stand for removals.
    empty_due: Option<Instant>,
    /// Resources whose present content is held back from the client, each with what it had before.
    held_back: OlderContents,
    /// What the client has of resources whose last content it rejected, and that are owed again
    /// since.
    last_good: OlderContents,
    /// Resources that the client rejected and has not accepted since.
    rejections: Rejections,
    /// Names dropped while responses were in flight. A client that subscribes to them again reads
    /// those responses first, and then has what they say.
    unsettled: NameSet,
    /// Resources sent before the client subscribed to the type that it reloads after this one.
    sent_first: Ids,
    /// Resources that a reconnected client claims to have, while that is in doubt.
    claimed: Option<Box<Claimed>>,
    /// Whether a response is due even if it is empty, as to a first wildcard request (xDS rule 31).
    must_answer: bool,
    /// Whether the last response announced that more follows, so that at least an empty one has to
    /// follow (delta).
    said_more: bool,
    /// A hash of the names in the last state-of-the-world request.
    names: Option<u64>,
    /// The version that a state-of-the-world client claims to have, until the first response.
    client_version: Option<u64>,
    /// The sum of the digests of all subscribed resources that exist; `None`: not computed.
    digest: Option<u64>,
    in_flight: VecDeque<InFlight>,
    /// The commits of which something is still to be sent.
    deliveries: SmallVec<[Delivery; 1]>,
    status: Status,
}

/// The subscription as a whole, the version of what is subscribed to, and what is due by itself.
impl TypeState {
    pub(in crate::session) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Lists the missing names in `all`, together with those of other streams.
    pub(in crate::session) fn list_missing_in(&mut self, all: Arc<Missing>, type_index: usize) {
        self.subscription.list_missing_in(all, type_index);
    }

    pub(in crate::session) fn set_mode(&mut self, mode: Mode) {
        self.subscription.set_mode(mode);
    }

    /// Whether a resource that exists is subscribed to. If its name was missing, it is kept as an
    /// id from now on.
    pub(in crate::session) fn covers(&mut self, id: ResourceId, name: &str) -> bool {
        self.subscription.covers(id, name)
    }

    /// Whether a state-of-the-world request names what the last one did, in the same order: clients
    /// repeat all names with every acknowledgement, and there is nothing to compare then.
    pub(in crate::session) fn repeats(&mut self, names: &List<'_>) -> bool {
        let hash = names.hash();
        self.names.replace(hash) == Some(hash)
    }

    /// Has a response sent even if it is empty.
    pub(in crate::session) fn require_answer(&mut self) {
        self.must_answer = true;
    }

    /// No longer has a response sent even if it is empty.
    pub(in crate::session) fn waive_answer(&mut self) {
        self.must_answer = false;
    }

    /// Whether a response that is about to be made has to be sent even if it is empty.
    pub(in crate::session) fn take_must_answer(&mut self) -> bool {
        std::mem::take(&mut self.must_answer) || self.said_more
    }

    pub(in crate::session) fn must_answer(&self) -> bool {
        self.must_answer
    }

    /// Notes the version that a state-of-the-world client claims to have.
    pub(in crate::session) fn set_client_version(&mut self, version: Option<u64>) {
        self.client_version = version;
    }

    /// Takes the version that a state-of-the-world client claimed to have; only the first response
    /// is compared with it.
    pub(in crate::session) fn take_client_version(&mut self) -> Option<u64> {
        self.client_version.take()
    }

    /// The sum of the digests of all subscribed resources that exist, if it is known.
    pub(in crate::session) fn digest(&self) -> Option<u64> {
        self.digest
    }

    pub(in crate::session) fn set_digest(&mut self, digest: Option<u64>) {
        self.digest = digest;
    }

    /// Keeps the version of the subscription up to date when a resource changes; `before` is `None`
    /// if that is not known.
    pub(in crate::session) fn follow_digest(
        &mut self,
        id: ResourceId,
        name: &str,
        before: Option<Option<Version>>,
        now: Option<&Arc<Body>>,
    ) {
        let of = &self.subscription;
        if !(of.is_wildcard() || of.is_named(id) || of.is_missing(name)) {
            return;
        }
        let (Some(digest), Some(before)) = (self.digest, before) else {
            self.digest = None;
            return;
        };
        let before = before.map_or(0, |version| version_digest(name, version));
        let now = now.map_or(0, |body| body.digest(name));
        self.digest = Some(digest.wrapping_sub(before).wrapping_add(now));
    }

    /// Whether there is anything to send, now or later.
    pub(in crate::session) fn is_pending(&self) -> bool {
        self.has_additions()
            || !self.removed.is_empty()
            || self.claimed.is_some()
            || self.rejections.due().is_some()
    }

    /// Whether the client is to be sent something that changed.
    pub(in crate::session) fn is_owing(&self) -> bool {
        !self.owed.is_empty() || !self.removed.is_empty() || !self.not_found.is_empty()
    }

    pub(in crate::session) fn has_additions(&self) -> bool {
        self.must_answer || self.said_more || !self.owed.is_empty() || !self.not_found.is_empty()
    }

    /// The memory of names, rejections, and contents kept in place of rejected ones, in bytes.
    pub(in crate::session) fn remembered_bytes(&self) -> usize {
        self.name_bytes()
            + self.held_back.bytes()
            + self.last_good.bytes()
            + self.rejections.bytes()
            + self.status.bytes()
    }

    /// The part of it that names take, of which a client may make up as many as it likes. What is
    /// rejected exists, and is common to all.
    pub(in crate::session) fn name_bytes(&self) -> usize {
        self.subscription.missing_bytes()
            + self.not_found.bytes()
            + self.unsettled.bytes()
            + self.removed.bytes()
    }
}
