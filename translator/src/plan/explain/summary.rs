//! The summary of a Service in one line: what it is, where it is asked for, how many endpoints it
//! has, and whether it is served.
//!
//! It is made of the plan that the messages are made of, while these are made. It is that of the
//! whole cluster: what holds for a single node or zone alone is shown by an explanation.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Reason;
use crate::model::{Condition, Exposure, Family, Kind, Protocol, Service, ServicePort};
use crate::place::choose::any_usable;
use crate::place::endpoints::{PortEndpoints, is_used};
use crate::plan::frontends::{FrontendPlan, Verdict};
use crate::plan::service::{Endpoints, ServicePlan};
use crate::plan::{Context, external_name};
use crate::policy::frontends::{self, is_served, is_stream};

/// A Service in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSummary {
    /// The type of the Service.
    #[serde(rename = "type")]
    pub kind: ServiceType,
    /// The addresses that it asks for, each once: cluster IPs, load-balancer and external IPs; of
    /// an ExternalName the name. Node ports are among the ports.
    pub addresses: Box<[Box<str>]>,
    /// The ports: `http:80`, `dns:53/UDP`, `80` without a name; with a node port `http:80:30080`.
    pub ports: Box<[Box<str>]>,
    /// How many of the endpoints are ready.
    pub ready: u32,
    /// How many endpoints the EndpointSlices of the Service have, by their addresses. A pod of two
    /// families is one.
    pub endpoints: u32,
    /// Whether the Service is served.
    pub served: Served,
    /// The reason why it is not, or only partly; never set where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Unserved>,
}

/// The type of a Service as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ServiceType {
    /// A Service with a cluster IP and no node ports.
    ClusterIP,
    /// A Service with a cluster IP and node ports.
    NodePort,
    /// A Service before which there is a load balancer.
    LoadBalancer,
    /// A Service that is another name for something.
    ExternalName,
    /// A Service without a cluster IP, which has no addresses and is served by name only.
    Headless,
}

/// Whether something is served.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Served {
    /// Nothing of it is served.
    #[default]
    No,
    /// A part of what is asked for is served.
    Partly,
    /// All that is asked for is served.
    Yes,
}

/// The reason why something that a Service asks for is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unserved {
    /// The Service has no ports.
    NoPorts,
    /// The Service has no cluster IP, although it is not a headless one.
    NoClusterIp,
    /// A headless Service has no addresses, and it has no TCP port that mesh proxies would serve by
    /// name.
    HeadlessHasNoAddress,
    /// The protocol of the port is not one that is served.
    UnsupportedProtocol,
    /// Another Service has the address and port.
    AddressTaken,
    /// The Service may not have the address.
    AddressRefused,
    /// No EndpointSlice of the Service has an endpoint.
    NoEndpoints,
    /// No EndpointSlice of the Service has an endpoint of the address's family.
    NoEndpointsOfFamily,
    /// No EndpointSlice of the Service has the port, by its name and protocol.
    NoEndpointPort,
    /// The addresses of all endpoints are ones that endpoints may not have.
    EndpointsRefused,
    /// No endpoint is ready, nor serves while it terminates.
    NoReadyEndpoints,
    /// The name is not one of DNS.
    InvalidExternalName,
    /// The name is not allowed.
    ExternalNameRefused,
    /// The name leads back to itself, or through too many Services.
    ExternalNameLoop,
    /// The name is that of a Service, or a port of one, that is not served.
    ExternalNameUnresolved,
}

impl Served {
    /// The word as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Served::No => "no",
            Served::Partly => "partly",
            Served::Yes => "yes",
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ServiceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ServiceType::ClusterIP => "ClusterIP",
            ServiceType::NodePort => "NodePort",
            ServiceType::LoadBalancer => "LoadBalancer",
            ServiceType::ExternalName => "ExternalName",
            ServiceType::Headless => "Headless",
        })
    }
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Unserved::NoPorts => "NoPorts",
            Unserved::NoClusterIp => "NoClusterIp",
            Unserved::HeadlessHasNoAddress => "HeadlessHasNoAddress",
            Unserved::UnsupportedProtocol => "UnsupportedProtocol",
            Unserved::AddressTaken => "AddressTaken",
            Unserved::AddressRefused => "AddressRefused",
            Unserved::NoEndpoints => "NoEndpoints",
            Unserved::NoEndpointsOfFamily => "NoEndpointsOfFamily",
            Unserved::NoEndpointPort => "NoEndpointPort",
            Unserved::EndpointsRefused => "EndpointsRefused",
            Unserved::NoReadyEndpoints => "NoReadyEndpoints",
            Unserved::InvalidExternalName => "InvalidExternalName",
            Unserved::ExternalNameRefused => "ExternalNameRefused",
            Unserved::ExternalNameLoop => "ExternalNameLoop",
            Unserved::ExternalNameUnresolved => "ExternalNameUnresolved",
        })
    }
}

