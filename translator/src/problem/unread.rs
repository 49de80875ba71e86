//! [`Unread`]: what a source says is wrong with its objects, most of all with those that it cannot
//! read: of these there is nothing here, or the last version that could be read.

use std::collections::BTreeMap;

use super::{Problem, Severity, Subject};
use crate::model::ServiceKey;
use crate::names::is_named_like;
use crate::{ObjectId, ObjectKind};

/// The problems of a source's input, by the object that they are of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread {
    by_object: BTreeMap<ObjectId, Vec<Problem>>,
}

impl Unread {
    /// What a source says; problems of other subjects are left out.
    pub(crate) fn new<'p>(problems: impl IntoIterator<Item = &'p Problem>) -> Unread {
        let mut by_object: BTreeMap<ObjectId, Vec<Problem>> = BTreeMap::new();
        for problem in problems {
            if let Subject::Object(id) = &problem.object {
                let of_object = by_object.entry(id.clone()).or_default();
                of_object.push(problem.clone());
            }
        }
        Unread { by_object }
    }

    /// What the source says of an object.
    pub(crate) fn of(&self, id: &ObjectId) -> &[Problem] {
        self.by_object.get(id).map_or(&[], |problems| problems)
    }

    /// Whether the object, as it is now, cannot be read.
    pub(crate) fn has(&self, id: &ObjectId) -> bool {
        self.of(id).iter().any(is_error)
    }

    /// The EndpointSlices that cannot be read and are named like those of a Service. Whose they are
    /// they cannot say.
    pub(crate) fn slices_named<'a>(
        &'a self,
        service: &'a ServiceKey,
    ) -> impl Iterator<Item = &'a ObjectId> {
        let kind = ObjectKind::EndpointSlice;
        let from = ObjectId::new(kind, &service.namespace, &service.name);
        let below = self.by_object.range(from..).take_while(move |(id, _)| {
            id.kind == kind
                && id.namespace == service.namespace
                && id.name.starts_with(&*service.name)
        });
        let named = below.filter(|(id, problems)| {
            is_named_like(&id.name, &service.name) && problems.iter().any(is_error)
        });
        named.map(|(id, _)| id)
    }
}

fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[test]
    fn slices_are_named_like_their_service_and_not_like_one_with_a_longer_name() {
        let problem = |text: &str| Problem::error(text, "", Reason::InvalidValue, "bad");
        let caveat = Problem::warning("EndpointSlice f/web-w", "", Reason::InvalidValue, "");
        let problems = [
            problem("EndpointSlice f/web"),
            problem("EndpointSlice f/web-1"),
            problem("EndpointSlice f/webs-1"),
            problem("EndpointSlice g/web-1"),
            problem("Service f/web-2"),
            problem("File a.yaml"),
            caveat,
        ];
        let unread = Unread::new(&problems);
        let service = ServiceKey {
            namespace: "f".into(),
            name: "web".into(),
        };
        let named: Vec<&str> = unread.slices_named(&service).map(|id| &*id.name).collect();
        assert_eq!(named, ["web", "web-1"]);
        assert!(unread.has(&problems[4].object.object().unwrap().clone()));
    }
}
