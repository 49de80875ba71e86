//! What becomes of resources at proxies, told by whoever publishes: those that proxies reject,
//! those that are held back, and names that they ask for and nobody has. It becomes problems of the
//! objects that the resources are made of, and a part of their status.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Translator;
use crate::model::ServiceKey;
use crate::place::targets::Target;
use crate::plan::rejections::{self, Rejections};
use crate::{ObjectId, Origin, Problem, Reason, Subject};

/// What the problems of names that nobody has are kept under.
const MISSING: &str = "Missing names";

impl Translator {
    /// Takes in all that proxies reject now: origins as they display, each with the words of a
    /// proxy. Returns whether that is something else than before.
    pub fn set_rejections<'a>(
        &mut self,
        all: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> bool {
        let new = Rejections::new(all);
        let changed = new.difference(&self.rejections);
        self.rejections = new;
        for origin in &changed {
            let context = self.context();
            let problems = self.rejections.problems(&context, origin, rejected);
            let concerned = rejections::objects(&context, origin);
            self.problems.set(subject("Rejected", origin), problems);
            self.dirty.routing.statuses.extend(concerned);
        }
        !changed.is_empty()
    }

    /// Takes in all that is held back from proxies that were not sent it yet: origins as they
    /// display, each with the reason in words. Returns whether that is something else than before.
    pub fn set_held_back<'a>(&mut self, all: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        let new = Rejections::new(all);
        let changed = new.difference(&self.held_back);
        self.held_back = new;
        for origin in &changed {
            let problems = self.held_back.problems(&self.context(), origin, held_back);
            self.problems.set(subject("Held back", origin), problems);
        }
        !changed.is_empty()
    }

    /// Takes in the names that proxies ask for and nobody has, each with its type in a word.
    /// Returns whether that is something else than before.
    pub fn set_missing(&mut self, names: &BTreeSet<(&'static str, Arc<str>)>) -> bool {
        if self.missing == *names {
            return false;
        }
        self.missing.clone_from(names);
        let problems = names.iter().map(|(kind, name)| {
            let message = format!(
                "a proxy asks for the {kind} {name}, which nobody has; it waits until there is one"
            );
            Problem::warning(self.asked_of(name), "", Reason::MissingName, message)
        });
        let problems = problems.collect();
        self.problems.set(Subject::Other(MISSING.into()), problems);
        true
    }

    /// The Service that a name of a resource speaks of, if it exists; else the name itself.
    fn asked_of(&self, name: &str) -> Subject {
        let mut parts = name.split('/');
        let service = parts.next().zip(parts.next()).map(|(namespace, name)| {
            let name = name.split(['~', '@', ':']).next().unwrap_or(name);
            ServiceKey {
                namespace: namespace.into(),
                name: name.into(),
            }
        });
        let target = || Target::read(name, &self.options).map(|target| target.service);
        let service = service.or_else(target);
        match service.filter(|key| self.index.service(key).is_some()) {
            Some(key) => Subject::Object(ObjectId::of_service(&key)),
            None => Subject::Other(format!("Name {name}").into()),
        }
    }
}

fn rejected(words: &str) -> (Reason, String) {
    let message = format!("a proxy rejects what it was sent, and keeps what it had: {words}");
    (Reason::RejectedByProxy, message)
}

fn held_back(words: &str) -> (Reason, String) {
    let message = format!("it is held back from proxies that were not sent it yet: {words}");
    (Reason::HeldBack, message)
}

/// What the problems are kept under: they come and go together, whatever else is wrong with the
/// objects.
fn subject(what: &str, origin: &Origin) -> Subject {
    Subject::Other(format!("{what} {origin}").into())
}
