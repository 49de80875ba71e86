//! [`Draft`]: an answer while it is put together.

use std::collections::BTreeSet;

use super::answer::{Answer, Basis, Fact, Section};
use super::summary::Served;
use crate::{ObjectId, Origin, Problem, View};

/// How many problems an answer has at most, and how many commands.
const PROBLEMS: usize = 50;
const COMMANDS: usize = 4;

/// The sections of an answer, and the objects that led there.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(super) sections: Vec<Section>,
    objects: BTreeSet<ObjectId>,
    next: Vec<String>,
    origins: BTreeSet<Origin>,
}

impl Draft {
    /// Notes an object whose problems are of interest.
    pub(crate) fn concerns(&mut self, object: ObjectId) {
        self.objects.insert(object);
    }

    /// Notes what resources are made of that decide, where no section names these.
    pub(super) fn made_of(&mut self, origin: Origin) {
        self.origins.insert(origin);
    }

    /// Adds a section.
    pub(crate) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// Adds facts to the first section.
    pub(crate) fn note(&mut self, facts: impl IntoIterator<Item = Fact>) {
        if let Some(first) = self.sections.first_mut() {
            first.facts.extend(facts);
        }
    }

    /// Adds a command that shows more.
    pub(super) fn next(&mut self, command: String) {
        if self.next.len() < COMMANDS && !self.next.contains(&command) {
            self.next.push(command);
        }
    }

    /// The answer; `problems` are those of an object.
    pub(crate) fn end<'p, P: Iterator<Item = &'p Problem>>(
        self,
        (asked, seen_by, view): (String, String, &View),
        problems: impl Fn(&ObjectId) -> P,
    ) -> Answer {
        let all = self.sections.iter().map(|section| section.served);
        let served = all.reduce(|one, other| match one == other {
            true => one,
            false => Served::Partly,
        });
        let served = served.unwrap_or(Served::No);
        let problems = self.objects.iter().flat_map(problems);
        let basis = Basis {
            view: Some(view.clone()),
            origins: self.origins,
        };
        Answer {
            basis,
            asked,
            seen_by,
            served,
            problems: problems.take(PROBLEMS).cloned().collect(),
            sections: self.sections,
            next: match served {
                Served::Yes => Vec::new(),
                Served::Partly | Served::No => self.next,
            },
        }
    }
}
