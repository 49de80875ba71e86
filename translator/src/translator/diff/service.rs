//! What happens to a Service, put together from its resources port by port.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_proto::TypeUrl;

use super::Both;
use super::changes::Change;
use super::effect::{Effect, Fate, Harm, Places, What};
use super::endpoints::{self, Draft, total};
use super::host;
use super::listeners::{Addresses, address, sorted};
use super::owner::Owner;
use super::places::{places, places_of_nodes};
use super::why::Reasons;
use crate::model::Protocol;
use crate::names::{
    ClusterName, FrontendName, HealthCheckName, PortKey, is_at_addresses, service_of,
};

/// The changed resources of one port of a Service; of none, those of its health check.
#[derive(Debug, Default)]
struct OfPort<'c> {
    addresses: Addresses,
    endpoints: Vec<Draft>,
    assignments: Vec<&'c Change<'c>>,
}

/// A port as names of resources have it: `80`, `53/udp`.
pub(super) fn label(port: &PortKey) -> Arc<str> {
    match port.protocol {
        Protocol::Tcp => port.number.to_string().into(),
        Protocol::Udp => format!("{}/udp", port.number).into(),
        Protocol::Sctp => format!("{}/sctp", port.number).into(),
    }
}

/// What the changed resources of a Service mean.
pub(super) fn effects(both: Both<'_>, owner: &Owner, changes: &[&Change<'_>]) -> Vec<Effect> {
    if !both.to.owners.contains(owner) {
        return gone(both, changes);
    }
    if !both.from.owners.contains(owner) {
        return vec![new(changes)];
    }
    let mut ports: BTreeMap<Option<Arc<str>>, OfPort<'_>> = BTreeMap::new();
    let mut effects = Vec::new();
    let mut services = changes.iter();
    let service = services.find_map(|change| service_of(change.type_url, &change.name));
    let reasons = Reasons::new(both.to, service);
    for change in changes {
        match change.type_url {
            TypeUrl::LISTENER => listener(both, change, &reasons, &mut ports),
            TypeUrl::CLUSTER => {
                if let Ok(name) = change.name.parse::<ClusterName>() {
                    let port = ports.entry(Some(label(&name.port))).or_default();
                    port.addresses.cluster(change);
                }
            }
            TypeUrl::ENDPOINT => {
                if let Ok(name) = change.name.parse::<ClusterName>() {
                    let port = ports.entry(Some(label(&name.port))).or_default();
                    port.endpoints
                        .extend(endpoints::effects(both, &name, change));
                    port.assignments.push(change);
                }
            }
            TypeUrl::SCOPED_ROUTE => {
                // The names without a port change with those that have one.
                if let Some((_, ip)) = change.name.split_once('@') {
                    let of_all = ports.entry(None).or_default();
                    of_all.addresses.by_address(both, ip, change);
                } else if let Some((service, port)) = change.name.split_once(':') {
                    let name = format!("{}:{port}", dns(service));
                    effects.extend(host::rerouted(both, &port.into(), change));
                    let port = ports.entry(Some(port.into())).or_default();
                    port.addresses.scope(both, &name, change);
                }
            }
            // The same rules are told by the names.
            TypeUrl::ROUTE if is_at_addresses(&change.name) => {}
            _ => effects.extend(health_check(both, change)),
        }
    }
    for (port, of_port) in ports {
        effects.extend(of_port.effects(both, port.as_ref()));
    }
    if effects.is_empty() {
        effects.extend(routed(both, changes));
    }
    effects
}

/// What it means that proxies have clusters that they had not, or no longer have them, and nothing
/// else: requests are routed there by rules of others, or there is nobody to connect to yet.
fn routed(both: Both<'_>, changes: &[&Change<'_>]) -> Option<Effect> {
    let clusters = changes.iter().copied();
    let clusters: Vec<&Change<'_>> = clusters
        .filter(|change| change.type_url == TypeUrl::CLUSTER)
        .collect();
    let added = sorted(clusters.iter().flat_map(|c| c.added_to()).collect());
    let removed = sorted(clusters.iter().flat_map(|c| c.removed_from()).collect());
    let having: Vec<usize> = clusters.iter().flat_map(|c| c.seen_by.to_vec()).collect();
    let (now, views) = match (added.is_empty(), removed.is_empty()) {
        (false, true) => (true, added),
        (true, false) => (false, removed),
        _ => return None,
    };
    Some(Effect {
        harm: if now { Harm::New } else { Harm::Settings },
        port: None,
        loses: false,
        places: places(both.to, &views, &having),
        what: What::Routed {
            now,
            endpoints: endpoints::most(changes),
        },
    })
}

