//! Reads what annotations of a Service say of requests for it, and of how its endpoints are used.
//! A value that cannot be read is as if it was not there.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::super::api as k8s;
use super::super::http::header;
use super::super::ingress::annotations::{TIMEOUT, limits};
use super::super::report::Report;
use super::super::route::retry;
use super::super::value;
use super::field;
use crate::Reason;
use crate::model::{
    Balance, Ejection, HashBy, Limits, Retry, ServiceSettings, Timeouts, time_in_words,
};

/// How long one try of a request may take.
const TRY_TIMEOUT: &str = "seaway.dev/try-timeout";
/// How an endpoint is chosen.
const BALANCE: &str = "seaway.dev/balance";
/// How many connections one proxy has at a time.
const MAX_CONNECTIONS: &str = "seaway.dev/max-connections";
/// How much waits for a connection at one proxy.
const MAX_PENDING: &str = "seaway.dev/max-pending-requests";
/// How many requests one proxy has at a time.
const MAX_REQUESTS: &str = "seaway.dev/max-requests";
/// After how many answers of 5xx an endpoint is left out.
const OUTLIER_5XX: &str = "seaway.dev/outlier-5xx";
/// For how long.
const EJECTION_TIME: &str = "seaway.dev/ejection-time";
/// How many endpoints may be left out.
const MAX_EJECTED: &str = "seaway.dev/max-ejected";
/// All of them.
pub(super) const ALL: [&str; 10] = [
    TIMEOUT,
    TRY_TIMEOUT,
    limits::RETRY,
    BALANCE,
    MAX_CONNECTIONS,
    MAX_PENDING,
    MAX_REQUESTS,
    OUTLIER_5XX,
    EJECTION_TIME,
    MAX_EJECTED,
];

/// How many milliseconds a request may be allowed: up to a day.
const TIMES: RangeInclusive<u32> = 1..=86_400_000;
/// How many there may be of what is limited.
const COUNTS: RangeInclusive<u32> = 1..=1_000_000;
/// How many answers in a row may be waited for.
const ERRORS: RangeInclusive<u32> = 1..=1_000;
/// How many milliseconds an endpoint may be left out the first time.
const EJECTIONS: RangeInclusive<u32> = 1_000..=300_000;
/// How many percent of the endpoints may be left out: one always stays.
const PERCENT: RangeInclusive<u32> = 1..=99;

/// Reads all of them; `sticky`: whether the Service has session affinity.
pub(in super::super) fn read(
    meta: &k8s::Metadata,
    sticky: bool,
    report: &mut Report,
) -> ServiceSettings {
    let count = |name, range, report: &mut Report| count(meta, name, range, report);
    ServiceSettings {
        timeouts: timeouts(meta, report),
        retry: retry(meta, report),
        balance: balance(meta, sticky, report),
        limits: Limits {
            connections: count(MAX_CONNECTIONS, COUNTS, report),
            pending: count(MAX_PENDING, COUNTS, report),
            requests: count(MAX_REQUESTS, COUNTS, report),
        },
        ejection: Ejection {
            errors: count(OUTLIER_5XX, ERRORS, report),
            time: time(meta, EJECTION_TIME, EJECTIONS, report),
            most: count(MAX_EJECTED, PERCENT, report),
        },
    }
}

fn timeouts(meta: &k8s::Metadata, report: &mut Report) -> Timeouts {
    let request = time(meta, TIMEOUT, TIMES, report).map(NonZeroU32::get);
    let single = time(meta, TRY_TIMEOUT, TIMES, report).map(NonZeroU32::get);
    if let (Some(all), Some(one)) = (request, single)
        && one > all
    {
        let message = format!("a try may not take longer than the request, by {TIMEOUT}");
        report.warning(field(TRY_TIMEOUT), Reason::InvalidValue, message);
    }
    Timeouts {
        request,
        backend_request: single,
    }
}

fn retry(meta: &k8s::Metadata, report: &mut Report) -> Option<Retry> {
    limits::retry(meta).unwrap_or_else(|message| {
        report.warning(field(limits::RETRY), Reason::InvalidValue, message);
        None
    })
}

