//! The addresses of a Service as a proxy at one place has them: which have a listener, where that
//! leads by the address of the client, and why the others have none.

use std::net::{IpAddr, SocketAddr};

use super::answer::AddressFact;
use super::asker::{Asker, listed};
use super::viewpoint::Client;
use crate::model::{Family, Service, ServiceKey};
use crate::names::{FrontendKind, FrontendName};
use crate::plan::Source;
use crate::plan::clusters::port_key;
use crate::plan::frontends::{FrontendPlan, Verdict};
use crate::plan::host::routed_for;
use crate::plan::listeners::{ListenerPlan, NodeConflict, NodePlan, Planner, Route};
use crate::policy::frontends::{self, Frontend};
use crate::{IpNet, Role};

/// One address of a Service port.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub fact: AddressFact,
    pub kind: FrontendKind,
    /// The position of the port that has the address.
    pub port: usize,
    pub outcome: Outcome,
}

/// What becomes of connections to an address.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Its listener leads to sets of endpoints; of each, whether it is that of a Local policy, and
    /// whose connections it takes, in words.
    Leads(Vec<(bool, Option<String>)>),
    /// Its listener takes HTTP, of which routes decide where it goes.
    Ruled,
    /// Its listener closes the connections of this client.
    Closed(String),
    /// An endpoint of the Service listens there itself.
    Answered,
    /// Another Service has the address.
    Taken(ServiceKey),
    /// Nobody listens there.
    Nobody,
    /// It is none of the proxy's business, with what becomes of connections to it.
    Left(&'static str),
    /// Proxies of this role have no listeners at addresses.
    NotHere,
}

/// All addresses that a Service asks for.
pub(super) fn of_service(
    asker: &Asker<'_>,
    service: &Service,
    frontends: &[FrontendPlan],
) -> Vec<Address> {
    let mut addresses: Vec<Address> = Vec::new();
    for (at, plan) in frontends.iter().enumerate() {
        addresses.extend(of_frontend(asker, service, plan, at));
    }
    addresses.extend(refused(asker, service));
    addresses
}

/// The addresses of one frontend: one, or for a node port maybe each address of the node.
fn of_frontend(
    asker: &Asker<'_>,
    service: &Service,
    plan: &FrontendPlan,
    at: usize,
) -> Vec<Address> {
    let FrontendPlan { frontend, verdict } = plan;
    let without = |outcome, why: String| {
        let listen = SocketAddr::new(frontend.ip, frontend.listen.get());
        vec![address(service, frontend, listen, outcome, why)]
    };
    if let Some(name) = ruled(asker, service, plan) {
        let text = format!("listener {name}, of HTTP, on which HTTPRoutes of the Service decide");
        let mut all = without(Outcome::Ruled, text);
        let named = all.iter_mut().map(|address| &mut address.fact);
        named.for_each(|fact| fact.listener = Some(name.clone()));
        return all;
    }
    let since = |why: &str| format!("no listener, since {why}");
    let outcome = match verdict {
        Verdict::Served => None,
        Verdict::SystemPort => Some(Outcome::Left("is left to the node itself")),
        Verdict::Taken(winner) if winner.service == service.key => return Vec::new(),
        Verdict::Twice => return Vec::new(),
        Verdict::Taken(winner) => Some(Outcome::Taken(winner.service.clone())),
        Verdict::NoEndpoint => Some(Outcome::Nobody),
        Verdict::Answered => Some(Outcome::Answered),
    };
    if let Some(outcome) = outcome {
        return without(outcome, since(&verdict.why().unwrap_or_default()));
    }
    let protocol = service.ports[frontend.port].protocol;
    if !asker.has_listeners(protocol) {
        return without(Outcome::NotHere, not_here(asker.view.role).to_owned());
    }
    let (listeners, conflicts) = listeners(asker, service, (at, frontend));
    let conflict = conflicts.into_iter().next().map(|conflict| match conflict {
        NodeConflict::Address(conflict) | NodeConflict::Namespace(conflict) => conflict,
    });
    if let (true, Some(conflict)) = (listeners.is_empty(), &conflict) {
        let (winner, here) = (&conflict.winner, asker.here());
        let why = format!("Service {winner} has it on {here}, and the better claim");
        return without(Outcome::Taken(winner.clone()), since(&why));
    }
    if listeners.is_empty() {
        let known = asker.node().is_some();
        let outcome = match asker.node_name() {
            None => Outcome::Left("depends on the addresses of the node"),
            Some(_) => Outcome::Nobody,
        };
        let why = match (asker.node_name(), known) {
            (None, _) => "--nodeport-addresses chooses among the addresses of single nodes: --from node/NAME says which".to_owned(),
            (Some(node), false) => format!("Node {node} is not known, and --nodeport-addresses chooses among its addresses"),
            (Some(node), true) => format!("--nodeport-addresses chooses none of the addresses of Node {node}"),
        };
        return without(outcome, since(&why));
    }
    let each = listeners.iter();
    each.map(|listener| of_listener(asker, service, frontend, listener))
        .collect()
}

