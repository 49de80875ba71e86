//! Translates an ExternalName Service: a cluster of its own that resolves the name, or virtual hosts that lead to the clusters of the
//! Service it stands for. It has no frontends and no slices (Service rules 1, 55, 121).

use std::num::NonZeroU16;
use std::sync::Arc;

use seaway_proto::Resource;

use crate::envoy::cluster;
use crate::envoy::route::{Host, Hosts};
use crate::external::{Target, resolve};
use crate::frontends::is_stream;
use crate::model::{AppProtocol, Family, Protocol, Service};
use crate::names::{ClusterName, PortKey};
use crate::service::{Translated, World, mesh_cluster, port_key};
use crate::{Layer, Problem, Reason, Role};

/// The port of an ExternalName Service that lists none.
const HTTP: NonZeroU16 = NonZeroU16::MIN.saturating_add(79);

/// Translates an ExternalName Service.
pub(crate) fn translate(world: &World<'_>, service: &Service) -> Translated {
    let mut translated = Translated::default();
    let hosts = match resolve(service, world.index, world.options) {
        None => Vec::new(),
        Some(Err(problem)) => {
            translated.problems.push(problem);
            Vec::new()
        }
        Some(Ok(Target::Dns(name))) => outside(service, &name, &mut translated.resources),
        Some(Ok(Target::Service(target))) => inside(service, &target, &mut translated.problems),
    };
    translated.hosts = Hosts::new(hosts, world.options);
    translated
}

/// A name outside of the cluster: the port asked for is the port used, the host asked for is replaced.
fn outside(
    service: &Service,
    host: &Arc<str>,
    resources: &mut Vec<(Layer, Resource)>,
) -> Vec<Host> {
    let mut ports: Vec<(PortKey, AppProtocol)> = service
        .ports
        .iter()
        .filter(|port| is_stream(port))
        .map(|port| (port_key(service, port), port.app_protocol))
        .collect();
    if service.ports.is_empty() {
        let port = PortKey {
            service: service.key.clone(),
            number: HTTP,
            protocol: Protocol::Tcp,
        };
        ports.push((port, AppProtocol::Http1));
    }
    let each = |(port, protocol): (PortKey, AppProtocol)| {
        let name = ClusterName {
            port,
            local: false,
            family: Family::V4,
        };
        let resource_name: Arc<str> = name.to_string().into();
        let cluster = cluster::dns(&resource_name, &name, protocol, host);
        resources.push((Layer::Role(Role::Mesh), cluster));
        Host {
            port: name.port,
            cluster: resource_name,
            sticky: false,
            rewrite: Some(host.clone()),
        }
    };
    ports.into_iter().map(each).collect()
}

/// An alias: the clusters are those of the target, by port number. One that lists no ports has all of the target's.
fn inside(service: &Service, target: &Service, problems: &mut Vec<Problem>) -> Vec<Host> {
    let ports = if service.ports.is_empty() {
        &target.ports
    } else {
        &service.ports
    };
    let mut hosts = Vec::new();
    for port in ports.iter().filter(|port| is_stream(port)) {
        let same = |other: &&_| is_same_port(port, other);
        match target.ports.iter().find(same) {
            Some(found) => hosts.push(Host {
                port: port_key(service, port),
                cluster: mesh_cluster(target, found).to_string().into(),
                sticky: target.affinity.is_some(),
                rewrite: None,
            }),
            None => problems.push(Problem::error(
                format!("Service {}", service.key),
                format!("spec.ports[{}].port", port.index),
                Reason::ExternalNameUnresolved,
                format!("Service {} has no port {}", target.key, port.number),
            )),
        }
    }
    hosts
}

fn is_same_port(a: &crate::model::ServicePort, b: &crate::model::ServicePort) -> bool {
    a.number == b.number && a.protocol == b.protocol
}
