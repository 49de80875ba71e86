//! UDP listeners: a bound `udp_proxy` per frontend (Service rule 104).
//!
//! A session is a client's address and port on the listener. It keeps its endpoint until that
//! leaves the assignment, which is not before it serves no more (`envoy/assignment.rs`) and ends
//! the session: the next datagram of the same client begins another one elsewhere (Service rule
//! 105). While there is no endpoint no session begins, so that a flow heals by itself.

use std::num::NonZeroU32;

use seaway_proto::envoy::core::socket_address::Protocol;
use seaway_proto::envoy::core::socket_option::{SocketState, Value};
use seaway_proto::envoy::core::{SocketOption, UdpSocketConfig};
use seaway_proto::envoy::ip_matcher::Ip;
use seaway_proto::envoy::listener::listener_filter::ConfigType;
use seaway_proto::envoy::listener::{Listener, ListenerFilter, UdpListenerConfig};
use seaway_proto::envoy::network_inputs::{DestinationIpInput, SourceIpInput};
use seaway_proto::envoy::udp_proxy::udp_proxy_config::hash_policy::PolicySpecifier;
use seaway_proto::envoy::udp_proxy::udp_proxy_config::{HashPolicy, RouteSpecifier};
use seaway_proto::envoy::udp_proxy::{Route, UdpProxyConfig};
use seaway_proto::google::protobuf::{Any, BoolValue, UInt64Value};
use seaway_proto::xds::core::TypedExtensionConfig;
use seaway_proto::xds::matcher::Matcher;
use seaway_proto::xds::matcher::matcher::matcher_list::predicate::single_predicate::Matcher as With;
use seaway_proto::xds::matcher::matcher::matcher_list::predicate::{
    MatchType, PredicateList, SinglePredicate,
};
use seaway_proto::xds::matcher::matcher::matcher_list::{FieldMatcher, Predicate};
use seaway_proto::xds::matcher::matcher::{MatcherList, MatcherType, OnMatch, on_match};
use seaway_proto::{Resource, TypeUrl, any};

use super::{cidr, listener, listening, milliseconds};
use crate::IpNet;
use crate::model::Family;
use crate::names::{ClusterName, FrontendName};
use crate::plan::Source;
use crate::plan::listeners::{ListenerPlan, Route as FrontendRoute};

/// The largest size of a datagram in bytes. Envoy's default of 1500 bytes would cut answers that
/// kube-proxy passes in fragments.
const LARGEST_DATAGRAM: u64 = 65_535;

// Linux's numbers.
/// The socket level of IPv4 options.
const IPPROTO_IP: i64 = 0;
/// The IPv4 socket option for path MTU discovery.
const IP_MTU_DISCOVER: i64 = 10;
/// The socket level of IPv6 options.
const IPPROTO_IPV6: i64 = 41;
/// The IPv6 socket option for path MTU discovery.
const IPV6_MTU_DISCOVER: i64 = 23;
/// The value of both socket options by which the kernel never sets "do not fragment": nothing
/// larger than a link further on is lost until its size is known.
const PMTUDISC_DONT: i64 = 0;

