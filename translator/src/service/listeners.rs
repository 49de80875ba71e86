//! The listeners of a Service: those of its frontends that it gets and that lead somewhere, and in which layer each lies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use seaway_proto::Resource;

use super::{Joined, Known, World, cluster_name, port_key};
use crate::choose::any_usable;
use crate::envoy::affinity::Affinity;
use crate::envoy::{listener, udp};
use crate::frontends::Frontend;
use crate::index::{Address, Claim, claim};
use crate::keep_source::{self, Keep};
use crate::model::{Family, Node, Protocol};
use crate::names::{FrontendKind, FrontendName};
use crate::parts::Parts;
use crate::sources::{self, Way};
use crate::system_ports;
use crate::{Layer, Problem, Reason, Role, namespace, node_ports, redirect, sockets};

/// The listeners of a Service as they were made. Of its endpoints they show only whether there are any, so that they outlast a
/// change of endpoints; some Services have one per node and address.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// Whether there is an endpoint and no endpoint answers in the listener's place, by frontend.
    usable: Vec<bool>,
    /// The frontends that lead somewhere: their positions, and how many of the listeners below a proxy has to bind for each.
    served: Vec<(usize, usize)>,
    /// Those that are not a single node's.
    pub resources: Vec<(Layer, Resource)>,
    problems: Vec<Problem>,
    /// What single nodes have, where there is anything.
    nodes: BTreeMap<Arc<str>, OnNode>,
}

/// The listeners of a Service that one node has.
#[derive(Debug, Default)]
struct OnNode {
    resources: Vec<Resource>,
    problems: Vec<Problem>,
    /// How many of them its proxy has to bind, by frontend that is served.
    bound: Vec<usize>,
}

impl Listeners {
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        let of_nodes = self.nodes.values().flat_map(|node| &node.problems);
        self.problems.iter().chain(of_nodes)
    }

    /// The most that a proxy has to bind, whatever its node: a node's own one hides the role's of the same name.
    pub(crate) fn sockets(&self) -> usize {
        let most = |(at, (_, everywhere)): (usize, &(usize, usize))| {
            let of_nodes = self.nodes.values().map(|node| node.bound[at]);
            of_nodes.max().unwrap_or_default().max(*everywhere)
        };
        self.served.iter().enumerate().map(most).sum()
    }

    /// Adds what every node has.
    pub(crate) fn add_all<'a>(&'a self, parts: &mut Parts<'a>) {
        self.nodes.keys().for_each(|node| self.add_of(node, parts));
    }

    /// Adds what a node has, if it has anything.
    pub(crate) fn add_of<'a>(&'a self, node: &Arc<str>, parts: &mut Parts<'a>) {
        let Some(on_node) = self.nodes.get(node) else {
            return;
        };
        if on_node.resources.is_empty() {
            return;
        }
        let each = on_node.resources.iter();
        let of: Vec<(&str, u64)> = each.map(|r| (&*r.name, r.version.hash())).collect();
        parts.add(Layer::NodeRole(node.clone()), of, |to| {
            to.extend(on_node.resources.iter().cloned());
        });
    }
}

impl<'a> Joined<'a> {
    /// The listeners of the frontends that this Service gets and that lead somewhere: without any usable endpoint the kernel is to
    /// refuse connections (Service rules 70, 76). The known ones are still right if nothing but endpoints changed, or nodes.
    pub(super) fn listeners(&self, known: Known) -> Listeners {
        let usable = |frontend: &Frontend| {
            any_usable(self.candidates(frontend.port, Family::of(frontend.ip)))
                && !self.is_answered(frontend)
        };
        let usable: Vec<bool> = self.frontends.iter().map(usable).collect();
        let Known { listeners, nodes } = known;
        if let Some(mut known) = listeners.filter(|known| known.usable == usable) {
            self.renew(&mut known, &nodes);
            return known;
        }
        self.make_listeners(usable)
    }

