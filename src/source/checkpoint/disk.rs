//! Reads and replaces the checkpoint file on disk, crash-safe: a reader finds the old file or the
//! new one, never a part.
//!
//! A new one is written to a temporary file, synced, and renamed over the one before; then the
//! folder is synced.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::SystemTime;

use tempfile::NamedTempFile;

use super::Entry;
use super::format::{self, Found, MAX_BYTES, Refused};
use crate::process::outside;

/// The checkpoint file's name in the `--checkpoint` folder.
pub(crate) const NAME: &str = "checkpoint.jsonl";
/// Temporary files have names that begin with this and end with [`SUFFIX`].
const PREFIX: &str = ".checkpoint-";
const SUFFIX: &str = ".tmp";
/// Bytes written at a time.
const BUFFER: usize = 256 * 1024;

/// Makes the `--checkpoint` folder and makes sure that it can be written to. Temporary files that a
/// killed process left behind are removed.
///
/// # Errors
///
/// It is no folder, or no file can be made in it.
pub(super) fn prepare(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    create(dir)?.close()?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            clear_away(&entry.path());
        }
    }
    Ok(())
}

/// Removes a temporary file, unless another process holds its lock.
fn clear_away(path: &Path) {
    let abandoned = outside::open(path, u64::MAX).is_ok_and(|(file, _)| file.try_lock().is_ok());
    if abandoned && let Err(error) = fs::remove_file(path) {
        tracing::warn!(file = %path.display(), %error, "a partly written checkpoint cannot be removed");
    }
}

/// Makes a locked temporary file with a unique name, readable by this user alone.
fn create(dir: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let file = builder.prefix(PREFIX).suffix(SUFFIX).tempfile_in(dir)?;
    // Where there are no locks, nobody's half-written files are cleared away.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Reads the checkpoint of `source`; `None` when there is none.
///
/// # Errors
///
/// There is one that cannot be used.
pub(super) fn load(dir: &Path, source: &str) -> Result<Option<Found>, Refused> {
    match read(&dir.join(NAME), Some(source)) {
        Err(Refused::Read(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Reads a checkpoint file, of one source or of any.
///
/// # Errors
///
/// There is none, or it cannot be used.
pub(super) fn read(file: &Path, source: Option<&str>) -> Result<Found, Refused> {
    let (file, metadata) = outside::open(file, u64::MAX)?;
    let bytes = metadata.len();
    if bytes > MAX_BYTES {
        return Err(Refused::TooLarge(bytes));
    }
    // It may grow while it is read.
    let file = file.take(MAX_BYTES);
    format::read(BufReader::with_capacity(BUFFER, file), source)
}

/// Replaces the checkpoint; returns its size in bytes.
///
/// # Errors
///
/// It cannot be written. The one before stays, unless only syncing the folder failed.
pub(super) fn store(
    dir: &Path,
    source: &str,
    written: SystemTime,
    entries: &[Entry],
) -> io::Result<u64> {
    let file = create(dir)?;
    let mut out = BufWriter::with_capacity(BUFFER, file.as_file());
    let bytes = format::write(&mut out, source, written, entries, MAX_BYTES)?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist(dir.join(NAME)).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()?;
    Ok(bytes)
}

/// Whether the folder has a checkpoint file.
pub(super) fn exists(dir: &Path) -> bool {
    dir.join(NAME).exists()
}
