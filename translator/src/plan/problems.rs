//! Problem messages for a plan: everything in it that its Service's author has to know of.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Context;
use super::external_name::ExternalNamePlan;
use super::frontends::{Conflict, FrontendPlan, Verdict, conflict};
use super::health::HealthCheckPlan;
use super::host::routed;
use super::listeners::NodeConflict;
use crate::model::Service;
use crate::policy::claims::claim;
use crate::policy::frontends::{self, Frontend, Refusal};
use crate::{Options, Problem, Reason, Subject};

/// The problems with addresses that the Service may not have, whatever other Services claim, and
/// with node ports that are open on all addresses.
pub(crate) fn of_addresses(service: &Service, options: &Options) -> Vec<Problem> {
    let refused = frontends::refused(service, options).into_iter();
    let refused = refused.map(|refused| {
        let ip = refused.ip;
        let message = match refused.why {
            Refusal::NoFamily => format!("{refused}, so {ip} is not served"),
            Refusal::NotAllowed => format!("--external-ips does not allow {ip}"),
        };
        let field = frontends::address_field(refused.kind, refused.index);
        error(service, field, Reason::FrontendRefused, message)
    });
    refused
        .chain(of_open_node_ports(service, options))
        .collect()
}

/// One warning per IP family in which node ports are open on all addresses, at the first node port.
fn of_open_node_ports(service: &Service, options: &Options) -> Vec<Problem> {
    let mut ports = service.ports.iter();
    let Some(port) = ports.find(|port| port.node_port.is_some()) else {
        return Vec::new();
    };
    let warn = |family| {
        Problem::warning(
            Subject::from(&service.key),
            format!("spec.ports[{}].nodePort", port.index),
            Reason::NodePortUnrestricted,
            format!(
                "--nodeport-addresses has no {family} range: node ports are open on all {family} addresses"
            ),
        )
    };
    frontends::unrestricted(service, options)
        .map(warn)
        .collect()
}

/// The matches of HTTPRoutes for the Service that never take a request.
pub(crate) fn of_routes(context: &Context<'_>, service: &Service) -> Vec<Problem> {
    let namespaces = context.index.routing().routing_namespaces(&service.key);
    namespaces
        .flat_map(|namespace| routed(context, service, namespace).1)
        .collect()
}

/// The problems with frontends that no node serves: refused ones, and those lost to other Services.
pub(crate) fn of_frontends(service: &Service, plans: &[FrontendPlan]) -> Vec<Problem> {
    let plans = plans.iter().enumerate();
    plans
        .filter_map(|(at, plan)| of_frontend(service, at, plan))
        .collect()
}

fn of_frontend(service: &Service, at: usize, plan: &FrontendPlan) -> Option<Problem> {
    let FrontendPlan { frontend, verdict } = plan;
    match verdict {
        Verdict::SystemPort => {
            let protocol = service.ports[frontend.port].protocol;
            let message = format!(
                "{} {protocol} is an address of a Node and a port of its system",
                SocketAddr::new(frontend.ip, frontend.listen.get()),
            );
            let field = frontend.field(service);
            Some(error(service, field, Reason::FrontendRefused, message))
        }
        Verdict::Taken(winner) => {
            let (address, _) = claim(service, frontend);
            let conflict = conflict(service, (at, frontend), address, winner)?;
            Some(of_conflict(service, frontend, &conflict, ""))
        }
        Verdict::NoEndpoint | Verdict::Answered | Verdict::Twice | Verdict::Served => None,
    }
}

/// The problems with frontends that one node does not serve; `frontend` looks up a frontend of the
/// Service by its position.
pub(crate) fn of_node<'f>(
    service: &Service,
    node: &Arc<str>,
    conflicts: &[NodeConflict],
    frontend: impl Fn(usize) -> &'f Frontend,
) -> Vec<Problem> {
    let problem = |found: &NodeConflict| {
        let (conflict, place) = match found {
            NodeConflict::Address(conflict) => (conflict, format!(" on Node {node}")),
            NodeConflict::Namespace(conflict) => {
                let place = " (all of whose addresses are one to its listeners)";
                (conflict, format!(" on Node {node}{place}"))
            }
        };
        of_conflict(service, frontend(conflict.frontend), conflict, &place)
    };
    conflicts.iter().map(problem).collect()
}

fn of_conflict(
    service: &Service,
    frontend: &Frontend,
    conflict: &Conflict,
    place: &str,
) -> Problem {
    let address = &conflict.address;
    let message = format!(
        "{} {}{place} is served for Service {}, whose claim is better",
        SocketAddr::new(address.ip, address.port.get()),
        address.protocol,
        conflict.winner
    );
    let field = frontend.field(service);
    error(service, field, Reason::FrontendConflict, message)
}

/// The problems with the health check node port of a Service.
pub(crate) fn of_health_check(service: &Service, plan: &HealthCheckPlan<'_>) -> Vec<Problem> {
    let taken = plan.taken.iter().map(|(address, winner)| {
        let place = SocketAddr::new(address.ip, address.port.get());
        let message = format!("{place} TCP is served for Service {winner}, whose claim is better");
        let field = "spec.healthCheckNodePort";
        error(service, field, Reason::FrontendConflict, message)
    });
    taken.collect()
}

/// The problems with a Service of type ExternalName.
pub(crate) fn of_external_name(service: &Service, plan: &ExternalNamePlan) -> Vec<Problem> {
    let refusal = plan.refusal.iter().map(|refusal| {
        let message = refusal.to_string();
        error(service, "spec.externalName", refusal.reason(), message)
    });
    let missing = plan.missing.iter().flat_map(|(target, ports)| {
        ports.iter().map(move |(index, number)| {
            let field = format!("spec.ports[{index}].port");
            let message = format!("Service {target} has no port {number}");
            error(service, field, Reason::ExternalNameUnresolved, message)
        })
    });
    refusal.chain(missing).collect()
}

fn error(service: &Service, field: impl Into<String>, reason: Reason, message: String) -> Problem {
    Problem::error(Subject::from(&service.key), field, reason, message)
}
