//! Reads how long a request may take (Gateway rules 5 and 76).

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use crate::Reason;
use crate::model::Timeouts;

/// Reads `timeouts`.
pub(super) fn read(field: &Field<'_>, report: &mut Report) -> Result<Timeouts, Wrong> {
    field.has_fields(report)?;
    let backend = field.get("backendRequest");
    let timeouts = Timeouts {
        request: duration(&field.get("request"), report)?,
        backend_request: duration(&backend, report)?,
    };
    if let (Some(request @ 1..), Some(try_)) = (timeouts.request, timeouts.backend_request)
        && try_ > request
    {
        let message = "one try may not take longer than the whole request";
        return Err(backend.error(Reason::InvalidValue, message, report));
    }
    Ok(timeouts)
}

/// Reads a time in milliseconds; the longest is 49 days.
pub(super) fn duration(field: &Field<'_>, report: &mut Report) -> Result<Option<u32>, Wrong> {
    let Some(text) = field.text(report)? else {
        return Ok(None);
    };
    let Some(time) = milliseconds(text) else {
        let message = format!("{text:?} is not a time such as \"10s\", \"500ms\" or \"1m30s\"");
        return Err(field.error(Reason::InvalidValue, message, report));
    };
    let kept = u32::try_from(time).unwrap_or(u32::MAX);
    if u64::from(kept) != time {
        let message = format!("{text:?} is read as 49 days, the longest time there is");
        report.warning(field, Reason::InvalidValue, message);
    }
    Ok(Some(kept))
}

/// Reads a duration: one to four numbers of up to five digits, each with its unit.
fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0;
    for _ in 0..4 {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=5).contains(&digits) {
            return None;
        }
        let (number, after) = rest.split_at(digits);
        // The longer unit first: minutes begin as milliseconds do.
        let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        let (after, unit) = units
            .iter()
            .find_map(|(name, unit)| Some((after.strip_prefix(name)?, unit)))?;
        sum += number.parse::<u64>().ok()? * unit;
        rest = after;
        if rest.is_empty() {
            return Some(sum);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_gateway_api() {
        for (text, expected) in [
            ("0s", Some(0)),
            ("500ms", Some(500)),
            ("1h1m1s1ms", Some(3_661_001)),
            ("1m30s", Some(90_000)),
            ("99999h", Some(359_996_400_000)),
            ("", None),
            ("1", None),
            ("s", None),
            ("1.5s", None),
            ("-1s", None),
            ("100000s", None),
            ("1s1s1s1s1s", None),
            ("1d", None),
            ("1 s", None),
            ("1S", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
