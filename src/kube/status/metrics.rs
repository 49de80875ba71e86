//! The metrics of writing status. Names and labels are API.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::queue::Outcome;

/// The label `result` of `status_writes_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// Every value of the label `result`.
const RESULTS: [&str; 6] = [
    "written",
    "unchanged",
    "gone",
    "conflict",
    "forbidden",
    "failed",
];

/// What was written, who is the leader and what waits. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatusMetrics {
    writes: Family<ResultLabel, Counter>,
    leader: Gauge,
    queue: Gauge,
}

impl StatusMetrics {
    /// Registers `status_writes_total{result}`, `status_leader` and `status_queue`.
    pub(crate) fn register(registry: &mut Registry) -> StatusMetrics {
        let metrics = StatusMetrics::default();
        let help = "Objects whose status was to be written, by result";
        registry.register("status_writes", help, metrics.writes.clone());
        let help = "1 while this replica is the one that writes status";
        registry.register("status_leader", help, metrics.leader.clone());
        let help = "Objects whose status this replica has yet to write";
        registry.register("status_queue", help, metrics.queue.clone());
        for result in RESULTS {
            drop(metrics.writes.get_or_create(&ResultLabel { result }));
        }
        metrics
    }

    /// Counts what became of an object.
    pub(super) fn count(&self, outcome: &Outcome) {
        let result = match outcome {
            Outcome::Written => "written",
            Outcome::Unchanged => "unchanged",
            Outcome::Gone => "gone",
            Outcome::Conflict => "conflict",
            Outcome::Failed(failure) if failure.is_forbidden() => "forbidden",
            Outcome::Failed(_) => "failed",
        };
        self.writes.get_or_create(&ResultLabel { result }).inc();
    }

    /// Shows who is the leader and what waits.
    pub(super) fn show(&self, leads: bool, queue: usize) {
        self.leader.set(i64::from(leads));
        self.queue.set(i64::try_from(queue).unwrap_or(i64::MAX));
    }
}
