//! Reads the references of a route to its parents, as they are written (Gateway rule 100).

use std::sync::Arc;

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::super::value;
use super::PARENTS;
use crate::Reason;
use crate::model::ParentRef;
use crate::names::{is_label, is_subdomain};

/// Reads `spec.parentRefs`. One that cannot be used is left out.
pub(super) fn read(list: &Field<'_>, report: &mut Report) -> Vec<ParentRef> {
    let mut parents: Vec<ParentRef> = Vec::new();
    let items = list.first_items(PARENTS, report);
    for item in items.into_iter().flatten() {
        match read_one(&item, report) {
            Ok(parent) if parents.contains(&parent) => {
                let message = "it is the same as one before it";
                report.warning(&item, Reason::InvalidValue, message);
            }
            Ok(parent) => parents.push(parent),
            Err(Wrong) => {}
        }
    }
    parents
}

fn read_one(parent: &Field<'_>, report: &mut Report) -> Result<ParentRef, Wrong> {
    parent.has_fields(report)?;
    let group = |text: &str| text.is_empty() || is_subdomain(text);
    let name = parent.get("name");
    name.required(report)?;
    Ok(ParentRef {
        group: part(&parent.get("group"), group, report)?,
        kind: part(&parent.get("kind"), is_kind, report)?,
        namespace: part(&parent.get("namespace"), is_label, report)?,
        name: part(&name, is_subdomain, report)?.unwrap_or_default(),
        section: part(&parent.get("sectionName"), is_subdomain, report)?,
        port: value::port_field(&parent.get("port"), report)?,
    })
}

/// Reads a text that has to be of some form.
pub(in super::super) fn part(
    field: &Field<'_>,
    is_valid: impl Fn(&str) -> bool,
    report: &mut Report,
) -> Result<Option<Arc<str>>, Wrong> {
    match field.text(report)? {
        None => Ok(None),
        Some(text) if is_valid(text) => Ok(Some(text.into())),
        Some(text) => {
            let message = format!("{text:?} is not of the form that it should have");
            Err(field.error(Reason::InvalidName, message, report))
        }
    }
}

/// Whether this is the name of a kind.
pub(in super::super) fn is_kind(text: &str) -> bool {
    let bytes = text.as_bytes();
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(allowed)
        && bytes[0].is_ascii_alphabetic()
        && bytes[bytes.len() - 1] != b'-'
}
