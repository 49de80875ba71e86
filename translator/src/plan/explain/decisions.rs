//! The explanation of a Service for people: every frontend and every endpoint once, each with the
//! verdict on it and the field that decided.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::model::{Endpoint, EndpointSlice, Family, Protocol, Service, ServiceKey};
use crate::names::{ClusterName, FrontendKind};
use crate::place::choose::{Place, decider};
use crate::place::endpoints::{EndpointExclusion, is_used};
use crate::plan::Context;
use crate::plan::clusters::{choice, set};
use crate::plan::frontends::Verdict;
use crate::plan::service::ServicePlan;
use crate::policy::frontends::{self, Refusal};

pub use crate::place::choose::Decider;
pub use crate::policy::endpoint_addresses::RefusedAddress;

/// Why a Service is served as it is, seen by a proxy on one node and in one zone: the verdict on
/// each of its frontends and endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// One decision per address and port that the Service asks for; the addresses that it may not
    /// have come last.
    pub frontends: Vec<FrontendDecision>,
    /// One decision per endpoint in the Service's EndpointSlices, in the order of the slices and of
    /// their lists.
    pub endpoints: Vec<EndpointDecision>,
}

/// One address of a Service port (a cluster IP, an external IP, a load-balancer ingress IP or a
/// node port) and the verdict on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendDecision {
    /// The kind of address: cluster IP, external IP, load-balancer ingress IP or node port.
    pub kind: FrontendKind,
    /// The IP address; a node port has the wildcard address of its family.
    pub ip: IpAddr,
    /// The port number and the protocol; `None` if the verdict is on all ports of the address.
    pub port: Option<(u16, Protocol)>,
    /// The manifest field that asks for this address.
    pub field: String,
    /// Whether the address is served, or why not.
    pub verdict: FrontendVerdict,
}

/// Whether an address of a Service is served, or the reason why it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrontendVerdict {
    /// The address has listeners.
    Served,
    /// The Service has no cluster IP of the address's family.
    NoFamily,
    /// `--external-ips` does not allow the address.
    NotAllowed,
    /// The address is a Node's own, and the port is one of the node's system, such as SSH.
    SystemPort,
    /// This other Service asks for the same address and port and takes precedence.
    Taken(ServiceKey),
    /// The Service has the same address a second time, maybe as another kind of address.
    Twice,
    /// The Service port has no usable endpoint on any node.
    NoEndpoint,
    /// The address is a Node's own, and an endpoint of the Service itself listens there at the same
    /// port.
    Answered,
}

/// One endpoint of an EndpointSlice and the verdict on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointDecision {
    /// The name of the endpoint's EndpointSlice.
    pub slice: Arc<str>,
    /// The endpoint's index in the slice's `endpoints` list.
    pub index: u32,
    /// The endpoint's IP address.
    pub ip: IpAddr,
    /// The verdict on the endpoint; of several Service ports, the best one counts.
    pub verdict: EndpointVerdict,
    /// The clusters that have the endpoint among their candidates, sorted by name.
    pub uses: Vec<EndpointUse>,
}

/// One cluster that has an endpoint among its candidates, and the priority in which it holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUse {
    /// The name of the cluster.
    pub cluster: ClusterName,
    /// The IP address and the port on which the endpoint listens.
    pub address: SocketAddr,
    /// The endpoint's priority in the assignment; `None` if the assignment lacks it at this place.
    pub priority: Option<usize>,
    /// The field of the endpoint by which it was chosen or was not.
    pub by: Decider,
}

/// Whether an endpoint gets traffic, or the reason why it does not; a better verdict is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EndpointVerdict {
    /// The endpoint is in the assignment of a cluster, because of this field.
    Chosen(Decider),
    /// The endpoint is a candidate, but this field keeps it out of the assignment at this place.
    NotChosen(Decider),
    /// Another entry for the same address and port takes precedence.
    Shadowed,
    /// The endpoint's address is one of a Service or of the mesh listener, where a proxy would be
    /// met again.
    IsService,
    /// The endpoint's address is of a class that endpoints may not have, such as link-local.
    Refused(RefusedAddress),
    /// The EndpointSlice has no port with the name and protocol of a Service port.
    NoPort,
    /// The Service has no cluster for endpoints of this IP family.
    NoFamily,
    /// The EndpointSlice is labelled as that of a headless Service, and the Service has a cluster
    /// IP.
    HeadlessSlice,
    /// The Service is of type ExternalName and uses no endpoints.
    ExternalName,
}

impl EndpointVerdict {
    /// The manifest field that decided, relative to the endpoint or else to the EndpointSlice.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            EndpointVerdict::Chosen(by) | EndpointVerdict::NotChosen(by) => by.field(),
            EndpointVerdict::Shadowed
            | EndpointVerdict::IsService
            | EndpointVerdict::Refused(_)
            | EndpointVerdict::NoFamily => "addresses[0]",
            EndpointVerdict::NoPort => "ports",
            EndpointVerdict::HeadlessSlice => "metadata.labels[service.kubernetes.io/headless]",
            EndpointVerdict::ExternalName => "metadata.labels[kubernetes.io/service-name]",
        }
    }
}

/// The facts about one endpoint, gathered over all ports of its Service.
#[derive(Default)]
struct AtPorts {
    left_out: Option<EndpointExclusion>,
    uses: Vec<EndpointUse>,
}

