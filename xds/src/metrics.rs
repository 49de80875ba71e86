//! What the server counts. Names and labels are part of the public API.

use std::collections::BTreeSet;
use std::time::SystemTime;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use seaway_proto::TypeUrl;
use tonic::{Code, Status};

use crate::close_reason::CloseReason;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldBackLabel {
    r#type: &'static str,
    reason: &'static str,
}

/// The server's metrics; clones share their values.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    streams: Gauge,
    responses: Family<TypeLabel, Counter>,
    resources: Family<TypeLabel, Counter>,
    nacks: Family<TypeLabel, Counter>,
    rejecting: Family<TypeLabel, Gauge>,
    held_back: Family<HeldBackLabel, Gauge>,
    missing: Family<TypeLabel, Gauge>,
    large: Family<TypeLabel, Counter>,
    unknown_types: Counter,
    other_nodes: Counter,
    warming_reconnects: Counter,
    connections: Gauge,
    blocked: Gauge,
    closed: Family<ReasonLabel, Counter>,
    refused_connections: Counter,
    refused_streams: Counter,
    denied: Family<ReasonLabel, Counter>,
    failed_handshakes: Counter,
    identity_expiry: Family<KindLabel, Gauge>,
    client_memory: Gauge,
    refused_memory: Counter,
}

impl Metrics {
    /// Registers `xds_streams`, `xds_responses_total{type}`, `xds_resources_total{type}`, `xds_nacks_total{type}`,
    /// `xds_rejecting_streams{type}`, `xds_held_back_resources{type,reason}`, `xds_missing_names{type}`,
    /// `xds_large_responses_total{type}`, `xds_unknown_type_requests_total`, `xds_other_node_requests_total`, `xds_warming_reconnects_total`, `xds_connections`,
    /// `xds_blocked_writes`, `xds_connections_closed_total{reason}`, `xds_connections_refused_total`,
    /// `xds_streams_refused_total`, `xds_denied_streams_total{reason}`, `xds_failed_handshakes_total` and
    /// `xds_identity_expiry_timestamp_seconds{kind}`, `xds_client_memory_bytes` and `xds_client_memory_refusals_total`. The label `type` is the type URL; `reason` of a
    /// closed connection is one of `age`, `shutdown`, `idle`, `refused`, `stalled`, `expired`, `revoked` and `crowded`, of a denied stream
    /// `unauthenticated`, `forbidden`, `limit` and `other`.
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
        let help = "Streams whose proxy rejected something that it has not got since";
        registry.register("xds_rejecting_streams", help, metrics.rejecting.clone());
        let help = "Resources kept from proxies that were not sent them yet";
        registry.register("xds_held_back_resources", help, metrics.held_back.clone());
        let help = "Names that streams ask for and that do not exist; up to 10000 of a type";
        registry.register("xds_missing_names", help, metrics.missing.clone());
        let help = "Responses that could not be split and near the 4 MiB that gRPC clients accept";
        registry.register("xds_large_responses", help, metrics.large.clone());
        let help = "Requests for a resource type that is not served";
        let counter = metrics.unknown_types.clone();
        registry.register("xds_unknown_type_requests", help, counter);
        let help = "Streams that came back and said nothing of clusters for a second: taken to be warming one";
        let counter = metrics.warming_reconnects.clone();
        registry.register("xds_warming_reconnects", help, counter);
        let help = "Requests with another node than the first of their stream, which counts";
        let counter = metrics.other_nodes.clone();
        registry.register("xds_other_node_requests", help, counter);
        metrics.register_limits(registry);
        metrics.register_identities(registry);
        metrics
    }

    fn register_limits(&self, registry: &mut Registry) {
        let help = "Connections open now";
        registry.register("xds_connections", help, self.connections.clone());
        let help =
            "Streams and sockets with something to send whose proxy took nothing for some seconds";
        registry.register("xds_blocked_writes", help, self.blocked.clone());
        let help = "Connections that the server told to go or cut";
        registry.register("xds_connections_closed", help, self.closed.clone());
        let help = "Connections closed at once because there were too many";
        let counter = self.refused_connections.clone();
        registry.register("xds_connections_refused", help, counter);
        let help = "Streams refused because too many began at once";
        let counter = self.refused_streams.clone();
        registry.register("xds_streams_refused", help, counter);
        let help = "What clients have kept here: requests whose end has not come, and names";
        registry.register("xds_client_memory_bytes", help, self.client_memory.clone());
        let help = "Streams that ended because too much was kept for them";
        let counter = self.refused_memory.clone();
        registry.register("xds_client_memory_refusals", help, counter);
    }

    fn register_identities(&self, registry: &mut Registry) {
        let help = "Streams refused because of who asked, or because nobody knows who";
        registry.register("xds_denied_streams", help, self.denied.clone());
        let help = "TLS handshakes that failed";
        let counter = self.failed_handshakes.clone();
        registry.register("xds_failed_handshakes", help, counter);
        let help = "When the first proof of identity ends that an open stream rests on, in Unix time; 0 without any";
        let family = self.identity_expiry.clone();
        registry.register("xds_identity_expiry_timestamp_seconds", help, family);
    }

    /// A stream was refused for who it is: counted by the status it ends with.
    pub(crate) fn denied(&self, status: &Status) {
        let reason = match status.code() {
            Code::Unauthenticated => "unauthenticated",
            Code::PermissionDenied => "forbidden",
            Code::ResourceExhausted => "limit",
            _ => "other",
        };
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

    /// A connection came (1) or went (-1).
    pub(crate) fn connection(&self, by: i64) {
        self.connections.inc_by(by);
    }

    pub(crate) fn blocked(&self, count: u32) {
        self.blocked.set(count.into());
    }

    pub(crate) fn closed(&self, end: CloseReason) {
        let reason = match end {
            CloseReason::Age => "age",
            CloseReason::Shutdown => "shutdown",
            CloseReason::Idle => "idle",
            CloseReason::Refused => "refused",
            CloseReason::Stalled => "stalled",
            CloseReason::Expired => "expired",
            CloseReason::Revoked => "revoked",
            CloseReason::Crowded => "crowded",
        };
        self.closed.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn refused_connection(&self) {
        self.refused_connections.inc();
    }

    /// Clients have so much more kept here, or less.
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

    /// Sets which contents are kept from proxies now, each by its type and the reason.
    pub(crate) fn held_back(&self, all: impl Iterator<Item = (TypeUrl, &'static str)>) {
        self.held_back.clear();
        for (type_url, reason) in all {
            let label = HeldBackLabel {
                r#type: type_url.as_str(),
                reason,
            };
            self.held_back.get_or_create(&label).inc();
        }
    }

    /// How many names of a type are missing.
    pub(crate) fn missing(&self, url: TypeUrl) -> Gauge {
        self.missing.get_or_create(&label(url.as_str())).clone()
    }

    pub(crate) fn warming_reconnect(&self) {
        self.warming_reconnects.inc();
    }

    /// A response of this type could not be split, and is large.
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

/// One open stream.
#[derive(Debug)]
pub(crate) struct StreamMetrics {
    metrics: Metrics,
    /// The types of which it rejected something that it has not got since (xDS rule 79).
    rejecting: BTreeSet<String>,
    /// The counters of responses and resources of the types it was sent: looking them up costs more than counting.
    sent: Vec<(String, Counter, Counter)>,
}

impl StreamMetrics {
    /// Asks of each type of which something was rejected whether that is still so.
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
