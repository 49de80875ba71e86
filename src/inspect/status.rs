//! The state of this replica as a whole, and its watches.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Instant;

use seaway_translator::{Served, Severity, Subject};
use seaway_xds::{ChangeReport, StreamReport};
use xxhash_rust::xxh3::xxh3_64;

use super::Inspect;
use super::api::{
    Denial, ProblemCounts, ProxyCounts, ProxyState, Replica, ServiceCounts, WatchRow, World,
    WorldState, WorstProxy,
};
use super::board::Tables;
use super::query::{Cut, Paging, WatchQuery};
use super::times::Now;
use super::{changes, problems, proxies};
use crate::process::outside;

/// How many of the worst proxies, and of the Services that were lost last, a status names.
const NAMED: usize = 5;
/// How many problems a status shows, and how many files that cannot be read.
const SHOWN: usize = 3;
/// For how long a Service that ceased to be served is news, in seconds.
const NEWS: u64 = 3600;

/// The state of this replica.
pub(super) fn replica(inspect: &Inspect, now: Now) -> Replica {
    let streams = inspect.inspector.streams();
    let log: Vec<ChangeReport> = inspect.inspector.changes();
    let tables = inspect.board.read();
    Replica {
        now: now.text(),
        replica: inspect.replica.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        flags: flags(),
        started: now.at(inspect.started),
        unready: inspect.health.ready().err().map(str::to_owned),
        world: world(inspect, now),
        commit: inspect.inspector.seq(),
        digest: format!("{:016x}", digest(inspect, &tables)),
        proxies: proxy_counts(&streams, now),
        services: service_counts(&tables, now),
        problems: problem_counts(&tables),
        changes: changes::counts(&log, now),
        degraded: degraded(inspect, &tables),
        denied: denied(inspect, now),
    }
}

/// The most flags that are shown.
const FLAGS: usize = 200;

/// How the process was started.
pub(crate) fn flags() -> Vec<String> {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str().filter(|name| name.starts_with("SEAWAY_"))?;
        Some(format!("{name}={}", value.to_string_lossy()))
    });
    let mut variables: Vec<String> = variables.collect();
    variables.sort();
    arguments.chain(variables).take(FLAGS).collect()
}

fn world(inspect: &Inspect, now: Now) -> World {
    let heard = inspect.watches.reports().into_iter();
    let oldest: Option<Instant> = heard.filter_map(|watch| watch.heard).min();
    let (state, why) = match inspect.health.stale() {
        _ if !inspect.health.is_synced() => (WorldState::Starting, None),
        Some(stale) => (WorldState::Stale, Some(stale.to_string())),
        None if inspect.watches.is_stale() => {
            let why = "a watch is not told what the API server has";
            (WorldState::Stale, Some(why.to_owned()))
        }
        None if inspect.health.is_behind() => {
            let why = "another replica has what this one is not told";
            (WorldState::Stale, Some(why.to_owned()))
        }
        None => (WorldState::Live, None),
    };
    World {
        state,
        why,
        heard: oldest.map(|at| now.at(at)),
    }
}

/// A hash of all that is published in shared layers. They have other numbers on other replicas, so
/// it is by their names.
fn digest(inspect: &Inspect, tables: &Tables) -> u64 {
    let name = |id| tables.layers.get(&id).filter(|layer| layer.is_shared());
    let digests = inspect.snapshots.digests(|id| name(id).is_some());
    let lines = digests.iter().filter_map(|digest| {
        let (layer, url) = (name(digest.layer)?, digest.type_url);
        Some(format!("{layer} {url} {} {:x}", digest.count, digest.hash))
    });
    let lines: BTreeSet<String> = lines.collect();
    let text: String = lines.into_iter().collect();
    xxh3_64(text.as_bytes())
}

