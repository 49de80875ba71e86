//! The mesh route table: one virtual host per Service port, kept encoded per Service.
//!
//! The table is one resource of many thousand virtual hosts, of which a change touches one.
//! `virtual_hosts` is a repeated field, and the encodings of repeated fields concatenate: so each
//! Service's part is encoded once and the table is put together from parts.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
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
use seaway_proto::{Resource, ResourceRef, TypeUrl, encode};

use super::cluster::CONNECT_ATTEMPTS;
use super::{number, seconds};
use crate::Options;
use crate::model::ServiceKey;
use crate::names::PortKey;
use crate::plan::hosts::Host;

/// The virtual hosts of one Service, encoded as fields of a RouteConfiguration, with the clusters
/// to which they route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    bytes: Bytes,
    clusters: Vec<Arc<str>>,
}

impl Hosts {
    /// Encodes virtual hosts in the order of their ports, so that the order in a manifest means
    /// nothing. A name without a port stands for port 80 if the Service has it, else for its only
    /// port.
    pub(crate) fn new(mut hosts: Vec<Host>, options: &Options) -> Hosts {
        hosts.sort_by(|a, b| a.port.cmp(&b.port));
        let default = hosts.iter().find(|host| host.port.number.get() == 80);
        let default = default.or(hosts.first().filter(|_| hosts.len() == 1));
        let default = default.map(|host| host.port.number);
        let part = RouteConfiguration {
            virtual_hosts: hosts
                .iter()
                .map(|host| virtual_host(host, default, options))
                .collect(),
            ..Default::default()
        };
        Hosts {
            bytes: encode(&part).into(),
            clusters: hosts.iter().map(|host| host.cluster.clone()).collect(),
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
    let mut clusters: Vec<&Arc<str>> = Vec::new();
    for part in parts.values() {
        bytes.extend_from_slice(&part.bytes);
        clusters.extend(&part.clusters);
    }
    clusters.sort();
    clusters.dedup();
    let refs = clusters.into_iter().map(|cluster| ResourceRef {
        type_url: TypeUrl::CLUSTER,
        name: cluster.clone(),
    });
    Resource::from_bytes(TypeUrl::ROUTE, name.clone(), bytes.into(), refs.collect())
}

fn virtual_host(host: &Host, default: Option<NonZeroU16>, options: &Options) -> VirtualHost {
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
        domains: domains(&host.port, default == Some(host.port.number), options),
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

/// All host names of a Service port (Service rule 149). Namespaces and Services have no dots, so no
/// two Services share one.
fn domains(port: &PortKey, bare: bool, options: &Options) -> Vec<String> {
    let ServiceKey { namespace, name } = &port.service;
    let names = [
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.{}", options.cluster_domain),
    ];
    let mut domains = Vec::with_capacity(6);
    for name in names {
        domains.push(format!("{name}:{}", port.number));
        if bare {
            domains.push(name);
        }
    }
    domains
}
