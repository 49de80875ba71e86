//! The addresses under which a Service is to be reached from the data plane: Service rules 1 and 6
//! to 15.
//!
//! Which of them it really gets is decided against the claims of all other Services
//! (`index/claims_by_address.rs`) and by whether there is an endpoint to lead to
//! (`plan/service.rs`).

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::node_ports;
use crate::Options;
use crate::model::{Family, Kind, Policy, Protocol, Service, ServicePort};
use crate::names::FrontendKind;

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
            FrontendKind::NodePort => {
                format!("spec.ports[{}].nodePort", service.ports[self.port].index)
            }
            kind => address_field(kind, self.index),
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

/// The field of the manifest with this address of a kind that all ports have.
pub(crate) fn address_field(kind: FrontendKind, index: usize) -> String {
    match kind {
        FrontendKind::ClusterIp if index == 0 => "spec.clusterIP".to_owned(),
        FrontendKind::ClusterIp => format!("spec.clusterIPs[{index}]"),
        FrontendKind::LoadBalancer => format!("status.loadBalancer.ingress[{index}].ip"),
        FrontendKind::ExternalIp => format!("spec.externalIPs[{index}]"),
        FrontendKind::NodePort => "spec.ports".to_owned(),
        FrontendKind::HealthCheck => "spec.healthCheckNodePort".to_owned(),
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
                    family.wildcard(),
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

/// Without a cluster IP of a family a Service has no frontend of that family at all (Service rule
/// 6).
fn has_family(service: &Service, ip: IpAddr) -> bool {
    let family = Family::of(ip);
    service
        .cluster_ips
        .iter()
        .any(|ip| Family::of(*ip) == family)
}

/// An address that a Service asks for and cannot have, whatever other Services claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedFrontend {
    /// What kind of address.
    pub kind: FrontendKind,
    /// Its position in the manifest's list.
    pub index: usize,
    pub ip: IpAddr,
    pub why: Refusal,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The Service has no cluster IP of its family.
    NoFamily,
    /// `--external-ips` does not allow it.
    NotAllowed,
}

/// The addresses that the Service asks for and cannot have. One may be refused for both reasons.
pub(crate) fn refused(service: &Service, options: &Options) -> Vec<RefusedFrontend> {
    if service.kind != Kind::ClusterIp {
        return Vec::new();
    }
    let refused = |kind, why| {
        move |(index, ip): &(usize, IpAddr)| RefusedFrontend {
            kind,
            index: *index,
            ip: *ip,
            why,
        }
    };
    let no_family = |(_, ip): &&(usize, IpAddr)| !has_family(service, *ip);
    let external = service.external_ips.iter().filter(no_family);
    let external = external.map(refused(FrontendKind::ExternalIp, Refusal::NoFamily));
    let lb = service.lb_ips.iter().filter(no_family);
    let lb = lb.map(refused(FrontendKind::LoadBalancer, Refusal::NoFamily));
    let forbidden = service.external_ips.iter();
    let forbidden = forbidden.filter(|(_, ip)| !options.external_ips.allow(*ip));
    let forbidden = forbidden.map(refused(FrontendKind::ExternalIp, Refusal::NotAllowed));
    external.chain(lb).chain(forbidden).collect()
}

/// The families in which its node ports are open on all addresses although ranges are given, none
/// of that family (Service rule 23).
pub(crate) fn unrestricted(service: &Service, options: &Options) -> impl Iterator<Item = Family> {
    let families = service.cluster_ips.iter().map(|ip| Family::of(*ip));
    let any = service.kind == Kind::ClusterIp
        && service.ports.iter().any(|port| port.node_port.is_some());
    families.filter(move |family| any && node_ports::is_forgotten(options, *family))
}
