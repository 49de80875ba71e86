//! The newest commits, for those who look at the server: what each changed, and how far the streams
//! that it concerns are with it (`delivery`, xDS rules 207, 208).
//!
//! A commit is on its way from `publish`, which lists it here, by `notify`, which counts the
//! streams that it concerns and puts it into the inbox of each (`inbox`), to the session of each
//! stream, which keeps it until the client has answered.

mod delivery;
mod inbox;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use smallvec::SmallVec;

use crate::metrics::{Delays, Metrics};
use crate::types::Types;
pub(crate) use delivery::{Deliveries, Delivery, keep};
pub(crate) use inbox::Inbox;

/// The number of commits that are remembered.
const REMEMBERED: usize = 1000;
/// The most origins that a commit is shown with.
const ORIGINS: usize = 16;

/// The newest commits of a store.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    newest: Mutex<VecDeque<Arc<Change>>>,
    /// The histograms of each type, by its index.
    delays: OnceLock<Vec<Delays>>,
}

/// A commit: what it changed, and how many streams still have to be sent that.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) seq: u64,
    /// When the event behind it was read.
    pub(crate) since: Instant,
    pub(crate) committed: Instant,
    /// The number of placements that have other layers than before.
    pub(crate) moved: usize,
    /// The first origins of which a resource changed, and the number of all.
    pub(crate) origins: Box<[Arc<str>]>,
    pub(crate) origin_count: usize,
    pub(crate) types: SmallVec<[TypeChange; 1]>,
}

/// What a commit changed of one type, and how many streams still have to be sent that.
#[derive(Debug)]
pub(crate) struct TypeChange {
    pub(crate) type_index: usize,
    pub(crate) counts: Counts,
    /// The streams that it concerns, or did when it was made.
    concerned: AtomicU32,
    /// The streams that were not sent it yet, and the writer while it counts them.
    unsent: AtomicU32,
    /// The streams that have not answered it yet, and the writer while it counts them.
    unacked: AtomicU32,
    rejected: AtomicU32,
    lost: AtomicU32,
    sent: OnceLock<Instant>,
    acked: OnceLock<Instant>,
    delays: Option<Delays>,
}

/// What a commit changed of one type, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) set: usize,
    pub(crate) removed: usize,
    /// The size of the contents that were set, in bytes.
    pub(crate) bytes: usize,
}

/// What a commit changes, gathered while it is made.
#[derive(Debug)]
pub(crate) struct Summary {
    types: Vec<Counts>,
    origins: Vec<Arc<str>>,
    origin_count: usize,
    pub(crate) moved: usize,
}

impl Summary {
    pub(crate) fn new(types: usize) -> Summary {
        Summary {
            types: vec![Counts::default(); types],
            origins: Vec::new(),
            origin_count: 0,
            moved: 0,
        }
    }

    pub(crate) fn set(&mut self, type_index: usize, bytes: usize) {
        let counts = &mut self.types[type_index];
        counts.set += 1;
        counts.bytes += bytes;
    }

    pub(crate) fn removed(&mut self, type_index: usize) {
        self.types[type_index].removed += 1;
    }

    /// Adds an origin of which something changed.
    pub(crate) fn origin(&mut self, origin: Arc<str>) {
        self.origin_count += 1;
        if self.origins.len() < ORIGINS {
            self.origins.push(origin);
        }
    }

    /// The numbers of resources set and removed, of all types.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let types = self.types.iter();
        types.fold((0, 0), |(set, removed), of| {
            (set + of.set, removed + of.removed)
        })
    }
}

impl Changes {
    /// Has the delays of commits observed, by those metrics. A second server over the same
    /// publisher observes with the metrics of the first.
    pub(crate) fn configure(&self, types: &Types, metrics: &Metrics) {
        let urls = types.specs().iter().map(|spec| spec.url.as_str());
        let _ = self
            .delays
            .set(urls.map(|url| metrics.delays(url)).collect());
    }

    /// Lists a commit. The streams that it concerns are counted until the returned value is
    /// dropped. Also returns what is remembered no longer.
    pub(crate) fn begin(
        &self,
        seq: u64,
        since: Option<Instant>,
        summary: Summary,
    ) -> (Deliveries, Option<Arc<Change>>) {
        let committed = Instant::now();
        let delays = self.delays.get();
        let types = summary.types.iter().enumerate();
        // A placement that moved may bring its streams anything.
        let types = types.filter(|(_, of)| summary.moved > 0 || of.set + of.removed > 0);
        let types = types.map(|(type_index, counts)| {
            TypeChange::new(
                type_index,
                *counts,
                delays.map(|all| all[type_index].clone()),
            )
        });
        let change = Arc::new(Change {
            seq,
            since: since.unwrap_or(committed).min(committed),
            committed,
            moved: summary.moved,
            types: types.collect(),
            origins: summary.origins.into(),
            origin_count: summary.origin_count,
        });
        let counting = Deliveries::of_writer(change.clone());
        let mut newest = self.newest();
        newest.push_back(change);
        let over = newest.len() > REMEMBERED;
        let forgotten = if over { newest.pop_front() } else { None };
        (counting, forgotten)
    }

    /// All that are remembered, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Change>> {
        self.newest().iter().cloned().collect()
    }

    /// Those after a commit, the oldest first.
    pub(crate) fn after(&self, seq: u64) -> Vec<Arc<Change>> {
        let newest = self.newest();
        let from = newest.partition_point(|change| change.seq <= seq);
        newest.range(from..).cloned().collect()
    }

    pub(crate) fn find(&self, seq: u64) -> Option<Arc<Change>> {
        let newest = self.newest();
        let at = newest
            .binary_search_by_key(&seq, |change| change.seq)
            .ok()?;
        newest.get(at).cloned()
    }

    /// When a commit was made; of one that is remembered no longer, when the oldest one was that
    /// is.
    pub(crate) fn committed_at(&self, seq: u64) -> Option<Instant> {
        let newest = self.newest();
        let at = newest.partition_point(|change| change.seq < seq);
        newest.get(at).map(|change| change.committed)
    }

    fn newest(&self) -> MutexGuard<'_, VecDeque<Arc<Change>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TypeChange {
    fn new(type_index: usize, counts: Counts, delays: Option<Delays>) -> TypeChange {
        TypeChange {
            type_index,
            counts,
            concerned: AtomicU32::new(0),
            unsent: AtomicU32::new(0),
            unacked: AtomicU32::new(0),
            rejected: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            sent: OnceLock::new(),
            acked: OnceLock::new(),
            delays,
        }
    }

    /// The number of streams that it concerns.
    pub(crate) fn concerned(&self) -> u32 {
        self.concerned.load(Ordering::Acquire)
    }

    /// The number of streams that have not answered it yet.
    pub(crate) fn waiting(&self) -> u32 {
        // While streams are counted, the writer is one of those that are waited for.
        let unacked = self.unacked.load(Ordering::Acquire);
        unacked.min(self.concerned())
    }

    /// The number of streams whose client rejected a response with it.
    pub(crate) fn rejected(&self) -> u32 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// The number of streams that fell so far behind that this commit is no longer followed there.
    pub(crate) fn lost(&self) -> u32 {
        self.lost.load(Ordering::Relaxed)
    }

    /// When the last of the streams that it concerns was sent it.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.sent.get().copied()
    }

    /// When the last of them answered it.
    pub(crate) fn acked(&self) -> Option<Instant> {
        self.acked.get().copied()
    }
}
