//! The state of one type on a stream (xDS rule 7).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use seaway_proto::Version;

use super::kept::Kept;
use super::owed::Owed;
use super::rejections::Rejections;
use super::removed::Removed;
use crate::session::PATIENCE;
use crate::session::chunk::take_names;
use crate::session::content::Content;
use crate::session::resume::Claimed;
use crate::session::state::subscription::Subscription;
use crate::store::body::{Body, version_digest};
use crate::store::id_set::Ids;
use crate::store::initial_sync::InitialSync;
use crate::store::name_map::{NameMap, NameSet};
use crate::store::{ResourceId, Store};
use crate::wire::request::List;

/// The most unacknowledged responses that are remembered.
pub(in crate::session) const REMEMBERED: usize = 8;
/// The most bytes kept of a client's error text.
const ERROR_LIMIT: usize = 4096;

/// The state of one type on a stream: the subscription, and what the client holds and is owed.
#[derive(Debug, Default)]
pub(in crate::session) struct TypeState {
    pub(in crate::session) subscription: Subscription,
    /// Resources that the client holds, in whatever version; not part of the subscription on
    /// purpose (xDS rule 46).
    pub(in crate::session) held: Ids,
    /// What the client has to be sent: changed, newly subscribed to, or to be reloaded.
    pub(in crate::session) owed: Owed,
    /// Names to be answered as not existing (delta, xDS rule 48); `true`: the client may have them.
    pub(in crate::session) not_found: NameMap<bool>,
    /// Removed resources of which the client has yet to be told.
    pub(in crate::session) removed: Removed,
    /// When empty values for removed names are due, where they stand for removals.
    pub(in crate::session) empty_due: Option<Instant>,
    /// Resources whose present content is held back from the client, each with what it had before.
    pub(in crate::session) held_back: Kept,
    /// What the client has of resources whose last content it rejected, and that have changed
    /// since.
    pub(in crate::session) last_good: Kept,
    /// Resources that the client rejected and has not accepted since.
    pub(in crate::session) rejections: Rejections,
    /// Names dropped while responses were in flight. A client that subscribes to them again reads
    /// those responses first, and then has what they say.
    pub(in crate::session) unsettled: NameSet,
    /// Resources sent before the client subscribed to the type that it reloads after this one.
    pub(in crate::session) sent_first: Ids,
    /// What a reconnected client says it has, while that is in doubt.
    pub(in crate::session) claimed: Option<Box<Claimed>>,
    /// Whether a response is due even if it is empty, as to a first wildcard request (xDS rule 31).
    pub(in crate::session) must_answer: bool,
    /// Whether the last response said that more follows, so that an empty one has to end it
    /// (delta).
    pub(in crate::session) said_more: bool,
    /// A hash of the names in the last state-of-the-world request.
    names: Option<u64>,
    /// The version that a state-of-the-world client says it has, until the first response.
    pub(in crate::session) client_version: Option<u64>,
    /// The sum of the digests of all subscribed resources that exist; `None`: not computed.
    pub(in crate::session) digest: Option<u64>,
    pub(in crate::session) in_flight: VecDeque<InFlight>,
    pub(in crate::session) status: Status,
}

/// A response that the client has neither acknowledged nor rejected yet.
#[derive(Debug)]
pub(in crate::session) struct InFlight {
    /// The nonce's number.
    pub(in crate::session) nonce: u64,
    pub(in crate::session) version: u64,
    pub(in crate::session) sent: Instant,
    /// The time since which the oldest of its resources was owed.
    pub(in crate::session) since: Instant,
    pub(in crate::session) ids: Arc<[ResourceId]>,
    /// The ids of those that were sent in an older version than the present one, ascending.
    pub(in crate::session) instead: Vec<ResourceId>,
    /// Whether one of its resources was removed since: a rejection may be about that one.
    pub(in crate::session) lost: bool,
    /// Whether it was the last of several responses that belong together.
    pub(in crate::session) was_last: bool,
    /// The first sync of its content, kept until the answer comes so that other streams find it.
    pub(in crate::session) _shared: Option<Arc<InitialSync>>,
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

/// A NACK: the client's error text, and the resources of the response that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nack {
    pub(crate) error: String,
    pub(crate) resources: Vec<Rejected>,
    /// Whether it repeats earlier rejections of all resources of the response that it does not
    /// name.
    pub(crate) repeated: bool,
}

