//! The index: all Services, EndpointSlices and Nodes, joined. The change of an object goes in, and
//! the Services to be translated again come out.
//!
//! Services and slices meet by namespace and label, in whatever order they arrive (Service rules
//! 36, 47). The cost of a change is that of the object and of the Services it touches; nothing here
//! walks the world.

mod aliases;
mod chains;
mod claims_by_address;
mod cycles;
mod node_addresses;
mod node_zones;
mod pod_ranges;
mod refs;
pub(crate) mod routing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{EndpointSlice, Family, Kind, Node, Policy, Service, ServiceKey, ServicePort};
use crate::names::is_named_like;
use crate::policy::{
    claims, external_name, frontends, namespace, node_ports, source_routing, system_ports,
};
use crate::{Import, ObjectId, ObjectKind, Options};

use aliases::Aliases;
use chains::Chains;
pub(crate) use claims_by_address::Claims;
use node_addresses::NodeAddresses;
use node_zones::NodeZones;
pub(crate) use node_zones::Zones;
use pod_ranges::PodRanges;
use refs::{NameKind, Refs, each_name};
use routing::{Routing, RoutingChanges};

/// A set of Services that have to be translated again.
pub(crate) type ServiceSet = BTreeSet<ServiceKey>;

/// The namespace and the name of an EndpointSlice.
pub(crate) type SliceKey = (Arc<str>, Arc<str>);

/// All objects, with the lookups between them that translation needs.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The Services whose `service-proxy-name` label is the one to be served (Service rule 2).
    services: BTreeMap<ServiceKey, Arc<Service>>,
    /// The EndpointSlices that belong to a Service, known or not.
    slices: BTreeMap<SliceKey, Arc<EndpointSlice>>,
    by_service: BTreeMap<ServiceKey, BTreeMap<Arc<str>, Arc<EndpointSlice>>>,
    nodes: BTreeMap<Arc<str>, Arc<Node>>,
    claims: Claims,
    aliases: Aliases,
    /// The Services with endpoints on a node or hints for it, by the node's name.
    by_node: Refs,
    /// The Services with endpoints in a zone or hints for it, by the zone's name.
    by_zone: Refs,
    node_zones: NodeZones,
    /// The Services whose listeners may name a node's own addresses.
    per_node: BTreeSet<ServiceKey>,
    /// The Services with a system port on an external or load-balancer address.
    system_ports: BTreeSet<ServiceKey>,
    /// The Services with an IPv6 cluster IP.
    v6: BTreeSet<ServiceKey>,
    node_addresses: NodeAddresses,
    pod_ranges: PodRanges,
    /// The endpoints that are addresses of Services.
    chains: Chains,
    routing: Routing,
}

/// The parts of a Node that a change touched, apart from the Services already marked.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeChange {
    pub zone: bool,
    /// The zones in which the Node is now the first, or was the last.
    pub zones: Zones,
    /// Whether the Node's own addresses or its pod ranges changed.
    pub addresses: bool,
    /// Whether it changed that the Node is about to go.
    pub leaving: bool,
}

impl Index {
    pub(crate) fn service(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// All Services that are served, in the order of their names.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&ServiceKey, &Arc<Service>)> {
        self.services.iter()
    }

    /// The names of the Services that an import is of.
    pub(crate) fn imported(&self, import: &Import) -> impl Iterator<Item = &ServiceKey> {
        let first = ServiceKey {
            namespace: import.namespace.clone(),
            name: import.service.clone().unwrap_or_default(),
        };
        let is_of = |key: &&ServiceKey| {
            let is_named = import.service.as_ref().is_none_or(|name| *name == key.name);
            key.namespace == import.namespace && is_named
        };
        let following = self.services.range(first..).map(|(key, _)| key);
        following.take_while(is_of)
    }

