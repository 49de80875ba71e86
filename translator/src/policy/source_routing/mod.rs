//! Source routing: which source addresses of a frontend's connections go to which set of endpoints:
//! Service rules 26 to 30 and 71 to 74.
//!
//! An external frontend with a Local policy has both sets behind it: pods and the node itself take
//! the Cluster set, everybody else the Local one. The addresses of a load balancer may be open to
//! some sources only. What comes out becomes the filter chains of a listener (`envoy/listener.rs`).
//! Part of it names a node's own addresses, so such listeners exist per node (`plan/listeners.rs`).

use std::net::IpAddr;

use super::frontends::Frontend;
use crate::model::{Family, Node, Policy, Service};
use crate::names::FrontendKind;
use crate::{IpNet, Options};

/// The source addresses that one filter chain matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// All sources that no other chain matches.
    Anybody,
    /// The node itself, by Envoy's source type: over a `local` route the kernel's source address is
    /// the one connected to.
    SameHost,
    /// Sources in these ranges, which are disjoint and never empty.
    Ranges(Vec<IpNet>),
}

/// A route of a frontend: connections from these sources go to the endpoints of this traffic
/// policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceRoute {
    pub source: Source,
    pub policy: Policy,
}

/// The routes of a frontend on this address, as this node has them, or any node if it is `None`.
/// Without any route nobody may connect.
pub(crate) fn routes(
    service: &Service,
    frontend: &Frontend,
    ip: IpAddr,
    node: Option<&Node>,
    options: &Options,
) -> Vec<SourceRoute> {
    let family = Family::of(ip);
    let policy = frontend.policy(service);
    if frontend.kind == FrontendKind::ClusterIp {
        return vec![anybody(policy)];
    }
    let Some(mut allowed) = restriction(service, frontend, family) else {
        return open(policy, inside(frontend.kind, node, options, family));
    };
    let mut own = node.into_iter().flat_map(|node| &node.addresses);
    if own.any(|own| allowed.iter().any(|range| range.contains(own))) {
        // Rule 29: to an address that is routed to the node itself the node's own processes come
        // from that address.
        allowed.push(ip.into());
    }
    let allowed = IpNet::aggregate(&allowed);
    match policy {
        Policy::Cluster => route(allowed, Policy::Cluster).into_iter().collect(),
        Policy::Local => {
            let mut inside = inside(frontend.kind, node, options, family);
            inside.extend([ip.into(), family.loopback()]);
            restricted(allowed, IpNet::aggregate(&inside))
        }
    }
}

/// Whether the routes of a frontend may name addresses or pod ranges of one node.
pub(crate) fn is_per_node(service: &Service, frontend: &Frontend) -> bool {
    let family = Family::of(frontend.ip);
    frontend.kind != FrontendKind::ClusterIp
        && (frontend.policy(service) == Policy::Local
            || restriction(service, frontend, family).is_some())
}

/// The traffic policies whose clusters a frontend may route to, whatever the source (Service rule
/// 58).
pub(crate) fn policies(service: &Service, frontend: &Frontend) -> &'static [Policy] {
    match (frontend.kind, frontend.policy(service)) {
        (_, Policy::Cluster) => &[Policy::Cluster],
        (FrontendKind::ClusterIp, Policy::Local) => &[Policy::Local],
        (_, Policy::Local) => &[Policy::Cluster, Policy::Local],
    }
}

/// The source ranges that may connect to a frontend; `None` for all. Only load-balancer ingress IPs
/// are ever restricted (Service rule 26).
fn restriction(service: &Service, frontend: &Frontend, family: Family) -> Option<Vec<IpNet>> {
    if frontend.kind != FrontendKind::LoadBalancer {
        return None;
    }
    service.source_ranges.of(family).map(<[IpNet]>::to_vec)
}

fn open(policy: Policy, inside: Vec<IpNet>) -> Vec<SourceRoute> {
    let inside = IpNet::aggregate(&inside);
    let everybody_inside = inside.iter().any(|range| range.prefix_len() == 0);
    if policy == Policy::Cluster || everybody_inside {
        return vec![anybody(Policy::Cluster)];
    }
    let same_host = SourceRoute {
        source: Source::SameHost,
        policy: Policy::Cluster,
    };
    let mut routes = vec![same_host];
    routes.extend(route(inside, Policy::Cluster));
    routes.push(anybody(Policy::Local));
    routes
}

/// The routes of a frontend with source ranges and a Local policy: allowed ranges inside the
/// cluster go to the Cluster set, the rest to the Local one. Envoy takes the chain with the longest
/// match, so the rest may be written as all that is allowed; only no range may stand in both.
fn restricted(allowed: Vec<IpNet>, inside: Vec<IpNet>) -> Vec<SourceRoute> {
    let both = |range: &IpNet| -> Vec<IpNet> {
        if inside.iter().any(|other| other.contains(range)) {
            return vec![*range];
        }
        let within = inside.iter().filter(|other| range.contains(*other));
        within.copied().collect()
    };
    let cluster: Vec<IpNet> = allowed.iter().flat_map(both).collect();
    let local = allowed.into_iter().filter(|range| !cluster.contains(range));
    let local = local.collect();
    let routes = [route(cluster, Policy::Cluster), route(local, Policy::Local)];
    routes.into_iter().flatten().collect()
}

fn anybody(policy: Policy) -> SourceRoute {
    SourceRoute {
        source: Source::Anybody,
        policy,
    }
}

/// The route of these ranges; `None` without any, since an empty list means everybody to Envoy.
fn route(ranges: Vec<IpNet>, policy: Policy) -> Option<SourceRoute> {
    (!ranges.is_empty()).then_some(SourceRoute {
        source: Source::Ranges(ranges),
        policy,
    })
}

/// The sources that count as inside the cluster: pods, and the node's own addresses (Service rule
/// 72). Without a range for pods they count as outside clients.
///
/// External addresses are routed to itself by every node, so a pod that comes there is this node's,
/// whatever range tells pods. At a node port it may be another node's, which is outside: where this
/// node says which pods are its own, these alone are inside.
fn inside(
    kind: FrontendKind,
    node: Option<&Node>,
    options: &Options,
    family: Family,
) -> Vec<IpNet> {
    let is_family = |range: &IpNet| Family::of(range.addr()) == family;
    let own_pods = node.into_iter().flat_map(|node| &node.pod_cidrs).copied();
    let mut inside: Vec<IpNet> = own_pods.filter(is_family).collect();
    if kind != FrontendKind::NodePort || inside.is_empty() {
        inside.extend(options.pod_cidrs.iter().map(IpNet::trunc).filter(is_family));
    }
    let addresses = node.into_iter().flat_map(|node| &node.addresses);
    inside.extend(addresses.map(|ip| IpNet::from(*ip)).filter(is_family));
    inside
}

#[cfg(test)]
mod tests;
