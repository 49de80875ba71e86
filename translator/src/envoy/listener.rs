//! Listeners: a TCP or UDP listener per frontend, and the redirect listener.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use seaway_proto::envoy::core::socket_address::Protocol;
use seaway_proto::envoy::listener::filter_chain_match::ConnectionSourceType;
use seaway_proto::envoy::listener::{Filter, FilterChain, FilterChainMatch, Listener, filter};
use seaway_proto::envoy::tcp_proxy::TcpProxy;
use seaway_proto::envoy::tcp_proxy::tcp_proxy::ClusterSpecifier;
use seaway_proto::google::protobuf::{Any, BoolValue};
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::cluster::CONNECT_ATTEMPTS;
use super::http::mesh;
use super::{affinity, cidr, client_ip, filter_state, listening, number, seconds, udp};
use crate::names::ClusterName;
use crate::plan::listeners::{ListenerPlan, Route, Transport};
use crate::plan::{ListenOn, Source};

/// The idle timeout of TCP connections: as long as kube-proxy has conntrack remember one, where
/// Envoy's own default is an hour.
const IDLE_SECONDS: i64 = 24 * 60 * 60;

/// The listener of a frontend, for TCP or UDP.
pub(crate) fn frontend(plan: &ListenerPlan) -> Resource {
    match &plan.transport {
        Transport::Tcp { bound } => tcp(plan, *bound),
        Transport::Udp { idle, cluster } => udp::listener(plan, *idle, cluster),
    }
}

/// The TCP listener of a frontend: it routes connections by source address, and closes those to a
/// refused range and those that no route matches. If it is not `bound`, it gets connections from
/// the redirect listener.
fn tcp(plan: &ListenerPlan, bound: bool) -> Resource {
    let (routes, refused) = (&plan.routes, &plan.refused);
    let mut chains = Vec::with_capacity(routes.len() + 1);
    if !refused.is_empty() {
        let ranges = FilterChainMatch {
            prefix_ranges: refused.iter().map(cidr).collect(),
            ..Default::default()
        };
        chains.push(refuse(Some(ranges)));
    }
    chains.extend(routes.iter().map(serve));
    if routes.is_empty() {
        chains.push(refuse(None));
    }
    let message = taking(plan, bound, chains);
    let refs = clusters(routes);
    Resource::new(TypeUrl::LISTENER, message.name.clone(), &message, refs)
}

/// The TCP listener of a frontend at mesh proxies where routes of this name decide on the requests
/// that come there.
pub(crate) fn routed(plan: &ListenerPlan, routes: &Arc<str>) -> Resource {
    let bound = matches!(plan.transport, Transport::Tcp { bound: true });
    let stat_prefix = routes.replace(['/', '.'], "_");
    let chain = mesh::at_address(&stat_prefix, routes);
    let message = taking(plan, bound, vec![chain]);
    let refs = vec![ResourceRef {
        type_url: TypeUrl::ROUTE,
        name: routes.clone(),
    }];
    Resource::new(TypeUrl::LISTENER, message.name.clone(), &message, refs)
}

/// The TCP listener of a frontend with these filter chains.
fn taking(plan: &ListenerPlan, bound: bool, chains: Vec<FilterChain>) -> Listener {
    Listener {
        name: plan.name.to_string(),
        address: Some(listening(&plan.listen_on, Protocol::Tcp)),
        // Service addresses are routed to where it listens; no interface there has them.
        freebind: bound.then_some(BoolValue { value: true }),
        bind_to_port: (!bound).then_some(BoolValue { value: false }),
        listener_filters: plan.client_ip.map(client_ip::filter).into_iter().collect(),
        traffic_direction: if bound { super::DRAINED } else { 0 },
        filter_chains: chains,
        ..Default::default()
    }
}

/// References to the clusters of these routes.
pub(super) fn clusters(routes: &[Route]) -> Vec<ResourceRef> {
    let clusters: BTreeSet<&ClusterName> = routes.iter().map(|route| &route.cluster).collect();
    let refer = |cluster: &ClusterName| ResourceRef {
        type_url: TypeUrl::CLUSTER,
        name: cluster.to_string().into(),
    };
    clusters.into_iter().map(refer).collect()
}

/// The filter chain of a route.
fn serve(route: &Route) -> FilterChain {
    let matches = match &route.source {
        Source::Anybody => None,
        Source::SameHost => Some(FilterChainMatch {
            source_type: ConnectionSourceType::SameIpOrLoopback as i32,
            ..Default::default()
        }),
        Source::Ranges(ranges) => Some(FilterChainMatch {
            source_prefix_ranges: ranges.iter().map(cidr).collect(),
            ..Default::default()
        }),
    };
    let hashed = route.affinity.as_ref();
    let note = hashed.and_then(|hashed| affinity::note(hashed, route.cluster.family));
    let proxy = TcpProxy {
        stat_prefix: route.cluster.stat_name(),
        cluster_specifier: Some(ClusterSpecifier::Cluster(route.cluster.to_string())),
        idle_timeout: Some(seconds(IDLE_SECONDS)),
        max_connect_attempts: Some(number(CONNECT_ATTEMPTS)),
        hash_policy: hashed.map(affinity::hash_policy).into_iter().collect(),
        ..Default::default()
    };
    let note = note.map(filter_state::filter);
    let proxy = network_filter("envoy.filters.network.tcp_proxy", any(&proxy));
    FilterChain {
        name: chain_name(route).to_owned(),
        filter_chain_match: matches,
        filters: note.into_iter().chain([proxy]).collect(),
        ..Default::default()
    }
}

/// The name of a route's filter chain: the set of endpoints to which it leads.
fn chain_name(route: &Route) -> &'static str {
    match &route.source {
        Source::Anybody => "serve",
        Source::SameHost => "serve-node",
        Source::Ranges(_) if route.cluster.local => "serve-local",
        Source::Ranges(_) => "serve-cluster",
    }
}

/// A filter chain without filters: Envoy accepts and closes.
pub(super) fn refuse(matches: Option<FilterChainMatch>) -> FilterChain {
    FilterChain {
        name: "refuse".to_owned(),
        filter_chain_match: matches,
        ..Default::default()
    }
}

/// The redirect listener: it hands connections over to listeners that are not bound, by their
/// original destination, and closes those without one.
pub(crate) fn redirect(address: SocketAddr, listen_on: &ListenOn) -> Resource {
    let message = Listener {
        name: format!("redirect@{address}"),
        address: Some(listening(listen_on, Protocol::Tcp)),
        use_original_dst: Some(BoolValue { value: true }),
        traffic_direction: super::DRAINED,
        filter_chains: vec![refuse(None)],
        ..Default::default()
    };
    Resource::new(
        TypeUrl::LISTENER,
        message.name.clone(),
        &message,
        Vec::new(),
    )
}

/// A network filter with this name and configuration.
pub(super) fn network_filter(name: &str, config: Any) -> Filter {
    Filter {
        name: name.to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(config)),
    }
}
