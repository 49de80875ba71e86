//! What the server counts. Names and labels are part of the public API.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: String,
}

/// The server's metrics; clones share their values.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    streams: Gauge,
    responses: Family<TypeLabel, Counter>,
    resources: Family<TypeLabel, Counter>,
    nacks: Family<TypeLabel, Counter>,
    unknown_types: Counter,
}

impl Metrics {
    /// Registers `xds_streams`, `xds_responses_total{type}`, `xds_resources_total{type}`, `xds_nacks_total{type}` and
    /// `xds_unknown_type_requests_total`. The label `type` is the type URL.
    pub fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let help = "Discovery streams open now";
        registry.register("xds_streams", help, metrics.streams.clone());
        let help = "Discovery responses sent";
        registry.register("xds_responses", help, metrics.responses.clone());
        let help = "Resources sent in discovery responses";
        registry.register("xds_resources", help, metrics.resources.clone());
        let help = "Discovery responses that a proxy rejected";
        registry.register("xds_nacks", help, metrics.nacks.clone());
        let help = "Requests for a resource type that is not served";
        let counter = metrics.unknown_types.clone();
        registry.register("xds_unknown_type_requests", help, counter);
        metrics
    }

    /// Counts a stream for as long as the returned value lives (xDS rule 15).
    pub(crate) fn stream(&self) -> StreamCount {
        self.streams.inc();
        StreamCount(self.streams.clone())
    }

    pub(crate) fn response(&self, type_url: &str, resources: usize) {
        let label = TypeLabel {
            r#type: type_url.to_owned(),
        };
        self.responses.get_or_create(&label).inc();
        self.resources
            .get_or_create(&label)
            .inc_by(resources as u64);
    }

    pub(crate) fn nack(&self, type_url: &str) {
        let label = TypeLabel {
            r#type: type_url.to_owned(),
        };
        self.nacks.get_or_create(&label).inc();
    }

    pub(crate) fn unknown_type(&self) {
        self.unknown_types.inc();
    }
}

/// One open stream.
#[derive(Debug)]
pub(crate) struct StreamCount(Gauge);

impl Drop for StreamCount {
    fn drop(&mut self) {
        self.0.dec();
    }
}
