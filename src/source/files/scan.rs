//! Walks through the folder, and reads single files: which manifests there are now, and the bytes
//! of one.
//!
//! Kubernetes mounts a volume as `web.yaml -> ..data/web.yaml` with `..data -> ..2026_01_01_…`:
//! names are followed, except those that begin with a dot, so nothing is read twice and no
//! half-made volume is seen.
//!
//! A folder is looked at once, whatever leads to it: by its own name where it has one, else by the
//! first link in the order of names. Else folders that link to each other would be walked through
//! in every order.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::process::outside;

/// The largest file that is read, in bytes; a larger one is refused whole.
pub(super) const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// How deep folders may be nested.
const MAX_DEPTH: usize = 16;
/// How many manifest files one walk takes in.
const MAX_FILES: usize = 200_000;

/// The metadata by which two states of a file are told apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A folder's device and inode number, by which a replaced folder is told from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    dev: u64,
    ino: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Identity {
        Identity {
            dev: metadata.dev(),
            ino: metadata.ino(),
        }
    }
}

/// The result of one walk through the folder.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The manifest files by their path below the folder.
    pub(super) files: BTreeMap<String, Fingerprint>,
    /// What could not be listed or looked at (empty: the folder as a whole), with the reason.
    /// Nothing below it is known to be gone.
    pub(super) failed: BTreeMap<String, String>,
    /// The folders that were reached by a symbolic link alone.
    pub(super) links: BTreeMap<PathBuf, Identity>,
}

/// Whether Seaway reads a file of this name.
pub(super) fn is_manifest(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    !name.starts_with('.') && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// The path below the folder, as problems have it and files are ordered by. `None`: outside, below
/// a name with a leading dot, or not UTF-8.
pub(super) fn relative(root: &Path, path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.strip_prefix(root).ok()?.components() {
        let Component::Normal(name) = component else {
            return None;
        };
        parts.push(name.to_str()?);
    }
    let hidden = parts.iter().any(|part| part.starts_with('.'));
    (!hidden).then(|| parts.join("/"))
}

/// The identity of the folder at `root`.
///
/// # Errors
///
/// It does not exist, is no folder, or cannot be looked at.
pub(super) fn identity(root: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(root)?;
    if !metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    Ok(Identity::of(&metadata))
}

/// Walks through the folder.
///
/// # Errors
///
/// The folder itself cannot be listed. Trouble further down is in [`Scan::failed`].
pub(super) fn scan(root: &Path) -> io::Result<Scan> {
    let mut walk = Walk {
        seen: HashSet::from([identity(root)?]),
        links: BTreeMap::new(),
        scan: Scan::default(),
    };
    walk.folder(root, "")?;
    while let Some((below, path)) = walk.links.pop_first() {
        let entered = walk.enter(&path, &below);
        walk.check(&below, entered);
    }
    Ok(walk.scan)
}

/// The state of a walk through the folder.
struct Walk {
    /// The folders that have been looked at.
    seen: HashSet<Identity>,
    /// Links to folders. They are followed when everything that is there by its own name has been
    /// seen.
    links: BTreeMap<String, PathBuf>,
    scan: Scan,
}

impl Walk {
    fn folder(&mut self, folder: &Path, below: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let shown = name.to_string_lossy();
            let kind = entry.file_type()?;
            let dull = shown.starts_with('.') || (kind.is_file() && !is_manifest(&shown));
            if dull {
                continue;
            }
            let below = if below.is_empty() {
                shown.to_string()
            } else {
                format!("{below}/{shown}")
            };
            let looked = match name.to_str() {
                Some(_) => self.entry(entry.path(), &below, kind.is_symlink()),
                None => Err(io::Error::other("the name is not UTF-8")),
            };
            self.check(&below, looked);
        }
        Ok(())
    }

    /// Notes an error as a failed path. A path that vanished meanwhile, and a link to nothing, are
    /// no errors.
    fn check(&mut self, below: &str, looked: io::Result<()>) {
        if let Err(error) = looked
            && !is_absent(&error)
        {
            self.scan.failed.insert(below.to_owned(), error.to_string());
        }
    }

    /// Takes in a directory entry: a file of a manifest's name, a folder, or a link to either.
    fn entry(&mut self, path: PathBuf, below: &str, is_link: bool) -> io::Result<()> {
        let metadata = fs::metadata(&path)?;
        if metadata.is_file() && is_manifest(below) {
            self.note(below, &metadata);
        } else if metadata.is_dir() && is_link {
            self.links.insert(below.to_owned(), path);
        } else if metadata.is_dir() && self.seen.insert(Identity::of(&metadata)) {
            check_depth(below)?;
            self.folder(&path, below)?;
        }
        Ok(())
    }

    /// Walks through a folder that a link leads to, unless it has been seen.
    fn enter(&mut self, path: &Path, below: &str) -> io::Result<()> {
        let identity = identity(path)?;
        if self.seen.insert(identity) {
            check_depth(below)?;
            self.scan.links.insert(path.to_owned(), identity);
            self.folder(path, below)?;
        }
        Ok(())
    }

    fn note(&mut self, below: &str, metadata: &Metadata) {
        if self.scan.files.len() < MAX_FILES {
            self.scan
                .files
                .insert(below.to_owned(), fingerprint(metadata));
        } else {
            let reason = format!("more than {MAX_FILES} files");
            self.scan.failed.insert(String::new(), reason);
        }
    }
}

