//! The metrics of what the leader writes. Names and labels are API.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::queue::Outcome;

/// The label `result` of `…_writes_total`.
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
pub(crate) struct WriteMetrics {
    writes: Family<ResultLabel, Counter>,
    leader: Gauge,
    queue: Gauge,
}

impl WriteMetrics {
    /// Registers `<name>_writes_total{result}`, `<name>_leader` and `<name>_queue`.
    pub(crate) fn register(registry: &mut Registry, name: &str, what: &str) -> WriteMetrics {
        let metrics = WriteMetrics::default();
        let help = format!("Objects to write, for {what}, by result");
        registry.register(format!("{name}_writes"), help, metrics.writes.clone());
        let help = format!("1 while this replica is the one that writes {what}");
        registry.register(format!("{name}_leader"), help, metrics.leader.clone());
        let help = format!("Objects that this replica has yet to write, for {what}");
        registry.register(format!("{name}_queue"), help, metrics.queue.clone());
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
