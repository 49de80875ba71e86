//! Which of its frontends a Service gets, and why it does not get the others.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::model::{Family, Service, ServiceKey};
use crate::place::choose::any_usable;
use crate::place::endpoints::PortEndpoints;
use crate::policy::claims::{Address, Claim, claim};
use crate::policy::frontends::Frontend;
use crate::policy::system_ports;

/// What becomes of a frontend. The first that holds, in this order, is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may not be asked for: a Node's own address, and a port of its system (Service rule 20).
    SystemPort,
    /// Another frontend has the better claim to the address (Service rule 18).
    Taken(Claim),
    /// No endpoint is usable anywhere: the kernel is to refuse connections (Service rules 70, 76).
    NoEndpoint,
    /// An endpoint of the Service listens at the very address.
    Answered,
    /// The Service has the same address twice.
    Twice,
    /// It has listeners.
    Served,
}

/// A frontend and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrontendPlan {
    pub frontend: Frontend,
    pub verdict: Verdict,
}

/// That an address is served for another Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The position of the frontend.
    pub frontend: usize,
    pub address: Address,
    pub winner: ServiceKey,
}

/// That another Service has the better claim to an address. The same port under the same address of
/// another kind is served all the same, and no conflict.
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

/// Decides over all frontends of a Service.
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
        let verdict = alone(context, service, &frontend, is_usable);
        let (address, _) = claim(service, &frontend);
        let verdict = match verdict {
            Verdict::Served if !done.insert((frontend.kind, address)) => Verdict::Twice,
            verdict => verdict,
        };
        FrontendPlan { frontend, verdict }
    };
    frontends.into_iter().map(decide).collect()
}

/// Decides over one frontend, whatever others the Service has.
fn alone(
    context: &Context<'_>,
    service: &Service,
    frontend: &Frontend,
    is_usable: bool,
) -> Verdict {
    let index = context.index;
    let protocol = service.ports[frontend.port].protocol;
    if system_ports::is_claimed(frontend, protocol) && index.is_node_address(frontend.ip) {
        return Verdict::SystemPort;
    }
    let (address, claim) = claim(service, frontend);
    match index.claims().winner(&address) {
        Some(winner) if *winner != claim => Verdict::Taken(winner.clone()),
        _ if !is_usable => Verdict::NoEndpoint,
        _ if index.is_answered(&service.key, frontend.kind, &address) => Verdict::Answered,
        _ => Verdict::Served,
    }
}
