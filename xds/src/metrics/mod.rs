//! The server's metrics. Names and labels are part of the public API.

mod delays;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use seaway_proto::TypeUrl;
use tonic::Status;

use crate::reasons::{CloseReason, DenyReason};
pub(crate) use delays::Delays;
pub use delays::NameTraces;
use delays::{DelaysByType, DelaysOfAll, Traces};

/// The label set of metrics by resource type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: String,
}

/// The label set of metrics by the reason of a closed connection or a denied stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// The label set of metrics by the kind of a credential: a token or a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// The label set of metrics of quarantined contents: the resource type, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuarantineLabel {
    r#type: &'static str,
    reason: &'static str,
}

/// Knows what open streams have not acknowledged.
pub(crate) trait Unacknowledged: fmt::Debug + Send + Sync {
    /// For each type, its URL and for how long any stream has been owing an acknowledgement of it;
    /// zero if none does.
    fn oldest(&self) -> Vec<(&'static str, Duration)>;
}

/// A gauge by resource type that is worked out when it is read.
#[derive(Clone, Debug, Default)]
struct OldestUnacknowledged(Arc<OnceLock<Arc<dyn Unacknowledged>>>);

impl EncodeMetric for OldestUnacknowledged {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (url, oldest) in self.0.get().iter().flat_map(|streams| streams.oldest()) {
            let label = label(url);
            let encoder = encoder.encode_family(&label)?;
            ConstGauge::new(oldest.as_secs_f64()).encode(encoder)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

/// Declares each metric once: its field, its type, its name without the suffix of counters, and its
/// help.
macro_rules! metrics {
    ($($field:ident: $type:ty, $name:literal, $help:literal;)*) => {
        /// The server's metrics; clones share their values.
        ///
        /// The label `type` is the type URL. `reason` of a closed connection is one of `age`,
        /// `shutdown`, `idle`, `refused`, `stalled`, `expired`, `revoked` and `crowded`, of a
        /// denied stream `unauthenticated`, `forbidden`, `limit` and `other`.
        #[derive(Clone, Debug, Default)]
        pub struct Metrics {
            $($field: $type,)*
            traces: Traces,
        }

        impl Metrics {
            /// Creates the server's metrics and registers them:
            $(#[doc = concat!("- `", $name, "`: ", $help)])*
            pub fn register(registry: &mut Registry) -> Metrics {
                let metrics = Metrics::default();
                $(registry.register($name, $help, metrics.$field.clone());)*
                metrics.begin_with_reasons();
                metrics
            }
        }
    };
}

metrics! {
    streams: Gauge, "xds_streams", "Discovery streams open now";
    responses: Family<TypeLabel, Counter>, "xds_responses", "Discovery responses sent";
    resources: Family<TypeLabel, Counter>, "xds_resources", "Resources sent in discovery responses";
    nacks: Family<TypeLabel, Counter>, "xds_nacks", "Discovery responses that a proxy rejected";
    rejecting: Family<TypeLabel, Gauge>, "xds_rejecting_streams",
        "Streams whose proxy has rejected a resource and not accepted it since";
    quarantined: Family<QuarantineLabel, Gauge>, "xds_held_back_resources",
        "Resources held back from proxies that were not sent them before";
    missing: Family<TypeLabel, Gauge>, "xds_missing_names",
        "Names that streams subscribe to and that do not exist; up to 10000 of a type";
    large: Family<TypeLabel, Counter>, "xds_large_responses",
        "Responses that could not be split and near the 4 MiB that gRPC clients accept";
    unknown_types: Counter, "xds_unknown_type_requests", "Requests for a resource type that is not served";
    warming_reconnects: Counter, "xds_warming_reconnects",
        "Streams that reconnected and did not subscribe to clusters within a second: taken to be warming one";
    other_nodes: Counter, "xds_other_node_requests",
        "Requests with another node than the first of their stream, which counts";
    connections: Gauge, "xds_connections", "Connections open now";
    blocked: Gauge, "xds_blocked_writes",
        "Streams and sockets whose peer has taken none of the waiting bytes for some seconds";
    closed: Family<ReasonLabel, Counter>, "xds_connections_closed",
        "Connections that the server closed";
    refused_connections: Counter, "xds_connections_refused",
        "Connections closed at once because there were too many";
    refused_streams: Counter, "xds_streams_refused", "Streams refused because too many were opened at once";
    client_memory: Gauge, "xds_client_memory_bytes",
        "Memory kept for clients: incomplete requests, and names that do not exist";
    refused_memory: Counter, "xds_client_memory_refusals",
        "Streams that ended because their client exceeded its memory limit";
    denied: Family<ReasonLabel, Counter>, "xds_denied_streams",
        "Streams refused by authentication or authorization";
    failed_handshakes: Counter, "xds_failed_handshakes", "TLS handshakes that failed";
    identity_expiry: Family<KindLabel, Gauge>, "xds_identity_expiry_timestamp_seconds",
        "When the first of the credentials of open streams expires, in Unix time; 0 without any";
    to_sent: DelaysOfAll, "change_to_sent_seconds",
        "Time from the event behind a change until the last proxy that it concerns was sent it";
    to_ack: DelaysByType, "change_to_ack_seconds",
        "Time from the event behind a change until the last proxy that it concerns has answered it";
    oldest_unacked: OldestUnacknowledged, "xds_oldest_unacked_seconds",
        "For how long the proxy that is furthest behind has not acknowledged something";
}

impl Metrics {
    /// Creates the counters whose labels are known beforehand, so that they start at 0: the first
    /// rise of a counter that begins with 1 would not be seen.
    fn begin_with_reasons(&self) {
        for reason in CloseReason::ALL {
            let reason = reason.as_str();
            drop(self.closed.get_or_create(&ReasonLabel { reason }));
        }
        for reason in DenyReason::ALL {
            let reason = reason.as_str();
            drop(self.denied.get_or_create(&ReasonLabel { reason }));
        }
    }

    /// Creates the counters and gauges of all types that are served, so that they start at 0.
    pub(crate) fn begin_with_types<'a>(&self, urls: impl Iterator<Item = &'a str>) {
        for url in urls {
            let label = label(url);
            for counters in [&self.responses, &self.resources, &self.nacks, &self.large] {
                drop(counters.get_or_create(&label));
            }
            for gauges in [&self.rejecting, &self.missing] {
                drop(gauges.get_or_create(&label));
            }
            drop(self.delays(url));
        }
    }

    /// The histograms of the delays of a type.
    pub(crate) fn delays(&self, url: &str) -> Delays {
        let to_ack = self.to_ack.of(&label(url));
        Delays::new(self.to_sent.of_all(), to_ack, self.traces.clone())
    }

    /// Sets who knows the traces of commits, for the exemplars of delays. The first counts.
    pub fn name_traces(&self, traces: Arc<dyn NameTraces>) {
        self.traces.set(traces);
    }

    /// Sets whose acknowledgements are outstanding. Of several servers with these metrics, the
    /// first counts.
    pub(crate) fn unacknowledged(&self, streams: Arc<dyn Unacknowledged>) {
        let _ = self.oldest_unacked.0.set(streams);
    }

    /// Counts a stream that was refused for its identity, by the status with which it ends.
    pub(crate) fn denied(&self, status: &Status) {
        let reason = DenyReason::of(status).as_str();
        self.denied.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn failed_handshake(&self) {
        self.failed_handshakes.inc();
    }

    pub(crate) fn identity_expiry(&self, kind: &'static str, moment: Option<SystemTime>) {
        let since = moment.and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok());
        let seconds = since.map_or(0, |since| since.as_secs());
        let gauge = self.identity_expiry.get_or_create(&KindLabel { kind });
        gauge.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Counts a connection that was opened (1) or closed (-1).
    pub(crate) fn connection(&self, by: i64) {
        self.connections.inc_by(by);
    }

    pub(crate) fn blocked(&self, count: u32) {
        self.blocked.set(count.into());
    }

    pub(crate) fn closed(&self, reason: CloseReason) {
        let reason = reason.as_str();
        self.closed.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn refused_connection(&self) {
        self.refused_connections.inc();
    }

    /// Adds to the bytes that are kept for clients; negative if fewer are.
    pub(crate) fn client_memory(&self, bytes: i64) {
        self.client_memory.inc_by(bytes);
    }

    pub(crate) fn refused_memory(&self) {
        self.refused_memory.inc();
    }

    pub(crate) fn refused_stream(&self) {
        self.refused_streams.inc();
    }

    /// Counts a stream for as long as the returned value lives (xDS rule 15).
    pub(crate) fn stream(&self) -> StreamMetrics {
        self.streams.inc();
        StreamMetrics {
            metrics: self.clone(),
            rejecting: BTreeSet::new(),
            sent: Vec::new(),
        }
    }

    /// Sets the gauges of quarantined contents, each given by its type and the reason.
    pub(crate) fn quarantined(&self, all: impl Iterator<Item = (TypeUrl, &'static str)>) {
        self.quarantined.clear();
        for (type_url, reason) in all {
            let label = QuarantineLabel {
                r#type: type_url.as_str(),
                reason,
            };
            self.quarantined.get_or_create(&label).inc();
        }
    }

    /// The gauge of missing names of a type.
    pub(crate) fn missing(&self, url: TypeUrl) -> Gauge {
        self.missing.get_or_create(&label(url.as_str())).clone()
    }

    pub(crate) fn warming_reconnect(&self) {
        self.warming_reconnects.inc();
    }

    /// Counts a large response of this type that could not be split.
    pub(crate) fn large(&self, type_url: &str) {
        self.large.get_or_create(&label(type_url)).inc();
    }

    pub(crate) fn other_node(&self) {
        self.other_nodes.inc();
    }

    pub(crate) fn unknown_type(&self) {
        self.unknown_types.inc();
    }
}

/// The metrics of one open stream, counted as open until this is dropped.
#[derive(Debug)]
pub(crate) struct StreamMetrics {
    metrics: Metrics,
    /// The types of which the client rejected a resource that it has not accepted since (xDS rule
    /// 79).
    rejecting: BTreeSet<String>,
    /// The counters of responses and resources by the types that were sent: looking them up costs
    /// more than counting.
    sent: Vec<(String, Counter, Counter)>,
}

impl StreamMetrics {
    /// Updates the types of which a resource is rejected; `still` returns whether one of a type is.
    pub(crate) fn rejecting(&mut self, still: impl Fn(&str) -> bool) {
        let gauges = &self.metrics.rejecting;
        self.rejecting.retain(|type_url| {
            let stays = still(type_url);
            if !stays {
                gauges.get_or_create(&label(type_url)).dec();
            }
            stays
        });
    }

    pub(crate) fn nacked(&mut self, type_url: &str) {
        let label = label(type_url);
        self.metrics.nacks.get_or_create(&label).inc();
        if self.rejecting.insert(type_url.to_owned()) {
            self.metrics.rejecting.get_or_create(&label).inc();
        }
    }

    pub(crate) fn response(&mut self, type_url: &str, resources: usize) {
        let known = self.sent.iter().position(|(url, _, _)| url == type_url);
        let at = known.unwrap_or_else(|| {
            let label = label(type_url);
            let responses = self.metrics.responses.get_or_create(&label).clone();
            let resources = self.metrics.resources.get_or_create(&label).clone();
            self.sent.push((type_url.to_owned(), responses, resources));
            self.sent.len() - 1
        });
        let (_, responses, sent) = &self.sent[at];
        responses.inc();
        sent.inc_by(resources as u64);
    }
}

impl Drop for StreamMetrics {
    fn drop(&mut self) {
        self.metrics.streams.dec();
        for type_url in &self.rejecting {
            self.metrics.rejecting.get_or_create(&label(type_url)).dec();
        }
    }
}

fn label(type_url: &str) -> TypeLabel {
    TypeLabel {
        r#type: type_url.to_owned(),
    }
}
