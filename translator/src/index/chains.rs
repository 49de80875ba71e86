//! Endpoints that are addresses of Services: a proxy that connects to one connects to a proxy, in
//! the worst case to itself, until it has no file descriptors left.
//!
//! A Service's own address is refused as an endpoint, as Kubernetes forbids it. On a Node's address
//! that is different: another Service's node port is a legitimate endpoint, and so is a daemon of
//! the node. There an endpoint that is a frontend is an edge from its Service to the other one, and
//! only those edges are refused from which a way leads back, around however many Services and
//! nodes.
//!
//! A slice is examined again when it changes, and when one of its addresses gets another winner
//! ([`Chains::by_ip`], [`Chains::by_port`]). The circles are sought among all edges at once when an
//! edge is added or removed: there are hardly any, and the cost is linear in their number
//! (`cycles.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use super::cycles::on_circles;
use super::{Index, ServiceSet, SliceKey};
use crate::model::{EndpointSlice, Protocol, ServiceKey};
use crate::names::FrontendKind;
use crate::policy::claims::Address;
use crate::policy::node_ports;
use crate::{IpNet, ObjectId, Options, Problem, Reason};

/// The meaning of an endpoint whose address is one of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lead {
    /// The address is refused wherever it leads; the Service that has it, if any.
    Refused(Option<ServiceKey>),
    /// The address is a frontend on a Node's address: of the Service that claims the address, or of
    /// the one whose node port answers there while the other has no endpoint.
    Edges(Vec<ServiceKey>),
}

/// The endpoints of one slice that are addresses of Services; never none.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    from: ServiceKey,
    leads: BTreeMap<Address, Lead>,
    /// The Services to which the edges lead.
    edges: BTreeSet<ServiceKey>,
}

/// The slices by the addresses and ports of their endpoints, and the endpoints that are addresses
/// of Services.
#[derive(Debug, Default)]
pub(super) struct Chains {
    by_ip: BTreeSet<(IpAddr, SliceKey)>,
    /// The slices by the port numbers in them.
    by_port: BTreeSet<(NonZeroU16, Protocol, SliceKey)>,
    found: BTreeMap<SliceKey, Found>,
    /// The edges that lie on a circle, and so lead back to the Service from which they come.
    circles: BTreeSet<(ServiceKey, ServiceKey)>,
    /// The slices whose endpoints have to be examined again.
    stale: BTreeSet<SliceKey>,
}

impl Chains {
    /// Notes that a slice changed, and has to be examined again.
    pub(super) fn set_slice(
        &mut self,
        key: &SliceKey,
        old: Option<&EndpointSlice>,
        new: Option<&EndpointSlice>,
    ) {
        let ips = |slice: Option<&EndpointSlice>| -> BTreeSet<IpAddr> {
            let endpoints = slice.into_iter().flat_map(|slice| &slice.endpoints);
            endpoints.map(|endpoint| endpoint.ip).collect()
        };
        let (was, is) = (ips(old), ips(new));
        for ip in was.difference(&is) {
            self.by_ip.remove(&(*ip, key.clone()));
        }
        for ip in is.difference(&was) {
            self.by_ip.insert((*ip, key.clone()));
        }
        let ports = |slice: Option<&EndpointSlice>| -> BTreeSet<(NonZeroU16, Protocol)> {
            let ports = slice.into_iter().flat_map(|slice| &slice.ports);
            ports.map(|port| (port.number, port.protocol)).collect()
        };
        let (was, is) = (ports(old), ports(new));
        for (port, protocol) in was.difference(&is) {
            self.by_port.remove(&(*port, *protocol, key.clone()));
        }
        for (port, protocol) in is.difference(&was) {
            self.by_port.insert((*port, *protocol, key.clone()));
        }
        self.stale.insert(key.clone());
    }

    /// Notes that an address has another Service as its winner, or none. A node port concerns that
    /// port on every Node's addresses.
    pub(super) fn moved(&mut self, address: &Address) {
        let Address { ip, port, protocol } = *address;
        if ip.is_unspecified() {
            let first = (port, protocol, SliceKey::default());
            let slices = self.by_port.range(first..);
            let same = slices.take_while(|(p, other, _)| (*p, *other) == (port, protocol));
            self.stale.extend(same.map(|(_, _, slice)| slice.clone()));
        } else {
            self.readdressed(ip);
        }
    }

    /// Notes that the meaning of an IP address may have changed, so that slices with it have to be
    /// examined again.
    pub(super) fn readdressed(&mut self, ip: IpAddr) {
        let slices = self.by_ip.range((ip, SliceKey::default())..);
        let same = slices.take_while(|(other, _)| *other == ip);
        self.stale.extend(same.map(|(_, slice)| slice.clone()));
    }

