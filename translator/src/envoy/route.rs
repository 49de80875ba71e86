//! What mesh proxies find by the host names of a Service: its scopes, or for proxies that do not
//! take those its part of one table.
//!
//! Most of its names are in one scope, whose key is the Service and its namespace, the first two
//! labels of each. Where a port comes right behind the namespace it is a part of the second label:
//! so for every port there is a scope with that one name. Each cluster IP is one scope more, whose
//! key no name can have: requests for addresses find it by the lookup filter.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use seaway_proto::envoy::previous_hosts::PreviousHostsPredicate;
use seaway_proto::envoy::route::retry_policy::RetryHostPredicate;
use seaway_proto::envoy::route::retry_policy::retry_host_predicate::ConfigType;
use seaway_proto::envoy::route::route::Action;
use seaway_proto::envoy::route::route_action::hash_policy::{
    ConnectionProperties, Cookie, Header, PolicySpecifier,
};
use seaway_proto::envoy::route::route_action::{
    ClusterSpecifier, HashPolicy, HostRewriteSpecifier,
};
use seaway_proto::envoy::route::route_match::PathSpecifier;
use seaway_proto::envoy::route::{
    RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use seaway_proto::google::protobuf::Any;
use seaway_proto::{Resource, TypeUrl, any, encode};

use super::cluster::CONNECT_ATTEMPTS;
use super::http::route_action::limit;
use super::http::{mesh, scope, scoped};
use super::{cluster_references, number, seconds};
use crate::Options;
use crate::model::{HashBy, ServiceKey};
use crate::plan::host::{RoutePlan, Routed};
use crate::plan::hosts::{Host, Named, named};

/// How often an endpoint is chosen anew for one attempt when the choice falls on one that a request
/// was sent to before. With session affinity the choice never differs, and is made this often.
const OTHER_HOST_ATTEMPTS: i64 = 5;

/// The virtual hosts of one Service, encoded as fields of a RouteConfiguration, with the clusters
/// to which they route. `virtual_hosts` is a repeated field, and the encodings of repeated fields
/// concatenate: so a table of many thousand is put together from parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    bytes: Bytes,
    clusters: Vec<Arc<str>>,
}

impl Hosts {
    /// Encodes virtual hosts, which have these addresses beside their names, and these routes.
    pub(crate) fn new(
        hosts: Vec<Host>,
        addresses: &BTreeSet<IpAddr>,
        routed: &Routed<'_>,
        options: &Options,
    ) -> Hosts {
        let hosts = named(hosts, options);
        let clusters = hosts.iter().flat_map(|named| clusters(&named.host, routed));
        let clusters = clusters.collect();
        let virtual_hosts = hosts.iter().map(|named| {
            let at = addresses.iter().flat_map(|ip| named.at(*ip));
            let names = named.names.iter().cloned().chain(at).collect();
            virtual_host(&named.host, routed, names)
        });
        let part = RouteConfiguration {
            virtual_hosts: virtual_hosts.collect(),
            ..Default::default()
        };
        Hosts {
            bytes: encode(&part).into(),
            clusters,
        }
    }

    /// Whether the Service has no virtual hosts.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// The route table: these virtual hosts, in the order in which they come.
pub(crate) fn table<'p>(
    name: &Arc<str>,
    parts: impl Iterator<Item = &'p Hosts> + Clone,
) -> Resource {
    let head = RouteConfiguration {
        name: name.to_string(),
        typed_per_filter_config: found(),
        ..Default::default()
    };
    let length: usize = parts.clone().map(|part| part.bytes.len()).sum();
    let mut bytes = Vec::with_capacity(length + head.encoded_len());
    bytes.extend_from_slice(&encode(&head));
    for part in parts.clone() {
        bytes.extend_from_slice(&part.bytes);
    }
    let clusters = parts.flat_map(|part| &part.clusters);
    let refs = cluster_references(clusters);
    Resource::from_bytes(TypeUrl::ROUTE, name.clone(), bytes.into(), refs)
}