/// The summary of any Service, for which it is planned once more.
pub(crate) fn of_any(context: &Context<'_>, service: &Service) -> ServiceSummary {
    if matches!(service.kind, Kind::ExternalName(_)) {
        let plan = external_name::plan(context, service);
        return of_external_name(service, &plan);
    }
    let plan = ServicePlan::new(context, service);
    of_service(context, service, &plan)
}

/// The summary of a Service with endpoints of its own, from its plan.
pub(crate) fn of_service(
    context: &Context<'_>,
    service: &Service,
    plan: &ServicePlan<'_>,
) -> ServiceSummary {
    let (ready, total) = count(context, service);
    let (served, why) = match service.kind {
        Kind::Headless | Kind::WithoutIp => by_name_only(context, service, &plan.endpoints),
        _ => at_addresses(context, service, &plan.frontends, &plan.endpoints),
    };
    ServiceSummary {
        kind: service_type(service),
        addresses: addresses(service),
        ports: ports(service),
        ready,
        endpoints: total,
        served,
        why,
    }
}

/// The summary of a Service of type ExternalName, from its plan.
pub(crate) fn of_external_name(
    service: &Service,
    plan: &external_name::ExternalNamePlan,
) -> ServiceSummary {
    let name = match &service.kind {
        Kind::ExternalName(name) => name.as_deref(),
        _ => None,
    };
    let refused = plan.refusal.as_ref().map(|refusal| match refusal.reason() {
        Reason::ExternalNameRefused => Unserved::ExternalNameRefused,
        Reason::ExternalNameLoop => Unserved::ExternalNameLoop,
        _ => Unserved::ExternalNameUnresolved,
    });
    let invalid = name.is_none().then_some(Unserved::InvalidExternalName);
    let missing = plan.missing.as_ref();
    let missing = missing.map(|_| Unserved::ExternalNameUnresolved);
    let none = plan.hosts.is_empty().then_some(Unserved::NoPorts);
    let why = invalid.or(refused).or(missing).or(none);
    ServiceSummary {
        kind: ServiceType::ExternalName,
        addresses: name.into_iter().map(Box::from).collect(),
        ports: ports(service),
        ready: 0,
        endpoints: 0,
        served: match (why, plan.hosts.is_empty()) {
            (None, _) => Served::Yes,
            (Some(_), false) => Served::Partly,
            (Some(_), true) => Served::No,
        },
        why,
    }
}

fn service_type(service: &Service) -> ServiceType {
    match (&service.kind, &service.exposure) {
        (Kind::ExternalName(_), _) => ServiceType::ExternalName,
        (_, Exposure::LoadBalancer(_)) => ServiceType::LoadBalancer,
        (_, Exposure::NodePort) => ServiceType::NodePort,
        (Kind::Headless, Exposure::ClusterIp) => ServiceType::Headless,
        (Kind::ClusterIp | Kind::WithoutIp, Exposure::ClusterIp) => ServiceType::ClusterIP,
    }
}

