//! Translates one Service, whole: its clusters, assignments, listeners and virtual hosts, and what is wrong with it.
//!
//! A dirty Service is always translated completely. What comes out equal to what was there costs nothing further: resources are
//! compared by version where they are published.

mod listeners;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use seaway_proto::Resource;

use crate::active::Active;
use crate::choose::{Priorities, Set, choose, choose_for_flows};
use crate::endpoints::{self, Candidate};
use crate::envoy::route::{Host, Hosts};
use crate::envoy::{assignment, cluster};
use crate::frontends::{self, Frontend};
use crate::index::Index;
use crate::layers::{Choice, spread};
use crate::model::{Family, Kind, Policy, Protocol, Service, ServicePort};
use crate::names::{ClusterName, PortKey};
use crate::parts::{Changed, Handed, Parts};
use crate::{Layer, Options, Problem, Role, alias, health, redirect, sources};
pub(crate) use listeners::Listeners;

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
    /// Those that are not a single node's.
    pub resources: Vec<(Layer, Resource)>,
    /// All it has in a node's layers, of those in which it is something else than was handed over.
    pub on_nodes: Changed,
    pub hosts: Hosts,
    /// Those found now; those found while reading are in the Service.
    pub problems: Vec<Problem>,
    /// How many listeners a proxy of role `node` has to bind for it.
    pub sockets: usize,
    /// The listeners once more, to be kept; they are among the resources.
    pub listeners: Option<Listeners>,
}

/// What is known of a Service since it was translated last.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Its listeners, if only endpoints have changed since, or nodes.
    pub listeners: Option<Listeners>,
    /// The nodes that came, went or changed since the listeners were made.
    pub nodes: BTreeSet<Arc<str>>,
}

/// Translates a Service.
pub(crate) fn translate(
    world: &World<'_>,
    service: &Service,
    known: Known,
    handed: &mut Handed,
) -> Translated {
    match service.kind {
        Kind::ExternalName(_) => Translated {
            on_nodes: Parts::default().settle(handed, |_| true),
            ..alias::translate(world, service)
        },
        Kind::ClusterIp | Kind::Headless => Joined::new(world, service).translate(known, handed),
    }
}