/// The routes of a Service port as a route configuration of this name, for all requests that come
/// to its addresses.
pub(crate) fn at_addresses(name: Arc<str>, routes: &[RoutePlan<'_>]) -> Resource {
    let message = RouteConfiguration {
        name: name.to_string(),
        virtual_hosts: vec![VirtualHost {
            name: name.to_string(),
            domains: vec!["*".to_owned()],
            routes: of_routes(routes),
            ..Default::default()
        }],
        ..Default::default()
    };
    let refs = cluster_references(scope::clusters(routes));
    Resource::new(TypeUrl::ROUTE, name, &message, refs)
}

/// The scopes of a Service with these hosts, addresses and routes. Which there are does not depend
/// on the routes.
pub(crate) fn scopes(
    hosts: &[Named],
    addresses: &BTreeSet<IpAddr>,
    routed: &Routed<'_>,
) -> Vec<Resource> {
    let Some(Named { host, .. }) = hosts.first() else {
        return Vec::new();
    };
    let service = &host.port.service;
    let scope = |suffix: &str, key: [String; 2], hosts: Vec<VirtualHost>, clusters: &[Arc<str>]| {
        let routes = RouteConfiguration {
            name: format!("{service}{suffix}"),
            virtual_hosts: hosts,
            typed_per_filter_config: found(),
            ..Default::default()
        };
        scoped::resource(key, routes, cluster_references(clusters))
    };
    let of_all = hosts.iter().flat_map(|named| clusters(&named.host, routed));
    let of_all: Vec<_> = of_all.collect();
    let with = |names: &dyn Fn(&Named) -> Vec<String>| {
        let hosts = hosts
            .iter()
            .map(|named| virtual_host(&named.host, routed, names(named)));
        hosts.collect()
    };
    let ServiceKey { namespace, name } = service;
    let of_names = with(&|named| named.names[1..].to_vec());
    let mut scopes = vec![scope(
        "",
        [name.to_string(), namespace.to_string()],
        of_names,
        &of_all,
    )];
    for Named { host, names, .. } in hosts {
        let suffix = format!(":{}", host.port.number);
        let key = [name.to_string(), format!("{namespace}{suffix}")];
        let short = virtual_host(host, routed, names[..1].to_vec());
        scopes.push(scope(&suffix, key, vec![short], &clusters(host, routed)));
    }
    for ip in addresses {
        let of_ip = with(&|named| {
            named
                .ends
                .iter()
                .map(|end| mesh::address_name(*ip, end))
                .collect()
        });
        scopes.push(scope(
            &format!("@{ip}"),
            mesh::address_key(*ip),
            of_ip,
            &of_all,
        ));
    }
    scopes
}

/// The configuration of filters for what was found by the name that was asked for: nothing is left
/// to be looked up.
fn found() -> HashMap<String, Any> {
    HashMap::from([(mesh::LOOKUP.to_owned(), scoped::disabled())])
}

/// The clusters to which requests for a host go.
fn clusters(host: &Host, routed: &Routed<'_>) -> Vec<Arc<str>> {
    match routed.get(&host.port.number) {
        None => vec![host.cluster.clone()],
        Some(routes) => scope::clusters(routes).into_iter().cloned().collect(),
    }
}

fn virtual_host(host: &Host, routed: &Routed<'_>, domains: Vec<String>) -> VirtualHost {
    VirtualHost {
        name: host.port.to_string(),
        domains,
        routes: match routed.get(&host.port.number) {
            None => vec![every_request(host)],
            Some(routes) => of_routes(routes),
        },
        ..Default::default()
    }
}

/// What the routes of a Service port have of a mesh proxy.
fn of_routes(routes: &[RoutePlan<'_>]) -> Vec<Route> {
    let mut routes = scope::of_port(routes);
    for route in &mut routes {
        if let Some(Action::Route(action)) = &mut route.action {
            action.retry_policy = action.retry_policy.take().map(elsewhere);
        }
    }
    routes
}

/// The route of a port for which there are no others: all requests go to one cluster.
fn every_request(host: &Host) -> Route {
    let mut action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(host.cluster.to_string())),
        host_rewrite_specifier: host
            .rewrite
            .as_ref()
            .map(|name| HostRewriteSpecifier::HostRewriteLiteral(name.to_string())),
        hash_policy: host.hash.iter().map(hash_policy).collect(),
        ..Default::default()
    };
    limit(&mut action, host.timeouts, host.retry.as_ref());
    action.retry_policy = action.retry_policy.map(elsewhere);
    Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..Default::default()
        }),
        action: Some(Action::Route(action)),
        metadata: host.pods.then(mesh::pods),
        ..Default::default()
    }
}

/// The retry policy of every route: a request is sent again where no connection came about, since
/// nothing has reached a server then.
pub(super) fn connect_again() -> RetryPolicy {
    RetryPolicy {
        retry_on: "connect-failure".to_owned(),
        num_retries: Some(number(CONNECT_ATTEMPTS - 1)),
        ..Default::default()
    }
}

/// Has a request sent again to an endpoint that it was not sent to before, if there is one (Service
/// rule 95): with many requests at a time the next endpoint in turn may be the same.
fn elsewhere(policy: RetryPolicy) -> RetryPolicy {
    let predicate = any(&PreviousHostsPredicate::default());
    RetryPolicy {
        retry_host_predicate: vec![RetryHostPredicate {
            // Found by its type; a longer name would be in every route.
            name: "others".to_owned(),
            config_type: Some(ConfigType::TypedConfig(predicate)),
        }],
        host_selection_retry_max_attempts: OTHER_HOST_ATTEMPTS,
        ..policy
    }
}

/// The hash policy of a route: the client's address, for good, since nothing in a route knows of a
/// period, or a part of the request. Without that part an endpoint is chosen at random.
pub(super) fn hash_policy(by: &HashBy) -> HashPolicy {
    let specifier = match by {
        HashBy::Source => {
            PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })
        }
        HashBy::Header(name) => PolicySpecifier::Header(Header {
            header_name: name.to_string(),
            ..Default::default()
        }),
        HashBy::Cookie(name) => PolicySpecifier::Cookie(Cookie {
            name: name.to_string(),
            // Has Envoy make one for a client that has none, which ends with its session.
            ttl: Some(seconds(0)),
            path: "/".to_owned(),
            ..Default::default()
        }),
    };
    HashPolicy {
        policy_specifier: Some(specifier),
        ..Default::default()
    }
}
