//! Reads the filters of a rule or of a backend (Gateway rules 68 to 75).

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::{cors, headers, mirror, redirect};
use crate::Reason;
use crate::model::Filters;

/// How many filters there may be.
const FILTERS: usize = 16;

/// The filters that were read.
#[derive(Default)]
pub(super) struct Found {
    pub(super) filters: Filters,
    /// The kinds of filters that there are, of which each but mirrors may be there once.
    kinds: Vec<&'static str>,
}

impl Found {
    /// Whether there is a filter that Envoy has for whole routes only.
    pub(super) fn is_of_routes(&self) -> bool {
        let filters = &self.filters;
        filters.redirect.is_some()
            || filters.rewrite.is_some()
            || filters.cors.is_some()
            || !filters.mirrors.is_empty()
    }

    /// Whether a redirect stands beside a rewrite.
    pub(super) fn is_incompatible(&self) -> bool {
        self.filters.redirect.is_some() && self.filters.rewrite.is_some()
    }

    /// Adds the filters that a single backend has and Envoy has for whole routes only.
    pub(super) fn lift(
        &mut self,
        other: Found,
        field: &Field<'_>,
        report: &mut Report,
    ) -> Result<(), Wrong> {
        let (own, other) = (&mut self.filters, other.filters);
        let is_twice = own.redirect.is_some() && other.redirect.is_some()
            || own.cors.is_some() && other.cors.is_some();
        if is_twice {
            let message = "a filter of its kind is on the rule and on its backend";
            return Err(field.error(Reason::UnsupportedFilter, message, report));
        }
        own.redirect = own.redirect.take().or(other.redirect);
        own.cors = own.cors.take().or(other.cors);
        let mirrors = std::mem::take(&mut own.mirrors).into_iter();
        own.mirrors = mirrors.chain(other.mirrors).collect();
        if let Some(rewrite) = other.rewrite {
            // What is said of the backend is closer to it.
            let hostname = own.rewrite.take().and_then(|own| own.hostname);
            own.rewrite = Some(crate::model::Rewrite {
                hostname,
                ..rewrite
            });
        }
        Ok(())
    }
}

/// Reads `filters`. When one of them cannot be served, none is: no filter is ever skipped.
pub(super) fn read(list: &Field<'_>, namespace: &str, report: &mut Report) -> Result<Found, Wrong> {
    let items = list.items(report)?;
    let count = items.count_all();
    if count > FILTERS {
        let message = format!("{count} are more than the {FILTERS} there may be");
        return Err(list.error(Reason::TooLarge, message, report));
    }
    let mut found = Found::default();
    let mut mirrors = Vec::new();
    for item in items {
        item.has_fields(report)?;
        let field = item.get("type");
        let kind = field.required(report)?;
        let Some((kind, name)) = SUPPORTED.iter().find(|(known, _)| *known == kind) else {
            let message = format!("{kind:?} is not supported; requests are answered with 500");
            return Err(field.error(Reason::UnsupportedFilter, message, report));
        };
        let config = item.get(name);
        if !config.has_fields(report)? {
            return Err(config.error(Reason::InvalidValue, "it is missing", report));
        }
        if found.kinds.contains(kind) && *kind != MIRROR {
            let message = format!("there is a second {kind}");
            return Err(field.error(Reason::UnsupportedFilter, message, report));
        }
        found.kinds.push(kind);
        let filters = &mut found.filters;
        match *kind {
            "RequestHeaderModifier" => filters.request_headers = headers::read(&config, report)?,
            "ResponseHeaderModifier" => filters.response_headers = headers::read(&config, report)?,
            "RequestRedirect" => filters.redirect = Some(redirect::redirect(&config, report)?),
            "URLRewrite" => filters.rewrite = Some(redirect::rewrite(&config, report)?),
            "CORS" => filters.cors = Some(cors::read(&config, report)?),
            _ => mirrors.extend(mirror::read(&config, namespace, report)?),
        }
    }
    found.filters.mirrors = mirrors.into();
    Ok(found)
}

const MIRROR: &str = "RequestMirror";

/// The kinds of filters that are supported, each with the field that says more.
const SUPPORTED: [(&str, &str); 6] = [
    ("RequestHeaderModifier", "requestHeaderModifier"),
    ("ResponseHeaderModifier", "responseHeaderModifier"),
    ("RequestRedirect", "requestRedirect"),
    ("URLRewrite", "urlRewrite"),
    (MIRROR, "requestMirror"),
    ("CORS", "cors"),
];