    /// The slices of a Service, in the order of their names.
    pub(crate) fn slices(&self, key: &ServiceKey) -> impl Iterator<Item = &Arc<EndpointSlice>> {
        self.by_service
            .get(key)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// The EndpointSlice, if it is known and belongs to a Service.
    pub(crate) fn slice(&self, key: &SliceKey) -> Option<&Arc<EndpointSlice>> {
        self.slices.get(key)
    }

    /// The EndpointSlices in the namespace of a Service whose names begin as those of its own do,
    /// whatever Service they belong to.
    pub(crate) fn slices_named<'a>(
        &'a self,
        service: &'a ServiceKey,
    ) -> impl Iterator<Item = &'a Arc<EndpointSlice>> {
        let first = (service.namespace.clone(), service.name.clone());
        let following = self.slices.range(first..);
        let named = following.take_while(|((namespace, name), _)| {
            *namespace == service.namespace && name.starts_with(&*service.name)
        });
        named
            .map(|(_, slice)| slice)
            .filter(|slice| is_named_like(&slice.name, &service.name))
    }

    pub(crate) fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(name)
    }

    /// All Nodes, in the order of their names.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// Whether the Service has listeners that may name a node's own addresses.
    pub(crate) fn has_node_listeners(&self, key: &ServiceKey) -> bool {
        self.per_node.contains(key)
    }

    /// Whether a Node has this address.
    pub(crate) fn is_node_address(&self, ip: IpAddr) -> bool {
        self.node_addresses.has(ip)
    }

    /// Whether any Service has an IPv6 cluster IP.
    pub(crate) fn has_v6(&self) -> bool {
        !self.v6.is_empty()
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The routing of requests.
    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The routing of requests, to change it.
    pub(crate) fn routing_mut(&mut self) -> &mut Routing {
        &mut self.routing
    }

    /// Adds, replaces or (`None`) removes a Service.
    pub(crate) fn set_service(
        &mut self,
        key: &ServiceKey,
        new: Option<Arc<Service>>,
        options: &Options,
        dirty: &mut ServiceSet,
        changes: &mut RoutingChanges,
    ) {
        let new = new.filter(|service| is_ours(service, options));
        let old = self.services.get(key).cloned();
        if old == new {
            return;
        }
        self.routing
            .set_front(key, new.as_deref(), options, changes);
        let claims = |service: &Option<Arc<Service>>| match service {
            None => Vec::new(),
            Some(service) => claims::of_service(service, options),
        };
        for (address, claimants) in self.claims.replace(claims(&old), claims(&new)) {
            self.chains.moved(&address);
            dirty.extend(claimants);
            let owner = self.claims.node_port_owner(&address, options);
            dirty.extend(owner.cloned());
            if self.is_shared(address.ip, options) {
                let others = self.claims.elsewhere(&address);
                dirty.extend(
                    others
                        .filter(|(ip, _)| self.is_node_address(*ip))
                        .map(|(_, key)| key.clone()),
                );
            }
        }
        // Whose a whole cluster IP is may change without a change of whose its ports are.
        for ip in [&old, &new]
            .into_iter()
            .flatten()
            .flat_map(|service| &service.cluster_ips)
        {
            let others = self.claims.of_cluster_ip(*ip);
            dirty.extend(others.map(|claim| claim.service.clone()));
        }
        // What is sent to an alias is sent to its target.
        dirty.extend(self.targets(key, options));
        let alias_of = |service: &Option<Arc<Service>>| {
            service
                .as_ref()
                .and_then(|service| external_name::alias_of(service, options))
        };
        self.aliases.replace(key, alias_of(&old), alias_of(&new));
        let mut aliases = ServiceSet::from([key.clone()]);
        self.aliases.of(key, &mut aliases);
        for alias in &aliases {
            self.routing.service_changed(alias, changes);
        }
        // Not `append`, which walks all of what is dirty.
        dirty.extend(aliases);
        let is = |test: fn(&Service, &Options) -> bool| {
            new.as_ref().is_some_and(|service| test(service, options))
        };
        keep(&mut self.per_node, key, is(has_node_listeners));
        keep(&mut self.system_ports, key, is(claims_system_ports));
        keep(&mut self.v6, key, is(has_v6));
        match new {
            Some(service) => self.services.insert(key.clone(), service),
            None => self.services.remove(key),
        };
        dirty.extend(self.targets(key, options));
    }

    /// Whether a Service may be an alias of another one: of its own namespace, or of one that
    /// allows it (Service rule 125).
    pub(crate) fn may_be_alias(&self, alias: &ServiceKey, of: &ServiceKey) -> bool {
        let to = (of.namespace.clone(), of.name.clone());
        let (from, kind) = (ObjectId::of_service(alias), ObjectKind::Service.as_str());
        self.routing.is_granted(&from, "", kind, &to)
    }

    /// Marks the aliases that Services of a namespace have in others, after what the namespace
    /// allows has changed.
    pub(crate) fn grants_changed(
        &self,
        namespace: &Arc<str>,
        options: &Options,
        dirty: &mut ServiceSet,
        changes: &mut RoutingChanges,
    ) {
        for alias in self.aliases.in_other_namespaces(namespace) {
            dirty.extend(self.targets(&alias, options));
            let mut all = ServiceSet::from([alias.clone()]);
            self.aliases.of(&alias, &mut all);
            for alias in &all {
                self.routing.service_changed(alias, changes);
            }
            dirty.extend(all);
        }
    }

    /// The Services of which a Service is an alias, directly and behind other aliases.
    pub(crate) fn targets(&self, alias: &ServiceKey, options: &Options) -> ServiceSet {
        let mut targets = ServiceSet::new();
        let mut next = self.service(alias);
        while let Some(service) = next
            && let Some(target) = external_name::alias_of(service, options)
            && targets.insert(target.clone())
        {
            next = self.service(&target);
        }
        targets
    }

    /// Whether ingress proxies send requests to this port of a Service, be it by its own name or by
    /// that of an alias.
    pub(crate) fn is_routed_to(&self, service: &Service, port: &ServicePort) -> bool {
        let number = port.number;
        if self.routing.uses(&service.key, number.get(), &port.name) {
            return true;
        }
        let may_be = |alias: &ServiceKey, of: &ServiceKey| self.may_be_alias(alias, of);
        let aliases = self.aliases.allowed(&service.key, may_be);
        aliases.iter().any(|key| {
            let named = |alias: &Service| {
                let ports = alias.ports.iter().filter(|port| port.number == number);
                ports
                    .map(|port| port.name.clone())
                    .next()
                    .unwrap_or_default()
            };
            let alias = self.service(key);
            alias.is_some_and(|alias| self.routing.uses(key, number.get(), &named(alias)))
        })
    }

    /// Adds, replaces or (`None`) removes an EndpointSlice. A slice whose label changed moves from
    /// one Service to the other (Service rule 48). Returns the zones that it is the first to name,
    /// and those that no slice names any more.
    pub(crate) fn set_slice(
        &mut self,
        key: SliceKey,
        new: Option<Arc<EndpointSlice>>,
        dirty: &mut ServiceSet,
    ) -> Zones {
        let mut zones = Zones::new();
        let new = new.filter(|slice| slice.service.is_some());
        let old = self.slices.get(&key).cloned();
        if old == new {
            return zones;
        }
        if let Some(slice) = &new
            && let Some(service) = &slice.service
        {
            each_name(slice, |which, name| {
                if self.refs(which).add(name, service) && which == NameKind::Zone {
                    zones.insert(name.clone());
                }
            });
            let slices = self.by_service.entry(service.clone()).or_default();
            slices.insert(key.1.clone(), slice.clone());
            self.mark_if_used(service, dirty);
        }
        if let Some(slice) = &old
            && let Some(service) = &slice.service
        {
            each_name(slice, |which, name| {
                if self.refs(which).remove(name, service) && which == NameKind::Zone {
                    zones.insert(name.clone());
                }
            });
            if new.as_ref().and_then(|slice| slice.service.as_ref()) != Some(service)
                && let Some(slices) = self.by_service.get_mut(service)
            {
                slices.remove(&key.1);
                if slices.is_empty() {
                    self.by_service.remove(service);
                }
            }
            self.mark_if_used(service, dirty);
        }
        self.chains.set_slice(&key, old.as_deref(), new.as_deref());
        let services = [&old, &new].map(|slice| slice.as_ref()?.service.clone());
        for service in services.iter().flatten() {
            self.answers_changed(service, old.as_deref(), new.as_deref());
        }
        match new {
            Some(slice) => self.slices.insert(key, slice),
            None => self.slices.remove(&key),
        };
        zones
    }

    /// Adds, replaces or (`None`) removes a Node. Its region is part of the localities of the
    /// endpoints on it (Service rule 56).
    pub(crate) fn set_node(
        &mut self,
        name: &Arc<str>,
        new: Option<Arc<Node>>,
        dirty: &mut ServiceSet,
    ) -> NodeChange {
        let old = self.nodes.get(name).cloned();
        if old == new {
            return NodeChange::default();
        }
        fn part<'a, T: ?Sized>(
            node: Option<&'a Arc<Node>>,
            get: fn(&'a Node) -> Option<&'a T>,
        ) -> Option<&'a T> {
            node.and_then(|node| get(node))
        }
        let (was, is) = (old.as_ref(), new.as_ref());
        if part(was, |n| n.region.as_deref()) != part(is, |n| n.region.as_deref()) {
            let used = self.by_node.services(name);
            dirty.extend(used.filter(|service| self.uses_slices(service)).cloned());
        }
        let change = NodeChange {
            zones: self.node_zones.replace(was, is),
            // A Node that says nothing of a zone differs from one that is not known: then the
            // proxy's own word counts.
            zone: was.map(|n| &n.zone) != is.map(|n| &n.zone),
            addresses: part(was, |n| Some(&n.addresses)) != part(is, |n| Some(&n.addresses))
                || part(was, |n| Some(&n.pod_cidrs)) != part(is, |n| Some(&n.pod_cidrs)),
            leaving: part(was, |n| Some(&n.leaving)) != part(is, |n| Some(&n.leaving)),
        };
        if change.addresses {
            for ip in self.node_addresses.replace(was, is) {
                self.chains.readdressed(ip);
                dirty.extend(self.claims.at(ip).map(|claim| claim.service.clone()));
            }
            for range in self.pod_ranges.replace(was, is) {
                for ip in self.claims.within(range) {
                    self.chains.readdressed(ip);
                }
            }
            dirty.extend(self.system_ports.iter().cloned());
        }
        match new {
            Some(node) => self.nodes.insert(name.clone(), node),
            None => self.nodes.remove(name),
        };
        change
    }

    /// Whether a Node is in this zone or a slice names it: in no other do assignments differ.
    pub(crate) fn knows_zone(&self, zone: &str) -> bool {
        self.node_zones.has(zone) || self.by_zone.has(zone)
    }

    /// The Services whose assignments may differ for a proxy on this node.
    pub(crate) fn depending_on_node(&self, node: &str) -> impl Iterator<Item = &ServiceKey> {
        let services = self.by_node.services(node);
        services.filter(|key| self.is_local(key) || self.has(key, |e| !e.node_hints.is_empty()))
    }

    /// The Services whose assignments may differ for a proxy in this zone.
    pub(crate) fn depending_on_zone(&self, zone: &str) -> impl Iterator<Item = &ServiceKey> {
        let services = self.by_zone.services(zone);
        let falls_back = |key: &ServiceKey| {
            self.is_local(key) && self.service(key).is_some_and(|s| s.local_fallback)
        };
        services.filter(move |key| falls_back(key) || self.has(key, |e| !e.zone_hints.is_empty()))
    }

    /// The Services with listeners that may name a node's own addresses.
    pub(crate) fn with_node_listeners(&self) -> impl Iterator<Item = &ServiceKey> {
        self.per_node.iter()
    }

    /// The Services with a health check that have endpoints on this node or hints for it.
    pub(crate) fn checked_on_node(&self, node: &str) -> impl Iterator<Item = &ServiceKey> {
        let services = self.by_node.services(node);
        services.filter(|key| {
            self.service(key)
                .is_some_and(|service| service.health_check_port.is_some())
        })
    }

    /// Whether a new winner of this address may take a port in the namespace of a node's listeners,
    /// or free one.
    fn is_shared(&self, ip: IpAddr, options: &Options) -> bool {
        options.in_namespace() && (ip.is_unspecified() || self.is_node_address(ip))
    }

    /// Whether a Local policy has an effect: an external one needs something external.
    fn is_local(&self, key: &ServiceKey) -> bool {
        let external = |service: &Service| {
            let addresses = service.external_ips.len() + service.lb_ips.len();
            addresses > 0 || service.ports.iter().any(|port| port.node_port.is_some())
        };
        self.service(key).is_some_and(|service| {
            service.internal_policy == Policy::Local
                || (service.external_policy == Policy::Local && external(service))
        })
    }

    fn has(&self, key: &ServiceKey, test: fn(&crate::model::Endpoint) -> bool) -> bool {
        self.uses_slices(key)
            && self
                .slices(key)
                .any(|slice| slice.endpoints.iter().any(test))
    }

    /// Whether endpoints are used: slices may come before their Service, and those of an
    /// ExternalName are ignored (Service rules 47, 55).
    fn uses_slices(&self, key: &ServiceKey) -> bool {
        let service = self.service(key);
        service.is_some_and(|service| !matches!(service.kind, Kind::ExternalName(_)))
    }

    fn mark_if_used(&self, key: &ServiceKey, dirty: &mut ServiceSet) {
        if self.uses_slices(key) {
            dirty.insert(key.clone());
        }
    }

    fn refs(&mut self, which: NameKind) -> &mut Refs {
        match which {
            NameKind::Node => &mut self.by_node,
            NameKind::Zone => &mut self.by_zone,
        }
    }
}

