//! The inputs that are compared: where objects are read from, and what is known of their texts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use seaway_translator::diff::Fingerprint;
use seaway_translator::{Object, ObjectId, Problem};
use tempfile::TempDir;

use super::git;
use crate::source::{checkpoint, files};

/// Where the objects of one side come from. More kinds may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A folder of manifests.
    Folder(PathBuf),
    /// A folder of manifests as git has it in a revision.
    Revision {
        /// The folder, which need not be there now.
        folder: PathBuf,
        /// A commit, a tag, a branch.
        revision: String,
    },
    /// The file of a checkpoint.
    Checkpoint(PathBuf),
    /// What running replicas have.
    Live,
    /// What the proxy with this id has.
    Proxy(String),
}

impl Source {
    /// The source that a text names. What is there by that name wins; else `FOLDER@REVISION` is
    /// taken apart at its first `@`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Source> {
        let path = Path::new(text);
        if path.is_dir() {
            let checkpoint = path.join(checkpoint::NAME);
            return Ok(match checkpoint.is_file() {
                true => Source::Checkpoint(checkpoint),
                false => Source::Folder(path.to_owned()),
            });
        }
        if path.exists() {
            return Ok(Source::Checkpoint(path.to_owned()));
        }
        if text == "live" {
            return Ok(Source::Live);
        }
        if let Some(id) = text.strip_prefix("proxy/").filter(|id| !id.is_empty()) {
            return Ok(Source::Proxy(id.to_owned()));
        }
        match text.split_once('@') {
            Some((folder, revision)) if !revision.is_empty() => Ok(Source::Revision {
                folder: Path::new(if folder.is_empty() { "." } else { folder }).to_owned(),
                revision: revision.to_owned(),
            }),
            _ => {
                bail!("{text}: no such folder, and neither FOLDER@REVISION, a checkpoint nor live")
            }
        }
    }
}

/// The objects of a source.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) objects: Vec<Object>,
    pub(super) problems: Vec<Problem>,
    /// Whether objects of kind Secret are never in it.
    pub(super) lacks_secrets: bool,
    /// The folder with its files, and their hashes.
    folder: Option<(PathBuf, BTreeMap<String, u64>)>,
    /// Removes what was written for it.
    _written: Option<TempDir>,
}

impl Loaded {
    /// Reads a source, which is the value of this flag.
    pub(super) fn read(source: &Source, flag: &str) -> anyhow::Result<Loaded> {
        let loaded = match source {
            Source::Folder(folder) => of_folder(folder, None),
            Source::Revision { folder, revision } => {
                git::write_out(folder, revision).and_then(|written| {
                    let path = written.path().to_owned();
                    of_folder(&path, Some(written))
                })
            }
            Source::Checkpoint(file) => checkpoint::look(file).map(|objects| Loaded {
                objects,
                problems: Vec::new(),
                lacks_secrets: true,
                folder: None,
                _written: None,
            }),
            Source::Live => bail!("live is compared with a folder, a revision or a checkpoint"),
            Source::Proxy(id) => {
                bail!("what proxy {id} has is read with --envoy ADDR, and compared with live alone")
            }
        };
        loaded.with_context(|| flag.to_owned())
    }

    /// The folder with the manifests, if there is one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(|(folder, _)| &**folder)
    }

    /// Leaves out all Secrets.
    pub(super) fn drop_secrets(&mut self) {
        let is_kept = |object: &Object| !object.id().kind.is_secret();
        self.objects.retain(is_kept);
    }
}

fn of_folder(folder: &Path, written: Option<TempDir>) -> anyhow::Result<Loaded> {
    let folder = files::locate(folder)?;
    let reading = files::read_once(&folder)?;
    if reading.readable == 0 {
        bail!("no readable *.yaml, *.yml or *.json file below");
    }
    Ok(Loaded {
        objects: reading.objects,
        problems: reading.problems,
        lacks_secrets: false,
        folder: Some((folder, reading.hashes)),
        _written: written,
    })
}

type Texts = BTreeMap<ObjectId, Fingerprint>;

/// What the texts of both sides say, where there are any: only of files that the other side has
/// not in the same words, whatever they are called there.
pub(super) fn texts(old: &Loaded, new: &Loaded) -> (Texts, Texts) {
    let (Some(old), Some(new)) = (&old.folder, &new.folder) else {
        return Default::default();
    };
    let own = |one: &(PathBuf, BTreeMap<String, u64>), other: &BTreeMap<String, u64>| {
        let known: BTreeSet<u64> = other.values().copied().collect();
        let files = one.1.iter().filter(|(_, hash)| !known.contains(hash));
        files::texts(&one.0, files.map(|(path, _)| path.as_str()))
    };
    (own(old, &new.1), own(new, &old.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_wins_over_a_revision() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(folder.path().join("a@b")).unwrap();
        std::fs::create_dir(folder.path().join("kept")).unwrap();
        std::fs::write(folder.path().join("kept").join(checkpoint::NAME), "").unwrap();
        let parsed = |name: &str| Source::parse(&at(name)).unwrap();
        assert_eq!(parsed("a@b"), Source::Folder(at("a@b").into()));
        let file = folder.path().join("kept").join(checkpoint::NAME);
        assert_eq!(parsed("kept"), Source::Checkpoint(file));
        let revision = Source::Revision {
            folder: at("a").into(),
            revision: "main@{1}".to_owned(),
        };
        assert_eq!(parsed("a@main@{1}"), revision);
        let none = Source::parse(&at("a")).unwrap_err();
        assert!(none.to_string().contains("FOLDER@REVISION"), "{none}");
    }
}
