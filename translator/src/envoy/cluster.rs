//! Clusters: one per set of endpoints. Their bytes do not depend on which endpoints there are (xDS
//! rule 100), nor on the proxy.

use std::num::NonZeroU32;
use std::sync::Arc;

use seaway_proto::envoy::cluster::Cluster;
use seaway_proto::envoy::cluster::cluster::common_lb_config::{
    LocalityConfigSpecifier, ZoneAwareLbConfig,
};
use seaway_proto::envoy::cluster::cluster::lb_subset_config::lb_subset_selector::LbSubsetSelectorFallbackPolicy;
use seaway_proto::envoy::cluster::cluster::lb_subset_config::{
    LbSubsetFallbackPolicy, LbSubsetSelector,
};
use seaway_proto::envoy::cluster::cluster::{
    ClusterDiscoveryType, CommonLbConfig, DiscoveryType, DnsLookupFamily, EdsClusterConfig,
    LbPolicy, LbSubsetConfig,
};
use seaway_proto::envoy::core::proxy_protocol_config::Version;
use seaway_proto::envoy::core::transport_socket::ConfigType;
use seaway_proto::envoy::core::{
    Http2ProtocolOptions, Locality, ProxyProtocolConfig, TransportSocket,
};
use seaway_proto::envoy::endpoint::lb_endpoint::HostIdentifier;
use seaway_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use seaway_proto::envoy::raw_buffer::RawBuffer;
use seaway_proto::envoy::types::Percent;
use seaway_proto::envoy::upstream_http::HttpProtocolOptions;
use seaway_proto::envoy::upstream_http::http_protocol_options::explicit_http_config::ProtocolConfig;
use seaway_proto::envoy::upstream_http::http_protocol_options::{
    AutoHttpConfig, ExplicitHttpConfig, UpstreamProtocolOptions,
};
use seaway_proto::envoy::upstream_proxy_protocol::ProxyProtocolUpstreamTransport;
use seaway_proto::google::protobuf::Any;
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::upstream_tls as tls;
use super::{ads, assignment, limits, milliseconds, mtls, number, tcp_address};
use crate::Options;
use crate::model::{AppProtocol, Balance, HashBy, Limits, ProxyProtocol};
use crate::names::{ClusterName, mtls_assignment};
use crate::plan::clusters::ClusterSettings;
use crate::plan::clusters::mtls::Identities;
use crate::plan::external_name::DnsCluster;

/// The connect timeout of endpoints; short, because a dead one is to be noticed (Service rule 95)
/// and costs its client this long.
const CONNECT_TIMEOUT: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);
/// The connect timeout of the addresses of a DNS name, which may be far away.
const FAR_CONNECT_TIMEOUT: NonZeroU32 = NonZeroU32::MIN.saturating_add(4_999);
/// The number of connect attempts for one connection, on other endpoints where there are any.
pub(super) const CONNECT_ATTEMPTS: u32 = 3;
/// The name of the extension with the HTTP protocol options of a cluster.
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// A cluster of type EDS, whose endpoints come from its assignment.
pub(crate) fn eds(
    resource_name: &Arc<str>,
    name: &ClusterName,
    settings: &ClusterSettings,
) -> Resource {
    of_assignment(resource_name, resource_name, message(name, settings))
}

/// The same for mesh proxies that speak mTLS to the endpoints, which come from another assignment.
pub(crate) fn eds_by_mtls(
    resource_name: &Arc<str>,
    name: &ClusterName,
    settings: &ClusterSettings,
    identities: &Identities,
) -> Resource {
    let message = Cluster {
        transport_socket: Some(mtls::upstream(identities)),
        ..message(name, settings)
    };
    let assignment: Arc<str> = mtls_assignment(resource_name).into();
    of_assignment(resource_name, &assignment, message)
}

