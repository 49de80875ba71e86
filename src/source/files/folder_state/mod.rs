//! The objects that all files of a folder describe together: takes file contents, gives an
//! [`Update`]. It uses neither disk nor clock.
//!
//! Two rules decide everything. Input that cannot be understood never takes away what was
//! understood before (invariant 2), and of two files that claim one object the first in path order
//! has it, until it lets go.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use seaway_translator::{Change, Object, ObjectId, Problem, Reason, Severity, Subject};

use super::bare::Bare;
use super::manifest::{self, Manifest, Unread};
use super::scan::is_manifest;
use crate::source::Update;
use crate::source::checkpoint::Entry;

/// What is known of every file below the folder, and which file's version of an object counts.
#[derive(Debug, Default)]
pub(super) struct FolderState {
    files: BTreeMap<Arc<str>, FileState>,
    /// The files that describe an object. The first one in path order counts.
    claims: BTreeMap<ObjectId, BTreeSet<Arc<str>>>,
    /// The objects as the writer was last told of them.
    told: BTreeMap<ObjectId, Object>,
    /// The Services without EndpointSlices.
    bare: Bare,
    /// Objects whose claims changed since the last update.
    dirty: BTreeSet<ObjectId>,
    /// Objects with more than one claim.
    contested: BTreeSet<ObjectId>,
    /// Files with problems.
    troubled: BTreeSet<Arc<str>>,
    /// Folders that cannot be read, by path, each with its problem.
    folders: BTreeMap<String, Problem>,
    problems_changed: bool,
}

/// What one file said when it was last read.
#[derive(Debug, Default)]
struct FileState {
    /// The hash of the bytes last read; `None` if the file was never read.
    hash: Option<u64>,
    objects: BTreeMap<ObjectId, Object>,
    unread: Unread,
    problems: Vec<Problem>,
    /// Why the file cannot be read now.
    unreadable: Option<Problem>,
}

impl FolderState {
    /// Takes in the objects of a checkpoint, each as a part of the file that it came from.
    pub(super) fn seed(&mut self, entries: Vec<Entry>) {
        let mut manifests: BTreeMap<Arc<str>, Manifest> = BTreeMap::new();
        for entry in entries {
            if let Some(file) = entry.file {
                manifests
                    .entry(file)
                    .or_default()
                    .objects
                    .push(entry.object);
            }
        }
        for (path, manifest) in manifests {
            self.files.entry(path.clone()).or_default();
            self.replace(&path, manifest);
        }
    }

