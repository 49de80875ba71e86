//! Everything that is wrong now, by the object it was found at.

use std::collections::BTreeMap;

use crate::{ObjectId, Problem, Reason};

/// The problems that stand, and how many of each reason.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: BTreeMap<ObjectId, Box<[Problem]>>,
    /// All of them, each with the number of its entries.
    standing: BTreeMap<Problem, usize>,
    /// Those that came or went since this was asked last, and which of both.
    changed: BTreeMap<Problem, bool>,
    counts: BTreeMap<Reason, usize>,
}

impl Book {
    /// Replaces what is known about one object. An empty list is the common case and costs one look-up.
    pub(crate) fn set(&mut self, object: ObjectId, problems: Vec<Problem>) {
        let known = self.pages.get(&object).map_or(&[][..], |page| page);
        if known == problems {
            return;
        }
        for problem in &problems {
            self.enter(problem);
        }
        let old = if problems.is_empty() {
            self.pages.remove(&object)
        } else {
            self.pages.insert(object, problems.into())
        };
        for problem in old.iter().flatten() {
            self.strike(problem);
        }
    }

    fn enter(&mut self, problem: &Problem) {
        *self.counts.entry(problem.reason).or_default() += 1;
        if let Some(entries) = self.standing.get_mut(problem) {
            *entries += 1;
            return;
        }
        self.standing.insert(problem.clone(), 1);
        self.note(problem, true);
    }

    fn strike(&mut self, problem: &Problem) {
        if let Some(count) = self.counts.get_mut(&problem.reason) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&problem.reason);
            }
        }
        let Some(entries) = self.standing.get_mut(problem) else {
            return;
        };
        *entries -= 1;
        if *entries == 0 {
            self.standing.remove(problem);
            self.note(problem, false);
        }
    }

    /// What came and went, or went and came back, since this was asked last is no change.
    fn note(&mut self, problem: &Problem, stands: bool) {
        if self.changed.remove(problem).is_none() {
            self.changed.insert(problem.clone(), stands);
        }
    }

    /// Those that came (`true`) and went since this was asked last.
    pub(crate) fn take_changed(&mut self) -> BTreeMap<Problem, bool> {
        std::mem::take(&mut self.changed)
    }

    /// All of them, sorted.
    pub(crate) fn all(&self) -> Vec<Problem> {
        self.standing.keys().cloned().collect()
    }

    /// How many of each reason.
    pub(crate) fn counts(&self) -> &BTreeMap<Reason, usize> {
        &self.counts
    }
}
