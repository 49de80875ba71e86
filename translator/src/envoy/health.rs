//! Listeners that answer by themselves, and their answers as route configurations: an update of a
//! listener would leave keep-alive checkers with the answer of the old one until it has drained,
//! that of a route counts from the next request on.

use std::net::SocketAddr;
use std::sync::Arc;

use seaway_proto::envoy::core::data_source::Specifier;
use seaway_proto::envoy::core::header_value_option::HeaderAppendAction;
use seaway_proto::envoy::core::socket_address::Protocol;
use seaway_proto::envoy::core::{
    DataSource, HeaderValue, HeaderValueOption, Http1ProtocolOptions, SubstitutionFormatString,
};
use seaway_proto::envoy::http_connection_manager::http_connection_manager::{
    CodecType, RouteSpecifier,
};
use seaway_proto::envoy::http_connection_manager::{
    HttpConnectionManager, HttpFilter, LocalReplyConfig, Rds, http_filter,
};
use seaway_proto::envoy::listener::{FilterChain, FilterChainMatch, Listener};
use seaway_proto::envoy::route::route::Action;
use seaway_proto::envoy::route::route_match::PathSpecifier;
use seaway_proto::envoy::route::{
    DirectResponseAction, Route, RouteConfiguration, RouteMatch, VirtualHost,
};
use seaway_proto::envoy::router::Router;
use seaway_proto::google::protobuf::BoolValue;
use seaway_proto::{Resource, ResourceRef, TypeUrl, any};

use super::listener::{network_filter, refuse};
use super::{ads, cidr, listening, substituted};
use crate::IpNet;
use crate::model::ServiceKey;
use crate::names::HealthCheckName;
use crate::plan::ListenOn;
use crate::plan::health::CheckListener;

/// The name of the route configuration with the answers on the proxy's own health.
const OWN: &str = "healthz";

/// The name of the route configuration that answers kube-proxy's `/proxyMode`.
const MODE: &str = "proxymode";

/// The content type of the answers on health.
const JSON: &str = "application/json";

/// The format string of the request's time, as kube-proxy writes a time.
const NOW: &str = "%START_TIME(%Y-%m-%d %H:%M:%S.%9f +0000 UTC)%";

/// The listener of a health check node port, which closes connections to a refused range.
pub(crate) fn listener(plan: &CheckListener) -> Resource {
    let CheckListener {
        name,
        listen_on,
        refused,
    } = plan;
    let route = HealthCheckName::route(&name.service);
    answering(name.to_string(), listen_on, route, refused, None)
}

/// The listener of the proxy's own health, in the node's network namespace even where listeners of
/// Services have their own. It begins each answer as kube-proxy does, with two times, and the
/// route's text is the rest.
///
/// To kube-proxy `lastUpdated` is the present while nothing waits to be put in force, else since
/// when something does. Envoy answers with what it has in force, and knows of nothing that waits:
/// both are the time of the request.
pub(crate) fn own_listener(address: SocketAddr, refused: &[IpNet]) -> Resource {
    let begin = format!(r#"{{"lastUpdated": "{NOW}","currentTime": "{NOW}"%LOCAL_REPLY_BODY%}}"#);
    let reply = LocalReplyConfig {
        body_format: Some(SubstitutionFormatString {
            // Here the type of the route's own text counts for nothing.
            content_type: JSON.to_owned(),
            ..substituted(begin)
        }),
        ..Default::default()
    };
    let name = format!("{OWN}@{address}");
    let listen_on = ListenOn::of_the_node(address);
    answering(name, &listen_on, OWN.to_owned(), refused, Some(reply))
}

/// The listener for kube-proxy's `/proxyMode`, in the node's network namespace as well.
pub(crate) fn mode_listener(address: SocketAddr) -> Resource {
    let name = format!("{MODE}@{address}");
    let listen_on = ListenOn::of_the_node(address);
    answering(name, &listen_on, MODE.to_owned(), &[], None)
}

/// The answer to `/proxyMode`: one word, which is not a mode of kube-proxy.
pub(crate) fn mode_answer() -> Resource {
    let path = PathSpecifier::Path("/proxyMode".to_owned());
    let mut response = say(path, true, "seaway".to_owned());
    response.response_headers_to_add = vec![header("content-type", "text/plain")];
    configuration(MODE.to_owned(), vec![response])
}

/// The answer of a health check node port on a node with this many ready endpoints of the Service,
/// in kube-proxy's words (Service rule 32), whatever the path.
pub(crate) fn answer(service: &ServiceKey, count: usize) -> Resource {
    let ServiceKey { namespace, name } = service;
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\t\
         \"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": true\n}}"
    );
    let path = PathSpecifier::Prefix("/".to_owned());
    let mut response = say(path, count > 0, body);
    let weight = header("x-load-balancing-endpoint-weight", &count.to_string());
    response.response_headers_to_add.push(weight);
    configuration(HealthCheckName::route(service), vec![response])
}

