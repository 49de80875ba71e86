//! The addresses under which a Service is to be reached from the data plane: Service rules 1 and 6 to 15.
//!
//! Which of them it really gets is decided against the claims of all other Services (`index/claims.rs`) and by whether there is an
//! endpoint to lead to (`service.rs`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use crate::model::{Family, Kind, Policy, Protocol, Service, ServicePort};
use crate::names::FrontendKind;
use crate::{Options, Problem, Reason, node_ports};

/// One address of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frontend {
    /// What kind of address.
    pub kind: FrontendKind,
    /// The address; a node port's is the wildcard of its family.
    pub ip: IpAddr,
    /// The port to listen on.
    pub listen: NonZeroU16,
    /// The position of the Service port in `Service::ports`.
    pub port: usize,
    /// The position of the address in its list in the manifest.
    pub index: usize,
}

impl Frontend {
    /// The field of the manifest that asks for it.
    pub(crate) fn field(&self, service: &Service) -> String {
        match self.kind {
            FrontendKind::ClusterIp if self.index == 0 => "spec.clusterIP".to_owned(),
            FrontendKind::ClusterIp => format!("spec.clusterIPs[{}]", self.index),
            FrontendKind::LoadBalancer => format!("status.loadBalancer.ingress[{}].ip", self.index),
            FrontendKind::ExternalIp => format!("spec.externalIPs[{}]", self.index),
            FrontendKind::HealthCheck => "spec.healthCheckNodePort".to_owned(),
            FrontendKind::NodePort => {
                format!("spec.ports[{}].nodePort", service.ports[self.port].index)
            }
        }
    }

    /// The policy that applies to its traffic (Service rule 71).
    pub(crate) fn policy(&self, service: &Service) -> Policy {
        match self.kind {
            FrontendKind::ClusterIp => service.internal_policy,
            _ => service.external_policy,
        }
    }
}

/// The wildcard address of a family.
pub(crate) fn wildcard(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// Whether this port can have listeners. Envoy does not speak SCTP (Service rule 104).
pub(crate) fn is_served(port: &ServicePort) -> bool {
    port.protocol != Protocol::Sctp
}

/// Whether clients of HTTP can be sent to this port.
pub(crate) fn is_stream(port: &ServicePort) -> bool {
    port.protocol == Protocol::Tcp
}

/// Every address of every port.
pub(crate) fn of_service(service: &Service, options: &Options) -> Vec<Frontend> {
    if service.kind != Kind::ClusterIp {
        return Vec::new();
    }
    let addresses = addresses(service, options);
    let mut frontends = Vec::new();
    for (position, port) in service
        .ports
        .iter()
        .enumerate()
        .filter(|(_, p)| is_served(p))
    {
        let frontend = |kind, index, ip, listen| Frontend {
            kind,
            ip,
            listen,
            port: position,
            index,
        };
        for (kind, index, ip) in &addresses {
            frontends.push(frontend(*kind, *index, *ip, port.number));
        }
        if let Some(node_port) = port.node_port {
            for family in service.cluster_ips.iter().map(|ip| Family::of(*ip)) {
                frontends.push(frontend(
                    FrontendKind::NodePort,
                    0,
                    wildcard(family),
                    node_port,
                ));
            }
        }
    }
    frontends
}

/// The addresses that every port of the Service has.
fn addresses(service: &Service, options: &Options) -> Vec<(FrontendKind, usize, IpAddr)> {
    let cluster_ips = service.cluster_ips.iter().enumerate();
    let lb_ips = service.lb_ips.iter();
    let external_ips = service
        .external_ips
        .iter()
        .filter(|(_, ip)| options.external_ips.allow(*ip));
    let lb_ips = lb_ips.map(|(i, ip)| (FrontendKind::LoadBalancer, *i, *ip));
    let external_ips = external_ips.map(|(i, ip)| (FrontendKind::ExternalIp, *i, *ip));
    cluster_ips
        .map(|(i, ip)| (FrontendKind::ClusterIp, i, *ip))
        .chain(
            lb_ips
                .chain(external_ips)
                .filter(|(_, _, ip)| has_family(service, *ip)),
        )
        .collect()
}

/// Without a cluster IP of a family a Service has no frontend of that family at all (Service rule 6).
fn has_family(service: &Service, ip: IpAddr) -> bool {
    let family = Family::of(ip);
    service
        .cluster_ips
        .iter()
        .any(|ip| Family::of(*ip) == family)
}

/// What the Service asks for and cannot have, whatever other Services claim.
pub(crate) fn problems(service: &Service, options: &Options) -> Vec<Problem> {
    if service.kind != Kind::ClusterIp {
        return Vec::new();
    }
    let object = format!("Service {}", service.key);
    let error = |field: String, reason, message: String| {
        Problem::error(object.as_str(), field, reason, message)
    };
    let mut problems = Vec::new();
    let external = service.external_ips.iter();
    let external = external.map(|(i, ip)| (format!("spec.externalIPs[{i}]"), *ip));
    let lb = service.lb_ips.iter();
    let lb = lb.map(|(i, ip)| (format!("status.loadBalancer.ingress[{i}].ip"), *ip));
    for (field, ip) in external.clone().chain(lb) {
        if !has_family(service, ip) {
            let message = format!(
                "the Service has no cluster IP of family {}, so {ip} is not served",
                Family::of(ip)
            );
            problems.push(error(field, Reason::FrontendRefused, message));
        }
    }
    for (field, ip) in external.filter(|(_, ip)| !options.external_ips.allow(*ip)) {
        let message = format!("--external-ips does not allow {ip}");
        problems.push(error(field, Reason::FrontendRefused, message));
    }
    problems.extend(forgotten(service, options));
    problems
}

/// One warning per family, at the first node port.
fn forgotten(service: &Service, options: &Options) -> Vec<Problem> {
    let Some(port) = service.ports.iter().find(|port| port.node_port.is_some()) else {
        return Vec::new();
    };
    let families = service.cluster_ips.iter().map(|ip| Family::of(*ip));
    let forgotten = families.filter(|family| node_ports::is_forgotten(options, *family));
    let warn = |family| {
        Problem::warning(
            format!("Service {}", service.key),
            format!("spec.ports[{}].nodePort", port.index),
            Reason::NodePortUnrestricted,
            format!(
                "--nodeport-addresses has no {family} range: node ports are open on all {family} addresses"
            ),
        )
    };
    forgotten.map(warn).collect()
}
