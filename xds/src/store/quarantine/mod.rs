//! The quarantine: contents (versions of resources) that are held back from proxies that were not
//! sent them yet.
//!
//! Some were rejected (xDS rule 82). A content that one proxy rejects is held back from that proxy
//! alone (`session::nack`): the cause may lie in that proxy, and the rejection is not counted if
//! the error text says so ([`TypeSpec::passes`](crate::TypeSpec::passes)). A content is quarantined
//! when proxies of several principals reject it, and more reject than accept it (`votes`). Only
//! proxies with a verified identity are counted: otherwise one client could reject under many
//! names, and keep every change from all proxies. Acceptances are counted once a content is
//! quarantined: the notifier wakes the streams whose client may have it, and they report whether it
//! accepted it.
//!
//! Others are too large (xDS rule 127): gRPC clients end a stream with a message of more than 4
//! MiB, and would request the same on each new stream. Envoy accepts them.
//!
//! The quarantine belongs to the store. Streams add contents while they read the store, and so does
//! the writer, which also removes them when the resource changes. Every stream reads the generation
//! before it sends: one relaxed load.

mod held;
mod votes;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use seaway_proto::{TypeUrl, Version};

use crate::metrics::Metrics;
use crate::store::ResourceId;
use crate::store::body::Body;
use crate::store::interest::{Concerns, Interest};
use crate::store::notify::CommitNotifier;
pub(crate) use held::{QuarantinedContent, QuarantinedSet};
pub(crate) use votes::Voter;
use votes::Votes;

/// The most contents whose votes are remembered, and the most bad contents; with more, those not
/// held back (or all bad ones) are forgotten.
const REMEMBERED: usize = 256;

/// A content (one version of a resource) that is held back from proxies that were not sent it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The resource's type.
    pub type_url: TypeUrl,
    /// The resource's name.
    pub name: Arc<str>,
    /// The version that is held back: a hash of the content.
    pub version: Version,
    /// The object the resource was made from.
    pub origin: Arc<str>,
    /// The version that is sent instead: the last one before it that was not held back. `None`:
    /// nothing is sent.
    pub instead: Option<Version>,
    /// Why it is held back.
    pub reason: QuarantineReason,
}

/// The reason for which a content is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuarantineReason {
    /// Several proxies rejected it (xDS rule 82): it is held back from all others.
    Rejected {
        /// The principals of the proxies that rejected it, sorted.
        by: Vec<Arc<str>>,
        /// The error text of the last of these rejections.
        error: String,
    },
    /// A response with it would be larger than gRPC clients accept by default, 4 MiB (xDS rule
    /// 127): it is sent to Envoy only.
    TooLarge {
        /// The size of the encoded resource, in bytes.
        bytes: usize,
    },
}

impl QuarantineReason {
    /// The value of the metrics' label `reason`.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            QuarantineReason::Rejected { .. } => "rejected",
            QuarantineReason::TooLarge { .. } => "too_large",
        }
    }
}

/// A content that a proxy rejected, or that is too large for some clients.
#[derive(Debug)]
pub(crate) struct Suspect<'a> {
    pub(crate) type_url: TypeUrl,
    pub(crate) type_index: usize,
    pub(crate) id: ResourceId,
    pub(crate) name: &'a Arc<str>,
    /// The content in question.
    pub(crate) content: &'a Arc<Body>,
    /// The content that the resource had before.
    pub(crate) before: Option<&'a Arc<Body>>,
}

impl Suspect<'_> {
    fn content(&self) -> Content {
        (self.type_index, self.name.clone(), self.content.version)
    }
}

/// The key of a content: the index of the type, the name and the version.
type Content = (usize, Arc<str>, Version);

/// The resource versions that are held back because proxies rejected them, and for each the ACKs
/// and NACKs by which it is held back or let go.
#[derive(Debug)]
pub(crate) struct Quarantine {
    /// The number of distinct principals whose rejections hold a content back; 0: none is held
    /// back.
    quorum: AtomicUsize,
    /// A counter of the changes of what is held back.
    generation: AtomicU64,
    state: Mutex<State>,
    metrics: OnceLock<Metrics>,
    notifier: OnceLock<CommitNotifier>,
}

