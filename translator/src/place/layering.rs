//! Layering: the assignment of a cluster in the layer of all proxies, and in the layers of those
//! zones and nodes in use that see another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::active_views::ActiveViews;
use super::choose::{Place, Priorities, Set};
use super::endpoints::Candidate;
use crate::Layer;
use crate::model::Endpoint;

/// The function that chooses endpoints: [`choose`](super::choose::choose) or
/// [`choose_for_flows`](super::choose::choose_for_flows).
pub(crate) type Choice = fn(&[Candidate<'_>], Place<'_>, Set) -> Priorities;

/// The chosen endpoints for each layer: always for `all`, and for a zone or a node only where the
/// choice differs from what a proxy there would see otherwise.
pub(crate) fn spread(
    candidates: &[Candidate<'_>],
    set: Set,
    active: &ActiveViews,
    choose: Choice,
) -> Vec<(Layer, Priorities)> {
    let base = choose(candidates, Place::default(), set);
    let mut zones: BTreeMap<&Arc<str>, Priorities> = BTreeMap::new();
    for zone in names(candidates, |endpoint| telling_zones(endpoint, set)) {
        if !active.has_zone(zone) {
            continue;
        }
        let place = Place {
            node: None,
            zone: Some(zone),
        };
        let seen = choose(candidates, place, set);
        if seen != base {
            zones.insert(zone, seen);
        }
    }
    let mut nodes = Vec::new();
    let strict = (set == Set::Local { fallback: false }).then(|| by_node(candidates));
    for node in names(candidates, |endpoint| telling_nodes(endpoint, set)) {
        for zone in active.zones_of(node) {
            let place = Place {
                node: Some(node),
                zone: zone.map(|zone| &**zone),
            };
            let seen = match strict.as_ref().and_then(|nodes| nodes.get(node)) {
                Some(here) => choose_among(here, candidates, place, set, choose),
                None => choose(candidates, place, set),
            };
            let otherwise = zone.and_then(|zone| zones.get(zone)).unwrap_or(&base);
            if seen != *otherwise {
                let layer = Layer::Node {
                    node: node.clone(),
                    zone: zone.cloned(),
                };
                nodes.push((layer, seen));
            }
        }
    }
    let zones = zones
        .into_iter()
        .map(|(zone, seen)| (Layer::Zone(zone.clone()), seen));
    std::iter::once((Layer::All, base))
        .chain(zones)
        .chain(nodes)
        .collect()
}

/// The positions of the endpoints on each node.
fn by_node<'a>(candidates: &[Candidate<'a>]) -> BTreeMap<&'a Arc<str>, Vec<usize>> {
    let mut nodes: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
    for (position, candidate) in candidates.iter().enumerate() {
        if let Some(node) = &candidate.endpoint.node {
            nodes.entry(node).or_default().push(position);
        }
    }
    nodes
}

/// Chooses among the candidates at these positions only; to look at all of them for every node
/// would take quadratic time.
fn choose_among(
    here: &[usize],
    candidates: &[Candidate<'_>],
    place: Place<'_>,
    set: Set,
    choose: Choice,
) -> Priorities {
    let few: Vec<Candidate<'_>> = here.iter().map(|position| candidates[*position]).collect();
    let mut priorities = choose(&few, place, set);
    for position in priorities.iter_mut().flatten() {
        *position = here[*position];
    }
    priorities
}

/// The zones whose choice this endpoint can change.
fn telling_zones(endpoint: &Endpoint, set: Set) -> &[Arc<str>] {
    match set {
        Set::Cluster => &endpoint.zone_hints,
        Set::Local { fallback: true } => endpoint.zone.as_slice(),
        Set::Local { fallback: false } => &[],
    }
}

/// The nodes whose choice this endpoint can change.
fn telling_nodes(endpoint: &Endpoint, set: Set) -> &[Arc<str>] {
    match set {
        Set::Cluster => &endpoint.node_hints,
        Set::Local { .. } => endpoint.node.as_slice(),
    }
}

fn names<'a>(
    candidates: &[Candidate<'a>],
    of: impl Fn(&'a Endpoint) -> &'a [Arc<str>],
) -> BTreeSet<&'a Arc<str>> {
    candidates
        .iter()
        .flat_map(|candidate| of(candidate.endpoint))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use proptest::prelude::*;

    use super::*;
    use crate::model::Condition;
    use crate::place::active_views::{Situation, own_layers};
    use crate::place::choose::{choose, choose_for_flows};
    use crate::{Role, View};

    fn name(number: u8) -> Arc<str> {
        format!("x{number}").into()
    }

    fn an_endpoint() -> impl Strategy<Value = Endpoint> {
        let condition = prop_oneof![
            3 => Just(Condition::Ready),
            1 => Just(Condition::ServingTerminating),
            1 => Just(Condition::Unusable),
        ];
        let names = || prop::collection::btree_set(0..3u8, 0..3);
        let places = (prop::option::of(0..3u8), prop::option::of(0..3u8));
        (condition, places, names(), names()).prop_map(|(condition, (node, zone), zones, nodes)| {
            Endpoint {
                index: 0,
                ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
                condition,
                terminating: false,
                node: node.map(name),
                zone: zone.map(name),
                hostname: None,
                zone_hints: zones.into_iter().map(name).collect(),
                node_hints: nodes.into_iter().map(name).collect(),
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// A view that looks through the layers sees what would have been chosen for its very
        /// place.
        #[test]
        fn layers_hide_nothing(
            endpoints in prop::collection::vec(an_endpoint(), 0..6),
            places in prop::collection::vec((prop::option::of(0..4u8), prop::option::of(0..4u8)), 1..6),
            set in prop::sample::select(&[Set::Cluster, Set::Local { fallback: false }, Set::Local { fallback: true }][..]),
            choice in prop::sample::select(&[choose as Choice, choose_for_flows][..]),
        ) {
            let candidates: Vec<Candidate<'_>> = (1..)
                .zip(&endpoints)
                .map(|(port, endpoint)| Candidate { address: SocketAddr::new(endpoint.ip, port), endpoint, region: None })
                .collect();
            let mut active = ActiveViews::default();
            let views: Vec<View> = places
                .iter()
                .map(|(node, zone)| View { node: node.map(name), zone: zone.map(name), ..View::of(Role::Mesh) })
                .collect();
            let situation = |view: &View| Situation { zone: view.zone.clone(), imports: None };
            for view in &views {
                active.put(view, situation(view));
            }
            let layers = spread(&candidates, set, &active, choice);
            for view in &views {
                let mut place = own_layers(view, &situation(view));
                place.push(Layer::All);
                let seen = place.iter().find_map(|layer| layers.iter().find(|(own, _)| own == layer));
                let place = Place { node: view.node.as_deref(), zone: view.zone.as_deref() };
                prop_assert_eq!(seen.map(|(_, seen)| seen), Some(&choice(&candidates, place, set)));
            }
        }
    }
}
