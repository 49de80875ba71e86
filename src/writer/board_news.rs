//! What the inspection API shows of the writer's work, on its way from the writer to
//! [`crate::inspect`]: the Services' states, the problems that stand, and why each commit was made.
//!
//! The writer only adds to what has not been taken yet; whoever shows it keeps the tables.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use seaway_translator::model::ServiceKey;
use seaway_translator::{Layer, Problem, ServiceSummary};
use seaway_xds::LayerId;
use tokio::sync::watch;

use crate::source::{CAUSES, Cause};
use crate::writer::Changes;

/// How many commits are kept until they are taken.
pub(crate) const COMMITS: usize = 1000;

/// Why a commit was made.
#[derive(Clone, Debug)]
pub(crate) struct CommitCause {
    /// The sequence number of the commit.
    pub(crate) seq: u64,
    /// The objects that changed, as many as are kept.
    pub(crate) causes: Vec<Cause>,
    /// How many objects changed in all.
    pub(crate) objects: usize,
}

/// What became different since it was last taken.
#[derive(Debug, Default)]
pub(crate) struct BoardChanges {
    /// Services that were translated, with when; `None`: they are gone.
    pub(crate) services: BTreeMap<ServiceKey, (SystemTime, Option<ServiceSummary>)>,
    /// Problems that appeared (`true`) or ended, with when.
    pub(crate) problems: BTreeMap<Problem, (SystemTime, bool)>,
    /// Layers that got a number (`Some`) or lost it.
    pub(crate) layers: Vec<(LayerId, Option<Layer>)>,
    /// Commits, the newest last.
    pub(crate) commits: VecDeque<CommitCause>,
}

/// The changes that the receiver of the channel has not taken yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct BoardNews(Arc<Mutex<BoardChanges>>);

impl BoardNews {
    /// Takes the changes since the last call.
    pub(crate) fn take(&self) -> BoardChanges {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BoardChanges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's end of the channel, with the causes of the commit to come.
#[derive(Debug)]
pub(crate) struct BoardSender {
    news: watch::Sender<BoardNews>,
    causes: Vec<Cause>,
    objects: usize,
}

impl BoardSender {
    /// A channel of what is shown.
    pub(crate) fn channel() -> (BoardSender, watch::Receiver<BoardNews>) {
        let (news, receiver) = watch::channel(BoardNews::default());
        let sender = BoardSender {
            news,
            causes: Vec::new(),
            objects: 0,
        };
        (sender, receiver)
    }

    /// Whether anybody shows it.
    pub(super) fn is_heard(&self) -> bool {
        self.news.receiver_count() > 0
    }

    /// Notes why there will be a commit: `objects` changed, these among them.
    pub(super) fn because(&mut self, causes: Vec<Cause>, objects: usize) {
        let room = CAUSES.saturating_sub(self.causes.len());
        self.causes.extend(causes.into_iter().take(room));
        self.objects += objects;
    }

    /// Tells of a commit that has just been made, what became of the Services in it, and which
    /// numbers layers have.
    pub(super) fn committed(
        &mut self,
        seq: u64,
        services: BTreeMap<ServiceKey, Option<ServiceSummary>>,
        layers: Vec<(LayerId, Option<Layer>)>,
    ) {
        let at = SystemTime::now();
        let commit = CommitCause {
            seq,
            causes: std::mem::take(&mut self.causes),
            objects: std::mem::take(&mut self.objects),
        };
        self.tell(|changes| {
            changes.layers.extend(layers);
            let services = services.into_iter();
            changes
                .services
                .extend(services.map(|(key, summary)| (key, (at, summary))));
            // A commit without changes has the number of the one before.
            if changes.commits.back().is_none_or(|last| last.seq < seq) {
                if changes.commits.len() == COMMITS {
                    changes.commits.pop_front();
                }
                changes.commits.push_back(commit);
            }
        });
    }

    /// Tells which numbers layers have, after a commit of placements alone.
    pub(super) fn placed(&self, layers: Vec<(LayerId, Option<Layer>)>) {
        if !layers.is_empty() {
            self.tell(|changes| changes.layers.extend(layers));
        }
    }

    /// Tells which problems appeared and ended.
    pub(super) fn problems(&self, new: &Changes) {
        let at = SystemTime::now();
        self.tell(|changes| {
            let new = new.iter();
            changes
                .problems
                .extend(new.map(|(problem, stands)| (problem.clone(), (at, *stands))));
        });
    }

    fn tell(&self, add: impl FnOnce(&mut BoardChanges)) {
        if self.is_heard() {
            self.news.send_modify(|news| add(&mut news.lock()));
        }
    }
}
