//! Detection of idle and stalled peers: one watchdog for all connections, instead of timers for
//! each.
//!
//! A socket and a stream each have a `Progress`, in which they record that bytes begin to wait for
//! the peer and that the peer takes them. Each record is one atomic store, without reading a clock.
//! The watchdog inspects all of them periodically; one with waiting bytes that has not changed over
//! many inspections is stalled. So an idle stream causes no wake-up, and a busy one reads no clock.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::guard::memory::MemoryAccount;
use crate::guard::validity::Validity;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::reasons::CloseReason;
use crate::store::notify::InterestHandle;

/// The number of looks of the watchdog within the shortest of the times it watches over.
const LOOKS: u32 = 8;
/// The shortest and the longest time between two looks.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(10));
/// The number of entries after which a look yields to other tasks.
const SLICE: usize = 1000;

/// The state of a connection that its task, its streams and the watchdog share.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Which commits wake the connection.
    pub(crate) interest_handle: InterestHandle,
    /// The proofs of identity that its streams rest on.
    pub(crate) validity: Validity,
    /// The memory account of the connection, used where callers have no identity.
    pub(crate) memory: Arc<MemoryAccount>,
    /// The number of streams open now, and of all that were opened.
    streams: AtomicU32,
    opened: AtomicU32,
    /// The number of watches of health that are open now.
    watchers: AtomicU32,
    /// The reason for which the connection has to end, once it has to.
    end: OnceLock<CloseReason>,
    ends: Notify,
    closing: AtomicU8,
}

/// What the streams of a connection that closes have to do; they see it when they are polled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The connection does not close.
    No,
    /// Streams end as soon as they have had an answer, or are owed none (xDS rule 154).
    Soon,
    /// Streams end at once.
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
            watchers: AtomicU32::new(0),
            end: OnceLock::new(),
            ends: Notify::new(),
            closing: AtomicU8::new(0),
        }
    }

    /// Tells the connection to end, for a reason. Only the first one counts.
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

    /// Waits until the connection has to end, and returns the reason.
    pub(crate) async fn ended(&self) -> CloseReason {
        loop {
            if let Some(end) = self.end.get() {
                return *end;
            }
            self.ends.notified().await;
        }
    }

    /// Whether the connection has ever opened a stream.
    pub(crate) fn is_used(&self) -> bool {
        self.opened.load(Ordering::Relaxed) > 0
    }

    /// Notes that a stream of the connection is refused: if it has no other, the connection ends.
    pub(crate) fn refused(&self) {
        if self.streams.load(Ordering::Relaxed) == 1 {
            self.end(CloseReason::Refused);
        }
    }
}

/// The most watches of health that one connection may have open: nobody proves anything for them.
const WATCHERS: u32 = 16;

/// The permit of a watch of health, which counts until it is dropped.
#[derive(Debug)]
pub(crate) struct WatcherPermit(Arc<Connection>);

impl WatcherPermit {
    /// A permit, unless the connection has as many as it may.
    pub(crate) fn take(connection: &Arc<Connection>) -> Option<WatcherPermit> {
        let permit = WatcherPermit(connection.clone());
        let before = connection.watchers.fetch_add(1, Ordering::Relaxed);
        (before < WATCHERS).then_some(permit)
    }
}

impl Drop for WatcherPermit {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A counter that tells the watchdog whether a socket or a stream makes progress: even while
/// nothing waits for the peer, odd while something does, and another number after every step.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU32);

impl Progress {
    /// Notes that bytes wait for the peer. Only the owner calls this and [`Progress::moved`], so
    /// there is nothing to lose between load and store.
    pub(crate) fn waits(&self) {
        self.step(1);
    }

    /// Notes that the bytes were taken, or that nothing waited.
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

/// An open stream of a connection, counted and watched until it is dropped.
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

/// A socket or a stream that the watchdog inspects.
#[derive(Debug)]
struct Entry {
    connection: Arc<Connection>,
    progress: Arc<Progress>,
    /// The progress at the last look, and the number of looks since it moved or nothing waited.
    steps: u32,
    still: u32,
    /// For a socket: the number of streams that its connection had opened at the last look, and the
    /// number of looks since it had one.
    socket: Option<(u32, u32)>,
}

/// Ends the connections of a server that are idle or stalled. It counts its looks rather than time,
/// so that a process that was itself suspended ends none for that.
#[derive(Debug)]
pub(crate) struct Watchdog {
    interval: Duration,
    /// The limits of these names in `Limits`, as numbers of looks.
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

    /// A new connection and the progress of its socket; watched until the latter is dropped.
    pub(crate) fn connection(
        &self,
        interest_handle: InterestHandle,
    ) -> (Arc<Connection>, Arc<Progress>) {
        let connection = Arc::new(Connection::new(interest_handle));
        let progress = self.watch(&connection, Some((0, 0)));
        (connection, progress)
    }

    /// A new stream of the connection, watched until it is dropped.
    pub(crate) fn stream(&self, connection: &Arc<Connection>) -> OpenStream {
        connection.streams.fetch_add(1, Ordering::Relaxed);
        connection.opened.fetch_add(1, Ordering::Relaxed);
        OpenStream {
            connection: connection.clone(),
            progress: self.watch(connection, None),
        }
    }

    /// Adds a socket or a stream to those that the watchdog inspects.
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

    /// Looks at all entries in intervals, for ever, and sets the metric of streams and sockets that
    /// took nothing in between. `look` is called at the same times.
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

    /// Looks at `count` entries from `at` on; returns where to go on. `blocked` counts those that
    /// have waited since the last look.
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

    /// Looks at one entry; returns the reason for which its connection has to end, if there is one.
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
