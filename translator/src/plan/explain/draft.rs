//! [`Draft`]: an answer while it is put together.

use std::collections::BTreeSet;

use super::answer::{Answer, Fact, Section};
use super::summary::Served;
use crate::{ObjectId, Problem};

/// How many problems an answer has at most, and how many commands.
const PROBLEMS: usize = 50;
const COMMANDS: usize = 4;

/// The sections of an answer, and the objects that led there.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(super) sections: Vec<Section>,
    objects: BTreeSet<ObjectId>,
    next: Vec<String>,
}

impl Draft {
    /// Notes an object whose problems are of interest.
    pub(crate) fn concerns(&mut self, object: ObjectId) {
        self.objects.insert(object);
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
        (asked, seen_by): (String, String),
        problems: impl Fn(&ObjectId) -> P,
    ) -> Answer {
        let all = self.sections.iter().map(|section| section.served);
        let served = all.reduce(|one, other| match one == other {
            true => one,
            false => Served::Partly,
        });
        let served = served.unwrap_or(Served::No);
        let problems = self.objects.iter().flat_map(problems);
        Answer {
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
