//! Debounces file system notifications: decides when a path is read after something happened to it.
//!
//! Latency is what users see, so a save that is over (closed, renamed into place) is looked at at
//! once. Everything else waits for the moment it can be believed: a file that is being written, a
//! file that is gone (many editors move the old file away first), a file that is suddenly empty.
//! Pure: the clock is an argument.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a file that was written to counts as unfinished. Linux tells when it is closed,
/// elsewhere quiet has to do.
const WRITING: Duration = Duration::from_millis(if cfg!(target_os = "linux") { 1000 } else { 50 });
/// How long a new name is waited for to be written through; a link never is.
const CREATED: Duration = Duration::from_millis(20);
/// How long a file must be gone, with no other file going, before that is believed.
const GONE: Duration = Duration::from_millis(100);
/// How long a file must stay empty before that is believed.
const EMPTY: Duration = Duration::from_millis(300);
/// Events close together (a symlink swap, a copied tree) become one scan.
const SCAN: Duration = Duration::from_millis(5);
/// No path is put off longer than this by further events.
const MOST: Duration = Duration::from_secs(5);

/// Why a path is going to be read; later variants are stronger doubts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It was saved.
    Saved,
    /// It has a new name, or bytes were written and no end was seen.
    Unclosed,
    /// It is gone.
    Gone,
    /// It was found empty.
    Empty,
}

/// A read of one path that is due at `at`; `first` is when the path was first put down.
#[derive(Debug)]
struct Look {
    why: Why,
    at: Instant,
    first: Instant,
}

/// The paths that are going to be read, each with its time, and the time of the next walk through
/// the folder.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    looks: BTreeMap<PathBuf, Look>,
    last_gone: Option<Instant>,
    scan: Option<Instant>,
}

impl Debounce {
    /// Notes that the path's content is complete: it is read at once.
    pub(super) fn saved(&mut self, path: &Path, now: Instant) {
        self.put(path, Why::Saved, Duration::ZERO, now);
    }

    /// Notes that the name is new. A write to it may follow.
    pub(super) fn created(&mut self, path: &Path, now: Instant) {
        self.put(path, Why::Unclosed, CREATED, now);
    }

    /// Notes that bytes were written to the path and more may follow.
    pub(super) fn writing(&mut self, path: &Path, now: Instant) {
        self.put(path, Why::Unclosed, WRITING, now);
    }

    /// Notes that the path is gone. Every further one puts all of them off: a folder being removed
    /// loses its files first.
    pub(super) fn gone(&mut self, path: &Path, now: Instant) {
        self.put(path, Why::Gone, GONE, now);
        self.last_gone = Some(now);
    }

    /// Notes that the path was found empty though it held objects.
    pub(super) fn empty(&mut self, path: &Path, now: Instant) {
        self.put(path, Why::Empty, EMPTY, now);
    }

    /// Schedules a walk through the folder: something happened that only a walk can tell.
    pub(super) fn scan(&mut self, now: Instant) {
        self.scan_in(SCAN, now);
    }

    /// Schedules a walk through the folder for at most `delay` from now.
    pub(super) fn scan_in(&mut self, delay: Duration, now: Instant) {
        let at = now + delay;
        self.scan = Some(self.scan.map_or(at, |scan| scan.min(at)));
    }

    /// Whether a read of the path is scheduled already, so that a walk should leave it alone.
    pub(super) fn expects(&self, path: &Path) -> bool {
        self.looks.contains_key(path)
    }

    /// When the next read or walk is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let look = self.looks.values().map(|look| self.due(look)).min();
        [look, self.scan].into_iter().flatten().min()
    }

    /// Whether a walk is due; asking takes it.
    pub(super) fn take_scan(&mut self, now: Instant) -> bool {
        self.scan.take_if(|at| *at <= now).is_some()
    }

    /// The paths that are due, in order; asking takes them.
    pub(super) fn take_looks(&mut self, now: Instant) -> Vec<(PathBuf, Why)> {
        let due = self.looks.iter().filter(|(_, look)| self.due(look) <= now);
        let due: Vec<_> = due.map(|(path, look)| (path.clone(), look.why)).collect();
        for (path, _) in &due {
            self.looks.remove(path);
        }
        due
    }

    fn due(&self, look: &Look) -> Instant {
        match (look.why, self.last_gone) {
            (Why::Gone, Some(last)) => (last + GONE).min(look.first + MOST),
            _ => look.at,
        }
    }

    fn put(&mut self, path: &Path, why: Why, delay: Duration, now: Instant) {
        let first = self.looks.get(path).map_or(now, |look| look.first);
        let at = (now + delay).min(first + MOST);
        self.looks.insert(path.to_owned(), Look { why, at, first });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    #[test]
    fn a_finished_save_is_looked_at_at_once() {
        let (mut debounce, now) = (Debounce::default(), Instant::now());
        debounce.created(&path("a"), now);
        debounce.writing(&path("a"), now);
        assert!(
            debounce.take_looks(now + CREATED).is_empty(),
            "still being written"
        );
        debounce.saved(&path("a"), now + CREATED);
        assert_eq!(
            debounce.take_looks(now + CREATED),
            [(path("a"), Why::Saved)]
        );
        assert_eq!(debounce.next(), None);
    }

    #[test]
    fn a_writer_that_never_closes_is_read_after_quiet_and_never_put_off_for_ever() {
        let (mut debounce, start) = (Debounce::default(), Instant::now());
        debounce.writing(&path("a"), start);
        assert_eq!(debounce.next(), Some(start + WRITING));
        for step in 1..40 {
            debounce.writing(&path("a"), start + step * Duration::from_millis(200));
        }
        assert_eq!(debounce.next(), Some(start + MOST));
    }

    #[test]
    fn a_file_that_comes_back_was_not_gone() {
        let (mut debounce, now) = (Debounce::default(), Instant::now());
        debounce.gone(&path("a"), now);
        debounce.saved(&path("a"), now);
        assert_eq!(debounce.take_looks(now), [(path("a"), Why::Saved)]);
        assert!(debounce.take_looks(now + GONE).is_empty());
    }

    #[test]
    fn files_that_go_one_after_the_other_are_believed_together() {
        let (mut debounce, now) = (Debounce::default(), Instant::now());
        debounce.gone(&path("a"), now);
        debounce.gone(&path("b"), now + GONE / 2);
        assert!(debounce.take_looks(now + GONE).is_empty());
        assert_eq!(debounce.take_looks(now + GONE * 2).len(), 2);
    }

    #[test]
    fn scans_close_together_are_one() {
        let (mut debounce, now) = (Debounce::default(), Instant::now());
        debounce.scan(now);
        debounce.scan(now + SCAN / 2);
        assert_eq!(debounce.next(), Some(now + SCAN));
        assert!(!debounce.take_scan(now));
        assert!(debounce.take_scan(now + SCAN));
        assert!(!debounce.take_scan(now + SCAN * 9));
    }
}