    /// The first of the Services `to` whose edge from `from` lies on a circle.
    fn back<'a>(&self, from: &ServiceKey, to: &'a [ServiceKey]) -> Option<&'a ServiceKey> {
        let mut to = to.iter();
        to.find(|to| self.circles.contains(&(from.clone(), (*to).clone())))
    }

    /// The message of the problem with a refused endpoint; `None` if it is not refused.
    fn message(&self, from: &ServiceKey, at: &Address, lead: &Lead) -> Option<String> {
        let socket = SocketAddr::new(at.ip, at.port.get());
        let protocol = at.protocol;
        Some(match lead {
            Lead::Refused(Some(service)) => format!(
                "{socket} {protocol} is an address of Service {service}; a Service's address is nobody's endpoint"
            ),
            Lead::Refused(None) => format!(
                "{socket} {protocol} lies in a --service-cidr or is --mesh-listen; such an address is nobody's endpoint"
            ),
            Lead::Edges(to) => format!(
                "{socket} {protocol} is an address of Service {}, from which a way leads back to Service {from}",
                self.back(from, to)?
            ),
        })
    }

    fn is_refused(&self, from: &ServiceKey, lead: &Lead) -> bool {
        match lead {
            Lead::Refused(_) => true,
            Lead::Edges(to) => self.back(from, to).is_some(),
        }
    }
}

impl Index {
    /// Whether an endpoint of this slice at this address may not be connected to.
    pub(crate) fn is_refused(&self, slice: &EndpointSlice, address: &Address) -> bool {
        // Nearly every world is without such endpoints.
        if self.chains.found.is_empty() {
            return false;
        }
        let key = (slice.namespace.clone(), slice.name.clone());
        let found = self.chains.found.get(&key);
        found.is_some_and(|found| {
            let lead = found.leads.get(address);
            lead.is_some_and(|lead| self.chains.is_refused(&found.from, lead))
        })
    }

    /// The problems of a slice: one for each endpoint that is refused, at whatever port.
    pub(crate) fn refusals(&self, slice: &EndpointSlice) -> Vec<Problem> {
        let key = (slice.namespace.clone(), slice.name.clone());
        let Some(found) = self.chains.found.get(&key) else {
            return Vec::new();
        };
        let mut refused: BTreeMap<IpAddr, String> = BTreeMap::new();
        for (address, lead) in &found.leads {
            if let Some(message) = self.chains.message(&found.from, address, lead) {
                refused.entry(address.ip).or_insert(message);
            }
        }
        let problem = |endpoint: &crate::model::Endpoint| {
            Some(Problem::error(
                ObjectId::of_slice(&slice.namespace, &slice.name),
                format!("endpoints[{}].addresses[0]", endpoint.index),
                Reason::EndpointIsService,
                refused.get(&endpoint.ip)?.clone(),
            ))
        };
        slice.endpoints.iter().filter_map(problem).collect()
    }

    /// The slices with an endpoint at this IP address.
    pub(crate) fn slices_with(&self, ip: IpAddr) -> impl Iterator<Item = &EndpointSlice> {
        let from = self.chains.by_ip.range((ip, SliceKey::default())..);
        let same = from.take_while(move |(other, _)| *other == ip);
        same.filter_map(|(_, key)| self.slices.get(key).map(|slice| &**slice))
    }

    /// The Services with an endpoint at this IP address.
    pub(crate) fn services_with_endpoint(&self, ip: IpAddr) -> ServiceSet {
        let slices = self.slices_with(ip);
        slices.filter_map(|slice| slice.service.clone()).collect()
    }

    /// Whether this frontend is on a Node's address where an endpoint of its own Service listens,
    /// as an ingress controller in the node's network does: then that endpoint answers, and no
    /// proxy takes its place.
    pub(crate) fn is_answered(
        &self,
        service: &ServiceKey,
        kind: FrontendKind,
        at: &Address,
    ) -> bool {
        let external = matches!(kind, FrontendKind::LoadBalancer | FrontendKind::ExternalIp);
        external
            && self.is_node_address(at.ip)
            && self.slices(service).any(|slice| {
                let mut ports = slice.ports.iter();
                let key = (slice.namespace.clone(), slice.name.clone());
                ports.any(|port| (port.number, port.protocol) == (at.port, at.protocol))
                    && self.chains.by_ip.contains(&(at.ip, key))
            })
    }

    /// Notes that endpoints of a Service came to or left its own frontends on Nodes' addresses:
    /// there an endpoint takes the frontend's place, and with the frontend go edges of others.
    pub(super) fn answers_changed(
        &mut self,
        service: &ServiceKey,
        old: Option<&EndpointSlice>,
        new: Option<&EndpointSlice>,
    ) {
        let Some(service) = self.services.get(service) else {
            return;
        };
        let external = service.external_ips.iter().chain(&service.lb_ips);
        for (_, ip) in external.filter(|(_, ip)| self.node_addresses.has(*ip)) {
            let slices = [old, new].into_iter().flatten();
            let mut endpoints = slices.flat_map(|slice| &slice.endpoints);
            if endpoints.any(|endpoint| endpoint.ip == *ip) {
                self.chains.readdressed(*ip);
            }
        }
    }

