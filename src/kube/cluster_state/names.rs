//! Which Secrets the objects of the cluster name as certificates. No other Secret is kept (Gateway
//! rule 38).
//!
//! [`Names`] counts who names which, as part of the cluster's state. [`Wants`] is what the watches
//! of Secrets see of it: which Secrets to keep, and which to fetch, since a watch is past what is
//! named only now. While nobody names a Secret, none is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use seaway_translator::{Object, ObjectId, ObjectKind};
use tokio::sync::watch;

use super::Scope;

/// How long a change waits for the Secrets that it is the first to name. Told at once, it would
/// close the connections to its hosts until their certificates are there.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Whether objects of this kind name Secrets (see [`Object::secrets`]).
pub(in crate::kube) fn is_naming(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Gateway | ObjectKind::Ingress)
}

/// How many objects name each Secret.
#[derive(Debug, Default)]
pub(super) struct Names {
    counts: BTreeMap<ObjectId, usize>,
    /// Secrets that no watch has told of since they are named, each with the moment from which
    /// nothing waits for it any more.
    unanswered: BTreeMap<ObjectId, Option<Instant>>,
    /// The kinds that name Secrets have told their first lists, or have none to tell.
    settled: bool,
    wants: Wants,
}

impl Names {
    pub(super) fn new(wants: Wants) -> Names {
        Names {
            wants,
            ..Names::default()
        }
    }

    pub(super) fn is_named(&self, id: &ObjectId) -> bool {
        self.counts.contains_key(id)
    }

    /// Whether a Secret of the scope is named.
    pub(super) fn any_in(&self, scope: &Scope) -> bool {
        let mut from = self.counts.range(scope.first()..);
        from.next().is_some_and(|(id, _)| scope.covers(id))
    }

    /// Counts the names of an object that was replaced. Returns the Secrets that nobody names any
    /// more.
    pub(super) fn replace(
        &mut self,
        before: Option<&Object>,
        after: Option<&Object>,
    ) -> Vec<ObjectId> {
        let (before, after) = (names(before), names(after));
        for id in after.difference(&before) {
            let count = self.counts.entry(id.clone()).or_default();
            *count += 1;
            if *count == 1 && self.wants.name(id) {
                self.unanswered.insert(id.clone(), None);
            }
        }
        let mut gone = Vec::new();
        for id in before.difference(&after) {
            let Some(count) = self.counts.get_mut(id) else {
                continue;
            };
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(id);
                self.unanswered.remove(id);
                self.wants.forget(id);
                gone.push(id.clone());
            }
        }
        gone
    }

    /// Notes that the kinds that name Secrets have told their first lists, or have none to tell.
    pub(super) fn settle(&mut self) {
        self.settled = true;
        self.wants.settle();
    }

    /// Notes that a watch has told of a Secret, or that there is none of its name.
    pub(super) fn answered(&mut self, id: &ObjectId) {
        self.unanswered.remove(id);
    }

    /// Notes that a watch has told all Secrets of its scope that are not asked for by name.
    pub(super) fn listed(&mut self, scope: &Scope) {
        let wants = &self.wants;
        let waits = |id: &ObjectId| !scope.covers(id) || wants.is_asked(scope, id);
        self.unanswered.retain(|id, _| waits(id));
    }

    /// The Secrets that changes wait for: until Secrets can be asked for, and then not for longer
    /// than [`PATIENCE`].
    pub(super) fn waiting(&mut self, now: Instant) -> BTreeSet<ObjectId> {
        for until in self.unanswered.values_mut().filter(|_| self.settled) {
            until.get_or_insert(now + PATIENCE);
        }
        let is_waiting = |until: &Option<Instant>| until.is_none_or(|until| until > now);
        self.unanswered.retain(|_, until| is_waiting(until));
        self.unanswered.keys().cloned().collect()
    }

    /// When the first of them is not waited for any more.
    pub(super) fn due(&self) -> Option<Instant> {
        self.unanswered.values().copied().flatten().min()
    }
}

