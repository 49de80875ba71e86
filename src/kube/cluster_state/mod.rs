//! The objects of the cluster as they were last seen: takes what the watches report, gives an
//! [`Update`].
//!
//! An object that cannot be read keeps its last good version, and a problem says so (invariants 2
//! and 3). Reports that change nothing end here: a heartbeat of a Node, a status that is not used,
//! a list read anew. Of Secrets only those are kept that other objects name ([`names`]).

mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use seaway_translator::{Change, Object, ObjectId, ObjectKind, Problem, Reason, Subject};

use super::cursor::News;
use super::leader::has_status;
use super::resource::Item;
use crate::source::{CAUSES, Update};
use names::Names;
pub(super) use names::{Wants, is_naming};

/// What one watch covers: a kind of objects, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub kind: ObjectKind,
    /// The namespace; `None` is all namespaces.
    pub namespace: Option<Arc<str>>,
}

impl Scope {
    /// The scope's name in logs and metrics: `services`, `services in shop`.
    pub(super) fn name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in {namespace}", self.kind.plural()),
            None => self.kind.plural().to_owned(),
        }
    }

    /// Whether the object belongs to the scope.
    pub(super) fn covers(&self, id: &ObjectId) -> bool {
        id.kind == self.kind
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == id.namespace)
    }

    /// The lowest id that the scope may cover.
    fn first(&self) -> ObjectId {
        ObjectId {
            kind: self.kind,
            namespace: self.namespace.clone().unwrap_or_default(),
            name: "".into(),
        }
    }
}

/// What is known of one object of the cluster.
#[derive(Debug, Default)]
struct Known {
    /// The last version that could be read.
    object: Option<Object>,
    /// The `uid`, which an Event about the object has to name.
    uid: Box<str>,
}

/// The objects that the watches have reported, and the changes that the writer has not been sent.
#[derive(Debug, Default)]
pub(super) struct ClusterState {
    known: BTreeMap<ObjectId, Known>,
    changed: BTreeMap<ObjectId, Change>,
    /// The `resourceVersion` of objects that changed, of as many as anybody asks about.
    versions: BTreeMap<ObjectId, Box<str>>,
    /// How many of the versions are of changes that waited when the last update was taken: they
    /// take no room from others.
    held: usize,
    /// The objects with a status of ours that have another `uid` than before.
    created: BTreeSet<ObjectId>,
    /// The objects whose current version cannot be used, each with the reason.
    bad: BTreeMap<ObjectId, Problem>,
    /// The watches whose last list held objects that could not be identified.
    incomplete: BTreeMap<Scope, Problem>,
    problems_changed: bool,
    /// Who names which Secret.
    names: Names,
    /// An update has been taken.
    taken: bool,
}

impl ClusterState {
    /// A state without objects, which says in `wants` which Secrets it needs.
    pub(super) fn new(wants: Wants) -> ClusterState {
        ClusterState {
            names: Names::new(wants),
            ..ClusterState::default()
        }
    }

    /// Takes in the objects of a checkpoint, to be confirmed or corrected by the watches.
    pub(super) fn seed(&mut self, objects: impl IntoIterator<Item = Object>) {
        for object in objects {
            self.set(Item {
                id: object.id(),
                version: String::new(),
                uid: Box::default(),
                content: Ok(object),
            });
        }
    }

    /// Takes in what a watch reports.
    pub(super) fn hear(&mut self, scope: &Scope, news: News) {
        match news {
            News::Apply(item) => self.set(*item),
            News::Delete(id) => self.remove(&id),
            News::Reset { items, complete } => self.reset(scope, items, complete),
        }
    }

    /// Takes in that the API server does not serve this kind: there are no objects of it.
    pub(super) fn leave(&mut self, kind: ObjectKind) {
        let gone = self.known.keys().chain(self.bad.keys());
        let gone: BTreeSet<_> = gone.filter(|id| id.kind == kind).cloned().collect();
        gone.iter().for_each(|id| self.remove(id));
        let before = self.incomplete.len();
        self.incomplete.retain(|scope, _| scope.kind != kind);
        self.problems_changed |= self.incomplete.len() != before;
    }

    /// Whether objects of this kind are known.
    pub(super) fn knows(&self, kind: ObjectKind) -> bool {
        self.known.keys().any(|id| id.kind == kind)
    }

    /// Takes in that the kinds that name Secrets have told their first lists, or have none to tell.
    pub(super) fn settle(&mut self) {
        self.names.settle();
    }

    /// Takes in that there is no Secret of this name.
    pub(super) fn is_nowhere(&mut self, id: &ObjectId) {
        self.names.answered(id);
    }

    /// Whether an object names a Secret of the scope.
    pub(super) fn names_any_in(&self, scope: &Scope) -> bool {
        self.names.any_in(scope)
    }

