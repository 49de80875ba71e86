//! The listener of a table of hosts. Its bytes depend on the table and the options alone: hosts
//! come and go without it (Gateway rules 107, 108).

use std::iter;
use std::net::{Ipv4Addr, SocketAddr};

use seaway_proto::envoy::core::header_value_option::HeaderAppendAction;
use seaway_proto::envoy::core::{
    ExtensionConfigSource, Http2ProtocolOptions, HttpProtocolOptions, TypedExtensionConfig,
    address, socket_address::Protocol,
};
use seaway_proto::envoy::cors::Cors;
use seaway_proto::envoy::early_header_mutation::HeaderMutation;
use seaway_proto::envoy::http_connection_manager::http_connection_manager::{
    CodecType, PathWithEscapedSlashesAction, RouteSpecifier, ServerHeaderTransformation,
    UpgradeConfig,
};
use seaway_proto::envoy::http_connection_manager::{
    HttpConnectionManager, HttpFilter, ScopedRoutes, http_filter::ConfigType,
};
use seaway_proto::envoy::listener::{FilterChain, Listener};
use seaway_proto::envoy::lua::Lua;
use seaway_proto::envoy::mutation_rules::HeaderMutation as Mutation;
use seaway_proto::envoy::mutation_rules::header_mutation::Action;
use seaway_proto::envoy::router::Router;
use seaway_proto::google::protobuf::BoolValue;
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use prost::Name as _;

use super::header_changes::option;
use super::route_action::STREAM_IDLE;
use super::tls::{on_demand, server_names};
use super::{
    CORS_FILTER, HOST_HEADER, LISTENER_HEADER, TABLE_HEADER, access_log, body, lookup, rate,
    scoped, sources, tls,
};
use crate::Options;
use crate::envoy::listener::network_filter;
use crate::envoy::{DRAINED, ads, listening, number, seconds};
use crate::plan::ListenOn;
use crate::plan::certificates::{ChainPlan, Served};
use crate::plan::host::Table;

/// The name of the listener that takes no connections.
const SUBSCRIBER: &str = "hosts";
/// The most kilobytes that the headers of a request may have.
const HEADERS_KB: u32 = 60;
/// The most headers that a request may have.
const HEADERS: u32 = 100;
/// In so many seconds a client has to have sent all headers of a request.
const HEADERS_SECONDS: i64 = 30;
/// For so many seconds a connection may be without requests.
const IDLE_SECONDS: i64 = 60 * 60;
/// The most requests at a time on one connection of HTTP/2.
const STREAMS: u32 = 128;
/// What an endpoint has sent and a client has not read, in bytes, of one request and of one
/// connection of HTTP/2, before the endpoint has to wait.
const WINDOWS: (u32, u32) = (64 * 1024, 1024 * 1024);
/// The same of any connection.
const BUFFER: u32 = 32 * 1024;

/// The listener of a table, with what serves its names if clients speak TLS. The wildcard address
/// of IPv6 takes connections of both families.
pub(crate) fn listener(table: &Table, options: &Options, served: &Served<'_>) -> Resource {
    let address = SocketAddr::new(options.ingress_listen, table.port);
    let address = ListenOn::of_the_node(address);
    let manager = |shown: Option<String>| {
        network_filter(
            "envoy.filters.network.http_connection_manager",
            any(&manager(table, options, shown)),
        )
    };
    let lookup = ResourceRef {
        type_url: TypeUrl::EXTENSION,
        name: lookup::name(table).into(),
    };
    let refs = iter::once(lookup).chain(tls::references(&served.chains));
    let filter_chains = match table.tls {
        false => vec![FilterChain {
            filters: vec![manager(None)],
            ..Default::default()
        }],
        true => {
            let chain = |plan: &ChainPlan<'_>| {
                tls::chain(plan, || manager(Some(plan.listener.to_string())))
            };
            served.chains.iter().map(chain).collect()
        }
    };
    let mut message = Listener {
        name: format!("{}/{}", scheme(table), table.port),
        address: Some(both_families(&address)),
        traffic_direction: DRAINED,
        per_connection_buffer_limit_bytes: Some(number(BUFFER)),
        listener_filters: table.tls.then(tls::inspector).into_iter().collect(),
        filter_chains,
        ..Default::default()
    };
    if let Some(names) = &served.on_demand {
        let chain = on_demand::chain(manager(Some(on_demand::shown())));
        message.filter_chains.push(chain);
        server_names::lead(&mut message, &served.chains, names);
    }
    let name = message.name.clone();
    Resource::new(TypeUrl::LISTENER, name, &message, refs.collect())
}

/// A listener that takes no connections, by which an Envoy asks for scopes from its start. One
/// before 1.38 asks for none if the first listener that needs them comes later (envoy#43392).
pub(crate) fn subscriber() -> Resource {
    let manager = HttpConnectionManager {
        stat_prefix: SUBSCRIBER.to_owned(),
        route_specifier: Some(RouteSpecifier::ScopedRoutes(scoped_routes())),
        http_filters: vec![router()],
        ..Default::default()
    };
    let manager = network_filter(
        "envoy.filters.network.http_connection_manager",
        any(&manager),
    );
    // No other listener has this address, at which nothing listens.
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1);
    let message = Listener {
        name: SUBSCRIBER.to_owned(),
        address: Some(listening(&ListenOn::of_the_node(address), Protocol::Tcp)),
        bind_to_port: Some(BoolValue { value: false }),
        filter_chains: vec![FilterChain {
            filters: vec![manager],
            ..Default::default()
        }],
        ..Default::default()
    };
    Resource::new(TypeUrl::LISTENER, SUBSCRIBER, &message, Vec::new())
}

