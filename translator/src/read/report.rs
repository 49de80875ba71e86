//! [`Report`]: collects the problems found while one object is read.

use crate::names::{is_label, is_subdomain};
use crate::{ObjectId, ObjectKind, Problem, Reason};

/// The problems found so far in one object.
pub(super) struct Report {
    object: ObjectId,
    problems: Vec<Problem>,
}

impl Report {
    /// A report without problems for this object.
    pub(super) fn new(object: ObjectId) -> Report {
        Report {
            object,
            problems: Vec::new(),
        }
    }

    /// Adds a problem because of which something is not served.
    pub(super) fn error(
        &mut self,
        field: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) {
        let problem = Problem::error(&self.object, field, reason, message);
        self.problems.push(problem);
    }

    /// Adds a problem with something that is served all the same.
    pub(super) fn warning(
        &mut self,
        field: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) {
        let problem = Problem::warning(&self.object, field, reason, message);
        self.problems.push(problem);
    }

    pub(super) fn finish(mut self) -> Box<[Problem]> {
        self.problems.sort();
        self.problems.dedup();
        self.problems.into()
    }
}

/// Checks the namespace of a namespaced object; unset means `default`, as for `kubectl`.
pub(super) fn namespace(kind: ObjectKind, namespace: Option<&str>) -> Result<&str, Problem> {
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

/// Checks an object's name: a label for a Service, a subdomain for all else.
pub(super) fn name<'a>(
    kind: ObjectKind,
    namespace: &str,
    name: Option<&'a str>,
) -> Result<&'a str, Problem> {
    let name = name.unwrap_or_default();
    let (valid, what) = if kind == ObjectKind::Service {
        (is_label(name), "label")
    } else {
        (is_subdomain(name), "subdomain")
    };
    if valid {
        return Ok(name);
    }
    let message = format!("{name:?} is not an RFC 1123 {what}");
    let object = ObjectId {
        kind,
        namespace: namespace.into(),
        name: name.into(),
    };
    Err(Problem::error(
        object,
        "metadata.name",
        Reason::InvalidName,
        message,
    ))
}
