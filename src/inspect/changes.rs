//! The list of changes: what a commit changed and why, and how long until every proxy had it.

use std::time::Instant;

use seaway_xds::{ChangeReport, TypeChangeReport};

use super::api::{Cause, ChangeCounts, ChangeRow, ChangedType};
use super::board::Tables;
use super::query::{ChangeQuery, Cut, ObjectFilter, Paging};
use super::times::Now;
use super::types;

/// How far back counts look, in seconds.
const COUNTED: f64 = 15.0 * 60.0;

/// A page of the changes that a query asks for, the newest first. The error says what of the query
/// is not known.
pub(super) fn page(
    changes: Vec<ChangeReport>,
    tables: &Tables,
    query: &ChangeQuery,
    now: Now,
) -> Result<Cut<ChangeRow>, String> {
    let is_key = |key: &str| key.len() == 20 && key.parse::<u64>().is_ok();
    let paging = Paging::after(query.limit, &query.after, is_key)?;
    let rows = changes.iter().map(|change| row(change, tables, now));
    let shown = rows.filter(|row| {
        let waits = row.waiting > 0;
        let is_of = |object: &ObjectFilter| {
            let causes = row.causes.iter().map(|cause| &cause.object);
            let mut all = causes.chain(&row.origins);
            all.any(|one| object.has(one))
        };
        query.waiting.is_none_or(|waiting| waiting == waits)
            && query.object.as_ref().is_none_or(is_of)
    });
    // The newest has the least key.
    let all = shown.map(|row| (format!("{:020}", u64::MAX - row.commit), row));
    Ok(paging.cut(all.collect()))
}

/// The row of a change.
pub(super) fn row(change: &ChangeReport, tables: &Tables, now: Now) -> ChangeRow {
    let cause = tables.cause(change.seq);
    let causes = cause.map_or(&[][..], |cause| &cause.causes);
    let causes = causes.iter().map(|cause| Cause {
        object: cause.object.to_string(),
        version: cause.version.as_ref().map(ToString::to_string),
        gone: cause.gone,
    });
    let types = change.types.iter().map(|of| of_type(of, change.at));
    let types: Vec<ChangedType> = types.collect();
    ChangeRow {
        commit: change.seq,
        at: now.at(change.at),
        causes: causes.collect(),
        objects: cause.map_or(0, |cause| cause.objects),
        origins: change.origins.iter().map(ToString::to_string).collect(),
        origins_total: change.origin_count,
        ack_ms: ack(&types),
        waiting: types.iter().map(|of| of.waiting).max().unwrap_or_default(),
        types,
    }
}

/// How long it took until the last proxy had taken the last type; `None` while one has not.
fn ack(types: &[ChangedType]) -> Option<f64> {
    if types.iter().any(|of| of.waiting > 0) {
        return None;
    }
    types.iter().filter_map(|of| of.ack_ms).reduce(f64::max)
}

fn of_type(change: &TypeChangeReport, at: Instant) -> ChangedType {
    let millis = |then: Option<Instant>| {
        then.map(|then| then.saturating_duration_since(at).as_secs_f64() * 1e3)
    };
    ChangedType {
        r#type: types::short(change.type_url).to_owned(),
        set: change.set,
        removed: change.removed,
        bytes: change.bytes,
        proxies: change.concerned,
        waiting: change.waiting,
        rejected: change.rejected,
        lost: change.lost,
        sent_ms: millis(change.sent),
        ack_ms: millis(change.acked),
    }
}

/// How many changes there were in the last 15 minutes, and how long they took.
pub(super) fn counts(changes: &[ChangeReport], now: Now) -> ChangeCounts {
    let mut recent = 0_u32;
    let mut oldest = 0.0_f64;
    let mut took = Vec::new();
    let mut waiting = None;
    for change in changes {
        let age = now.seconds_since(change.at);
        if change.types.iter().any(|of| of.waiting > 0) {
            waiting = Some(waiting.unwrap_or(age).max(age));
        }
        if age > COUNTED {
            continue;
        }
        recent += 1;
        oldest = oldest.max(age);
        let types: Vec<_> = change
            .types
            .iter()
            .map(|of| of_type(of, change.at))
            .collect();
        took.extend(ack(&types));
    }
    took.sort_by(f64::total_cmp);
    // The log is a ring: it may begin later than the time that is looked at.
    let minutes = oldest.clamp(60.0, COUNTED) / 60.0;
    ChangeCounts {
        per_minute: f64::from(recent) / minutes,
        ack_p50_ms: quantile(&took, 50),
        ack_p99_ms: quantile(&took, 99),
        oldest_waiting_s: waiting,
    }
}

fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last * percent).div_ceil(100)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[7.0], 99), Some(7.0));
        let all: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&all, 50), Some(51.0));
        assert_eq!(quantile(&all, 99), Some(100.0));
    }
}
