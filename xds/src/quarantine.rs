//! Contents that several proxies rejected, kept from those that were not sent them yet (xDS rule 82).
//!
//! What one proxy rejects is kept from that proxy alone (`session::held_back`): the trouble may be its own. When distinct proxies
//! reject the same content, the content is bad. Only proxies whose identity somebody verified are counted: with a name of its own
//! choice one client could reject for many, and keep every change from a fleet.
//!
//! It lies in the store. Streams put entries in while they read the store, the writer takes them out when the content changes, and
//! every stream asks for the generation before it sends: one relaxed load.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use seaway_proto::{TypeUrl, Version};

use crate::body::Body;
use crate::metrics::Metrics;

/// Contents whose rejections are counted, and bad ones that are remembered; with more the memory starts anew.
const REMEMBERED: usize = 1024;

/// A content that is kept from every proxy which was not sent it yet, because several have rejected it (xDS rule 82).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// The resource's type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: Arc<str>,
    /// The content, by its hash.
    pub version: Version,
    /// The object it was made from.
    pub origin: Arc<str>,
    /// What is sent instead: the last content before it that was not held back. `None`: nothing.
    pub instead: Option<Version>,
    /// The identities of those whose rejections decided, in order.
    pub rejected_by: Vec<Arc<str>>,
    /// What the last of them said.
    pub error: String,
}

/// The same for streams.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) type_index: usize,
    pub(crate) id: u32,
    pub(crate) version: Version,
    pub(crate) instead: Option<Arc<Body>>,
    report: HeldBack,
}

/// A rejection by a proxy whose identity was verified.
#[derive(Debug)]
pub(crate) struct Vote<'a> {
    pub(crate) identity: &'a Arc<str>,
    pub(crate) error: &'a str,
    pub(crate) type_url: TypeUrl,
    pub(crate) type_index: usize,
    pub(crate) id: u32,
    pub(crate) name: &'a Arc<str>,
    /// What was rejected, and what the proxy was sent before.
    pub(crate) content: &'a Arc<Body>,
    pub(crate) before: Option<&'a Arc<Body>>,
}

/// A content of a name of a type.
type Content = (usize, Arc<str>, Version);

#[derive(Debug)]
pub(crate) struct Quarantine {
    /// So many distinct proxies decide; 0: nobody does.
    quorum: AtomicUsize,
    /// Changes with what is held back.
    generation: AtomicU64,
    state: Mutex<State>,
    metrics: OnceLock<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    held: Arc<[Held]>,
    votes: HashMap<Content, BTreeSet<Arc<str>>>,
    /// What to send instead of contents that were found bad, also after they were replaced: the next one may be bad, too.
    bad: HashMap<Content, Option<Arc<Body>>>,
}

impl Default for Quarantine {
    fn default() -> Quarantine {
        Quarantine {
            quorum: AtomicUsize::new(DEFAULT_QUORUM),
            generation: AtomicU64::new(0),
            state: Mutex::default(),
            metrics: OnceLock::new(),
        }
    }
}

/// So many distinct proxies must have rejected a content by default.
pub(crate) const DEFAULT_QUORUM: usize = 3;

impl Quarantine {
    pub(crate) fn configure(&self, quorum: usize, metrics: &Metrics) {
        self.quorum.store(quorum, Ordering::Relaxed);
        // A second server over the same publisher is told of by the first one's metrics.
        let _ = self.metrics.set(metrics.clone());
    }

