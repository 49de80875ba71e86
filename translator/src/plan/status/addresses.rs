//! The addresses at which the ingress proxies are reached, for the status of what they serve
//! (Gateway rules 12 and 102).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::Context;
use crate::model::{
    Condition, Exposure, Gateway, GatewayAddress, LB_ADDRESSES, Policy, Service, ServiceKey,
};
use crate::policy::binding::{Binding, names};
use crate::policy::gateway::{HOSTNAME, IP_ADDRESS};
use crate::status::StatusAddress;

/// The addresses of the Services by which ingress proxies are reached, as far as there are such
/// Services.
pub(crate) type Exposed = BTreeMap<ServiceKey, Vec<StatusAddress>>;

/// The addresses of a Service by which ingress proxies are reached, at most [`LB_ADDRESSES`];
/// `None` if there is no such Service.
pub(crate) fn exposed(context: &Context<'_>, key: &ServiceKey) -> Option<Vec<StatusAddress>> {
    let service = context.index.service(key)?;
    let external = service.external_ips.iter().map(|(_, ip)| *ip);
    let ips: Vec<IpAddr> = match &service.exposure {
        Exposure::LoadBalancer(addresses) if !addresses.is_empty() => {
            return Some(addresses.to_vec());
        }
        _ if !service.external_ips.is_empty() => external.collect(),
        // It has not been given one yet.
        Exposure::LoadBalancer(_) => Vec::new(),
        Exposure::NodePort => of_nodes(context, service),
        Exposure::ClusterIp => service.cluster_ips.to_vec(),
    };
    let mut seen = BTreeSet::new();
    let ips = ips.into_iter().filter(|ip| seen.insert(*ip));
    Some(ips.take(LB_ADDRESSES).map(StatusAddress::Ip).collect())
}

/// The first address of each Node that answers at the Service's node ports.
fn of_nodes(context: &Context<'_>, service: &Service) -> Vec<IpAddr> {
    let with_endpoint: Option<BTreeSet<&Arc<str>>> = match service.external_policy {
        Policy::Cluster => None,
        Policy::Local => {
            let slices = context.index.slices(&service.key);
            let endpoints = slices.flat_map(|slice| &slice.endpoints);
            let ready = endpoints.filter(|endpoint| endpoint.condition == Condition::Ready);
            Some(
                ready
                    .filter_map(|endpoint| endpoint.node.as_ref())
                    .collect(),
            )
        }
    };
    let nodes = context.index.nodes();
    let answering = nodes.filter(|node| {
        with_endpoint
            .as_ref()
            .is_none_or(|names| names.contains(&node.name))
    });
    let addresses = answering.filter_map(|node| node.addresses.first());
    addresses.take(LB_ADDRESSES).copied().collect()
}

/// What becomes of the addresses that a Gateway asks for.
pub(super) enum Wanted {
    /// It has these.
    Usable(Vec<StatusAddress>),
    /// Some that it asks for are not the proxies', in words; it has the others.
    NotUsable(String, Vec<StatusAddress>),
    /// The proxies have no address, in words.
    NotAssigned(String),
}

/// The addresses that a Gateway has: all of those of its Service, or those that it asks for.
pub(super) fn wanted(
    context: &Context<'_>,
    exposed: &Exposed,
    gateway: &Gateway,
    binding: &Binding,
) -> Wanted {
    let service = binding.service.as_ref();
    let found = service.and_then(|key| exposed.get(key));
    let exposed = match (service, found) {
        (Some(_), Some(exposed)) if !exposed.is_empty() => exposed,
        (Some(key), Some(_)) => {
            return Wanted::NotAssigned(format!("Service {key} has no address yet"));
        }
        (Some(key), None) => {
            let message = format!("there is no Service {key}, which --ingress-service names");
            return Wanted::NotAssigned(message);
        }
        (None, _) => {
            if let Some(waits) = &binding.waits {
                return Wanted::NotAssigned(waits.to_string());
            }
            let fleet = &binding.fleet;
            return Wanted::NotAssigned(format!(
                "it is not known at which addresses the proxies of fleet {fleet} are reached: \
                 --ingress-service names the Service"
            ));
        }
    };
    if gateway.addresses.is_empty() {
        return Wanted::Usable(exposed.to_vec());
    }
    let names = service.map(|key| names(key, context.options));
    let names = names.unwrap_or_default();
    let mut usable = BTreeSet::new();
    let mut refused = None;
    for (index, address) in gateway.addresses.iter().enumerate() {
        let is_all =
            *address.kind == *HOSTNAME && names.iter().any(|name| **name == *address.value);
        let own = exposed
            .iter()
            .filter(|one| is_all || is_wanted(one, address));
        let own: BTreeSet<&StatusAddress> = own.collect();
        if own.is_empty() {
            refused.get_or_insert((index, &address.value));
        }
        usable.extend(own);
    }
    let usable = exposed
        .iter()
        .filter(|one| usable.contains(one))
        .cloned()
        .collect();
    match refused {
        None => Wanted::Usable(usable),
        Some((index, value)) => {
            let message =
                format!("spec.addresses[{index}]: {value:?} is no address of the proxies");
            Wanted::NotUsable(message, usable)
        }
    }
}

/// Whether an address is the one that is asked for, or any of its type.
fn is_wanted(address: &StatusAddress, wanted: &GatewayAddress) -> bool {
    match address {
        StatusAddress::Ip(ip) => {
            let is_it = || {
                wanted
                    .value
                    .parse::<IpAddr>()
                    .is_ok_and(|wanted| wanted == *ip)
            };
            *wanted.kind == *IP_ADDRESS && (wanted.value.is_empty() || is_it())
        }
        StatusAddress::Hostname(name) => {
            *wanted.kind == *HOSTNAME && (wanted.value.is_empty() || *wanted.value == **name)
        }
    }
}
