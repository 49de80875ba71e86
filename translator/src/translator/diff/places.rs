//! Which proxies a change concerns, as shortly as it can be said: all that have the thing, those in
//! some zones, or those on some nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::effect::Places;
use super::world::World;

/// The places of `views` among those that have the thing.
pub(super) fn places(world: &World, views: &[usize], having: &[usize]) -> Places {
    let concerned: BTreeSet<usize> = views.iter().copied().collect();
    if having.iter().all(|view| concerned.contains(view)) {
        return Places::Everywhere;
    }
    zones(world, &concerned, having).unwrap_or_else(|| Places::Nodes(nodes(world, views)))
}

/// Of how many nodes each is named, where nodes and not zones decide.
const FEW: usize = 4;

/// The places of `views` among those that have the thing, where each node has its own: a few nodes
/// are named, whatever their zones.
pub(super) fn places_of_nodes(world: &World, views: &[usize], having: &[usize]) -> Places {
    let places = places(world, views, having);
    let nodes = nodes(world, views);
    match places {
        Places::Zones(_) if nodes.len() <= FEW => Places::Nodes(nodes),
        places => places,
    }
}

/// The zones, if the views are all of those in some zones.
fn zones(world: &World, concerned: &BTreeSet<usize>, having: &[usize]) -> Option<Places> {
    let mut zones: BTreeMap<&Arc<str>, (usize, usize)> = BTreeMap::new();
    for view in having {
        let zone = world.zone(*view);
        let is_concerned = concerned.contains(view);
        let Some(zone) = zone else {
            if is_concerned {
                return None;
            }
            continue;
        };
        let (in_zone, all) = zones.entry(zone).or_default();
        *in_zone += usize::from(is_concerned);
        *all += 1;
    }
    let whole = |(in_zone, all): &(usize, usize)| *in_zone == 0 || in_zone == all;
    if !zones.values().all(whole) {
        return None;
    }
    let meant = zones.into_iter().filter(|(_, (in_zone, _))| *in_zone > 0);
    Some(Places::Zones(meant.map(|(zone, _)| zone.clone()).collect()))
}

/// The nodes of these views, each once and sorted.
pub(super) fn nodes(world: &World, views: &[usize]) -> Vec<Arc<str>> {
    let node = |view: &usize| {
        let view = world.views.get(*view).map(|(view, _)| view);
        view.and_then(|view| view.node.clone()).unwrap_or_default()
    };
    let nodes: BTreeSet<Arc<str>> = views.iter().map(node).collect();
    nodes.into_iter().collect()
}
