//! What is read out of resources to tell what their difference means. What cannot be decoded says
//! nothing: then the bytes differ, and no more is known.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost::Name;
use seaway_proto::Resource;
use seaway_proto::envoy::cluster::Cluster;
use seaway_proto::envoy::core::{
    HealthStatus, TransportSocket, address, socket_address, transport_socket,
};
use seaway_proto::envoy::endpoint::lb_endpoint::HostIdentifier;
use seaway_proto::envoy::endpoint::{ClusterLoadAssignment, LbEndpoint};
use seaway_proto::envoy::listener::{Filter, FilterChain, Listener, filter, listener_filter};
use seaway_proto::envoy::tcp_proxy::TcpProxy;
use seaway_proto::envoy::tcp_proxy::tcp_proxy::ClusterSpecifier;
use seaway_proto::envoy::text_matcher::string_matcher::MatchPattern;
use seaway_proto::envoy::tls::common_tls_context::ValidationContextType;
use seaway_proto::envoy::tls::{CommonTlsContext, UpstreamTlsContext};
use seaway_proto::envoy::udp_proxy::udp_proxy_config::RouteSpecifier;
use seaway_proto::envoy::udp_proxy::{Route as UdpRoute, UdpProxyConfig};
use seaway_proto::google::protobuf::{Any, Duration};
use seaway_proto::xds::matcher::Matcher;
use seaway_proto::xds::matcher::matcher::{MatcherType, OnMatch, on_match};

use super::settings::Field;
use super::use_of_endpoints;
use crate::model::time_in_words;

/// What settings a resource shows, in words.
pub(super) type Facts = BTreeMap<Field, String>;

/// One endpoint of an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndpointFact {
    /// Its address and port.
    pub address: String,
    /// Whether new connections go to it while it and its like are well.
    pub preferred: bool,
}

/// The message in a resource; a default one if it is none.
pub(super) fn decode<M: Message + Default>(resource: &Resource) -> M {
    M::decode(resource.value.clone()).unwrap_or_default()
}

/// The message in an `Any`, if it is one of this type.
fn open<M: Message + Default + Name>(any: &Any) -> Option<M> {
    let is_type = any.type_url.rsplit('/').next() == Some(&M::full_name());
    is_type
        .then(|| M::decode(any.value.as_slice()).ok())
        .flatten()
}

/// The endpoints of an assignment.
pub(super) fn endpoints(resource: &Resource) -> Vec<EndpointFact> {
    let message: ClusterLoadAssignment = decode(resource);
    let groups = message.endpoints.iter();
    let endpoints = groups.flat_map(|group| {
        let each = group.lb_endpoints.iter();
        each.filter_map(|endpoint| {
            let leaving = endpoint.health_status == HealthStatus::Degraded as i32;
            Some(EndpointFact {
                address: address(endpoint)?,
                preferred: group.priority == 0 && !leaving,
            })
        })
    });
    endpoints.collect()
}

fn address(endpoint: &LbEndpoint) -> Option<String> {
    let Some(HostIdentifier::Endpoint(endpoint)) = &endpoint.host_identifier else {
        return None;
    };
    let address::Address::SocketAddress(socket) = endpoint.address.as_ref()?.address.as_ref()?
    else {
        return None;
    };
    let Some(socket_address::PortSpecifier::PortValue(port)) = socket.port_specifier else {
        return None;
    };
    Some(match socket.address.contains(':') {
        true => format!("[{}]:{port}", socket.address),
        false => format!("{}:{port}", socket.address),
    })
}

/// What a cluster says of its connections.
pub(super) fn cluster(resource: &Resource) -> Facts {
    let message: Cluster = decode(resource);
    let mut facts = Facts::new();
    if !message.typed_extension_protocol_options.is_empty() {
        facts.insert(Field::AppProtocol, "HTTP/2".to_owned());
    }
    if let Some(timeout) = &message.connect_timeout {
        facts.insert(Field::ConnectTimeout, time(timeout));
    }
    facts.extend(use_of_endpoints::of_cluster(&message));
    if let Some(socket) = &message.transport_socket {
        facts.insert(Field::TransportSocket, spoken(socket));
    }
    if let Some(assignment) = &message.load_assignment {
        let hosts = assignment.endpoints.iter().flat_map(|e| &e.lb_endpoints);
        let hosts = hosts.filter_map(address);
        let host = |address: String| address.split(".:").next().unwrap_or_default().to_owned();
        let hosts: Vec<String> = hosts.map(host).collect();
        facts.insert(Field::ExternalName, hosts.join(", "));
    }
    facts
}

