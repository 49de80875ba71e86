//! The files source: every manifest below one folder, followed as it changes. The first step on the way of a change.
//!
//! [`watch`] tells that something happened ([`mod@hints`]), [`settle`] when to believe it, [`scan`] what is on the disk, and [`manifest`]
//! what a file says, from its [`text`] by its documents ([`document`], [`yaml`]); [`world`] puts the files together and knows what became different, and [`bare`]
//! which Services have no endpoints. [`follow`] is the thread that
//! drives them. Lack of input never shrinks what was said before (invariant 2).

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

use std::path::{Path, PathBuf};

use anyhow::Context;
use seaway_translator::{Change, Object, Problem};

pub(crate) use worker::{Follow, Stop};

/// The path by which the folder will be known, whether it is there or not.
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

/// A folder as it is now.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Every object, by kind and name.
    pub(crate) objects: Vec<Object>,
    /// What is wrong with the files themselves.
    pub(crate) problems: Vec<Problem>,
    /// How many manifest files could be read.
    pub(crate) readable: usize,
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
    for path in found.files.keys() {
        match scan::read(&folder.join(path)) {
            Ok((_, bytes)) => {
                readable += 1;
                state.put(path, &bytes);
            }
            Err(error) => state.unreadable(path, error.to_string()),
        }
    }
    let update = state.take().unwrap_or_default();
    let applied = |change| match change {
        Change::Apply(object) => Some(object),
        Change::Delete(_) => None,
    };
    let objects = update.changes.into_iter().filter_map(applied).collect();
    Ok(Reading {
        objects,
        problems: update.problems.unwrap_or_default(),
        readable,
    })
}
