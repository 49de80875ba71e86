//! The list of Services.

use std::borrow::Cow;
use std::ops::Bound;

use seaway_translator::model::ServiceKey;

use super::api::ServiceRow;
use super::board::{ServiceEntry, Tables};
use super::query::{Cut, Paging, ServiceQuery, finds, is};
use super::times;

/// A page of the Services that a query asks for, by namespace and name. The error says what of the
/// query is not known.
pub(super) fn page(tables: &Tables, query: &ServiceQuery) -> Result<Cut<ServiceRow>, String> {
    let is_key = |key: &str| key.contains('/');
    let paging = Paging::after(query.limit, &query.after, is_key)?;
    let shown = |(key, entry): &(&ServiceKey, &ServiceEntry)| lets_through(query, key, entry);
    let total = tables.services.iter().filter(shown).count();
    let after = paging.after.as_ref().and_then(|after| {
        let (namespace, name) = after.split_once('/')?;
        Some(ServiceKey {
            namespace: namespace.into(),
            name: name.into(),
        })
    });
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let rest = tables.services.range((from, Bound::Unbounded));
    let rest = rest
        .filter(shown)
        .map(|(key, entry)| (key.to_string(), (key, entry)));
    let cut = paging.take(total, rest);
    Ok(cut.map(|(key, entry)| row(key, entry)))
}

fn lets_through(query: &ServiceQuery, key: &ServiceKey, entry: &ServiceEntry) -> bool {
    let state = entry.summary.served;
    is(&query.namespace, Some(&key.namespace))
        && is(&query.name, Some(&key.name))
        && query.served.is_none_or(|served| served == state)
        && query.not.is_none_or(|not| not != state)
        && finds(&query.search, texts(key, entry))
}

fn texts<'a>(key: &'a ServiceKey, entry: &'a ServiceEntry) -> impl Iterator<Item = Cow<'a, str>> {
    let addresses = entry.summary.addresses.iter();
    let addresses = addresses.map(|address| Cow::Borrowed(&**address));
    let ports = entry.summary.ports.iter();
    let ports = ports.map(|port| Cow::Borrowed(&**port));
    let names = std::iter::once(Cow::Owned(key.to_string()));
    names.chain(addresses).chain(ports)
}

fn row(key: &ServiceKey, entry: &ServiceEntry) -> ServiceRow {
    let summary = &entry.summary;
    let texts = |all: &[Box<str>]| all.iter().map(ToString::to_string).collect();
    ServiceRow {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        r#type: summary.kind.to_string(),
        addresses: texts(&summary.addresses),
        ports: texts(&summary.ports),
        ready: summary.ready,
        endpoints: summary.endpoints,
        served: summary.served,
        since: times::text(entry.since),
        why: summary.why.as_ref().map(ToString::to_string),
    }
}
