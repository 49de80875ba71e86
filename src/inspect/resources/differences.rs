//! Where what a connected proxy has differs from what it is to have.

use seaway_proto::TypeUrl;
use seaway_xds::{DifferenceReport, Inspector, Standing};

use crate::inspect::api::{DifferenceRow, DifferenceState};
use crate::inspect::query::{Cut, DiffQuery, NO_NEXT, Paging};
use crate::inspect::times::Now;
use crate::inspect::types;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::inspect) enum Unanswered {
    #[error("{0}")]
    Unreadable(&'static str),
    #[error("no proxy {0:?} is connected here")]
    NotConnected(String),
}

/// A page of the differences of a proxy: of its streams, if it has several, one after the other.
pub(in crate::inspect) fn page(
    inspector: &Inspector,
    query: &DiffQuery,
    now: Now,
) -> Result<Cut<DifferenceRow>, Unanswered> {
    if query.proxy.is_empty() {
        return Err(Unanswered::Unreadable("proxy: of which proxy?"));
    }
    let streams = inspector.streams_of(&query.proxy);
    if streams.is_empty() {
        return Err(Unanswered::NotConnected(query.proxy.clone()));
    }
    let paging = Paging::of(query.limit, query.after.clone());
    let after = paging.after.as_deref().map(read_key).transpose()?;
    let (mut total, mut rows) = (0, Vec::new());
    for stream in streams.iter().map(|of| of.number) {
        // One more says whether there is a next page.
        let room = (paging.limit + 1).saturating_sub(rows.len());
        let (behind, wanted) = match &after {
            Some(after) if after.stream == stream => (Some((after.type_url, after.name)), room),
            Some(after) if after.stream > stream => (None, 0),
            _ => (None, room),
        };
        // It may have ended just now.
        let Some((all, reports)) = inspector.differences(stream, behind, wanted) else {
            continue;
        };
        total += all;
        rows.extend(
            reports
                .iter()
                .map(|report| (key(stream, report), row(stream, report, now))),
        );
    }
    Ok(paging.take(total, rows))
}

/// What a page begins behind.
struct Key<'a> {
    stream: u64,
    type_url: TypeUrl,
    name: &'a str,
}

fn key(stream: u64, report: &DifferenceReport) -> String {
    format!("{stream}|{}|{}", types::short(report.type_url), report.name)
}

fn read_key(text: &str) -> Result<Key<'_>, Unanswered> {
    let read = || {
        let (stream, rest) = text.split_once('|')?;
        let (r#type, name) = rest.split_once('|')?;
        Some(Key {
            stream: stream.parse().ok()?,
            type_url: types::of_name(r#type)?,
            name,
        })
    };
    read().ok_or(Unanswered::Unreadable(NO_NEXT))
}

fn row(stream: u64, report: &DifferenceReport, now: Now) -> DifferenceRow {
    DifferenceRow {
        stream,
        r#type: types::short(report.type_url).to_owned(),
        name: report.name.to_string(),
        object: report.origin.as_ref().map(ToString::to_string),
        state: state(report.standing),
        version: report.version.map(|version| version.to_string()),
        has_some: report.has_some,
        has: report.kept.map(|version| version.to_string()),
        since: report.since.map(|since| now.at(since)),
        error: report.error.clone(),
    }
}

/// How far the proxy is with it.
fn state(standing: Option<Standing>) -> DifferenceState {
    match standing {
        Some(Standing::Owed | Standing::Held) => DifferenceState::Owed,
        Some(Standing::Sent) => DifferenceState::Sent,
        Some(Standing::Rejected) => DifferenceState::Rejected,
        Some(Standing::HeldBack) => DifferenceState::HeldBack,
        None => DifferenceState::ToBeRemoved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_of_a_page_is_read_back() {
        let key = read_key("7|listener|shop/a|b").unwrap();
        assert_eq!((key.stream, key.type_url), (7, TypeUrl::LISTENER));
        assert_eq!(key.name, "shop/a|b");
        for wrong in ["", "7", "x|listener|a", "7|nothing|a"] {
            assert!(read_key(wrong).is_err(), "{wrong}");
        }
    }
}