/// The name of the listener of a frontend of which routes decide on the requests (Gateway rule
/// 118).
fn ruled(asker: &Asker<'_>, service: &Service, plan: &FrontendPlan) -> Option<String> {
    let port = &service.ports[plan.frontend.port];
    if asker.view.role != Role::Mesh
        || !asker.has_listeners(port.protocol)
        || !plan.is_ruled_where_routed()
    {
        return None;
    }
    // Who imports something has of the routes of its namespace what they change, and nothing that
    // they bring; who takes one table besides has neither.
    let is_changed = plan.verdict == Verdict::Served && !asker.view.whole_table;
    let clients = asker.view.mesh_namespace();
    let clients = clients.filter(|_| asker.imports.is_none() || is_changed);
    let routed = routed_for(&asker.context, service, clients);
    routed.contains_key(&port.number).then(|| {
        let name = FrontendName {
            port: port_key(service, port),
            kind: plan.frontend.kind,
            address: SocketAddr::new(plan.frontend.ip, plan.frontend.listen.get()),
        };
        name.to_string()
    })
}

/// The listeners of a served frontend that the proxy has: of several of one name the most specific.
fn listeners(
    asker: &Asker<'_>,
    service: &Service,
    served: (usize, &Frontend),
) -> (Vec<ListenerPlan>, Vec<NodeConflict>) {
    let context = &asker.context;
    let planner = Planner { context, service };
    let shared = asker.seen(planner.everywhere(served.1));
    let mut listeners: Vec<ListenerPlan> = shared.map(|(_, plan)| plan).into_iter().collect();
    let node = asker.node().filter(|_| asker.view.role == Role::Node);
    let Some(node) = node.filter(|_| context.index.has_node_listeners(&service.key)) else {
        return (listeners, Vec::new());
    };
    let NodePlan {
        listeners: own,
        conflicts,
        ..
    } = planner.on_node(std::iter::once(served), node);
    listeners.retain(|shared| own.iter().all(|own| own.name != shared.name));
    listeners.extend(own);
    (listeners, conflicts)
}

fn of_listener(
    asker: &Asker<'_>,
    service: &Service,
    frontend: &Frontend,
    listener: &ListenerPlan,
) -> Address {
    let name = listener.name.to_string();
    let listen = listener.name.address;
    let (outcome, mut text) = match asker.client {
        Client::Anybody => (everybody(&listener.routes), String::new()),
        Client::Node | Client::Address(_) => of_client(asker, service, listener),
    };
    if let (Outcome::Leads(leads), Client::Anybody) = (&outcome, asker.client) {
        let whose: Vec<String> = leads
            .iter()
            .filter_map(|(local, whose)| {
                let whose = whose.as_ref()?;
                let policy = if *local { "Local" } else { "Cluster" };
                Some(format!("{policy} set {whose}"))
            })
            .collect();
        if !whose.is_empty() {
            text = format!(": {}", whose.join("; "));
        }
    }
    let text = format!("listener {name}{text}");
    let mut address = address(service, frontend, listen, outcome, text);
    address.fact.listener = Some(name);
    address
}

/// Where each chain of a listener leads, and whose connections it takes.
fn everybody(routes: &[Route]) -> Outcome {
    let mut leads: Vec<(bool, Vec<String>)> = Vec::new();
    for route in routes {
        let whose = match &route.source {
            Source::Anybody if routes.len() == 1 => None,
            Source::Anybody => Some("for all others".to_owned()),
            Source::SameHost => Some("for the node itself".to_owned()),
            Source::Ranges(ranges) => Some(format!("for {}", of_ranges(ranges))),
        };
        let local = route.cluster.local;
        match leads.iter_mut().find(|(other, _)| *other == local) {
            Some((_, others)) => others.extend(whose),
            None => leads.push((local, whose.into_iter().collect())),
        }
    }
    if leads.is_empty() {
        return Outcome::Closed("spec.loadBalancerSourceRanges lets nobody connect".to_owned());
    }
    let joined = leads.into_iter().map(|(local, whose)| {
        let whose = (!whose.is_empty()).then(|| whose.join(" and "));
        (local, whose)
    });
    Outcome::Leads(joined.collect())
}

fn of_ranges(ranges: &[IpNet]) -> String {
    let ranges: Vec<String> = ranges.iter().map(IpNet::to_string).collect();
    listed(&ranges, "and", 3)
}

