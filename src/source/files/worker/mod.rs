//! The thread that follows a folder: waits for hints, looks at the disk, tells the writer what became different.
//!
//! It owns everything it uses and shares nothing; what it does wrong ends in the process's end, because its caller waits
//! for it. Decisions are made in [`super::settle`] and [`super::world`]; here is only the order of doing things, and in [`folder`] what
//! is done about the folder as a whole.

mod folder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc as async_mpsc;

use super::debounce::{Settle, Why};
use super::folder_state::FolderState;
use super::hints::{Listener, Next, ROOM, Teller, hints};
use super::scan::{self, Fingerprint, Identity, Scan};
use super::watch::{self, Hint};
use crate::source::Update;
use crate::source::checkpoint::{Kept, Memory};

/// How often everything is looked at whether or not there was a hint.
const RESCAN: Duration = Duration::from_secs(10);
/// The same while the folder is away or cannot be watched.
const RETRY: Duration = Duration::from_millis(500);
/// How long a folder that came back must be quiet before what it lacks counts as gone.
const REFILL: Duration = Duration::from_secs(1);

/// Ends the thread when dropped.
#[derive(Debug)]
pub(crate) struct Stop(Teller);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Follows one folder.
pub(crate) struct Follow {
    root: PathBuf,
    updates: async_mpsc::Sender<Update>,
    errors: Counter,
    teller: Teller,
    hints: Listener,
    state: FolderState,
    settle: Settle,
    /// What each known file looked like when it was read.
    seen: BTreeMap<String, Fingerprint>,
    /// The folder the watcher is on.
    watched: Option<(Identity, Option<watch::Watched>)>,
    /// The folder is away, or came back less than [`REFILL`] ago.
    refill: Option<Instant>,
    /// It could not be read when it was last looked at, and that was said.
    away: bool,
    next_scan: Instant,
    told: bool,
    /// What survives the process.
    kept: Option<Kept>,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Follow {
    /// Prepares to follow `root`, counting what cannot be read in `errors`. It begins with its `memory`, as if every file had been
    /// read once.
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
        let mut kept = memory.map(|memory| Kept::new("files", memory));
        let loaded = kept.as_mut().and_then(Kept::take_loaded);
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
            settle: Settle::default(),
            seen: BTreeMap::new(),
            watched: None,
            refill,
            away: false,
            next_scan: now,
            told: false,
            kept,
        };
        (follow, stop)
    }

    /// Follows the folder until stopped, or until nobody listens. Blocks.
    pub(crate) fn run(mut self) {
        self.follow();
        if let Some(kept) = self.kept {
            kept.finish(|| self.state.entries());
        }
    }

    fn follow(&mut self) {
        loop {
            let now = Instant::now();
            if now >= self.next_scan || self.settle.take_scan(now) {
                self.scan(now);
            }
            self.look(now);
            if !self.tell() {
                return;
            }
            let kept = self.kept.as_ref().and_then(Kept::next);
            let moments = [self.settle.next(), kept].into_iter().flatten();
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

    /// Sends what became different. `false`: nobody wants to know any more.
    fn tell(&mut self) -> bool {
        let now = Instant::now();
        if !self.told && !self.may_tell(now) {
            return !self.updates.is_closed();
        }
        let update = Update::or_first(self.state.take(), self.told);
        let news = update.is_some();
        self.told = true;
        let heard = match update {
            Some(update) => self.updates.blocking_send(update).is_ok(),
            None => !self.updates.is_closed(),
        };
        if let Some(kept) = &mut self.kept {
            kept.told(|| self.state.entries(), news, now);
        }
        heard
    }

    /// A folder that was never seen is no world, not even an empty one, unless its checkpoint stands in for it (invariant 1).
    fn may_tell(&mut self, now: Instant) -> bool {
        match &mut self.kept {
            Some(kept) if kept.stands_in() => kept.may_tell(now, || {
                let reason = self.state.folder_problem().unwrap_or("not read yet");
                format!("{}: {reason}", self.root.display())
            }),
            _ => self.watched.is_some(),
        }
    }

    fn hear(&mut self, hint: Hint) {
        let now = Instant::now();
        if self.refill.is_some() {
            self.refill = Some(now);
        }
        match hint {
            Hint::Saved(path) => self.settle.saved(&path, now),
            Hint::Created(path) => self.settle.created(&path, now),
            Hint::Writing(path) => self.settle.writing(&path, now),
            Hint::Gone(path) => self.hear_gone(&path, now),
            Hint::Scan => self.settle.scan(now),
            Hint::Folder => {
                self.settle.scan(now);
                // Files may appear between the scan and the watch on the new folder.
                self.next_scan = self.next_scan.min(now + RETRY);
            }
            Hint::Root => self.settle.scan(now),
            Hint::Failed(error) => {
                self.errors.inc();
                tracing::warn!(
                    source = "files",
                    error,
                    "notifications about the folder fail; looking at it by time"
                );
                self.settle.scan(now);
            }
        }
    }

    /// The path may have been a file, or a folder of files.
    fn hear_gone(&mut self, path: &Path, now: Instant) {
        let Some(name) = scan::relative(&self.root, path) else {
            return;
        };
        if scan::is_manifest(&name) {
            self.settle.gone(path, now);
        }
        for file in self.state.below(&name) {
            self.settle.gone(&self.root.join(&*file), now);
        }
    }

    /// Reads what differs from what was read last.
    fn compare(&mut self, found: &Scan, now: Instant) {
        let mut failed = found.failed.clone();
        let empty = found.files.is_empty() && self.state.files().next().is_some();
        if empty && self.refill.is_some() {
            let reason = "the folder is empty; the last state stays until it has a file";
            failed.insert(String::new(), reason.to_owned());
        } else if let Some(kept) = &mut self.kept {
            kept.confirm(now);
        }
        self.state.set_folders(&failed);
        for (file, fingerprint) in &found.files {
            let path = self.root.join(file);
            if self.seen.get(file) != Some(fingerprint) && !self.settle.expects(&path) {
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
            if !self.settle.expects(&path) {
                self.settle.gone(&path, now);
            }
        }
    }

    /// Whether what a scan lacks is gone. A folder that was away may still be on its way back.
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

    /// Looks at the paths whose time has come.
    fn look(&mut self, now: Instant) {
        for (path, why) in self.settle.take_looks(now) {
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
                self.settle.empty(path, now);
            }
            Ok((fingerprint, bytes)) => {
                self.seen.insert(file.to_owned(), fingerprint);
                self.errors.inc_by(self.state.put(file, &bytes) as u64);
            }
            Err(error) if !scan::is_absent(&error) => {
                self.errors.inc();
                if scan::may_pass(&error) {
                    self.settle.writing(path, now);
                }
                self.state
                    .unreadable(file, format!("{error}; its last good version stays"));
            }
            Err(_) if why == Why::Gone => self.forget(file, now),
            Err(_) => self.settle.gone(path, now),
        }
    }

    /// A file is gone for good, unless the whole folder is.
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
            self.settle.scan(now);
        }
    }
}

#[cfg(test)]
mod tests;
