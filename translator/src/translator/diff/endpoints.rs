//! What happens to the endpoints of a Service port: which join and leave, how many are preferred,
//! and at which proxies.

use std::collections::{BTreeMap, BTreeSet};

use seaway_proto::TypeUrl;

use super::Both;
use super::changes::Change;
use super::effect::{Effect, EndpointCount, Harm, What};
use super::facts::{EndpointFact, endpoints};
use super::places::{places, places_of_nodes};
use crate::model::{Family, Protocol};
use crate::names::ClusterName;

/// An effect with the views at which it happens.
#[derive(Debug)]
pub(super) struct Draft {
    pub effect: Effect,
    pub views: Vec<usize>,
}

/// What became of the endpoints that some proxies have.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Shift {
    before: EndpointCount,
    after: EndpointCount,
    joins: BTreeSet<String>,
    leaves: BTreeSet<String>,
    moves: BTreeSet<String>,
    /// Whether new connections go where they went.
    is_on_standby: bool,
}

impl Shift {
    fn new(old: &[EndpointFact], new: &[EndpointFact]) -> Shift {
        let known = |all: &[EndpointFact]| -> BTreeMap<String, bool> {
            let each = all.iter();
            each.map(|fact| (fact.address.clone(), fact.preferred))
                .collect()
        };
        let (was, is) = (known(old), known(new));
        let without = |one: &BTreeMap<String, bool>, other: &BTreeMap<String, bool>| {
            let own = one.keys().filter(|address| !other.contains_key(*address));
            own.cloned().collect()
        };
        let moved = is.iter().filter(|(address, preferred)| {
            let before = was.get(*address);
            before.is_some_and(|before| before != *preferred)
        });
        let preferred = |all: &BTreeMap<String, bool>| -> BTreeSet<String> {
            let own = all.iter().filter(|(_, preferred)| **preferred);
            own.map(|(address, _)| address.clone()).collect()
        };
        Shift {
            is_on_standby: preferred(&was) == preferred(&is),
            before: count(old),
            after: count(new),
            joins: without(&is, &was),
            leaves: without(&was, &is),
            moves: moved.map(|(address, _)| address.clone()).collect(),
        }
    }

    fn is_emptied(&self) -> bool {
        total(self.before) > 0 && total(self.after) == 0
    }

    fn is_filled(&self) -> bool {
        total(self.before) == 0 && total(self.after) > 0
    }

    fn what(&self, name: &ClusterName, outside: bool, requests: bool) -> What {
        let all = |addresses: &BTreeSet<String>| addresses.iter().cloned().collect();
        What::Endpoints {
            local: name.local,
            outside,
            v6: name.family == Family::V6,
            flows: name.port.protocol == Protocol::Udp,
            requests,
            before: self.before,
            after: self.after,
            joins: all(&self.joins),
            leaves: all(&self.leaves),
            moves: all(&self.moves),
        }
    }

    /// Takes in what happens on another node, whose endpoints are others.
    fn add(&mut self, other: Shift) {
        let sum = |one: &mut EndpointCount, other: EndpointCount| {
            one.preferred += other.preferred;
            one.standby += other.standby;
        };
        sum(&mut self.before, other.before);
        sum(&mut self.after, other.after);
        self.joins.extend(other.joins);
        self.leaves.extend(other.leaves);
        self.moves.extend(other.moves);
        self.is_on_standby &= other.is_on_standby;
    }
}

fn count(facts: &[EndpointFact]) -> EndpointCount {
    let preferred = facts.iter().filter(|fact| fact.preferred).count();
    EndpointCount {
        preferred,
        standby: facts.len() - preferred,
    }
}

/// How many endpoints there are.
pub(super) fn total(count: EndpointCount) -> usize {
    count.preferred + count.standby
}

/// The most endpoints that an assignment among these resources has in the second world.
pub(super) fn most(changes: &[&Change<'_>]) -> usize {
    let assignments = changes.iter();
    let assignments = assignments.filter(|change| change.type_url == TypeUrl::ENDPOINT);
    let variants = assignments.flat_map(|change| &change.variants);
    let counts = variants.filter_map(|v| v.new.map(|new| endpoints(new).len()));
    counts.max().unwrap_or(0)
}

/// What happens alike at some proxies, and their views.
type Shared = (Shift, Vec<usize>);

/// What is told together: those that lose their last endpoint, those that get their first, and of
/// others what is exactly alike, or all of them.
type Alike = (bool, bool, Option<Shift>);

/// What happens to the endpoints of a cluster. Those of a Local policy are each node's own, so
/// nodes that all lose their last one are told together.
pub(super) fn effects(both: Both<'_>, name: &ClusterName, change: &Change<'_>) -> Vec<Draft> {
    let outside = name.local && both.to.is_local_outside(&name.port.service);
    let of_requests = |views: &[usize]| !views.iter().any(|view| both.to.is_of_node(*view));
    let draft = |(shift, views): Shared| Draft {
        effect: Effect {
            harm: match shift.is_emptied() {
                true => Harm::Refused,
                false => Harm::Endpoints,
            },
            port: Some(super::service::label(&name.port)),
            loses: shift.is_emptied(),
            places: match name.local {
                true => places_of_nodes(both.to, &views, &change.seen_by),
                false => places(both.to, &views, &change.seen_by),
            },
            what: shift.what(name, outside, of_requests(&views)),
        },
        views,
    };
    shifts(name, change).into_iter().map(draft).collect()
}

fn shifts(name: &ClusterName, change: &Change<'_>) -> Vec<Shared> {
    let mut shifts: BTreeMap<Alike, Shared> = BTreeMap::new();
    for (old, new, views) in change.replaced() {
        let shift = Shift::new(&endpoints(old), &endpoints(new));
        let stands_by = shift.before.standby + shift.after.standby > 0;
        let own = (!name.local || stands_by).then(|| shift.clone());
        let key = (shift.is_emptied(), shift.is_filled(), own);
        match shifts.get_mut(&key) {
            Some((known, of)) if key.2.is_none() => {
                known.add(shift);
                of.extend_from_slice(views);
            }
            Some((_, of)) => of.extend_from_slice(views),
            None => drop(shifts.insert(key, (shift, views.to_vec()))),
        }
    }
    // What stands by elsewhere follows from what is preferred where it is told.
    if shifts.values().any(|(shift, _)| !shift.is_on_standby) {
        shifts.retain(|_, (shift, _)| !shift.is_on_standby);
    }
    shifts.into_values().collect()
}
