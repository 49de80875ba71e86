//! Reads host names (Gateway rule 50).

use std::sync::Arc;

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::super::value;
use crate::Reason;
use crate::model::Hostname;
use crate::names::is_subdomain;

/// A host name is no longer, its dots included.
const LONGEST: usize = 253;

/// Reads a host name, or `*.` and one. Without any text it is none.
pub(in super::super) fn read(
    field: &Field<'_>,
    report: &mut Report,
) -> Result<Option<Hostname>, Wrong> {
    let Some(text) = field.filled(report)? else {
        return Ok(None);
    };
    let read = parse(text);
    read.map(Some)
        .map_err(|why| field.error(Reason::InvalidHostname, why, report))
}

/// Reads a host name to which requests are sent, or clients.
pub(in super::super) fn read_one(
    field: &Field<'_>,
    report: &mut Report,
) -> Result<Option<Arc<str>>, Wrong> {
    match read(field, report)? {
        None => Ok(None),
        Some(Hostname::Exact(name)) => Ok(Some(name)),
        Some(Hostname::Any | Hostname::Wildcard(_)) => {
            let message = "it has to be one host name";
            Err(field.error(Reason::InvalidHostname, message, report))
        }
    }
}

/// What a text says as a host name, or why it says nothing.
fn parse(text: &str) -> Result<Hostname, String> {
    if text.len() > LONGEST + 1 {
        return Err(format!("it has {} bytes, more than {LONGEST}", text.len()));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let bare = name.strip_prefix('[').unwrap_or(&name);
    if value::ip(bare.strip_suffix(']').unwrap_or(bare)).is_some() {
        return Err(format!("{text:?} is an address, not a host name"));
    }
    let (suffix, is_wildcard) = match name.strip_prefix("*.") {
        Some(suffix) => (suffix, true),
        None => (name.as_str(), false),
    };
    if suffix.contains('*') {
        let message = "a \"*\" may only stand for the whole first label, as in \"*.example.com\"";
        return Err(format!("{text:?}: {message}"));
    }
    if name.len() > LONGEST || !is_subdomain(suffix) {
        return Err(format!("{text:?} is not an RFC 1123 subdomain"));
    }
    Ok(match is_wildcard {
        true => Hostname::Wildcard(suffix.into()),
        false => Hostname::Exact(suffix.into()),
    })
}

/// Whether reading could have given this name.
pub(in super::super) fn is_valid(name: &Hostname) -> bool {
    *name == Hostname::Any || parse(&name.to_string()).is_ok_and(|read| read == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_a_name_or_a_wildcard_before_one() {
        for (text, expected) in [
            ("a.example.com", Some("a.example.com")),
            ("A.Example.COM.", Some("a.example.com")),
            ("*.Example.com", Some("*.example.com")),
            ("*.com", Some("*.com")),
            ("localhost", Some("localhost")),
            ("*", None),
            ("*.", None),
            ("a.*.com", None),
            ("*a.com", None),
            ("*.*.com", None),
            ("10.0.0.1", None),
            ("010.0.0.1.", None),
            ("::1", None),
            ("[::1]", None),
            ("a.example.com:80", None),
            ("a..b", None),
            ("a.b..", None),
            (".", None),
            ("a_b.com", None),
            ("a/b", None),
            ("ä.com", None),
            ("a b", None),
            (&"a".repeat(64_000), None),
            (&format!("*.{}", "a.".repeat(127)), None),
        ] {
            let read = parse(text).ok();
            assert_eq!(
                read.as_ref().map(ToString::to_string).as_deref(),
                expected,
                "{text}"
            );
            assert!(read.as_ref().is_none_or(is_valid), "{text}");
        }
        assert!(!is_valid(&Hostname::Exact("A".into())));
        assert!(!is_valid(&Hostname::Wildcard("".into())));
    }

    #[test]
    fn what_is_said_of_a_long_name_is_short() {
        assert!(parse(&"a".repeat(64_000)).is_err_and(|why| why.len() < 60));
    }
}
