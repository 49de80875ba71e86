//! The folder as the file system shows it now: which files there are, and the bytes of one.
//!
//! Kubernetes mounts a volume as `web.yaml -> ..data/web.yaml` with `..data -> ..2026_01_01_…`: names are followed,
//! except those that begin with a dot, so nothing is read twice and no half-made volume is seen.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

/// A file that holds more is refused whole.
pub(super) const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// Folders below folders, symbolic links included.
const MAX_DEPTH: usize = 16;
/// Manifest files below one folder.
const MAX_FILES: usize = 200_000;

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Which folder the name stands for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// One walk through the folder.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The manifest files by their path below the folder.
    pub(super) files: BTreeMap<String, Fingerprint>,
    /// What could not be listed or looked at (empty: the folder as a whole), with the reason. Nothing below it is known to
    /// be gone.
    pub(super) failed: BTreeMap<String, String>,
}

/// Whether Seaway reads a file of this name.
pub(super) fn is_manifest(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    !name.starts_with('.') && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// The path below the folder, as problems and order use it. `None`: outside, or below a name with a leading dot.
pub(super) fn relative(root: &Path, path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.strip_prefix(root).ok()?.components() {
        let Component::Normal(name) = component else {
            return None;
        };
        parts.push(name.to_string_lossy());
    }
    let hidden = parts.iter().any(|part| part.starts_with('.'));
    (!hidden).then(|| parts.join("/"))
}

/// Which folder `root` is now.
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
        inside: vec![identity(root)?],
        scan: Scan::default(),
    };
    walk.folder(root, "")?;
    Ok(walk.scan)
}

struct Walk {
    /// The folders the walk is in, by which a link back to one of them is known.
    inside: Vec<Identity>,
    scan: Scan,
}

impl Walk {
    fn folder(&mut self, folder: &Path, below: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let dull =
                name.starts_with('.') || (entry.file_type()?.is_file() && !is_manifest(&name));
            if dull {
                continue;
            }
            let below = if below.is_empty() {
                name.to_string()
            } else {
                format!("{below}/{name}")
            };
            if let Err(error) = self.entry(&entry.path(), &below) {
                // What vanished meanwhile, and a link to nothing, is not there.
                if !is_absent(&error) {
                    self.scan.failed.insert(below, error.to_string());
                }
            }
        }
        Ok(())
    }

    /// A folder, a file of a manifest's name, or a link to anything.
    fn entry(&mut self, path: &Path, below: &str) -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            self.enter(path, below, Identity::of(&metadata))?;
        } else if metadata.is_file() && is_manifest(below) {
            self.note(below, &metadata);
        }
        Ok(())
    }

    fn enter(&mut self, path: &Path, below: &str, identity: Identity) -> io::Result<()> {
        if self.inside.contains(&identity) {
            return Ok(());
        }
        if self.inside.len() > MAX_DEPTH {
            return Err(io::Error::other(format!(
                "more than {MAX_DEPTH} folders deep"
            )));
        }
        self.inside.push(identity);
        let result = self.folder(path, below);
        self.inside.pop();
        result
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

/// Whether an error says that there is no such file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Reads a whole file, with what it looked like before the first byte was read.
///
/// # Errors
///
/// The file is absent (see [`is_absent`]), no plain file, too large, or cannot be read.
pub(super) fn read(path: &Path) -> io::Result<(Fingerprint, Vec<u8>)> {
    let too_large = || {
        let limit = MAX_BYTES / 1024 / 1024;
        io::Error::other(format!("larger than {limit} MiB"))
    };
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > MAX_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // It may grow while it is read.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
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
