//! Reads label selectors (Gateway rule 43).

use std::sync::Arc;

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use crate::Reason;
use crate::model::{LabelOperator, LabelRequirement, LabelSelector};
use crate::names::is_subdomain;

/// How many requirements a selector may have, and how many values each of them.
const REQUIREMENTS: usize = 64;

/// Reads a selector.
pub(super) fn read(field: &Field<'_>, report: &mut Report) -> Result<LabelSelector, Wrong> {
    if !field.has_fields(report)? {
        let message = "it is missing, and no namespace is selected";
        return Err(field.error(Reason::InvalidValue, message, report));
    }
    let mut requirements = Vec::new();
    let labels = field.get("matchLabels");
    for (key, value) in labels.pairs(report)? {
        requirements.push(LabelRequirement {
            key: checked(key, is_key, &value, report)?,
            operator: LabelOperator::In,
            values: Box::new([value_of(&value, report)?]),
        });
    }
    let expressions = field.get("matchExpressions");
    for item in expressions.items(report)? {
        requirements.push(expression(&item, report)?);
    }
    if requirements.len() > REQUIREMENTS {
        let message = format!("a selector may have {REQUIREMENTS} requirements");
        return Err(field.error(Reason::TooLarge, message, report));
    }
    Ok(LabelSelector {
        requirements: requirements.into(),
    })
}

fn expression(item: &Field<'_>, report: &mut Report) -> Result<LabelRequirement, Wrong> {
    item.has_fields(report)?;
    let (key, kind, list) = (item.get("key"), item.get("operator"), item.get("values"));
    let name = key.required(report)?;
    let operator = match kind.required(report)? {
        "In" => LabelOperator::In,
        "NotIn" => LabelOperator::NotIn,
        "Exists" => LabelOperator::Exists,
        "DoesNotExist" => LabelOperator::DoesNotExist,
        other => {
            let message = format!("{other:?} is none of In, NotIn, Exists, DoesNotExist");
            return Err(kind.error(Reason::InvalidValue, message, report));
        }
    };
    let items = list.items(report)?;
    let takes_values = matches!(operator, LabelOperator::In | LabelOperator::NotIn);
    if items.is_empty() == takes_values || items.count_all() > REQUIREMENTS {
        let message = format!("the operator does not take {} values", items.count_all());
        return Err(list.error(Reason::InvalidValue, message, report));
    }
    let values: Result<Vec<_>, Wrong> = items.map(|item| value_of(&item, report)).collect();
    Ok(LabelRequirement {
        key: checked(name, is_key, &key, report)?,
        operator,
        values: values?.into(),
    })
}

fn value_of(field: &Field<'_>, report: &mut Report) -> Result<Arc<str>, Wrong> {
    let text = field.text(report)?.unwrap_or_default();
    checked(text, is_value, field, report)
}

fn checked(
    text: &str,
    is_valid: fn(&str) -> bool,
    field: &Field<'_>,
    report: &mut Report,
) -> Result<Arc<str>, Wrong> {
    if is_valid(text) {
        return Ok(text.into());
    }
    let message = format!("{text:?} is not of the form that labels have");
    Err(field.error(Reason::InvalidValue, message, report))
}

/// Whether this is the key of a label: a name, maybe after a DNS name and a slash.
pub(in super::super) fn is_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_value(name)
}

/// Whether this is the value of a label.
pub(in super::super) fn is_value(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let edges = [text.bytes().next(), text.bytes().next_back()];
    text.len() <= 63
        && text.bytes().all(allowed)
        && edges
            .into_iter()
            .flatten()
            .all(|b| b.is_ascii_alphanumeric())
}