/// What becomes of the connections of the client that is asked for.
fn of_client(asker: &Asker<'_>, service: &Service, listener: &ListenerPlan) -> (Outcome, String) {
    let address = listener.name.address;
    let (source, is_node) = match asker.client {
        Client::Address(ip) => (ip, ip.is_loopback() || ip == address.ip()),
        // The kernel takes the address itself as the source.
        Client::Node | Client::Anybody => (address.ip(), true),
    };
    if Family::of(source) != Family::of(address.ip()) {
        let why = format!("{source} is not of its family");
        return (Outcome::Closed(why.clone()), format!(": {why}"));
    }
    match chain(&listener.routes, source, is_node) {
        Some(route) => {
            let by = match &route.source {
                Source::Anybody => String::new(),
                Source::SameHost => ", chain of the node itself".to_owned(),
                Source::Ranges(ranges) => {
                    let mut ranges = ranges.iter().filter(|range| range.contains(&source));
                    let range = ranges.next().map(IpNet::to_string).unwrap_or_default();
                    format!(", chain of {range}")
                }
            };
            (Outcome::Leads(vec![(route.cluster.local, None)]), by)
        }
        None => {
            let family = Family::of(address.ip());
            let ranges = service.source_ranges.of(family).unwrap_or_default();
            let has = match ranges.is_empty() {
                true => "has no range".to_owned(),
                false => format!("has only {}", of_ranges(ranges)),
            };
            let field = "spec.loadBalancerSourceRanges";
            let why = format!("{source} is in no range of {field}, which {has}");
            (Outcome::Closed(why), String::new())
        }
    }
}

/// The chain of a listener that takes connections from an address: that of the node itself first,
/// then the longest range, then the one for all others, as Envoy matches them.
pub(super) fn chain(routes: &[Route], source: IpAddr, is_node: bool) -> Option<&Route> {
    let longest = |route: &Route| match &route.source {
        Source::SameHost => is_node.then_some(u16::MAX),
        Source::Anybody => Some(0),
        Source::Ranges(ranges) => {
            let within = ranges.iter().filter(|range| range.contains(&source));
            within.map(|range| u16::from(range.prefix_len()) + 1).max()
        }
    };
    let ranked = routes
        .iter()
        .filter_map(|route| Some((longest(route)?, route)));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, route)| route)
}

/// Why proxies of a role have no listeners at addresses.
fn not_here(role: Role) -> &'static str {
    match role {
        Role::Mesh => "no listener, since mesh proxies have none at addresses without --capture",
        Role::Ingress => "no listener, since ingress proxies have none at addresses of Services",
        Role::Node | Role::Grpc => "no listener",
    }
}

/// The addresses that the Service may not have, whatever others claim, at each of its ports.
fn refused(asker: &Asker<'_>, service: &Service) -> Vec<Address> {
    let mut addresses: Vec<Address> = Vec::new();
    for refused in frontends::refused(service, asker.context.options) {
        let field = frontends::address_field(refused.kind, refused.index);
        if addresses.iter().any(|address| address.fact.field == field) {
            continue;
        }
        let ports = service.ports.iter().enumerate();
        let ports = ports.filter(|(_, port)| frontends::is_served(port));
        addresses.extend(ports.map(|(at, port)| Address {
            fact: AddressFact {
                address: SocketAddr::new(refused.ip, port.number.get()),
                kind: refused.kind.as_str().to_owned(),
                field: field.clone(),
                listener: None,
                taken_by: None,
                text: format!("no listener, since {refused}"),
            },
            kind: refused.kind,
            port: at,
            outcome: Outcome::Left("is not taken by the proxy"),
        }));
    }
    addresses
}

fn address(
    service: &Service,
    frontend: &Frontend,
    listen: SocketAddr,
    outcome: Outcome,
    text: String,
) -> Address {
    let taken_by = match &outcome {
        Outcome::Taken(winner) => Some(winner.to_string()),
        _ => None,
    };
    Address {
        fact: AddressFact {
            address: listen,
            kind: frontend.kind.as_str().to_owned(),
            field: frontend.field(service),
            listener: None,
            taken_by,
            text,
        },
        kind: frontend.kind,
        port: frontend.port,
        outcome,
    }
}

impl Address {
    /// The address as people name it: that of a node port is the port of a node.
    pub(super) fn named(&self, asker: &Asker<'_>) -> String {
        match self.fact.address.ip().is_unspecified() {
            true => match asker.node_name() {
                Some(node) => format!("port {} of node {node}", self.fact.address.port()),
                None => format!("port {} of a node", self.fact.address.port()),
            },
            false => self.fact.address.to_string(),
        }
    }
}
