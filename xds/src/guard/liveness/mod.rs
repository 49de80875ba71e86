//! Who has had nothing from us, or taken nothing, for too long: one watchdog for all connections
//! instead of timers for each.
//!
//! A socket and a stream each have a `Progress`, in which they note that bytes begin to wait for
//! the peer and that they go on. That is a plain store, without a clock; the watchdog looks at all
//! of them now and then, and what has not moved between many of its looks is stalled. So an idle
//! stream costs no wake-up, and one that is busy no look at the time.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::close_reason::CloseReason;
use crate::guard::memory::MemoryAccount;
use crate::guard::validity::Validity;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::store::notify::InterestHandle;

/// How often the watchdog looks within the shortest of the times it watches over.
const LOOKS: u32 = 8;
/// The shortest and the longest time between two looks.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(10));
/// After so many entries of one look others have their turn.
const SLICE: usize = 1000;

/// A connection, as its streams and the watchdog know it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Which commits its streams have to hear of.
    pub(crate) interest_handle: InterestHandle,
    /// What its streams were let in by.
    pub(crate) validity: Validity,
    /// What is kept for it, where nobody is asked who he is.
    pub(crate) memory: Arc<MemoryAccount>,
    /// Streams open now, and since the beginning.
    streams: AtomicU32,
    opened: AtomicU32,
    /// Why it has to end, once it has to.
    end: OnceLock<CloseReason>,
    ends: Notify,
    closing: AtomicU8,
}

/// What the streams of a connection are to do; they see it when they are polled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    No,
    /// To end as soon as they have had an answer, or are owed none (xDS rule 154).
    Soon,
    /// To end.
    Now,
}

impl Connection {
    fn new(interest_handle: InterestHandle) -> Connection {
        Connection {
            interest_handle,
            validity: Validity::default(),
            memory: Arc::default(),
            streams: AtomicU32::new(0),
            opened: AtomicU32::new(0),
            end: OnceLock::new(),
            ends: Notify::new(),
            closing: AtomicU8::new(0),
        }
    }

    /// Tells the connection to end. Only the first reason counts.
    pub(crate) fn end(&self, why: CloseReason) {
        if self.end.set(why).is_ok() {
            self.ends.notify_one();
        }
    }

    pub(crate) fn close(&self, when: Closing) {
        self.closing.store(when as u8, Ordering::Release);
    }

    pub(crate) fn closing(&self) -> Closing {
        match self.closing.load(Ordering::Acquire) {
            0 => Closing::No,
            1 => Closing::Soon,
            _ => Closing::Now,
        }
    }

    /// Waits until it has to end.
    pub(crate) async fn ended(&self) -> CloseReason {
        loop {
            if let Some(end) = self.end.get() {
                return *end;
            }
            self.ends.notified().await;
        }
    }

    /// Whether it has ever opened a stream.
    pub(crate) fn is_used(&self) -> bool {
        self.opened.load(Ordering::Relaxed) > 0
    }

    /// The stream that asks is refused: a connection that has no other is of no use.
    pub(crate) fn refused(&self) {
        if self.streams.load(Ordering::Relaxed) == 1 {
            self.end(CloseReason::Refused);
        }
    }
}

/// Whether something moves: even while nothing waits, odd while something does, another number
/// after every step.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU32);

impl Progress {
    /// Bytes wait for the peer. Only the owner calls this and [`Progress::moved`], so there is
    /// nothing to lose between load and store.
    pub(crate) fn waits(&self) {
        self.step(1);
    }

    /// They were taken, or nothing waited.
    pub(crate) fn moved(&self) {
        self.step(0);
    }

    fn step(&self, to: u32) {
        let steps = self.0.load(Ordering::Relaxed);
        if steps & 1 != to {
            self.0.store(steps.wrapping_add(1), Ordering::Relaxed);
        }
    }
}

/// A stream that is open. Dropped with it.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) connection: Arc<Connection>,
    pub(crate) progress: Arc<Progress>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.connection.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the watchdog knows of a socket or a stream.
#[derive(Debug)]
struct Entry {
    connection: Arc<Connection>,
    progress: Arc<Progress>,
    /// Steps at the last look, and looks since it moved or had nothing to wait for.
    steps: u32,
    still: u32,
    /// Of a socket: streams its connection had opened at the last look, and looks since it had one.
    socket: Option<(u32, u32)>,
}

