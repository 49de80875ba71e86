//! Which commits are over, and which of those are traced: plain state.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use seaway_xds::ChangeReport;

use super::Named;

/// How long a commit is left alone: until its streams are counted, and the board knows its cause.
const SETTLE: Duration = Duration::from_millis(500);
/// How long the answers of proxies are waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The commit before so many others is not waited for: the log keeps the last 1,000.
const NEAR_THE_END: u64 = 800;
/// A commit that took longer is always traced.
const SLOW: Duration = Duration::from_millis(200);

/// Knows of which commits there is a trace already.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) named: Named,
    /// All commits up to this one are over.
    passed: u64,
    /// Further ones that are; at most as many as the log keeps.
    over: BTreeSet<u64>,
}

impl Follower {
    pub(super) fn new(named: Named) -> Follower {
        Follower {
            named,
            passed: 0,
            over: BTreeSet::new(),
        }
    }

    /// The commit up to which nothing is left to look at.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// Takes the commits after [`Follower::passed`], the oldest first. Returns those that are over
    /// since the last call and are to be traced.
    pub(super) fn take(&mut self, changes: Vec<ChangeReport>, now: Instant) -> Vec<ChangeReport> {
        let newest = changes.last().map_or(0, |change| change.seq);
        let mut traced = Vec::new();
        let mut all_over = true;
        let passed = self.passed;
        for change in changes.into_iter().filter(|change| change.seq > passed) {
            let seq = change.seq;
            let near_the_end = newest.saturating_sub(seq) >= NEAR_THE_END;
            if !self.over.contains(&seq) && is_over(&change, near_the_end, now) {
                self.over.insert(seq);
                if self.is_traced(&change) {
                    traced.push(change);
                }
            }
            all_over &= self.over.contains(&seq);
            if all_over {
                self.passed = seq;
            }
        }
        self.over = self.over.split_off(&(self.passed + 1));
        traced
    }

    /// Whether there is a trace of a commit that is over. It follows from the commit alone.
    fn is_traced(&self, change: &ChangeReport) -> bool {
        if change.types.is_empty() {
            return false;
        }
        let delay = |at: Instant| at.saturating_duration_since(change.at);
        answered(change).is_none_or(|at| is_traced(change.seq, delay(at), self.named.one_in))
    }
}

/// Whether there is a trace of a commit that took this long.
pub(super) fn is_traced(commit: u64, delay: Duration, one_in: NonZeroU32) -> bool {
    delay > SLOW || commit.is_multiple_of(u64::from(one_in.get()))
}

fn is_over(change: &ChangeReport, near_the_end: bool, now: Instant) -> bool {
    let age = now.saturating_duration_since(change.committed);
    let patience = match answered(change) {
        Some(_) => SETTLE,
        None if near_the_end => SETTLE,
        None => PATIENCE,
    };
    age >= patience
}

/// When the last of the streams that a commit concerns had answered all of it, or when it was made
/// if it concerns none; `None` while one has not.
pub(super) fn answered(change: &ChangeReport) -> Option<Instant> {
    let mut types = change.types.iter();
    if types.any(|of| of.waiting > 0) {
        return None;
    }
    let answers = change.types.iter().filter_map(|of| of.acked);
    Some(answers.fold(change.committed, Instant::max))
}
