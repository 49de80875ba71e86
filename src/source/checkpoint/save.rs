//! When a checkpoint is written, and the thread that writes it, so that no other thread waits for a
//! disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::{Entry, Metrics, disk, format};
use crate::process::outside::waiting_for;
use crate::process::supervise::contained;

/// How long a first change waits, so that changes close to it are saved with it.
const SETTLE: Duration = Duration::from_secs(1);
/// The time between two saves while changes go on, and until one that failed is tried again.
const PERIOD: Duration = Duration::from_secs(10);

/// Schedules the checkpoints of one source and hands its world to the writer thread. The source
/// reports changes ([`Keeper::touch`]), asks when a save is due, and passes its world then; it does
/// so only when what it has is its whole input, not a checkpoint that the input has not confirmed.
#[derive(Debug)]
pub(crate) struct Keeper {
    rhythm: Rhythm,
    worlds: Sender<Vec<Entry>>,
    busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts the thread that writes checkpoints.
    pub(super) fn start(writer: Writer) -> io::Result<Keeper> {
        let (worlds, receiver) = mpsc::channel();
        let busy = Arc::new(AtomicBool::new(false));
        let shared = busy.clone();
        let thread = std::thread::Builder::new().name("checkpoint".to_owned());
        Ok(Keeper {
            rhythm: Rhythm::default(),
            worlds,
            busy,
            thread: thread.spawn(move || writer.run(&receiver, &shared))?,
        })
    }

    /// Notes that the world may differ from the one on disk, so that a save becomes due.
    pub(crate) fn touch(&mut self, now: Instant) {
        self.rhythm.touch(now);
    }

    /// When the next save is due: a second after the first change, at most every ten seconds.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.rhythm.due
    }

    /// Has the whole world written, unless it is the one on disk. Returns at once; while the save
    /// before is still running, the next one is due a second later.
    pub(crate) fn save(&mut self, entries: Vec<Entry>, now: Instant) {
        let busy = self.busy.load(Ordering::Acquire);
        if self.rhythm.begin(now, busy) {
            self.busy.store(true, Ordering::Release);
            // The thread ends with this sender.
            let _ = self.worlds.send(entries);
        }
    }

    /// Writes `world` if changes of it are outstanding, and waits until everything is written, or
    /// cannot be.
    pub(crate) fn finish(self, world: impl FnOnce() -> Vec<Entry>) {
        if self.rhythm.due.is_some() {
            let _ = self.worlds.send(world());
        }
        drop(self.worlds);
        let _ = self.thread.join();
    }
}

/// The schedule of saves: when the next one is due.
#[derive(Debug, Default)]
struct Rhythm {
    due: Option<Instant>,
    /// When the last save began.
    began: Option<Instant>,
}

impl Rhythm {
    fn touch(&mut self, now: Instant) {
        let soon = now + SETTLE;
        let due = self.began.map_or(soon, |began| soon.max(began + PERIOD));
        self.due.get_or_insert(due);
    }

    /// Whether a save may begin now.
    fn begin(&mut self, now: Instant, busy: bool) -> bool {
        if busy {
            self.due = Some(now + SETTLE);
        } else {
            (self.due, self.began) = (None, Some(now));
        }
        !busy
    }
}

/// Writes checkpoints to disk, one at a time, on a thread of its own.
#[derive(Debug)]
pub(super) struct Writer {
    dir: PathBuf,
    source: String,
    metrics: Metrics,
    /// The hash of the world on disk, when there is one of this source.
    body: Option<u64>,
    /// The error that was logged last, while it stands.
    failing: Option<String>,
}

impl Writer {
    pub(super) fn new(dir: &Path, source: &str, metrics: Metrics, body: Option<u64>) -> Writer {
        Writer {
            dir: dir.to_owned(),
            source: source.to_owned(),
            metrics,
            body,
            failing: None,
        }
    }