/// A cluster with these settings.
fn message(name: &ClusterName, settings: &ClusterSettings) -> Cluster {
    let connect_timeout = settings.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    let socket = name.tls.then(|| tls::unverified(settings.app_protocol));
    let mut message = Cluster {
        transport_socket: match settings.proxy_protocol {
            None => socket,
            Some(version) => Some(proxy_protocol(version, socket.unwrap_or_else(plain))),
        },
        outlier_detection: limits::outlier_detection(settings.outlier_detection, settings.ejection),
        circuit_breakers: Some(limits::breakers(settings.limits)),
        lb_policy: lb_policy(&settings.balance) as i32,
        lb_subset_config: settings.pods.then(by_pod),
        ..common(name, settings.app_protocol, connect_timeout)
    };
    if name.tls && settings.app_protocol == AppProtocol::Https {
        let protocol = UpstreamProtocolOptions::AutoConfig(AutoHttpConfig {
            http2_protocol_options: Some(Http2ProtocolOptions::default()),
            ..Default::default()
        });
        set_protocol(&mut message, protocol);
    }
    message
}

/// The same for gRPC clients, which refuse Maglev and every transport socket but one for TLS (xDS
/// rules 185, 194), and know no connect failures but their own.
pub(crate) fn eds_for_grpc(
    resource_name: &Arc<str>,
    name: &ClusterName,
    settings: &ClusterSettings,
) -> Resource {
    // What else there is, not every gRPC client knows, and none has cookies.
    let lb_policy = match settings.balance {
        Balance::Hash(HashBy::Source | HashBy::Header(_)) => LbPolicy::RingHash,
        _ => LbPolicy::RoundRobin,
    };
    let message = Cluster {
        lb_policy: lb_policy as i32,
        circuit_breakers: Some(limits::breakers(settings.limits)),
        ..common(name, AppProtocol::Http1, CONNECT_TIMEOUT)
    };
    of_assignment(resource_name, resource_name, message)
}

/// A cluster of type EDS with these settings and this assignment.
fn of_assignment(name: &Arc<str>, assignment: &Arc<str>, settings: Cluster) -> Resource {
    let is_own = assignment == name;
    let message = Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(ads()),
            service_name: match is_own {
                true => String::new(),
                false => assignment.to_string(),
            },
        }),
        ..settings
    };
    let assignment = ResourceRef {
        type_url: TypeUrl::ENDPOINT,
        name: assignment.clone(),
    };
    Resource::new(TypeUrl::CLUSTER, name.clone(), &message, vec![assignment])
}

/// How Envoy chooses an endpoint. What hashes chooses at random where a connection or a request has
/// nothing to hash.
fn lb_policy(balance: &Balance) -> LbPolicy {
    match balance {
        Balance::RoundRobin => LbPolicy::RoundRobin,
        Balance::LeastRequest => LbPolicy::LeastRequest,
        Balance::Random => LbPolicy::Random,
        Balance::Hash(HashBy::Source) => LbPolicy::Maglev,
        // Its table has a sixtieth of the places, and is made anew with every change of endpoints.
        Balance::Hash(HashBy::Header(_) | HashBy::Cookie(_)) => LbPolicy::RingHash,
    }
}

/// A cluster that resolves a DNS name, whose addresses are all endpoints (Service rules 121, 123).
#[expect(
    deprecated,
    reason = "the DNS cluster extension that replaces respect_dns_ttl is younger than the oldest Envoy supported"
)]
pub(crate) fn dns(cluster: &DnsCluster, options: &Options) -> Resource {
    let DnsCluster {
        name,
        protocol,
        host,
        layer: _,
    } = cluster;
    let message = Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::StrictDns as i32)),
        // AUTO would prefer IPv6 and fail where only the name server speaks it.
        dns_lookup_family: DnsLookupFamily::V4Preferred as i32,
        respect_dns_ttl: true,
        transport_socket: matches!(protocol, AppProtocol::Https | AppProtocol::Wss)
            .then(|| tls::verified(host, options)),
        load_assignment: Some(dns_name(cluster, LocalityLbEndpoints::default())),
        ..common(name, *protocol, FAR_CONNECT_TIMEOUT)
    };
    let name: Arc<str> = name.to_string().into();
    Resource::new(TypeUrl::CLUSTER, name, &message, Vec::new())
}