/// Translates what a Service has on the nodes that came, went or changed, where nothing else did.
pub(crate) fn translate_on_nodes(
    world: &World<'_>,
    service: &Service,
    mut listeners: Listeners,
    nodes: &BTreeSet<Arc<str>>,
    handed: &mut Handed,
) -> Translated {
    let joined = match service.health_check_port {
        Some(_) => Joined::new(world, service),
        None => Joined::without_endpoints(world, service),
    };
    joined.renew(&mut listeners, nodes);
    let mut problems = frontends::problems(service, world.options);
    problems.extend(listeners.problems().cloned());
    let mut parts = Parts::default();
    for node in nodes {
        listeners.add_of(node, &mut parts);
    }
    let endpoints = joined.candidates.values().flatten();
    let checks = health::translate(
        world,
        service,
        endpoints,
        (&mut Vec::new(), &mut parts),
        Some(nodes),
        &mut problems,
    );
    let is_looked_at =
        |layer: &Layer| matches!(layer, Layer::NodeRole(node) if nodes.contains(node));
    let on_nodes = parts.settle(handed, is_looked_at);
    Translated {
        on_nodes,
        problems,
        sockets: listeners.sockets() + checks,
        listeners: Some(listeners),
        ..Translated::default()
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
    fn without_endpoints(world: &'a World<'a>, service: &'a Service) -> Joined<'a> {
        Joined {
            world,
            service,
            frontends: frontends::of_service(service, world.options),
            clusters: BTreeMap::new(),
            candidates: BTreeMap::new(),
        }
    }

    fn new(world: &'a World<'a>, service: &'a Service) -> Joined<'a> {
        let frontends = frontends::of_service(service, world.options);
        let clusters = clusters(service, &frontends, world.options);
        let mut candidates = BTreeMap::new();
        for (name, users) in &clusters {
            candidates
                .entry((users.port, name.family))
                .or_insert_with(|| {
                    let port = &service.ports[users.port];
                    endpoints::of_port(service, port, name.family, world.index, world.options)
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

    fn translate(&self, known: Known, handed: &mut Handed) -> Translated {
        let mut resources = Vec::new();
        let listeners = self.listeners(known);
        let mut parts = Parts::default();
        for (name, users) in &self.clusters {
            self.cluster(name, users, &mut resources, &mut parts);
        }
        let mut problems = frontends::problems(self.service, self.world.options);
        resources.extend(listeners.resources.iter().cloned());
        problems.extend(listeners.problems().cloned());
        listeners.add_all(&mut parts);
        let endpoints = self.candidates.values().flatten();
        let checks = health::translate(
            self.world,
            self.service,
            endpoints,
            (&mut resources, &mut parts),
            None,
            &mut problems,
        );
        let on_nodes = parts.settle(handed, |_| true);
        let ports = self
            .service
            .ports
            .iter()
            .filter(|port| frontends::is_stream(port));
        let hosts: Vec<Host> = ports
            .map(|port| Host {
                port: port_key(self.service, port),
                cluster: mesh_cluster(self.service, port).to_string().into(),
                sticky: self.service.affinity.is_some(),
                rewrite: None,
            })
            .collect();
        Translated {
            resources,
            on_nodes,
            hosts: Hosts::new(hosts, self.world.options),
            problems,
            sockets: listeners.sockets() + checks,
            listeners: Some(listeners),
        }
    }

    /// A cluster and its assignments. They stay when all endpoints are gone (Service rule 80).
    fn cluster<'s>(
        &'s self,
        name: &ClusterName,
        users: &Users,
        resources: &mut Vec<(Layer, Resource)>,
        parts: &mut Parts<'s>,
    ) {
        let resource_name: Arc<str> = name.to_string().into();
        let port = &self.service.ports[users.port];
        let traits = cluster::Traits::of(self.service, port, self.world.options);
        resources.push((users.layer(), cluster::eds(&resource_name, name, &traits)));
        let set = if name.local {
            Set::Local {
                fallback: self.service.local_fallback,
            }
        } else {
            Set::Cluster
        };
        let candidates = self.candidates(users.port, name.family);
        let choice: Choice = match port.protocol {
            Protocol::Udp => choose_for_flows,
            Protocol::Tcp | Protocol::Sctp => choose,
        };
        for (layer, priorities) in spread(candidates, set, self.world.active, choice) {
            let index = self.world.index;
            let resource = |name: &Arc<str>, priorities: &Priorities| {
                assignment::resource(name, candidates, priorities, index)
            };
            if !layer.is_of_a_node() {
                resources.push((layer, resource(&resource_name, &priorities)));
                continue;
            }
            let inputs = assignment::Inputs {
                candidates,
                priorities: &priorities,
                index,
            };
            let mut hash = DefaultHasher::new();
            (&resource_name, inputs).hash(&mut hash);
            let name = resource_name.clone();
            let make = move |to: &mut Vec<Resource>| to.push(resource(&name, &priorities));
            parts.add(layer, hash.finish(), make);
        }
    }

    fn candidates(&self, port: usize, family: Family) -> &[Candidate<'a>] {
        self.candidates
            .get(&(port, family))
            .map_or(&[], Vec::as_slice)
    }
}

/// The clusters that the frontends and the host names of a Service need (Service rule 58), whether or not there are endpoints and
/// whoever wins the addresses: a cluster that came and went with those would be warmed again and again.
fn clusters(
    service: &Service,
    frontends: &[Frontend],
    options: &Options,
) -> BTreeMap<ClusterName, Users> {
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
            users.mesh |= redirect::layer(port.protocol, options) == Layer::Captured;
        }
    }
    clusters
}
