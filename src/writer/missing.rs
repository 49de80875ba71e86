//! Names that proxies ask for and that nobody has (xDS rule 107): typing errors, or Services that
//! never came. A proxy waits for them in silence, so they become problems.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_proto::TypeUrl;
use seaway_xds::Snapshots;

/// How often it is looked at, and how long a name has to be missing at least: a proxy that is told
/// of a cluster before its assignment is there asks for nothing wrong.
const LOOK: Duration = Duration::from_secs(10);
/// The most names that become problems: proxies may ask for whatever they like.
const NAMED: usize = 20;

/// The names that were missing when that was last looked at.
#[derive(Debug)]
pub(crate) struct MissingNames {
    snapshots: Snapshots,
    since: BTreeMap<(TypeUrl, Arc<str>), Instant>,
    next: Instant,
}

impl MissingNames {
    /// Follows the names that proxies ask for that read from here.
    pub(crate) fn of(snapshots: &Snapshots, now: Instant) -> MissingNames {
        MissingNames {
            snapshots: snapshots.clone(),
            since: BTreeMap::new(),
            next: now + LOOK,
        }
    }

    /// When to look next.
    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// The names that have been missing for as long as it takes to believe it, each with its type in a word.
    pub(super) fn look(&mut self, now: Instant) -> BTreeSet<(&'static str, Arc<str>)> {
        self.next = now + LOOK;
        let missing = self.snapshots.first_missing(NAMED).into_iter();
        let keys = missing.map(|missing| (missing.type_url, missing.name));
        let known = std::mem::take(&mut self.since);
        self.since = keys
            .map(|key| {
                let since = known.get(&key).copied().unwrap_or(now);
                (key, since)
            })
            .collect();
        let old = self.since.iter().filter(|(_, since)| now >= **since + LOOK);
        old.map(|((url, name), _)| (url.short(), name.clone()))
            .collect()
    }
}
