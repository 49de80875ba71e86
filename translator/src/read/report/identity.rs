//! [`Identity`]: what the metadata of an object says, with the report that its reading begins.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::api::Metadata;
use super::Report;
use crate::{Problem, Reason, Subject};

/// The identity of an object, and when it was made.
pub(in super::super) struct Identity {
    /// The namespace; empty for an object that is in none.
    pub(in super::super) namespace: Arc<str>,
    /// The name.
    pub(in super::super) name: Arc<str>,
    /// Seconds since 1970 of `creationTimestamp`; without one the object ranks as the youngest.
    pub(in super::super) created: i64,
    /// `metadata.generation`; 0 without one.
    pub(in super::super) generation: i64,
}

impl Identity {
    /// The identity of an object that is in a namespace.
    pub(in super::super) fn namespaced(
        kind: &str,
        meta: &Metadata,
    ) -> Result<(Identity, Report), Problem> {
        let namespace = super::namespace(kind, meta.namespace.as_deref())?;
        Identity::new(kind, namespace, meta)
    }

    /// The identity of an object that is in no namespace.
    pub(in super::super) fn clusterwide(
        kind: &str,
        meta: &Metadata,
    ) -> Result<(Identity, Report), Problem> {
        Identity::new(kind, "", meta)
    }

    fn new(kind: &str, namespace: &str, meta: &Metadata) -> Result<(Identity, Report), Problem> {
        let name = super::name(kind, namespace, meta.name.as_deref())?;
        let mut report = Report::new(subject(kind, namespace, name));
        let identity = Identity {
            namespace: namespace.into(),
            name: name.into(),
            created: created(meta, "of objects that ask for the same", &mut report),
            generation: meta.generation.unwrap_or_default(),
        };
        Ok((identity, report))
    }
}

/// The subject of the problems of an object.
pub(super) fn subject(kind: &str, namespace: &str, name: &str) -> Subject {
    match namespace {
        "" => Subject::from(format!("{kind} {name}")),
        _ => Subject::from(format!("{kind} {namespace}/{name}")),
    }
}

/// The creation time in seconds since 1970; without one the object ranks as the youngest of its
/// `rivals`.
pub(in crate::read) fn created(meta: &Metadata, rivals: &str, report: &mut Report) -> i64 {
    let Some(text) = &meta.creation_timestamp else {
        return i64::MAX;
    };
    let time = text.0.as_deref().and_then(|text| text.parse().ok());
    time.map_or_else(
        || {
            let message = format!("it is not a time; {rivals} those with a time are first");
            report.warning("metadata.creationTimestamp", Reason::InvalidValue, message);
            i64::MAX
        },
        Timestamp::as_second,
    )
}
