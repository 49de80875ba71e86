//! The HTTP listener of mesh proxies. It finds a Service by the first two labels of the host that a
//! request asks for, so a Service that comes or goes changes neither the listener nor the routes of
//! any other.
//!
//! Envoy compares these labels letter by letter. A request that is in no scope meets a filter that
//! has the scope looked up once more in lower case; the routes of a Service disable it, so a
//! request for a name in lower case never does.
//!
//! Proxies that cannot take scopes have the routes of all Services as one route configuration.

use std::net::SocketAddr;
use std::sync::Arc;

use seaway_proto::envoy::http_connection_manager::http_connection_manager::{
    CodecType, RouteSpecifier, ServerHeaderTransformation, UpgradeConfig,
};
use seaway_proto::envoy::http_connection_manager::{
    HttpConnectionManager, Rds, http_filter::ConfigType,
};
use seaway_proto::envoy::listener::{FilterChain, Listener};
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::listener::{http_filter, router};
use super::{lookup, scoped};
use crate::envoy::listener::network_filter;
use crate::envoy::{ads, seconds, tcp_socket};

/// The name of the filter that looks for hosts in lower case.
pub(crate) const LOOKUP: &str = "hosts";
/// Its script.
const SCRIPT: &str = include_str!("mesh.lua");

/// The form in which a mesh proxy takes routes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Routes<'a> {
    /// Some for each Service.
    Scopes,
    /// One route configuration of this name.
    Table(&'a Arc<str>),
}

/// The listener at this address.
pub(crate) fn listener(address: SocketAddr, routes: &Routes<'_>) -> Resource {
    let label = |index| scoped::header(":authority", ".", index);
    let (specifier, lookup, table) = match routes {
        // The Service, and its namespace with the port, if one is given.
        Routes::Scopes => {
            let scopes = scoped::routes([label(0), label(1)]);
            let lookup = any(&lookup::filter(Some(SCRIPT.to_owned())));
            let lookup = http_filter(LOOKUP, ConfigType::TypedConfig(lookup));
            (RouteSpecifier::ScopedRoutes(scopes), Some(lookup), None)
        }
        Routes::Table(name) => {
            let rds = Rds {
                config_source: Some(ads()),
                route_config_name: name.to_string(),
            };
            let table = ResourceRef {
                type_url: TypeUrl::ROUTE,
                name: Arc::clone(name),
            };
            (RouteSpecifier::Rds(rds), None, Some(table))
        }
    };
    let manager = HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: "mesh".to_owned(),
        route_specifier: Some(specifier),
        http_filters: lookup.into_iter().chain([router()]).collect(),
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..Default::default()
        }],
        // A name with a final dot is the same name.
        strip_trailing_host_dot: true,
        // What a backend answers is its own: no idle limit on a stream (a watch may be silent for
        // long), no foreign server name.
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
    let name = message.name.clone();
    Resource::new(
        TypeUrl::LISTENER,
        name,
        &message,
        table.into_iter().collect(),
    )
}