/// Explains a Service of which `plan` was made, for a proxy at this place.
pub(crate) fn explain(
    context: &Context<'_>,
    service: &Service,
    plan: &ServicePlan<'_>,
    place: Place<'_>,
) -> Explanation {
    let mut known = at_ports(service, plan, place);
    let mut endpoints = Vec::new();
    for slice in context.index.slices(&service.key) {
        for endpoint in &slice.endpoints {
            let AtPorts { left_out, uses } = known
                .remove(&std::ptr::from_ref(endpoint))
                .unwrap_or_default();
            let verdict = best(&uses).or_else(|| left_out.map(of_left_out));
            let verdict = verdict.unwrap_or_else(|| unknown(service, plan, slice, endpoint));
            endpoints.push(decision(slice, endpoint, verdict, uses));
        }
    }
    Explanation {
        frontends: of_frontends(context, service, plan),
        endpoints,
    }
}

/// Explains a Service of type ExternalName: all its endpoints are unused.
pub(crate) fn explain_external_name(context: &Context<'_>, service: &Service) -> Explanation {
    let slices = context.index.slices(&service.key);
    let endpoints = slices.flat_map(|slice| {
        let each = slice.endpoints.iter();
        each.map(|endpoint| decision(slice, endpoint, EndpointVerdict::ExternalName, Vec::new()))
    });
    Explanation {
        frontends: Vec::new(),
        endpoints: endpoints.collect(),
    }
}

fn decision(
    slice: &EndpointSlice,
    endpoint: &Endpoint,
    verdict: EndpointVerdict,
    uses: Vec<EndpointUse>,
) -> EndpointDecision {
    EndpointDecision {
        slice: slice.name.clone(),
        index: endpoint.index,
        ip: endpoint.ip,
        verdict,
        uses,
    }
}

/// Gathers the facts about each endpoint in the plan; the key is the endpoint's address in memory.
fn at_ports(
    service: &Service,
    plan: &ServicePlan<'_>,
    place: Place<'_>,
) -> BTreeMap<*const Endpoint, AtPorts> {
    let mut known: BTreeMap<*const Endpoint, AtPorts> = BTreeMap::new();
    for (candidate, why) in plan
        .endpoints
        .values()
        .flat_map(|of_port| &of_port.left_out)
    {
        let at = known
            .entry(std::ptr::from_ref(candidate.endpoint))
            .or_default();
        at.left_out = at.left_out.into_iter().chain([*why]).max();
    }
    for cluster in &plan.clusters {
        let candidates = plan.candidates(cluster);
        let set = set(service, &cluster.name);
        let priorities = choice(&service.ports[cluster.port])(candidates, place, set);
        for (position, candidate) in candidates.iter().enumerate() {
            let at = known
                .entry(std::ptr::from_ref(candidate.endpoint))
                .or_default();
            at.uses.push(EndpointUse {
                cluster: cluster.name.clone(),
                address: candidate.address,
                priority: priorities.iter().position(|all| all.contains(&position)),
                by: decider(candidates, place, set, position),
            });
        }
    }
    known
}

fn best(uses: &[EndpointUse]) -> Option<EndpointVerdict> {
    let verdict = |of: &EndpointUse| match of.priority {
        Some(_) => EndpointVerdict::Chosen(of.by),
        None => EndpointVerdict::NotChosen(of.by),
    };
    uses.iter().map(verdict).min()
}

fn of_left_out(why: EndpointExclusion) -> EndpointVerdict {
    match why {
        EndpointExclusion::Refused(what) => EndpointVerdict::Refused(what),
        EndpointExclusion::IsService => EndpointVerdict::IsService,
        EndpointExclusion::Shadowed => EndpointVerdict::Shadowed,
    }
}

/// The verdict on an endpoint that no port of the plan has, not even among those left out.
fn unknown(
    service: &Service,
    plan: &ServicePlan<'_>,
    slice: &EndpointSlice,
    endpoint: &Endpoint,
) -> EndpointVerdict {
    if !is_used(slice, service) {
        return EndpointVerdict::HeadlessSlice;
    }
    let family = Family::of(endpoint.ip);
    let mut planned = plan.endpoints.keys();
    if planned.any(|(_, of)| *of == family) {
        EndpointVerdict::NoPort
    } else {
        EndpointVerdict::NoFamily
    }
}

fn of_frontends(
    context: &Context<'_>,
    service: &Service,
    plan: &ServicePlan<'_>,
) -> Vec<FrontendDecision> {
    let planned = plan.frontends.iter().map(|plan| {
        let frontend = &plan.frontend;
        FrontendDecision {
            kind: frontend.kind,
            ip: frontend.ip,
            port: Some((frontend.listen.get(), service.ports[frontend.port].protocol)),
            field: frontend.field(service),
            verdict: match &plan.verdict {
                Verdict::SystemPort => FrontendVerdict::SystemPort,
                Verdict::Taken(winner) if winner.service == service.key => FrontendVerdict::Twice,
                Verdict::Taken(winner) => FrontendVerdict::Taken(winner.service.clone()),
                Verdict::NoEndpoint => FrontendVerdict::NoEndpoint,
                Verdict::Answered => FrontendVerdict::Answered,
                Verdict::Twice => FrontendVerdict::Twice,
                Verdict::Served => FrontendVerdict::Served,
            },
        }
    });
    let refused = frontends::refused(service, context.options).into_iter();
    let refused = refused.map(|refused| FrontendDecision {
        kind: refused.kind,
        ip: refused.ip,
        port: None,
        field: frontends::address_field(refused.kind, refused.index),
        verdict: match refused.why {
            Refusal::NoFamily => FrontendVerdict::NoFamily,
            Refusal::NotAllowed => FrontendVerdict::NotAllowed,
        },
    });
    planned.chain(refused).collect()
}
