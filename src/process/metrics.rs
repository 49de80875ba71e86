//! The binary's own metrics; those of the protocol are in `seaway-xds`. Names and labels are API.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use seaway_translator::Reason;

use crate::process::log;

/// The label `reason` of `problems`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabel {
    pub(crate) reason: &'static str,
}

/// The label `source` of `source_errors_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: &'static str,
}

/// The upper bounds of the buckets of the time that a commit takes, in seconds.
const SECONDS: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];
/// The upper bounds of the buckets of how many objects a commit has.
const OBJECTS: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];

/// The metrics of the writer and the sources. Clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    problems: Family<ReasonLabel, Gauge>,
    source_errors: Family<SourceLabel, Counter>,
    translations: Counter,
    translate_seconds: Histogram,
    commit_objects: Histogram,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            problems: Family::default(),
            source_errors: Family::default(),
            translations: Counter::default(),
            translate_seconds: Histogram::new(SECONDS),
            commit_objects: Histogram::new(OBJECTS),
        }
    }
}

impl Metrics {
    /// Registers `problems{reason}`, `source_errors_total{source}`, `translations_total`,
    /// `translate_seconds`, `commit_objects`, `build_info` and those of the log.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let help = "Problems that stand now, by reason";
        registry.register("problems", help, metrics.problems.clone());
        let help = "Times a source could not read its input";
        registry.register("source_errors", help, metrics.source_errors.clone());
        let help = "Objects translated, because they or something they depend on changed";
        registry.register("translations", help, metrics.translations.clone());
        let help = "Time to translate what is dirty and to publish it as one commit";
        registry.register("translate_seconds", help, metrics.translate_seconds.clone());
        let help = "Objects that were translated for one commit";
        registry.register("commit_objects", help, metrics.commit_objects.clone());
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The running build", Info::new(version.to_vec()));
        // Reasons without any are 0, so that a rule on the metric sees them begin and end.
        for reason in Reason::ALL {
            metrics.problems_of(*reason);
        }
        log::register(registry);
        metrics
    }

    /// The counter of read errors of one source.
    pub(crate) fn source_errors(&self, source: &'static str) -> Counter {
        self.source_errors
            .get_or_create(&SourceLabel { source })
            .clone()
    }

    /// Counts the objects that were translated for a commit. One without any only places proxies:
    /// it takes no time, and would hide those that do.
    pub(crate) fn translated(&self, objects: usize) {
        if objects > 0 {
            self.translations.inc_by(objects as u64);
            self.commit_objects.observe(objects as f64);
        }
    }

    /// Counts how long a commit took for which so many objects were translated.
    pub(crate) fn committed(&self, objects: usize, took: Duration) {
        if objects > 0 {
            self.translate_seconds.observe(took.as_secs_f64());
        }
    }

    /// Counts a problem that appeared, or ended.
    pub(crate) fn problem(&self, reason: Reason, stands: bool) {
        let count = self.problems_of(reason);
        if stands {
            count.inc();
        } else {
            count.dec();
        }
    }

    fn problems_of(&self, reason: Reason) -> Gauge {
        let label = ReasonLabel {
            reason: reason.as_str(),
        };
        self.problems.get_or_create(&label).clone()
    }
}
