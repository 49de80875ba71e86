//! The delays of commits: histograms whose exemplars name a commit, and its trace if there is one.
//!
//! Each bucket keeps the newest exemplar of its own, so that there are never more than buckets. One
//! is made when a commit is over, not for each stream.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::{
    EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;

use super::TypeLabel;

/// The upper bounds of the buckets of delays, in seconds. Each bucket is a series, of each type for
/// histograms by type.
const DELAYS: [f64; 9] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0];

type Histogram = HistogramWithExemplars<Example>;

fn histogram() -> Histogram {
    HistogramWithExemplars::new(DELAYS.into_iter())
}

/// The commit that an exemplar stands for.
#[derive(Clone, Debug)]
pub(super) struct Example {
    commit: u64,
    trace: Option<u128>,
}

impl EncodeLabelSet for Example {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("commit", self.commit).encode(encoder.encode_label())?;
        match self.trace {
            Some(id) => ("trace_id", format!("{id:032x}")).encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}

/// A histogram of delays.
#[derive(Clone, Debug)]
pub(super) struct DelaysOfAll(Histogram);

impl DelaysOfAll {
    pub(super) fn of_all(&self) -> Histogram {
        self.0.clone()
    }
}

impl Default for DelaysOfAll {
    fn default() -> DelaysOfAll {
        DelaysOfAll(histogram())
    }
}

impl EncodeMetric for DelaysOfAll {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Histograms of delays, by resource type.
#[derive(Clone, Debug)]
pub(super) struct DelaysByType(Family<TypeLabel, Histogram, fn() -> Histogram>);

impl DelaysByType {
    pub(super) fn of(&self, label: &TypeLabel) -> Histogram {
        self.0.get_or_create(label).clone()
    }
}

impl Default for DelaysByType {
    fn default() -> DelaysByType {
        DelaysByType(Family::new_with_constructor(histogram))
    }
}

impl EncodeMetric for DelaysByType {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Knows which commits are traced, and by which id.
pub trait NameTraces: fmt::Debug + Send + Sync {
    /// The id of the trace of a commit that took this long or longer; `None` if there may be none.
    fn trace(&self, commit: u64, delay: Duration) -> Option<u128>;
}

/// Who knows the traces of commits, once that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Traces(Arc<OnceLock<Arc<dyn NameTraces>>>);

impl Traces {
    pub(super) fn set(&self, traces: Arc<dyn NameTraces>) {
        let _ = self.0.set(traces);
    }
}

/// The delays of commits of one type: until the last stream was sent them, and until the last
/// client has answered.
#[derive(Clone, Debug)]
pub(crate) struct Delays {
    to_sent: Histogram,
    to_ack: Histogram,
    traces: Traces,
}

impl Delays {
    pub(super) fn new(to_sent: Histogram, to_ack: Histogram, traces: Traces) -> Delays {
        Delays {
            to_sent,
            to_ack,
            traces,
        }
    }

    pub(crate) fn to_sent(&self, commit: u64, delay: Duration) {
        self.observe(&self.to_sent, commit, delay);
    }

    pub(crate) fn to_ack(&self, commit: u64, delay: Duration) {
        self.observe(&self.to_ack, commit, delay);
    }

    fn observe(&self, histogram: &Histogram, commit: u64, delay: Duration) {
        let traces = self.traces.0.get();
        let trace = traces.and_then(|traces| traces.trace(commit, delay));
        let example = Example { commit, trace };
        let now = Some(SystemTime::now());
        histogram.observe(delay.as_secs_f64(), Some(example), now);
    }
}
