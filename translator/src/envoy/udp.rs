//! UDP listeners: a bound `udp_proxy` per frontend (Service rule 104).
//!
//! A session is a client's address and port on the listener. It keeps its endpoint until that leaves the assignment, which ends the
//! session: the next datagram of the same client begins another one elsewhere (Service rule 105). While there is no endpoint no
//! session begins, so that a flow heals by itself.

use seaway_proto::envoy::core::socket_address::{PortSpecifier, Protocol};
use seaway_proto::envoy::core::{Address, SocketAddress, UdpSocketConfig, address};
use seaway_proto::envoy::ip_matcher::Ip;
use seaway_proto::envoy::listener::listener_filter::ConfigType;
use seaway_proto::envoy::listener::{Listener, ListenerFilter, UdpListenerConfig};
use seaway_proto::envoy::network_inputs::DestinationIpInput;
use seaway_proto::envoy::udp_proxy::udp_proxy_config::RouteSpecifier;
use seaway_proto::envoy::udp_proxy::{Route, UdpProxyConfig};
use seaway_proto::google::protobuf::{Any, BoolValue, UInt64Value};
use seaway_proto::xds::core::TypedExtensionConfig;
use seaway_proto::xds::matcher::Matcher;
use seaway_proto::xds::matcher::matcher::matcher_list::predicate::single_predicate::Matcher as With;
use seaway_proto::xds::matcher::matcher::matcher_list::predicate::{MatchType, SinglePredicate};
use seaway_proto::xds::matcher::matcher::matcher_list::{FieldMatcher, Predicate};
use seaway_proto::xds::matcher::matcher::{MatcherList, MatcherType, OnMatch, on_match};
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::{cidr, seconds};
use crate::IpNet;
use crate::names::{ClusterName, FrontendName};

/// How long a flow may be silent: as long as the kernel remembers one that was answered, for kube-proxy (120 s).
const IDLE_SECONDS: i64 = 120;

/// The largest datagram there is. Envoy's default of 1500 bytes would cut answers that kube-proxy passes in fragments.
const LARGEST_DATAGRAM: u64 = 65_535;

/// A bound listener that forwards datagrams to a cluster, except those sent to a `refused` range, which it drops.
pub(crate) fn listener(name: &FrontendName, cluster: &ClusterName, refused: &[IpNet]) -> Resource {
    let proxy = UdpProxyConfig {
        stat_prefix: cluster.stat_name(),
        route_specifier: Some(RouteSpecifier::Matcher(matcher(cluster, refused))),
        idle_timeout: Some(seconds(IDLE_SECONDS)),
        upstream_socket_config: Some(datagrams()),
        ..Default::default()
    };
    let message = Listener {
        name: name.to_string(),
        address: Some(socket(name)),
        // The node routes Service addresses to itself; none of its interfaces has them.
        freebind: Some(BoolValue { value: true }),
        udp_listener_config: Some(UdpListenerConfig {
            downstream_socket_config: Some(datagrams()),
            ..Default::default()
        }),
        listener_filters: vec![ListenerFilter {
            name: "envoy.filters.udp_listener.udp_proxy".to_owned(),
            config_type: Some(ConfigType::TypedConfig(any(&proxy))),
            ..Default::default()
        }],
        ..Default::default()
    };
    let cluster = ResourceRef {
        type_url: TypeUrl::CLUSTER,
        name: cluster.to_string().into(),
    };
    Resource::new(
        TypeUrl::LISTENER,
        message.name.clone(),
        &message,
        vec![cluster],
    )
}

/// Where datagrams go. UDP listeners have no filter chains; this is what they have instead. A datagram without a route is dropped.
/// Envoy calls the matcher a work in progress and the plain `cluster` deprecated; it warns of both, and only the former can choose.
fn matcher(cluster: &ClusterName, refused: &[IpNet]) -> Matcher {
    let serve = OnMatch {
        on_match: Some(on_match::OnMatch::Action(extension(
            "route",
            any(&Route {
                cluster: cluster.to_string(),
            }),
        ))),
        ..Default::default()
    };
    if refused.is_empty() {
        return Matcher {
            on_no_match: Some(Box::new(serve)),
            ..Default::default()
        };
    }
    let sent_to = Predicate {
        match_type: Some(MatchType::SinglePredicate(SinglePredicate {
            input: Some(extension(
                "destination",
                any(&DestinationIpInput::default()),
            )),
            matcher: Some(With::CustomMatch(extension("ranges", ranges(refused)))),
        })),
    };
    let elsewhere = Predicate {
        match_type: Some(MatchType::NotMatcher(Box::new(sent_to))),
    };
    let list = MatcherList {
        matchers: vec![FieldMatcher {
            predicate: Some(elsewhere),
            on_match: Some(serve),
        }],
    };
    Matcher {
        matcher_type: Some(MatcherType::MatcherList(list)),
        ..Default::default()
    }
}

fn ranges(ranges: &[IpNet]) -> Any {
    any(&Ip {
        cidr_ranges: ranges.iter().map(cidr).collect(),
        stat_prefix: "refused".to_owned(),
    })
}

fn extension(name: &str, config: Any) -> TypedExtensionConfig {
    TypedExtensionConfig {
        name: name.to_owned(),
        typed_config: Some(config),
    }
}

fn datagrams() -> UdpSocketConfig {
    UdpSocketConfig {
        max_rx_datagram_size: Some(UInt64Value {
            value: LARGEST_DATAGRAM,
        }),
        ..Default::default()
    }
}

fn socket(name: &FrontendName) -> Address {
    let socket = SocketAddress {
        protocol: Protocol::Udp as i32,
        address: name.address.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(name.address.port().into())),
        ..Default::default()
    };
    Address {
        address: Some(address::Address::SocketAddress(socket)),
    }
}
