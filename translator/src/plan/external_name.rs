//! The plan of a Service of type ExternalName: clusters that resolve the name by DNS, or virtual
//! hosts that route to the clusters of the Service of which it is an alias. It has no frontends and
//! no slices (Service rules 1, 55, 121).

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
}

/// Plans a Service of type ExternalName.
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

/// Follows an ExternalName through aliases to its end. `None`: the name is invalid, which was
/// reported when it was read.
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

/// The plan for a DNS name outside of the Kubernetes cluster: requests go to the port that was
/// asked for, with this name as their host.
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