/// A resource named in a NACK, and the object it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) id: ResourceId,
    pub(crate) name: Arc<str>,
    pub(crate) origin: Arc<str>,
    /// Whether the client rejected it before, and was sent it again.
    pub(crate) repeated: bool,
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

    /// The NACK of a response, with the resources that the error text names.
    pub(in crate::session) fn nack(
        answered: &InFlight,
        text: &str,
        (store, type_index): (&Store, usize),
    ) -> Nack {
        let error = bounded(text);
        // What is said of the last one may not be all that was to be said.
        let said = match error.rsplit_once('\n') {
            Some((lines, _)) if is_cut(text) => lines,
            _ => &error,
        };
        let named = answered.ids.iter().filter_map(|id| {
            let slot = store.try_slot(type_index, *id)?;
            let body = slot.any_body()?;
            mentions(said, &slot.name).then(|| Rejected {
                id: *id,
                name: slot.name.clone(),
                origin: body.origin.clone(),
                repeated: false,
            })
        });
        let resources = named.collect();
        Nack {
            error,
            resources,
            repeated: false,
        }
    }

    pub(in crate::session) fn sent(
        &mut self,
        nonce: u64,
        version: u64,
        (content, more): (Content, bool),
        (since, now): (Instant, Instant),
    ) {
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

    /// The memory of names, rejections, and contents kept in place of rejected ones, in bytes.
    pub(in crate::session) fn remembered_bytes(&self) -> usize {
        self.name_bytes()
            + self.held_back.bytes()
            + self.last_good.bytes()
            + self.rejections.bytes()
            + self
                .status
                .nacked
                .as_ref()
                .map_or(0, |(_, text)| text.len())
    }

    /// The part of it that names take, of which a client may make up as many as it likes. What is
    /// rejected exists, and is common to all.
    pub(in crate::session) fn name_bytes(&self) -> usize {
        self.subscription.missing_bytes()
            + self.not_found.bytes()
            + self.unsettled.bytes()
            + self.removed.bytes()
    }

    /// Whether there is anything to send, now or later.
    pub(in crate::session) fn is_pending(&self) -> bool {
        self.has_additions()
            || !self.removed.is_empty()
            || self.claimed.is_some()
            || self.rejections.due().is_some()
    }

    pub(in crate::session) fn has_additions(&self) -> bool {
        self.must_answer || self.said_more || !self.owed.is_empty() || !self.not_found.is_empty()
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

    /// Whether a state-of-the-world request names what the last one did, in the same order: clients
    /// repeat all names with every acknowledgement, and there is nothing to compare then.
    pub(in crate::session) fn repeats(&mut self, names: &List<'_>) -> bool {
        let hash = names.hash();
        self.names.replace(hash) == Some(hash)
    }

    /// Owes a name as not existing, once (xDS rule 34); `had`: the client may have something of it.
    pub(in crate::session) fn deny(&mut self, name: Arc<str>, had: bool) {
        let had = self.removed.remove(&name).is_some() || had;
        self.not_found.insert_new(name, had);
    }

    /// Adds names that do not exist to the removed names of a response, up to `room` bytes.
    pub(in crate::session) fn deny_with(&mut self, removed: &mut Vec<Arc<str>>, room: usize) {
        if !self.not_found.is_empty() {
            let used: usize = removed.iter().map(|name| name.len()).sum();
            removed.extend(take_names(&mut self.not_found, room.saturating_sub(used)));
        }
    }

    /// Remembers a dropped name while responses are in flight.
    pub(in crate::session) fn unsettle(&mut self, name: &Arc<str>) {
        if !self.in_flight.is_empty() {
            self.unsettled.add(name.clone());
        }
    }

    /// Forgets a resource that is not subscribed to any more.
    pub(in crate::session) fn drop_id(&mut self, id: ResourceId, name: &Arc<str>) {
        if self.held.remove(id) {
            self.unsettle(name);
        }
        self.owed.remove(id);
        self.held_back.remove(id);
        self.last_good.remove(id);
        self.rejections.forget(id);
    }
}

/// Whether an error text may be cut: Envoy cuts it at this length, and says so behind it.
pub(in crate::session) fn is_cut(text: &str) -> bool {
    text.len() > ERROR_LIMIT
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(ERROR_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Whether a text names a resource, and not just one whose name is longer.
pub(in crate::session) fn mentions(text: &str, name: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || "-_./~@[]".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + name.len()..].chars();
        let goes_on = match after.next() {
            // A colon ends a name in a sentence, and a full stop does, unless something follows at
            // once.
            Some(':' | '.') => after.next().is_some_and(of_name),
            Some(c) => of_name(c),
            None => false,
        };
        !name.is_empty() && !before.is_some_and(of_name) && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_name_is_another_name() {
        let check = |text, name, expected| assert_eq!(mentions(text, name), expected, "{text}");
        let name = "default/web/80@clusterip:10.96.0.1:80";
        check(
            "default/web/80@clusterip:10.96.0.1:80: cannot bind",
            name,
            true,
        );
        check(
            "cannot add 'default/web/80@clusterip:10.96.0.1:80'.",
            name,
            true,
        );
        check(
            "default/web/80@clusterip:10.96.0.1:8080: cannot bind",
            name,
            false,
        );
        check("other-default/web/80@clusterip:10.96.0.1:80", name, false);
        check(name, "default/web/80", false);
        check("default/web/80: unknown field", "default/web/80", true);
        check("anything", "", false);
    }
}
