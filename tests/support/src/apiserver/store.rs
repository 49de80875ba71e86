//! What the server holds: the objects as they are, and the changes that made them so, from which
//! every earlier state is found.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::Kind;
use super::object::{Key, Object, stamp, time, unchanged};

/// The objects of one kind.
pub(super) type Objects = BTreeMap<Key, Arc<Object>>;

/// The revision before the first write; a real server is never near zero either.
const FIRST: u64 = 1000;

/// What one write did to one object.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    kind: &'static Kind,
    pub(super) before: Option<Arc<Object>>,
    pub(super) after: Option<Arc<Object>>,
}

/// A revision whose state cannot be found any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compacted;

#[derive(Debug)]
pub(super) struct Store {
    revision: u64,
    objects: BTreeMap<&'static Kind, Objects>,
    /// In the order of revisions.
    log: VecDeque<Change>,
    /// The oldest revision whose state is known.
    compacted: u64,
    /// How many changes are kept.
    pub(super) history: usize,
}

impl Store {
    pub(super) fn new(history: usize) -> Self {
        Self {
            revision: FIRST,
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            compacted: FIRST,
            history,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The revision of a watch cache that is so many revisions behind, but not behind `least`.
    pub(super) fn cached(&self, lag: u64, least: u64) -> u64 {
        let cached = self.revision.saturating_sub(lag);
        cached.max(least).max(self.compacted)
    }

    pub(super) fn get(&self, kind: &'static Kind, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(kind)?.get(key)
    }

    pub(super) fn all(&self, kind: &'static Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.objects
            .get(kind)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// Writes a whole object. One that is being deleted goes when its last finalizer does.
    pub(super) fn put(
        &mut self,
        kind: &'static Kind,
        key: &Key,
        value: Value,
        manager: &str,
    ) -> Arc<Object> {
        let before = self.get(kind, key).cloned();
        let old = before.as_ref().map(|before| before.value());
        let revision = self.revision + 1;
        let value = stamp(kind, key, value, old.as_ref(), revision, manager);
        if let (Some(before), Some(old)) = (&before, &old)
            && unchanged(old, &value)
        {
            return before.clone();
        }
        let leaving = !value["metadata"]["deletionTimestamp"].is_null();
        let ends = leaving && !has_finalizers(&value);
        let after = Arc::new(Object::new(kind, key.clone(), revision, value));
        self.commit(kind, key, before, (!ends).then(|| after.clone()));
        after
    }

    /// Deletes an object; with finalizers it is only marked.
    pub(super) fn delete(&mut self, kind: &'static Kind, key: &Key) -> Option<Arc<Object>> {
        let before = self.get(kind, key)?.clone();
        let mut value = before.value();
        if has_finalizers(&value) {
            if value["metadata"]["deletionTimestamp"].is_null() {
                value["metadata"]["deletionTimestamp"] = time(self.revision + 1).into();
                value["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            }
            return Some(self.put(kind, key, value, "kube-apiserver"));
        }
        let gone = Arc::new(before.at(self.revision + 1));
        self.commit(kind, key, Some(before), None);
        Some(gone)
    }

    /// Forgets the objects of a kind, as if none had ever been: nothing is told of them.
    pub(super) fn forget(&mut self, kind: &'static Kind) {
        self.revision += 1;
        self.objects.remove(kind);
        self.log.retain(|change| change.kind != kind);
    }

    /// A change of something that nobody here can see.
    pub(super) fn advance(&mut self, revisions: u64) {
        self.revision += revisions;
    }

    fn commit(
        &mut self,
        kind: &'static Kind,
        key: &Key,
        before: Option<Arc<Object>>,
        after: Option<Arc<Object>>,
    ) {
        self.revision += 1;
        let objects = self.objects.entry(kind).or_default();
        match &after {
            Some(after) => objects.insert(key.clone(), after.clone()),
            None => objects.remove(key),
        };
        self.log.push_back(Change {
            revision: self.revision,
            kind,
            before,
            after,
        });
        self.trim();
    }

    /// Forgets the changes that are too many.
    pub(super) fn trim(&mut self) {
        while self.log.len() > self.history {
            if let Some(change) = self.log.pop_front() {
                self.compacted = change.revision;
            }
        }
    }

    /// Forgets every state but the present one.
    pub(super) fn compact(&mut self) {
        self.compacted = self.revision;
        self.log.clear();
    }

    /// The oldest revision that can be asked for.
    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// What changed of a kind after a revision, which may lie in the future.
    pub(super) fn since(
        &self,
        kind: &'static Kind,
        revision: u64,
    ) -> Result<impl Iterator<Item = &Change>, Compacted> {
        if revision < self.compacted {
            return Err(Compacted);
        }
        let from = self
            .log
            .partition_point(|change| change.revision <= revision);
        Ok(self
            .log
            .range(from..)
            .filter(move |change| change.kind == kind))
    }

    /// The objects of a kind as they were at a revision.
    pub(super) fn at(&self, kind: &'static Kind, revision: u64) -> Result<Objects, Compacted> {
        let mut objects = self.objects.get(kind).cloned().unwrap_or_default();
        let changes: Vec<_> = self.since(kind, revision)?.collect();
        for change in changes.into_iter().rev() {
            match (&change.before, &change.after) {
                (Some(before), _) => objects.insert(before.key.clone(), before.clone()),
                (None, Some(after)) => objects.remove(&after.key),
                (None, None) => None,
            };
        }
        Ok(objects)
    }

    /// Goes back to an earlier state, as a cluster does that is restored from a backup: revisions
    /// are given a second time.
    pub(super) fn restore(&mut self, revision: u64) -> Result<(), Compacted> {
        for kind in Kind::all() {
            let objects = self.at(kind, revision)?;
            self.objects.insert(kind, objects);
        }
        self.revision = revision;
        self.log.retain(|change| change.revision <= revision);
        Ok(())
    }
}

fn has_finalizers(value: &Value) -> bool {
    let finalizers = value["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}
