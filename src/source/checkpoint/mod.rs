//! The checkpoint: the last good world, kept on disk (`--checkpoint`), so that a restart while the
//! input is away or broken serves it (xDS rule 148). A source loads it before its first look at its
//! input, and saves a new one when its updates have settled.
//!
//! What is kept is the parsed objects; everything else follows from them. [`mod@format`] is the
//! file's format, [`disk`] replaces the file atomically, [`save`] decides when to write and has the
//! thread that writes, and [`restore`] is a source's side of it. Nothing is written until a source
//! has read its whole input: a good checkpoint is never replaced by less than the whole world.

mod disk;
mod format;
mod restore;
mod save;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use seaway_translator::Object;
use serde::{Deserialize, Serialize};

pub(crate) use disk::NAME;
pub(crate) use restore::SourceCheckpoint;
pub(crate) use save::Keeper;

use crate::admin::health::{Health, moment};
use crate::process::outside;

/// One Kubernetes object in a checkpoint, with the manifest file that describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The path of that file below the folder; `None` where the source has no files.
    pub(crate) file: Option<Arc<str>>,
    /// The object.
    pub(crate) object: Object,
}

impl Entry {
    /// What is kept of an object; nothing of one that holds secrets.
    pub(crate) fn of(file: Option<Arc<str>>, object: &Object) -> Option<Entry> {
        let is_kept = !object.id().kind.is_secret();
        is_kept.then(|| Entry {
            file,
            object: object.clone(),
        })
    }
}

/// The objects of a checkpoint that was read from disk.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its objects, in the order in which they were saved.
    pub(crate) entries: Vec<Entry>,
    /// When the checkpoint was written.
    pub(crate) written: SystemTime,
}

/// What a source starts with when there is a `--checkpoint`: the checkpoint of the last run, and
/// what writes the next.
#[derive(Debug)]
pub(crate) struct Memory {
    /// The checkpoint of the last run, if there is one that can be used.
    pub(crate) found: Option<Loaded>,
    /// Writes checkpoints from now on.
    pub(crate) keeper: Keeper,
    /// How long the source's input may be away at the start before `found` is published.
    pub(crate) grace: Duration,
    /// Where the state "stale" is set while what is served rests on `found` alone.
    pub(crate) health: Health,
}

/// Opens the `--checkpoint` folder for `source`, which names the input (a folder, a cluster) by a
/// text that stays the same from run to run. The folder is made when it is absent. A checkpoint
/// that cannot be used is refused whole, with a line in the log, and stays on disk until a world is
/// saved.
///
/// # Errors
///
/// Nothing can be written to the folder, there is no checkpoint in it, and that is not because the
/// disk is full.
pub(crate) fn open(
    dir: &Path,
    source: &str,
    metrics: &Metrics,
) -> anyhow::Result<(Option<Loaded>, Keeper)> {
    let named = || format!("--checkpoint {}", dir.display());
    let (at, of) = (dir.to_owned(), source.to_owned());
    let work = move || (disk::prepare(&at), disk::load(&at, &of));
    // A disk that hangs is no reason to serve nothing.
    let (prepared, loaded) =
        outside::in_time(dir, work).unwrap_or_else(|error| (Ok(()), Err(error.into())));
    if let Err(error) = prepared {
        let is_there = matches!(loaded, Ok(Some(_)));
        if !is_there && !may_pass(&error) {
            return Err(error).with_context(named);
        }
        metrics.count("write");
        let dir = dir.display();
        tracing::error!(%dir, %error, "no checkpoint can be written now");
    }
    let found = match loaded {
        Ok(found) => found,
        Err(refused) => {
            metrics.count(refused.reason());
            let file = dir.join(NAME);
            let (file, reason) = (file.display(), refused.reason());
            tracing::error!(%file, reason, error = %refused, "the checkpoint is refused; starting without it");
            None
        }
    };
    let body = found.as_ref().map(|found| found.body);
    if let Some(found) = &found {
        metrics.set_written(found.loaded.written, found.bytes);
        let (file, written) = (dir.join(NAME), moment(found.loaded.written));
        let (file, objects) = (file.display(), found.loaded.entries.len());
        tracing::info!(%file, written, objects, "found a checkpoint");
    }
    let writer = save::Writer::new(dir, source, metrics.clone(), body);
    let keeper = Keeper::start(writer).context("starting the thread that writes checkpoints")?;
    Ok((found.map(|found| found.loaded), keeper))
}

/// The objects of a checkpoint file, whatever source it is of, for a command that looks at it. Of
/// an object that several files describe, the first in path order counts.
///
/// # Errors
///
/// It cannot be read, or is no checkpoint of this version.
pub(crate) fn look(file: &Path) -> anyhow::Result<Vec<Object>> {
    let path = file.to_owned();
    let read = outside::in_time(file, move || disk::read(&path, None));
    let found = read.map_err(anyhow::Error::from).and_then(|r| Ok(r?));
    let found = found.with_context(|| format!("the checkpoint {}", file.display()))?;
    let mut entries = found.loaded.entries;
    entries.sort_by(|a, b| a.file.cmp(&b.file));
    let mut known = BTreeSet::new();
    entries.retain(|entry| known.insert(entry.object.id()));
    Ok(entries.into_iter().map(|entry| entry.object).collect())
}

/// Whether this write error may pass by itself: the disk or the quota is full.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// The label `reason` of `checkpoint_errors_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabel {
    reason: &'static str,
}

/// All values of the label `reason`: those of `Refused::reason`, and what happens in writing.
const REASONS: [&str; 7] = [
    "corrupt",
    "format",
    "source",
    "too_large",
    "read",
    "write",
    "panic",
];

/// The checkpoint's metrics: when it was written, its size, its errors. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    written: Gauge,
    bytes: Gauge,
    errors: Family<ErrorLabel, Counter>,
}

impl Metrics {
    /// Registers `checkpoint_timestamp_seconds`, `checkpoint_bytes` and
    /// `checkpoint_errors_total{reason}`.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let help = "When the checkpoint on disk was written, in seconds since 1970; 0 without one";
        registry.register(
            "checkpoint_timestamp_seconds",
            help,
            metrics.written.clone(),
        );
        let help = "The size of the checkpoint on disk";
        registry.register("checkpoint_bytes", help, metrics.bytes.clone());
        let help = "Checkpoints that were refused or could not be written, by reason";
        registry.register("checkpoint_errors", help, metrics.errors.clone());
        for reason in REASONS {
            drop(metrics.errors.get_or_create(&ErrorLabel { reason }));
        }
        metrics
    }

    fn set_written(&self, written: SystemTime, bytes: u64) {
        let since = written.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        self.written.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn count(&self, reason: &'static str) {
        self.errors.get_or_create(&ErrorLabel { reason }).inc();
    }
}

#[cfg(test)]
mod tests;
