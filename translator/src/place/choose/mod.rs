//! The choice of endpoints for a client on a node and in a zone, by priority: Service rules 58 to
//! 66 as one pure function.
//!
//! It decides over endpoints that are already joined and free of duplicates (`place/endpoints.rs`);
//! what comes out becomes the priorities of an assignment (`envoy/assignment.rs`). It is asked once
//! for a client without a place and again for every place where the answer may be another one
//! (`place/layering.rs`).

mod decider;

use std::sync::Arc;

use super::endpoints::Candidate;
use crate::model::Condition;

pub(crate) use decider::{Decider, Deciders, Hints, Topology, hints};

/// The set of endpoints to choose from, after the traffic policy: Cluster or Local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// All endpoints, narrowed by topology hints.
    Cluster,
    /// The endpoints on the client's node, whatever the hints.
    Local {
        /// Whether, by `seaway.dev/local-fallback: "cluster"`, endpoints in the client's zone
        /// follow in the next priority, and then all others.
        fallback: bool,
    },
}

/// The node and the zone of a client, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// The name of the client's Node.
    pub node: Option<&'a str>,
    /// The name of the client's zone.
    pub zone: Option<&'a str>,
}

/// The chosen endpoints by priority, as positions in the list given. No priority is empty, so they
/// count from 0 without gaps (xDS rules 167, 188).
pub(crate) type Priorities = Vec<Vec<usize>>;

/// Chooses endpoints of a TCP port for a client at this place.
pub(crate) fn choose(candidates: &[Candidate<'_>], place: Place<'_>, set: Set) -> Priorities {
    let priorities = match set {
        Set::Cluster => cluster(candidates, place),
        Set::Local { fallback: false } => vec![local(candidates, place)],
        Set::Local { fallback: true } => nearest(candidates, place),
    };
    priorities.into_iter().filter(|p| !p.is_empty()).collect()
}

/// Chooses endpoints of a UDP port: beside the ready ones stand those that still serve while they
/// terminate, and keep the flows they have (Service rule 105). They stand in the first priority,
/// since an endpoint that changes its priority loses its flows; the assignment marks them so that
/// no new flow is sent there.
pub(crate) fn choose_for_flows(
    candidates: &[Candidate<'_>],
    place: Place<'_>,
    set: Set,
) -> Priorities {
    let mut priorities = choose(candidates, place, set);
    if is_fallback(candidates, &priorities) {
        return priorities;
    }
    if let Some(first) = priorities.first_mut() {
        let mut leaving = with(candidates, Condition::ServingTerminating);
        if set == (Set::Local { fallback: false }) {
            leaving.retain(|i| same(candidates[*i].endpoint.node.as_ref(), place.node));
        }
        first.extend(leaving);
        first.sort_unstable();
    }
    priorities
}

/// Whether no chosen endpoint is ready.
pub(crate) fn is_fallback(candidates: &[Candidate<'_>], priorities: &Priorities) -> bool {
    let mut chosen = priorities.iter().flatten();
    chosen.all(|i| candidates[*i].endpoint.condition != Condition::Ready)
}

/// Whether any endpoint is usable, on whatever node (Service rule 70).
pub(crate) fn any_usable(candidates: &[Candidate<'_>]) -> bool {
    candidates
        .iter()
        .any(|c| c.endpoint.condition != Condition::Unusable)
}

/// The endpoints of the Cluster set (Service rules 59, 61): hints decide over the ready ones; the
/// terminating fallback knows no topology.
fn cluster(candidates: &[Candidate<'_>], place: Place<'_>) -> Priorities {
    let ready = with(candidates, Condition::Ready);
    if ready.is_empty() {
        return vec![with(candidates, Condition::ServingTerminating)];
    }
    let for_node = |i: &usize| hinted(&candidates[*i].endpoint.node_hints, place.node);
    let for_zone = |i: &usize| hinted(&candidates[*i].endpoint.zone_hints, place.zone);
    match hints(candidates, &ready, place) {
        Some(Hints::ForNodes) => {
            let (node, others): (Vec<_>, Vec<_>) = ready.into_iter().partition(for_node);
            let (zone, rest) = others.into_iter().partition(for_zone);
            vec![node, zone, rest]
        }
        Some(Hints::ForZones) => {
            let (zone, rest) = ready.into_iter().partition(for_zone);
            vec![zone, rest]
        }
        None => vec![ready],
    }
}

/// The endpoints of the Local set (Service rule 60): none if the node has none, without a fallback
/// to others (rules 77, 84).
fn local(candidates: &[Candidate<'_>], place: Place<'_>) -> Vec<usize> {
    let here = |i: &usize| same(candidates[*i].endpoint.node.as_ref(), place.node);
    let on_node = |condition| -> Vec<usize> {
        with(candidates, condition)
            .into_iter()
            .filter(here)
            .collect()
    };
    let ready = on_node(Condition::Ready);
    if ready.is_empty() {
        on_node(Condition::ServingTerminating)
    } else {
        ready
    }
}

/// The endpoints of the Local set with a fallback, by nearness: ready endpoints anywhere come
/// before terminating ones on the node, as in the Cluster set.
fn nearest(candidates: &[Candidate<'_>], place: Place<'_>) -> Priorities {
    let mut usable = with(candidates, Condition::Ready);
    if usable.is_empty() {
        usable = with(candidates, Condition::ServingTerminating);
    }
    let here = |i: &usize| same(candidates[*i].endpoint.node.as_ref(), place.node);
    let near = |i: &usize| same(candidates[*i].endpoint.zone.as_ref(), place.zone);
    let (node, others): (Vec<_>, Vec<_>) = usable.into_iter().partition(here);
    let (zone, rest) = others.into_iter().partition(near);
    vec![node, zone, rest]
}

fn with(candidates: &[Candidate<'_>], condition: Condition) -> Vec<usize> {
    (0..candidates.len())
        .filter(|i| candidates[*i].endpoint.condition == condition)
        .collect()
}

fn hinted(hints: &[Arc<str>], name: Option<&str>) -> bool {
    name.is_some_and(|name| hints.iter().any(|hint| **hint == *name))
}

/// Whether two names are set and equal: unset is equal to nothing, not even to unset (Service rule
/// 52).
fn same(a: Option<&Arc<str>>, b: Option<&str>) -> bool {
    a.zip(b).is_some_and(|(a, b)| **a == *b)
}

#[cfg(test)]
mod tests;
