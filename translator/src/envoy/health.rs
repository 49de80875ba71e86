//! Listeners that answer by themselves, and their answers as route configurations: an update of a listener would leave keep-alive
//! checkers with the answer of the old one until it has drained, that of a route counts from the next request on.

use std::net::SocketAddr;
use std::sync::Arc;

use seaway_proto::envoy::core::data_source::Specifier;
use seaway_proto::envoy::core::header_value_option::HeaderAppendAction;
use seaway_proto::envoy::core::socket_address::Protocol;
use seaway_proto::envoy::core::{DataSource, HeaderValue, HeaderValueOption, Http1ProtocolOptions};
use seaway_proto::envoy::http_connection_manager::http_connection_manager::{
    CodecType, RouteSpecifier,
};
use seaway_proto::envoy::http_connection_manager::{
    HttpConnectionManager, HttpFilter, Rds, http_filter,
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
use super::{ads, cidr, listening};
use crate::IpNet;
use crate::model::ServiceKey;
use crate::names::HealthCheckName;
use crate::namespace::Place;

/// The route configuration of the proxy's own health.
const OWN: &str = "healthz";

/// The listener of a Service's health check, which closes what was sent to a `refused` range.
pub(crate) fn listener(name: &HealthCheckName, refused: &[IpNet], place: &Place) -> Resource {
    let route = HealthCheckName::route(&name.service);
    answering(name.to_string(), place, route, refused)
}

/// The listener of the proxy's own health: the node's, wherever those of Services are.
pub(crate) fn own_listener(address: SocketAddr, refused: &[IpNet]) -> Resource {
    let place = Place::of_the_node(address);
    answering(format!("{OWN}@{address}"), &place, OWN.to_owned(), refused)
}

/// What a node with this many ready endpoints of a Service says, in kube-proxy's words (Service rule 32), whatever the path.
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

/// What the proxy says of itself: it lives, and the Node takes new connections or not.
pub(crate) fn own_answer(eligible: bool) -> Resource {
    let path = |path: &str| PathSpecifier::Path(path.to_owned());
    let body = format!("{{\"nodeEligible\": {eligible}}}");
    let health = say(path("/healthz"), eligible, body);
    let live = say(path("/livez"), true, "{}".to_owned());
    configuration(OWN.to_owned(), vec![health, live])
}

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
            header("content-type", "application/json"),
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

fn answering(name: String, place: &Place, route: String, refused: &[IpNet]) -> Resource {
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
        address: Some(listening(place, Protocol::Tcp)),
        freebind: Some(BoolValue { value: true }),
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
