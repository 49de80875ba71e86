//! Reads what scripts of other origins may do (Gateway rule 74).

use std::sync::Arc;

use super::super::field::{Field, Wrong};
use super::super::http::header;
use super::super::report::Report;
use super::matches::METHODS;
use crate::Reason;
use crate::model::Cors;

/// How many items each of the lists may have.
pub(in super::super) const ITEMS: usize = 64;
/// How many bytes an origin may have.
const LONGEST_ORIGIN: usize = 253;
/// For how many seconds the answer to a preflight request holds when nothing is said.
pub(in super::super) const MAX_AGE: i64 = 5;

/// Reads a CORS filter.
pub(super) fn read(field: &Field<'_>, report: &mut Report) -> Result<Cors, Wrong> {
    field.has_fields(report)?;
    let is_method = |text: &str| METHODS.contains(&text);
    let is_header = |text: &str| header::name_fault(text).is_none();
    let (credentials, max_age) = (field.get("allowCredentials"), field.get("maxAge"));
    let age = max_age.number(report)?.unwrap_or(MAX_AGE);
    let Some(age) = u32::try_from(age).ok().filter(|age| *age > 0) else {
        let message = "it is not a number of seconds";
        return Err(max_age.error(Reason::InvalidValue, message, report));
    };
    Ok(Cors {
        origins: list(&field.get("allowOrigins"), is_origin, report)?,
        methods: list(&field.get("allowMethods"), is_method, report)?,
        headers: list(&field.get("allowHeaders"), is_header, report)?,
        exposed: list(&field.get("exposeHeaders"), is_header, report)?,
        credentials: credentials.flag(report)?.unwrap_or_default(),
        max_age: age,
    })
}

/// Reads a list that may be `*` alone instead.
fn list(
    list: &Field<'_>,
    is_valid: impl Fn(&str) -> bool,
    report: &mut Report,
) -> Result<Box<[Arc<str>]>, Wrong> {
    let items = list.items(report)?;
    let count = items.count_all();
    if count > ITEMS {
        let message = format!("{count} are more than the {ITEMS} there may be");
        return Err(list.error(Reason::TooLarge, message, report));
    }
    let mut all: Vec<Arc<str>> = Vec::new();
    for item in items {
        let text = item.text(report)?.unwrap_or_default();
        if text == "*" && count > 1 {
            let message = "\"*\" has to stand alone";
            return Err(item.error(Reason::InvalidValue, message, report));
        }
        if text != "*" && !is_valid(text) {
            let message = format!("{text:?} is not of the form that it should have");
            return Err(item.error(Reason::InvalidValue, message, report));
        }
        all.push(text.into());
    }
    Ok(all.into())
}

/// Whether this is an origin: a scheme and a host, in which `*` may stand for any text, and maybe a
/// port.
pub(in super::super) fn is_origin(text: &str) -> bool {
    let parse = || {
        let (scheme, rest) = text.split_once("://")?;
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        };
        let of_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        let of_host = |b: u8| b.is_ascii_graphic() && !b":/?#".contains(&b);
        let is_digits =
            |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
        let good = scheme.len() > 1
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(of_scheme)
            && !host.is_empty()
            && host.bytes().all(of_host)
            && port.is_none_or(is_digits);
        good.then_some(())
    };
    text.len() <= LONGEST_ORIGIN && parse().is_some()
}
