//! One peer's digest beside this replica's own: what this one has not reached for long, and what
//! the two make differently of the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ContentKey, Digest};
use crate::admin::freshness::Reached;
use crate::peers::digest::Content;

/// A watch that has not been told of a change that a peer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// The name of the watch.
    pub(crate) watch: Arc<str>,
    /// The name of the peer.
    pub(crate) peer: Arc<str>,
    /// How many resourceVersions it lacks.
    pub(crate) versions: u64,
}

/// A part of what is served that equal replicas have differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disagreement {
    pub(crate) layer: Arc<str>,
    /// The type of the resources.
    pub(crate) of: Arc<str>,
    /// The name of the peer.
    pub(crate) peer: Arc<str>,
}

/// A version that a peer has seen change and this replica has not reached.
#[derive(Debug)]
struct Lag {
    change: u64,
    since: Instant,
    reached: u64,
    listed: bool,
}

/// Two contents that differ, and since when.
#[derive(Debug)]
struct Difference {
    own: Content,
    theirs: Content,
    since: Instant,
}

/// What a peer has been ahead of, or different in, and since when.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    lags: BTreeMap<Arc<str>, Lag>,
    differences: BTreeMap<ContentKey, Difference>,
}

/// What a layer has of a type that it has nothing of.
const NOTHING: Content = Content { count: 0, hash: 0 };

impl Comparison {
    /// Compares once more. `fresh`: the peer answers and is told everything.
    ///
    /// How far watches have got differs by bookmarks, which come once a minute and to each watch at
    /// another time. So a replica is behind of changes alone.
    pub(super) fn update(&mut self, own: &Digest, theirs: &Digest, fresh: bool, now: Instant) {
        if !fresh || own.flags != theirs.flags {
            *self = Comparison::default();
            return;
        }
        self.lags.retain(|watch, lag| {
            let ours = own.watches.get(watch);
            ours.is_some_and(|ours| ours.version < lag.change)
        });
        for (watch, reached) in &theirs.watches {
            let Some(ours) = own.watches.get(watch) else {
                continue;
            };
            if ours.version < reached.changed {
                let lag = self.lags.entry(watch.clone()).or_insert(Lag {
                    change: reached.changed,
                    since: now,
                    reached: ours.version,
                    listed: false,
                });
                lag.reached = ours.version;
            }
        }
        self.compare_contents(own, theirs, now);
    }

    /// Contents differ while changes are on their way. Those that both have had for long do not.
    fn compare_contents(&mut self, own: &Digest, theirs: &Digest, now: Instant) {
        let mut found = BTreeMap::new();
        for (key, own, theirs) in differences(own, theirs) {
            let known = self.differences.remove(&key);
            let known = known.filter(|known| (known.own, known.theirs) == (own, theirs));
            let since = known.map_or(now, |known| known.since);
            found.insert(key, Difference { own, theirs, since });
        }
        self.differences = found;
    }

    /// The watches that lack for long what the peer has.
    pub(super) fn behind(
        &self,
        theirs: &Digest,
        now: Instant,
        patience: Duration,
    ) -> impl Iterator<Item = Behind> {
        let late = move |lag: &Lag| now.saturating_duration_since(lag.since) > patience;
        let late = self.lags.iter().filter(move |(_, lag)| late(lag));
        late.map(|(watch, lag)| Behind {
            watch: watch.clone(),
            peer: theirs.name.clone(),
            versions: lag.change.saturating_sub(lag.reached),
        })
    }

    /// The watches that lack for long what the peer has, and were not named before for that.
    pub(super) fn take_late(&mut self, now: Instant, patience: Duration) -> Vec<Arc<str>> {
        let mut watches = Vec::new();
        for (watch, lag) in &mut self.lags {
            let late = now.saturating_duration_since(lag.since) > patience;
            if late && !std::mem::replace(&mut lag.listed, true) {
                watches.push(watch.clone());
            }
        }
        watches
    }

    /// What the two have differently for long, although neither is behind of the other. Another
    /// build may make something else of the same.
    pub(super) fn disagreements(
        &self,
        theirs: &Digest,
        now: Instant,
        patience: Duration,
    ) -> impl Iterator<Item = Disagreement> {
        let late = self.lags.values();
        let mut late = late.map(move |lag| now.saturating_duration_since(lag.since) > patience);
        let settled = !late.any(|late| late);
        let lasting = self.differences.iter().filter(move |(_, difference)| {
            settled && now.saturating_duration_since(difference.since) > patience
        });
        lasting.map(|((layer, of), _)| Disagreement {
            layer: layer.clone(),
            of: of.clone(),
            peer: theirs.name.clone(),
        })
    }
}

/// What two replicas have differently, if they are to have the same: in layers that both have,
/// since some exist only where a proxy needs them.
fn differences(own: &Digest, theirs: &Digest) -> Vec<(ContentKey, Content, Content)> {
    if own.build != theirs.build || own.flags != theirs.flags {
        return Vec::new();
    }
    let has =
        |digest: &Digest, layer: &str| digest.contents.keys().any(|(other, _)| **other == *layer);
    let keys = own.contents.keys().chain(theirs.contents.keys());
    let mut keys: Vec<&ContentKey> = keys.collect();
    keys.sort();
    keys.dedup();
    let keys = keys.into_iter();
    let shared = keys.filter(|(layer, _)| has(own, layer) && has(theirs, layer));
    let of = |digest: &Digest, key: &ContentKey| *digest.contents.get(key).unwrap_or(&NOTHING);
    let both = shared.map(|key| (key.clone(), of(own, key), of(theirs, key)));
    both.filter(|(_, own, theirs)| own != theirs).collect()
}

/// Whether this replica has reached everything that a peer has seen change, and serves the same.
pub(super) fn is_equal(own: &Digest, theirs: &Digest) -> bool {
    let reaches = |(watch, theirs): (&Arc<str>, &Reached)| {
        let ours = own.watches.get(watch);
        ours.is_none_or(|ours| ours.version >= theirs.changed)
    };
    theirs.watches.iter().all(reaches) && differences(own, theirs).is_empty()
}
