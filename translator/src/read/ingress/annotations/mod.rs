//! Reads the annotations of an Ingress.

mod cors;
pub(in super::super) mod limits;

use std::sync::Arc;

use ipnet::IpNet;

use super::super::annotations::{field, is_known, known};
use super::super::api as k8s;
use super::super::report::Report;
use super::super::value;
use crate::Reason;
use crate::model::{IngressSettings, Retry};

/// Whether requests over plain HTTP are redirected to HTTPS.
const REDIRECT: &str = "seaway.dev/redirect-to-https";
/// The value of `strict-transport-security` over TLS.
const HSTS: &str = "seaway.dev/hsts";
/// How long a request may take.
pub(in super::super) const TIMEOUT: &str = "seaway.dev/timeout";
/// The ranges of clients that are served.
const SOURCES: &str = "seaway.dev/allowed-source-ranges";
/// How many ranges of clients an Ingress may name.
pub(in super::super) const RANGES: usize = 200;

/// The annotations of Ingresses.
pub(in super::super) const OF_INGRESSES: [&str; 13] = [
    REDIRECT,
    HSTS,
    TIMEOUT,
    SOURCES,
    limits::MAX_BODY,
    limits::RATE,
    limits::RETRY,
    cors::ORIGINS,
    cors::METHODS,
    cors::HEADERS,
    cors::EXPOSED,
    cors::CREDENTIALS,
    cors::MAX_AGE,
];

/// What the annotations ask for.
pub(super) struct Asked {
    pub(super) settings: IngressSettings,
    /// How long a request may take, in milliseconds.
    pub(super) timeout: Option<u32>,
    /// When it is sent again.
    pub(super) retry: Option<Retry>,
}

impl Asked {
    /// As how many routes each path counts: one with a limit of bodies becomes four.
    pub(super) fn weight(&self) -> usize {
        if self.settings.max_body.is_some() {
            4
        } else {
            1
        }
    }
}

/// Reads what the annotations ask for.
pub(super) fn read(meta: &k8s::Metadata, report: &mut Report) -> Asked {
    unknown(meta, report);
    let settings = IngressSettings {
        redirect_to_https: flag(meta, REDIRECT, report),
        hsts: hsts(meta, report),
        sources: sources(meta, report),
        cors: cors::read(meta, report),
        max_body: limits::max_body(meta, report),
        rate: limits::rate(meta, report),
    };
    Asked {
        settings,
        timeout: timeout(meta, report),
        retry: retry(meta, report),
    }
}

fn flag(meta: &k8s::Metadata, name: &str, report: &mut Report) -> bool {
    match value::annotation(meta, name) {
        Some("true") => true,
        None | Some("false") => false,
        Some(other) => {
            let message =
                format!("{other:?} is neither \"true\" nor \"false\"; it is read as false");
            report.error(field(name), Reason::InvalidValue, message);
            false
        }
    }
}

/// A value that a browser would not take is left out.
fn hsts(meta: &k8s::Metadata, report: &mut Report) -> Option<Arc<str>> {
    let text = value::annotation(meta, HSTS)?;
    let parts: Vec<&str> = text.split(';').map(|part| part.trim_matches(' ')).collect();
    if let [age, flags @ ..] = parts.as_slice()
        && is_max_age(age)
        && flags
            .iter()
            .all(|flag| ["includeSubDomains", "preload"].contains(flag))
    {
        return Some(parts.join("; ").into());
    }
    let message =
        format!("{text:?} is not \"max-age=SECONDS; includeSubDomains; preload\" or less");
    report.error(field(HSTS), Reason::InvalidValue, message);
    None
}

fn is_max_age(part: &str) -> bool {
    let age = part.strip_prefix("max-age=").unwrap_or_default();
    (1..=10).contains(&age.len()) && age.bytes().all(|byte| byte.is_ascii_digit())
}

fn timeout(meta: &k8s::Metadata, report: &mut Report) -> Option<u32> {
    let text = value::annotation(meta, TIMEOUT)?;
    let timeout = value::milliseconds(text);
    if timeout.is_none() {
        let message = format!("{text:?} is not a time such as \"30s\"; there is no timeout");
        report.error(field(TIMEOUT), Reason::InvalidValue, message);
    }
    timeout
}

fn retry(meta: &k8s::Metadata, report: &mut Report) -> Option<Retry> {
    limits::retry(meta).unwrap_or_else(|message| {
        report.error(field(limits::RETRY), Reason::InvalidValue, message);
        None
    })
}

/// The ranges. One that cannot be read is left out, and lets nobody in.
fn sources(meta: &k8s::Metadata, report: &mut Report) -> Option<Box<[IpNet]>> {
    let text = value::annotation(meta, SOURCES)?;
    let mut ranges = Vec::new();
    for range in text.split(',').map(str::trim) {
        match value::cidr(range) {
            _ if ranges.len() == RANGES => {
                let message = format!("only the first {RANGES} ranges count");
                report.error(field(SOURCES), Reason::TooLarge, message);
                break;
            }
            Some(range) => ranges.push(range),
            None => {
                let message =
                    format!("{range:?} is not a range such as \"192.0.2.0/24\"; it lets nobody in");
                report.error(field(SOURCES), Reason::InvalidValue, message);
            }
        }
    }
    Some(ranges.into())
}

/// Reports annotations in Seaway's name that mean nothing on an Ingress.
fn unknown(meta: &k8s::Metadata, report: &mut Report) {
    let elsewhere = |name: &str| {
        let of_services = is_known(name);
        of_services.then_some("it is one of Services: set it on those behind the Ingress")
    };
    known::unknown(meta, ("Ingresses", &[&OF_INGRESSES]), elsewhere, report);
}

#[cfg(test)]
mod tests;
