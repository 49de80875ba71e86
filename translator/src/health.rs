//! Health checks of load balancers: which Services have one, who answers where, and with what (Service rules 31 to 34).
//!
//! A load balancer asks every node whether it has endpoints for a Service with a Local policy. The node's proxy answers by itself: a
//! listener whose route configuration is the answer. Answers lie in the role's layer, and where a node has endpoints in the node's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use seaway_proto::Resource;

use crate::endpoints::Candidate;
use crate::envoy::health;
use crate::frontends::wildcard;
use crate::index::{Address, Claim};
use crate::model::{Condition, Family, Protocol, Service};
use crate::names::{FrontendKind, HealthCheckName};
use crate::parts::Parts;
use crate::service::World;
use crate::{Layer, Problem, Reason, Role, namespace, node_ports};

/// The addresses a Service claims for its health check, one per family.
pub(crate) fn claims(service: &Service) -> Vec<(Address, Claim)> {
    let Some(port) = service.health_check_port else {
        return Vec::new();
    };
    let families = service.cluster_ips.iter().map(|ip| Family::of(*ip));
    let claim = |family| {
        let address = Address {
            ip: wildcard(family),
            port,
            protocol: Protocol::Tcp,
        };
        let kind = FrontendKind::HealthCheck;
        (address, Claim::new(service, kind, usize::MAX))
    };
    families.map(claim).collect()
}

/// The listeners and the answers of a Service's health check, and how many listeners a proxy has to bind for it. They stay while there
/// are no endpoints: then the answer is no. Of what single nodes have, only that of some `nodes` may be asked for.
pub(crate) fn translate<'c, 'p>(
    world: &'p World<'_>,
    service: &'p Service,
    candidates: impl Iterator<Item = &'c Candidate<'c>>,
    (resources, parts): (&mut Vec<(Layer, Resource)>, &mut Parts<'p>),
    nodes: Option<&BTreeSet<Arc<str>>>,
    problems: &mut Vec<Problem>,
) -> usize {
    let (mut listens, mut bound) = (false, 0);
    for (address, claim) in claims(service) {
        let winner = world.index.claims().winner(&address);
        if winner == Some(&claim) {
            listens = true;
            bound += listeners(world, service, &address, (resources, parts), nodes);
        } else if let Some(winner) = winner {
            let place = SocketAddr::new(address.ip, address.port.get());
            problems.push(Problem::error(
                format!("Service {}", service.key),
                "spec.healthCheckNodePort",
                Reason::FrontendConflict,
                format!(
                    "{place} TCP is served for Service {}, whose claim is better",
                    winner.service
                ),
            ));
        }
    }
    if !listens {
        return bound;
    }
    let is_asked = |node: &Arc<str>| nodes.is_none_or(|nodes| nodes.contains(node));
    let local =
        local_endpoints(candidates.filter(|c| c.endpoint.node.as_ref().is_some_and(is_asked)));
    for node in world.active.node_roles().filter(|node| is_asked(node)) {
        if let Some(count) = local.get(node) {
            let count = *count;
            let layer = Layer::NodeRole(node.clone());
            parts.add(layer, ("answer", count), move |to| {
                to.push(health::answer(&service.key, count));
            });
        }
    }
    resources.push((Layer::Role(Role::Node), health::answer(&service.key, 0)));
    bound
}

/// Listeners on the addresses that node ports have (Service rule 31), and the most of them that a proxy has.
fn listeners<'p>(
    world: &'p World<'_>,
    service: &'p Service,
    address: &Address,
    (resources, parts): (&mut Vec<(Layer, Resource)>, &mut Parts<'p>),
    nodes: Option<&BTreeSet<Arc<str>>>,
) -> usize {
    let (family, options) = (Family::of(address.ip), world.options);
    let port = address.port.get();
    let listener = move |ip, refused: &[_]| {
        let name = HealthCheckName {
            service: service.key.clone(),
            address: SocketAddr::new(ip, port),
        };
        let place = namespace::place(name.address, false, options);
        health::listener(&name, refused, &place)
    };
    if !node_ports::per_node(options, family) {
        let refused = node_ports::refused(options, family);
        let listener = listener(address.ip, &refused);
        resources.push((Layer::Role(Role::Node), listener));
        return 1;
    }
    let mut most = 0;
    for name in world.active.node_roles() {
        let Some(node) = world.index.node(name) else {
            continue;
        };
        let mut ips = node_ports::addresses(node, options, family);
        ips.retain(|ip| {
            let own = Address {
                ip: *ip,
                ..*address
            };
            world.index.claims().winner(&own).is_none()
        });
        most = most.max(ips.len());
        if nodes.is_some_and(|nodes| !nodes.contains(name)) {
            continue;
        }
        for ip in ips {
            let layer = Layer::NodeRole(name.clone());
            parts.add(layer, ("listener", ip, port), move |to| {
                to.push(listener(ip, &[]))
            });
        }
    }
    most
}

/// How many ready endpoints each node has, by their addresses over all ports (Service rules 33, 34). A pod of two families is one:
/// the family with more of them counts.
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
