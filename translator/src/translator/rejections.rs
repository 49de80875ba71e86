//! What proxies reject, told by whoever publishes: it becomes problems of the objects that the
//! resources are made of, and a part of their status.

use super::Translator;
use crate::plan::rejections::{self, Rejections};
use crate::{Origin, Subject};

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
            let problems = self.rejections.problems(&context, origin);
            let concerned = rejections::objects(&context, origin);
            self.problems.set(subject(origin), problems);
            self.dirty.routing.statuses.extend(concerned);
        }
        !changed.is_empty()
    }
}

/// What the problems are kept under: they come and go together, whatever else is wrong with the
/// objects.
fn subject(origin: &Origin) -> Subject {
    Subject::Other(format!("Rejected {origin}").into())
}
