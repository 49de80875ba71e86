//! Reads a ReferenceGrant from its API object (Gateway rule 32).

use std::sync::Arc;

use super::super::api as k8s;
use super::super::field::{Field, Wrong};
use super::super::report::Identity;
use super::super::report::Report;
use super::super::route::parent::{is_kind, part};
use crate::model::{GrantFrom, GrantTo, ReferenceGrant};
use crate::names::{is_label, is_subdomain};
use crate::{Problem, Reason};

/// How many items `from` and `to` may have.
const ITEMS: usize = 16;

/// Reads a ReferenceGrant, with the problems found on the way. What cannot be read allows nothing.
pub(in super::super) fn read(grant: &k8s::ReferenceGrant) -> Result<ReferenceGrant, Problem> {
    let (identity, mut report) = Identity::namespaced("ReferenceGrant", &grant.metadata)?;
    let spec = Field::top("spec", &grant.spec);
    // A `spec` of a wrong type is reported, and allows nothing.
    let _ = spec.has_fields(&mut report);
    Ok(ReferenceGrant {
        namespace: identity.namespace,
        name: identity.name,
        from: items(&spec.get("from"), from, &mut report).into(),
        to: items(&spec.get("to"), to, &mut report).into(),
        problems: report.finish(),
    })
}

fn items<T>(
    list: &Field<'_>,
    read: fn(&Field<'_>, &mut Report) -> Result<T, Wrong>,
    report: &mut Report,
) -> Vec<T> {
    let Ok(items) = list.first_items(ITEMS, report) else {
        return Vec::new();
    };
    if items.is_empty() {
        report.error(
            list,
            Reason::InvalidValue,
            "it is missing: nothing is allowed",
        );
    }
    items.filter_map(|item| read(&item, report).ok()).collect()
}

fn from(item: &Field<'_>, report: &mut Report) -> Result<GrantFrom, Wrong> {
    item.has_fields(report)?;
    Ok(GrantFrom {
        group: group(item, report)?,
        kind: filled(&item.get("kind"), is_kind, report)?,
        namespace: filled(&item.get("namespace"), is_label, report)?,
    })
}

fn to(item: &Field<'_>, report: &mut Report) -> Result<GrantTo, Wrong> {
    item.has_fields(report)?;
    Ok(GrantTo {
        group: group(item, report)?,
        kind: filled(&item.get("kind"), is_kind, report)?,
        name: part(&item.get("name"), is_subdomain, report)?,
    })
}

/// The group, which is empty for the core group, but has to be there.
fn group(item: &Field<'_>, report: &mut Report) -> Result<Arc<str>, Wrong> {
    let field = item.get("group");
    let is_group = |text: &str| text.is_empty() || is_subdomain(text);
    let group = part(&field, is_group, report)?;
    group.ok_or_else(|| field.error(Reason::InvalidValue, "it is missing", report))
}

fn filled(
    field: &Field<'_>,
    is_valid: fn(&str) -> bool,
    report: &mut Report,
) -> Result<Arc<str>, Wrong> {
    field.required(report)?;
    Ok(part(field, is_valid, report)?.unwrap_or_default())
}