    /// Writes what the channel brings until it is closed. A failed write is repeated until a newer
    /// world comes.
    fn run(mut self, worlds: &Receiver<Vec<Entry>>, busy: &AtomicBool) {
        let mut outstanding: Option<Vec<Entry>> = None;
        loop {
            let next = match outstanding.take() {
                None => worlds.recv().ok(),
                Some(failed) => match worlds.recv_timeout(PERIOD) {
                    Ok(newer) => Some(newer),
                    Err(RecvTimeoutError::Timeout) => Some(failed),
                    Err(RecvTimeoutError::Disconnected) => None,
                },
            };
            let Some(entries) = next else {
                return;
            };
            busy.store(true, Ordering::Release);
            let written = self.attempt(|writer| writer.write(&entries));
            outstanding = (!written).then_some(entries);
            busy.store(false, Ordering::Release);
        }
    }

    /// Writes the world and logs a failure once. Returns whether it is on disk now.
    fn write(&mut self, entries: &[Entry]) -> bool {
        match self.try_write(entries) {
            Ok(()) => {
                if self.failing.take().is_some() {
                    tracing::info!("the checkpoint can be written again");
                }
                true
            }
            Err(error) => {
                self.metrics.count("write");
                let (dir, error) = (self.dir.display(), error.to_string());
                if self.failing.as_ref() != Some(&error) {
                    tracing::error!(%dir, error, "the checkpoint cannot be written; the previous one is kept");
                }
                self.failing = Some(error);
                false
            }
        }
    }

    /// Runs a write that may panic; returns whether it succeeded. A panic is counted, and the write
    /// is repeated like any that failed.
    fn attempt(&mut self, write: impl FnOnce(&mut Writer) -> bool) -> bool {
        contained(|| write(self)).unwrap_or_else(|| {
            self.metrics.count("panic");
            self.failing = Some("a panic".to_owned());
            false
        })
    }

    fn try_write(&mut self, entries: &[Entry]) -> io::Result<()> {
        let begin = Instant::now();
        let _waiting = waiting_for(&self.dir);
        let body = format::body(entries)?;
        if self.body == Some(body) && disk::exists(&self.dir) {
            return Ok(());
        }
        let written = SystemTime::now();
        let bytes = disk::store(&self.dir, &self.source, written, entries)?;
        self.body = Some(body);
        self.metrics.set_written(written, bytes);
        let millis = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(objects = entries.len(), bytes, millis, "checkpoint");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ErrorLabel;
    use super::*;

    #[test]
    fn a_first_change_waits_a_second_and_the_next_save_ten() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.due, None);
        rhythm.touch(start);
        rhythm.touch(start + Duration::from_millis(900));
        assert_eq!(
            rhythm.due,
            Some(after(1)),
            "later changes do not put it off"
        );
        assert!(rhythm.begin(after(1), false));
        assert_eq!(rhythm.due, None, "nothing changed since");
        rhythm.touch(after(2));
        assert_eq!(rhythm.due, Some(after(11)));
        assert!(rhythm.begin(after(11), false));
        rhythm.touch(after(60));
        assert_eq!(
            rhythm.due,
            Some(after(61)),
            "after quiet it is a first change again"
        );
    }

    #[test]
    fn a_save_that_panics_is_counted_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::default();
        let mut writer = Writer::new(folder.path(), "files:m", metrics.clone(), None);
        assert!(!writer.attempt(|_| panic!("out of luck")));
        let label = ErrorLabel { reason: "panic" };
        assert_eq!(metrics.errors.get_or_create(&label).get(), 1);
        assert!(writer.attempt(|writer| writer.write(&[])));
        assert!(disk::exists(folder.path()));
    }

    #[test]
    fn a_save_in_progress_is_waited_for() {
        let start = Instant::now();
        let mut rhythm = Rhythm::default();
        rhythm.touch(start);
        assert!(!rhythm.begin(start + SETTLE, true));
        assert_eq!(rhythm.due, Some(start + SETTLE * 2));
        assert!(rhythm.begin(start + SETTLE * 2, false));
        assert_eq!(rhythm.due, None);
    }
}