/// The contents that are held back and the votes, under the lock of the [`Quarantine`].
#[derive(Debug, Default)]
struct State {
    held: QuarantinedSet,
    /// A copy of `held` for streams, made when one of them reads it.
    shared: Option<Arc<QuarantinedSet>>,
    votes: HashMap<Content, Votes>,
    /// What to send instead of bad contents. It is kept after they were replaced, since the next
    /// content may be bad, too.
    bad: HashMap<Content, Option<Arc<Body>>>,
}

impl Default for Quarantine {
    fn default() -> Quarantine {
        Quarantine {
            quorum: AtomicUsize::new(DEFAULT_QUORUM),
            generation: AtomicU64::new(0),
            state: Mutex::default(),
            metrics: OnceLock::new(),
            notifier: OnceLock::new(),
        }
    }
}

/// The default number of principals whose proxies must have rejected a content.
pub(crate) const DEFAULT_QUORUM: usize = 3;

impl Quarantine {
    pub(crate) fn configure(&self, quorum: usize, metrics: &Metrics) {
        self.quorum.store(quorum, Ordering::Relaxed);
        // A second server over the same publisher reports through the metrics of the first.
        let _ = self.metrics.set(metrics.clone());
    }

    /// Sets the notifier by which streams are woken.
    pub(crate) fn notify_with(&self, notifier: &CommitNotifier) {
        let _ = self.notifier.set(notifier.clone());
    }

