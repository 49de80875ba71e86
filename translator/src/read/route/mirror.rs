//! Reads which requests are copied, and where to (Gateway rule 73).

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::backend;
use crate::Reason;
use crate::model::Mirror;

/// All requests.
const ALL: i64 = 1_000_000;

/// Reads a mirror; `None` when no request is to be copied.
pub(super) fn read(
    field: &Field<'_>,
    namespace: &str,
    report: &mut Report,
) -> Result<Option<Mirror>, Wrong> {
    field.has_fields(report)?;
    let backend = field.get("backendRef");
    let per_million = share(field, report)?;
    let target = backend::target(&backend, namespace, report);
    Ok((per_million > 0).then(|| Mirror {
        field: backend.to_string().into(),
        target,
        per_million,
    }))
}

fn share(field: &Field<'_>, report: &mut Report) -> Result<u32, Wrong> {
    let (percent, fraction) = (field.get("percent"), field.get("fraction"));
    let share = match (percent.number(report)?, fraction.has_fields(report)?) {
        (None, false) => ALL,
        (Some(given), false) if (0..=100).contains(&given) => given * (ALL / 100),
        (Some(_), false) => {
            let message = "it is not a number from 0 to 100";
            return Err(percent.error(Reason::InvalidValue, message, report));
        }
        (None, true) => part(&fraction, report)?,
        (Some(_), true) => {
            let message = "percent and fraction exclude one another";
            return Err(field.error(Reason::InvalidValue, message, report));
        }
    };
    Ok(u32::try_from(share).unwrap_or_default())
}

fn part(fraction: &Field<'_>, report: &mut Report) -> Result<i64, Wrong> {
    let numerator = fraction.get("numerator").number(report)?;
    let denominator = fraction.get("denominator").number(report)?.unwrap_or(100);
    let bounds = 1..=i64::from(i32::MAX);
    match numerator {
        Some(part) if bounds.contains(&denominator) && (0..=denominator).contains(&part) => {
            Ok((part * ALL + denominator / 2) / denominator)
        }
        _ => {
            let message = "it is not a fraction from 0 to 1";
            Err(fraction.error(Reason::InvalidValue, message, report))
        }
    }
}
