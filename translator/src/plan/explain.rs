//! What was decided of a Service, as it is shown: every frontend and every endpoint once, each with
//! what decided.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Context;
use super::clusters::{choice, set};
use super::frontends::Verdict;
use super::service::ServicePlan;
use crate::model::{Endpoint, EndpointSlice, Family, Protocol, Service, ServiceKey};
use crate::names::{ClusterName, FrontendKind};
use crate::place::choose::{Place, decider};
use crate::place::endpoints::{LeftOut, is_used};
use crate::policy::frontends::{self, Refusal};

pub use crate::place::choose::Decider;
pub use crate::policy::endpoint_addresses::RefusedAddress;

/// What was decided of a Service, as a proxy at one place has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Every address it asks for, those that it cannot have last.
    pub frontends: Vec<FrontendDecision>,
    /// Every endpoint that a slice of it has, once, in the order of slices and their lists.
    pub endpoints: Vec<EndpointDecision>,
}

/// What becomes of an address of a Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendDecision {
    /// What kind of address.
    pub kind: FrontendKind,
    /// The address; a node port's is the wildcard address of its family.
    pub ip: IpAddr,
    /// Port and protocol; `None`: all ports.
    pub port: Option<(u16, Protocol)>,
    /// The field of the manifest that asks for it.
    pub field: String,
    /// What becomes of it.
    pub verdict: FrontendVerdict,
}

/// What becomes of a frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrontendVerdict {
    /// It has listeners.
    Served,
    /// The Service has no cluster IP of its family.
    NoFamily,
    /// `--external-ips` does not allow it.
    NotAllowed,
    /// A Node's own address, and a port of its system.
    SystemPort,
    /// This Service's claim is better.
    Taken(ServiceKey),
    /// The same Service has it as an address of another kind.
    Twice,
    /// No endpoint is usable anywhere.
    NoEndpoint,
    /// An endpoint of the Service listens at the very address.
    Answered,
}

/// What becomes of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointDecision {
    /// The name of its slice.
    pub slice: Arc<str>,
    /// Its index in `endpoints`.
    pub index: u32,
    /// Its address.
    pub ip: IpAddr,
    /// What becomes of it, over all ports: the best there is.
    pub verdict: EndpointVerdict,
    /// The clusters among whose endpoints it is, in the order of their names.
    pub uses: Vec<EndpointUse>,
}

/// An endpoint among those of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUse {
    /// The cluster.
    pub cluster: ClusterName,
    /// Where the endpoint listens.
    pub address: SocketAddr,
    /// In which priority it is; `None`: nobody is sent there from this place.
    pub priority: Option<usize>,
    /// By which field.
    pub by: Decider,
}

/// What becomes of an endpoint; the better one is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EndpointVerdict {
    /// Clients are sent there.
    Chosen(Decider),
    /// It could be, and others are chosen.
    NotChosen(Decider),
    /// Another entry for the same address is believed.
    Shadowed,
    /// Its address is that of a Service.
    IsService,
    /// Its address is nobody's endpoint.
    Refused(RefusedAddress),
    /// The slice has no port of the Service.
    NoPort,
    /// No cluster is for addresses of its family.
    NoFamily,
    /// The slice is one for the headless form of a Service.
    HeadlessSlice,
    /// A Service of type ExternalName has no endpoints.
    ExternalName,
}

impl EndpointVerdict {
    /// The field that decided, in the endpoint or else in the slice.
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

/// What is known of an endpoint at the ports of its Service.
#[derive(Default)]
struct AtPorts {
    left_out: Option<LeftOut>,
    uses: Vec<EndpointUse>,
}

/// Explains a Service of which this was planned, as it is seen from a place.
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

/// Explains a Service that has no endpoints of its own.
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

/// What the plan says of endpoints, each told from others by where it is.
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

fn of_left_out(why: LeftOut) -> EndpointVerdict {
    match why {
        LeftOut::Refused(what) => EndpointVerdict::Refused(what),
        LeftOut::IsService => EndpointVerdict::IsService,
        LeftOut::Shadowed => EndpointVerdict::Shadowed,
    }
}

/// Of an endpoint that the plan does not know.
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
