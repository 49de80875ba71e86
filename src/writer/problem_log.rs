//! Logs each problem once when it appears and once when it ends.
//!
//! In a sick cluster problems are many, and few of them change: only changes pass here, from the
//! translator and the source to the log, the metrics and the task that writes Events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use seaway_translator::{Problem, Severity};

use tokio::sync::watch;

use crate::process::metrics::Metrics;

/// How long changes are collected, so that a burst is logged together.
const WAIT: Duration = Duration::from_millis(50);
/// How many appeared, and how many resolved, problems of one burst are logged; the rest is counted.
const LINES: usize = 50;

/// Changes of the standing problems: those that appeared (`true`) and those that ended (`false`).
pub(crate) type Changes = BTreeMap<Problem, bool>;

/// The changes of problems that the receiver of a channel has not taken yet, each problem once.
#[derive(Clone, Debug, Default)]
pub(crate) struct News(Arc<Mutex<Changes>>);

impl News {
    /// Takes the changes since the last call.
    pub(crate) fn take(&self) -> Changes {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut changes)
    }

    fn add(&self, new: Changes) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.extend(new);
    }
}

/// Keeps the problems of the source's input, and logs, counts and publishes each problem, of the
/// source or the translator, that appears or ends.
#[derive(Debug)]
pub(super) struct ProblemLog {
    news: watch::Sender<News>,
    /// The problems of the source's input, which it always sends as a complete list.
    of_source: BTreeSet<Problem>,
    /// Changes of these that have not been logged.
    changed_in_source: Changes,
    due: Option<Instant>,
    metrics: Metrics,
}

impl ProblemLog {
    pub(super) fn new(metrics: Metrics, news: watch::Sender<News>) -> ProblemLog {
        ProblemLog {
            news,
            of_source: BTreeSet::new(),
            changed_in_source: Changes::new(),
            due: None,
            metrics,
        }
    }

    /// Notes that problems may have changed.
    pub(super) fn touch(&mut self, now: Instant) {
        self.due.get_or_insert(now + WAIT);
    }

    /// When [`ProblemLog::settle`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Replaces the problems of the source's input.
    pub(super) fn set_source(&mut self, problems: Vec<Problem>) {
        let problems: BTreeSet<Problem> = problems.into_iter().collect();
        let old = std::mem::replace(&mut self.of_source, problems);
        let new = self
            .of_source
            .difference(&old)
            .map(|problem| (problem, true));
        let over = old
            .difference(&self.of_source)
            .map(|problem| (problem, false));
        for (problem, stands) in new.chain(over) {
            if self.changed_in_source.remove(problem).is_none() {
                self.changed_in_source.insert(problem.clone(), stands);
            }
        }
    }

    /// Logs and counts changes: `changes` of the translator's problems, and those of the source's.
    /// Returns all of them.
    pub(super) fn settle(&mut self, mut changes: Changes) -> Changes {
        self.due = None;
        changes.append(&mut self.changed_in_source);
        if changes.is_empty() {
            return changes;
        }
        let (mut new, mut over) = (0, 0);
        for (problem, stands) in &changes {
            self.metrics.problem(problem.reason, *stands);
            let count = if *stands { &mut new } else { &mut over };
            *count += 1;
            if *count > LINES {
                continue;
            }
            match *stands {
                true => log_new(problem),
                false => log_over(problem),
            }
        }
        let more = usize::saturating_sub(new, LINES) + usize::saturating_sub(over, LINES);
        if more > 0 {
            tracing::warn!(more, "further problems appeared or were resolved");
        }
        if self.news.receiver_count() > 0 {
            self.news.send_modify(|news| news.add(changes.clone()));
        }
        changes
    }
}

fn log_over(problem: &Problem) {
    let Problem {
        object,
        field,
        reason,
        ..
    } = problem;
    let object = object.to_string();
    tracing::info!(object, field, %reason, "problem resolved");
}

fn log_new(problem: &Problem) {
    let Problem {
        object,
        field,
        severity,
        reason,
        message,
    } = problem;
    let object = object.to_string();
    match severity {
        Severity::Error => tracing::error!(object, field, %reason, "{message}"),
        Severity::Warning => tracing::warn!(object, field, %reason, "{message}"),
    }
}
