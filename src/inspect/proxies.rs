//! The list of proxies: one row for each stream.

use std::borrow::Cow;
use std::time::Instant;

use seaway_translator::Layer;
use seaway_xds::{StreamFacts, StreamReport, StreamState, TypeReport};

use super::api::{ProxyRow, ProxyState, ProxyType, Rejected};
use super::board::Tables;
use super::query::{Cut, Paging, ProxyQuery, finds, is};
use super::times::Now;
use super::types;

/// A page of the proxies that a query asks for, the worst first, then by id. The error says what of
/// the query is not known.
pub(super) fn page(
    streams: &[StreamReport],
    query: &ProxyQuery,
    tables: &Tables,
    now: Now,
) -> Result<Cut<ProxyRow>, String> {
    let is_key = |key: &str| key.starts_with(|c: char| c.is_ascii_digit()) && key.contains('|');
    let paging = Paging::after(query.limit, &query.after, is_key)?;
    let shown = streams
        .iter()
        .filter(|stream| lets_through(query, stream, tables));
    let all = shown.map(|stream| (key(stream), stream));
    let cut = paging.cut(all.collect());
    Ok(cut.map(|stream| row(stream, tables, now)))
}

fn lets_through(query: &ProxyQuery, stream: &StreamReport, tables: &Tables) -> bool {
    let state = state_of(stream);
    let address = || {
        stream
            .facts
            .peer
            .map(|peer| peer.to_string())
            .unwrap_or_default()
    };
    let is_wanted = |wanted| match wanted {
        ProxyState::Behind => stream.behind.is_some(),
        _ => wanted == state,
    };
    query.state.is_none_or(is_wanted)
        && query.not.is_none_or(|not| not != state)
        && query
            .role
            .is_none_or(|role| about(stream, "role") == Some(role.as_str()))
        && is(&query.node, about(stream, "node"))
        && is(&query.zone, zone(stream, tables))
        && is(&query.fleet, about(stream, "fleet"))
        && is(&query.proxy, Some(&stream.facts.node))
        && finds(
            &query.search,
            [
                Cow::Borrowed(&*stream.facts.node),
                Cow::Borrowed(about(stream, "node").unwrap_or_default()),
                Cow::Owned(address()),
            ],
        )
}

/// The key by which proxies are sorted.
fn key(stream: &StreamReport) -> String {
    let rank = ProxyState::ALL
        .iter()
        .position(|state| *state == state_of(stream));
    let (rank, number) = (rank.unwrap_or_default(), stream.facts.number);
    format!("{rank}|{}|{number:016x}", stream.facts.node)
}

/// What the application noted of a proxy when it let it in.
pub(super) fn about<'a>(stream: &'a StreamReport, what: &str) -> Option<&'a str> {
    noted(&stream.facts, what)
}

/// The same, of what is known of a stream from its beginning.
pub(super) fn noted<'a>(facts: &'a StreamFacts, what: &str) -> Option<&'a str> {
    let mut notes = facts.about.iter();
    notes
        .find(|(name, _)| *name == what)
        .map(|(_, value)| &**value)
}

/// The zone in which a proxy is: that of its Node, which its layers say, else the one it claims.
fn zone<'a>(stream: &'a StreamReport, tables: &'a Tables) -> Option<&'a str> {
    let layers = stream.layers.iter().filter_map(|id| tables.layers.get(id));
    let of_layers = layers.filter_map(Layer::zone).next();
    of_layers.map_or_else(|| about(stream, "zone"), |zone| Some(&**zone))
}

/// The state of the API for that of a stream.
pub(super) fn state_of(stream: &StreamReport) -> ProxyState {
    match stream.state {
        StreamState::Synced => ProxyState::Synced,
        StreamState::Behind { .. } => ProxyState::Behind,
        StreamState::Rejects { .. } => ProxyState::Rejects,
    }
}

/// Since when a stream is in its state, if it is not synced.
pub(super) fn since(stream: &StreamReport) -> Option<Instant> {
    match stream.state {
        StreamState::Synced => None,
        StreamState::Behind { since } | StreamState::Rejects { since } => Some(since),
    }
}

/// The row of a stream.
fn row(stream: &StreamReport, tables: &Tables, now: Now) -> ProxyRow {
    let layers = stream.layers.iter().filter_map(|id| tables.layers.get(id));
    let import = layers.clone().filter_map(|layer| match layer {
        Layer::Import(import) => Some(import.to_string()),
        _ => None,
    });
    let about = |what| about(stream, what).map(str::to_owned);
    ProxyRow {
        proxy: stream.facts.node.to_string(),
        stream: stream.facts.number,
        role: about("role").unwrap_or_default(),
        node: about("node"),
        zone: zone(stream, tables).map(str::to_owned),
        namespace: about("namespace"),
        import: import.collect(),
        fleet: about("fleet"),
        identity: stream.facts.identity.as_ref().map(ToString::to_string),
        address: stream.facts.peer.map(|peer| peer.to_string()),
        client: stream.facts.client.to_string(),
        dialect: stream.facts.dialect.as_str().to_owned(),
        connected: now.at(stream.facts.since),
        state: state_of(stream),
        since: since(stream).map(|since| now.at(since)),
        behind: stream.behind.map(|since| now.at(since)),
        what: what(stream),
        layers: layers.map(ToString::to_string).collect(),
        types: stream
            .types
            .iter()
            .map(|report| of_type(report, now))
            .collect(),
    }
}

/// What is wrong with a proxy, in words: what it rejects, and what it is owed.
pub(super) fn what(stream: &StreamReport) -> Option<String> {
    let rejects = match stream.state {
        StreamState::Rejects { .. } => stream.types.iter().find_map(rejected),
        StreamState::Synced | StreamState::Behind { .. } => None,
    };
    match (rejects, owed(stream)) {
        (Some(rejects), Some(owed)) => Some(format!("{rejects}; also behind: {owed}")),
        (rejects, owed) => rejects.or(owed),
    }
}

fn rejected(report: &TypeReport) -> Option<String> {
    let first = report.rejecting.first()?;
    let (r#type, name, origin) = (types::short(report.type_url), &first.name, &first.origin);
    let more = match report.rejecting_count.saturating_sub(1) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{type} {name}{more}: {origin}"))
}

fn owed(stream: &StreamReport) -> Option<String> {
    let behind = stream.types.iter().filter(|of| of.behind.is_some());
    let words = behind.map(|report| {
        let (r#type, held) = (types::short(report.type_url), report.held);
        match report.owed {
            0 => format!("{type}: no answer"),
            owed => format!("{type}: {owed} of {held} owed"),
        }
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn of_type(report: &TypeReport, now: Now) -> ProxyType {
    let time = |at: Option<Instant>| at.map(|at| now.at(at));
    let rejects = report.rejecting.iter().map(|one| Rejected {
        name: one.name.to_string(),
        object: one.origin.to_string(),
        error: one.error.to_string(),
    });
    ProxyType {
        r#type: types::short(report.type_url).to_owned(),
        all: report.wildcard,
        names: report.names,
        missing: report.missing,
        held: report.held,
        owed: report.owed,
        unanswered: time(report.unacknowledged),
        sent: time(report.sent.as_ref().map(|mark| mark.at)),
        acknowledged: time(report.acked.as_ref().map(|mark| mark.at)),
        rejected: time(report.rejected.as_ref().map(|(mark, _)| mark.at)),
        rejects: rejects.collect(),
    }
}
