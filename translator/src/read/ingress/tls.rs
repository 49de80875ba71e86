//! Reads the certificates of an Ingress (Service rules 143 and 145).

use super::super::field::{Field, Wrong};
use super::super::http::hostname;
use super::super::report::Report;
use super::{CERTIFICATES, HOSTS};
use crate::Reason;
use crate::model::{Hostname, IngressTls};
use crate::names::is_subdomain;

/// Reads `spec.tls`.
pub(super) fn read(tls: &Field<'_>, report: &mut Report) -> Vec<IngressTls> {
    let mut room = HOSTS;
    let items = tls.first_items(CERTIFICATES, report);
    let items = items.into_iter().flatten();
    items
        .filter_map(|entry| read_entry(&entry, &mut room, report).ok())
        .collect()
}

/// Reads an entry; it may have so many hosts. One of which no host is left is left out itself:
/// without hosts it would be for all of them.
fn read_entry(
    entry: &Field<'_>,
    room: &mut usize,
    report: &mut Report,
) -> Result<IngressTls, Wrong> {
    entry.has_fields(report)?;
    let list = entry.get("hosts");
    let items = list.first_items(*room, report)?;
    let is_for_all = items.is_empty() && !list.is_set();
    let mut hosts: Vec<Hostname> = Vec::new();
    for item in items {
        let host = hostname::read(&item, report);
        if let Ok(None) = host {
            item.error(Reason::InvalidHostname, "it is empty", report);
        }
        hosts.extend(host.ok().flatten());
    }
    hosts.sort();
    hosts.dedup();
    *room -= hosts.len().min(*room);
    if hosts.is_empty() && !is_for_all {
        let message = "no host of it can be used, so it is left out";
        return Err(list.error(Reason::InvalidValue, message, report));
    }
    Ok(IngressTls {
        field: entry.to_string().into(),
        hosts: hosts.into(),
        secret: secret(&entry.get("secretName"), report)?,
    })
}

fn secret(field: &Field<'_>, report: &mut Report) -> Result<Option<std::sync::Arc<str>>, Wrong> {
    match field.filled(report)? {
        None => Ok(None),
        Some(name) if is_subdomain(name) => Ok(Some(name.into())),
        Some(name) => {
            let message = format!("{name:?} is not the name of a Secret");
            Err(field.error(Reason::InvalidName, message, report))
        }
    }
}