    /// The generation of what is held back; it changes with every change of that. A stream that
    /// sees it late has sent the content: nothing is lost but the protection.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(crate) fn held(&self) -> Arc<QuarantinedSet> {
        let mut state = self.state();
        let State { held, shared, .. } = &mut *state;
        let shared = shared.get_or_insert_with(|| Arc::new(held.clone()));
        shared.clone()
    }

    pub(crate) fn reports(&self) -> Vec<Quarantined> {
        let held = self.held();
        let mut reports: Vec<Quarantined> = held.iter().map(|held| held.report.clone()).collect();
        let key = |report: &Quarantined| (report.type_url, report.name.clone(), report.version);
        reports.sort_by_cached_key(key);
        reports
    }

    /// Counts a rejection, and holds the content back if that makes it a bad one.
    pub(crate) fn reject(&self, suspect: &Suspect<'_>, voter: &Voter, error: &str) {
        let quorum = self.quorum.load(Ordering::Relaxed);
        if quorum == 0 {
            return;
        }
        let mut state = self.state();
        let is_held = state.holds(suspect);
        let votes = state.votes_on(suspect.content());
        votes.reject(voter);
        if is_held || !votes.condemn(quorum) {
            return;
        }
        let (proxies, _) = votes.counts();
        let reason = QuarantineReason::Rejected {
            by: votes.accusers(),
            error: error.to_owned(),
        };
        let Some(report) = self.hold(&mut state, suspect, reason) else {
            return;
        };
        tracing::warn!(
            r#type = %report.type_url,
            resource = &*report.name,
            object = &*report.origin,
            version = %report.version,
            proxies,
            error,
            "quarantined: rejected by several proxies; held back from the others until it changes or more proxies have accepted it"
        );
        drop(state);
        self.notify(suspect.type_index, suspect.name);
    }

    /// Counts the acceptance of a content that is held back, and releases it if it is not bad any
    /// more.
    pub(crate) fn accept(&self, held: &QuarantinedContent, voter: &Voter) {
        let quorum = self.quorum.load(Ordering::Relaxed);
        let mut state = self.state();
        let Quarantined { name, version, .. } = &held.report;
        let content = (held.type_index, name.clone(), *version);
        let Some(votes) = state.votes.get_mut(&content) else {
            return;
        };
        votes.accept(voter);
        if votes.condemn(quorum) {
            return;
        }
        let (rejected, accepted) = votes.counts();
        let is_over = |of: &QuarantinedContent| of.version == *version && of.is_rejected();
        if !state.held.remove(held.type_index, held.id, is_over) {
            return;
        }
        state.bad.remove(&content);
        tracing::info!(
            r#type = %held.report.type_url,
            resource = &**name,
            version = %version,
            rejected,
            accepted,
            "released from quarantine: no longer rejected by more proxies than accepted it"
        );
        self.changed(&mut state);
        drop(state);
        self.notify(held.type_index, name);
    }

    /// Holds back a content from clients that cannot take it. Called by the writer.
    pub(crate) fn too_large(&self, suspect: &Suspect<'_>) {
        let mut state = self.state();
        if state.holds(suspect) {
            return;
        }
        let bytes = suspect.content.len();
        let reason = QuarantineReason::TooLarge { bytes };
        if let Some(report) = self.hold(&mut state, suspect, reason) {
            tracing::warn!(
                r#type = %report.type_url,
                resource = &*report.name,
                object = &*report.origin,
                bytes,
                "quarantined: too large for gRPC clients; sent to Envoy only"
            );
        }
    }

    /// Releases those contents of a name that it no longer has; `still` tells which versions it
    /// has. Called by the writer.
    pub(crate) fn release(
        &self,
        type_index: usize,
        id: ResourceId,
        still: impl Fn(Version) -> bool,
    ) {
        if self.generation() == 0 {
            return;
        }
        let mut state = self.state();
        let is_over = |held: &QuarantinedContent| !still(held.version);
        if state.held.remove(type_index, id, is_over) {
            self.changed(&mut state);
        }
    }

    /// Holds a content back, unless too many are held back already.
    fn hold(
        &self,
        state: &mut State,
        suspect: &Suspect<'_>,
        reason: QuarantineReason,
    ) -> Option<Quarantined> {
        if !state.held.has_room(&reason) {
            let (r#type, resource) = (suspect.type_url, &**suspect.name);
            tracing::warn!(%r#type, resource, "not quarantined: the limit of quarantined contents is reached");
            return None;
        }
        let since = self.generation() + 1;
        let report = state.hold(suspect, reason, since);
        self.changed(state);
        Some(report)
    }

    fn changed(&self, state: &mut State) {
        state.shared = None;
        self.generation.fetch_add(1, Ordering::Relaxed);
        if let Some(metrics) = self.metrics.get() {
            let labels = state.held.iter().map(|held| &held.report);
            metrics.quarantined(labels.map(|report| (report.type_url, report.reason.as_str())));
        }
    }

    /// Wakes the streams whose client may have been sent a name, or may be owed it.
    fn notify(&self, type_index: usize, name: &str) {
        if let Some(notifier) = self.notifier.get() {
            notifier.notify(&Concerns::anywhere(Interest::change(type_index, name)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, suspect: &Suspect<'_>) -> bool {
        let (type_index, id) = (suspect.type_index, suspect.id);
        let held = self.held.find(type_index, id, suspect.content.version);
        held.is_some()
    }

    /// The votes on a content. When too many are remembered, those on contents that are not held
    /// back are forgotten.
    fn votes_on(&mut self, content: Content) -> &mut Votes {
        if self.votes.len() >= REMEMBERED && !self.votes.contains_key(&content) {
            let held = self.held.iter();
            let held = held.map(|h| (h.type_index, h.report.name.clone(), h.version));
            let held: HashSet<Content> = held.collect();
            self.votes.retain(|content, _| held.contains(content));
        }
        self.votes.entry(content).or_default()
    }

    fn hold(&mut self, suspect: &Suspect<'_>, reason: QuarantineReason, since: u64) -> Quarantined {
        let version = suspect.content.version;
        // What stood there before may have been bad itself, and what stood before that this very
        // content.
        let before = suspect.before.and_then(|before| {
            let was = (suspect.type_index, suspect.name.clone(), before.version);
            self.bad.get(&was).cloned().unwrap_or(Some(before.clone()))
        });
        let instead = before.filter(|before| before.version != version);
        if self.bad.len() >= REMEMBERED {
            self.bad.clear();
        }
        self.bad.insert(suspect.content(), instead.clone());
        let report = Quarantined {
            type_url: suspect.type_url,
            name: suspect.name.clone(),
            version,
            origin: suspect.content.origin.clone(),
            instead: instead.as_ref().map(|body| body.version),
            reason,
        };
        self.held.insert(QuarantinedContent {
            type_index: suspect.type_index,
            id: suspect.id,
            version,
            instead,
            since,
            report: report.clone(),
        });
        report
    }
}
