//! Validates model objects that come back from storage: they have to be such as reading could have
//! made.

mod gateway;
mod rules;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use ipnet::IpNet;

use super::annotations;
use super::report::Report;
use crate::model::{
    Balance, EndpointSlice, Exposure, Family, Kind, LB_ADDRESSES, Node, Service, SourceRanges,
};
use crate::names::{is_dns_name, is_label, is_subdomain};
use crate::status::StatusAddress;
use crate::{Object, Problem, Reason};

/// Checks an object that comes back from storage; see [`crate::read::validate()`].
pub(super) fn validate(mut object: Object) -> Result<Object, Problem> {
    let mut check = Check(Report::new(object.id()));
    match &mut object {
        Object::Service(service) => check.service(service),
        Object::EndpointSlice(slice) => {
            check.slice(slice);
            // It was just made, so nothing is copied.
            share_names(Arc::make_mut(slice));
        }
        Object::Node(node) => check.node(node),
        Object::IngressClass(class) => check.ingress_class(class),
        Object::Ingress(ingress) => check.ingress(ingress),
        Object::GatewayClass(class) => check.gateway_class(class),
        Object::Gateway(gateway) => check.gateway(gateway),
        Object::HTTPRoute(route) => check.http_route(route),
        Object::ReferenceGrant(grant) => check.reference_grant(grant),
        Object::Namespace(namespace) => check.namespace(namespace),
        Object::Secret(_) => check.demand("kind", false),
    }
    match check.0.finish().into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(object),
    }
}

/// The checks of one object, with the violations found so far.
pub(super) struct Check(Report);

impl Check {
    /// The checks of the object of this report.
    #[cfg(test)]
    pub(super) fn new(report: Report) -> Check {
        Check(report)
    }

    /// The violations.
    #[cfg(test)]
    pub(super) fn finish(self) -> Vec<Problem> {
        self.0.finish().into_vec()
    }

    fn service(&mut self, service: &Service) {
        let key = &service.key;
        self.demand("key", is_label(&key.namespace) && is_label(&key.name));
        if let Some(accounts) = &service.accounts {
            let few = accounts.len() <= annotations::mtls::MOST;
            let sorted = accounts.is_sorted_by(|a, b| a < b);
            let named = accounts.iter().all(|name| is_subdomain(name));
            self.demand("accounts", few && sorted && named);
        }
        self.addresses("cluster_ips", service.cluster_ips.iter());
        self.addresses(
            "external_ips",
            service.external_ips.iter().map(|(_, ip)| ip),
        );
        self.addresses("lb_ips", service.lb_ips.iter().map(|(_, ip)| ip));
        if let Exposure::LoadBalancer(addresses) = &service.exposure {
            let is_name = |address: &StatusAddress| match address {
                StatusAddress::Ip(_) => true,
                StatusAddress::Hostname(name) => is_subdomain(name),
            };
            let few = addresses.len() <= LB_ADDRESSES;
            self.demand("exposure", few && addresses.iter().all(is_name));
        }
        let of_families = service.cluster_ips.iter().map(|ip| Family::of(*ip));
        self.demand("cluster_ips", unique(of_families));
        self.demand(
            "kind",
            matches!(service.kind, Kind::ClusterIp) != service.cluster_ips.is_empty(),
        );
        if let Kind::ExternalName(Some(name)) = &service.kind {
            self.demand("kind", is_dns_name(name));
        }
        let numbers = service
            .ports
            .iter()
            .map(|port| (port.protocol, port.number));
        let names = service.ports.iter().map(|port| (port.protocol, &port.name));
        self.demand("ports", unique(numbers) && unique(names));
        self.source_ranges(&service.source_ranges);
        let short = |seconds: NonZeroU32| seconds.get() <= annotations::DAY.unsigned_abs();
        self.demand("affinity", service.affinity.is_none_or(short));
        let settings = &service.settings;
        let chosen_once = service.affinity.is_none() || settings.balance == Balance::default();
        self.demand(
            "settings",
            chosen_once && annotations::settings::is_valid(settings),
        );
    }

    fn source_ranges(&mut self, ranges: &SourceRanges) {
        for family in [Family::V4, Family::V6] {
            let of = ranges.of(family).unwrap_or_default();
            self.ranges("source_ranges", of);
            let own = of.iter().all(|range| Family::of(range.addr()) == family);
            self.demand("source_ranges", own);
        }
    }

    fn slice(&mut self, slice: &EndpointSlice) {
        self.demand(
            "name",
            is_label(&slice.namespace) && is_subdomain(&slice.name),
        );
        if let Some(key) = &slice.service {
            self.demand(
                "service",
                key.namespace == slice.namespace && is_label(&key.name),
            );
        }
        self.addresses(
            "endpoints",
            slice.endpoints.iter().map(|endpoint| &endpoint.ip),
        );
        let families: BTreeSet<_> = slice.endpoints.iter().map(|e| Family::of(e.ip)).collect();
        self.demand("endpoints", families.len() < 2);
        for endpoint in &slice.endpoints {
            let hints = [&endpoint.zone_hints, &endpoint.node_hints];
            let sorted = hints.iter().all(|names| names.is_sorted_by(|a, b| a < b));
            self.demand("endpoints.hints", sorted);
            let named = [&endpoint.node, &endpoint.zone].into_iter().flatten();
            let mut names = named.chain(hints.into_iter().flatten());
            self.demand("endpoints.names", names.all(|name| !name.is_empty()));
            let node = endpoint.node.as_deref();
            self.demand("endpoints.node", node.is_none_or(is_subdomain));
            let hostname = endpoint.hostname.as_deref();
            self.demand("endpoints.hostname", hostname.is_none_or(is_label));
        }
    }

    fn node(&mut self, node: &Node) {
        self.demand("name", is_subdomain(&node.name));
        self.addresses("addresses", node.addresses.iter());
        self.demand("addresses", unique(node.addresses.iter()));
        self.ranges("pod_cidrs", &node.pod_cidrs);
        let mut labels = [&node.zone, &node.region].into_iter().flatten();
        self.demand("zone", labels.all(|label| !label.is_empty()));
    }

    fn addresses<'a>(&mut self, field: &str, mut addresses: impl Iterator<Item = &'a IpAddr>) {
        self.demand(field, addresses.all(|ip| ip.to_canonical() == *ip));
    }

    fn ranges(&mut self, field: &str, ranges: &[IpNet]) {
        self.demand(field, ranges.iter().all(|range| range.trunc() == *range));
    }

    fn demand(&mut self, field: &str, holds: bool) {
        if !holds {
            self.0
                .error(field, Reason::InvalidValue, "no reading gives such a value");
        }
    }
}

fn unique<T: Ord>(mut values: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    values.all(|value| seen.insert(value))
}

/// Every name of the slice is stored once, as it is when the slice is read.
fn share_names(slice: &mut EndpointSlice) {
    let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut share = |name: &mut Arc<str>| match names.get(name) {
        Some(known) => *name = known.clone(),
        None => drop(names.insert(name.clone())),
    };
    for endpoint in &mut slice.endpoints {
        endpoint.node.iter_mut().for_each(&mut share);
        endpoint.zone.iter_mut().for_each(&mut share);
        endpoint.zone_hints.iter_mut().for_each(&mut share);
        endpoint.node_hints.iter_mut().for_each(&mut share);
    }
}