/// The Secrets that an object names, each once.
fn names(object: Option<&Object>) -> BTreeSet<ObjectId> {
    object.into_iter().flat_map(Object::secrets).collect()
}

/// The Secrets that are wanted of the watches. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::kube) struct Wants(watch::Sender<Board>);

/// What the source and the watches of Secrets share.
#[derive(Debug, Default)]
struct Board {
    /// The kinds that name Secrets have told their first lists, or have none to tell. A list of
    /// Secrets is not taken before: it would lack all that is named later.
    settled: bool,
    named: BTreeSet<ObjectId>,
    /// For each watch, what it has to fetch by name.
    asked: BTreeMap<Scope, BTreeSet<ObjectId>>,
}

impl Wants {
    /// Adds a watch.
    pub(in crate::kube) fn add(&self, scope: &Scope) {
        self.0.send_modify(|board| {
            board.asked.entry(scope.clone()).or_default();
        });
    }

    /// Notes a Secret that is named from now on. Returns whether it is within what is watched.
    pub(in crate::kube) fn name(&self, id: &ObjectId) -> bool {
        let mut is_watched = false;
        self.0.send_modify(|board| {
            board.named.insert(id.clone());
            let mut all = board.asked.iter_mut();
            if let Some((_, asked)) = all.find(|(scope, _)| scope.covers(id)) {
                asked.insert(id.clone());
                is_watched = true;
            }
        });
        is_watched
    }

    /// Notes a Secret that nobody names any more.
    fn forget(&self, id: &ObjectId) {
        self.0.send_modify(|board| {
            board.named.remove(id);
            for asked in board.asked.values_mut() {
                asked.remove(id);
            }
        });
    }

    fn settle(&self) {
        self.0.send_modify(|board| board.settled = true);
    }

    fn is_asked(&self, scope: &Scope, id: &ObjectId) -> bool {
        let board = self.0.borrow();
        let asked = board.asked.get(scope);
        asked.is_some_and(|asked| asked.contains(id))
    }

    /// Whether a Secret is named by somebody, and so kept.
    pub(in crate::kube) fn keeps(&self, id: &ObjectId) -> bool {
        self.0.borrow().named.contains(id)
    }

    /// Waits until a watch may list, and has something to look for.
    pub(in crate::kube) async fn needed(&self, scope: &Scope) {
        self.until(|board| board.settled && board.names_any(scope))
            .await;
    }

    /// Waits until a watch has something to fetch.
    pub(in crate::kube) async fn asked(&self, scope: &Scope) {
        let is_asked = |asked: &BTreeSet<ObjectId>| !asked.is_empty();
        self.until(|board| board.asked.get(scope).is_some_and(is_asked))
            .await;
    }

    async fn until(&self, condition: impl FnMut(&Board) -> bool) {
        let mut board = self.0.subscribe();
        // It never fails: the sender is here.
        let _ = board.wait_for(condition).await;
    }

    /// What a watch has to fetch next.
    pub(in crate::kube) fn next(&self, scope: &Scope) -> Option<ObjectId> {
        self.0.borrow().asked.get(scope)?.first().cloned()
    }

    /// How many Secrets a watch has to fetch.
    pub(in crate::kube) fn count(&self, scope: &Scope) -> usize {
        let board = self.0.borrow();
        board.asked.get(scope).map_or(0, BTreeSet::len)
    }

    /// Notes that a watch has fetched a Secret, or knows that there is none.
    pub(in crate::kube) fn fetched(&self, scope: &Scope, id: &ObjectId) {
        self.0.send_modify(|board| {
            if let Some(asked) = board.asked.get_mut(scope) {
                asked.remove(id);
            }
        });
    }

    /// Notes that a watch begins a list, which has all that is named by now.
    pub(in crate::kube) fn list(&self, scope: &Scope) {
        self.0.send_modify(|board| {
            if let Some(asked) = board.asked.get_mut(scope) {
                asked.clear();
            }
        });
    }
}

impl Board {
    fn names_any(&self, scope: &Scope) -> bool {
        let mut from = self.named.range(scope.first()..);
        from.next().is_some_and(|id| scope.covers(id))
    }
}