    /// Another number than before when what is held back is different. A stream that hears of it late has sent the content: nothing
    /// is lost but the protection.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(crate) fn held(&self) -> Arc<[Held]> {
        self.state().held.clone()
    }

    pub(crate) fn reports(&self) -> Vec<HeldBack> {
        let held = self.held();
        let mut reports: Vec<HeldBack> = held.iter().map(|held| held.report.clone()).collect();
        let key = |report: &HeldBack| (report.type_url, report.name.clone(), report.version);
        reports.sort_by_cached_key(key);
        reports
    }

    /// Counts a rejection, and holds the content back if it was the decisive one.
    pub(crate) fn vote(&self, vote: &Vote<'_>) {
        let quorum = self.quorum.load(Ordering::Relaxed);
        if quorum == 0 || is_own_trouble(vote.error) {
            return;
        }
        let content = (vote.type_index, vote.name.clone(), vote.content.version);
        let mut state = self.state();
        if state.holds(vote) {
            return;
        }
        if state.votes.len() >= REMEMBERED && !state.votes.contains_key(&content) {
            state.votes.clear();
        }
        let voters = state.votes.entry(content.clone()).or_default();
        if voters.len() < quorum {
            voters.insert(vote.identity.clone());
        }
        if voters.len() < quorum {
            return;
        }
        let voters: Vec<Arc<str>> = voters.iter().cloned().collect();
        let held = state.hold(content, vote, voters);
        tracing::warn!(
            r#type = %held.report.type_url,
            resource = &*held.report.name,
            object = &*held.report.origin,
            version = %held.report.version,
            proxies = quorum,
            error = held.report.error,
            "rejected by several proxies: kept from the others until it changes"
        );
        self.changed(&state);
    }

    /// The writer's: the name has other contents now than before, of which it still has these.
    pub(crate) fn release(&self, type_index: usize, id: u32, still: impl Fn(Version) -> bool) {
        if self.generation() == 0 {
            return;
        }
        let mut state = self.state();
        let of_name = |held: &Held| (held.type_index, held.id) == (type_index, id);
        let over = |held: &Held| of_name(held) && !still(held.version);
        if !state.held.iter().any(over) {
            return;
        }
        let held = state.held.iter().filter(|held| !over(held));
        state.held = held.cloned().collect();
        self.changed(&state);
    }

    fn changed(&self, state: &State) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        if let Some(metrics) = self.metrics.get() {
            metrics.held_back(state.held.iter().map(|held| held.report.type_url));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, vote: &Vote<'_>) -> bool {
        let mut held = self.held.iter();
        held.any(|held| {
            (held.type_index, held.id, held.version)
                == (vote.type_index, vote.id, vote.content.version)
        })
    }

    fn hold(&mut self, content: Content, vote: &Vote<'_>, rejected_by: Vec<Arc<str>>) -> Held {
        // What stood there before may have been bad itself, and what stood before that this very content.
        let before = vote.before.and_then(|before| {
            let was = (vote.type_index, vote.name.clone(), before.version);
            self.bad.get(&was).cloned().unwrap_or(Some(before.clone()))
        });
        let instead = before.filter(|before| before.version != vote.content.version);
        if self.bad.len() >= REMEMBERED {
            self.bad.clear();
        }
        self.bad.insert(content, instead.clone());
        let held = Held {
            type_index: vote.type_index,
            id: vote.id,
            version: vote.content.version,
            report: HeldBack {
                type_url: vote.type_url,
                name: vote.name.clone(),
                version: vote.content.version,
                origin: vote.content.origin.clone(),
                instead: instead.as_ref().map(|body| body.version),
                rejected_by,
                error: vote.error.to_owned(),
            },
            instead,
        };
        let all = self.held.iter().cloned();
        self.held = all.chain([held.clone()]).collect();
        held
    }
}

/// What Envoy says when its own machine is the reason: the address is taken or not there, the port is privileged, an option needs a
/// capability, there are no more files. Another proxy may well take the resource. From `ListenSocketImpl` and `strerror`; the texts are
/// compared without regard to case.
const OWN_TROUBLE: [&str; 11] = [
    "cannot bind",
    "cannot listen",
    "failed to bind",
    "failed to listen",
    "failed to create listening socket",
    "socket option",
    "address already in use",
    "cannot assign requested address",
    "permission denied",
    "operation not permitted",
    "too many open files",
];

/// Whether a rejection says more of the proxy's machine than of the resource: those are never held against the resource.
pub(crate) fn is_own_trouble(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    OWN_TROUBLE.iter().any(|text| error.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_machine_is_not_held_against_the_resource() {
        for text in [
            "default/web/80: cannot bind '10.96.0.1:80': Address already in use",
            "Cannot assign requested address",
            "l: cannot set post-bound socket option on socket: 0.0.0.0:53",
        ] {
            assert!(is_own_trouble(text), "{text}");
        }
        for text in [
            "unknown field",
            "route: unknown cluster 'binding'",
            "l: address is necessary",
        ] {
            assert!(!is_own_trouble(text), "{text}");
        }
    }
}
