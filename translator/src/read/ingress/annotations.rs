//! Reads the annotations of an Ingress.

use std::sync::Arc;

use ipnet::IpNet;

use super::super::api as k8s;
use super::super::decode::OURS;
use super::super::report::Report;
use super::super::value;
use crate::Reason;
use crate::model::IngressSettings;

/// Whether requests over plain HTTP are redirected to HTTPS.
const REDIRECT: &str = "seaway.dev/redirect-to-https";
/// The value of `strict-transport-security` over TLS.
const HSTS: &str = "seaway.dev/hsts";
/// How long a request may take.
const TIMEOUT: &str = "seaway.dev/timeout";
/// The ranges of clients that are served.
const SOURCES: &str = "seaway.dev/allowed-source-ranges";
/// How many ranges of clients an Ingress may name.
pub(in super::super) const RANGES: usize = 200;

/// Reads what the annotations ask for, with the timeout of requests in milliseconds.
pub(super) fn read(meta: &k8s::Metadata, report: &mut Report) -> (IngressSettings, Option<u32>) {
    unknown(meta, report);
    let settings = IngressSettings {
        redirect_to_https: flag(meta, REDIRECT, report),
        hsts: hsts(meta, report),
        sources: sources(meta, report),
    };
    (settings, timeout(meta, report))
}

fn field(name: &str) -> String {
    format!("metadata.annotations[{name}]")
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
    let known = [REDIRECT, HSTS, TIMEOUT, SOURCES];
    let ours = meta
        .annotations
        .keys()
        .filter(|name| name.starts_with(OURS));
    for name in ours.filter(|name| !known.contains(&name.as_str())) {
        let message = "Seaway has no such annotation of Ingresses; those of connections are on the Services behind them";
        report.warning(field(name), Reason::UnknownAnnotation, message);
    }
}
