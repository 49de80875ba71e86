//! The problems that stand, so that each is logged when it appears and when it ends, once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seaway_translator::{Problem, Severity};

use tokio::sync::watch;

use crate::metrics::Metrics;

/// A burst of changes is looked at once: the list is long in a sick cluster.
const WAIT: Duration = Duration::from_millis(50);
/// Lines logged for one burst; the rest is counted.
const LINES: usize = 50;

/// All problems that stand, for whoever else is to say them.
pub(crate) type Standing = Arc<BTreeSet<Problem>>;

/// What stands, as far as it was logged.
#[derive(Debug)]
pub(super) struct Ledger {
    known: watch::Sender<Standing>,
    due: Option<Instant>,
    metrics: Metrics,
}

impl Ledger {
    pub(super) fn new(metrics: Metrics, known: watch::Sender<Standing>) -> Ledger {
        Ledger {
            known,
            due: None,
            metrics,
        }
    }

    /// The list may have changed.
    pub(super) fn touch(&mut self, now: Instant) {
        self.due.get_or_insert(now + WAIT);
    }

    /// When to look at the list.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// This is the list now.
    pub(super) fn settle(&mut self, problems: Vec<Problem>) {
        self.due = None;
        self.metrics.set_problems(&problems);
        let problems: BTreeSet<_> = problems.into_iter().collect();
        let known = self.known.borrow().clone();
        let new: Vec<_> = problems.difference(&known).collect();
        let over: Vec<_> = known.difference(&problems).collect();
        new.iter().take(LINES).for_each(|problem| log_new(problem));
        for Problem {
            object,
            field,
            reason,
            ..
        } in over.iter().take(LINES)
        {
            tracing::info!(object, field, %reason, "problem resolved");
        }
        let more = new.len().saturating_sub(LINES) + over.len().saturating_sub(LINES);
        if more > 0 {
            tracing::warn!(more, "further problems appeared or were resolved");
        }
        if *known != problems {
            self.known.send_replace(Arc::new(problems));
        }
    }
}

fn log_new(problem: &Problem) {
    let Problem {
        object,
        field,
        severity,
        reason,
        message,
    } = problem;
    match severity {
        Severity::Error => tracing::error!(object, field, %reason, "{message}"),
        Severity::Warning => tracing::warn!(object, field, %reason, "{message}"),
    }
}