fn listener(
    both: Both<'_>,
    change: &Change<'_>,
    reasons: &Reasons<'_>,
    ports: &mut BTreeMap<Option<Arc<str>>, OfPort<'_>>,
) {
    if let Ok(name) = change.name.parse::<FrontendName>() {
        let port = ports.entry(Some(label(&name.port))).or_default();
        port.addresses.listener(both, &name, change, reasons);
    } else if let Ok(name) = change.name.parse::<HealthCheckName>() {
        let none = ports.entry(None).or_default();
        none.addresses
            .health_check(both, name.address.port(), change, reasons);
    }
}

impl OfPort<'_> {
    fn effects(self, both: Both<'_>, port: Option<&Arc<str>>) -> Vec<Effect> {
        // What an address loses or gets with its endpoints is told once.
        let told = |draft: &Draft| {
            let What::Endpoints { before, after, .. } = &draft.effect.what else {
                return false;
            };
            let within = |all: &[usize]| draft.views.iter().all(|view| all.contains(view));
            total(*after) == 0 && within(&self.addresses.refused_at)
                || total(*before) == 0 && within(&self.addresses.served_at)
        };
        let endpoints = self.endpoints.iter().filter(|draft| !told(draft));
        let mut effects: Vec<Effect> = endpoints.map(|draft| draft.effect.clone()).collect();
        let most = endpoints::most(&self.assignments);
        effects.extend(self.addresses.effects(both, port, most));
        effects
    }
}

/// The addresses of listeners, and the host names, that some variant of these changes has, each
/// with what becomes of who goes there as `fate` says it for those of listeners, and whether it
/// takes datagrams: then it ends in `/udp`, as the same address may take connections.
fn addresses(
    changes: &[&Change<'_>],
    fate: impl Fn(&FrontendName, &Change<'_>) -> Fate,
) -> BTreeMap<(Fate, bool), Vec<String>> {
    let mut addresses: BTreeMap<(Fate, bool), Vec<String>> = BTreeMap::new();
    for change in changes {
        let (key, address) = match change.type_url {
            TypeUrl::LISTENER => {
                let Ok(name) = change.name.parse::<FrontendName>() else {
                    continue;
                };
                let flows = name.port.protocol == Protocol::Udp;
                let suffix = if flows { "/udp" } else { "" };
                let address = address(name.kind, name.address.ip(), name.address.port());
                ((fate(&name, change), flows), format!("{address}{suffix}"))
            }
            // The name without a port is there with all others.
            TypeUrl::SCOPED_ROUTE if !change.name.contains(['@', ':']) => {
                ((Fate::NotFound, false), dns(&change.name))
            }
            _ => continue,
        };
        addresses.entry(key).or_default().push(address);
    }
    let sorted = addresses.into_iter().map(|(key, all)| (key, sorted(all)));
    sorted.collect()
}

/// A Service as its clients call it: `web.shop`.
fn dns(service: &str) -> String {
    match service.split_once('/') {
        Some((namespace, name)) => format!("{name}.{namespace}"),
        None => service.to_owned(),
    }
}

/// What becomes of those who go on asking for a Service that is gone, by how they came.
fn gone(both: Both<'_>, changes: &[&Change<'_>]) -> Vec<Effect> {
    let fate = |name: &FrontendName, change: &Change<'_>| {
        let views = change.removed_from();
        let mut others = views.iter();
        let is_tcp = name.port.protocol == Protocol::Tcp;
        match others.any(|view| both.to.other_listener(name, *view).is_some()) {
            true => Fate::Elsewhere,
            false if is_tcp && both.to.closes => Fate::Closed,
            false => Fate::Refused,
        }
    };
    let mut addresses = addresses(changes, fate);
    if addresses.is_empty() {
        addresses.insert((Fate::Refused, false), Vec::new());
    }
    let effect = |((fate, flows), addresses): ((Fate, bool), Vec<String>)| Effect {
        harm: Harm::Gone,
        port: None,
        loses: !addresses.is_empty(),
        places: Places::Everywhere,
        what: What::Gone {
            addresses,
            fate,
            flows,
        },
    };
    addresses.into_iter().map(effect).collect()
}

fn new(changes: &[&Change<'_>]) -> Effect {
    let addresses = addresses(changes, |_, _| Fate::Refused).into_values();
    Effect {
        harm: Harm::New,
        port: None,
        loses: false,
        places: Places::Everywhere,
        what: What::New {
            addresses: addresses.flatten().collect(),
            endpoints: endpoints::most(changes),
        },
    }
}

/// The answer of a health check, where it was there before and is another one.
fn health_check(both: Both<'_>, change: &Change<'_>) -> Option<Effect> {
    let mut views = Vec::new();
    for (_, _, of) in change.replaced() {
        views.extend_from_slice(of);
    }
    (!views.is_empty()).then(|| Effect {
        harm: Harm::Endpoints,
        port: None,
        loses: false,
        places: places_of_nodes(both.to, &views, &change.seen_by),
        what: What::HealthCheck,
    })
}
