//! What becomes of an ExternalName Service: clusters of its own that resolve the name, or hosts
//! that lead to the clusters of the Service it stands for. It has no frontends and no slices
//! (Service rules 1, 55, 121).

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::Context;
use super::clusters::{mesh_cluster, port_key};
use super::hosts::Host;
use crate::model::{AppProtocol, Family, Kind, Protocol, Service, ServiceKey, ServicePort};
use crate::names::{ClusterName, PortKey};
use crate::policy::external_name::{Refusal, Step, step};
use crate::policy::frontends::is_stream;

/// The port of an ExternalName Service that lists none.
const HTTP: NonZeroU16 = NonZeroU16::MIN.saturating_add(79);

/// How many aliases in a row are followed.
const MAX_DEPTH: usize = 8;

/// Where an ExternalName Service leads in the end.
#[derive(Clone, Debug)]
pub(crate) enum ExternalTarget {
    /// To a name outside of the cluster.
    Dns(Arc<str>),
    /// To another Service.
    Service(Arc<Service>),
}

/// What becomes of an ExternalName Service.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExternalNamePlan {
    /// Why it leads nowhere. A name that is no name at all was refused when it was read.
    pub refusal: Option<Refusal>,
    pub clusters: Vec<DnsCluster>,
    pub hosts: Vec<Host>,
    /// The Service it stands for, and the ports that this one lacks: their indices and numbers.
    pub missing: Option<(ServiceKey, Vec<(usize, NonZeroU16)>)>,
}

/// A cluster whose endpoints are all addresses of a name.
#[derive(Clone, Debug)]
pub(crate) struct DnsCluster {
    pub name: ClusterName,
    pub protocol: AppProtocol,
    pub host: Arc<str>,
}

/// Plans an ExternalName Service.
pub(crate) fn plan(context: &Context<'_>, service: &Service) -> ExternalNamePlan {
    match follow(context, service) {
        None => ExternalNamePlan::default(),
        Some(Err(refusal)) => ExternalNamePlan {
            refusal: Some(refusal),
            ..ExternalNamePlan::default()
        },
        Some(Ok(ExternalTarget::Dns(name))) => outside(service, &name),
        Some(Ok(ExternalTarget::Service(target))) => inside(service, &target),
    }
}

/// Follows an ExternalName to its end. `None`: the name itself is unusable, which its reading has
/// reported.
fn follow(context: &Context<'_>, service: &Service) -> Option<Result<ExternalTarget, Refusal>> {
    let (index, options) = (context.index, context.options);
    let mut seen = BTreeSet::from([service.key.clone()]);
    let mut next = step(service, options)?;
    loop {
        let key = match next {
            Ok(Step::Dns(name)) => return Some(Ok(ExternalTarget::Dns(name.clone()))),
            Ok(Step::Service(key)) => key,
            Err(refusal) => return Some(Err(refusal)),
        };
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
        next = step;
    }
}

/// A name outside of the cluster: the port asked for is the port used, the host asked for is
/// replaced.
fn outside(service: &Service, host: &Arc<str>) -> ExternalNamePlan {
    let ports = service.ports.iter().filter(|port| is_stream(port));
    let ports = ports.map(|port| (port_key(service, port), port.app_protocol));
    let mut ports: Vec<(PortKey, AppProtocol)> = ports.collect();
    if service.ports.is_empty() {
        let port = PortKey {
            service: service.key.clone(),
            number: HTTP,
            protocol: Protocol::Tcp,
        };
        ports.push((port, AppProtocol::Http1));
    }
    let mut plan = ExternalNamePlan::default();
    for (port, protocol) in ports {
        let name = ClusterName {
            port: port.clone(),
            local: false,
            family: Family::V4,
        };
        plan.hosts.push(Host {
            port,
            cluster: name.to_string().into(),
            sticky: false,
            rewrite: Some(host.clone()),
        });
        plan.clusters.push(DnsCluster {
            name,
            protocol,
            host: host.clone(),
        });
    }
    plan
}

/// An alias: the clusters are those of the target, by port number. One that lists no ports has all
/// of the target's.
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
                sticky: target.affinity.is_some(),
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