    /// Makes them all.
    fn make_listeners(&self, usable: Vec<bool>) -> Listeners {
        let mut done = BTreeSet::new();
        let (mut served, mut resources, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (at, frontend) in self.frontends.iter().enumerate() {
            let wins = self.may_have(frontend, &mut problems) && self.wins(frontend, &mut problems);
            let protocol = self.service.ports[frontend.port].protocol;
            let key = (frontend.kind, frontend.ip, frontend.listen, protocol);
            if !wins || !usable[at] || !done.insert(key) {
                continue;
            }
            let before = resources.len();
            if !node_ports::is_per_node(frontend.kind, frontend.ip, self.world.options) {
                self.role_listener(frontend, &mut resources);
            }
            let bound = match self.is_bound(frontend) {
                true => sockets::most(&resources[before..]),
                false => 0,
            };
            served.push((at, bound));
        }
        let mut listeners = Listeners {
            usable,
            served,
            resources,
            problems,
            nodes: BTreeMap::new(),
        };
        if self.is_per_node() {
            let nodes = self.world.active.node_roles().cloned().collect();
            self.renew(&mut listeners, &nodes);
        }
        listeners
    }

    /// Makes those of these nodes anew, and nobody else's.
    pub(super) fn renew(&self, listeners: &mut Listeners, nodes: &BTreeSet<Arc<str>>) {
        let World { index, active, .. } = *self.world;
        for name in nodes {
            listeners.nodes.remove(name);
            let node = active.has_node_role(name).then(|| index.node(name));
            if let Some(node) = node.flatten() {
                let on_node = self.on_node(&listeners.served, name, node);
                if !on_node.resources.is_empty() || !on_node.problems.is_empty() {
                    listeners.nodes.insert(name.clone(), on_node);
                }
            }
        }
    }

    /// What a node has of its own.
    fn on_node(&self, served: &[(usize, usize)], name: &str, node: &Node) -> OnNode {
        let mut made = OnNode::default();
        for (at, _) in served {
            let frontend = &self.frontends[*at];
            let before = made.resources.len();
            if node_ports::is_per_node(frontend.kind, frontend.ip, self.world.options) {
                self.node_listeners(frontend, name, node, &mut made);
            } else {
                self.own_listener(frontend, name, node, &mut made);
            }
            made.bound.push(match self.is_bound(frontend) {
                true => made.resources.len() - before,
                false => 0,
            });
        }
        made
    }

    /// Whether a proxy has to bind the listeners of a frontend.
    fn is_bound(&self, frontend: &Frontend) -> bool {
        let protocol = self.service.ports[frontend.port].protocol;
        redirect::is_bound(protocol, self.world.options)
    }

    /// Whether nodes may have listeners of their own.
    fn is_per_node(&self) -> bool {
        self.world.index.has_node_listeners(&self.service.key)
    }

    /// Whether a Service may ask for the address at all: not for a node's own one where the system itself listens (Service rule 20).
    fn may_have(&self, frontend: &Frontend, problems: &mut Vec<Problem>) -> bool {
        let protocol = self.service.ports[frontend.port].protocol;
        let refused = system_ports::is_claimed(frontend, protocol)
            && self.world.index.is_node_address(frontend.ip);
        if refused {
            let message = format!(
                "{} {protocol} is an address of a Node and a port of its system",
                SocketAddr::new(frontend.ip, frontend.listen.get()),
            );
            let object = format!("Service {}", self.service.key);
            let field = frontend.field(self.service);
            let reason = Reason::FrontendRefused;
            problems.push(Problem::error(object, field, reason, message));
        }
        !refused
    }

    /// Whether an endpoint of the Service listens at the very address.
    fn is_answered(&self, frontend: &Frontend) -> bool {
        let (address, _) = claim(self.service, frontend);
        let index = self.world.index;
        index.is_answered(&self.service.key, frontend.kind, &address)
    }

    /// Whether the Service gets the address, by the rules for conflicting claims.
    fn wins(&self, frontend: &Frontend, problems: &mut Vec<Problem>) -> bool {
        let (address, claim) = claim(self.service, frontend);
        let Some(winner) = self.world.index.claims().winner(&address) else {
            return false;
        };
        if *winner == claim {
            return true;
        }
        problems.extend(self.conflict(frontend, &address, winner, ""));
        false
    }

    /// That another Service has the better claim to an address. The same port under the same address of another kind is served all
    /// the same.
    fn conflict(
        &self,
        frontend: &Frontend,
        address: &Address,
        winner: &Claim,
        place: &str,
    ) -> Option<Problem> {
        if winner.service == self.service.key && winner.port == frontend.port {
            return None;
        }
        let message = format!(
            "{} {}{place} is served for Service {}, whose claim is better",
            SocketAddr::new(address.ip, address.port.get()),
            address.protocol,
            winner.service
        );
        let object = format!("Service {}", self.service.key);
        let field = frontend.field(self.service);
        let reason = Reason::FrontendConflict;
        Some(Problem::error(object, field, reason, message))
    }

    /// The listener of a frontend that is the same on every node, or nearly: a node has its own one where it names the node's own
    /// addresses.
    fn role_listener(&self, frontend: &Frontend, resources: &mut Vec<(Layer, Resource)>) {
        let base = self.ways(frontend, frontend.ip, None);
        let protocol = self.service.ports[frontend.port].protocol;
        let layer = redirect::layer(protocol, self.world.options);
        let keep = self.keep(frontend);
        let mut push = |layer, keep| {
            let listener = self.listener_that_keeps(keep, frontend, frontend.ip, false, &base);
            resources.push((layer, listener));
        };
        if layer == Layer::Captured && keep.is_some() {
            // A mesh proxy may not take over addresses.
            push(Layer::Role(Role::Node), keep);
            push(layer, None);
        } else {
            push(layer, keep);
        }
    }

    /// A node's own listener of such a frontend, if it differs.
    fn own_listener(&self, frontend: &Frontend, name: &str, node: &Node, made: &mut OnNode) {
        let may_be_own = namespace::may_be_own(frontend, self.world.options);
        if !may_be_own && !sources::is_per_node(self.service, frontend) {
            return;
        }
        let ways = self.ways(frontend, frontend.ip, Some(node));
        let own = may_be_own
            && node.addresses.contains(&frontend.ip)
            && self.has_place(frontend, name, node, &mut made.problems);
        if own || ways != self.ways(frontend, frontend.ip, None) {
            let listener = self.listener(frontend, frontend.ip, own, &ways);
            made.resources.push(listener);
        }
    }

    /// A node port on a node's own addresses. It gives way to any other claim on such an address.
    fn node_listeners(&self, frontend: &Frontend, name: &str, node: &Node, made: &mut OnNode) {
        let family = Family::of(frontend.ip);
        for ip in node_ports::addresses(node, self.world.options, family) {
            let address = Address {
                ip,
                port: frontend.listen,
                protocol: self.service.ports[frontend.port].protocol,
            };
            if let Some(winner) = self.world.index.claims().winner(&address) {
                let place = format!(" on Node {name}");
                made.problems
                    .extend(self.conflict(frontend, &address, winner, &place));
                continue;
            }
            let ways = self.ways(frontend, ip, Some(node));
            let listener = self.listener(frontend, ip, false, &ways);
            made.resources.push(listener);
        }
    }

    /// Whether the place that a node's own address has in the namespace of its listeners is free.
    fn has_place(
        &self,
        frontend: &Frontend,
        name: &str,
        node: &Node,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let (address, _) = claim(self.service, frontend);
        let Some(rival) = namespace::rival(&address, node, self.world.index) else {
            return true;
        };
        let place = format!(" on Node {name} (all of whose addresses are one to its listeners)");
        problems.extend(self.conflict(frontend, &address, rival, &place));
        false
    }

    fn ways(&self, frontend: &Frontend, ip: IpAddr, node: Option<&Node>) -> Vec<Way> {
        sources::ways(self.service, frontend, ip, node, self.world.options)
    }

    fn keep(&self, frontend: &Frontend) -> Option<Keep> {
        keep_source::keep(self.service, frontend, self.world.options)
    }

    /// The listener of a frontend on this address, which may be the node's `own`.
    fn listener(&self, frontend: &Frontend, ip: IpAddr, own: bool, ways: &[Way]) -> Resource {
        self.listener_that_keeps(self.keep(frontend), frontend, ip, own, ways)
    }

    fn listener_that_keeps(
        &self,
        keep: Option<Keep>,
        frontend: &Frontend,
        ip: IpAddr,
        own: bool,
        ways: &[Way],
    ) -> Resource {
        let port = &self.service.ports[frontend.port];
        let name = FrontendName {
            port: port_key(self.service, port),
            kind: frontend.kind,
            address: SocketAddr::new(ip, frontend.listen.get()),
        };
        let family = Family::of(ip);
        let timeout = self.service.affinity;
        let options = self.world.options;
        let affinity = timeout.map(|timeout| Affinity::new(&self.service.key, timeout));
        let route = |way: &Way| listener::Route {
            source: way.source.clone(),
            cluster: cluster_name(self.service, port, way.policy, family),
            affinity: affinity.clone(),
        };
        let routes: Vec<listener::Route> = ways.iter().map(route).collect();
        let refused = if frontend.kind == FrontendKind::NodePort && ip.is_unspecified() {
            node_ports::refused(options, family)
        } else {
            Vec::new()
        };
        let place = namespace::place(name.address, own, options);
        match port.protocol {
            Protocol::Udp => {
                let policy = frontend.policy(self.service);
                let cluster = cluster_name(self.service, port, policy, family);
                let idle = udp::idle(self.service, port);
                let stat_name = cluster.stat_name();
                udp::listener(
                    &name,
                    stat_name,
                    &routes,
                    &refused,
                    &place,
                    keep.is_some(),
                    idle,
                )
            }
            Protocol::Tcp | Protocol::Sctp => {
                let bound = redirect::is_bound(port.protocol, options);
                listener::tcp(&name, &routes, &refused, &place, bound, keep)
            }
        }
    }
}
