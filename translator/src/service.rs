//! Translates one Service, whole: its clusters, assignments, listeners and virtual hosts, and what is wrong with it.
//!
//! A dirty Service is always translated completely. What comes out equal to what was there costs nothing further: resources are
//! compared by version where they are published.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use seaway_proto::Resource;

use crate::active::Active;
use crate::choose::{Set, any_usable};
use crate::endpoints::{self, Candidate};
use crate::envoy::route::{Host, Hosts};
use crate::envoy::{assignment, cluster, listener, udp};
use crate::frontends::{self, Frontend};
use crate::index::{Address, Claim, Index, claim};
use crate::layers::spread;
use crate::model::{Family, Kind, Node, Policy, Protocol, Service, ServicePort};
use crate::names::{ClusterName, FrontendKind, FrontendName, PortKey};
use crate::sources::{self, Way};
use crate::system_ports;
use crate::{Layer, Options, Problem, Reason, Role, alias, health, node_ports, redirect};

/// All that a translation may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World<'a> {
    pub options: &'a Options,
    pub index: &'a Index,
    pub active: &'a Active,
}

/// What a Service becomes.
#[derive(Debug, Default)]
pub(crate) struct Translated {
    pub resources: Vec<(Layer, Resource)>,
    pub hosts: Hosts,
    /// Those found now; those found while reading are in the Service.
    pub problems: Vec<Problem>,
}

/// Translates a Service.
pub(crate) fn translate(world: &World<'_>, service: &Service) -> Translated {
    match service.kind {
        Kind::ExternalName(_) => alias::translate(world, service),
        Kind::ClusterIp | Kind::Headless => Joined::new(world, service).translate(),
    }
}

/// The cluster to which a client that knows only the name of a port is sent.
pub(crate) fn mesh_cluster(service: &Service, port: &ServicePort) -> ClusterName {
    cluster_name(
        service,
        port,
        service.internal_policy,
        service.primary_family,
    )
}

/// The key of a Service port.
pub(crate) fn port_key(service: &Service, port: &ServicePort) -> PortKey {
    PortKey {
        service: service.key.clone(),
        number: port.number,
        protocol: port.protocol,
    }
}

fn cluster_name(
    service: &Service,
    port: &ServicePort,
    policy: Policy,
    family: Family,
) -> ClusterName {
    ClusterName {
        port: port_key(service, port),
        local: policy == Policy::Local,
        family,
    }
}

/// Who uses a cluster.
#[derive(Default)]
struct Users {
    port: usize,
    node: bool,
    mesh: bool,
}

impl Users {
    fn layer(&self) -> Layer {
        match (self.node, self.mesh) {
            (true, false) => Layer::Role(Role::Node),
            (false, true) => Layer::Role(Role::Mesh),
            _ => Layer::All,
        }
    }
}

/// A Service with everything that belongs to it.
struct Joined<'a> {
    world: &'a World<'a>,
    service: &'a Service,
    frontends: Vec<Frontend>,
    clusters: BTreeMap<ClusterName, Users>,
    /// By port and family.
    candidates: BTreeMap<(usize, Family), Vec<Candidate<'a>>>,
}