/// Adds a Service to a set or removes it.
fn keep(set: &mut BTreeSet<ServiceKey>, key: &ServiceKey, is_in: bool) {
    if is_in {
        set.insert(key.clone());
    } else {
        set.remove(key);
    }
}

fn claims_system_ports(service: &Service, options: &Options) -> bool {
    let frontends = frontends::of_service(service, options);
    frontends
        .iter()
        .any(|frontend| system_ports::is_claimed(frontend, service.ports[frontend.port].protocol))
}

fn has_v6(service: &Service, _: &Options) -> bool {
    let mut ips = service.cluster_ips.iter();
    ips.any(|ip| Family::of(*ip) == Family::V6)
}

fn has_node_listeners(service: &Service, options: &Options) -> bool {
    let frontends = frontends::of_service(service, options);
    let checks = claims::of_health_check(service);
    let mut checks = checks.iter().map(|(address, _)| Family::of(address.ip));
    checks.any(|family| node_ports::per_node(options, family))
        || frontends.iter().any(|frontend| {
            node_ports::is_per_node(frontend.kind, frontend.ip, options)
                || source_routing::is_per_node(service, frontend)
                || namespace::may_be_own(frontend, options)
        })
}

/// Whether a Service is to be served (Service rule 2), decided from the Service (rule 3).
fn is_ours(service: &Service, options: &Options) -> bool {
    service.proxy_name.as_deref() == options.service_proxy_name.as_deref()
}
