//! Frontends: the addresses and ports on which the data plane is to serve a Service: Service rules
//! 1 and 6 to 15.
//!
//! Which of them it really gets is decided against the claims of all other Services
//! (`index/claims_by_address.rs`) and by whether there is an endpoint to lead to
//! (`plan/service.rs`).

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use super::node_ports;
use crate::Options;
use crate::model::{Family, Kind, Policy, Protocol, Service, ServicePort};
use crate::names::FrontendKind;

/// One address of one Service port: a cluster IP, an external IP, a load-balancer ingress IP or a
/// node port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frontend {
    /// The kind of address.
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
    /// The manifest field that asks for this address.
    pub(crate) fn field(&self, service: &Service) -> String {
        match self.kind {
            FrontendKind::NodePort => {
                format!("spec.ports[{}].nodePort", service.ports[self.port].index)
            }
            kind => address_field(kind, self.index),
        }
    }

    /// The traffic policy that applies to the frontend: internal or external (Service rule 71).
    pub(crate) fn policy(&self, service: &Service) -> Policy {
        match self.kind {
            FrontendKind::ClusterIp => service.internal_policy,
            _ => service.external_policy,
        }
    }
}

/// The manifest field with the address of this kind at this index.
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

/// Whether a port can have listeners: not with SCTP, which Envoy does not speak (Service rule 104).
pub(crate) fn is_served(port: &ServicePort) -> bool {
    port.protocol != Protocol::Sctp
}

/// Whether a port is TCP, so that mesh proxies can route HTTP requests to it.
pub(crate) fn is_stream(port: &ServicePort) -> bool {
    port.protocol == Protocol::Tcp
}

/// All frontends of a Service: every address of every port that can have listeners.
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

/// The addresses that all ports of the Service have: all but node ports.
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

/// Whether the Service has a cluster IP of this address's family: without one it has no frontend of
/// that family at all (Service rule 6).
fn has_family(service: &Service, ip: IpAddr) -> bool {
    let family = Family::of(ip);
    service
        .cluster_ips
        .iter()
        .any(|ip| Family::of(*ip) == family)
}

/// An address that a Service may not have, whatever other Services claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedFrontend {
    /// The kind of address.
    pub kind: FrontendKind,
    /// The position of the address in its list in the manifest.
    pub index: usize,
    pub ip: IpAddr,
    /// The reason why the Service may not have it.
    pub why: Refusal,
}

/// The reason why a Service may not have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The Service has no cluster IP of the address's family.
    NoFamily,
    /// `--external-ips` does not allow the address.
    NotAllowed,
}

/// Displays as the reason, in words.
impl fmt::Display for RefusedFrontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Refusal::NoFamily => {
                let family = Family::of(self.ip);
                write!(f, "the Service has no cluster IP of family {family}")
            }
            Refusal::NotAllowed => f.write_str("--external-ips does not allow it"),
        }
    }
}

/// The addresses that the Service may not have. One address may be refused for both reasons.
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

/// The IP families in which the Service's node ports are open on all addresses because
/// `--nodeport-addresses` has ranges of the other family only (Service rule 23).
pub(crate) fn unrestricted(service: &Service, options: &Options) -> impl Iterator<Item = Family> {
    let families = service.cluster_ips.iter().map(|ip| Family::of(*ip));
    let any = service.kind == Kind::ClusterIp
        && service.ports.iter().any(|port| port.node_port.is_some());
    families.filter(move |family| any && node_ports::is_forgotten(options, *family))
}
