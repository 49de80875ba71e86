//! Watches the folder with the system's notifications (inotify on Linux) and reduces them to hints
//! for the files source.
//!
//! They are hints: each leads to a look at the disk, and what the look finds is what counts. Losing
//! one costs time until the next scan, nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::hints::Teller;
use super::scan::{Identity, is_manifest, relative};

/// A notification about the folder, reduced to what the files source does about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// This file is complete: closed by its writer, or renamed into place.
    Saved(PathBuf),
    /// This name is new.
    Created(PathBuf),
    /// Bytes went into this file.
    Writing(PathBuf),
    /// This file, or a folder of this name, is gone.
    Gone(PathBuf),
    /// The whole folder has to be walked through.
    Scan,
    /// A folder appeared. What it held before it was watched went unnoticed.
    Folder,
    /// The watched folder itself was moved, removed or made.
    Root,
    /// Notifications are failing.
    Failed(String),
}

/// Watches `root`, and the name `root` in its parent, and sends hints until the result is dropped.
///
/// # Errors
///
/// The folder cannot be watched.
pub(super) fn watch(root: &Path, teller: Teller) -> notify::Result<Watched> {
    let base = root.to_owned();
    let tell = move |event: notify::Result<notify::Event>| {
        for hint in translate(&base, event) {
            teller.tell(hint);
        }
    };
    // It would follow links that lead to each other in every order.
    let config = notify::Config::default().with_follow_symlinks(false);
    let mut watcher = RecommendedWatcher::new(tell, config)?;
    watcher.watch(root, RecursiveMode::Recursive)?;
    // Only there is it seen that the folder is replaced. A parent that cannot be watched leaves
    // that to the scans.
    if let Some(parent) = root.parent()
        && let Err(error) = watcher.watch(parent, RecursiveMode::NonRecursive)
    {
        tracing::debug!(%error, folder = %parent.display(), "the parent folder is not watched");
    }
    Ok(Watched {
        watcher,
        links: BTreeMap::new(),
        failing: false,
    })
}

/// The running watches on a folder, and on the folders that links below it lead to.
#[derive(Debug)]
pub(super) struct Watched {
    watcher: RecommendedWatcher,
    links: BTreeMap<PathBuf, Identity>,
    failing: bool,
}

impl Watched {
    /// Makes the watched linked folders these and no others. Returns whether a watch is new: what
    /// such a folder held before it was watched may have gone unnoticed.
    ///
    /// # Errors
    ///
    /// One of them cannot be watched. It is tried again at the next call, and the error is returned
    /// once.
    pub(super) fn follow(&mut self, links: &BTreeMap<PathBuf, Identity>) -> notify::Result<bool> {
        let watcher = &mut self.watcher;
        self.links.retain(|link, identity| {
            let stays = links.get(link) == Some(identity);
            if !stays {
                // With what it led to, the watch may have gone.
                let _ = watcher.unwatch(link);
            }
            stays
        });
        let was_failing = std::mem::take(&mut self.failing);
        let mut news = false;
        for (link, identity) in links {
            if self.links.contains_key(link) {
                continue;
            }
            // The slash at the end is what makes it the folder instead of the link.
            let path = link.join("");
            if let Err(error) = self.watcher.watch(&path, RecursiveMode::Recursive) {
                self.failing = true;
                return if was_failing { Ok(news) } else { Err(error) };
            }
            self.links.insert(link.clone(), *identity);
            news = true;
        }
        Ok(news)
    }
}

fn translate(root: &Path, event: notify::Result<notify::Event>) -> Vec<Hint> {
    match event {
        Ok(event) if event.need_rescan() => vec![Hint::Scan],
        Ok(event) => event
            .paths
            .iter()
            .filter_map(|path| hint(root, event.kind, path))
            .collect(),
        Err(error) => vec![Hint::Failed(error.to_string())],
    }
}

fn hint(root: &Path, kind: EventKind, path: &Path) -> Option<Hint> {
    if matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write)) {
        return None;
    }
    if path == root {
        return (!matches!(
            kind,
            EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Data(_))
        ))
        .then_some(Hint::Root);
    }
    let below = path.strip_prefix(root).ok()?;
    let Some(name) = relative(root, path) else {
        // `..data` moving is how a mounted volume changes; other hidden names are nobody's
        // business. Names that are no UTF-8 are reported.
        let matters = below.to_str().is_none_or(|below| below.contains(".."));
        return matters.then_some(Hint::Scan);
    };
    if is_manifest(&name) {
        file(kind, path)
    } else {
        other(kind, path)
    }
}

/// The hint of an event at a name that a manifest would have.
fn file(kind: EventKind, path: &Path) -> Option<Hint> {
    let path = path.to_owned();
    match kind {
        EventKind::Create(_) if path.is_dir() => Some(Hint::Folder),
        EventKind::Create(_) => Some(Hint::Created(path)),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            Some(Hint::Gone(path))
        }
        // The two halves have been told already.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Modify(ModifyKind::Name(_)) if path.is_dir() => Some(Hint::Folder),
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Name(_)) => {
            Some(Hint::Saved(path))
        }
        _ => Some(Hint::Writing(path)),
    }
}

/// The hint of an event at any other name, which matters if it is a folder.
fn other(kind: EventKind, path: &Path) -> Option<Hint> {
    match kind {
        EventKind::Create(CreateKind::Folder) => Some(Hint::Folder),
        EventKind::Create(_)
        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Any)) => {
            path.is_dir().then_some(Hint::Folder)
        }
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            Some(Hint::Gone(path.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, MetadataKind, RemoveKind};

    use super::*;

    #[track_caller]
    fn check(kind: EventKind, path: &str, expected: Option<Hint>) {
        assert_eq!(
            hint(Path::new("/m"), kind, Path::new(path)),
            expected,
            "{kind:?} {path}"
        );
    }

    #[test]
    fn hints_are_about_manifests_folders_and_the_root() {
        let write = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let close = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let to = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let from = EventKind::Modify(ModifyKind::Name(RenameMode::From));
        let web = || PathBuf::from("/m/a/web.yaml");
        check(write, "/m/a/web.yaml", Some(Hint::Writing(web())));
        check(close, "/m/a/web.yaml", Some(Hint::Saved(web())));
        check(to, "/m/a/web.yaml", Some(Hint::Saved(web())));
        check(from, "/m/a/web.yaml", Some(Hint::Gone(web())));
        check(
            EventKind::Create(CreateKind::File),
            "/m/a/web.yaml",
            Some(Hint::Created(web())),
        );
        check(close, "/m/a/.web.yaml.swp", None);
        check(close, "/m/.git/config.yaml", None);
        check(close, "/m/a/4913", None);
        check(to, "/m/..data", Some(Hint::Scan));
        check(close, "/m/..2026/web.yaml", Some(Hint::Scan));
        check(
            EventKind::Create(CreateKind::Folder),
            "/m/b",
            Some(Hint::Folder),
        );
        check(
            EventKind::Remove(RemoveKind::Folder),
            "/m/b",
            Some(Hint::Gone("/m/b".into())),
        );
        check(
            EventKind::Remove(RemoveKind::Folder),
            "/m",
            Some(Hint::Root),
        );
        check(
            EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)),
            "/m",
            None,
        );
        check(EventKind::Create(CreateKind::File), "/other", None);
    }

    #[test]
    fn our_own_reading_is_no_hint() {
        check(
            EventKind::Access(AccessKind::Close(AccessMode::Read)),
            "/m/a.yaml",
            None,
        );
        check(
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            "/m/a.yaml",
            None,
        );
    }
}
