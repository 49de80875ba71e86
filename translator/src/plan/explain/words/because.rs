//! The reasons of endpoints, in words.

use std::net::SocketAddr;

use crate::Problem;
use crate::model::{Condition, Endpoint, EndpointSlice, Family, ServicePort};
use crate::place::choose::{Decider, Place, Set};
use crate::plan::explain::answer::Taken;
use crate::plan::explain::endpoints::Asked;

/// The condition of an endpoint in words.
pub(in crate::plan::explain) fn state(endpoint: &Endpoint) -> &'static str {
    match (endpoint.condition, endpoint.terminating) {
        (Condition::Ready, false) => "ready",
        (Condition::Ready, true) => "ready, terminating",
        (Condition::ServingTerminating, _) => "terminating, serving",
        (Condition::Unusable, false) => "not ready",
        (Condition::Unusable, true) => "terminating",
    }
}

/// Why a candidate is taken or not.
pub(in crate::plan::explain) fn candidate(
    (slice, endpoint): (&EndpointSlice, &Endpoint),
    (by, taken): (Decider, Taken),
    (place, set): (Place<'_>, Set),
) -> String {
    match by {
        Decider::Conditions => conditions(slice, endpoint, taken, (place, set)),
        Decider::NodeHints => hints("node hint", &endpoint.node_hints),
        Decider::ZoneHints => hints("hint", &endpoint.zone_hints),
        Decider::Node => match (&endpoint.node, place.node) {
            (None, _) => format!("no nodeName in EndpointSlice {}", slice.name),
            (Some(node), Some(here)) if **node == *here => format!("on node {node}"),
            (Some(_), Some(here)) => format!("not on node {here}"),
            (Some(node), None) => format!("for clients on node {node} alone"),
        },
        Decider::Zone => match (&endpoint.zone, place.zone) {
            (None, _) => "in no zone".to_owned(),
            (Some(zone), Some(here)) if **zone == *here => format!("in zone {zone}"),
            (Some(zone), _) => format!("elsewhere, in zone {zone}"),
        },
    }
}

fn conditions(
    slice: &EndpointSlice,
    endpoint: &Endpoint,
    taken: Taken,
    (place, set): (Place<'_>, Set),
) -> String {
    let name = &slice.name;
    match (endpoint.condition, taken) {
        (Condition::Ready, _) => "ready".to_owned(),
        (Condition::Unusable, _) if endpoint.terminating => {
            format!("conditions.serving=false in EndpointSlice {name}")
        }
        (Condition::Unusable, _) => format!("conditions.ready=false in EndpointSlice {name}"),
        (Condition::ServingTerminating, Taken::OldFlows) => {
            "it terminates, and keeps the flows that it has".to_owned()
        }
        (Condition::ServingTerminating, Taken::No) => match (set, place.node) {
            (Set::Local { fallback: false }, Some(node)) => {
                format!("ready endpoints exist on node {node}")
            }
            _ => "ready endpoints exist".to_owned(),
        },
        (Condition::ServingTerminating, _) => {
            "no endpoint is ready, and it still serves".to_owned()
        }
    }
}

fn hints(kind: &str, hints: &[std::sync::Arc<str>]) -> String {
    let names: Vec<&str> = hints.iter().map(|hint| &**hint).collect();
    match names[..] {
        [] => format!("no {kind}"),
        [one] => format!("{kind} {one}"),
        _ => format!("{kind}s {}", names.join(", ")),
    }
}

/// Why an endpoint that is an address of a Service is left out: the words of its problem.
pub(in crate::plan::explain) fn service(endpoint: &Endpoint, refusals: &[Problem]) -> String {
    let field = format!("endpoints[{}].addresses[0]", endpoint.index);
    let problem = refusals.iter().find(|problem| problem.field == field);
    let message = problem.map(|problem| problem.message.clone());
    message.unwrap_or_else(|| format!("{} is an address of a Service", endpoint.ip))
}

/// Why an entry gives way to another one for the same address.
pub(in crate::plan::explain) fn shadowed(asked: &Asked<'_>, at: Option<SocketAddr>) -> String {
    let winner = at.and_then(|at| {
        let candidates = asked.candidates(Family::of(at.ip()));
        let found = candidates.binary_search_by_key(&at, |candidate| candidate.address);
        let endpoint: *const Endpoint = candidates[found.ok()?].endpoint;
        let mut slices = asked.asker.context.index.slices(&asked.service.key);
        let has = |e: &Endpoint| std::ptr::from_ref(e) == endpoint;
        slices.find(|slice| slice.endpoints.iter().any(has))
    });
    match winner {
        Some(slice) => format!("the entry in EndpointSlice {} takes precedence", slice.name),
        None => "another entry for this address takes precedence".to_owned(),
    }
}

/// Says that a slice lacks the port of a Service, and what it has.
pub(in crate::plan::explain) fn port(slice: &EndpointSlice, port: &ServicePort) -> String {
    let named = |name: &str| match name {
        "" => "a port without a name".to_owned(),
        name => format!("{name:?}"),
    };
    let wanted = match &*port.name {
        "" => "no port without a name".to_owned(),
        name => format!("no port named {name:?}"),
    };
    let mut ports: Vec<String> = slice
        .ports
        .iter()
        .map(|of_slice| match of_slice.protocol == port.protocol {
            true => named(&of_slice.name),
            false => format!("{} for {}", named(&of_slice.name), of_slice.protocol),
        })
        .collect();
    ports.truncate(4);
    let has = match ports.is_empty() {
        true => String::new(),
        false => format!(", only {}", ports.join(", ")),
    };
    format!("EndpointSlice {} has {wanted}{has}", slice.name)
}
