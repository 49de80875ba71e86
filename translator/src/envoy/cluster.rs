//! Clusters: one per set of endpoints. Nothing in one depends on which endpoints there are (xDS rule 100), nor on who looks.

use std::sync::Arc;

use seaway_proto::envoy::cluster::circuit_breakers::Thresholds;
use seaway_proto::envoy::cluster::cluster::common_lb_config::{
    LocalityConfigSpecifier, ZoneAwareLbConfig,
};
use seaway_proto::envoy::cluster::cluster::{
    ClusterDiscoveryType, CommonLbConfig, DiscoveryType, DnsLookupFamily, EdsClusterConfig,
    LbPolicy,
};
use seaway_proto::envoy::cluster::{CircuitBreakers, Cluster};
use seaway_proto::envoy::core::Http2ProtocolOptions;
use seaway_proto::envoy::endpoint::lb_endpoint::HostIdentifier;
use seaway_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use seaway_proto::envoy::types::Percent;
use seaway_proto::envoy::upstream_http::HttpProtocolOptions;
use seaway_proto::envoy::upstream_http::http_protocol_options::explicit_http_config::ProtocolConfig;
use seaway_proto::envoy::upstream_http::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions,
};
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::{ads, number, seconds, tcp_address};
use crate::model::AppProtocol;
use crate::names::ClusterName;

/// How long Envoy waits for an endpoint to accept; short, because a dead one is to be noticed (Service rule 95).
const CONNECT_TIMEOUT_SECONDS: i64 = 5;
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// A cluster whose endpoints come from its assignment.
pub(crate) fn eds(resource_name: &Arc<str>, name: &ClusterName, protocol: AppProtocol) -> Resource {
    let message = Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(ads()),
            ..Default::default()
        }),
        ..common(name, protocol)
    };
    let assignment = ResourceRef {
        type_url: TypeUrl::ENDPOINT,
        name: resource_name.clone(),
    };
    Resource::new(
        TypeUrl::CLUSTER,
        resource_name.clone(),
        &message,
        vec![assignment],
    )
}

/// A cluster whose endpoints are all addresses of a DNS name (Service rules 121, 123).
#[expect(
    deprecated,
    reason = "the DNS cluster extension that replaces respect_dns_ttl is younger than the oldest Envoy supported"
)]
pub(crate) fn dns(
    resource_name: &Arc<str>,
    name: &ClusterName,
    protocol: AppProtocol,
    host: &str,
) -> Resource {
    let endpoint = Endpoint {
        address: Some(tcp_address(host.to_owned(), name.port.number.get())),
        ..Default::default()
    };
    let endpoints = LocalityLbEndpoints {
        lb_endpoints: vec![LbEndpoint {
            host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let message = Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::StrictDns as i32)),
        // AUTO would prefer IPv6 and fail where only the name server speaks it.
        dns_lookup_family: DnsLookupFamily::V4Preferred as i32,
        respect_dns_ttl: true,
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: resource_name.to_string(),
            endpoints: vec![endpoints],
            ..Default::default()
        }),
        ..common(name, protocol)
    };
    Resource::new(
        TypeUrl::CLUSTER,
        resource_name.clone(),
        &message,
        Vec::new(),
    )
}

fn common(name: &ClusterName, protocol: AppProtocol) -> Cluster {
    let mut cluster = Cluster {
        name: name.to_string(),
        alt_stat_name: name.stat_name(),
        connect_timeout: Some(seconds(CONNECT_TIMEOUT_SECONDS)),
        lb_policy: LbPolicy::RoundRobin as i32,
        common_lb_config: Some(CommonLbConfig {
            // The default sends to unhealthy hosts when half of them are (Service rule 81).
            healthy_panic_threshold: Some(Percent { value: 0.0 }),
            // Topology is decided here, not by the proxy (Service rule 87).
            locality_config_specifier: Some(LocalityConfigSpecifier::ZoneAwareLbConfig(
                ZoneAwareLbConfig {
                    routing_enabled: Some(Percent { value: 0.0 }),
                    ..Default::default()
                },
            )),
            ..Default::default()
        }),
        circuit_breakers: Some(unlimited()),
        ..Default::default()
    };
    if protocol == AppProtocol::H2c {
        let options = any(&http2());
        cluster
            .typed_extension_protocol_options
            .insert(HTTP_OPTIONS.to_owned(), options);
    }
    cluster
}

/// kube-proxy has no such limits; Envoy's default is 1024 of each (Service rule 96).
fn unlimited() -> CircuitBreakers {
    CircuitBreakers {
        thresholds: vec![Thresholds {
            max_connections: Some(number(u32::MAX)),
            max_pending_requests: Some(number(u32::MAX)),
            max_requests: Some(number(u32::MAX)),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// HTTP/2 with prior knowledge. A TCP proxy does not look at it, so one cluster serves both.
fn http2() -> HttpProtocolOptions {
    let config = ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default());
    HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(
            ExplicitHttpConfig {
                protocol_config: Some(config),
            },
        )),
        ..Default::default()
    }
}
