//! The internal listener that connects to endpoints from its clients' own addresses, the cluster that leads there, and what is noted of
//! a connection on its way: whose it is, and to which cluster it goes.

use seaway_proto::envoy::cluster::Cluster;
use seaway_proto::envoy::cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
use seaway_proto::envoy::core::envoy_internal_address::AddressNameSpecifier;
use seaway_proto::envoy::core::{Address, EnvoyInternalAddress, address};
use seaway_proto::envoy::endpoint::lb_endpoint::HostIdentifier;
use seaway_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use seaway_proto::envoy::internal_upstream::InternalUpstreamTransport;
use seaway_proto::envoy::listener::listener::{InternalListenerConfig, ListenerSpecifier};
use seaway_proto::envoy::listener::listener_filter::ConfigType;
use seaway_proto::envoy::listener::{FilterChain, Listener, ListenerFilter};
use seaway_proto::envoy::original_dst::OriginalDst;
use seaway_proto::envoy::original_src::OriginalSrc;
use seaway_proto::envoy::tcp_proxy::TcpProxy;
use seaway_proto::envoy::tcp_proxy::tcp_proxy::ClusterSpecifier;
use seaway_proto::envoy::types::HashPolicy;
use seaway_proto::google::protobuf::Any;
use seaway_proto::{Resource, TypeUrl, any};

use super::cluster::{CONNECT_ATTEMPTS, plain, transport_socket, unlimited};
use super::filter_state::{self, Note};
use super::listener::network_filter;
use super::{affinity, number, seconds};
use crate::names::ClusterName;

/// The name of the listener and of the cluster.
pub(crate) const NAME: &str = "keep-source";
/// Where the listener filter finds the client's address.
const CLIENT: &str = "envoy.filters.listener.original_dst.remote_ip";
/// Where the name of the cluster travels. Under the key that a TCP proxy reads, the one that is to hand over would take it for itself.
const CLUSTER: &str = "seaway.cluster";
/// Where a TCP proxy finds the cluster to use.
const TCP_PROXY_CLUSTER: &str = "envoy.tcp_proxy.cluster";

/// What is noted of a connection that is handed over.
pub(super) fn notes(cluster: &ClusterName) -> [Note; 2] {
    [
        Note::new(CLIENT, "%DOWNSTREAM_REMOTE_ADDRESS%".to_owned()).passed_on(),
        Note::text(CLUSTER, cluster.to_string()).passed_on(),
    ]
}

/// The internal listener. The filter of the original destination is what takes over addresses from notes.
pub(crate) fn listener() -> Resource {
    let cluster = Note::new(
        TCP_PROXY_CLUSTER,
        format!("%FILTER_STATE({CLUSTER}:PLAIN)%"),
    );
    let proxy = TcpProxy {
        stat_prefix: NAME.to_owned(),
        // There is none of this name; every connection brings its own.
        cluster_specifier: Some(ClusterSpecifier::Cluster("none".to_owned())),
        // Whoever handed the connection over ends it when it is silent for too long.
        idle_timeout: Some(seconds(0)),
        max_connect_attempts: Some(number(CONNECT_ATTEMPTS)),
        hash_policy: vec![HashPolicy {
            policy_specifier: Some(affinity::noted()),
        }],
        ..Default::default()
    };
    let message = Listener {
        name: NAME.to_owned(),
        listener_specifier: Some(ListenerSpecifier::InternalListener(
            InternalListenerConfig {},
        )),
        listener_filters: vec![
            listener_filter(
                "envoy.filters.listener.original_dst",
                any(&OriginalDst::default()),
            ),
            listener_filter(
                "envoy.filters.listener.original_src",
                any(&OriginalSrc::default()),
            ),
        ],
        filter_chains: vec![FilterChain {
            filters: vec![
                filter_state::filter(vec![cluster]),
                network_filter("envoy.filters.network.tcp_proxy", any(&proxy)),
            ],
            ..Default::default()
        }],
        ..Default::default()
    };
    Resource::new(TypeUrl::LISTENER, NAME, &message, Vec::new())
}

fn listener_filter(name: &str, config: Any) -> ListenerFilter {
    ListenerFilter {
        name: name.to_owned(),
        config_type: Some(ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

/// The cluster that leads to the internal listener.
pub(crate) fn cluster() -> Resource {
    let internal = EnvoyInternalAddress {
        address_name_specifier: Some(AddressNameSpecifier::ServerListenerName(NAME.to_owned())),
        ..Default::default()
    };
    let endpoint = Endpoint {
        address: Some(Address {
            address: Some(address::Address::EnvoyInternalAddress(internal)),
        }),
        ..Default::default()
    };
    let endpoints = LocalityLbEndpoints {
        lb_endpoints: vec![LbEndpoint {
            host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let transport = InternalUpstreamTransport {
        transport_socket: Some(plain()),
        ..Default::default()
    };
    let message = Cluster {
        name: NAME.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32)),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: NAME.to_owned(),
            endpoints: vec![endpoints],
            ..Default::default()
        }),
        circuit_breakers: Some(unlimited()),
        transport_socket: Some(transport_socket(
            "envoy.transport_sockets.internal_upstream",
            any(&transport),
        )),
        ..Default::default()
    };
    Resource::new(TypeUrl::CLUSTER, NAME, &message, Vec::new())
}
