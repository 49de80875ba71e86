//! The listeners of a Service: those of its frontends that it gets and that lead somewhere, and in which layer each lies.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use seaway_proto::Resource;

use super::{Joined, World, cluster_name, port_key};
use crate::choose::any_usable;
use crate::envoy::affinity::Affinity;
use crate::envoy::{listener, udp};
use crate::frontends::Frontend;
use crate::index::{Address, Claim, claim};
use crate::keep_source::{self, Keep};
use crate::model::{Family, Node, Protocol};
use crate::names::{FrontendKind, FrontendName};
use crate::sources::{self, Way};
use crate::system_ports;
use crate::{Layer, Problem, Reason, Role, namespace, node_ports, redirect, sockets};

/// The listeners of a Service as they were made. Of its endpoints they show only whether there are any, so that they outlast a
/// change of endpoints; some Services have one per node and address.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// Whether there is an endpoint and no endpoint answers in the listener's place, by frontend.
    usable: Vec<bool>,
    pub resources: Vec<(Layer, Resource)>,
    pub problems: Vec<Problem>,
    /// How many of them a proxy has to bind.
    pub sockets: usize,
}

impl<'a> Joined<'a> {
    /// The listeners of the frontends that this Service gets and that lead somewhere: without any usable endpoint the kernel is to
    /// refuse connections (Service rules 70, 76). The `known` ones are still right if nothing but endpoints changed.
    pub(super) fn listeners(&self, known: Option<&Arc<Listeners>>) -> Arc<Listeners> {
        let usable = |frontend: &Frontend| {
            any_usable(self.candidates(frontend.port, Family::of(frontend.ip)))
                && !self.is_answered(frontend)
        };
        let usable: Vec<bool> = self.frontends.iter().map(usable).collect();
        if let Some(known) = known.filter(|known| known.usable == usable) {
            return known.clone();
        }
        let (mut resources, mut problems) = (Vec::new(), Vec::new());
        let sockets = self.make_listeners(&usable, &mut resources, &mut problems);
        Arc::new(Listeners {
            usable,
            resources,
            problems,
            sockets,
        })
    }

    /// Makes them all, and counts those that a proxy has to bind.
    fn make_listeners(
        &self,
        usable: &[bool],
        resources: &mut Vec<(Layer, Resource)>,
        problems: &mut Vec<Problem>,
    ) -> usize {
        let mut done = BTreeSet::new();
        let mut bound = 0;
        for (frontend, usable) in self.frontends.iter().zip(usable) {
            let wins = self.may_have(frontend, problems) && self.wins(frontend, problems);
            let protocol = self.service.ports[frontend.port].protocol;
            let key = (frontend.kind, frontend.ip, frontend.listen, protocol);
            if !wins || !*usable || !done.insert(key) {
                continue;
            }
            let before = resources.len();
            if node_ports::is_per_node(frontend.kind, frontend.ip, self.world.options) {
                self.node_listeners(frontend, resources, problems);
            } else {
                self.role_listener(frontend, resources, problems);
            }
            if redirect::is_bound(protocol, self.world.options) {
                bound += sockets::most(&resources[before..]);
            }
        }
        bound
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

    /// The nodes on which there is a proxy of role `node`, as far as they are known.
    fn nodes(&self) -> impl Iterator<Item = (&'a Arc<str>, &'a Node)> {
        let World { index, active, .. } = *self.world;
        let known = |name: &'a Arc<str>| Some((name, &**index.node(name)?));
        active.node_roles().filter_map(known)
    }

    /// The listener of a frontend that is the same on every node, or nearly: a node has its own one where it names the node's own
    /// addresses.
    fn role_listener(
        &self,
        frontend: &Frontend,
        resources: &mut Vec<(Layer, Resource)>,
        problems: &mut Vec<Problem>,
    ) {
        let base = self.ways(frontend, frontend.ip, None);
        let may_be_own = namespace::may_be_own(frontend, self.world.options);
        if may_be_own || sources::is_per_node(self.service, frontend) {
            for (name, node) in self.nodes() {
                let ways = self.ways(frontend, frontend.ip, Some(node));
                let own = may_be_own
                    && node.addresses.contains(&frontend.ip)
                    && self.has_place(frontend, name, node, problems);
                if own || ways != base {
                    let layer = Layer::NodeRole(name.clone());
                    resources.push((layer, self.listener(frontend, frontend.ip, own, &ways)));
                }
            }
        }
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

    /// A node port on the own addresses of each node in use. It gives way to any other claim on such an address.
    fn node_listeners(
        &self,
        frontend: &Frontend,
        resources: &mut Vec<(Layer, Resource)>,
        problems: &mut Vec<Problem>,
    ) {
        let family = Family::of(frontend.ip);
        for (name, node) in self.nodes() {
            for ip in node_ports::addresses(node, self.world.options, family) {
                let address = Address {
                    ip,
                    port: frontend.listen,
                    protocol: self.service.ports[frontend.port].protocol,
                };
                if let Some(winner) = self.world.index.claims().winner(&address) {
                    let place = format!(" on Node {name}");
                    problems.extend(self.conflict(frontend, &address, winner, &place));
                    continue;
                }
                let ways = self.ways(frontend, ip, Some(node));
                let layer = Layer::NodeRole(name.clone());
                resources.push((layer, self.listener(frontend, ip, false, &ways)));
            }
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