fn check_depth(below: &str) -> io::Result<()> {
    match below.split('/').count() > MAX_DEPTH {
        true => Err(io::Error::other(format!(
            "more than {MAX_DEPTH} folders deep"
        ))),
        false => Ok(()),
    }
}

/// Whether an error says that there is no such file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether an error is the machine's and not the file's (too many open files, no memory, I/O), so
/// that a retry may succeed.
pub(super) fn may_pass(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::IO,
        Errno::STALE,
    ];
    let passes = |errno: Errno| passing.contains(&errno);
    Errno::from_io_error(error).is_some_and(passes)
}

/// Whether a file is below one of these folders.
pub(super) fn is_below_any(file: &str, folders: &BTreeMap<String, String>) -> bool {
    let below = |folder: &str| {
        folder.is_empty()
            || file
                .strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    folders.keys().any(|folder| below(folder))
}

/// Reads a whole file, with what it looked like before the first byte was read.
///
/// # Errors
///
/// The file is absent (see [`is_absent`]), no regular file, too large, or cannot be read.
pub(super) fn read(path: &Path) -> io::Result<(Fingerprint, Vec<u8>)> {
    let (metadata, bytes) = outside::read(path, MAX_BYTES)?;
    Ok((fingerprint(&metadata), bytes))
}

fn fingerprint(metadata: &Metadata) -> Fingerprint {
    Fingerprint {
        dev: metadata.dev(),
        ino: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(root: &Path) -> Vec<String> {
        scan(root).unwrap().files.into_keys().collect()
    }

    #[test]
    fn a_folder_is_looked_at_once_by_its_own_name_if_it_has_one() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("z/inner")).unwrap();
        fs::write(at("z/inner/a.yaml"), "").unwrap();
        fs::write(other.path().join("b.yaml"), "").unwrap();
        symlink("z", at("a")).unwrap();
        symlink("z/inner", at("inner")).unwrap();
        symlink("..", at("z/inner/up")).unwrap();
        symlink(root.path(), at("z/home")).unwrap();
        assert_eq!(names(root.path()), ["z/inner/a.yaml"]);
        symlink(other.path(), at("z/second")).unwrap();
        symlink(other.path(), at("other")).unwrap();
        assert_eq!(names(root.path()), ["other/b.yaml", "z/inner/a.yaml"]);
        let links = scan(root.path()).unwrap().links;
        assert_eq!(links.into_keys().collect::<Vec<_>>(), [at("other")]);
    }

    #[test]
    fn a_volume_of_kubernetes_is_read_by_its_visible_names() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("..2026/below")).unwrap();
        fs::write(at("..2026/a.yaml"), "").unwrap();
        fs::write(at("..2026/below/b.yaml"), "").unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/a.yaml", at("a.yaml")).unwrap();
        symlink("..data/below", at("below")).unwrap();
        assert_eq!(names(root.path()), ["a.yaml", "below/b.yaml"]);
    }
}
