//! The responses of one type: those in flight, their acknowledgement, and the status that is shown
//! of them.

use std::sync::Arc;
use std::time::Instant;

use super::{ResourceId, TypeState};
use crate::session::PATIENCE;
use crate::session::content::Content;
use crate::session::error_text::bounded;
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
    /// The initial sync of its content, kept until the answer comes so that other streams find it.
    _shared: Option<Arc<InitialSync>>,
}

/// The last responses of one type that were sent, acknowledged and rejected (xDS rule 78).
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// The newest response sent.
    pub(crate) sent: Option<Mark>,
    /// The newest response acknowledged.
    pub(crate) acked: Option<Mark>,
    /// The newest response rejected, and the client's error text.
    pub(crate) nacked: Option<(Mark, String)>,
}

/// The version of a response (a sum of digests), and when it was sent or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) version: u64,
    pub(crate) at: Instant,
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
        if self.in_flight.len() == REMEMBERED {
            self.in_flight.pop_front();
        }
        self.status.sent = Some(Mark { version, at: now });
        let was_last = self.said_more && !more && !content.ids.is_empty();
        self.said_more = more;
        self.in_flight.push_back(InFlight {
            nonce,
            version,
            sent: now,
            since,
            ids: content.ids,
            instead: content.instead,
            lost: false,
            was_last,
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
        let answered = self.in_flight.drain(..=at).next_back()?;
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
                self.status.nacked = Some((mark, bounded(text)));
            }
        }
        Some(answered)
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

    pub(in crate::session) fn status(&self) -> &Status {
        &self.status
    }
}
