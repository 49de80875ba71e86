//! Spreads an assignment over layers: everybody's, and one more for every place in use that sees another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Layer;
use crate::active::Active;
use crate::choose::{Place, Priorities, Set, choose};
use crate::endpoints::Candidate;
use crate::model::Endpoint;

/// What each layer holds: `all` always, a zone or a node only where it differs from what a proxy there would see otherwise.
pub(crate) fn spread(
    candidates: &[Candidate<'_>],
    set: Set,
    active: &Active,
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
    for node in names(candidates, |endpoint| telling_nodes(endpoint, set)) {
        for zone in active.zones_of(node) {
            let place = Place {
                node: Some(node),
                zone: zone.map(|zone| &**zone),
            };
            let seen = choose(candidates, place, set);
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

/// The zones in which this endpoint can make a difference.
fn telling_zones(endpoint: &Endpoint, set: Set) -> &[Arc<str>] {
    match set {
        Set::Cluster => &endpoint.zone_hints,
        Set::Local { fallback: true } => endpoint.zone.as_slice(),
        Set::Local { fallback: false } => &[],
    }
}

/// The nodes on which this endpoint can make a difference.
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
