//! The thread that follows a folder: it waits for hints, reads the disk, and sends updates to the
//! writer.
//!
//! It owns everything it uses and shares nothing; a panic in it ends the process, because its
//! caller waits for it. Decisions are made in [`super::debounce`] and [`super::folder_state`]; here
//! is only the order of doing things, and in [`folder`] what is done about the folder as a whole.

mod folder;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc as async_mpsc;

use super::debounce::{Debounce, Why};
use super::folder_state::FolderState;
use super::hints::{Listener, Next, ROOM, Teller, hints};
use super::scan::{self, Fingerprint, Identity, Scan};
use super::watch::{self, Hint};
use crate::source::Update;
use crate::source::checkpoint::{Memory, SourceCheckpoint};

/// How often the folder is walked through whether or not there was a hint.
const RESCAN: Duration = Duration::from_secs(10);
/// How often it is walked through while it is away or cannot be watched.
const RETRY: Duration = Duration::from_millis(500);
/// How long a folder that came back must be quiet before what it lacks counts as gone.
const REFILL: Duration = Duration::from_secs(1);

/// Ends the thread that follows a folder when dropped.
#[derive(Debug)]
pub(crate) struct Stop(Teller);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The files source: follows one folder and sends its changes to the writer, on a thread of its
/// own.
pub(crate) struct Follow {
    root: PathBuf,
    updates: async_mpsc::Sender<Update>,
    errors: Counter,
    teller: Teller,
    hints: Listener,
    state: FolderState,
    debounce: Debounce,
    /// What each known file looked like when it was read.
    seen: BTreeMap<String, Fingerprint>,
    /// The folder that was last found at `root`, with the watches on it, if they could be made.
    watched: Option<(Identity, Option<watch::Watched>)>,
    /// Set while the folder is away, or came back less than [`REFILL`] ago: files that are missing
    /// are not believed to be gone.
    refill: Option<Instant>,
    /// The folder could not be read at the last walk, and the log says so.
    away: bool,
    next_scan: Instant,
    told: bool,
    /// The last update said that Secrets have yet to be read.
    awaits_secrets: bool,
    /// When the first hint came since the writer was told.
    heard: Option<Instant>,
    /// The checkpoint, if there is one.
    kept: Option<SourceCheckpoint>,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Follow {
    /// Prepares to follow `root`, counting what cannot be read in `errors`. The objects of a
    /// checkpoint in `memory` count as read from their files.
    pub(crate) fn new(
        root: PathBuf,
        updates: async_mpsc::Sender<Update>,
        errors: Counter,
        memory: Option<Memory>,
    ) -> (Follow, Stop) {
        let (teller, hints) = hints();
        let stop = Stop(teller.clone());
        let now = Instant::now();
        let mut state = FolderState::default();
        let mut kept = memory.map(|memory| SourceCheckpoint::new("files", memory));
        let loaded = kept.as_mut().and_then(SourceCheckpoint::take_loaded);
        // Whether this is the folder of then nobody knows: it is one that comes back.
        let refill = loaded.is_some().then_some(now);
        state.seed(loaded.unwrap_or_default());
        let follow = Follow {
            root,
            updates,
            errors,
            teller,
            hints,
            state,
            debounce: Debounce::default(),
            seen: BTreeMap::new(),
            watched: None,
            refill,
            away: false,
            next_scan: now,
            told: false,
            awaits_secrets: false,
            heard: None,
            kept,
        };
        (follow, stop)
    }

    /// Follows the folder until stopped, or until the receiver of updates is dropped. Blocks.
    pub(crate) fn run(mut self) {
        self.follow();
        if let Some(kept) = self.kept {
            kept.finish(|| self.state.entries());
        }
    }

    fn follow(&mut self) {
        loop {
            let now = Instant::now();
            if now >= self.next_scan || self.debounce.take_scan(now) {
                self.scan(now);
            }
            self.look(now);
            if !self.tell() {
                return;
            }
            let kept = self.kept.as_ref().and_then(SourceCheckpoint::next);
            let moments = [self.debounce.next(), kept].into_iter().flatten();
            let due = moments.fold(self.next_scan, Instant::min);
            let mut wait = due.saturating_duration_since(Instant::now());
            // As many as there may be, and then a look at what is due.
            for _ in 0..ROOM {
                match self.hints.next(wait) {
                    Next::Hint(hint) => self.hear(hint),
                    Next::Nothing => break,
                    Next::Stop => return,
                }
                wait = Duration::ZERO;
            }
        }
    }

    /// Sends the writer an update if anything changed, and saves a due checkpoint. `false`: the
    /// receiver is dropped.
    fn tell(&mut self) -> bool {
        let now = Instant::now();
        if !self.told && !self.may_tell(now) {
            return !self.updates.is_closed();
        }
        let awaits_secrets = self.lacks_secrets();
        let told = self.told && awaits_secrets == self.awaits_secrets;
        let update = Update::or_first(self.state.take(), told);
        let news = update.is_some();
        (self.told, self.awaits_secrets) = (true, awaits_secrets);
        let heard = match update {
            Some(update) => {
                let update = Update {
                    since: self.heard.take().or(Some(now)),
                    awaits_secrets,
                    ..update
                };
                self.updates.blocking_send(update).is_ok()
            }
            None => !self.updates.is_closed(),
        };
        if let Some(kept) = &mut self.kept {
            kept.told(|| self.state.entries(), news, now);
        }
        heard
    }

    /// Whether Secrets may be missing because the checkpoint has none, and not all files that had
    /// some have been read.
    fn lacks_secrets(&self) -> bool {
        let is_partial = self.kept.is_some() && self.refill.is_some();
        is_partial && self.state.lacks_secrets()
    }

    /// Whether a first update may be sent: a folder that was never seen is no world, not even an
    /// empty one, unless its checkpoint stands in for it (invariant 1).
    fn may_tell(&mut self, now: Instant) -> bool {
        match &mut self.kept {
            Some(kept) if kept.stands_in() => kept.may_tell(now, || {
                let unread = || of_root(&self.root, "not read yet");
                let reason = self.state.folder_problem();
                reason.map_or_else(unread, str::to_owned)
            }),
            _ => self.watched.is_some(),
        }
    }

    fn hear(&mut self, hint: Hint) {
        let now = Instant::now();
        self.heard.get_or_insert(now);
        if self.refill.is_some() {
            self.refill = Some(now);
        }
        match hint {
            Hint::Saved(path) => self.debounce.saved(&path, now),
            Hint::Created(path) => self.debounce.created(&path, now),
            Hint::Writing(path) => self.debounce.writing(&path, now),
            Hint::Gone(path) => self.hear_gone(&path, now),
            Hint::Scan => self.debounce.scan(now),
            Hint::Folder => {
                self.debounce.scan(now);
                // Files may appear between the scan and the watch on the new folder.
                self.next_scan = self.next_scan.min(now + RETRY);
            }
            Hint::Root => self.debounce.scan(now),
            Hint::Failed(error) => {
                self.errors.inc();
                tracing::warn!(
                    source = "files",
                    error,
                    "notifications about the folder fail; polling it instead"
                );
                self.debounce.scan(now);
            }
        }
    }

    /// Takes in that a path is gone, which may have been a file or a folder of files.
    fn hear_gone(&mut self, path: &Path, now: Instant) {
        let Some(name) = scan::relative(&self.root, path) else {
            return;
        };
        if scan::is_manifest(&name) {
            self.debounce.gone(path, now);
        }
        for file in self.state.below(&name) {
            self.debounce.gone(&self.root.join(&*file), now);
        }
    }

    /// Reads the files whose fingerprints changed, and puts down the missing ones as gone.
    fn compare(&mut self, found: &Scan, now: Instant) {
        let mut failed = found.failed.clone();
        let empty = found.files.is_empty() && self.state.files().next().is_some();
        if empty && self.refill.is_some() {
            let why = "the folder is empty; its last state is kept until it has a file";
            failed.insert(String::new(), of_root(&self.root, why));
        } else if let Some(kept) = &mut self.kept {
            kept.confirm(now);
        }
        self.state.set_folders(&failed);
        for (file, fingerprint) in &found.files {
            let path = self.root.join(file);
            if self.seen.get(file) != Some(fingerprint) && !self.debounce.expects(&path) {
                self.read(&path, file, Why::Saved, now);
            }
        }
        let known =
            |file: &str| found.files.contains_key(file) || scan::is_below_any(file, &failed);
        let gone: Vec<_> = self
            .state
            .files()
            .filter(|file| !known(file))
            .cloned()
            .collect();
        let believed = self.believe_gone(empty, now);
        for file in gone.iter().filter(|_| believed) {
            let path = self.root.join(&**file);
            if !self.debounce.expects(&path) {
                self.debounce.gone(&path, now);
            }
        }
    }

    /// Whether files that a walk lacks are gone. A folder that was away may still be filling up.
    fn believe_gone(&mut self, empty: bool, now: Instant) -> bool {
        let Some(since) = self.refill else {
            return true;
        };
        if now < since + REFILL || empty {
            self.next_scan = self.next_scan.min((since + REFILL).max(now + RETRY));
            return false;
        }
        self.refill = None;
        true
    }

    /// Reads the paths that are due.
    fn look(&mut self, now: Instant) {
        for (path, why) in self.debounce.take_looks(now) {
            if let Some(file) = scan::relative(&self.root, &path) {
                self.read(&path, &file, why, now);
            }
        }
    }

    fn read(&mut self, path: &Path, file: &str, why: Why, now: Instant) {
        match scan::read(path) {
            Ok((_, bytes))
                if why != Why::Empty && bytes.trim_ascii().is_empty() && self.state.gives(file) =>
            {
                self.debounce.empty(path, now);
            }
            Ok((fingerprint, bytes)) => {
                self.seen.insert(file.to_owned(), fingerprint);
                self.errors.inc_by(self.state.put(file, &bytes) as u64);
            }
            Err(error) if !scan::is_absent(&error) => {
                self.errors.inc();
                if scan::may_pass(&error) {
                    self.debounce.writing(path, now);
                }
                self.state
                    .unreadable(file, format!("{error}; its last good version stays"));
            }
            Err(_) if why == Why::Gone => self.forget(file, now),
            Err(_) => self.debounce.gone(path, now),
        }
    }

    /// Removes a file that is gone, unless the whole folder is.
    fn forget(&mut self, file: &str, now: Instant) {
        let same = |identity: Identity| {
            self.watched
                .as_ref()
                .is_some_and(|(watched, _)| *watched == identity)
        };
        if self.refill.is_none() && scan::identity(&self.root).is_ok_and(same) {
            self.seen.remove(file);
            self.state.remove(file);
        } else {
            self.debounce.scan(now);
        }
    }
}

/// What is said of the folder as a whole.
fn of_root(root: &Path, reason: impl Display) -> String {
    format!("{}: {reason}", root.display())
}

#[cfg(test)]
mod tests;
