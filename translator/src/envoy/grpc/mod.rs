//! What gRPC clients take: a listener with everything that an RPC needs to find its cluster, and
//! those clusters that they do not take as Envoy does (xDS rules 178 to 185).

mod rules;

use seaway_proto::envoy::http_connection_manager::HttpConnectionManager;
use seaway_proto::envoy::http_connection_manager::http_connection_manager::RouteSpecifier;
use seaway_proto::envoy::listener::{ApiListener, Listener};
use seaway_proto::envoy::route::route::Action;
use seaway_proto::envoy::route::route_action::hash_policy::{FilterState, PolicySpecifier};
use seaway_proto::envoy::route::route_action::{ClusterSpecifier, HashPolicy};
use seaway_proto::envoy::route::route_match::PathSpecifier;
use seaway_proto::envoy::route::{Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost};
use seaway_proto::{Resource, TypeUrl, any};

use super::cluster_references;
use super::http::listener::router;
use super::route;
use crate::model::HashBy;
use crate::plan::grpc::{self, RpcRoute};

/// The value that is the same for all RPCs of a channel (Service rule 103).
const CHANNEL: &str = "io.grpc.channel_id";

/// The listener of a name, with its routes inside: they could come late or not at all otherwise
/// (xDS rule 180). Without `rules` of HTTPRoutes a route has no deadline of its own (xDS rule 223),
/// and no retries: how often an RPC may be sent is its client's to say.
pub(crate) fn listener(route: &grpc::Route, rules: Option<&[RpcRoute<'_>]>) -> Resource {
    let (name, cluster) = (&route.name, &route.cluster);
    let all = match rules {
        Some(rules) => rules.iter().flat_map(rules::routes).collect(),
        None => vec![every_rpc(route)],
    };
    let clusters = match rules {
        Some(rules) => rules.iter().flat_map(rules::clusters).collect(),
        None => vec![cluster],
    };
    let routes = RouteConfiguration {
        name: name.to_string(),
        virtual_hosts: vec![VirtualHost {
            name: cluster.to_string(),
            // Whatever authority the client sets: this listener is that of one name.
            domains: vec!["*".to_owned()],
            routes: all,
            ..Default::default()
        }],
        ..Default::default()
    };
    let manager = HttpConnectionManager {
        route_specifier: Some(RouteSpecifier::RouteConfig(routes)),
        http_filters: vec![router()],
        ..Default::default()
    };
    let message = Listener {
        name: name.to_string(),
        api_listener: Some(ApiListener {
            api_listener: Some(any(&manager)),
        }),
        ..Default::default()
    };
    let clusters = cluster_references(clusters);
    Resource::new(TypeUrl::LISTENER, name.clone(), &message, clusters)
}

/// The route of a name without rules.
fn every_rpc(route: &grpc::Route) -> Route {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(route.cluster.to_string())),
        hash_policy: hash_policy(route.hash.as_ref()),
        ..Default::default()
    };
    Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix(String::new())),
            ..Default::default()
        }),
        action: Some(Action::Route(action)),
        ..Default::default()
    }
}

/// The hash policy of a route, as far as gRPC has it.
fn hash_policy(by: Option<&HashBy>) -> Vec<HashPolicy> {
    let policy = match by {
        Some(HashBy::Source) => Some(channel()),
        Some(by @ HashBy::Header(_)) => Some(route::hash_policy(by)),
        // A gRPC client has none.
        Some(HashBy::Cookie(_)) | None => None,
    };
    policy.into_iter().collect()
}

/// The hash policy by which the RPCs of a channel go to one endpoint.
fn channel() -> HashPolicy {
    HashPolicy {
        policy_specifier: Some(PolicySpecifier::FilterState(FilterState {
            key: CHANNEL.to_owned(),
        })),
        ..Default::default()
    }
}