/// What connections to endpoints are wrapped in.
fn spoken(socket: &TransportSocket) -> String {
    let context = match &socket.config_type {
        Some(transport_socket::ConfigType::TypedConfig(config)) => {
            open::<UpstreamTlsContext>(config)
        }
        _ => None,
    };
    let common = context.and_then(|context| context.common_tls_context);
    let is_mutual =
        |common: &CommonTlsContext| !common.tls_certificate_sds_secret_configs.is_empty();
    let Some(common) = common.filter(is_mutual) else {
        let kind = socket.name.rsplit('.').next().unwrap_or_default();
        return kind.replace('_', " ");
    };
    let Some(ValidationContextType::CombinedValidationContext(combined)) =
        common.validation_context_type
    else {
        return "mTLS".to_owned();
    };
    let validation = combined.default_validation_context.unwrap_or_default();
    let patterns = validation.match_typed_subject_alt_names.into_iter();
    let names = patterns.filter_map(|one| match one.matcher?.match_pattern? {
        MatchPattern::Exact(name) => Some(name),
        MatchPattern::Prefix(prefix) => Some(format!("{prefix}*")),
        _ => None,
    });
    format!("mTLS with {}", names.collect::<Vec<_>>().join(" or "))
}

pub(super) fn time(duration: &Duration) -> String {
    time_in_words(duration.seconds * 1000 + i64::from(duration.nanos / 1_000_000))
}

/// What the listener of a frontend says of its connections.
pub(super) fn frontend(resource: &Resource) -> Facts {
    let message: Listener = decode(resource);
    let mut facts = Facts::new();
    let proxies = message.filter_chains.iter().filter_map(tcp_proxy);
    let (mut clusters, mut hashed) = (BTreeSet::new(), false);
    for proxy in proxies {
        if let Some(ClusterSpecifier::Cluster(cluster)) = proxy.cluster_specifier {
            clusters.insert(cluster);
        }
        hashed |= !proxy.hash_policy.is_empty();
    }
    for filter in &message.listener_filters {
        let Some(listener_filter::ConfigType::TypedConfig(config)) = &filter.config_type else {
            continue;
        };
        let Some(udp) = open::<UdpProxyConfig>(config) else {
            facts.insert(Field::KeptSource, "kept".to_owned());
            continue;
        };
        hashed |= !udp.hash_policies.is_empty();
        if udp.use_original_src_ip {
            facts.insert(Field::KeptSource, "kept".to_owned());
        }
        if let Some(idle) = &udp.idle_timeout {
            facts.insert(Field::UdpIdle, time(idle));
        }
        if let Some(RouteSpecifier::Matcher(matcher)) = &udp.route_specifier {
            matched(matcher, &mut clusters);
        }
    }
    if hashed {
        facts.insert(Field::Affinity, "ClientIP".to_owned());
    }
    if !clusters.is_empty() {
        let local = clusters.iter().any(|name| name.contains("~local"));
        let policy = if local { "Local" } else { "Cluster" };
        facts.insert(Field::Policy, policy.to_owned());
    }
    let ranges = ranges(&message.filter_chains);
    if !ranges.is_empty() {
        facts.insert(Field::SourceRanges, ranges);
    }
    facts
}

fn tcp_proxy(chain: &FilterChain) -> Option<TcpProxy> {
    let config = |filter: &Filter| match &filter.config_type {
        Some(filter::ConfigType::TypedConfig(config)) => open::<TcpProxy>(config),
        _ => None,
    };
    chain.filters.iter().find_map(config)
}

/// The ranges whose clients may connect, where not all may.
fn ranges(chains: &[FilterChain]) -> String {
    let matches = chains.iter().filter_map(|c| c.filter_chain_match.as_ref());
    let ranges = matches.flat_map(|m| &m.source_prefix_ranges);
    let ranges = ranges.map(|range| {
        let length = range.prefix_len.map_or(0, |length| length.value);
        format!("{}/{length}", range.address_prefix)
    });
    let ranges: BTreeSet<String> = ranges.collect();
    ranges.into_iter().collect::<Vec<_>>().join(", ")
}

/// The clusters to which a matcher leads.
fn matched(matcher: &Matcher, clusters: &mut BTreeSet<String>) {
    let mut note = |found: &OnMatch| {
        if let Some(on_match::OnMatch::Action(action)) = &found.on_match
            && let Some(route) = action.typed_config.as_ref().and_then(open::<UdpRoute>)
        {
            clusters.insert(route.cluster);
        }
    };
    if let Some(otherwise) = &matcher.on_no_match {
        note(otherwise);
    }
    if let Some(MatcherType::MatcherList(list)) = &matcher.matcher_type {
        let found = list.matchers.iter().filter_map(|one| one.on_match.as_ref());
        found.for_each(note);
    }
}
