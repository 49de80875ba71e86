//! The objects of the cluster as they were last seen: takes what the watches report, gives an
//! [`Update`].
//!
//! An object that cannot be read keeps its last good version, and a problem says so (invariants 2
//! and 3). Reports that change nothing end here: a heartbeat of a Node, a status that is not used,
//! a list read anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_translator::{Change, Object, ObjectId, ObjectKind, Problem, Reason, Subject};

use super::cursor::News;
use super::resource::Item;
use crate::source::Update;

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
    /// The objects whose current version cannot be used, each with the reason.
    bad: BTreeMap<ObjectId, Problem>,
    /// The watches whose last list held objects that could not be identified.
    incomplete: BTreeMap<Scope, Problem>,
    problems_changed: bool,
}

impl ClusterState {
    /// Takes in the objects of a checkpoint, to be confirmed or corrected by the watches.
    pub(super) fn seed(&mut self, objects: impl IntoIterator<Item = Object>) {
        for object in objects {
            self.set(object.id(), Box::default(), Ok(object));
        }
    }

    /// Takes in what a watch reports.
    pub(super) fn hear(&mut self, scope: &Scope, news: News) {
        match news {
            News::Apply(item) => self.set(item.id, item.uid, item.content),
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

    /// What changed since the last call, as an update for the writer; `None` if nothing did.
    pub(super) fn take(&mut self) -> Option<Update> {
        let problems_changed = std::mem::take(&mut self.problems_changed);
        if self.changed.is_empty() && !problems_changed {
            return None;
        }
        Some(Update {
            changes: std::mem::take(&mut self.changed).into_values().collect(),
            problems: problems_changed.then(|| self.problems()),
            synced: true,
        })
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

    fn set(&mut self, id: ObjectId, uid: Box<str>, content: Result<Object, Problem>) {
        let known = self.known.entry(id.clone()).or_default();
        known.uid = uid;
        match content {
            Ok(object) => {
                self.problems_changed |= self.bad.remove(&id).is_some();
                if known.object.as_ref() != Some(&object) {
                    known.object = Some(object.clone());
                    self.changed.insert(id, Change::Apply(object));
                }
            }
            Err(problem) => {
                self.problems_changed |= self.bad.get(&id) != Some(&problem);
                self.bad.insert(id, problem);
            }
        }
    }

    fn remove(&mut self, id: &ObjectId) {
        self.problems_changed |= self.bad.remove(id).is_some();
        let known = self.known.remove(id);
        if known.is_some_and(|known| known.object.is_some()) {
            self.changed.insert(id.clone(), Change::Delete(id.clone()));
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
            self.set(item.id, item.uid, item.content);
        }
        gone.iter().for_each(|id| self.remove(id));
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