    /// What changed since the last call, as an update for the writer; `None` if nothing did. What
    /// waits for a Secret is not part of it.
    pub(super) fn take(&mut self, now: Instant) -> Option<Update> {
        let problems_changed = std::mem::take(&mut self.problems_changed);
        let held = match std::mem::replace(&mut self.taken, true) {
            true => self.hold(now),
            // The first world is whole.
            false => BTreeMap::new(),
        };
        let changes = std::mem::replace(&mut self.changed, held);
        let versions = std::mem::take(&mut self.versions).into_iter();
        let (held, versions) = versions.partition(|(id, _)| self.changed.contains_key(id));
        self.versions = held;
        self.held = self.versions.len();
        if changes.is_empty() && !problems_changed {
            return None;
        }
        Some(Update {
            changes: changes.into_values().collect(),
            versions: versions.into_iter().collect(),
            since: Some(now),
            problems: problems_changed.then(|| self.problems()),
            synced: true,
            ..Update::default()
        })
    }

    /// When there is something to take although nothing more is heard.
    pub(super) fn due(&self) -> Option<Instant> {
        let is_held = !self.changed.is_empty();
        self.names.due().filter(|_| is_held)
    }

    /// Takes those changes out that wait for a Secret, and with them the ends of Secrets: what
    /// waits may have named them before.
    fn hold(&mut self, now: Instant) -> BTreeMap<ObjectId, Change> {
        let waiting = self.names.waiting(now);
        let waits = |change: &Change| match change {
            Change::Apply(object) => object.secrets().iter().any(|id| waiting.contains(id)),
            Change::Delete(_) => false,
        };
        if waiting.is_empty() || !self.changed.values().any(waits) {
            return BTreeMap::new();
        }
        let is_end = |change: &Change| matches!(change, Change::Delete(id) if id.kind.is_secret());
        let all = std::mem::take(&mut self.changed).into_iter();
        let (held, rest) = all.partition(|(_, change)| waits(change) || is_end(change));
        self.changed = rest;
        held
    }

    /// The objects that may have a status and were created, or created anew, since the last call.
    pub(super) fn take_created(&mut self) -> BTreeSet<ObjectId> {
        std::mem::take(&mut self.created)
    }

    /// The last good version of every object.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        let objects = self.known.values().map(|known| known.object.as_ref());
        objects.flatten()
    }

    /// The `uid` of an object; `None` if the API server has not reported it.
    pub(super) fn uid(&self, id: &ObjectId) -> Option<&str> {
        let uid = &*self.known.get(id)?.uid;
        (!uid.is_empty()).then_some(uid)
    }

    fn set(&mut self, item: Item) {
        let Item {
            id,
            version,
            uid,
            content,
        } = item;
        if id.kind.is_secret() {
            if !self.names.is_named(&id) {
                return;
            }
            self.names.answered(&id);
        }
        let known = self.known.entry(id.clone()).or_default();
        if known.uid != uid && has_status(id.kind) {
            self.created.insert(id.clone());
        }
        known.uid = uid;
        match content {
            Ok(object) => {
                self.problems_changed |= self.bad.remove(&id).is_some();
                if known.object.as_ref() != Some(&object) {
                    let before = known.object.replace(object.clone());
                    self.rename(before.as_ref(), Some(&object));
                    self.note_version(&id, version);
                    self.changed.insert(id, Change::Apply(object));
                }
            }
            Err(problem) => {
                self.problems_changed |= self.bad.get(&id) != Some(&problem);
                self.bad.insert(id, problem);
            }
        }
    }

    fn note_version(&mut self, id: &ObjectId, version: String) {
        let has_room = self.versions.len() < self.held + CAUSES;
        if !version.is_empty() && (has_room || self.versions.contains_key(id)) {
            self.versions.insert(id.clone(), version.into());
        }
    }

    fn remove(&mut self, id: &ObjectId) {
        self.problems_changed |= self.bad.remove(id).is_some();
        if let Some(object) = self.known.remove(id).and_then(|known| known.object) {
            self.changed.insert(id.clone(), Change::Delete(id.clone()));
            self.rename(Some(&object), None);
        }
    }

    /// Takes in which Secrets an object names now. Those that nobody names any more are forgotten.
    fn rename(&mut self, before: Option<&Object>, after: Option<&Object>) {
        for id in self.names.replace(before, after) {
            self.remove(&id);
        }
    }

    /// Takes in a list: what is listed holds, and what is not listed is gone, unless the list is
    /// incomplete.
    fn reset(&mut self, scope: &Scope, items: Vec<Item>, complete: bool) {
        let mut gone = BTreeSet::new();
        if complete {
            gone.extend(self.known.keys().filter(|id| scope.covers(id)).cloned());
        }
        for item in items {
            gone.remove(&item.id);
            self.set(item);
        }
        gone.iter().for_each(|id| self.remove(id));
        self.names.listed(scope);
        self.note_incomplete(scope, complete);
    }

    fn note_incomplete(&mut self, scope: &Scope, complete: bool) {
        if complete {
            self.problems_changed |= self.incomplete.remove(scope).is_some();
            return;
        }
        let object = Subject::Watch(scope.name().into());
        let message = "objects of the list cannot be identified, so it removes no objects";
        let problem = Problem::error(object, "", Reason::Unreadable, message);
        self.problems_changed |= self.incomplete.insert(scope.clone(), problem).is_none();
    }

    fn problems(&self) -> Vec<Problem> {
        let bad = self.bad.values().chain(self.incomplete.values());
        bad.cloned().collect()
    }
}

#[cfg(test)]
mod tests;
