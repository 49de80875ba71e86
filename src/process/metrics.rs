//! The binary's own metrics; those of the protocol are in `seaway-xds`. Names and labels are API.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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

/// The metrics of the writer and the sources. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    problems: Family<ReasonLabel, Gauge>,
    source_errors: Family<SourceLabel, Counter>,
    translations: Counter,
}

impl Metrics {
    /// Registers `problems{reason}`, `source_errors_total{source}`, `translations_total`,
    /// `build_info` and those of the log.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let help = "Problems that stand now, by reason";
        registry.register("problems", help, metrics.problems.clone());
        let help = "Times a source could not read its input";
        registry.register("source_errors", help, metrics.source_errors.clone());
        let help = "Objects translated, because they or something they depend on changed";
        registry.register("translations", help, metrics.translations.clone());
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

    /// Counts objects that were translated.
    pub(crate) fn translated(&self, objects: usize) {
        self.translations.inc_by(objects as u64);
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
