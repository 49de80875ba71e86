//! What decided over the endpoints of a place: which kind of topology hints, and for one endpoint
//! the field by which it was chosen, or was not.

use std::sync::Arc;

use super::{Place, Set, hinted, same, with};
use crate::model::Condition;
use crate::place::endpoints::Candidate;

/// The kind of topology hints that decides at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hints {
    /// `hints.forNodes`.
    ForNodes,
    /// `hints.forZones`.
    ForZones,
}

/// The kind of topology hints of the ready endpoints that decides at this place, if any does.
pub(crate) fn hints(
    candidates: &[Candidate<'_>],
    ready: &[usize],
    place: Place<'_>,
) -> Option<Hints> {
    let for_node = |i: &usize| hinted(&candidates[*i].endpoint.node_hints, place.node);
    let for_zone = |i: &usize| hinted(&candidates[*i].endpoint.zone_hints, place.zone);
    if all_hinted(ready, |i| &candidates[i].endpoint.node_hints) && ready.iter().any(for_node) {
        return Some(Hints::ForNodes);
    }
    let zones = all_hinted(ready, |i| &candidates[i].endpoint.zone_hints);
    (zones && ready.iter().any(for_zone)).then_some(Hints::ForZones)
}

/// Whether all ready endpoints have a hint: a single one without turns that level off for the whole
/// port (Service rule 62).
fn all_hinted<'a>(ready: &[usize], hints: impl Fn(usize) -> &'a [Arc<str>]) -> bool {
    ready.iter().all(|i| !hints(*i).is_empty())
}

/// The hints of the ready endpoints, counted for one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    /// The kind of hints that decides, if any does.
    pub by: Option<Hints>,
    /// How many endpoints are ready.
    pub ready: usize,
    /// How many of those have hints for zones, and for nodes.
    pub with_zones: usize,
    pub with_nodes: usize,
    /// How many of those have a hint for this zone, and for this node.
    pub for_zone: usize,
    pub for_node: usize,
}

impl Topology {
    /// Counts the hints for a place.
    pub(crate) fn new(candidates: &[Candidate<'_>], place: Place<'_>) -> Topology {
        let ready = with(candidates, Condition::Ready);
        let count = |test: &dyn Fn(&Candidate<'_>) -> bool| {
            ready.iter().filter(|i| test(&candidates[**i])).count()
        };
        Topology {
            by: hints(candidates, &ready, place).filter(|_| !ready.is_empty()),
            ready: ready.len(),
            with_zones: count(&|c| !c.endpoint.zone_hints.is_empty()),
            with_nodes: count(&|c| !c.endpoint.node_hints.is_empty()),
            for_zone: count(&|c| hinted(&c.endpoint.zone_hints, place.zone)),
            for_node: count(&|c| hinted(&c.endpoint.node_hints, place.node)),
        }
    }
}

/// The field of an endpoint by which it was chosen for a client, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decider {
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
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Decider::Conditions => "conditions",
            Decider::NodeHints => "hints.forNodes",
            Decider::ZoneHints => "hints.forZones",
            Decider::Node => "nodeName",
            Decider::Zone => "zone",
        }
    }
}

/// What decides over each endpoint of a set at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deciders<'a> {
    place: Place<'a>,
    set: Set,
    hints: Option<Hints>,
    /// Whether any endpoint is ready, and any on the node of the place.
    any_ready: bool,
    any_ready_here: bool,
}

impl<'a> Deciders<'a> {
    /// What decides among these endpoints.
    pub(crate) fn new(candidates: &[Candidate<'_>], place: Place<'a>, set: Set) -> Deciders<'a> {
        let ready = with(candidates, Condition::Ready);
        let here = |i: &usize| same(candidates[*i].endpoint.node.as_ref(), place.node);
        Deciders {
            place,
            set,
            hints: hints(candidates, &ready, place),
            any_ready: !ready.is_empty(),
            any_ready_here: ready.iter().any(here),
        }
    }

    /// The field by which one of the endpoints was chosen, or was not.
    pub(crate) fn of(&self, candidate: &Candidate<'_>) -> Decider {
        let endpoint = candidate.endpoint;
        let is_here = same(endpoint.node.as_ref(), self.place.node);
        let is_ready = endpoint.condition == Condition::Ready;
        let is_next = !self.any_ready && endpoint.condition == Condition::ServingTerminating;
        match self.set {
            _ if endpoint.condition == Condition::Unusable => Decider::Conditions,
            Set::Local { fallback: false } => match is_here && !is_ready && self.any_ready_here {
                true => Decider::Conditions,
                false => Decider::Node,
            },
            Set::Local { fallback: true } if !is_ready && !is_next => Decider::Conditions,
            Set::Local { fallback: true } if is_here => Decider::Node,
            Set::Local { fallback: true } => Decider::Zone,
            Set::Cluster if !is_ready => Decider::Conditions,
            Set::Cluster => match self.hints {
                None => Decider::Conditions,
                Some(Hints::ForZones) => Decider::ZoneHints,
                Some(Hints::ForNodes) => {
                    let is_near = hinted(&endpoint.zone_hints, self.place.zone);
                    match is_near && !hinted(&endpoint.node_hints, self.place.node) {
                        true => Decider::ZoneHints,
                        false => Decider::NodeHints,
                    }
                }
            },
        }
    }
}
