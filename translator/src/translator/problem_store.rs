//! The store of the problems that stand now, by subject.

use std::collections::BTreeMap;

use crate::{Problem, Reason, Severity, Subject};

/// The problems that stand, and how many of each reason.
#[derive(Debug, Default)]
pub(crate) struct ProblemStore {
    by_subject: BTreeMap<Subject, Box<[Problem]>>,
    /// All problems, each with the number of its entries.
    standing: BTreeMap<Problem, usize>,
    /// The problems that appeared (`true`) or ended since [`ProblemStore::take_changed`] was last
    /// called.
    changed: BTreeMap<Problem, bool>,
    counts: BTreeMap<Reason, usize>,
}

impl ProblemStore {
    /// Replaces the problems of one subject. An empty list is the common case and costs one
    /// look-up.
    pub(crate) fn set(&mut self, subject: Subject, problems: Vec<Problem>) {
        let known = self.by_subject.get(&subject).map_or(&[][..], |known| known);
        if known == problems {
            return;
        }
        for problem in &problems {
            self.add(problem);
        }
        let old = if problems.is_empty() {
            self.by_subject.remove(&subject)
        } else {
            self.by_subject.insert(subject, problems.into())
        };
        for problem in old.iter().flatten() {
            self.drop_one(problem);
        }
    }

    fn add(&mut self, problem: &Problem) {
        *self.counts.entry(problem.reason).or_default() += 1;
        if let Some(entries) = self.standing.get_mut(problem) {
            *entries += 1;
            return;
        }
        self.standing.insert(problem.clone(), 1);
        self.note(problem, true);
    }

    fn drop_one(&mut self, problem: &Problem) {
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

    /// Notes that a problem appeared or ended; a problem that did both since the last call of
    /// [`ProblemStore::take_changed`] has not changed.
    fn note(&mut self, problem: &Problem, stands: bool) {
        if self.changed.remove(problem).is_none() {
            self.changed.insert(problem.clone(), stands);
        }
    }

    /// The problems that appeared (`true`) and those that ended since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeMap<Problem, bool> {
        std::mem::take(&mut self.changed)
    }

    /// The problems of one subject.
    pub(crate) fn of(&self, subject: &Subject) -> &[Problem] {
        self.by_subject
            .get(subject)
            .map_or(&[], |problems| problems)
    }

    /// The problems of one subject that proxies told of, which are kept under other subjects.
    pub(crate) fn told_of(&self, subject: Subject) -> impl Iterator<Item = &Problem> {
        const TOLD: [Reason; 3] = [
            Reason::RejectedByProxy,
            Reason::HeldBack,
            Reason::MissingName,
        ];
        // Less than any other of the subject, by which problems are sorted first.
        let first = Problem {
            object: subject.clone(),
            field: String::new(),
            severity: Severity::Error,
            reason: Reason::ALL[0],
            message: String::new(),
        };
        let following = self.standing.range(first..).map(|(problem, _)| problem);
        let of_subject = following.take_while(move |of| of.object == subject);
        of_subject.filter(|of| TOLD.contains(&of.reason))
    }

    /// All problems, sorted.
    pub(crate) fn all(&self) -> Vec<Problem> {
        self.standing.keys().cloned().collect()
    }

    /// The number of problems with each reason.
    pub(crate) fn counts(&self) -> &BTreeMap<Reason, usize> {
        &self.counts
    }
}
