//! Reads how large the requests of an Ingress may be, how many there may be, and when one is sent
//! again.

use std::num::{NonZeroU32, NonZeroU64};

use super::super::super::annotations::field;
use super::super::super::api as k8s;
use super::super::super::report::Report;
use super::super::super::route::retry;
use super::super::super::value;
use crate::Reason;
use crate::model::{RateLimit, Retry};

/// The most bytes of a request's body.
pub(super) const MAX_BODY: &str = "seaway.dev/max-body";
/// How many requests a host takes.
pub(super) const RATE: &str = "seaway.dev/rate-limit";
/// When a request is sent again.
pub(in super::super::super) const RETRY: &str = "seaway.dev/retry";
/// The largest limit of bodies: a tebibyte.
const LARGEST: u64 = 1 << 40;
/// The most requests of a rate.
const MOST: u32 = 1_000_000;

/// The limit of bodies; without one that can be read there is none.
pub(super) fn max_body(meta: &k8s::Metadata, report: &mut Report) -> Option<NonZeroU64> {
    let text = value::annotation(meta, MAX_BODY)?;
    let limit = bytes(text).and_then(NonZeroU64::new);
    let limit = limit.filter(|limit| is_body(*limit));
    if limit.is_none() {
        let message = format!(
            "{text:?} is not a number of bytes such as \"8Mi\", from 1 to 1024Gi; there is no limit"
        );
        report.error(field(MAX_BODY), Reason::InvalidValue, message);
    }
    limit
}

/// Whether a limit of bodies is one.
pub(in super::super::super) fn is_body(limit: NonZeroU64) -> bool {
    limit.get() <= LARGEST
}

/// Reads a number of bytes. `k`, `m` and `g` are what they are to nginx, in either case: powers of
/// 1024.
fn bytes(text: &str) -> Option<u64> {
    let units = [
        ("Ki", 10),
        ("Mi", 20),
        ("Gi", 30),
        ("k", 10),
        ("m", 20),
        ("g", 30),
        ("K", 10),
        ("M", 20),
        ("G", 30),
        ("", 0),
    ];
    let found = units.into_iter().find_map(|(unit, shift)| {
        let digits = text.strip_suffix(unit)?;
        Some((digits, shift))
    });
    let (digits, shift) = found?;
    value::number::<u64>(digits)?.checked_mul(1 << shift)
}

/// The rate of requests; without one that can be read there is no limit.
pub(super) fn rate(meta: &k8s::Metadata, report: &mut Report) -> Option<RateLimit> {
    let text = value::annotation(meta, RATE)?;
    let parse = || {
        let (requests, seconds) = match text.split_once('/')? {
            (requests, "s") => (requests, NonZeroU32::MIN),
            (requests, "m") => (requests, MINUTE),
            _ => return None,
        };
        let requests = value::number(requests)?;
        Some(RateLimit {
            requests: NonZeroU32::new(requests)?,
            seconds,
        })
    };
    let rate = parse().filter(|rate| is_rate(*rate));
    if rate.is_none() {
        let message = format!(
            "{text:?} is not a rate such as \"100/s\" or \"600/m\", of up to {MOST}; there is no limit"
        );
        report.error(field(RATE), Reason::InvalidValue, message);
    }
    rate
}

/// The seconds of a minute.
const MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// Whether a rate is one.
pub(in super::super::super) fn is_rate(rate: RateLimit) -> bool {
    rate.requests.get() <= MOST && [NonZeroU32::MIN, MINUTE].contains(&rate.seconds)
}

/// When a request is sent again. What cannot be read is as if it was not there, as a whole.
///
/// # Errors
/// Says what is wrong with it.
pub(in super::super::super) fn retry(meta: &k8s::Metadata) -> Result<Option<Retry>, String> {
    let Some(text) = value::annotation(meta, RETRY) else {
        return Ok(None);
    };
    let most = retry::ATTEMPTS;
    let fault = || {
        format!(
            "{text:?} is not \"attempts=2; codes=502,503; backoff=100ms\", or less, with up to \
             {most} attempts and codes from 400 to 599; there are no retries"
        )
    };
    read_retry(text).map(Some).ok_or_else(fault)
}

fn read_retry(text: &str) -> Option<Retry> {
    let (mut attempts, mut codes, mut pause) = (None, None, None);
    for part in text.split(';') {
        match part.trim_matches(' ').split_once('=')? {
            ("attempts", number) if attempts.is_none() => {
                let count = value::number(number)?;
                attempts = Some(count).filter(|count| (1..=retry::ATTEMPTS).contains(count));
                attempts?;
            }
            ("codes", list) if codes.is_none() => codes = Some(read_codes(list)?),
            ("backoff", time) if pause.is_none() => {
                pause = Some(NonZeroU32::new(value::milliseconds(time)?)?);
            }
            _ => return None,
        }
    }
    Some(Retry {
        attempts: attempts.unwrap_or(retry::DEFAULT),
        codes: codes.unwrap_or_default(),
        pause,
    })
}

fn read_codes(list: &str) -> Option<Box<[u16]>> {
    let read = |text: &str| retry::code(value::number(text.trim_matches(' '))?);
    let codes: Option<Vec<u16>> = list.split(',').map(read).collect();
    let mut codes = codes?;
    codes.sort_unstable();
    codes.dedup();
    Some(codes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_nginx_and_of_kubernetes() {
        for (text, expected) in [
            ("1", Some(1)),
            ("8m", Some(8 << 20)),
            ("8Mi", Some(8 << 20)),
            ("512k", Some(512 << 10)),
            ("2Gi", Some(2 << 30)),
            ("0", Some(0)),
            ("", None),
            ("m", None),
            ("+1m", None),
            ("1.5m", None),
            ("8MB", None),
            ("8 m", None),
            ("99999999999999999999", None),
            ("99999999999g", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn retries_are_said_part_by_part() {
        let retry = |attempts, codes: &[u16], pause| Retry {
            attempts,
            codes: codes.into(),
            pause: NonZeroU32::new(pause),
        };
        for (text, expected) in [
            ("attempts=3", Some(retry(3, &[], 0))),
            ("codes=503, 502,502", Some(retry(1, &[502, 503], 0))),
            (
                "attempts=2; codes=502; backoff=1s",
                Some(retry(2, &[502], 1000)),
            ),
            ("", None),
            ("attempts=0", None),
            ("attempts=21", None),
            ("attempts=1; attempts=2", None),
            ("codes=", None),
            ("codes=5xx", None),
            ("codes=200", None),
            ("backoff=0s", None),
            ("on=reset", None),
        ] {
            assert_eq!(read_retry(text), expected, "{text}");
        }
    }
}
