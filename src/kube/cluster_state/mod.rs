//! The cluster as it was last seen: what the watches say goes in, what became different comes out.
//!
//! An object that cannot be read keeps its last good version, and a problem says so (invariants 2 and 3). What is told twice is
//! told once: a heartbeat of a Node, a status nobody looks at, a list read anew end here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_translator::{Change, Object, ObjectId, Problem, Reason, Subject};

use super::cursor::News;
use super::resource::{Item, Resource};
use crate::source::Update;

/// The part of the cluster that one watch speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub resource: Resource,
    /// All namespaces if there is none.
    pub namespace: Option<Arc<str>>,
}

impl Scope {
    /// As people call it: `services`, `services in shop`.
    pub(super) fn name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in {namespace}", self.resource.name()),
            None => self.resource.name().to_owned(),
        }
    }

    /// Whether the object is in it.
    pub(super) fn covers(&self, id: &ObjectId) -> bool {
        id.kind == self.resource.kind()
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == id.namespace)
    }
}

/// What is known of an object.
#[derive(Debug, Default)]
struct Known {
    /// Its last good version.
    object: Option<Object>,
    /// What an Event about it has to name.
    uid: Box<str>,
}

/// Everything the watches have said.
#[derive(Debug, Default)]
pub(super) struct ClusterState {
    known: BTreeMap<ObjectId, Known>,
    changed: BTreeMap<ObjectId, Change>,
    /// Why what an object says now cannot be used.
    bad: BTreeMap<ObjectId, Problem>,
    /// The watches whose last list held objects that could not be identified.
    incomplete: BTreeMap<Scope, Problem>,
    problems_changed: bool,
}

impl ClusterState {
    /// A world as it was left, to be confirmed or corrected by the watches.
    pub(super) fn seed(&mut self, objects: impl IntoIterator<Item = Object>) {
        for object in objects {
            self.set(object.id(), Box::default(), Ok(object));
        }
    }

    /// Takes in what a watch says.
    pub(super) fn hear(&mut self, scope: &Scope, news: News) {
        match news {
            News::Apply(item) => self.set(item.id, item.uid, item.content),
            News::Delete(id) => self.remove(&id),
            News::Reset { items, complete } => self.reset(scope, items, complete),
        }
    }

    /// What became different since the last time, if anything did.
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

    /// The `uid` of an object that exists.
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

    /// Everything at once: what is listed holds, and what is not listed is gone, unless the list is not all there is.
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
        let message = "the list holds objects without a name; nothing is removed on its word";
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