/// A time within bounds, in milliseconds.
fn time(
    meta: &k8s::Metadata,
    name: &str,
    range: RangeInclusive<u32>,
    report: &mut Report,
) -> Option<NonZeroU32> {
    let text = value::annotation(meta, name)?;
    let say = |time: &u32| time_in_words(i64::from(*time));
    let (least, most) = (say(range.start()), say(range.end()));
    let what = format!("a time from {least} to {most}, such as \"5s\"");
    within(
        (name, text),
        value::milliseconds(text),
        range,
        &what,
        report,
    )
}

/// A number within bounds.
fn count(
    meta: &k8s::Metadata,
    name: &str,
    range: RangeInclusive<u32>,
    report: &mut Report,
) -> Option<NonZeroU32> {
    let text = value::annotation(meta, name)?;
    let what = format!("a number from {} to {}", range.start(), range.end());
    within((name, text), value::number(text), range, &what, report)
}

/// What was read of an annotation with this text, if it is within bounds.
fn within(
    (name, text): (&str, &str),
    read: Option<u32>,
    range: RangeInclusive<u32>,
    what: &str,
    report: &mut Report,
) -> Option<NonZeroU32> {
    let read = read.filter(|read| range.contains(read));
    if read.is_none() {
        let message = format!("{text:?} is not {what}; it is left out");
        report.warning(field(name), Reason::InvalidValue, message);
    }
    read.and_then(NonZeroU32::new)
}

fn balance(meta: &k8s::Metadata, sticky: bool, report: &mut Report) -> Balance {
    let Some(text) = value::annotation(meta, BALANCE) else {
        return Balance::default();
    };
    let Some(balance) = read_balance(text) else {
        let message = format!(
            "{text:?} is none of round-robin, least-request, random, header=NAME and cookie=NAME; \
             it is read as round-robin"
        );
        report.warning(field(BALANCE), Reason::InvalidValue, message);
        return Balance::default();
    };
    if sticky {
        let message = "sessionAffinity: ClientIP decides on the endpoint; it is left out";
        report.warning(field(BALANCE), Reason::InvalidValue, message);
        return Balance::default();
    }
    balance
}

fn read_balance(text: &str) -> Option<Balance> {
    let by = match text {
        "round-robin" => return Some(Balance::RoundRobin),
        "least-request" => return Some(Balance::LeastRequest),
        "random" => return Some(Balance::Random),
        _ => match text.split_once('=')? {
            // Envoy knows them in lower case.
            ("header", name) => HashBy::Header(name.to_ascii_lowercase().into()),
            ("cookie", name) => HashBy::Cookie(name.into()),
            _ => return None,
        },
    };
    is_hash(&by).then_some(Balance::Hash(by))
}

/// Whether there can be a header or a cookie of this name: both are tokens.
fn is_hash(by: &HashBy) -> bool {
    match by {
        HashBy::Source => false,
        HashBy::Header(name) => {
            header::name_fault(name).is_none() && !name.bytes().any(|b| b.is_ascii_uppercase())
        }
        HashBy::Cookie(name) => header::name_fault(name).is_none(),
    }
}

/// Whether reading could have made these settings.
pub(in super::super) fn is_valid(settings: &ServiceSettings) -> bool {
    let ServiceSettings {
        timeouts,
        retry,
        balance,
        limits,
        ejection,
    } = settings;
    let is = |found: Option<NonZeroU32>, range: RangeInclusive<u32>| {
        found.is_none_or(|number| range.contains(&number.get()))
    };
    let times = [timeouts.request, timeouts.backend_request];
    times
        .into_iter()
        .flatten()
        .all(|time| TIMES.contains(&time))
        && retry.as_ref().is_none_or(retry::is_valid)
        && match balance {
            Balance::Hash(by) => is_hash(by),
            Balance::RoundRobin | Balance::LeastRequest | Balance::Random => true,
        }
        && [limits.connections, limits.pending, limits.requests]
            .into_iter()
            .all(|limit| is(limit, COUNTS))
        && is(ejection.errors, ERRORS)
        && is(ejection.time, EJECTIONS)
        && is(ejection.most, PERCENT)
}

#[cfg(test)]
mod tests;