/// Looks after the connections of a server. It counts its looks rather than time, so that a process
/// that slept itself blames nobody.
#[derive(Debug)]
pub(crate) struct Watchdog {
    interval: Duration,
    /// So many looks are the limits of these names.
    first_stream: u32,
    idle: u32,
    stalled: u32,
    entries: Mutex<Vec<Entry>>,
}

impl Watchdog {
    pub(crate) fn new(limits: &Limits) -> Watchdog {
        let shortest = limits.first_stream.min(limits.idle).min(limits.stalled);
        let interval = (shortest / LOOKS).clamp(INTERVALS.0, INTERVALS.1);
        let looks = |limit: Duration| {
            let looks = limit.as_nanos().div_ceil(interval.as_nanos());
            u32::try_from(looks).unwrap_or(u32::MAX)
        };
        Watchdog {
            interval,
            first_stream: looks(limits.first_stream),
            idle: looks(limits.idle),
            stalled: looks(limits.stalled),
            entries: Mutex::default(),
        }
    }

    /// A connection and what its socket is to note. Watched until the latter is dropped.
    pub(crate) fn connection(
        &self,
        interest_handle: InterestHandle,
    ) -> (Arc<Connection>, Arc<Progress>) {
        let connection = Arc::new(Connection::new(interest_handle));
        let progress = self.watch(&connection, Some((0, 0)));
        (connection, progress)
    }

    /// A stream of the connection. Watched until it is dropped.
    pub(crate) fn stream(&self, connection: &Arc<Connection>) -> OpenStream {
        connection.streams.fetch_add(1, Ordering::Relaxed);
        connection.opened.fetch_add(1, Ordering::Relaxed);
        OpenStream {
            connection: connection.clone(),
            progress: self.watch(connection, None),
        }
    }

    fn watch(&self, connection: &Arc<Connection>, socket: Option<(u32, u32)>) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        self.entries().push(Entry {
            connection: connection.clone(),
            progress: progress.clone(),
            steps: 0,
            still: 0,
            socket,
        });
        progress
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks now and then, for ever, and tells how many streams and sockets took nothing in
    /// between. Others `look` at the same times.
    pub(crate) async fn run(&self, metrics: &Metrics, look: impl Fn()) {
        loop {
            tokio::time::sleep(self.interval).await;
            look();
            let (mut at, mut blocked) = (Some(0), 0);
            while let Some(from) = at {
                at = self.look(from, SLICE, &mut blocked);
                tokio::task::yield_now().await;
            }
            metrics.blocked(blocked);
        }
    }

    /// Looks at so many entries from this one on; returns where to go on. `blocked` counts those
    /// that wait since the last look.
    fn look(&self, mut at: usize, count: usize, blocked: &mut u32) -> Option<usize> {
        let mut entries = self.entries();
        for _ in 0..count {
            let entry = entries.get_mut(at)?;
            if Arc::strong_count(&entry.progress) == 1 {
                entries.swap_remove(at);
                continue;
            }
            if let Some(why) = self.verdict(entry) {
                entry.connection.end(why);
            }
            *blocked += u32::from(entry.still > 0);
            at += 1;
        }
        Some(at)
    }

    fn verdict(&self, entry: &mut Entry) -> Option<CloseReason> {
        let steps = entry.progress.0.load(Ordering::Relaxed);
        let moves = steps & 1 == 0 || steps != entry.steps;
        entry.steps = steps;
        entry.still = if moves { 0 } else { entry.still + 1 };
        // The first look that finds it waiting is not counted.
        if entry.still >= self.stalled {
            return Some(CloseReason::Stalled);
        }
        let connection = &entry.connection;
        let (opened, empty) = entry.socket.as_mut()?;
        let before = std::mem::replace(opened, connection.opened.load(Ordering::Relaxed));
        let none = connection.streams.load(Ordering::Relaxed) == 0 && *opened == before;
        *empty = if none { *empty + 1 } else { 0 };
        let limit = match *opened {
            0 => self.first_stream,
            _ => self.idle,
        };
        // The first of these looks may have come at any time after what is counted from.
        (*empty > limit).then_some(CloseReason::Idle)
    }
}