    /// Examines again all slices that changes have touched. Marks the Services whose endpoints are
    /// therefore others; returns the slices whose problems may have changed.
    pub(crate) fn settle(
        &mut self,
        options: &Options,
        dirty: &mut ServiceSet,
    ) -> BTreeSet<SliceKey> {
        let mut told = BTreeSet::new();
        let mut rewired = false;
        for key in std::mem::take(&mut self.chains.stale) {
            let slice = self.slices.get(&key);
            let new = slice.and_then(|slice| self.find(slice, options));
            let old = self.chains.found.remove(&key);
            if old.is_none() && new.is_none() {
                continue;
            }
            if old != new {
                let edges = |found: &Option<Found>| {
                    let found = found.as_ref()?;
                    Some((found.from.clone(), found.edges.clone()))
                };
                rewired |= edges(&old) != edges(&new);
                for found in old.iter().chain(&new) {
                    self.mark_if_used(&found.from, dirty);
                }
            }
            if let Some(new) = new {
                self.chains.found.insert(key.clone(), new);
            }
            told.insert(key);
        }
        if rewired {
            self.settle_circles(dirty, &mut told);
        }
        told
    }

    fn settle_circles(&mut self, dirty: &mut ServiceSet, told: &mut BTreeSet<SliceKey>) {
        let edges = self.chains.found.values().flat_map(|found| {
            let each = found.edges.iter();
            each.map(|to| (found.from.clone(), to.clone()))
        });
        let circles = on_circles(&edges.collect());
        let changed = circles.symmetric_difference(&self.chains.circles);
        let from: BTreeSet<ServiceKey> = changed.map(|(from, _)| from.clone()).collect();
        self.chains.circles = circles;
        for service in from {
            self.mark_if_used(&service, dirty);
            let slices = self.slices(&service);
            let keys = slices.map(|slice| (slice.namespace.clone(), slice.name.clone()));
            told.extend(keys.filter(|key| self.chains.found.contains_key(key)));
        }
    }

    fn find(&self, slice: &EndpointSlice, options: &Options) -> Option<Found> {
        let from = slice.service.clone()?;
        let ips: BTreeSet<IpAddr> = slice.endpoints.iter().map(|e| e.ip).collect();
        let mut leads = BTreeMap::new();
        for ip in ips.into_iter().filter(|ip| self.may_lead(*ip, options)) {
            for port in &slice.ports {
                let address = Address {
                    ip,
                    port: port.number,
                    protocol: port.protocol,
                };
                leads.extend(self.lead(&address, options).map(|lead| (address, lead)));
            }
        }
        if leads.is_empty() {
            return None;
        }
        let edges = |lead: &Lead| match lead {
            Lead::Edges(to) => to.clone(),
            Lead::Refused(_) => Vec::new(),
        };
        Some(Found {
            from,
            edges: leads.values().flat_map(edges).collect(),
            leads,
        })
    }

    /// Whether an endpoint at this IP address may be an address of a Service, at any port.
    fn may_lead(&self, ip: IpAddr, options: &Options) -> bool {
        contain(&options.service_cidrs, ip)
            || self.is_node_address(ip)
            || self.claims.at(ip).next().is_some()
            || is_mesh_ip(ip, options)
    }

    /// Whether this is a pod's address, which stays with the pod even where a Service claims it as
    /// an external address: traffic for pods reaches no proxy, and one bad Service is not to cost
    /// others their endpoints.
    fn is_pod(&self, ip: IpAddr, options: &Options) -> bool {
        let in_range = contain(&options.pod_cidrs, ip) || self.pod_ranges.contain(ip);
        in_range && !contain(&options.vip_cidrs, ip) && !ip.is_loopback()
    }

    /// The meaning of an endpoint at this address; `None` if the address is not one of a Service.
    fn lead(&self, address: &Address, options: &Options) -> Option<Lead> {
        let ip = address.ip;
        let claim = self.claims.winner(address);
        let is_mesh = is_mesh_ip(ip, options)
            && options.mesh_listen.port() == address.port.get()
            && address.protocol == Protocol::Tcp;
        if contain(&options.service_cidrs, ip) || is_mesh {
            return Some(Lead::Refused(claim.map(|claim| claim.service.clone())));
        }
        if !self.is_node_address(ip) {
            let claim = claim.filter(|claim| {
                claim.kind == FrontendKind::ClusterIp || !self.is_pod(ip, options)
            })?;
            return Some(Lead::Refused(Some(claim.service.clone())));
        }
        let own = claim.filter(|claim| !self.is_answered(&claim.service, claim.kind, address));
        let node_port = self.claims.wildcard_winner(address).filter(|claim| {
            claim.kind == FrontendKind::NodePort && node_ports::may_serve(ip, options)
        });
        let to = own.into_iter().chain(node_port);
        let to: Vec<ServiceKey> = to.map(|claim| claim.service.clone()).collect();
        (!to.is_empty()).then_some(Lead::Edges(to))
    }
}

/// Whether mesh proxies listen at this IP address: a request sent there would find its own host
/// name in their routes again.
fn is_mesh_ip(ip: IpAddr, options: &Options) -> bool {
    let listen = options.mesh_listen.ip();
    listen == ip || (listen.is_unspecified() && ip.is_loopback())
}

fn contain(cidrs: &[IpNet], ip: IpAddr) -> bool {
    cidrs.iter().any(|cidr| cidr.contains(&ip))
}
