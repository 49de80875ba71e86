//! The choice of endpoints for a client on a node and in a zone, by priority: Service rules 58 to
//! 66 as one pure function.
//!
//! It decides over endpoints that are already joined and free of duplicates (`place/endpoints.rs`);
//! what comes out becomes the priorities of an assignment (`envoy/assignment.rs`). It is asked once
//! for a client without a place and again for every place where the answer may be another one
//! (`place/layering.rs`).

use std::sync::Arc;

use super::endpoints::Candidate;
use crate::model::Condition;

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

/// The kind of topology hints that decides at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hints {
    /// `hints.forNodes`.
    ForNodes,
    /// `hints.forZones`.
    ForZones,
}

/// The kind of topology hints of the ready endpoints that decides at this place, if any does.
fn hints(candidates: &[Candidate<'_>], ready: &[usize], place: Place<'_>) -> Option<Hints> {
    let for_node = |i: &usize| hinted(&candidates[*i].endpoint.node_hints, place.node);
    let for_zone = |i: &usize| hinted(&candidates[*i].endpoint.zone_hints, place.zone);
    if all_hinted(ready, |i| &candidates[i].endpoint.node_hints) && ready.iter().any(for_node) {
        return Some(Hints::ForNodes);
    }
    let zones = all_hinted(ready, |i| &candidates[i].endpoint.zone_hints);
    (zones && ready.iter().any(for_zone)).then_some(Hints::ForZones)
}

/// The field of an endpoint by which it was chosen for a client, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decider {
    /// `conditions`: whether the endpoint is ready, serving or terminating.
    Conditions,
    /// `hints.forNodes`: the nodes whose clients should use the endpoint.
    NodeHints,
    /// `hints.forZones`: the zones whose clients should use the endpoint.
    ZoneHints,
    /// `nodeName`: the Node on which the endpoint runs.
    Node,
    /// `zone`: the zone in which the endpoint runs.
    Zone,
}

impl Decider {
    /// The path of the field within an endpoint of an EndpointSlice.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Decider::Conditions => "conditions",
            Decider::NodeHints => "hints.forNodes",
            Decider::ZoneHints => "hints.forZones",
            Decider::Node => "nodeName",
            Decider::Zone => "zone",
        }
    }
}

/// The field by which the endpoint at this position was chosen, or was not.
pub(crate) fn decider(
    candidates: &[Candidate<'_>],
    place: Place<'_>,
    set: Set,
    position: usize,
) -> Decider {
    let endpoint = candidates[position].endpoint;
    let ready = with(candidates, Condition::Ready);
    let is_here = same(endpoint.node.as_ref(), place.node);
    let is_ready = endpoint.condition == Condition::Ready;
    let is_next = ready.is_empty() && endpoint.condition == Condition::ServingTerminating;
    match set {
        _ if endpoint.condition == Condition::Unusable => Decider::Conditions,
        Set::Local { fallback: false } => {
            let here = local(candidates, place);
            match is_here && !here.contains(&position) {
                true => Decider::Conditions,
                false => Decider::Node,
            }
        }
        Set::Local { fallback: true } if !is_ready && !is_next => Decider::Conditions,
        Set::Local { fallback: true } if is_here => Decider::Node,
        Set::Local { fallback: true } => Decider::Zone,
        Set::Cluster if !is_ready => Decider::Conditions,
        Set::Cluster => match hints(candidates, &ready, place) {
            None => Decider::Conditions,
            Some(Hints::ForZones) => Decider::ZoneHints,
            Some(Hints::ForNodes) => {
                let is_near = hinted(&endpoint.zone_hints, place.zone);
                match is_near && !hinted(&endpoint.node_hints, place.node) {
                    true => Decider::ZoneHints,
                    false => Decider::NodeHints,
                }
            }
        },
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

/// Whether all ready endpoints have a hint: a single one without turns that level off for the whole
/// port (Service rule 62).
fn all_hinted<'a>(ready: &[usize], hints: impl Fn(usize) -> &'a [Arc<str>]) -> bool {
    ready.iter().all(|i| !hints(*i).is_empty())
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
