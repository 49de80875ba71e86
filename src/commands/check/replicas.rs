//! Checks of the replicas: that each answers, is ready and follows the source, that all are of one
//! version and agree, and that their certificates are good for a while.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;

use super::report::Group;
use crate::ask::table::counted;
use crate::ask::times::age;
use crate::ask::{Asked, Replicas};
use crate::inspect::api::{Page, Replica, WatchRow, WorldState};

/// The group of their states.
pub(super) const NAME: &str = "replicas";
/// The metrics that are looked at.
const EXPIRY: &str = "seaway_tls_certificate_expiry_timestamp_seconds{";
const DISAGREEMENT: &str = "seaway_peer_disagreement{";
/// With less time than this left a certificate should have been replaced.
const SOON: i64 = 7 * 86_400;

/// The name of a replica, and its answer or why there is none.
type OfEach<'r, T> = (&'r str, Result<T, String>);

/// What each replica says of itself.
pub(super) async fn statuses(replicas: &Replicas) -> Vec<OfEach<'_, Replica>> {
    let asked = Asked::of("status");
    let all = replicas.each();
    let all = all.map(|replica| async { (&*replica.name, replica.get(&asked).await) });
    join_all(all).await
}

/// The watches of each replica.
pub(super) async fn watches_of(replicas: &Replicas) -> Vec<OfEach<'_, Page<WatchRow>>> {
    let asked = Asked::of("watches");
    let all = replicas.each();
    let all = all.map(|replica| async { (&*replica.name, replica.list(&asked, 1000).await) });
    join_all(all).await
}

/// The state of each.
pub(super) fn state(
    statuses: Vec<OfEach<'_, Replica>>,
    watches: &[OfEach<'_, Page<WatchRow>>],
    metrics: &[(&str, String)],
) -> Group {
    let mut group = Group::new(NAME);
    let (mut ready, mut versions) = (0, BTreeSet::new());
    for ((name, said), (_, watches)) in statuses.into_iter().zip(watches) {
        // A folder is read without watches.
        let fix = match watches.as_ref().is_ok_and(|page| page.total == 0) {
            true => "seaway get problems",
            false => "seaway get watches",
        };
        let said = match said {
            Ok(said) => said,
            Err(why) => {
                group.fail(
                    format!("{name} does not answer: {why}"),
                    "see whether it runs; --admin names its --admin-listen address",
                );
                continue;
            }
        };
        versions.insert(said.version.clone());
        if let Some(why) = &said.unready {
            group.fail(format!("{name} is not ready: {why}"), fix);
        } else if said.world.state == WorldState::Stale {
            let why = said.world.why.as_deref().unwrap_or("its world is old");
            group.warn(format!("{name} is stale: {why}"), "docs/replicas.md");
        } else {
            ready += 1;
        }
        for line in &said.degraded {
            group.warn(format!("{name}: {line}"), fix);
        }
    }
    if versions.len() > 1 {
        let versions = Vec::from_iter(versions).join(", ");
        group.warn(
            format!("they are of different versions: {versions}"),
            "none, if an upgrade is going on",
        );
    }
    for (name, text) in metrics {
        let disagree = values(text, DISAGREEMENT).filter(|(_, value)| *value > 0.0);
        for (labels, _) in disagree {
            group.fail(
                format!("{name} makes something else of the same than its peers: {labels}"),
                "docs/alerts.md#seawayreplicasdisagree",
            );
        }
    }
    if ready > 0 {
        group.ok(format!("{} ready", counted(ready, "replica", "replicas")));
    }
    group
}

/// The watches of each, which say what Seaway may list and watch.
pub(super) fn watches(of_each: Vec<OfEach<'_, Page<WatchRow>>>) -> Group {
    let mut group = Group::new("watches");
    let mut live = 0;
    for (name, said) in of_each {
        // Who does not answer is named as a replica.
        let Ok(page) = said else { continue };
        for row in page.items {
            match row.state.as_str() {
                "failing" | "stale" => {
                    let why = row.why.as_deref().unwrap_or("it says no more");
                    group.fail(
                        format!("{name}: {} {}: {why}", row.watch, row.state),
                        "kubectl apply -k deploy/base, if a permission is missing",
                    );
                }
                "live" => live += 1,
                _ => {}
            }
        }
    }
    if live > 0 {
        group.else_ok(format!("{} live", counted(live, "watch", "watches")));
    }
    group
}

/// Until when certificates are good.
pub(super) fn certificates(metrics: &[(&str, String)]) -> Group {
    let mut group = Group::new("certificates");
    let now = Timestamp::now().as_second();
    let mut least: Option<i64> = None;
    for (name, text) in metrics {
        for (labels, value) in values(text, EXPIRY) {
            #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
            let left = value as i64 - now;
            let shown = age(left.saturating_mul(1000));
            let fix = "deploy/certs.sh issue, or see to cert-manager (docs/alerts.md)";
            match left {
                ..=0 => group.fail(format!("{name}: {labels} has expired"), fix),
                1..SOON => group.warn(format!("{name}: {labels} is good for {shown}"), fix),
                _ => {}
            }
            least = Some(least.unwrap_or(left).min(left));
        }
    }
    match least {
        Some(left) => {
            let shown = age(left.saturating_mul(1000));
            group.else_ok(format!("all are good for {shown} or longer"));
        }
        // Who does not answer is named as a replica.
        None if metrics.is_empty() => {}
        None => group.skip("no replica serves TLS"),
    }
    group
}

/// The metrics of the replicas that answer.
pub(super) async fn metrics(replicas: &Replicas) -> Vec<(&str, String)> {
    let all = replicas
        .each()
        .map(|replica| async move { Some((&*replica.name, replica.metrics().await.ok()?)) });
    join_all(all).await.into_iter().flatten().collect()
}

/// The labels and the values of the lines that begin with a metric's name.
fn values<'a>(text: &'a str, begins: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    let lines = text
        .lines()
        .filter_map(move |line| line.strip_prefix(begins));
    lines.filter_map(|line| {
        let (labels, value) = line.rsplit_once("} ")?;
        Some((labels, value.trim().parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_by_their_labels() {
        let text = "# HELP x y\na{b=\"c\"} 1\na{b=\"d\"} 2.5\nab{b=\"e\"} 3\n";
        let all: Vec<_> = values(text, "a{").collect();
        assert_eq!(all, [("b=\"c\"", 1.0), ("b=\"d\"", 2.5)]);
    }
}