/// The UDP listener of a frontend: it routes datagrams by source address, and drops those to a
/// refused range and those that no route matches. Source addresses are kept, or not, for all routes
/// alike.
pub(super) fn listener(plan: &ListenerPlan, idle: NonZeroU32, cluster: &ClusterName) -> Resource {
    let ListenerPlan {
        name,
        routes,
        refused,
        ..
    } = plan;
    let proxy = UdpProxyConfig {
        stat_prefix: cluster.stat_name(),
        use_original_src_ip: plan.client_ip.is_some(),
        route_specifier: Some(RouteSpecifier::Matcher(matcher(name, routes, refused))),
        idle_timeout: Some(milliseconds(idle)),
        upstream_socket_config: Some(datagrams()),
        hash_policies: hash_policies(routes),
        ..Default::default()
    };
    let message = Listener {
        name: name.to_string(),
        address: Some(listening(&plan.listen_on, Protocol::Udp)),
        // Service addresses are routed to where it listens; no interface there has them.
        freebind: Some(BoolValue { value: true }),
        socket_options: vec![fragments(Family::of(name.address.ip()))],
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
    let refs = listener::clusters(routes);
    Resource::new(TypeUrl::LISTENER, message.name.clone(), &message, refs)
}

/// The hash policies of a UDP proxy. With affinity a client's flows stay together, for good:
/// nothing but the address can be hashed here.
fn hash_policies(routes: &[FrontendRoute]) -> Vec<HashPolicy> {
    let sticks = routes.iter().any(|route| route.affinity.is_some());
    let policy = || HashPolicy {
        policy_specifier: Some(PolicySpecifier::SourceIp(true)),
    };
    sticks.then(policy).into_iter().collect()
}

/// The matcher that leads each datagram to a cluster; UDP listeners have no filter chains. A
/// datagram without a route is dropped. Envoy calls the matcher a work in progress and the plain
/// `cluster` deprecated; it warns of both, and only the former can choose.
fn matcher(name: &FrontendName, routes: &[FrontendRoute], refused: &[IpNet]) -> Matcher {
    let mut matcher = Matcher::default();
    let mut list = Vec::new();
    for route in routes {
        let elsewhere = (!refused.is_empty()).then(|| {
            let input = any(&DestinationIpInput::default());
            let sent_to = within("destination", input, "refused", refused);
            predicate(MatchType::NotMatcher(Box::new(sent_to)))
        });
        let source = sources(name, &route.source).map(|ranges| {
            let input = any(&SourceIpInput::default());
            within("source", input, "sources", &ranges)
        });
        let conditions: Vec<Predicate> = elsewhere.into_iter().chain(source).collect();
        match all(conditions) {
            None => matcher.on_no_match = Some(Box::new(serve(&route.cluster))),
            Some(predicate) => list.push(FieldMatcher {
                predicate: Some(predicate),
                on_match: Some(serve(&route.cluster)),
            }),
        }
    }
    if !list.is_empty() {
        let list = MatcherList { matchers: list };
        matcher.matcher_type = Some(MatcherType::MatcherList(list));
    }
    matcher
}

/// The ranges in which a source has to be; `None` for any. A matcher cannot ask for a source that
/// is the address sent to; the node's other addresses are known by their ranges.
fn sources(name: &FrontendName, source: &Source) -> Option<Vec<IpNet>> {
    let ip = name.address.ip();
    match source {
        Source::Anybody => None,
        Source::Ranges(ranges) => Some(ranges.clone()),
        Source::SameHost if ip.is_unspecified() => Some(vec![Family::of(ip).loopback()]),
        Source::SameHost => Some(vec![ip.into(), Family::of(ip).loopback()]),
    }
}

fn serve(cluster: &ClusterName) -> OnMatch {
    let route = Route {
        cluster: cluster.to_string(),
    };
    OnMatch {
        on_match: Some(on_match::OnMatch::Action(extension("route", any(&route)))),
        ..Default::default()
    }
}

fn all(mut conditions: Vec<Predicate>) -> Option<Predicate> {
    if conditions.len() > 1 {
        let conditions = PredicateList {
            predicate: conditions,
        };
        return Some(predicate(MatchType::AndMatcher(conditions)));
    }
    conditions.pop()
}

fn within(name: &str, input: Any, stat_prefix: &str, of: &[IpNet]) -> Predicate {
    predicate(MatchType::SinglePredicate(SinglePredicate {
        input: Some(extension(name, input)),
        matcher: Some(With::CustomMatch(extension(
            "ranges",
            ranges(stat_prefix, of),
        ))),
    }))
}

fn predicate(match_type: MatchType) -> Predicate {
    Predicate {
        match_type: Some(match_type),
    }
}

fn ranges(stat_prefix: &str, ranges: &[IpNet]) -> Any {
    any(&Ip {
        cidr_ranges: ranges.iter().map(cidr).collect(),
        stat_prefix: stat_prefix.to_owned(),
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

/// The socket option by which answers larger than a link are sent in fragments. Envoy sets its UDP
/// sockets to refuse them when it binds, so that this has to come after; the option of one family
/// is an error on a socket of the other.
fn fragments(family: Family) -> SocketOption {
    let (level, name) = match family {
        Family::V4 => (IPPROTO_IP, IP_MTU_DISCOVER),
        Family::V6 => (IPPROTO_IPV6, IPV6_MTU_DISCOVER),
    };
    SocketOption {
        description: "fragment".to_owned(),
        level,
        name,
        state: SocketState::StateBound as i32,
        value: Some(Value::IntValue(PMTUDISC_DONT)),
        ..Default::default()
    }
}
