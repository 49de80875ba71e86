//! Listeners: a bound TCP listener per frontend, and the one HTTP listener of a mesh proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use seaway_proto::envoy::http_connection_manager::http_connection_manager::{
    CodecType, RouteSpecifier, ServerHeaderTransformation, UpgradeConfig,
};
use seaway_proto::envoy::http_connection_manager::{
    HttpConnectionManager, HttpFilter, Rds, http_filter,
};
use seaway_proto::envoy::listener::{Filter, FilterChain, FilterChainMatch, Listener, filter};
use seaway_proto::envoy::router::Router;
use seaway_proto::envoy::tcp_proxy::TcpProxy;
use seaway_proto::envoy::tcp_proxy::tcp_proxy::ClusterSpecifier;
use seaway_proto::google::protobuf::{Any, BoolValue};
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::{ads, cidr, seconds, tcp_socket};
use crate::IpNet;
use crate::names::{ClusterName, FrontendName};

/// How long a connection may be silent: as long as kube-proxy has conntrack remember it, where Envoy's own default is an hour.
const IDLE_SECONDS: i64 = 24 * 60 * 60;

/// A bound listener that forwards connections to a cluster, except those sent to a `refused` range, which it closes.
pub(crate) fn tcp(name: &FrontendName, cluster: &ClusterName, refused: &[IpNet]) -> Resource {
    let proxy = TcpProxy {
        stat_prefix: cluster.stat_name(),
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_string())),
        idle_timeout: Some(seconds(IDLE_SECONDS)),
        ..Default::default()
    };
    let serve = FilterChain {
        name: "serve".to_owned(),
        filters: vec![network_filter(
            "envoy.filters.network.tcp_proxy",
            any(&proxy),
        )],
        ..Default::default()
    };
    let refuse = (!refused.is_empty()).then(|| refuse(refused));
    let message = Listener {
        name: name.to_string(),
        address: Some(tcp_socket(name.address)),
        // The node routes Service addresses to itself; none of its interfaces has them.
        freebind: Some(BoolValue { value: true }),
        filter_chains: refuse.into_iter().chain([serve]).collect(),
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

/// A filter chain without filters: Envoy accepts and closes.
fn refuse(ranges: &[IpNet]) -> FilterChain {
    FilterChain {
        name: "refuse".to_owned(),
        filter_chain_match: Some(FilterChainMatch {
            prefix_ranges: ranges.iter().map(cidr).collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The listener of a mesh proxy: plain HTTP, routed by a route configuration of its own, so that a new Service never changes the
/// listener (xDS rule 170).
pub(crate) fn http(address: SocketAddr, route: &Arc<str>) -> Resource {
    let manager = HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: "mesh".to_owned(),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads()),
            route_config_name: route.to_string(),
        })),
        http_filters: vec![HttpFilter {
            name: "envoy.filters.http.router".to_owned(),
            config_type: Some(http_filter::ConfigType::TypedConfig(
                any(&Router::default()),
            )),
            ..Default::default()
        }],
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..Default::default()
        }],
        // What a backend answers is its own: no idle limit on a stream (a watch may be silent for long), no foreign server name.
        stream_idle_timeout: Some(seconds(0)),
        server_header_transformation: ServerHeaderTransformation::PassThrough as i32,
        ..Default::default()
    };
    let message = Listener {
        name: format!("http@{address}"),
        address: Some(tcp_socket(address)),
        filter_chains: vec![FilterChain {
            filters: vec![network_filter(
                "envoy.filters.network.http_connection_manager",
                any(&manager),
            )],
            ..Default::default()
        }],
        ..Default::default()
    };
    let route = ResourceRef {
        type_url: TypeUrl::ROUTE,
        name: route.clone(),
    };
    Resource::new(
        TypeUrl::LISTENER,
        message.name.clone(),
        &message,
        vec![route],
    )
}

fn network_filter(name: &str, config: Any) -> Filter {
    Filter {
        name: name.to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(config)),
    }
}
