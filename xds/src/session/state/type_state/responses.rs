//! The responses of one type: those in flight, their acknowledgement, and the status that is shown
//! of them.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::{ResourceId, TypeState};
use crate::session::PATIENCE;
use crate::session::content::Content;
use crate::session::error_text::bounded;
use crate::store::changes::{Delivery, keep};
use crate::store::initial_sync::InitialSync;

/// The most unacknowledged responses that are remembered.
pub(in crate::session) const REMEMBERED: usize = 8;

/// A response that the client has neither acknowledged nor rejected yet.
#[derive(Debug)]
pub(in crate::session) struct InFlight {
    /// The nonce's number.
    pub(in crate::session) nonce: u64,
    version: u64,
    sent: Instant,
    /// The time since which the oldest of its resources was owed.
    since: Instant,
    pub(in crate::session) ids: Arc<[ResourceId]>,
    /// The ids of those that were sent in an older version than the present one, ascending.
    instead: Vec<ResourceId>,
    /// Whether one of its resources was removed since: a rejection may be about that one.
    pub(in crate::session) lost: bool,
    /// Whether it was the last of several responses that belong together.
    was_last: bool,
    /// The commits of which everything has been sent with it.
    deliveries: SmallVec<[Delivery; 1]>,
    /// The initial sync of its content, kept until the answer comes so that other streams find it.
    _shared: Option<Arc<InitialSync>>,
}

/// The last responses of one type that were sent, acknowledged and rejected (xDS rule 78).
#[derive(Clone, Debug, Default)]
pub(in crate::session) struct Status {
    /// The newest response sent.
    pub(in crate::session) sent: Option<Mark>,
    /// The newest response acknowledged.
    pub(in crate::session) acked: Option<Mark>,
    /// The newest response rejected, and the client's error text.
    pub(in crate::session) nacked: Option<(Mark, String)>,
}

/// The version of a response, and when it was sent or answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The version: a sum of digests, which responses have as sixteen hexadecimal digits.
    pub version: u64,
    /// When it was sent, or answered.
    pub at: Instant,
}

impl Status {
    /// The memory of the client's error text, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.nacked.as_ref().map_or(0, |(_, text)| text.len())
    }
}

impl InFlight {
    fn mark(&self, at: Instant) -> Mark {
        let version = self.version;
        Mark { version, at }
    }

    /// Whether the response brings the content of a resource at that time, and not an older one.
    pub(in crate::session) fn brings(&self, id: ResourceId) -> bool {
        self.instead.binary_search(&id).is_err() && self.ids.contains(&id)
    }
}

impl TypeState {
    /// Notes a response as sent: the client holds its resources, and it is in flight.
    pub(in crate::session) fn sent(
        &mut self,
        nonce: u64,
        version: u64,
        (content, more): (Content, bool),
        (since, now): (Instant, Instant),
    ) {
        // Whatever it brings, it is an answer.
        self.must_answer = false;
        self.held.extend(content.ids.iter().copied());
        if let Some(claimed) = &mut self.claimed {
            claimed.forget(&content.ids);
        }
        let forgotten = match self.in_flight.len() {
            REMEMBERED => self.in_flight.pop_front(),
            _ => None,
        };
        self.status.sent = Some(Mark { version, at: now });
        let was_last = self.said_more && !more && !content.ids.is_empty();
        self.said_more = more;
        // The answer to a later response answers the earlier ones, too.
        let mut deliveries = forgotten.map(|of| of.deliveries).unwrap_or_default();
        if !self.is_owing() {
            for mut delivery in self.deliveries.drain(..) {
                delivery.sent();
                keep(&mut deliveries, delivery);
            }
        }
        self.in_flight.push_back(InFlight {
            nonce,
            version,
            sent: now,
            since,
            ids: content.ids,
            instead: content.instead,
            lost: false,
            was_last,
            deliveries,
            _shared: content.shared,
        });
    }

    /// Takes out the response that a request answers, and those before it. A nonce that fits no
    /// response is no answer (xDS rules 54, 55, 65).
    pub(in crate::session) fn acknowledge(
        &mut self,
        nonce: u64,
        error: Option<&str>,
        now: Instant,
    ) -> Option<InFlight> {
        let mut sent = self.in_flight.iter();
        let at = sent.position(|sent| sent.nonce == nonce)?;
        let mut answered = self.in_flight.drain(..=at).next_back()?;
        let deliveries = std::mem::take(&mut answered.deliveries);
        if self.in_flight.is_empty() {
            self.unsettled.clear();
        }
        let mark = answered.mark(now);
        match error {
            None => self.status.acked = Some(mark),
            Some(text) => {
                // What a client rejects as a whole leaves no version with it, and it would still
                // wait for more.
                self.said_more |= answered.was_last;
                deliveries.into_iter().for_each(Delivery::rejected);
                self.status.nacked = Some((mark, bounded(text)));
            }
        }
        Some(answered)
    }

    /// Follows a commit that has changed something of this type until the client has answered it.
    pub(in crate::session) fn follow(&mut self, mut delivery: Delivery) {
        if self.is_owing() {
            keep(&mut self.deliveries, delivery);
        } else if let Some(newest) = self.in_flight.back_mut() {
            delivery.sent();
            keep(&mut newest.deliveries, delivery);
        }
    }

    /// Follows no longer the commits of which nothing is left to send, or nothing after all.
    /// Returns whether there are others.
    pub(in crate::session) fn settle_deliveries(&mut self) -> bool {
        if !self.deliveries.is_empty() && !self.is_owing() {
            for delivery in std::mem::take(&mut self.deliveries) {
                self.follow(delivery);
            }
        }
        !self.deliveries.is_empty()
    }

    /// The time at which the next response is sent even if the newest is not acknowledged yet.
    pub(in crate::session) fn unsettled_until(&self, now: Instant) -> Option<Instant> {
        let until = self.in_flight.back()?.sent + PATIENCE;
        (until > now).then_some(until)
    }

    /// The time since which the newest response was owed, if that may still be acknowledged.
    pub(in crate::session) fn unsettled_since(&self, now: Instant) -> Option<Instant> {
        let newest = self.in_flight.back()?;
        (newest.sent + PATIENCE > now).then_some(newest.since)
    }

    pub(in crate::session) fn is_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether a response that has no answer yet brings the content that a resource had when it was
    /// sent.
    pub(in crate::session) fn is_being_brought(&self, id: ResourceId) -> bool {
        self.in_flight.iter().any(|sent| sent.brings(id))
    }

    /// Whether a resource is in a response that has no answer yet, in whatever version.
    pub(in crate::session) fn is_sent(&self, id: ResourceId) -> bool {
        self.in_flight.iter().any(|sent| sent.ids.contains(&id))
    }

    /// Since when the oldest response that has no answer yet was owed, and when it was sent.
    pub(in crate::session) fn unanswered(&self) -> Option<(Instant, Instant)> {
        self.in_flight.front().map(|of| (of.since, of.sent))
    }

    /// The resources that responses without an answer brought.
    pub(in crate::session) fn being_brought(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.in_flight.iter().flat_map(|of| of.ids.iter().copied())
    }

    pub(in crate::session) fn status(&self) -> &Status {
        &self.status
    }
}
