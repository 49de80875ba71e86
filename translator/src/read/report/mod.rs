//! [`Report`]: collects the problems found while one object is read.

mod identity;

use crate::names::{is_label, is_subdomain};
use crate::{ObjectKind, Problem, Reason, Severity, Subject};
pub(super) use identity::{Identity, created};

/// How many problems of one object are kept. An object may have thousands of bad parts, and every
/// problem is logged, shown, and written as an Event.
const MOST: usize = 200;

/// The problems found so far in one object.
pub(super) struct Report {
    object: Subject,
    problems: Vec<Problem>,
    /// How many more there were than are kept.
    left_out: usize,
}

impl Report {
    /// A report without problems for this object.
    pub(super) fn new(object: impl Into<Subject>) -> Report {
        Report {
            object: object.into(),
            problems: Vec::new(),
            left_out: 0,
        }
    }

    /// Adds a problem because of which something is not served.
    pub(super) fn error(
        &mut self,
        field: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) {
        if self.has_room() {
            let problem = Problem::error(self.object.clone(), field, reason, message);
            self.problems.push(problem);
        }
    }

    /// Adds a problem with something that is served all the same.
    pub(super) fn warning(
        &mut self,
        field: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) {
        if self.has_room() {
            let problem = Problem::warning(self.object.clone(), field, reason, message);
            self.problems.push(problem);
        }
    }

    /// How many problems there are, for [`Report::first_since`].
    pub(super) fn mark(&self) -> usize {
        self.problems.len()
    }

    /// The first error after there were so many problems.
    pub(super) fn first_since(&self, mark: usize) -> Option<&Problem> {
        let mut later = self.problems.iter().skip(mark);
        later.find(|problem| problem.severity == Severity::Error)
    }

    /// Whether no more problems are kept.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MOST
    }

    /// Whether one more problem is kept; one that is not is counted.
    fn has_room(&mut self) -> bool {
        let room = !self.is_full();
        self.left_out += usize::from(!room);
        room
    }

    /// The problems in their order.
    pub(super) fn finish(mut self) -> Box<[Problem]> {
        if self.left_out > 0 {
            let message = format!("{} more problems are not listed", self.left_out);
            let problem = Problem::error(self.object, "", Reason::TooLarge, message);
            self.problems.push(problem);
        }
        self.problems.sort();
        self.problems.dedup();
        self.problems.into()
    }
}

/// Checks the namespace of a namespaced object; unset means `default`, as for `kubectl`.
pub(super) fn namespace<'a>(kind: &str, namespace: Option<&'a str>) -> Result<&'a str, Problem> {
    let namespace = namespace.filter(|n| !n.is_empty()).unwrap_or("default");
    if is_label(namespace) {
        return Ok(namespace);
    }
    let message = format!("{namespace:?} is not an RFC 1123 label");
    let object = format!("{kind} {namespace}");
    Err(Problem::error(
        object,
        "metadata.namespace",
        Reason::InvalidName,
        message,
    ))
}

/// Checks an object's name: a label for a Service and a Namespace, a subdomain for all else.
pub(super) fn name<'a>(
    kind: &str,
    namespace: &str,
    name: Option<&'a str>,
) -> Result<&'a str, Problem> {
    let name = name.unwrap_or_default();
    let (valid, what) = if [ObjectKind::Service.as_str(), "Namespace"].contains(&kind) {
        (is_label(name), "label")
    } else {
        (is_subdomain(name), "subdomain")
    };
    if valid {
        return Ok(name);
    }
    let message = format!("{name:?} is not an RFC 1123 {what}");
    Err(Problem::error(
        identity::subject(kind, namespace, name),
        "metadata.name",
        Reason::InvalidName,
        message,
    ))
}
