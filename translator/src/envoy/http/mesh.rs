//! The HTTP listener of mesh proxies. It finds a Service by the first two labels of the host that a
//! request asks for, so a Service that comes or goes changes neither the listener nor the routes of
//! any other.
//!
//! Envoy compares these labels letter by letter. A request that is in no scope meets a filter that
//! has one looked up by another name: in lower case, with the proxy's own namespace behind a short
//! name, by the key of an address, or by the Service of a pod. The routes of a Service disable it,
//! so a request for a name as it is usually written never does.
//!
//! Proxies that cannot take scopes have the routes of all Services as one route configuration, and
//! the same filter.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use seaway_proto::envoy::core::Metadata;
use seaway_proto::envoy::http_connection_manager::http_connection_manager::{
    CodecType, RouteSpecifier, ServerHeaderTransformation, UpgradeConfig,
};
use seaway_proto::envoy::http_connection_manager::{
    HttpConnectionManager, HttpFilter, Rds, http_filter::ConfigType,
};
use seaway_proto::envoy::listener::{FilterChain, Listener};
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::listener::{cors, http_filter, router};
use super::{lookup, scoped};
use crate::envoy::listener::network_filter;
use crate::envoy::{ads, seconds, tcp_socket};
use crate::names::is_label;

/// The name of the filter that looks for hosts by another name.
pub(crate) const LOOKUP: &str = "hosts";
/// Its script.
const SCRIPT: &str = include_str!("mesh.lua");

/// The key of the metadata that marks the routes of Services whose pods have names.
const PODS: &str = "pods";

/// The labels by which the scope of a cluster IP is found. No host of a request can have a slash,
/// so they are those of no name.
pub(crate) fn address_key(ip: IpAddr) -> [String; 2] {
    [ip.to_string().replace('.', "-"), "ip/".to_owned()]
}

/// The name under which the filter looks for an address with this end: a port or nothing.
pub(crate) fn address_name(ip: IpAddr, end: &str) -> String {
    format!("{}.{end}", address_key(ip).join("."))
}

/// The metadata of the routes of Services whose pods have names.
pub(crate) fn pods() -> Metadata {
    scoped::mark(LOOKUP.to_owned(), PODS)
}

/// The form in which a mesh proxy takes routes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Routes<'a> {
    /// Some for each Service.
    Scopes,
    /// One route configuration of this name.
    Table(&'a Arc<str>),
}

/// The name of the listener at this address.
pub(crate) fn name(address: SocketAddr) -> String {
    format!("http@{address}")
}

/// The listener at this address, of proxies in this namespace.
pub(crate) fn listener(
    address: SocketAddr,
    routes: &Routes<'_>,
    namespace: Option<&str>,
) -> Resource {
    let label = |index| scoped::header(":authority", ".", index);
    let (specifier, table) = match routes {
        // The Service, and its namespace with the port, if one is given.
        Routes::Scopes => {
            let scopes = scoped::routes([label(0), label(1)]);
            (RouteSpecifier::ScopedRoutes(scopes), None)
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
            (RouteSpecifier::Rds(rds), Some(table))
        }
    };
    let lookup = any(&lookup::filter(Some(script(namespace))));
    let lookup = http_filter(LOOKUP, ConfigType::TypedConfig(lookup));
    let manager = HttpConnectionManager {
        // A name with a final dot is the same name.
        strip_trailing_host_dot: true,
        ..manager("mesh", specifier, vec![lookup, cors(), router()])
    };
    let message = Listener {
        name: name(address),
        address: Some(tcp_socket(address)),
        filter_chains: vec![chain(&manager)],
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

/// The filter chain of a Service's address where routes decide on its requests: these, whatever
/// Host they ask for (Gateway rule 118).
pub(crate) fn at_address(stat_prefix: &str, routes: &str) -> FilterChain {
    let rds = Rds {
        config_source: Some(ads()),
        route_config_name: routes.to_owned(),
    };
    let specifier = RouteSpecifier::Rds(rds);
    let filters = vec![cors(), router()];
    chain(&manager(stat_prefix, specifier, filters))
}

/// The connection manager of mesh proxies with these filters. What a backend answers is its own: no
/// idle limit on a stream (a watch may be silent for long), no foreign server name.
fn manager(
    stat_prefix: &str,
    routes: RouteSpecifier,
    http_filters: Vec<HttpFilter>,
) -> HttpConnectionManager {
    HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: stat_prefix.to_owned(),
        route_specifier: Some(routes),
        http_filters,
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..Default::default()
        }],
        stream_idle_timeout: Some(seconds(0)),
        server_header_transformation: ServerHeaderTransformation::PassThrough as i32,
        ..Default::default()
    }
}

fn chain(manager: &HttpConnectionManager) -> FilterChain {
    FilterChain {
        filters: vec![network_filter(
            "envoy.filters.network.http_connection_manager",
            any(manager),
        )],
        ..Default::default()
    }
}

/// The script of the filter. A namespace is a label, so nothing in it can end the string.
fn script(namespace: Option<&str>) -> String {
    let namespace = namespace.filter(|namespace| is_label(namespace));
    let namespace = namespace.map_or("nil".to_owned(), |namespace| format!("\"{namespace}\""));
    format!("local NAMESPACE = {namespace}\n\n{SCRIPT}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::assignment::HOSTNAME;

    #[test]
    fn the_script_has_the_keys_of_the_routes_and_the_endpoints_of_pods() {
        for key in [PODS, HOSTNAME] {
            assert!(SCRIPT.contains(&format!("\"{key}\"")), "{key}");
        }
    }
}