/// The same for gRPC clients, which resolve the name themselves and take a cluster of type
/// LOGICAL_DNS with one endpoint (xDS rule 184). TLS is for a channel to bring (xDS rule 194).
pub(crate) fn dns_for_grpc(cluster: &DnsCluster) -> Resource {
    let locality = LocalityLbEndpoints {
        locality: Some(Locality::default()),
        load_balancing_weight: Some(number(1)),
        ..Default::default()
    };
    let message = Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::LogicalDns as i32)),
        load_assignment: Some(dns_name(cluster, locality)),
        ..common(&cluster.name, AppProtocol::Http1, FAR_CONNECT_TIMEOUT)
    };
    let name: Arc<str> = cluster.name.to_string().into();
    Resource::new(TypeUrl::CLUSTER, name, &message, Vec::new())
}

/// The assignment of a DNS name, the only endpoint of this locality.
fn dns_name(cluster: &DnsCluster, locality: LocalityLbEndpoints) -> ClusterLoadAssignment {
    let DnsCluster { name, host, .. } = cluster;
    let endpoint = Endpoint {
        // Absolute, as the target of a CNAME is: the search list of a pod could lead to a Service
        // of any namespace.
        address: Some(tcp_address(format!("{host}."), name.port.number.get())),
        ..Default::default()
    };
    ClusterLoadAssignment {
        cluster_name: name.to_string(),
        endpoints: vec![LocalityLbEndpoints {
            lb_endpoints: vec![LbEndpoint {
                host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
                ..Default::default()
            }],
            ..locality
        }],
        ..Default::default()
    }
}

fn common(name: &ClusterName, protocol: AppProtocol, connect_timeout: NonZeroU32) -> Cluster {
    let mut cluster = Cluster {
        name: name.to_string(),
        alt_stat_name: name.stat_name(),
        connect_timeout: Some(milliseconds(connect_timeout)),
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
        circuit_breakers: Some(limits::breakers(Limits::default())),
        ..Default::default()
    };
    if protocol == AppProtocol::H2c {
        set_protocol(&mut cluster, http2());
    }
    cluster
}

/// Has a cluster asked in other protocols than HTTP/1.1. A TCP proxy does not look at it, so one
/// cluster serves both.
fn set_protocol(cluster: &mut Cluster, protocol: UpstreamProtocolOptions) {
    let options = any(&HttpProtocolOptions {
        upstream_protocol_options: Some(protocol),
        ..Default::default()
    });
    let all = &mut cluster.typed_extension_protocol_options;
    all.insert(HTTP_OPTIONS.to_owned(), options);
}

/// The choice of an endpoint by the name of its pod, where a request asks for one; nothing else may
/// be chosen then.
fn by_pod() -> LbSubsetConfig {
    let by_name = LbSubsetSelector {
        keys: vec![assignment::HOSTNAME.to_owned()],
        fallback_policy: LbSubsetSelectorFallbackPolicy::NoFallback as i32,
        ..Default::default()
    };
    LbSubsetConfig {
        fallback_policy: LbSubsetFallbackPolicy::AnyEndpoint as i32,
        subset_selectors: vec![by_name],
        ..Default::default()
    }
}

/// The transport socket of connections that begin with a PROXY protocol header, and go on as the
/// inner one has them (Service rule 115).
fn proxy_protocol(version: ProxyProtocol, inner: TransportSocket) -> TransportSocket {
    let version = match version {
        ProxyProtocol::V1 => Version::V1,
        ProxyProtocol::V2 => Version::V2,
    };
    let config = ProxyProtocolUpstreamTransport {
        config: Some(ProxyProtocolConfig {
            version: version as i32,
            ..Default::default()
        }),
        transport_socket: Some(inner),
        ..Default::default()
    };
    transport_socket(
        "envoy.transport_sockets.upstream_proxy_protocol",
        any(&config),
    )
}

/// The transport socket of plain connections.
fn plain() -> TransportSocket {
    let config = any(&RawBuffer::default());
    transport_socket("envoy.transport_sockets.raw_buffer", config)
}

pub(super) fn transport_socket(name: &str, config: Any) -> TransportSocket {
    TransportSocket {
        name: name.to_owned(),
        config_type: Some(ConfigType::TypedConfig(config)),
    }
}

/// HTTP/2 with prior knowledge.
fn http2() -> UpstreamProtocolOptions {
    let config = ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default());
    UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
        protocol_config: Some(config),
    })
}
