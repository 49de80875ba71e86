//! The plan of a Service of type ExternalName: clusters that resolve the name by DNS, or virtual
//! hosts that route to the clusters of the Service of which it is an alias. It has no frontends and
//! no slices (Service rules 1, 55, 121).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use super::Context;
use super::clusters::{self, find, mesh_cluster, port_key};
use super::host::Upstream;
use super::hosts::Host;
use crate::model::{
    AppProtocol, BackendPort, Family, Kind, Protocol, Service, ServiceKey, ServicePort,
};
use crate::names::{ClusterName, PortKey};
use crate::policy::external_name::{Refusal, Step, step};
use crate::policy::frontends::is_stream;
use crate::{ExternalNamePolicy, Layer, Role};

/// The port that an ExternalName Service without ports gets.
const HTTP: NonZeroU16 = NonZeroU16::MIN.saturating_add(79);

/// The most aliases in a row that are followed.
const MAX_DEPTH: usize = 8;

/// The target of an ExternalName Service after all aliases are followed.
#[derive(Clone, Debug)]
pub(crate) enum ExternalTarget {
    /// A DNS name outside of the Kubernetes cluster.
    Dns(Arc<str>),
    /// A Service that is not itself of type ExternalName.
    Service(Arc<Service>),
}

/// The plan of a Service of type ExternalName.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExternalNamePlan {
    /// Why the Service leads nowhere, if it does not. A name that is not even valid was reported
    /// when it was read.
    pub refusal: Option<Refusal>,
    pub clusters: Vec<DnsCluster>,
    pub hosts: Vec<Host>,
    /// The target Service and the ports that it lacks: their index in the manifest and their
    /// number.
    pub missing: Option<(ServiceKey, Vec<(usize, NonZeroU16)>)>,
}

/// A cluster that resolves a DNS name and has its addresses as endpoints.
#[derive(Clone, Debug)]
pub(crate) struct DnsCluster {
    pub name: ClusterName,
    /// The application protocol that Envoy speaks to the endpoints.
    pub protocol: AppProtocol,
    /// The DNS name that Envoy resolves.
    pub host: Arc<str>,
    pub layer: Layer,
}

impl DnsCluster {
    /// Whether mesh proxies and gRPC clients have it, and not ingress proxies alone.
    pub(crate) fn is_for_mesh(&self) -> bool {
        self.layer != Layer::Role(Role::Ingress)
    }
}

/// Plans a Service of type ExternalName.
pub(crate) fn plan(context: &Context<'_>, service: &Service) -> ExternalNamePlan {
    match follow(context, service) {
        None => ExternalNamePlan::default(),
        Some(Err(refusal)) => ExternalNamePlan {
            refusal: Some(refusal),
            ..ExternalNamePlan::default()
        },
        Some(Ok(ExternalTarget::Dns(name))) => outside(context, service, &name),
        Some(Ok(ExternalTarget::Service(target))) => inside(service, &target),
    }
}

/// The cluster that requests of ingress proxies to a port of an ExternalName Service go to
/// (Service rules 122 and 125).
///
/// # Errors
/// The reason why it leads nowhere; `None` if there is no such port.
pub(crate) fn upstream(
    context: &Context<'_>,
    service: &Service,
    port: &BackendPort,
) -> Result<Upstream, Option<Refusal>> {
    if let Kind::ExternalName(Some(name)) = &service.kind
        && context.options.external_name == ExternalNamePolicy::Mesh
    {
        return Err(Some(Refusal::NotAllowed(name.clone())));
    }
    let target = follow(context, service);
    let target = target.ok_or_else(|| Refusal::Unusable(service.key.clone()))??;
    let number = match (port, find(service, port)) {
        (_, Some(port)) => port.number,
        // One without ports has whichever it is asked for.
        (BackendPort::Number(number), None) if service.ports.is_empty() => *number,
        _ => return Err(None),
    };
    match target {
        ExternalTarget::Dns(host) => Ok(Upstream {
            cluster: dns_cluster(&service.key, number).to_string().into(),
            hash: None,
            hostname: Some(host),
        }),
        ExternalTarget::Service(target) => {
            let port = find(&target, &BackendPort::Number(number)).ok_or(None)?;
            Ok(clusters::upstream(&target, port))
        }
    }
}