fn degraded(inspect: &Inspect, tables: &Tables) -> Vec<String> {
    let mut lines = inspect.watches.degraded();
    lines.extend(unread(tables));
    lines.extend(inspect.health.among_peers());
    lines.extend(inspect.health.has_secrets().err().map(str::to_owned));
    lines.extend(outside::overdue());
    lines
}

/// The files and folders of the source that are served as they were, since they cannot be read.
fn unread(tables: &Tables) -> impl Iterator<Item = String> {
    let errors = tables.problems.keys();
    let errors = errors.filter(|problem| {
        let is_of_source = matches!(problem.object, Subject::File(_) | Subject::Folder(_));
        is_of_source && problem.severity == Severity::Error
    });
    let errors = errors.take(SHOWN);
    errors.map(|problem| format!("{}: {}", problem.object, problem.message))
}

fn denied(inspect: &Inspect, now: Now) -> Vec<Denial> {
    let reports = inspect.inspector.denials().into_iter();
    let denials = reports.map(|report| Denial {
        address: report.peer.map(|peer| peer.to_string()),
        identity: report.identity.map(String::from),
        why: report.why.into(),
        times: report.times,
        last: now.at(report.last),
    });
    denials.collect()
}

fn proxy_counts(streams: &[StreamReport], now: Now) -> ProxyCounts {
    let count = |state| {
        let of_state = streams.iter().filter(|s| proxies::state_of(s) == state);
        of_state.count()
    };
    let unwell = streams
        .iter()
        .filter(|stream| proxies::state_of(stream) != ProxyState::Synced);
    let mut unwell: Vec<&StreamReport> = unwell.collect();
    unwell.sort_by_key(|stream| (proxies::state_of(stream), proxies::since(stream)));
    let worst = unwell.into_iter().take(NAMED).map(|stream| WorstProxy {
        proxy: stream.facts.node.to_string(),
        state: proxies::state_of(stream),
        since: proxies::since(stream).map(|since| now.at(since)),
        what: proxies::what(stream),
    });
    ProxyCounts {
        total: streams.len(),
        synced: count(ProxyState::Synced),
        behind: streams.iter().filter(|one| one.behind.is_some()).count(),
        rejects: count(ProxyState::Rejects),
        worst: worst.collect(),
    }
}

fn service_counts(tables: &Tables, now: Now) -> ServiceCounts {
    let lost = tables
        .services
        .iter()
        .filter(|(_, entry)| entry.lost && now.is_within(entry.since, NEWS) && !entry.is_served());
    let mut lost: Vec<_> = lost.map(|(key, entry)| (entry.since, key)).collect();
    lost.sort_by(|one, other| other.cmp(one));
    let lost = lost.into_iter().take(NAMED);
    ServiceCounts {
        total: tables.services.len(),
        served: tables.served(Served::Yes),
        partly: tables.served(Served::Partly),
        not_served: tables.served(Served::No),
        lost: lost.map(|(_, key)| key.to_string()).collect(),
    }
}

fn problem_counts(tables: &Tables) -> ProblemCounts {
    let of = |severity| {
        let all = tables.problems.iter();
        all.filter(move |(problem, _)| problem.severity == severity)
    };
    let mut errors: Vec<_> = of(Severity::Error).collect();
    errors.sort_by_key(|(_, since)| Reverse(**since));
    ProblemCounts {
        errors: errors.len(),
        warnings: of(Severity::Warning).count(),
        newest: errors
            .into_iter()
            .take(SHOWN)
            .map(|(problem, since)| problems::row(problem, *since))
            .collect(),
    }
}

/// A page of the watches.
pub(super) fn watches(inspect: &Inspect, query: &WatchQuery, now: Now) -> Cut<WatchRow> {
    let rows = inspect.watches.reports().into_iter().map(|report| {
        let row = WatchRow {
            watch: report.watch,
            state: report.state.to_owned(),
            heard: report.heard.map(|heard| now.at(heard)),
            why: report.why,
        };
        (row.watch.clone(), row)
    });
    Paging::of(query.limit, query.after.clone()).cut(rows.collect())
}
