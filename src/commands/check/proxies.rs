//! Checks of the proxies and the Services.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;

use super::report::Group;
use crate::ask::table::{counted, grouped};
use crate::ask::times::Times;
use crate::ask::{Asked, Replicas};
use crate::inspect::api::{Page, ProblemRow, ProxyRow, ProxyState};

/// How many proxies and problems of a replica are looked at.
const MOST: usize = 20_000;
/// How many are named.
const NAMED: usize = 5;
/// The oldest Envoy that is supported.
const OLDEST: (u32, u32) = (1, 36);
/// For how long a proxy may be behind: a large change takes some seconds.
const BEHIND: i64 = 60;

/// Whether each has what it should have, and is of a version that is supported.
pub(super) async fn proxies(replicas: &Replicas) -> Group {
    let mut group = Group::new("proxies");
    let all = replicas.each().map(|replica| async move {
        let said: Result<Page<ProxyRow>, String> = replica.list(&Asked::of("proxies"), MOST).await;
        said.ok()
    });
    let pages: Vec<_> = join_all(all).await.into_iter().flatten().collect();
    let total: usize = pages.iter().map(|page| page.total).sum();
    let [rejects, behind, old] = unwell(&pages);
    for (list, one, many, fix) in [
        (
            rejects,
            "rejects a resource",
            "reject a resource",
            "seaway get proxies --state rejects",
        ),
        (
            behind,
            "is behind",
            "are behind",
            "seaway get proxies --state behind",
        ),
        (
            old,
            "is older than Envoy 1.36",
            "are older than Envoy 1.36",
            "use a newer Envoy",
        ),
    ] {
        if !list.is_empty() {
            let words = if list.len() == 1 { one } else { many };
            group.fail(format!("{} {words}: {}", list.len(), named(&list)), fix);
        }
    }
    match total {
        // Who does not answer is named as a replica.
        0 if pages.is_empty() => {}
        0 => group.skip("no proxy is connected"),
        total => {
            let total = counted(total, "proxy", "proxies");
            group.else_ok(format!("{total}, all with what they should have"));
        }
    }
    group
}

/// The proxies that reject something, those that have been behind for long, and those of an old
/// version, each with what is to say of it.
fn unwell(pages: &[Page<ProxyRow>]) -> [Vec<String>; 3] {
    let (mut rejects, mut behind, mut old) = (Vec::new(), Vec::new(), Vec::new());
    for page in pages {
        let times = Times::of(&page.now, false);
        for row in &page.items {
            let since = times.show_any(row.since.as_deref());
            let what = row.what.as_deref().unwrap_or_default();
            match row.state {
                ProxyState::Rejects => rejects.push(format!("{} ({what}, {since})", row.proxy)),
                ProxyState::Behind if is_long(page, row) => {
                    behind.push(format!("{} ({what}, {since})", row.proxy));
                }
                ProxyState::Behind | ProxyState::Synced => {}
            }
            if envoy(&row.client).is_some_and(|version| version < OLDEST) {
                old.push(format!("{} ({})", row.proxy, row.client));
            }
        }
    }
    [rejects, behind, old]
}

/// Whether a proxy has been in its state for longer than a change may take.
fn is_long(page: &Page<ProxyRow>, row: &ProxyRow) -> bool {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let since = row.since.as_deref().and_then(time);
    since
        .zip(time(&page.now))
        .is_some_and(|(since, now)| now.as_second() - since.as_second() >= BEHIND)
}

/// The version of an Envoy: `envoy 1.40.0`.
fn envoy(client: &str) -> Option<(u32, u32)> {
    let mut numbers = client.strip_prefix("envoy ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn named(all: &[String]) -> String {
    let mut text = all
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > NAMED {
        text.push_str(&format!(" and {} more", grouped(all.len() - NAMED)));
    }
    text
}

/// The problems because of which something that is asked for is not served, by reason.
pub(super) async fn services(replicas: &Replicas) -> Group {
    let mut group = Group::new("services");
    let asked = Asked::of("problems").with("severity", Some("error"));
    let asked = &asked;
    let all = replicas.each().map(|replica| async move {
        let said: Result<Page<ProblemRow>, String> = replica.list(asked, MOST).await;
        said.ok()
    });
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut answers = 0;
    for page in join_all(all).await.into_iter().flatten() {
        answers += 1;
        for row in page.items {
            reasons.entry(row.reason).or_default().push(row.object);
        }
    }
    for (reason, mut objects) in reasons {
        // Every replica says the same of the same.
        objects.sort();
        objects.dedup();
        group.fail(
            format!("{reason}: {}", named(&objects)),
            &format!("seaway get problems --reason {reason}"),
        );
    }
    if answers > 0 {
        group.else_ok("nothing that is asked for is left out");
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_envoy_are_compared_by_their_numbers() {
        assert_eq!(envoy("envoy 1.36.4"), Some((1, 36)));
        assert!(envoy("envoy 1.9.0") < Some(OLDEST));
        assert_eq!(envoy("gRPC Go 1.70"), None);
    }

    #[test]
    fn only_the_first_are_named() {
        let all: Vec<String> = (1..=7).map(|number| format!("n{number}")).collect();
        assert_eq!(named(&all), "n1, n2, n3, n4, n5 and 2 more");
    }
}
