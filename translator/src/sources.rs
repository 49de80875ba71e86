//! Which connections of a frontend go to which set of endpoints, by where they come from: Service rules 26 to 30 and 71 to 74.
//!
//! An external frontend with a Local policy has both sets behind it: pods and the node itself take the Cluster set, everybody else the
//! Local one. The addresses of a load balancer may be open to some sources only, and some sources keep their address
//! (`keep_source.rs`). What comes out becomes the filter chains of a listener (`envoy/listener.rs`). Part of it names a node's own
//! addresses, so such listeners exist per node (`service.rs`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::frontends::Frontend;
use crate::model::{Family, Node, Policy, Service};
use crate::names::FrontendKind;
use crate::{IpNet, Options, keep_source};

/// The sources that one filter chain takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Whoever no other chain takes.
    Anybody,
    /// The node itself, as Envoy finds out: over a `local` route the kernel's source address is the one connected to.
    SameHost,
    /// These ranges; never empty. A client in ranges of several chains is taken by the longest, and no range stands in two.
    Ranges(Vec<IpNet>),
}

/// Where connections go, and as whom they come there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The set of endpoints.
    pub policy: Policy,
    /// Whether endpoints see the client's own address instead of the node's.
    pub keep_source: bool,
}

impl Target {
    fn new(policy: Policy, keep_source: bool) -> Target {
        Target {
            policy,
            keep_source,
        }
    }
}

/// The connections of these sources go to this target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub source: Source,
    pub target: Target,
}

/// Clients with a target of their own, by disjoint ranges.
struct Group {
    ranges: Vec<IpNet>,
    target: Target,
}

/// The ways of a frontend on this address, as a node sees it that is known, or any other. None at all: nobody may connect.
pub(crate) fn ways(
    service: &Service,
    frontend: &Frontend,
    ip: IpAddr,
    node: Option<&Node>,
    options: &Options,
) -> Vec<Way> {
    let family = Family::of(ip);
    let both_sets = has_both_sets(service, frontend);
    // The set that pods take.
    let policy = if both_sets {
        Policy::Cluster
    } else {
        frontend.policy(service)
    };
    let pods = keep_source::pods(service, frontend, family, options);
    let mut others = Target::new(policy, false);
    let mut groups = Vec::new();
    let restriction = restriction(service, frontend, family);
    if both_sets {
        let mut inside = inside(frontend.kind, node, options, family);
        if restriction.is_some() {
            inside.extend([ip.into(), loopback(family)]);
        }
        inside.retain(|range| !pods.iter().any(|pods| pods.contains(range)));
        groups.push(Group {
            ranges: IpNet::aggregate(&inside),
            target: others,
        });
        let keep = keep_source::outsiders(service, frontend, options);
        others = Target::new(Policy::Local, keep);
    }
    groups.push(Group {
        ranges: pods,
        target: Target::new(policy, true),
    });
    match restriction {
        None => open(groups, others),
        Some(allowed) => restricted(&with_own(allowed, ip, node), &groups, others),
    }
}

/// The same ways for a proxy that cannot take over its clients' addresses.
pub(crate) fn as_the_proxy(mut ways: Vec<Way>) -> Vec<Way> {
    for way in &mut ways {
        way.target.keep_source = false;
    }
    ways
}

/// Whether the listeners of this frontend may name what only one node has.
pub(crate) fn is_per_node(service: &Service, frontend: &Frontend) -> bool {
    let family = Family::of(frontend.ip);
    has_both_sets(service, frontend) || restriction(service, frontend, family).is_some()
}

/// The sets of endpoints that a frontend may lead to, wherever a connection comes from (Service rule 58).
pub(crate) fn policies(service: &Service, frontend: &Frontend) -> &'static [Policy] {
    match frontend.policy(service) {
        _ if has_both_sets(service, frontend) => &[Policy::Cluster, Policy::Local],
        Policy::Cluster => &[Policy::Cluster],
        Policy::Local => &[Policy::Local],
    }
}

