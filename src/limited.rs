//! What an Envoy refused because there was as much as there may be (docs/scale.md), as `seaway drain` says it while it waits. Nobody scrapes
//! an Envoy whose admin interface is a socket.
//!
//! Plain state, but for [`watch`]: what Envoy has counted goes in, what there is to say comes out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::envoy_admin::refused;

/// How each statistic of refusals ends, and what it says.
const KINDS: [(&str, &str); 4] = [
    (
        ".downstream_global_cx_overflow",
        "connections, of which it has as many as its files are for",
    ),
    (
        ".downstream_cx_overflow",
        "connections, of which a listener has as many as it may",
    ),
    (
        ".downstream_cx_overload_reject",
        "connections, because it is overloaded",
    ),
    (
        ".upstream_cx_overflow",
        "UDP flows or connections to a Service that has as many as it may (--max-udp-flows)",
    ),
];
/// How many listeners or clusters are named.
const NAMED: usize = 5;

/// What is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    /// Of [`KINDS`].
    what: &'static str,
    /// How many since the last look, and of whom; `None`: it is over.
    more: Option<(u64, String)>,
}

impl Said {
    fn log(&self) {
        let Said { what, more } = self;
        match more {
            Some((refused, of)) => tracing::warn!(refused, of, "Envoy refuses {what}"),
            None => tracing::info!("Envoy no longer refuses {what}"),
        }
    }
}

/// What an Envoy had refused at the last look.
#[derive(Debug)]
struct Limited {
    counts: BTreeMap<String, u64>,
    /// The kinds of which there were more than at the look before.
    growing: BTreeSet<&'static str>,
}

impl Limited {
    /// Of what was refused before the first look nobody knows when.
    fn since(counts: BTreeMap<String, u64>) -> Limited {
        Limited {
            counts,
            growing: BTreeSet::new(),
        }
    }

    /// Takes in what has been refused by now.
    fn look(&mut self, counts: BTreeMap<String, u64>) -> Vec<Said> {
        let mut said = Vec::new();
        for (ending, what) in KINDS {
            let more = self.grown(&counts, ending);
            let (grows, grew) = (more.is_some(), self.growing.contains(what));
            if grows {
                self.growing.insert(what);
            } else {
                self.growing.remove(what);
            }
            if grows || grew {
                said.push(Said { what, more });
            }
        }
        self.counts = counts;
        said
    }

    /// How much a kind has grown in all, and whose has, with the most first.
    fn grown(&self, counts: &BTreeMap<String, u64>, ending: &str) -> Option<(u64, String)> {
        let of_kind = counts.iter().filter_map(|(name, now)| {
            let before = self.counts.get(name).copied().unwrap_or_default();
            // Fewer than before: Envoy was started anew.
            let more = now.checked_sub(before).unwrap_or(*now);
            Some((owner(name.strip_suffix(ending)?), more))
        });
        let mut grown: Vec<(&str, u64)> = of_kind.filter(|(_, more)| *more > 0).collect();
        grown.sort_by_key(|(_, more)| Reverse(*more));
        let sum = grown.iter().map(|(_, more)| more).sum();
        let mut names: Vec<String> = grown.iter().map(|(name, _)| (*name).to_owned()).collect();
        if names.len() > NAMED {
            names.push(format!("and {} others", names.len() - NAMED));
            names.drain(NAMED..names.len() - 1);
        }
        (sum > 0).then(|| (sum, names.join(", ")))
    }
}

/// The name of a listener or cluster.
fn owner(statistic: &str) -> &str {
    let listener = statistic.strip_prefix("listener.");
    listener
        .or_else(|| statistic.strip_prefix("cluster."))
        .unwrap_or(statistic)
}

/// Says what is refused, for as long as it is polled. An Envoy that does not answer is looked at again next time.
pub(crate) async fn watch(envoy: &Path, every: Duration) -> Infallible {
    if every.is_zero() {
        return future::pending().await;
    }
    // One that does not answer yet has refused nothing.
    let mut limited = Limited::since(refused(envoy).unwrap_or_default());
    loop {
        sleep(every).await;
        if let Ok(counts) = refused(envoy) {
            limited.look(counts).iter().for_each(Said::log);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<const N: usize>(of: [(&str, u64); N]) -> BTreeMap<String, u64> {
        of.map(|(name, count)| (name.to_owned(), count)).into()
    }

    fn flows(count: u64, of: &str) -> Said {
        Said {
            what: KINDS[3].1,
            more: Some((count, of.to_owned())),
        }
    }

    #[test]
    fn what_grows_is_said_with_whose_it_is_and_that_it_is_over() {
        let dns = "cluster.default_dns_53_udp.upstream_cx_overflow";
        let web = "cluster.default_web_80_udp.upstream_cx_overflow";
        let closed = "listener.10.96.0.10_80.downstream_global_cx_overflow";
        let mut limited = Limited::since(counts([(dns, 7)]));
        assert_eq!(limited.look(counts([(dns, 7)])), []);
        let said = limited.look(counts([(dns, 9), (web, 5), (closed, 3)]));
        let connections = Said {
            what: KINDS[0].1,
            more: Some((3, "10.96.0.10_80".to_owned())),
        };
        let of = "default_web_80_udp, default_dns_53_udp";
        assert_eq!(said, [connections, flows(7, of)]);
        // One of the two kinds goes on, and a Service that is gone has no statistics.
        let said = limited.look(counts([(web, 6), (closed, 3)]));
        let over = Said {
            what: KINDS[0].1,
            more: None,
        };
        assert_eq!(said, [over, flows(1, "default_web_80_udp")]);
        let said = limited.look(counts([(web, 6), (closed, 3)]));
        let over = Said {
            what: KINDS[3].1,
            more: None,
        };
        assert_eq!(said, [over]);
        assert_eq!(limited.look(counts([(web, 6), (closed, 3)])), []);
    }

    #[test]
    fn an_envoy_that_starts_anew_counts_from_nothing() {
        let web = "cluster.default_web_80_udp.upstream_cx_overflow";
        let mut limited = Limited::since(counts([(web, 100)]));
        let said = limited.look(counts([(web, 4)]));
        assert_eq!(said, [flows(4, "default_web_80_udp")]);
    }

    #[test]
    fn a_line_names_a_handful() {
        let names = (1..=8).map(|n| format!("cluster.default_s{n}_53_udp.upstream_cx_overflow"));
        let all: BTreeMap<String, u64> = names.zip(1..).collect();
        let said = Limited::since(BTreeMap::new()).look(all);
        let of = "default_s8_53_udp, default_s7_53_udp, default_s6_53_udp, default_s5_53_udp, default_s4_53_udp, and 3 others";
        assert_eq!(said, [flows(36, of)]);
    }

    #[test]
    fn what_is_no_refusal_is_left_alone() {
        let mut limited = Limited::since(BTreeMap::new());
        let other = counts([
            ("cluster.a_b_80.upstream_cx_pool_overflow", 5),
            ("cluster.a_b_80.upstream_cx_total", 5),
        ]);
        assert_eq!(limited.look(other), []);
    }
}