    /// The objects to put in a checkpoint, for [`FolderState::seed`]: every object of every file,
    /// also where another file's version counts.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let of = |(path, file): (&Arc<str>, &FileState)| -> Vec<Entry> {
            let entry = |object| Entry::of(Some(path.clone()), object);
            file.objects.values().filter_map(entry).collect()
        };
        self.files.iter().flat_map(of).collect()
    }

    /// Whether an object names a Secret that no file has.
    pub(super) fn lacks_secrets(&self) -> bool {
        let objects = self.files.values().flat_map(|file| file.objects.values());
        let mut secrets = objects.flat_map(Object::secrets);
        secrets.any(|id| !self.claims.contains_key(&id))
    }

    /// Takes in the bytes of a file. Returns how many of its parts could not be understood; 0 if
    /// the bytes are known.
    pub(super) fn put(&mut self, path: &str, bytes: &[u8]) -> usize {
        let path = self.key(path);
        let hash = xxhash_rust::xxh3::xxh3_64(bytes);
        let file = self.files.entry(path.clone()).or_default();
        if file.unreadable.take().is_some() {
            self.problems_changed = true;
        }
        if file.hash == Some(hash) {
            self.note_trouble(&path);
            return 0;
        }
        file.hash = Some(hash);
        let manifest = manifest::parse(&path, bytes);
        let errors = manifest
            .problems
            .iter()
            .filter(|p| p.severity == Severity::Error)
            .count();
        self.replace(&path, manifest);
        errors
    }

    /// Notes that a file cannot be read; its objects stay.
    pub(super) fn unreadable(&mut self, path: &str, reason: String) {
        let path = self.key(path);
        let problem = Problem::error(Subject::File(path.clone()), "", Reason::Unreadable, reason);
        let file = self.files.entry(path.clone()).or_default();
        if file.unreadable.as_ref() != Some(&problem) {
            file.unreadable = Some(problem);
            self.problems_changed = true;
            self.note_trouble(&path);
        }
    }

    /// Removes a file and the objects that it described.
    pub(super) fn remove(&mut self, path: &str) {
        let path = self.key(path);
        if self.files.contains_key(&path) {
            self.replace(&path, Manifest::default());
            self.files.remove(&path);
            self.troubled.remove(&path);
            self.problems_changed = true;
        }
    }

    /// Replaces the set of folders that cannot be read, each with its reason.
    pub(super) fn set_folders(&mut self, failed: &BTreeMap<String, String>) {
        let problem = |(path, reason): (&String, &String)| {
            let object = match path.as_str() {
                "" => Subject::Folder(".".into()),
                file if is_manifest(file) => Subject::File(file.into()),
                folder => Subject::Folder(folder.into()),
            };
            (
                path.clone(),
                Problem::error(object, "", Reason::Unreadable, reason),
            )
        };
        let folders: BTreeMap<_, _> = failed.iter().map(problem).collect();
        self.problems_changed |= folders != self.folders;
        self.folders = folders;
    }

    /// Why the folder as a whole cannot be read, if so.
    pub(super) fn folder_problem(&self) -> Option<&str> {
        self.folders.get("").map(|problem| problem.message.as_str())
    }

    /// The known files at `path` or below it.
    pub(super) fn below(&self, path: &str) -> Vec<Arc<str>> {
        let inside = |file: &str| {
            file.strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let from = self
            .files
            .range::<str, _>((Bound::Included(path), Bound::Unbounded));
        from.map(|(file, _)| file)
            .take_while(|file| file.starts_with(path))
            .filter(|file| inside(file))
            .cloned()
            .collect()
    }

    /// All known files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Arc<str>> {
        self.files.keys()
    }

    /// Whether the file describes any object.
    pub(super) fn gives(&self, path: &str) -> bool {
        self.files
            .get(path)
            .is_some_and(|file| !file.objects.is_empty())
    }

    /// What changed since the last call, as an update for the writer; `None` if nothing did.
    pub(super) fn take(&mut self) -> Option<Update> {
        if self.dirty.is_empty() && !self.problems_changed {
            return None;
        }
        let dirty = std::mem::take(&mut self.dirty);
        let changes = dirty.into_iter().filter_map(|id| self.change(id)).collect();
        let problems_changed = std::mem::take(&mut self.problems_changed);
        Some(Update {
            changes,
            problems: problems_changed.then(|| self.problems()),
            synced: true,
            ..Update::default()
        })
    }

    /// The change of one object since the writer was last told of it.
    fn change(&mut self, id: ObjectId) -> Option<Change> {
        let path = self.claims.get(&id).and_then(BTreeSet::first);
        let now = path.and_then(|path| self.files.get(path)?.objects.get(&id));
        let before = self.told.get(&id);
        if before != now {
            self.problems_changed |= self.bare.told(before, now);
        }
        match now {
            Some(now) if before == Some(now) => None,
            Some(now) => {
                self.told.insert(id, now.clone());
                Some(Change::Apply(now.clone()))
            }
            None => self.told.remove(&id).map(|_| Change::Delete(id)),
        }
    }

    /// All problems of the files and the folder, sorted.
    fn problems(&self) -> Vec<Problem> {
        let troubled = self.troubled.iter().filter_map(|path| self.files.get(path));
        let of_files = troubled
            .flat_map(|file| file.problems.iter().chain(&file.unreadable))
            .cloned();
        let contested = self.contested.iter().flat_map(|id| self.contest(id));
        let mut problems: Vec<_> = of_files
            .chain(contested)
            .chain(self.bare.problems())
            .chain(self.folders.values().cloned())
            .collect();
        problems.sort();
        problems
    }

    /// One warning for every file whose version of `id` does not count.
    fn contest(&self, id: &ObjectId) -> Vec<Problem> {
        let mut claims = self.claims.get(id).into_iter().flatten();
        let Some(winner) = claims.next() else {
            return Vec::new();
        };
        let warning = |loser: &Arc<str>| {
            let message = format!("{winner} and {loser} both define it; {winner} is used");
            Problem::warning(id, "", Reason::DuplicateObject, message)
        };
        claims.map(warning).collect()
    }

    fn replace(&mut self, path: &Arc<str>, manifest: Manifest) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        let Manifest {
            objects,
            damaged,
            opaque,
            unread,
            problems,
        } = manifest;
        let mut after: BTreeMap<_, _> = objects
            .into_iter()
            .map(|object| (object.id(), object))
            .collect();
        let before = std::mem::take(&mut file.objects);
        for (id, object) in &before {
            match after.get_mut(id) {
                // Of what is the same, the copy that everybody has is kept.
                Some(same) if same == object => *same = object.clone(),
                Some(_) => {}
                None if opaque || damaged.contains(id) => {
                    drop(after.insert(id.clone(), object.clone()));
                }
                None => {}
            }
        }
        let gone: Vec<_> = before
            .keys()
            .filter(|id| !after.contains_key(*id))
            .cloned()
            .collect();
        let touched: Vec<_> = after
            .iter()
            .filter(|(id, object)| before.get(*id) != Some(object))
            .map(|(id, _)| id.clone())
            .collect();
        self.problems_changed |= file.problems != problems || file.unread != unread;
        self.bare.set_unread(path, &file.unread, &unread);
        (file.objects, file.unread, file.problems) = (after, unread, problems);
        gone.into_iter().for_each(|id| self.unclaim(id, path));
        touched.into_iter().for_each(|id| self.claim(id, path));
        self.note_trouble(path);
    }

    fn claim(&mut self, id: ObjectId, path: &Arc<str>) {
        let claims = self.claims.entry(id.clone()).or_default();
        if claims.insert(path.clone()) && claims.len() > 1 {
            self.contested.insert(id.clone());
            self.problems_changed = true;
        }
        self.dirty.insert(id);
    }

    fn unclaim(&mut self, id: ObjectId, path: &Arc<str>) {
        if let Some(claims) = self.claims.get_mut(&id) {
            claims.remove(path);
            self.problems_changed |= self.contested.contains(&id);
            if claims.len() < 2 {
                self.contested.remove(&id);
            }
            if claims.is_empty() {
                self.claims.remove(&id);
            }
        }
        self.dirty.insert(id);
    }

    fn note_trouble(&mut self, path: &Arc<str>) {
        let file = self.files.get(path);
        if file.is_some_and(|file| !file.problems.is_empty() || file.unreadable.is_some()) {
            self.troubled.insert(path.clone());
        } else {
            self.troubled.remove(path);
        }
    }

    fn key(&self, path: &str) -> Arc<str> {
        self.files
            .get_key_value(path)
            .map_or_else(|| Arc::from(path), |(key, _)| key.clone())
    }
}

#[cfg(test)]
mod tests;
