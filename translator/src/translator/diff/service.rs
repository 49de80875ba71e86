//! What happens to a Service, put together from its resources port by port.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaway_proto::TypeUrl;

use super::Both;
use super::changes::Change;
use super::effect::{Effect, Fate, Harm, Places, What};
use super::endpoints::{self, Draft, total};
use super::listeners::{Addresses, address, sorted};
use super::owner::Owner;
use super::places::{places, places_of_nodes};
use super::why::Reasons;
use crate::model::Protocol;
use crate::names::{ClusterName, FrontendName, HealthCheckName, PortKey, service_of};

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
                if let Some((service, port)) = change.name.split_once(':') {
                    let name = format!("{}:{port}", dns(service));
                    let port = ports.entry(Some(port.into())).or_default();
                    port.addresses.scope(both, &name, change);
                }
            }
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
            .health_check(both, name.address.port(), change);
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

/// How clients come to a Service that is new or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// By connections to addresses.
    Connections,
    /// By datagrams.
    Datagrams,
    /// By requests for a name.
    Requests,
}

/// The addresses of listeners, and the host names, that some variant of these changes has, by how
/// clients come there. Those for datagrams end in `/udp`, as the same address may take connections.
fn addresses(changes: &[&Change<'_>]) -> BTreeMap<Way, Vec<String>> {
    let mut addresses: BTreeMap<Way, Vec<String>> = BTreeMap::new();
    for change in changes {
        let (way, address) = match change.type_url {
            TypeUrl::LISTENER => {
                let Ok(name) = change.name.parse::<FrontendName>() else {
                    continue;
                };
                let address = address(name.kind, name.address.ip(), name.address.port());
                match name.port.protocol {
                    Protocol::Udp => (Way::Datagrams, format!("{address}/udp")),
                    _ => (Way::Connections, address),
                }
            }
            // The name without a port is there with all others.
            TypeUrl::SCOPED_ROUTE if !change.name.contains(':') => {
                (Way::Requests, dns(&change.name))
            }
            _ => continue,
        };
        addresses.entry(way).or_default().push(address);
    }
    let sorted = addresses.into_iter().map(|(way, all)| (way, sorted(all)));
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
    let effect = |(way, addresses): (Way, Vec<String>)| Effect {
        harm: Harm::Gone,
        port: None,
        loses: !addresses.is_empty(),
        places: Places::Everywhere,
        what: What::Gone {
            addresses,
            fate: match way {
                Way::Requests => Fate::NotFound,
                Way::Connections if both.to.closes => Fate::Closed,
                Way::Connections | Way::Datagrams => Fate::Refused,
            },
            flows: way == Way::Datagrams,
        },
    };
    let mut addresses = addresses(changes);
    if addresses.is_empty() {
        addresses.insert(Way::Connections, Vec::new());
    }
    addresses.into_iter().map(effect).collect()
}

fn new(changes: &[&Change<'_>]) -> Effect {
    Effect {
        harm: Harm::New,
        port: None,
        loses: false,
        places: Places::Everywhere,
        what: What::New {
            addresses: addresses(changes).into_values().flatten().collect(),
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
