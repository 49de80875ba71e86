//! What mesh proxies find by the host names of a Service: its scopes, or for proxies that do not
//! take those its part of one table.
//!
//! Most of its names are in one scope, whose key is the Service and its namespace, the first two
//! labels of each. Where a port comes right behind the namespace it is a part of the second label:
//! so for every port there is a scope with that one name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use seaway_proto::envoy::route::route::Action;
use seaway_proto::envoy::route::route_action::hash_policy::{
    ConnectionProperties, PolicySpecifier,
};
use seaway_proto::envoy::route::route_action::{
    ClusterSpecifier, HashPolicy, HostRewriteSpecifier,
};
use seaway_proto::envoy::route::route_match::PathSpecifier;
use seaway_proto::envoy::route::{
    RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use seaway_proto::{Resource, TypeUrl, encode};

use super::cluster::CONNECT_ATTEMPTS;
use super::http::{mesh, scoped};
use super::{cluster_references, number, seconds};
use crate::Options;
use crate::model::ServiceKey;
use crate::plan::hosts::{Host, named};

/// The virtual hosts of one Service, encoded as fields of a RouteConfiguration, with the clusters
/// to which they route. `virtual_hosts` is a repeated field, and the encodings of repeated fields
/// concatenate: so a table of many thousand is put together from parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    bytes: Bytes,
    clusters: Vec<Arc<str>>,
}

impl Hosts {
    /// Encodes virtual hosts.
    pub(crate) fn new(hosts: Vec<Host>, options: &Options) -> Hosts {
        let hosts = named(hosts, options);
        let clusters = hosts.iter().map(|(host, _)| host.cluster.clone());
        let clusters = clusters.collect();
        let virtual_hosts = hosts.into_iter();
        let part = RouteConfiguration {
            virtual_hosts: virtual_hosts
                .map(|(host, domains)| virtual_host(&host, domains))
                .collect(),
            ..Default::default()
        };
        Hosts {
            bytes: encode(&part).into(),
            clusters,
        }
    }

    /// Whether the Service has no virtual hosts.
    pub(crate) fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }
}

/// The route table: the virtual hosts of all Services, in the order of the Services.
pub(crate) fn table(name: &Arc<str>, parts: &BTreeMap<ServiceKey, Hosts>) -> Resource {
    let head = RouteConfiguration {
        name: name.to_string(),
        ..Default::default()
    };
    let length: usize = parts.values().map(|part| part.bytes.len()).sum();
    let mut bytes = Vec::with_capacity(length + head.encoded_len());
    bytes.extend_from_slice(&encode(&head));
    for part in parts.values() {
        bytes.extend_from_slice(&part.bytes);
    }
    let clusters = parts.values().flat_map(|part| &part.clusters);
    let refs = cluster_references(clusters);
    Resource::from_bytes(TypeUrl::ROUTE, name.clone(), bytes.into(), refs)
}

/// The scopes of a Service with these hosts.
pub(crate) fn scopes(hosts: Vec<Host>, options: &Options) -> Vec<Resource> {
    let Some(ServiceKey { namespace, name }) = hosts.first().map(|host| host.port.service.clone())
    else {
        return Vec::new();
    };
    let (mut rest, mut shorts) = (Vec::new(), Vec::new());
    for (host, mut domains) in named(hosts, options) {
        rest.push((
            virtual_host(&host, domains.split_off(1)),
            host.cluster.clone(),
        ));
        let suffix = format!(":{}", host.port.number);
        shorts.push((suffix, virtual_host(&host, domains), host.cluster));
    }
    let scope = |suffix: &str, hosts: Vec<VirtualHost>, clusters: &[Arc<str>]| {
        let routes = RouteConfiguration {
            name: format!("{namespace}/{name}{suffix}"),
            virtual_hosts: hosts,
            // Nothing is left to be looked up.
            typed_per_filter_config: HashMap::from([(mesh::LOOKUP.to_owned(), scoped::disabled())]),
            ..Default::default()
        };
        let key = [name.to_string(), format!("{namespace}{suffix}")];
        scoped::resource(key, routes, cluster_references(clusters))
    };
    let (hosts, clusters): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
    let mut scopes = vec![scope("", hosts, &clusters)];
    let shorts = shorts.into_iter();
    scopes.extend(shorts.map(|(suffix, host, cluster)| scope(&suffix, vec![host], &[cluster])));
    scopes
}

fn virtual_host(host: &Host, domains: Vec<String>) -> VirtualHost {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(host.cluster.to_string())),
        host_rewrite_specifier: host
            .rewrite
            .as_ref()
            .map(|name| HostRewriteSpecifier::HostRewriteLiteral(name.to_string())),
        hash_policy: host.sticky.then(source_address).into_iter().collect(),
        // How long a request may take is between its client and its server; Envoy's default is 15
        // s.
        timeout: Some(seconds(0)),
        retry_policy: Some(connect_again()),
        ..Default::default()
    };
    let route = Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..Default::default()
        }),
        action: Some(Action::Route(action)),
        ..Default::default()
    };
    VirtualHost {
        name: host.port.to_string(),
        domains,
        routes: vec![route],
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

/// The hash policy of a route with session affinity: the client's address, for good, since nothing
/// in a route knows of a period.
pub(super) fn source_address() -> HashPolicy {
    HashPolicy {
        policy_specifier: Some(PolicySpecifier::ConnectionProperties(
            ConnectionProperties { source_ip: true },
        )),
        ..Default::default()
    }
}
