//! The verdicts on a Service's frontends: which of them it gets, and why it does not get the
//! others.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::model::{Family, Service, ServiceKey};
use crate::names::FrontendKind;
use crate::place::choose::any_usable;
use crate::place::endpoints::PortEndpoints;
use crate::policy::claims::{Address, Claim, claim};
use crate::policy::frontends::Frontend;
use crate::policy::system_ports;

/// Whether a frontend gets listeners, or the reason why it does not: the first that holds, in the
/// order of the variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The address is a Node's own and the port one of the node's system (Service rule 20).
    SystemPort,
    /// Another frontend has the better claim to the address (Service rule 18).
    Taken(Claim),
    /// No endpoint is usable on any node: the kernel is to refuse connections (Service rules 70,
    /// 76).
    NoEndpoint,
    /// The address is a Node's own, and an endpoint of the Service itself listens there at the same
    /// port.
    Answered,
    /// The Service has the same address of the same kind a second time.
    Twice,
    /// The frontend has listeners.
    Served,
}

impl Verdict {
    /// Why the frontend has no listeners, in words; `None`: it has some.
    pub(crate) fn why(&self) -> Option<String> {
        let why = match self {
            Verdict::SystemPort => {
                "the address is a Node's own, and the port one of the node's system"
            }
            Verdict::Taken(winner) => {
                let (by, kind) = (&winner.service, winner.kind.as_str());
                let why = format!("Service {by} has it as its {kind}, and the better claim");
                return Some(why);
            }
            Verdict::NoEndpoint => "no endpoint anywhere can take a connection",
            Verdict::Answered => "an endpoint of the Service listens there itself",
            Verdict::Twice => "the Service has the address a second time",
            Verdict::Served => return None,
        };
        Some(why.to_owned())
    }
}

/// A frontend of a Service and the verdict on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrontendPlan {
    pub frontend: Frontend,
    pub verdict: Verdict,
}

impl FrontendPlan {
    /// Whether mesh proxies have a listener of HTTP there where routes decide on the requests for
    /// the port: at cluster IPs, and if nobody else has the address. Routes may send requests to
    /// others than the endpoints of the Service.
    pub(crate) fn is_ruled_where_routed(&self) -> bool {
        let is_free = matches!(self.verdict, Verdict::Served | Verdict::NoEndpoint);
        is_free && self.frontend.kind == FrontendKind::ClusterIp
    }
}

/// An address that a Service asks for and another claim has won.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The position of the frontend among those of its Service.
    pub frontend: usize,
    /// The address that the other claim has won.
    pub address: Address,
    /// The Service with the better claim.
    pub winner: ServiceKey,
}

/// The conflict with the winner of an address; `None` if the winner is the same port of the same
/// Service, which is then served under another kind of address.
pub(super) fn conflict(
    service: &Service,
    (at, frontend): (usize, &Frontend),
    address: Address,
    winner: &Claim,
) -> Option<Conflict> {
    if winner.service == service.key && winner.port == frontend.port {
        return None;
    }
    Some(Conflict {
        frontend: at,
        address,
        winner: winner.service.clone(),
    })
}

/// Decides on all frontends of a Service.
pub(crate) fn decide(
    context: &Context<'_>,
    service: &Service,
    frontends: Vec<Frontend>,
    endpoints: &BTreeMap<(usize, Family), PortEndpoints<'_>>,
) -> Vec<FrontendPlan> {
    let mut done = BTreeSet::new();
    let decide = |frontend: Frontend| {
        let of_port = endpoints.get(&(frontend.port, Family::of(frontend.ip)));
        let is_usable = of_port.is_some_and(|of_port| any_usable(&of_port.candidates));
        let (address, claim) = claim(service, &frontend);
        let verdict = match alone(context, service, &frontend, (&address, &claim), is_usable) {
            Verdict::Served if !done.insert((frontend.kind, address)) => Verdict::Twice,
            verdict => verdict,
        };
        FrontendPlan { frontend, verdict }
    };
    frontends.into_iter().map(decide).collect()
}

/// Decides on one frontend without regard to the other frontends of its Service.
fn alone(
    context: &Context<'_>,
    service: &Service,
    frontend: &Frontend,
    (address, claim): (&Address, &Claim),
    is_usable: bool,
) -> Verdict {
    let index = context.index;
    let protocol = service.ports[frontend.port].protocol;
    if system_ports::is_claimed(frontend, protocol) && index.is_node_address(frontend.ip) {
        return Verdict::SystemPort;
    }
    match index.claims().winner(address) {
        Some(winner) if winner != claim => Verdict::Taken(winner.clone()),
        _ if !is_usable => Verdict::NoEndpoint,
        _ if index.is_answered(&service.key, frontend.kind, address) => Verdict::Answered,
        _ => Verdict::Served,
    }
}
