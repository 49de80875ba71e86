//! Reads when a request is sent again (Gateway rule 77).

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::timeouts::duration;
use crate::Reason;
use crate::model::Retry;

/// How often a request may be sent again at most.
pub(in super::super) const ATTEMPTS: u32 = 20;
/// The status codes after which it may be.
pub(in super::super) const CODES: RangeInclusive<u16> = 400..=599;
/// How often it is when nothing is said.
pub(in super::super) const DEFAULT: u32 = 1;

/// Reads `retry`.
pub(super) fn read(field: &Field<'_>, report: &mut Report) -> Result<Option<Retry>, Wrong> {
    if !field.has_fields(report)? {
        return Ok(None);
    }
    let (attempts, backoff) = (field.get("attempts"), field.get("backoff"));
    let retry = Retry {
        attempts: read_attempts(&attempts, report)?,
        codes: read_codes(&field.get("codes"), report)?,
        pause: duration(&backoff, report)?.and_then(NonZeroU32::new),
    };
    Ok(Some(retry))
}

/// Gateway API has no bound, but what one client sends must not become any number of requests.
fn read_attempts(field: &Field<'_>, report: &mut Report) -> Result<u32, Wrong> {
    let Some(number) = field.number(report)? else {
        return Ok(DEFAULT);
    };
    let Ok(attempts) = u32::try_from(number) else {
        let message = format!("{number} is no number of retries");
        return Err(field.error(Reason::InvalidValue, message, report));
    };
    if attempts > ATTEMPTS {
        let message = format!("it is read as {ATTEMPTS}, the most retries there may be");
        report.warning(field, Reason::InvalidValue, message);
    }
    Ok(attempts.min(ATTEMPTS))
}

fn read_codes(list: &Field<'_>, report: &mut Report) -> Result<Box<[u16]>, Wrong> {
    let mut codes: Vec<u16> = Vec::new();
    let items = list.items(report)?;
    let (count, most) = (items.count_all(), CODES.len());
    if count > most {
        let message = format!("{count} are more than the {most} there may be");
        return Err(list.error(Reason::TooLarge, message, report));
    }
    for item in items {
        let number = item.number(report)?.unwrap_or_default();
        let Some(code) = code(number) else {
            let message = format!("{number} is no status code from 400 to 599");
            return Err(item.error(Reason::InvalidValue, message, report));
        };
        codes.push(code);
    }
    codes.sort_unstable();
    codes.dedup();
    Ok(codes.into())
}

/// Whether reading could have made this.
pub(in super::super) fn is_valid(retry: &Retry) -> bool {
    retry.attempts <= ATTEMPTS
        && retry.codes.iter().all(|code| CODES.contains(code))
        && retry.codes.is_sorted_by(|a, b| a < b)
}

/// A status code after which a request may be sent again.
pub(in super::super) fn code(number: i64) -> Option<u16> {
    let code = u16::try_from(number).ok();
    code.filter(|code| CODES.contains(code))
}
