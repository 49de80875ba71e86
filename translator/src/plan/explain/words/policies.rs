//! The facts by which a set of endpoints was chosen: the traffic policy, topology hints, and where
//! nothing can be taken, what endpoints there are.

use crate::model::{Condition, Family, Policy};
use crate::place::choose::{Hints, Set, Topology};
use crate::plan::explain::answer::{EndpointRow, Fact};
use crate::plan::explain::asker::{count, listed};
use crate::plan::explain::endpoints::Asked;

/// What leads to a set of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan::explain) enum By {
    /// A cluster IP, or a name.
    Internal,
    /// An external address or a node port.
    External,
    /// A rule of an ingress proxy.
    Rule,
}

const FALLBACK: &str = "metadata.annotations[seaway.dev/local-fallback]";

/// The traffic policy that chose the set.
pub(in crate::plan::explain) fn policy(asked: &Asked<'_>, by: By) -> Fact {
    let (service, here) = (asked.service, asked.asker.here());
    let (name, policy) = match by {
        By::Internal => ("internalTrafficPolicy", service.internal_policy),
        By::External => ("externalTrafficPolicy", service.external_policy),
        By::Rule => {
            let text = "none: ingress proxies use no address of the Service, so that every ready \
                        endpoint is a candidate";
            return Fact::new("policy", text);
        }
    };
    let field = format!("spec.{name}");
    let text = match (asked.set(), policy) {
        (Set::Cluster, Policy::Cluster) => {
            format!("{name}: Cluster: every ready endpoint is a candidate")
        }
        (Set::Cluster, Policy::Local) => format!(
            "{name}: Local is for clients outside of the cluster: for others every ready endpoint \
             is a candidate"
        ),
        (Set::Local { fallback: false }, _) => {
            format!("{name}: Local: only endpoints on {here} are candidates")
        }
        (Set::Local { fallback: true }, _) => {
            let text = format!(
                "{name}: Local with seaway.dev/local-fallback: endpoints on {here} come first, \
                 then those in its zone, then all others"
            );
            return Fact::by("policy", FALLBACK, text);
        }
    };
    Fact::by("policy", field, text)
}

/// What topology hints decided, or why they decided nothing; `None` where there are none.
pub(in crate::plan::explain) fn topology(asked: &Asked<'_>, family: Family) -> Option<Fact> {
    if asked.set() != Set::Cluster {
        return None;
    }
    let candidates = asked.candidates(family);
    let hinted = |c: &&crate::place::endpoints::Candidate<'_>| {
        !c.endpoint.zone_hints.is_empty() || !c.endpoint.node_hints.is_empty()
    };
    candidates.iter().find(hinted)?;
    let place = asked.asker.place();
    let found = Topology::new(candidates, place);
    let field = match found.by {
        Some(Hints::ForNodes) => "hints.forNodes",
        Some(Hints::ForZones) => "hints.forZones",
        None if found.with_nodes > 0 && found.with_zones == 0 => "hints.forNodes",
        None => "hints.forZones",
    };
    let all = match found.ready {
        1 => "the only ready endpoint has".to_owned(),
        ready => format!("all {ready} ready endpoints have"),
    };
    let text = match (found.by, place.node, place.zone) {
        (Some(Hints::ForZones), _, Some(zone)) => format!(
            "{all} zone hints, {} of them for zone {zone}: those are taken, the rest stand by",
            found.for_zone
        ),
        (Some(Hints::ForNodes), Some(node), _) => format!(
            "{all} node hints, {} of them for node {node}: those are taken, the rest stand by, \
             those with a hint for its zone first",
            found.for_node
        ),
        _ => ignored(asked, family, &found),
    };
    Some(Fact::by("topology", field, text))
}

/// Why hints decided nothing.
fn ignored(asked: &Asked<'_>, family: Family, found: &Topology) -> String {
    if found.ready == 0 {
        return "hints are ignored, since no endpoint is ready".to_owned();
    }
    let place = asked.asker.place();
    let of_zones = found.with_zones > 0 || found.with_nodes == 0;
    let (with, kind) = match of_zones {
        true => (found.with_zones, "zone"),
        false => (found.with_nodes, "node"),
    };
    if with < found.ready {
        let without = asked.candidates(family).iter().filter(|candidate| {
            let endpoint = candidate.endpoint;
            let hints = if of_zones {
                &endpoint.zone_hints
            } else {
                &endpoint.node_hints
            };
            endpoint.condition == Condition::Ready && hints.is_empty()
        });
        let without: Vec<String> = without.map(|c| c.address.to_string()).collect();
        let has = if without.len() == 1 { "has" } else { "have" };
        return format!(
            "{kind} hints are ignored, since {} of {} ready endpoints {has} none: {}",
            without.len(),
            found.ready,
            listed(&without, "and", 3)
        );
    }
    match (of_zones, place.zone, place.node) {
        (true, Some(zone), _) => format!(
            "zone hints are ignored, since none of the {} is for zone {zone}",
            count(found.ready, "ready endpoint")
        ),
        (true, None, _) => match &asked.asker.view.zone {
            Some(zone) => {
                format!(
                    "zone hints are ignored, since no Node and no EndpointSlice names zone {zone}"
                )
            }
            None => "zone hints are ignored, since the zone of the proxy is not known".to_owned(),
        },
        (false, _, Some(node)) => format!(
            "node hints are ignored, since none of the {} is for node {node}",
            count(found.ready, "ready endpoint")
        ),
        (false, _, None) => {
            "node hints are ignored, since the node of the proxy is not known".to_owned()
        }
    }
}

/// What endpoints there are, where none is taken.
pub(in crate::plan::explain) fn endpoints(asked: &Asked<'_>, rows: &[EndpointRow]) -> Fact {
    let service = asked.service;
    let index = asked.asker.context.index;
    let slices = index.slices(&service.key).count();
    if rows.is_empty() {
        let unread = asked.asker.unread_slices(&service.key);
        let unread: Vec<String> = unread.map(ToString::to_string).collect();
        if slices == 0 && !unread.is_empty() {
            let text = format!("none: {} cannot be read", listed(&unread, "and", 3));
            return Fact::by("endpoints", "endpoints", text);
        }
        let why = match (slices, &*service.selector) {
            (0, "") => format!(
                "no EndpointSlice has the label kubernetes.io/service-name={}; the Service has no \
                 selector, so that nobody makes one",
                service.key.name
            ),
            (0, selector) => format!(
                "no EndpointSlice has the label kubernetes.io/service-name={}; its selector is \
                 {selector}",
                service.key.name
            ),
            (slices, "") => format!("none in {}", count(slices, "slice")),
            (slices, selector) => format!(
                "none in {}: no pod has the labels of the selector, {selector}",
                count(slices, "slice")
            ),
        };
        return Fact::by("endpoints", "spec.selector", why);
    }
    let mut states: Vec<(String, usize)> = Vec::new();
    for row in rows {
        match states.iter_mut().find(|(state, _)| *state == row.state) {
            Some((_, number)) => *number += 1,
            None => states.push((row.state.clone(), 1)),
        }
    }
    let states: Vec<String> = states
        .into_iter()
        .map(|(state, number)| format!("{number} {state}"))
        .collect();
    let mut text = format!(
        "{} in {}: {}",
        rows.len(),
        count(slices, "slice"),
        states.join("; ")
    );
    if rows.iter().all(|row| row.addresses.is_empty()) {
        text.push_str("; none of them can be connected to at this port");
    }
    Fact::new("endpoints", text)
}
