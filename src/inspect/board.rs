//! The tables of what the writer tells: which Services are served since when, which problems stand
//! since when, and why commits were made.
//!
//! The writer never waits for them: it leaves what became different in [`BoardNews`], and a task
//! takes that in here, at most every [`PAUSE`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use seaway_translator::model::ServiceKey;
use seaway_translator::{Layer, Problem, Served, ServiceSummary};
use seaway_xds::LayerId;
use tokio::sync::watch;

use crate::process::supervise;
use crate::writer::{BoardChanges, BoardNews, COMMITS, CommitCause};

/// The least time between two times that news are taken in: a burst is taken in once.
const PAUSE: Duration = Duration::from_millis(50);

/// A Service as it was translated last.
#[derive(Clone, Debug)]
pub(super) struct ServiceEntry {
    pub(super) summary: ServiceSummary,
    /// Since when it is served as it is.
    pub(super) since: SystemTime,
    /// Whether more of it was served before.
    pub(super) lost: bool,
}

impl ServiceEntry {
    /// Whether all of the Service is served.
    pub(super) fn is_served(&self) -> bool {
        self.summary.served == Served::Yes
    }
}

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) services: BTreeMap<ServiceKey, ServiceEntry>,
    /// The problems that stand, each with since when.
    pub(super) problems: BTreeMap<Problem, SystemTime>,
    /// What the numbers of layers mean.
    pub(super) layers: BTreeMap<LayerId, Layer>,
    /// Why the last commits were made, the oldest first.
    pub(super) commits: VecDeque<CommitCause>,
    /// How many Services there are of each state.
    pub(super) served: BTreeMap<Served, usize>,
    /// Counts the times that the tables became others.
    pub(super) edition: u64,
}

impl Tables {
    /// Takes in what became different.
    pub(super) fn take_in(&mut self, news: BoardChanges) {
        self.edition += 1;
        for (key, (at, summary)) in news.services {
            match summary {
                Some(summary) => self.set(key, summary, at),
                None => self.remove(&key),
            }
        }
        for (problem, (at, stands)) in news.problems {
            match stands {
                true => _ = self.problems.entry(problem).or_insert(at),
                false => _ = self.problems.remove(&problem),
            }
        }
        for (id, layer) in news.layers {
            match layer {
                Some(layer) => _ = self.layers.insert(id, layer),
                None => _ = self.layers.remove(&id),
            }
        }
        self.commits.extend(news.commits);
        let over = self.commits.len().saturating_sub(COMMITS);
        self.commits.drain(..over);
    }

    fn set(&mut self, key: ServiceKey, summary: ServiceSummary, at: SystemTime) {
        let state = summary.served;
        let (since, lost) = match self.services.get(&key) {
            Some(entry) if entry.summary.served == state => (entry.since, entry.lost),
            Some(entry) => (at, state < entry.summary.served),
            None => (at, false),
        };
        let entry = ServiceEntry {
            summary,
            since,
            lost,
        };
        self.remove(&key);
        *self.served.entry(state).or_default() += 1;
        self.services.insert(key, entry);
    }

    fn remove(&mut self, key: &ServiceKey) {
        if let Some(entry) = self.services.remove(key)
            && let Some(count) = self.served.get_mut(&entry.summary.served)
        {
            *count -= 1;
        }
    }

    /// Why a commit was made.
    pub(super) fn cause(&self, seq: u64) -> Option<&CommitCause> {
        let at = self.commits.binary_search_by_key(&seq, |commit| commit.seq);
        self.commits.get(at.ok()?)
    }

    /// How many Services there are of a state.
    pub(super) fn served(&self, state: Served) -> usize {
        self.served.get(&state).copied().unwrap_or_default()
    }
}

/// The states of Services, and the label of each.
const STATES: [(Served, &str); 3] = [
    (Served::Yes, "served"),
    (Served::Partly, "partly"),
    (Served::No, "not"),
];

/// The label `state` of `services`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// The tables, shared with the task that takes news in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    tables: Arc<RwLock<Tables>>,
    services: Family<StateLabel, Gauge>,
}

impl Board {
    /// Empty tables. Registers `services{state}`.
    pub(crate) fn register(registry: &mut Registry) -> Board {
        let board = Board::default();
        let help = "Services that are served, partly served and not served";
        registry.register("services", help, board.services.clone());
        board.count(&Tables::default());
        board
    }

    /// Takes news in until the writer is gone.
    pub(crate) async fn run(self, mut news: watch::Receiver<BoardNews>) {
        while news.changed().await.is_ok() {
            let taken = news.borrow_and_update().take();
            // Nothing that serves depends on it.
            let board = self.clone();
            supervise::contained(move || board.take_in(taken));
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn take_in(&self, news: BoardChanges) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let counts = !news.services.is_empty();
        tables.take_in(news);
        if counts {
            self.count(&tables);
        }
    }

    fn count(&self, tables: &Tables) {
        for (state, word) in STATES {
            let label = StateLabel { state: word };
            let count = i64::try_from(tables.served(state)).unwrap_or(i64::MAX);
            self.services.get_or_create(&label).set(count);
        }
    }

    /// Why a commit was made, if that is known (still).
    pub(crate) fn cause(&self, seq: u64) -> Option<CommitCause> {
        self.read().cause(seq).cloned()
    }

    /// The tables, for reading. The writer does not wait for that.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}
