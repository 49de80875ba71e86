//! The virtual hosts of a Service at mesh proxies, and the cluster behind each.

use std::num::NonZeroU16;
use std::sync::Arc;

use super::clusters::{mesh_cluster, port_key};
use super::{Context, external_name};
use crate::Options;
use crate::model::{Kind, Service, ServiceKey};
use crate::names::PortKey;
use crate::policy::frontends::is_stream;

/// One virtual host: the HTTP requests for one Service port and the cluster to which they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The Service port that clients ask for by host name.
    pub port: PortKey,
    /// The name of the cluster to which requests go.
    pub cluster: Arc<str>,
    /// Whether requests of one client go to one endpoint, for session affinity (Service rule 97).
    pub sticky: bool,
    /// The host name that replaces the one asked for, if any (Service rule 123).
    pub rewrite: Option<Arc<str>>,
}

/// The virtual hosts of any Service.
pub(crate) fn of_any(context: &Context<'_>, service: &Service) -> Vec<Host> {
    match service.kind {
        Kind::ExternalName(_) => external_name::plan(context, service).hosts,
        _ => of_service(service),
    }
}

/// The virtual hosts of a Service that has its own clusters, one per TCP port.
pub(crate) fn of_service(service: &Service) -> Vec<Host> {
    let ports = service.ports.iter().filter(|port| is_stream(port));
    let host = |port| Host {
        port: port_key(service, port),
        cluster: mesh_cluster(service, port).to_string().into(),
        sticky: service.affinity.is_some(),
        rewrite: None,
    };
    ports.map(host).collect()
}

/// The hosts in the order of their ports, so that the order in a manifest means nothing, each with
/// its names. A name without a port stands for port 80 if the Service has it, else for its only
/// port.
pub(crate) fn named(mut hosts: Vec<Host>, options: &Options) -> Vec<(Host, Vec<String>)> {
    hosts.sort_by(|a, b| a.port.cmp(&b.port));
    let default = default_port(&hosts);
    let name = |host: Host| {
        let domains = domains(&host.port, default == Some(host.port.number), options);
        (host, domains)
    };
    hosts.into_iter().map(name).collect()
}

/// The port for which a name without one stands.
pub(crate) fn default_port(hosts: &[Host]) -> Option<NonZeroU16> {
    let default = hosts.iter().find(|host| host.port.number.get() == 80);
    let default = default.or(hosts.first().filter(|_| hosts.len() == 1));
    default.map(|host| host.port.number)
}

/// All host names of a Service port (Service rule 149), that of `<service>.<namespace>:<port>`
/// first. Namespaces and Services have no dots, so no two Services share one.
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
