//! Health check node ports: the listeners that a node's proxy has for them, and the number of local
//! endpoints with which each answers (Service rules 31 to 34).
//!
//! A load balancer asks every node whether it has endpoints for a Service with a Local policy. The
//! node's proxy answers by itself: a listener whose route configuration is the answer. Answers lie
//! in the role's layer, and where a node has endpoints in the node's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{Context, ListenOn};
use crate::model::{Condition, Family, Service, ServiceKey};
use crate::names::HealthCheckName;
use crate::place::endpoints::Candidate;
use crate::policy::claims::{Address, of_health_check};
use crate::policy::{namespace, node_ports};
use crate::{IpNet, Options};

/// The port of kube-proxy's health server.
const HEALTH: u16 = 10256;

/// The address of kube-proxy's metrics server, where `/proxyMode` names its mode.
const MODE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10249);

/// Where a proxy of role `node` names its mode. With another port for its health kube-proxy may be
/// there as well, and has this one.
pub(crate) fn own_mode(options: &Options) -> Option<SocketAddr> {
    let listen = options.healthz_listen?;
    (listen.port() == HEALTH).then_some(MODE)
}

/// The destinations at which the proxy does not answer for its own health. A probe on the node
/// itself comes over loopback; only what was meant for a Service is not the proxy's.
pub(crate) fn own_refused(options: &Options, listen: SocketAddr) -> Vec<IpNet> {
    if !listen.ip().is_unspecified() {
        return Vec::new();
    }
    let mut refused = node_ports::refused(options, Family::of(listen.ip()));
    refused.retain(|range| !range.addr().is_loopback());
    refused
}

/// The plan of a Service's health check node port. It outlasts the endpoints: without them the
/// answer is that there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct HealthCheckPlan<'a> {
    /// Whether the Service has won the port in any IP family, so that answers are needed.
    pub listens: bool,
    /// The addresses that other Services have won, each with its winner.
    pub taken: Vec<(Address, ServiceKey)>,
    /// The listeners that are the same on every node.
    pub everywhere: Vec<CheckListener>,
    /// The listeners of single nodes, each with the node's name.
    pub on_nodes: Vec<(&'a Arc<str>, CheckListener)>,
    /// The number of ready endpoints on each node that has any.
    pub answers: Vec<(&'a Arc<str>, usize)>,
    /// How many listeners a proxy has to bind for the health check: the most that any node has.
    pub bound: usize,
}

/// One listener of a health check node port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckListener {
    pub name: HealthCheckName,
    pub listen_on: ListenOn,
    /// Destination ranges for which the listener closes the connection unanswered.
    pub refused: Vec<IpNet>,
}

/// Plans the health check node port of a Service; with `nodes`, answers and listeners of single
/// nodes are planned for these nodes alone.
pub(crate) fn plan<'a, 'c>(
    context: &Context<'a>,
    service: &Service,
    candidates: impl Iterator<Item = &'c Candidate<'c>>,
    nodes: Option<&BTreeSet<Arc<str>>>,
) -> HealthCheckPlan<'a> {
    let mut plan = HealthCheckPlan::default();
    for (address, claim) in of_health_check(service) {
        match context.index.claims().winner(&address) {
            Some(winner) if *winner == claim => {
                plan.listens = true;
                listeners(context, service, &address, nodes, &mut plan);
            }
            Some(winner) => plan.taken.push((address, winner.service.clone())),
            None => {}
        }
    }
    if plan.listens {
        let is_asked = |node: &Arc<str>| nodes.is_none_or(|nodes| nodes.contains(node));
        let of_node = |c: &&Candidate<'_>| c.endpoint.node.as_ref().is_some_and(is_asked);
        let local = local_endpoints(candidates.filter(of_node));
        let asked = context.views.node_roles().filter(|node| is_asked(node));
        let answer = |node| Some((node, *local.get(node)?));
        plan.answers = asked.filter_map(answer).collect();
    }
    plan
}

/// Adds the listeners to the plan, on the addresses on which node ports are served (Service rule
/// 31).
fn listeners<'a>(
    context: &Context<'a>,
    service: &Service,
    address: &Address,
    nodes: Option<&BTreeSet<Arc<str>>>,
    plan: &mut HealthCheckPlan<'a>,
) {
    let (family, options) = (Family::of(address.ip), context.options);
    let listener = |ip, refused| {
        let address = SocketAddr::new(ip, address.port.get());
        CheckListener {
            name: HealthCheckName {
                service: service.key.clone(),
                address,
            },
            listen_on: namespace::listen_on(address, false, options),
            refused,
        }
    };
    if !node_ports::per_node(options, family) {
        let refused = node_ports::refused(options, family);
        plan.everywhere.push(listener(address.ip, refused));
        plan.bound += 1;
        return;
    }
    let mut most = 0;
    for name in context.views.node_roles() {
        let Some(node) = context.index.node(name) else {
            continue;
        };
        let mut ips = node_ports::addresses(node, options, family);
        ips.retain(|ip| {
            let own = Address {
                ip: *ip,
                ..*address
            };
            context.index.claims().winner(&own).is_none()
        });
        most = most.max(ips.len());
        if nodes.is_none_or(|nodes| nodes.contains(name)) {
            let own = ips.into_iter().map(|ip| (name, listener(ip, Vec::new())));
            plan.on_nodes.extend(own);
        }
    }
    plan.bound += most;
}

/// The number of ready endpoints on each node, by their addresses over all ports (Service rules 33,
/// 34). A pod of two families is one: the family with more of them counts.
fn local_endpoints<'a>(
    candidates: impl Iterator<Item = &'a Candidate<'a>>,
) -> BTreeMap<&'a Arc<str>, usize> {
    let mut ips: BTreeMap<(&Arc<str>, Family), BTreeSet<IpAddr>> = BTreeMap::new();
    for candidate in candidates {
        if let (Condition::Ready, Some(node)) =
            (candidate.endpoint.condition, &candidate.endpoint.node)
        {
            let ip = candidate.endpoint.ip;
            ips.entry((node, Family::of(ip))).or_default().insert(ip);
        }
    }
    let mut counts = BTreeMap::new();
    for ((node, _), ips) in ips {
        let count = counts.entry(node).or_insert(0);
        *count = ips.len().max(*count);
    }
    counts
}
