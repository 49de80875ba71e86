//! Everything that is wrong now, by the object it was found at.

use std::collections::BTreeMap;

use crate::{ObjectId, Problem, Reason};

/// The problems that stand, and how many of each reason.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: BTreeMap<ObjectId, Box<[Problem]>>,
    counts: BTreeMap<Reason, usize>,
}

impl Book {
    /// Replaces what is known about one object. An empty list is the common case and costs one look-up.
    pub(crate) fn set(&mut self, object: ObjectId, problems: Vec<Problem>) {
        for problem in &problems {
            *self.counts.entry(problem.reason).or_default() += 1;
        }
        let old = if problems.is_empty() {
            self.pages.remove(&object)
        } else {
            self.pages.insert(object, problems.into())
        };
        for problem in old.iter().flatten() {
            if let Some(count) = self.counts.get_mut(&problem.reason) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&problem.reason);
                }
            }
        }
    }

    /// All of them, sorted.
    pub(crate) fn all(&self) -> Vec<Problem> {
        let mut all: Vec<Problem> = self.pages.values().flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// How many of each reason.
    pub(crate) fn counts(&self) -> &BTreeMap<Reason, usize> {
        &self.counts
    }
}
