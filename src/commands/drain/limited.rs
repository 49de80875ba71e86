//! Reports what an Envoy refused because a limit was reached (docs/scale.md), while `seaway drain`
//! waits: in the log and in metrics. An Envoy whose admin interface is a socket is not scraped.
//!
//! All but [`watch`] is plain state: Envoy's counters go in, log lines and metrics come out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future;
use std::path::Path;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::sleep;

use crate::commands::envoy_admin::refused;
use crate::process::metrics::ReasonLabel;

/// A kind of refusal, by the Envoy statistic that counts it.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    /// The ending of the statistics' names.
    ending: &'static str,
    /// What was refused and why, for the log.
    what: &'static str,
    /// The label `limit` of the counter.
    limit: &'static str,
    /// The label `reason` of the gauge of problems.
    reason: &'static str,
}

const CONNECTIONS: &str = "ConnectionsLimited";
const FLOWS: &str = "FlowsLimited";
static KINDS: [Kind; 4] = [
    Kind {
        ending: ".downstream_global_cx_overflow",
        what: "connections beyond the limit that follows from its open files",
        limit: "connections",
        reason: CONNECTIONS,
    },
    Kind {
        ending: ".downstream_cx_overflow",
        what: "connections beyond the limit of a listener",
        limit: "listener_connections",
        reason: CONNECTIONS,
    },
    Kind {
        ending: ".downstream_cx_overload_reject",
        what: "connections, because it is overloaded",
        limit: "overload",
        reason: CONNECTIONS,
    },
    Kind {
        ending: ".upstream_cx_overflow",
        what: "UDP flows or connections beyond the limit of a Service (--max-udp-flows)",
        limit: "flows",
        reason: FLOWS,
    },
];
/// How many listeners or clusters a log line names.
const NAMED: usize = 5;

/// A report about a kind of refusal: there were more, or it is over.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    kind: &'static Kind,
    /// How many there were since the last look, and at which listeners or clusters; `None`: it is
    /// over.
    more: Option<(u64, String)>,
}

impl Said {
    fn log(&self) {
        let Said { kind, more } = self;
        let what = kind.what;
        match more {
            Some((refused, of)) => tracing::warn!(refused, of, "Envoy refuses {what}"),
            None => tracing::info!("Envoy no longer refuses {what}"),
        }
    }
}

/// Envoy's counters of refused connections and flows at the last look, by which a rise is noticed.
#[derive(Debug)]
struct Limited {
    counts: BTreeMap<String, u64>,
    /// The endings of the kinds that grew at the last look.
    growing: BTreeSet<&'static str>,
}

impl Limited {
    /// Begins with these counters; what they count is not reported, since it is not known when it
    /// was.
    fn since(counts: BTreeMap<String, u64>) -> Limited {
        Limited {
            counts,
            growing: BTreeSet::new(),
        }
    }

    /// Takes in the counters of another look; returns what to report.
    fn look(&mut self, counts: BTreeMap<String, u64>) -> Vec<Said> {
        let mut said = Vec::new();
        for kind in &KINDS {
            let more = self.grown(&counts, kind.ending);
            let (grows, grew) = (more.is_some(), self.growing.contains(kind.ending));
            if grows {
                self.growing.insert(kind.ending);
            } else {
                self.growing.remove(kind.ending);
            }
            if grows || grew {
                said.push(Said { kind, more });
            }
        }
        self.counts = counts;
        said
    }

    /// How much the counters of a kind have grown in all, and at which listeners or clusters, with
    /// the most first.
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

/// The name of the listener or cluster in a statistic's name.
fn owner(statistic: &str) -> &str {
    let listener = statistic.strip_prefix("listener.");
    listener
        .or_else(|| statistic.strip_prefix("cluster."))
        .unwrap_or(statistic)
}

/// The label `limit` of `envoy_refused_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

/// The metrics of connections and flows that an Envoy refused because a limit was reached. Their
/// names and labels are API.
#[derive(Debug, Default)]
pub(crate) struct LimitMetrics {
    refused: Family<LimitLabel, Counter>,
    problems: Family<ReasonLabel, Gauge>,
}

impl LimitMetrics {
    /// Registers `envoy_refused_total{limit}` and `problems{reason}`.
    pub(crate) fn register(registry: &mut Registry) -> LimitMetrics {
        let metrics = LimitMetrics::default();
        let help = "Connections and UDP flows that the Envoy beside this refused, by the limit that was reached";
        registry.register("envoy_refused", help, metrics.refused.clone());
        let help = "Whether the Envoy beside this refused any at the last look, by reason";
        registry.register("problems", help, metrics.problems.clone());
        for kind in &KINDS {
            let label = LimitLabel { limit: kind.limit };
            drop(metrics.refused.get_or_create(&label));
        }
        metrics.take_in(&[]);
        metrics
    }

    /// Takes in the reports of a look. A reason without refusals is 0, so that a rule on the metric
    /// sees it end.
    fn take_in(&self, said: &[Said]) {
        for Said { kind, more } in said {
            let label = LimitLabel { limit: kind.limit };
            let count = more.as_ref().map_or(0, |(count, _)| *count);
            self.refused.get_or_create(&label).inc_by(count);
        }
        for reason in [CONNECTIONS, FLOWS] {
            let stands = said
                .iter()
                .any(|said| said.kind.reason == reason && said.more.is_some());
            let label = ReasonLabel { reason };
            self.problems.get_or_create(&label).set(i64::from(stands));
        }
    }
}

/// Looks at Envoy's counters every so often and reports refusals, for as long as it is polled. An
/// Envoy that does not answer is asked again next time.
pub(crate) async fn watch(envoy: &Path, every: Duration, metrics: &LimitMetrics) -> Infallible {
    if every.is_zero() {
        return future::pending().await;
    }
    // One that does not answer yet has refused nothing.
    let mut limited = Limited::since(refused(envoy).unwrap_or_default());
    loop {
        sleep(every).await;
        if let Ok(counts) = refused(envoy) {
            let said = limited.look(counts);
            metrics.take_in(&said);
            said.iter().for_each(Said::log);
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
            kind: &KINDS[3],
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
            kind: &KINDS[0],
            more: Some((3, "10.96.0.10_80".to_owned())),
        };
        let of = "default_web_80_udp, default_dns_53_udp";
        assert_eq!(said, [connections, flows(7, of)]);
        // One of the two kinds goes on, and a Service that is gone has no statistics.
        let said = limited.look(counts([(web, 6), (closed, 3)]));
        let over = Said {
            kind: &KINDS[0],
            more: None,
        };
        assert_eq!(said, [over, flows(1, "default_web_80_udp")]);
        let said = limited.look(counts([(web, 6), (closed, 3)]));
        let over = Said {
            kind: &KINDS[3],
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
