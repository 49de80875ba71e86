//! The problems that stand, so that each is logged when it appears and when it ends, once.
//!
//! In a sick cluster they are many, and what changes of them is little: only changes pass here, from the translator and the source to
//! the log, the metrics and whoever else is to say them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use seaway_translator::{Problem, Severity};

use tokio::sync::watch;

use crate::process::metrics::Metrics;

/// A burst of changes is looked at once.
const WAIT: Duration = Duration::from_millis(50);
/// Lines logged for one burst; the rest is counted.
const LINES: usize = 50;

/// Problems that appeared (`true`) and that ended.
pub(crate) type Changes = BTreeMap<Problem, bool>;

/// What changed of the problems that stand since the reader took it last, each problem once.
#[derive(Clone, Debug, Default)]
pub(crate) struct News(Arc<Mutex<Changes>>);

impl News {
    /// What changed since this was called last.
    pub(crate) fn take(&self) -> Changes {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut changes)
    }

    fn add(&self, new: Changes) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.extend(new);
    }
}

/// What stands, as far as it was logged.
#[derive(Debug)]
pub(super) struct ProblemLog {
    news: watch::Sender<News>,
    /// Those of the source's input, as it says them: all at once.
    of_source: BTreeSet<Problem>,
    /// Of these, what was not logged yet.
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

    /// Problems may have changed.
    pub(super) fn touch(&mut self, now: Instant) {
        self.due.get_or_insert(now + WAIT);
    }

    /// When to look at what changed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// All that is wrong with the source's input now.
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

    /// This changed elsewhere.
    pub(super) fn settle(&mut self, mut changes: Changes) {
        self.due = None;
        changes.append(&mut self.changed_in_source);
        if changes.is_empty() {
            return;
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
            self.news.send_modify(|news| news.add(changes));
        }
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
