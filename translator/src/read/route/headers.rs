//! Reads changes of headers (Gateway rule 68).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::field::{Field, Wrong};
use super::super::http::header;
use super::super::report::Report;
use crate::Reason;
use crate::model::HeaderChanges;

/// How many headers each of the lists may have.
const NAMES: usize = 16;

/// Names with values.
type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// Reads a header modifier.
pub(super) fn read(field: &Field<'_>, report: &mut Report) -> Result<HeaderChanges, Wrong> {
    field.has_fields(report)?;
    let mut names = BTreeSet::new();
    let set = pairs(&field.get("set"), &mut names, report)?;
    let add = pairs(&field.get("add"), &mut names, report)?;
    let list = field.get("remove");
    let mut remove = Vec::new();
    for item in bounded(&list, report)? {
        remove.push(name(&item, &mut names, report)?);
    }
    Ok(HeaderChanges {
        set: set.into(),
        add: add.into(),
        remove: remove.into(),
    })
}

fn bounded<'a>(
    list: &'a Field<'a>,
    report: &mut Report,
) -> Result<impl Iterator<Item = Field<'a>> + use<'a>, Wrong> {
    let items = list.items(report)?;
    if items.count_all() > NAMES {
        let message = format!("a filter may have {NAMES} of them");
        return Err(list.error(Reason::TooLarge, message, report));
    }
    Ok(items)
}

fn pairs(
    list: &Field<'_>,
    names: &mut BTreeSet<Arc<str>>,
    report: &mut Report,
) -> Result<Pairs, Wrong> {
    let mut pairs = Pairs::new();
    for item in bounded(list, report)? {
        item.has_fields(report)?;
        let name = name(&item.get("name"), names, report)?;
        let field = item.get("value");
        let value = field.text(report)?.unwrap_or_default();
        if let Some(why) = header::value_fault(value) {
            return Err(field.error(Reason::InvalidHeader, why, report));
        }
        pairs.push((name, value.into()));
    }
    Ok(pairs)
}

/// Reads the name of a header, in lower case. A filter does one thing with a header.
fn name(
    field: &Field<'_>,
    names: &mut BTreeSet<Arc<str>>,
    report: &mut Report,
) -> Result<Arc<str>, Wrong> {
    let text = field.text(report)?.unwrap_or_default();
    if let Some(why) = header::changed_name_fault(text) {
        return Err(field.error(Reason::InvalidHeader, why, report));
    }
    let name: Arc<str> = text.to_ascii_lowercase().into();
    if !names.insert(name.clone()) {
        let message = format!("{name:?} is changed twice by one filter");
        return Err(field.error(Reason::InvalidHeader, message, report));
    }
    Ok(name)
}
