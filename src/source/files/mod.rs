//! The files source: reads every manifest below one folder, and follows it as it changes.
//!
//! [`watch`] turns notifications into hints ([`mod@hints`]), [`debounce`] decides when a path is
//! read, [`scan`] walks through the folder and reads files, and [`manifest`] parses what a file
//! says, from its [`text`] by its documents ([`document`], [`yaml`]); [`folder_state`] puts the
//! files together and knows what changed, and [`bare`] which Services have no endpoints. [`worker`]
//! is the thread that drives them. Lack of input never shrinks what was said before (invariant 2).

mod bare;
mod debounce;
mod document;
mod folder_state;
mod hints;
mod manifest;
mod scan;
#[cfg(test)]
mod testing;
mod text;
mod watch;
mod worker;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use seaway_translator::diff::Fingerprint;
use seaway_translator::{Change, Object, ObjectId, Problem};

pub(crate) use worker::{Follow, Stop};

/// The absolute path of a folder, whether it is there or not.
///
/// # Errors
///
/// It is empty, or the working directory is gone.
pub(crate) fn locate(folder: &Path) -> anyhow::Result<PathBuf> {
    let absolute =
        std::path::absolute(folder).with_context(|| format!("--files {}", folder.display()))?;
    // Without a slash at the end.
    Ok(absolute.components().collect())
}

/// Makes sure that a located folder can be read.
///
/// # Errors
///
/// It is absent, no folder, or cannot be listed.
pub(crate) fn check(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    scan::identity(folder).with_context(|| format!("--files {shown}"))?;
    std::fs::read_dir(folder).with_context(|| format!("--files {shown}"))?;
    Ok(())
}

/// The objects and problems of a folder that was read once, without following it.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Every object, by kind and name.
    pub(crate) objects: Vec<Object>,
    /// What is wrong with the files themselves.
    pub(crate) problems: Vec<Problem>,
    /// How many manifest files could be read.
    pub(crate) readable: usize,
    /// The hash of each of them, by its path below the folder.
    pub(crate) hashes: BTreeMap<String, u64>,
}

/// Reads the folder that `--files` names once.
///
/// # Errors
///
/// It is absent or no folder, cannot be listed, or has no manifest that can be read.
pub(crate) fn read_given(given: &Path) -> anyhow::Result<Reading> {
    let folder = locate(given)?;
    check(&folder)?;
    let reading = read_once(&folder)?;
    anyhow::ensure!(
        reading.readable > 0,
        "--files {}: no readable *.yaml, *.yml or *.json file below",
        given.display()
    );
    Ok(reading)
}

/// Reads a folder once.
///
/// # Errors
///
/// The folder cannot be listed.
pub(crate) fn read_once(folder: &Path) -> anyhow::Result<Reading> {
    let found = scan::scan(folder).with_context(|| format!("--files {}", folder.display()))?;
    let mut state = folder_state::FolderState::default();
    state.set_folders(&found.failed);
    let mut readable = 0;
    let mut hashes = BTreeMap::new();
    for path in found.files.keys() {
        match scan::read(&folder.join(path)) {
            Ok((_, bytes)) => {
                readable += 1;
                hashes.insert(path.clone(), xxhash_rust::xxh3::xxh3_64(&bytes));
                state.put(path, &bytes);
            }
            Err(error) => state.unreadable(path, error.to_string()),
        }
    }
    Ok(reading(state, readable, hashes))
}

/// Reads a folder once, or a single manifest.
///
/// # Errors
///
/// The folder cannot be listed, or the file cannot be read.
pub(crate) fn read_path_once(path: &Path) -> anyhow::Result<Reading> {
    let place = locate(path)?;
    if !place.is_file() {
        return read_once(&place);
    }
    let shown = path.display();
    let read = scan::read(&place).map_err(anyhow::Error::from);
    let (_, bytes) = read.with_context(|| format!("--files {shown}"))?;
    let mut state = folder_state::FolderState::default();
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    state.put(&name, &bytes);
    Ok(reading(state, 1, BTreeMap::new()))
}

fn reading(
    mut state: folder_state::FolderState,
    readable: usize,
    hashes: BTreeMap<String, u64>,
) -> Reading {
    let update = state.take().unwrap_or_default();
    let applied = |change| match change {
        Change::Apply(object) => Some(object),
        Change::Delete(_) => None,
    };
    let objects = update.changes.into_iter().filter_map(applied).collect();
    Reading {
        objects,
        problems: update.problems.unwrap_or_default(),
        readable,
        hashes,
    }
}

/// Hashes of the texts of the Services and EndpointSlices in these files of a folder. A file that
/// cannot be read says nothing.
pub(crate) fn texts<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<ObjectId, Fingerprint> {
    let mut texts = BTreeMap::new();
    for path in files {
        if let Ok((_, bytes)) = scan::read(&folder.join(path)) {
            for (id, text) in manifest::texts(path, &bytes) {
                texts.entry(id).or_insert(text);
            }
        }
    }
    texts
}

/// Whether Seaway would read a file of this path below a folder.
pub(crate) fn is_manifest(path: &str) -> bool {
    let mut parts = path.split('/');
    let name = parts.next_back().unwrap_or_default();
    scan::is_manifest(name) && !parts.any(|part| part.starts_with('.'))
}

/// The largest manifest file, in bytes.
pub(crate) const MAX_BYTES: u64 = scan::MAX_BYTES;