/// Whether some clients take the Cluster set and others the Local one.
fn has_both_sets(service: &Service, frontend: &Frontend) -> bool {
    frontend.kind != FrontendKind::ClusterIp && frontend.policy(service) == Policy::Local
}

/// The ranges that may connect; `None` for all. Only the addresses of a load balancer are ever restricted (Service rule 26).
fn restriction(service: &Service, frontend: &Frontend, family: Family) -> Option<Vec<IpNet>> {
    if frontend.kind != FrontendKind::LoadBalancer {
        return None;
    }
    service.source_ranges.of(family).map(<[IpNet]>::to_vec)
}

/// The ranges that may connect, with the address itself if the node may: its own processes come from there when it is routed to the
/// node (Service rule 29).
fn with_own(mut allowed: Vec<IpNet>, ip: IpAddr, node: Option<&Node>) -> Vec<IpNet> {
    let mut own = node.into_iter().flat_map(|node| &node.addresses);
    if own.any(|own| allowed.iter().any(|range| range.contains(own))) {
        allowed.push(ip.into());
    }
    IpNet::aggregate(&allowed)
}

fn open(groups: Vec<Group>, others: Target) -> Vec<Way> {
    let is_everybody = |group: &&Group| group.ranges.iter().any(|range| range.prefix_len() == 0);
    let everybody = groups.iter().find(is_everybody);
    let others = everybody.map_or(others, |group| group.target);
    let mut ways = Vec::new();
    if groups
        .iter()
        .any(|group| group.target.policy != others.policy)
    {
        ways.push(Way {
            source: Source::SameHost,
            target: Target::new(Policy::Cluster, false),
        });
    }
    let groups = groups.into_iter().filter(|group| group.target != others);
    ways.extend(groups.filter_map(|group| way(group.ranges, group.target)));
    ways.push(Way {
        source: Source::Anybody,
        target: others,
    });
    ways
}

/// Every group has its part of what is allowed, and the others have the rest. Envoy takes the chain with the longest match, so that a
/// part may be written with what other parts have cut out of it; only no range may stand in two.
fn restricted(allowed: &[IpNet], groups: &[Group], others: Target) -> Vec<Way> {
    let within = |range: &IpNet| -> Vec<IpNet> {
        let all = groups.iter().flat_map(|group| &group.ranges);
        all.filter(|other| range.contains(*other) && *other != range)
            .chain([range])
            .copied()
            .collect()
    };
    let target = |range: &IpNet| {
        let all = groups.iter().flat_map(|group| {
            let own = group.ranges.iter().filter(|own| own.contains(range));
            own.map(|own| (own.prefix_len(), group.target))
        });
        all.max_by_key(|(length, _)| *length)
            .map_or(others, |(_, target)| target)
    };
    let parts: Vec<(IpNet, Target)> = allowed
        .iter()
        .flat_map(within)
        .map(|range| (range, target(&range)))
        .collect();
    let targets = groups.iter().map(|group| group.target).chain([others]);
    let part = |wanted: Target| {
        let own = parts.iter().filter(|(_, target)| *target == wanted);
        way(own.map(|(range, _)| *range).collect(), wanted)
    };
    targets.filter_map(part).collect()
}

/// No way for no ranges: to Envoy they would mean everybody.
fn way(ranges: Vec<IpNet>, target: Target) -> Option<Way> {
    (!ranges.is_empty()).then_some(Way {
        source: Source::Ranges(ranges),
        target,
    })
}

/// Pods, and the node by its own addresses (Service rule 72). Without a range for pods they count as outside clients.
///
/// External addresses are routed to itself by every node, so a pod that comes there is this node's, whatever range tells pods. At a
/// node port it may be another node's, which is outside: where this node says which pods are its own, these alone are inside.
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

/// The loopback range of a family.
pub(crate) fn loopback(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::new_assert(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
        Family::V6 => IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)),
    }
}

#[cfg(test)]
mod tests;
