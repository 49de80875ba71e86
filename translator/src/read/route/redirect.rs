//! Reads redirects and rewrites (Gateway rules 69, 71 and 72).

use super::super::field::{Field, Wrong};
use super::super::http::{hostname, path};
use super::super::report::Report;
use super::super::value;
use super::matches::LONGEST;
use crate::Reason;
use crate::model::{PathChange, Redirect, Rewrite};

/// Reads a redirect.
pub(super) fn redirect(field: &Field<'_>, report: &mut Report) -> Result<Redirect, Wrong> {
    field.has_fields(report)?;
    let (scheme, status) = (field.get("scheme"), field.get("statusCode"));
    let code = status.number(report)?.unwrap_or(302);
    let code = u16::try_from(code).unwrap_or_default();
    if ![301, 302, 303, 307, 308].contains(&code) {
        let message = "it is none of 301, 302, 303, 307, 308";
        return Err(status.error(Reason::InvalidValue, message, report));
    }
    let named = scheme.text(report)?;
    if !matches!(named, None | Some("http" | "https")) {
        let message = "it is neither http nor https";
        return Err(scheme.error(Reason::InvalidValue, message, report));
    }
    Ok(Redirect {
        scheme: named.map(Into::into),
        hostname: hostname::read_one(&field.get("hostname"), report)?,
        path: path_change(&field.get("path"), report)?,
        port: value::port_field(&field.get("port"), report)?,
        status: code,
    })
}

/// Reads a rewrite.
pub(super) fn rewrite(field: &Field<'_>, report: &mut Report) -> Result<Rewrite, Wrong> {
    field.has_fields(report)?;
    Ok(Rewrite {
        hostname: hostname::read_one(&field.get("hostname"), report)?,
        path: path_change(&field.get("path"), report)?,
    })
}

fn path_change(field: &Field<'_>, report: &mut Report) -> Result<Option<PathChange>, Wrong> {
    if !field.has_fields(report)? {
        return Ok(None);
    }
    let kind = field.get("type");
    match kind.required(report)? {
        "ReplaceFullPath" => {
            let value = field.get("replaceFullPath");
            let text = value.text(report)?.unwrap_or_default();
            match path::replacement_fault(text, LONGEST) {
                None => Ok(Some(PathChange::Full(text.into()))),
                Some(why) => Err(value.error(Reason::InvalidPath, why, report)),
            }
        }
        "ReplacePrefixMatch" => {
            let value = field.get("replacePrefixMatch");
            let text = value.text(report)?.unwrap_or_default();
            let fault = path::replacement_fault(text, LONGEST).filter(|_| !text.is_empty());
            match fault {
                None => Ok(Some(PathChange::Prefix(text.trim_end_matches('/').into()))),
                Some(why) => Err(value.error(Reason::InvalidPath, why, report)),
            }
        }
        other => {
            let message = format!("{other:?} is neither ReplaceFullPath nor ReplacePrefixMatch");
            Err(kind.error(Reason::InvalidValue, message, report))
        }
    }
}