fn addresses(service: &Service) -> Box<[Box<str>]> {
    let external = service.lb_ips.iter().chain(&service.external_ips);
    let all = service.cluster_ips.iter().copied();
    let mut addresses: Vec<IpAddr> = Vec::with_capacity(service.cluster_ips.len());
    for ip in all.chain(external.map(|(_, ip)| *ip)) {
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    let texts = addresses.into_iter().map(|ip| ip.to_string().into());
    texts.collect()
}

fn ports(service: &Service) -> Box<[Box<str>]> {
    service.ports.iter().map(|port| text(port).into()).collect()
}

fn text(port: &ServicePort) -> String {
    let mut text = String::with_capacity(port.name.len() + 12);
    if !port.name.is_empty() {
        text.push_str(&port.name);
        text.push(':');
    }
    // Writing to a string never fails.
    let _ = write!(text, "{}", port.number);
    if let Some(node_port) = port.node_port {
        let _ = write!(text, ":{node_port}");
    }
    if port.protocol != Protocol::Tcp {
        let _ = write!(text, "/{}", port.protocol);
    }
    text
}

/// How many endpoints are ready, and how many there are: each address counts once, and the family
/// with more of them.
fn count(context: &Context<'_>, service: &Service) -> (u32, u32) {
    let slices = context.index.slices(&service.key);
    let used = slices.filter(|slice| is_used(slice, service));
    let endpoints = used.flat_map(|slice| &slice.endpoints);
    let mut all: Vec<(IpAddr, Condition)> = endpoints.map(|e| (e.ip, e.condition)).collect();
    // Of several entries for one address the best comes first.
    all.sort_unstable();
    all.dedup_by_key(|(ip, _)| *ip);
    let mut counts: BTreeMap<Family, (u32, u32)> = BTreeMap::new();
    for (ip, condition) in all {
        let (ready, total) = counts.entry(Family::of(ip)).or_default();
        *ready += u32::from(condition == Condition::Ready);
        *total += 1;
    }
    let most = counts
        .into_values()
        .max_by_key(|(ready, all)| (*all, *ready));
    most.unwrap_or_default()
}

/// Whether a Service with a cluster IP is served at all the addresses that it asks for.
fn at_addresses(
    context: &Context<'_>,
    service: &Service,
    frontends: &[FrontendPlan],
    endpoints: &Endpoints<'_>,
) -> (Served, Option<Unserved>) {
    let mut any = false;
    let mut why = service.ports.is_empty().then_some(Unserved::NoPorts);
    for FrontendPlan { frontend, verdict } in frontends {
        let reason = match verdict {
            Verdict::Served | Verdict::Answered => {
                any = true;
                continue;
            }
            Verdict::Taken(winner) if winner.service == service.key => continue,
            Verdict::Twice => continue,
            Verdict::Taken(_) => Unserved::AddressTaken,
            Verdict::SystemPort => Unserved::AddressRefused,
            Verdict::NoEndpoint => {
                let of = (frontend.port, Family::of(frontend.ip));
                without_endpoint(context, service, of.1, endpoints.get(&of))
            }
        };
        why.get_or_insert(reason);
    }
    if !frontends::refused(service, context.options).is_empty() {
        why.get_or_insert(Unserved::AddressRefused);
    }
    if !service.ports.iter().all(is_served) {
        why.get_or_insert(Unserved::UnsupportedProtocol);
    }
    verdict(any, why)
}

/// Whether a Service without a cluster IP is served by its name.
fn by_name_only(
    context: &Context<'_>,
    service: &Service,
    endpoints: &Endpoints<'_>,
) -> (Served, Option<Unserved>) {
    let family = service.primary_family;
    let mut any = false;
    let mut why = match (&service.kind, &service.exposure) {
        (Kind::Headless, Exposure::ClusterIp) => None,
        _ => Some(Unserved::NoClusterIp),
    };
    for (at, port) in service.ports.iter().enumerate() {
        let of_port = endpoints.get(&(at, family));
        let reason = match of_port {
            _ if !is_stream(port) => continue,
            Some(of_port) if is_usable(of_port) => {
                any = true;
                continue;
            }
            _ => without_endpoint(context, service, family, of_port),
        };
        why.get_or_insert(reason);
    }
    if !any && !service.ports.iter().any(is_stream) {
        why.get_or_insert(match service.ports.is_empty() {
            true => Unserved::NoPorts,
            false => Unserved::HeadlessHasNoAddress,
        });
    }
    verdict(any, why)
}

fn verdict(any: bool, why: Option<Unserved>) -> (Served, Option<Unserved>) {
    match (any, why) {
        (true, None) => (Served::Yes, None),
        (true, why) => (Served::Partly, why),
        (false, why) => (Served::No, why.or(Some(Unserved::NoPorts))),
    }
}

fn is_usable(of_port: &PortEndpoints<'_>) -> bool {
    any_usable(&of_port.candidates)
}

/// The reason why a port of a Service has no usable endpoint of a family.
pub(super) fn without_endpoint(
    context: &Context<'_>,
    service: &Service,
    family: Family,
    of_port: Option<&PortEndpoints<'_>>,
) -> Unserved {
    if of_port.is_some_and(|of_port| !of_port.candidates.is_empty()) {
        return Unserved::NoReadyEndpoints;
    }
    if of_port.is_some_and(|of_port| !of_port.left_out.is_empty()) {
        return Unserved::EndpointsRefused;
    }
    let slices = context.index.slices(&service.key);
    let used = slices.filter(|slice| is_used(slice, service));
    let mut endpoints = used.flat_map(|slice| &slice.endpoints).peekable();
    if endpoints.peek().is_none() {
        return Unserved::NoEndpoints;
    }
    match endpoints.any(|endpoint| Family::of(endpoint.ip) == family) {
        true => Unserved::NoEndpointPort,
        false => Unserved::NoEndpointsOfFamily,
    }
}
