//! Reads what the requests of a rule look like (Gateway rules 57 and 66).

use std::sync::Arc;

use super::super::field::{Field, Wrong};
use super::super::http::{header, path, regex};
use super::super::report::Report;
use crate::Reason;
use crate::model::{Match, NamedMatch, PathMatch, TextMatch};

/// How many matches a rule may have.
pub(super) const OF_RULE: usize = 64;
/// How many matches all rules of a route may have together.
pub(super) const OF_ROUTE: usize = 128;
/// How many headers, and how many query parameters, a match may have.
const NAMES: usize = 16;
/// How many bytes the path, or a query parameter, may have.
pub(in super::super) const LONGEST: usize = 1_024;

/// The methods that a match may name.
pub(in super::super) const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// The match of every request.
pub(super) fn everything() -> Match {
    Match {
        path: path::prefix("/"),
        method: None,
        headers: Box::default(),
        query: Box::default(),
    }
}

/// Reads `matches`. When one of them cannot be used, the whole rule cannot.
pub(super) fn read(
    list: &Field<'_>,
    room: usize,
    report: &mut Report,
) -> Result<Vec<Match>, Wrong> {
    let items = list.items(report)?;
    if items.is_empty() {
        return match room {
            0 => Err(too_many(list, report)),
            _ => Ok(vec![everything()]),
        };
    }
    let count = items.count_all();
    if count > OF_RULE {
        let message = format!("{count} matches are more than the {OF_RULE} that a rule may have");
        return Err(list.error(Reason::TooLarge, message, report));
    }
    if count > room {
        return Err(too_many(list, report));
    }
    // All of them, so that all problems are told at once.
    let read: Vec<_> = items.map(|item| read_one(&item, report)).collect();
    read.into_iter().collect()
}

fn too_many(list: &Field<'_>, report: &mut Report) -> Wrong {
    let message = format!("the rules of a route may have {OF_ROUTE} matches together");
    list.error(Reason::TooLarge, message, report)
}

fn read_one(item: &Field<'_>, report: &mut Report) -> Result<Match, Wrong> {
    item.has_fields(report)?;
    let path = read_path(&item.get("path"), report);
    let method = method(&item.get("method"), report);
    let headers = named(&item.get("headers"), Named::Header, report);
    let query = named(&item.get("queryParams"), Named::Query, report);
    Ok(Match {
        path: path?,
        method: method?,
        headers: headers?.into(),
        query: query?.into(),
    })
}

fn read_path(field: &Field<'_>, report: &mut Report) -> Result<PathMatch, Wrong> {
    field.has_fields(report)?;
    let (kind, value) = (field.get("type"), field.get("value"));
    let text = value.text(report)?.unwrap_or("/");
    let (read, fault, reason) = match kind.text(report)?.unwrap_or("PathPrefix") {
        "Exact" => {
            let fault = path::uri_fault(text, LONGEST);
            (PathMatch::Exact(text.into()), fault, Reason::InvalidPath)
        }
        "PathPrefix" => {
            let fault = path::uri_fault(text, LONGEST);
            (path::prefix(text), fault, Reason::InvalidPath)
        }
        "RegularExpression" => {
            let fault = regex::fault(text, LONGEST);
            (PathMatch::Regex(text.into()), fault, Reason::InvalidRegex)
        }
        other => {
            let message = format!("{other:?} is none of Exact, PathPrefix, RegularExpression");
            return Err(kind.error(Reason::InvalidValue, message, report));
        }
    };
    match fault {
        None => Ok(read),
        Some(why) => Err(value.error(reason, why, report)),
    }
}

fn method(field: &Field<'_>, report: &mut Report) -> Result<Option<Arc<str>>, Wrong> {
    match field.text(report)? {
        None => Ok(None),
        Some(method) if METHODS.contains(&method) => Ok(Some(method.into())),
        Some(other) => {
            let message = format!("{other:?} is not a method, in upper case");
            Err(field.error(Reason::InvalidValue, message, report))
        }
    }
}

/// What has a name and a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Header,
    Query,
}

/// Reads headers or query parameters. Of those with one name the first counts.
fn named(list: &Field<'_>, kind: Named, report: &mut Report) -> Result<Vec<NamedMatch>, Wrong> {
    let mut all: Vec<NamedMatch> = Vec::new();
    let items = list.items(report)?;
    if items.count_all() > NAMES {
        let message = format!("a match may have {NAMES} of them");
        return Err(list.error(Reason::TooLarge, message, report));
    }
    for item in items {
        let read = read_named(&item, kind, report)?;
        if all.iter().any(|other| other.name == read.name) {
            let message = "one before it has the same name; only that counts";
            report.warning(&item, Reason::InvalidValue, message);
        } else {
            all.push(read);
        }
    }
    Ok(all)
}

fn read_named(item: &Field<'_>, kind: Named, report: &mut Report) -> Result<NamedMatch, Wrong> {
    item.has_fields(report)?;
    let (name, of, value) = (item.get("name"), item.get("type"), item.get("value"));
    let text = name.text(report)?.unwrap_or_default();
    if let Some(why) = header::name_fault(text) {
        return Err(name.error(Reason::InvalidHeader, why, report));
    }
    let (longest, lower) = match kind {
        Named::Header => (header::LONGEST_VALUE, text.to_ascii_lowercase()),
        Named::Query => (LONGEST, text.to_owned()),
    };
    let text = value.required(report)?;
    let (read, fault, reason) = match of.text(report)?.unwrap_or("Exact") {
        "Exact" => {
            let long = text.len() > longest;
            let long = long.then(|| format!("it has more than {longest} bytes"));
            let fault = long.or_else(|| header::value_fault(text));
            (TextMatch::Exact(text.into()), fault, Reason::InvalidHeader)
        }
        "RegularExpression" => {
            let fault = regex::fault(text, longest);
            (TextMatch::Regex(text.into()), fault, Reason::InvalidRegex)
        }
        other => {
            let message = format!("{other:?} is neither Exact nor RegularExpression");
            return Err(of.error(Reason::InvalidValue, message, report));
        }
    };
    match fault {
        None => Ok(NamedMatch {
            name: lower.into(),
            value: read,
        }),
        Some(why) => Err(value.error(reason, why, report)),
    }
}
