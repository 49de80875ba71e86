//! Contents that are kept from proxies which were not sent them yet.
//!
//! Some were rejected (xDS rule 82). What one proxy rejects is kept from that proxy alone (`session::held_back`): the trouble may be its
//! own, and is never counted if the proxy says so ([`TypeSpec::passes`](crate::TypeSpec::passes)). When distinct proxies reject the same content, the content is bad. Only proxies whose identity somebody verified are counted:
//! with a name of its own choice one client could reject for many, and keep every change from a fleet.
//!
//! Others are too large (xDS rule 127). gRPC ends a stream that brings more than 4 MiB at once, and asks again on the next one, for
//! ever. Envoy takes them.
//!
//! It lies in the store. Streams put entries in while they read the store, and so does the writer, who also takes them out when the
//! content changes; every stream asks for the generation before it sends: one relaxed load.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use seaway_proto::{TypeUrl, Version};

use crate::agent::Agent;
use crate::body::Body;
use crate::metrics::Metrics;

/// Contents whose rejections are counted, and bad ones that are remembered; with more the memory starts anew.
const REMEMBERED: usize = 1024;

/// A content that is kept from proxies which were not sent it yet.
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
    /// Why.
    pub reason: HoldBack,
}

/// Why a content is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldBack {
    /// Several proxies rejected it (xDS rule 82): it is kept from all others.
    Rejected {
        /// The identities of those whose rejections decided, in order.
        by: Vec<Arc<str>>,
        /// What the last of them said.
        error: String,
    },
    /// A response with it would be larger than gRPC clients accept by default, 4 MiB (xDS rule 127): it is sent to Envoy only.
    TooLarge {
        /// Its size, encoded, in bytes.
        bytes: usize,
    },
}

impl HoldBack {
    /// As metrics name it.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            HoldBack::Rejected { .. } => "rejected",
            HoldBack::TooLarge { .. } => "too_large",
        }
    }
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

impl Held {
    /// Whether it is kept from such a client.
    pub(crate) fn concerns(&self, agent: Agent) -> bool {
        match self.report.reason {
            HoldBack::Rejected { .. } => true,
            HoldBack::TooLarge { .. } => agent != Agent::Envoy,
        }
    }
}

/// A content that somebody complains of.
#[derive(Debug)]
pub(crate) struct Suspect<'a> {
    pub(crate) type_url: TypeUrl,
    pub(crate) type_index: usize,
    pub(crate) id: u32,
    pub(crate) name: &'a Arc<str>,
    /// What it is about, and what stood there before.
    pub(crate) content: &'a Arc<Body>,
    pub(crate) before: Option<&'a Arc<Body>>,
}

impl Suspect<'_> {
    fn content(&self) -> Content {
        (self.type_index, self.name.clone(), self.content.version)
    }
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

    /// Counts a rejection by a proxy whose identity was verified, and holds the content back if it was the decisive one.
    pub(crate) fn reject(&self, suspect: &Suspect<'_>, identity: &Arc<str>, error: &str) {
        let quorum = self.quorum.load(Ordering::Relaxed);
        if quorum == 0 {
            return;
        }
        let content = suspect.content();
        let mut state = self.state();
        if state.holds(suspect) {
            return;
        }
        if state.votes.len() >= REMEMBERED && !state.votes.contains_key(&content) {
            state.votes.clear();
        }
        let voters = state.votes.entry(content).or_default();
        if voters.len() < quorum {
            voters.insert(identity.clone());
        }
        if voters.len() < quorum {
            return;
        }
        let reason = HoldBack::Rejected {
            by: voters.iter().cloned().collect(),
            error: error.to_owned(),
        };
        let report = state.hold(suspect, reason);
        tracing::warn!(
            r#type = %report.type_url,
            resource = &*report.name,
            object = &*report.origin,
            version = %report.version,
            proxies = quorum,
            error,
            "rejected by several proxies: kept from the others until it changes"
        );
        self.changed(&state);
    }

    /// The writer's: keeps a content from clients that cannot take it.
    pub(crate) fn too_large(&self, suspect: &Suspect<'_>) {
        let mut state = self.state();
        if state.holds(suspect) {
            return;
        }
        let bytes = suspect.content.len();
        let report = state.hold(suspect, HoldBack::TooLarge { bytes });
        tracing::warn!(
            r#type = %report.type_url,
            resource = &*report.name,
            object = &*report.origin,
            bytes,
            "too large for gRPC clients: sent to Envoy only"
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
            metrics.held_back(state.held.iter().map(|held| &held.report));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, suspect: &Suspect<'_>) -> bool {
        let content = (suspect.type_index, suspect.id, suspect.content.version);
        let mut held = self.held.iter();
        held.any(|held| (held.type_index, held.id, held.version) == content)
    }

    fn hold(&mut self, suspect: &Suspect<'_>, reason: HoldBack) -> HeldBack {
        let version = suspect.content.version;
        // What stood there before may have been bad itself, and what stood before that this very content.
        let before = suspect.before.and_then(|before| {
            let was = (suspect.type_index, suspect.name.clone(), before.version);
            self.bad.get(&was).cloned().unwrap_or(Some(before.clone()))
        });
        let instead = before.filter(|before| before.version != version);
        if self.bad.len() >= REMEMBERED {
            self.bad.clear();
        }
        self.bad.insert(suspect.content(), instead.clone());
        let report = HeldBack {
            type_url: suspect.type_url,
            name: suspect.name.clone(),
            version,
            origin: suspect.content.origin.clone(),
            instead: instead.as_ref().map(|body| body.version),
            reason,
        };
        let held = Held {
            type_index: suspect.type_index,
            id: suspect.id,
            version,
            instead,
            report: report.clone(),
        };
        let all = self.held.iter().cloned();
        self.held = all.chain([held]).collect();
        report
    }
}