/// What the names of listeners and statistics begin with (Gateway rule 107).
fn scheme(table: &Table) -> &'static str {
    match table.tls {
        true => "tls",
        false => "http",
    }
}

/// The address, which takes IPv4 connections, too, if it is the wildcard address of IPv6: Envoy
/// shows them with their IPv4 addresses.
fn both_families(address: &ListenOn) -> seaway_proto::envoy::core::Address {
    let mut message = listening(address, Protocol::Tcp);
    let ip = address.address.ip();
    if let Some(address::Address::SocketAddress(socket)) = &mut message.address {
        socket.ipv4_compat = ip.is_ipv6() && ip.is_unspecified();
    }
    message
}

/// The HTTP connection manager of a table: how requests are read, and how the routes of their hosts
/// are found (Gateway rules 67, 80, 113). `shown` says by which listener's certificate the client
/// has come.
pub(crate) fn manager(
    table: &Table,
    options: &Options,
    shown: Option<String>,
) -> HttpConnectionManager {
    HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: format!("{}/{}", scheme(table), table.port),
        route_specifier: Some(RouteSpecifier::ScopedRoutes(scoped_routes())),
        early_header_mutation_extensions: vec![early_headers(table, shown)],
        http_filters: http_filters(table),
        access_log: options
            .access_log
            .then(access_log::to_stdout)
            .into_iter()
            .collect(),
        use_remote_address: Some(BoolValue { value: true }),
        xff_num_trusted_hops: options.trusted_hops,
        normalize_path: Some(BoolValue { value: true }),
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::KeepUnchanged as i32,
        // A name with a final dot is the same name.
        strip_trailing_host_dot: true,
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..Default::default()
        }],
        // A rule may set the name of the server, and otherwise that of the backend stays.
        server_header_transformation: ServerHeaderTransformation::AppendIfAbsent as i32,
        // How long a request may take is said by its route.
        request_timeout: Some(seconds(0)),
        stream_idle_timeout: Some(seconds((STREAM_IDLE / 1000).into())),
        request_headers_timeout: Some(seconds(HEADERS_SECONDS)),
        max_request_headers_kb: Some(number(HEADERS_KB)),
        common_http_protocol_options: Some(HttpProtocolOptions {
            idle_timeout: Some(seconds(IDLE_SECONDS)),
            max_headers_count: Some(number(HEADERS)),
            ..Default::default()
        }),
        http2_protocol_options: Some(Http2ProtocolOptions {
            max_concurrent_streams: Some(number(STREAMS)),
            initial_stream_window_size: Some(number(WINDOWS.0)),
            initial_connection_window_size: Some(number(WINDOWS.1)),
            // WebSockets over HTTP/2 begin with CONNECT.
            allow_connect: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The scopes of all tables, among which a request's is found by the texts of two headers.
fn scoped_routes() -> ScopedRoutes {
    let whole = |name: &str| scoped::header(name, "", 0);
    scoped::routes([whole(TABLE_HEADER), whole(HOST_HEADER)])
}

/// Sets the headers by which the scope is found, before it is searched, and the one that names the
/// listener, whatever the client has sent under their names.
fn early_headers(table: &Table, shown: Option<String>) -> TypedExtensionConfig {
    let set = |name: &str, value: String| {
        let mut header = option(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd);
        // An empty host takes the client's own header away, too.
        header.keep_empty_value = true;
        Mutation {
            action: Some(Action::Append(header)),
        }
    };
    let mut mutations = vec![
        set(TABLE_HEADER, table.port.to_string()),
        set(HOST_HEADER, "%REQ(:authority)%".to_owned()),
    ];
    mutations.extend(shown.map(|shown| set(LISTENER_HEADER, shown)));
    TypedExtensionConfig {
        name: "envoy.http.early_header_mutation.header_mutation".to_owned(),
        typed_config: Some(any(&HeaderMutation { mutations })),
    }
}

/// The CORS filter, which does nothing on routes without a policy (Gateway rule 74).
pub(super) fn cors() -> HttpFilter {
    http_filter(CORS_FILTER, ConfigType::TypedConfig(any(&Cors::default())))
}

/// The filters: the lookup, which is a resource of its own, who may ask, CORS (so that preflight
/// requests are never too many), how many requests there may be and how large, and the router.
fn http_filters(table: &Table) -> Vec<HttpFilter> {
    let lookup = ExtensionConfigSource {
        config_source: Some(ads()),
        // Exact names are served without it.
        default_config: Some(any(&lookup::filter(None))),
        type_urls: vec![Lua::type_url()],
        ..Default::default()
    };
    vec![
        http_filter(lookup::name(table), ConfigType::ConfigDiscovery(lookup)),
        http_filter(sources::FILTER, ConfigType::TypedConfig(sources::filter())),
        cors(),
        http_filter(rate::FILTER, ConfigType::TypedConfig(rate::filter())),
        http_filter(body::FILTER, ConfigType::TypedConfig(body::filter())),
        router(),
    ]
}

pub(in crate::envoy) fn router() -> HttpFilter {
    let config = any(&Router::default());
    http_filter("envoy.filters.http.router", ConfigType::TypedConfig(config))
}

pub(super) fn http_filter(name: impl Into<String>, config: ConfigType) -> HttpFilter {
    HttpFilter {
        name: name.into(),
        config_type: Some(config),
        ..Default::default()
    }
}
