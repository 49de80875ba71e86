//! The virtual hosts of a Service at mesh proxies, and the cluster behind each.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::clusters::{mesh_cluster, port_key};
use super::{Context, external_name};
use crate::Options;
use crate::model::{HashBy, Kind, Retry, Service, ServiceKey, Timeouts};
use crate::names::PortKey;
use crate::policy::frontends::is_stream;

/// One virtual host: the HTTP requests for one Service port and the cluster to which they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The Service port that clients ask for by host name.
    pub port: PortKey,
    /// The name of the cluster to which requests go.
    pub cluster: Arc<str>,
    /// What requests that go to one endpoint have in common, such as their client with session
    /// affinity (Service rule 97).
    pub hash: Option<HashBy>,
    /// How long a request may take.
    pub timeouts: Timeouts,
    /// When it is sent again.
    pub retry: Option<Retry>,
    /// Whether the pods of the Service have names of their own before its own: those of a headless
    /// one have (Service rules 128, 129).
    pub pods: bool,
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
        hash: service.hash_by().cloned(),
        timeouts: service.settings.timeouts,
        retry: service.settings.retry.clone(),
        pods: service.kind.is_without_ip(),
        rewrite: None,
    };
    ports.map(host).collect()
}

/// The addresses by which mesh proxies find a Service: its cluster IPs. One that several Services
/// have is that of one of them, with all of its ports.
pub(crate) fn addresses(context: &Context<'_>, service: &Service) -> BTreeSet<IpAddr> {
    let claims = context.index.claims();
    let own = |ip: &IpAddr| claims.cluster_ip_owner(*ip) == Some(&service.key);
    let addresses = service.cluster_ips.iter().copied();
    addresses.filter(own).collect()
}

/// A host with its names.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub host: Host,
    /// All names with the name of the Service in them, that of `<service>.<namespace>:<port>`
    /// first.
    pub names: Vec<String>,
    /// What follows any name or address: the port, and nothing where it may be left out.
    pub ends: Vec<String>,
}

impl Named {
    /// The names of the host with an address of the Service in them.
    pub(crate) fn at(&self, ip: IpAddr) -> impl Iterator<Item = String> {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        self.ends.iter().map(move |end| format!("{ip}{end}"))
    }
}

/// The hosts in the order of their ports, so that the order in a manifest means nothing, each with
/// its names. A name without a port stands for port 80 if the Service has it, else for its only
/// port.
pub(crate) fn named(mut hosts: Vec<Host>, options: &Options) -> Vec<Named> {
    hosts.sort_by(|a, b| a.port.cmp(&b.port));
    let default = default_port(&hosts);
    let name = |host: Host| {
        let bare = default == Some(host.port.number);
        let mut ends = vec![format!(":{}", host.port.number)];
        ends.extend(bare.then(String::new));
        Named {
            names: names(&host.port.service, &ends, options),
            ends,
            host,
        }
    };
    hosts.into_iter().map(name).collect()
}

/// The port for which a name without one stands.
pub(crate) fn default_port(hosts: &[Host]) -> Option<NonZeroU16> {
    let default = hosts.iter().find(|host| host.port.number.get() == 80);
    let default = default.or(hosts.first().filter(|_| hosts.len() == 1));
    default.map(|host| host.port.number)
}

/// All host names of a Service with these ends (Service rule 149). Namespaces and Services have no
/// dots, so no two Services share one.
fn names(service: &ServiceKey, ends: &[String], options: &Options) -> Vec<String> {
    let ServiceKey { namespace, name } = service;
    let names = [
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.{}", options.cluster_domain),
    ];
    let with_ends = |name: &String| {
        let name = name.clone();
        ends.iter().map(move |end| format!("{name}{end}"))
    };
    names.iter().flat_map(with_ends).collect()
}
