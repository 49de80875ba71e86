//! The list of resources: what is published, in which layer, and who has it, with the content where
//! that is asked for; the layers; and where a proxy differs from it.

pub(super) mod differences;
pub(super) mod layers;

use std::collections::BTreeSet;

use seaway_proto::{TypeUrl, json};
use seaway_xds::{Candidate, Inspector, LayerId, ResourceKey, ResourceReport};
use serde_json::Value;

use super::api::{Held, ResourceRow};
use super::board::Tables;
use super::query::{Cut, NO_NEXT, Paging, ResourceQuery, finds, is};
use super::times::Now;
use super::types;

/// How many bytes of contents, as JSON, a page has room for: one that begins there is its last.
const CONTENTS: usize = 2 << 20;

/// A page of the resources that a query asks for, in the order of types, names and layers. The
/// error says what of the query is not known.
pub(super) fn page(
    inspector: &Inspector,
    tables: &Tables,
    query: &ResourceQuery,
    now: Now,
) -> Result<Cut<ResourceRow>, String> {
    let url = query.r#type.as_deref().map(of_name).transpose()?;
    let layer = |id| tables.layers.get(&id).map(ToString::to_string);
    let named = query.layer.as_ref().map(|wanted| {
        let named = tables.layers.iter().filter(|(_, layer)| *layer == wanted);
        named.map(|(id, _)| *id).collect::<BTreeSet<LayerId>>()
    });
    let streams = query.proxy.as_deref().map(|id| inspector.streams_of(id));
    let asked = streams.map(|streams| inspector.asked_by(&streams));
    let which = |of: &Candidate<'_>| {
        url.is_none_or(|url| url == of.type_url)
            && is(&query.name, Some(of.name))
            && finds(&query.search, [of.name.into()])
            && named.as_ref().is_none_or(|named| named.contains(&of.layer))
            && asked
                .as_ref()
                .is_none_or(|asked| asked.has(of.type_url, of.name, of.layer))
            && query
                .object
                .as_ref()
                .is_none_or(|object| object.has(of.origin()))
    };
    let paging = Paging::of(query.limit, query.after.clone());
    let after = paging.after.as_deref().map(read_key).transpose()?;
    // One more says whether there is a next page.
    let found = inspector.resources(which, after.as_ref(), paging.limit + 1);
    let with_content = query.content.unwrap_or_default();
    let mut room = CONTENTS;
    let mut items = Vec::new();
    for report in found.resources.iter().take(paging.limit) {
        let mut row = row(report, layer(report.layer), now);
        if with_content {
            row.content = content(report);
            let size = row
                .content
                .as_ref()
                .map_or(0, |content| content.to_string().len());
            room = room.saturating_sub(size);
        }
        items.push(row);
        if room == 0 {
            break;
        }
    }
    let is_last = items.len() == found.resources.len();
    let last = items
        .len()
        .checked_sub(1)
        .and_then(|at| found.resources.get(at));
    Ok(Cut {
        total: found.total,
        next: last.filter(|_| !is_last).map(key),
        items,
    })
}

/// The content of a resource as protobuf JSON. Of a type that may have keys in it there is none
/// here.
fn content(report: &ResourceReport) -> Option<Value> {
    let value = report.value.as_ref()?;
    json::to_value(report.type_url.as_str(), value).ok()
}

fn of_name(name: &str) -> Result<TypeUrl, String> {
    types::of_name(name).ok_or_else(|| format!("type: there is no type {name:?}"))
}

/// The key of a resource as part of a request.
fn key(report: &ResourceReport) -> String {
    let (LayerId(layer), url) = (report.layer, types::short(report.type_url));
    format!("{layer}|{url}|{}", report.name)
}

fn read_key(text: &str) -> Result<ResourceKey, String> {
    let read = || {
        let (layer, rest) = text.split_once('|')?;
        let (r#type, name) = rest.split_once('|')?;
        Some(ResourceKey {
            type_url: types::of_name(r#type)?,
            name: name.into(),
            layer: LayerId(layer.parse().ok()?),
        })
    };
    read().ok_or_else(|| NO_NEXT.to_owned())
}

fn row(report: &ResourceReport, layer: Option<String>, now: Now) -> ResourceRow {
    let refs = report.refs.iter();
    let refs = refs.map(|of| format!("{} {}", types::short(of.type_url), of.name));
    ResourceRow {
        r#type: types::short(report.type_url).to_owned(),
        name: report.name.to_string(),
        layer: layer.unwrap_or_else(|| "(gone)".to_owned()),
        object: report.origin.to_string(),
        version: report.version.map(|version| version.to_string()),
        bytes: report.bytes,
        commit: report.seq,
        since: report.changed.map(|changed| now.at(changed)),
        held: Held {
            wanted: report.seen_by,
            held: report.held_by,
            sent: report.sent_to,
            owed: report.owed_by,
            rejected: report.rejected_by,
        },
        refs: refs.collect(),
        content: None,
    }
}