/// The answers on the proxy's own health: it lives, and the Node takes new connections (`eligible`)
/// or not.
pub(crate) fn own_answer(eligible: bool) -> Resource {
    let path = |path: &str| PathSpecifier::Path(path.to_owned());
    let rest = format!(", \"nodeEligible\": {eligible}");
    let health = say(path("/healthz"), eligible, rest);
    let live = say(path("/livez"), true, String::new());
    configuration(OWN.to_owned(), vec![health, live])
}

/// A route configuration with these routes for every host.
fn configuration(name: String, routes: Vec<Route>) -> Resource {
    let message = RouteConfiguration {
        name: name.clone(),
        virtual_hosts: vec![VirtualHost {
            name: "any".to_owned(),
            domains: vec!["*".to_owned()],
            routes,
            ..Default::default()
        }],
        ..Default::default()
    };
    Resource::new(TypeUrl::ROUTE, name, &message, Vec::new())
}

fn say(path: PathSpecifier, yes: bool, body: String) -> Route {
    Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(path),
            ..Default::default()
        }),
        action: Some(Action::DirectResponse(DirectResponseAction {
            status: if yes { 200 } else { 503 },
            body: Some(DataSource {
                specifier: Some(Specifier::InlineString(body)),
                ..Default::default()
            }),
            ..Default::default()
        })),
        response_headers_to_add: vec![
            header("content-type", JSON),
            header("x-content-type-options", "nosniff"),
        ],
        ..Default::default()
    }
}

fn header(key: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: key.to_owned(),
            value: value.to_owned(),
            ..Default::default()
        }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        ..Default::default()
    }
}

fn answering(
    name: String,
    listen_on: &ListenOn,
    route: String,
    refused: &[IpNet],
    reply: Option<LocalReplyConfig>,
) -> Resource {
    let manager = HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: "health".to_owned(),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads()),
            route_config_name: route.clone(),
        })),
        http_filters: vec![HttpFilter {
            name: "envoy.filters.http.router".to_owned(),
            config_type: Some(http_filter::ConfigType::TypedConfig(
                any(&Router::default()),
            )),
            ..Default::default()
        }],
        local_reply_config: reply,
        // Some load balancers ask in HTTP/1.0, without a host.
        http_protocol_options: Some(Http1ProtocolOptions {
            accept_http_10: true,
            default_host_for_http_10: "health".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let serve = FilterChain {
        name: "serve".to_owned(),
        filters: vec![network_filter(
            "envoy.filters.network.http_connection_manager",
            any(&manager),
        )],
        ..Default::default()
    };
    let refuse = (!refused.is_empty()).then(|| {
        refuse(Some(FilterChainMatch {
            prefix_ranges: refused.iter().map(cidr).collect(),
            ..Default::default()
        }))
    });
    let message = Listener {
        name,
        address: Some(listening(listen_on, Protocol::Tcp)),
        freebind: Some(BoolValue { value: true }),
        traffic_direction: super::DRAINED,
        filter_chains: refuse.into_iter().chain([serve]).collect(),
        ..Default::default()
    };
    let route = ResourceRef {
        type_url: TypeUrl::ROUTE,
        name: Arc::from(route),
    };
    Resource::new(
        TypeUrl::LISTENER,
        message.name.clone(),
        &message,
        vec![route],
    )
}