impl<'a> Joined<'a> {
    fn new(world: &'a World<'a>, service: &'a Service) -> Joined<'a> {
        let frontends = frontends::of_service(service, world.options);
        let clusters = clusters(service, &frontends);
        let mut candidates = BTreeMap::new();
        for (name, users) in &clusters {
            candidates
                .entry((users.port, name.family))
                .or_insert_with(|| {
                    let slices = world.index.slices(&service.key);
                    let port = &service.ports[users.port];
                    endpoints::of_port(service, port, name.family, slices, world.options)
                });
        }
        Joined {
            world,
            service,
            frontends,
            clusters,
            candidates,
        }
    }

    fn translate(&self) -> Translated {
        let mut resources = Vec::new();
        for (name, users) in &self.clusters {
            self.cluster(name, users, &mut resources);
        }
        let mut problems = frontends::problems(self.service, self.world.options);
        self.listeners(&mut resources, &mut problems);
        let endpoints = self.candidates.values().flatten();
        health::translate(
            self.world,
            self.service,
            endpoints,
            &mut resources,
            &mut problems,
        );
        let ports = self
            .service
            .ports
            .iter()
            .filter(|port| frontends::is_stream(port));
        let hosts: Vec<Host> = ports
            .map(|port| Host {
                port: port_key(self.service, port),
                cluster: mesh_cluster(self.service, port).to_string().into(),
                rewrite: None,
            })
            .collect();
        Translated {
            resources,
            hosts: Hosts::new(&hosts, self.world.options),
            problems,
        }
    }

    /// A cluster and its assignments. They stay when all endpoints are gone (Service rule 80).
    fn cluster(&self, name: &ClusterName, users: &Users, resources: &mut Vec<(Layer, Resource)>) {
        let resource_name: Arc<str> = name.to_string().into();
        let protocol = self.service.ports[users.port].app_protocol;
        resources.push((users.layer(), cluster::eds(&resource_name, name, protocol)));
        let set = if name.local {
            Set::Local {
                fallback: self.service.local_fallback,
            }
        } else {
            Set::Cluster
        };
        let candidates = self.candidates(users.port, name.family);
        for (layer, priorities) in spread(candidates, set, self.world.active) {
            let index = self.world.index;
            let assignment = assignment::resource(&resource_name, candidates, &priorities, index);
            resources.push((layer, assignment));
        }
    }

    fn candidates(&self, port: usize, family: Family) -> &[Candidate<'a>] {
        self.candidates
            .get(&(port, family))
            .map_or(&[], Vec::as_slice)
    }

    /// The listeners of the frontends that this Service gets and that lead somewhere: without any usable endpoint the kernel is to
    /// refuse connections (Service rules 70, 76).
    fn listeners(&self, resources: &mut Vec<(Layer, Resource)>, problems: &mut Vec<Problem>) {
        let mut done = BTreeSet::new();
        for frontend in &self.frontends {
            let usable = any_usable(self.candidates(frontend.port, Family::of(frontend.ip)));
            let wins = self.may_have(frontend, problems) && self.wins(frontend, problems);
            let protocol = self.service.ports[frontend.port].protocol;
            let key = (frontend.kind, frontend.ip, frontend.listen, protocol);
            if !wins || !usable || !done.insert(key) {
                continue;
            }
            if node_ports::is_per_node(frontend.kind, frontend.ip, self.world.options) {
                self.node_listeners(frontend, resources, problems);
            } else {
                self.role_listener(frontend, resources);
            }
        }
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
    fn role_listener(&self, frontend: &Frontend, resources: &mut Vec<(Layer, Resource)>) {
        let base = self.ways(frontend, frontend.ip, None);
        if sources::is_per_node(self.service, frontend) {
            for (name, node) in self.nodes() {
                let own = self.ways(frontend, frontend.ip, Some(node));
                if own != base {
                    let layer = Layer::NodeRole(name.clone());
                    resources.push((layer, self.listener(frontend, frontend.ip, &own)));
                }
            }
        }
        let listener = self.listener(frontend, frontend.ip, &base);
        resources.push((Layer::Role(Role::Node), listener));
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
                resources.push((layer, self.listener(frontend, ip, &ways)));
            }
        }
    }

    fn ways(&self, frontend: &Frontend, ip: IpAddr, node: Option<&Node>) -> Vec<Way> {
        sources::ways(self.service, frontend, ip, node, self.world.options)
    }

    fn listener(&self, frontend: &Frontend, ip: IpAddr, ways: &[Way]) -> Resource {
        let port = &self.service.ports[frontend.port];
        let name = FrontendName {
            port: port_key(self.service, port),
            kind: frontend.kind,
            address: SocketAddr::new(ip, frontend.listen.get()),
        };
        let family = Family::of(ip);
        let route = |way: &Way| listener::Route {
            source: way.source.clone(),
            cluster: cluster_name(self.service, port, way.policy, family),
        };
        let routes: Vec<listener::Route> = ways.iter().map(route).collect();
        let refused = if frontend.kind == FrontendKind::NodePort && ip.is_unspecified() {
            node_ports::refused(self.world.options, family)
        } else {
            Vec::new()
        };
        match port.protocol {
            Protocol::Udp => {
                let policy = frontend.policy(self.service);
                let cluster = cluster_name(self.service, port, policy, family);
                udp::listener(&name, cluster.stat_name(), &routes, &refused)
            }
            Protocol::Tcp | Protocol::Sctp => {
                let bound = redirect::is_bound(port.protocol, self.world.options);
                listener::tcp(&name, &routes, &refused, bound)
            }
        }
    }
}

/// The clusters that the frontends and the host names of a Service need (Service rule 58), whether or not there are endpoints and
/// whoever wins the addresses: a cluster that came and went with those would be warmed again and again.
fn clusters(service: &Service, frontends: &[Frontend]) -> BTreeMap<ClusterName, Users> {
    let mut clusters: BTreeMap<ClusterName, Users> = BTreeMap::new();
    for (position, port) in service
        .ports
        .iter()
        .enumerate()
        .filter(|(_, p)| frontends::is_stream(p))
    {
        let users = clusters.entry(mesh_cluster(service, port)).or_default();
        users.port = position;
        users.mesh = true;
    }
    for frontend in frontends {
        let port = &service.ports[frontend.port];
        for policy in sources::policies(service, frontend) {
            let name = cluster_name(service, port, *policy, Family::of(frontend.ip));
            let users = clusters.entry(name).or_default();
            users.port = frontend.port;
            users.node = true;
        }
    }
    clusters
}