/// Follows an ExternalName through aliases to its end. `None`: the name is invalid, which was
/// reported when it was read.
fn follow(context: &Context<'_>, service: &Service) -> Option<Result<ExternalTarget, Refusal>> {
    let (index, options) = (context.index, context.options);
    let mut seen = BTreeSet::from([service.key.clone()]);
    let (mut alias, mut next) = (service, step(service, options)?);
    loop {
        let key = match next {
            Ok(Step::Dns(name)) => return Some(Ok(ExternalTarget::Dns(name.clone()))),
            Ok(Step::Service(key)) => key,
            Err(refusal) => return Some(Err(refusal)),
        };
        if let Kind::ExternalName(Some(name)) = &alias.kind
            && !index.may_be_alias(&alias.key, &key)
        {
            return Some(Err(Refusal::OtherNamespace(name.clone())));
        }
        if !seen.insert(key.clone()) {
            return Some(Err(Refusal::Loop(key)));
        }
        if seen.len() > MAX_DEPTH + 1 {
            return Some(Err(Refusal::TooLong(MAX_DEPTH)));
        }
        let Some(target) = index.service(&key) else {
            return Some(Err(Refusal::NotServed(key)));
        };
        if !matches!(target.kind, Kind::ExternalName(_)) {
            return Some(Ok(ExternalTarget::Service(target.clone())));
        }
        let Some(step) = step(target, options) else {
            return Some(Err(Refusal::Unusable(key)));
        };
        (alias, next) = (target, step);
    }
}

/// The plan for a DNS name outside of the Kubernetes cluster: requests go to the port that was
/// asked for, with this name as their host.
fn outside(context: &Context<'_>, service: &Service, host: &Arc<str>) -> ExternalNamePlan {
    let mut plan = ExternalNamePlan::default();
    for (number, protocol, for_mesh) in ports(context, service) {
        let name = dns_cluster(&service.key, number);
        let routing = context.index.routing();
        let port_name = find(service, &BackendPort::Number(number)).map_or("", |port| &port.name);
        let for_ingress = context.options.external_name != ExternalNamePolicy::Mesh
            && routing.uses(&service.key, number.get(), port_name);
        if for_mesh {
            plan.hosts.push(Host {
                port: name.port.clone(),
                cluster: name.to_string().into(),
                hash: None,
                timeouts: service.settings.timeouts,
                retry: service.settings.retry.clone(),
                pods: false,
                rewrite: Some(host.clone()),
            });
        }
        if for_mesh || for_ingress {
            plan.clusters.push(DnsCluster {
                name,
                protocol,
                host: host.clone(),
                layer: match (for_mesh, for_ingress) {
                    (true, true) => Layer::All,
                    (true, false) => Layer::Role(Role::Mesh),
                    (false, _) => Layer::Role(Role::Ingress),
                },
            });
        }
    }
    plan
}

/// The TCP ports of an ExternalName Service with their protocols, and whether mesh proxies have
/// them. One without ports has port 80, and at an ingress proxy whichever it is asked for.
fn ports(
    context: &Context<'_>,
    service: &Service,
) -> impl Iterator<Item = (NonZeroU16, AppProtocol, bool)> {
    let declared = service.ports.iter().filter(|port| is_stream(port));
    let declared = declared.map(|port| (port.number, port.app_protocol, true));
    let mut ports: BTreeMap<NonZeroU16, (AppProtocol, bool)> = BTreeMap::new();
    if service.ports.is_empty() {
        let asked = context.index.routing().numbers_used(&service.key);
        ports.extend(asked.map(|number| (number, (AppProtocol::Http1, false))));
        ports.insert(HTTP, (AppProtocol::Http1, true));
    }
    let undeclared = ports.into_iter();
    let undeclared = undeclared.map(|(number, (protocol, mesh))| (number, protocol, mesh));
    declared.chain(undeclared)
}

/// The cluster that resolves the name of an ExternalName Service, for one of its ports.
fn dns_cluster(service: &ServiceKey, number: NonZeroU16) -> ClusterName {
    ClusterName {
        port: PortKey {
            service: service.clone(),
            number,
            protocol: Protocol::Tcp,
        },
        local: false,
        tls: false,
        family: Family::V4,
    }
}

/// The plan for an alias: its virtual hosts route to the target's clusters, by port number. An
/// alias without ports has all of the target's.
fn inside(service: &Service, target: &Service) -> ExternalNamePlan {
    let ports = if service.ports.is_empty() {
        &target.ports
    } else {
        &service.ports
    };
    let mut missing = Vec::new();
    let mut hosts = Vec::new();
    for port in ports.iter().filter(|port| is_stream(port)) {
        let mut of_target = target.ports.iter();
        match of_target.find(|other| is_same_port(port, other)) {
            Some(found) => hosts.push(Host {
                port: port_key(service, port),
                cluster: mesh_cluster(target, found).to_string().into(),
                hash: target.hash_by().cloned(),
                timeouts: service.settings.timeouts,
                retry: service.settings.retry.clone(),
                pods: false,
                rewrite: None,
            }),
            None => missing.push((port.index, port.number)),
        }
    }
    ExternalNamePlan {
        hosts,
        missing: (!missing.is_empty()).then(|| (target.key.clone(), missing)),
        ..ExternalNamePlan::default()
    }
}

fn is_same_port(a: &ServicePort, b: &ServicePort) -> bool {
    a.number == b.number && a.protocol == b.protocol
}
