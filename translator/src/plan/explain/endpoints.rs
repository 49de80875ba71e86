//! The endpoints of a Service port as a proxy at one place has them: every endpoint of every
//! EndpointSlice once, with the reason why it is taken or not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::answer::{EndpointRow, Taken, Verdict};
use super::asker::Asker;
use super::words::because;
use crate::Problem;
use crate::model::{Condition, Endpoint, EndpointSlice, Family, Service};
use crate::place::choose::{Deciders, Place, Set, is_fallback};
use crate::place::endpoints::{Candidate, EndpointExclusion, is_used};
use crate::plan::clusters::{choice, set};
use crate::plan::service::ServicePlan;

/// A port of a Service and one of its sets of endpoints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub asker: &'a Asker<'a>,
    pub service: &'a Service,
    pub plan: &'a ServicePlan<'a>,
    /// The position of the port in `Service::ports`.
    pub port: usize,
    /// Whether it is the set of a Local policy.
    pub local: bool,
}

impl<'a> Asked<'a> {
    /// The set, as it is chosen by.
    pub(super) fn set(&self) -> Set {
        set(self.service, self.local)
    }

    /// The candidates of an IP family.
    pub(super) fn candidates(&self, family: Family) -> &'a [Candidate<'a>] {
        let of_port = self.plan.endpoints.get(&(self.port, family));
        of_port.map_or(&[], |of_port| &of_port.candidates)
    }
}

/// Where new connections of one IP family go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lead {
    /// The endpoints that get them.
    pub taken: Vec<SocketAddr>,
    /// How many stand by.
    pub stand_by: usize,
    /// The Nodes with endpoints that could be taken there.
    pub nodes: Vec<Arc<str>>,
}

/// The facts about one endpoint at one port.
#[derive(Default)]
struct Known {
    /// Where it is a candidate, each with its priority.
    at: Vec<(SocketAddr, Option<usize>)>,
    by: Option<Verdict>,
    left_out: Option<EndpointExclusion>,
    left_out_at: Option<SocketAddr>,
    /// Whether it only keeps the flows that it has.
    is_leaving: bool,
}

/// The rows of a port, and where connections of each family go.
pub(super) fn rows(asked: &Asked<'_>) -> (Vec<EndpointRow>, BTreeMap<Family, Lead>) {
    let (mut known, mut leads) = (BTreeMap::new(), BTreeMap::new());
    for family in [Family::V4, Family::V6] {
        if let Some(lead) = of_family(asked, family, &mut known) {
            leads.insert(family, lead);
        }
    }
    let mut rows = Vec::new();
    let index = asked.asker.context.index;
    for slice in index.slices(&asked.service.key) {
        let mut refusals = None;
        for endpoint in &slice.endpoints {
            let known = known.remove(&std::ptr::from_ref(endpoint));
            let known = known.unwrap_or_default();
            let verdict = verdict(asked, slice, endpoint, &known);
            let refusals: &[Problem] = match verdict {
                Verdict::IsService => refusals.get_or_insert_with(|| index.refusals(slice)),
                _ => &[],
            };
            rows.push(row(asked, (slice, endpoint), known, (verdict, refusals)));
        }
    }
    (rows, leads)
}

/// The rows of a Service of type ExternalName, which uses no endpoints.
pub(super) fn unused_rows(asker: &Asker<'_>, service: &Service) -> Vec<EndpointRow> {
    let slices = asker.context.index.slices(&service.key);
    let each = slices.flat_map(|slice| slice.endpoints.iter().map(move |e| (slice, e)));
    let row = |(slice, endpoint): (&Arc<EndpointSlice>, &Endpoint)| EndpointRow {
        slice: slice.name.clone(),
        index: endpoint.index,
        ip: endpoint.ip,
        addresses: Vec::new(),
        node: endpoint.node.clone(),
        zone: endpoint.zone.clone(),
        state: because::state(endpoint).to_owned(),
        taken: Taken::No,
        priority: None,
        field: Verdict::ExternalName.field().to_owned(),
        because: "a Service of type ExternalName uses no EndpointSlices".to_owned(),
    };
    each.map(row).collect()
}

/// Chooses among the endpoints of one family, and notes what is known of each.
fn of_family(
    asked: &Asked<'_>,
    family: Family,
    known: &mut BTreeMap<*const Endpoint, Known>,
) -> Option<Lead> {
    let of_port = asked.plan.endpoints.get(&(asked.port, family))?;
    let (candidates, place, set) = (&of_port.candidates, asked.asker.place(), asked.set());
    let priorities = choice(&asked.service.ports[asked.port])(candidates, place, set);
    let fallback = is_fallback(candidates, &priorities);
    let mut priority_of = vec![None; candidates.len()];
    for (priority, all) in priorities.iter().enumerate() {
        all.iter().for_each(|at| priority_of[*at] = Some(priority));
    }
    let deciders = Deciders::new(candidates, place, set);
    let mut lead = Lead::default();
    for (candidate, priority) in candidates.iter().zip(priority_of) {
        let endpoint = candidate.endpoint;
        let is_leaving = !fallback && endpoint.condition == Condition::ServingTerminating;
        let known = known.entry(std::ptr::from_ref(endpoint)).or_default();
        known.at.push((candidate.address, priority));
        known.by = Some(Verdict::Candidate(deciders.of(candidate)));
        known.is_leaving = is_leaving && priority.is_some();
        match priority {
            Some(0) if !is_leaving => lead.taken.push(candidate.address),
            Some(_) if !is_leaving => lead.stand_by += 1,
            _ => {}
        }
    }
    for (candidate, why) in &of_port.left_out {
        let known = known
            .entry(std::ptr::from_ref(candidate.endpoint))
            .or_default();
        if known.left_out.is_none_or(|other| other < *why) {
            (known.left_out, known.left_out_at) = (Some(*why), Some(candidate.address));
        }
    }
    lead.nodes = nodes(candidates, set);
    Some(lead)
}

/// The Nodes on which a proxy would have endpoints of a Local set, in the order of their names.
fn nodes(candidates: &[Candidate<'_>], set: Set) -> Vec<Arc<str>> {
    if set == Set::Cluster {
        return Vec::new();
    }
    let usable = candidates.iter().map(|candidate| candidate.endpoint);
    let usable = usable.filter(|endpoint| endpoint.condition != Condition::Unusable);
    let mut nodes: Vec<Arc<str>> = usable.filter_map(|e| e.node.clone()).collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

fn verdict(
    asked: &Asked<'_>,
    slice: &EndpointSlice,
    endpoint: &Endpoint,
    known: &Known,
) -> Verdict {
    if let Some(by) = known.by {
        return by;
    }
    match known.left_out {
        Some(EndpointExclusion::Refused(what)) => Verdict::Refused(what),
        Some(EndpointExclusion::IsService) => Verdict::IsService,
        Some(EndpointExclusion::Shadowed) => Verdict::Shadowed,
        None if !is_used(slice, asked.service) => Verdict::HeadlessSlice,
        None => {
            let of = (asked.port, Family::of(endpoint.ip));
            match asked.plan.endpoints.contains_key(&of) {
                true => Verdict::NoPort,
                false => Verdict::NoFamily,
            }
        }
    }
}

fn row(
    asked: &Asked<'_>,
    (slice, endpoint): (&EndpointSlice, &Endpoint),
    known: Known,
    (verdict, refusals): (Verdict, &[Problem]),
) -> EndpointRow {
    let priority = known.at.iter().find_map(|(_, priority)| *priority);
    // Without a node no endpoint is local, and each is for some client.
    let is_local = asked.set() == Set::Local { fallback: false }
        && asked.asker.is_anywhere()
        && endpoint.condition != Condition::Unusable
        && endpoint.node.is_some();
    let taken = match priority {
        None if is_local && !known.at.is_empty() => Taken::Local,
        None => Taken::No,
        Some(_) if known.is_leaving => Taken::OldFlows,
        Some(0) => Taken::Yes,
        Some(_) => Taken::StandBy,
    };
    let place: Place<'_> = asked.asker.place();
    let because = match verdict {
        Verdict::Candidate(by) => {
            because::candidate((slice, endpoint), (by, taken), (place, asked.set()))
        }
        Verdict::IsService => because::service(endpoint, refusals),
        Verdict::Shadowed => because::shadowed(asked, known.left_out_at),
        Verdict::NoPort => because::port(slice, &asked.service.ports[asked.port]),
        Verdict::Refused(what) => {
            format!("{} is {what}; --allow-endpoint-cidr allows it", endpoint.ip)
        }
        Verdict::NoFamily => {
            let family = Family::of(endpoint.ip);
            format!("the Service has no {family} address")
        }
        Verdict::HeadlessSlice => {
            let name = &slice.name;
            format!("EndpointSlice {name} is that of a headless Service, by its label")
        }
        Verdict::ExternalName => String::new(),
    };
    EndpointRow {
        slice: slice.name.clone(),
        index: endpoint.index,
        ip: endpoint.ip,
        addresses: known.at.into_iter().map(|(address, _)| address).collect(),
        node: endpoint.node.clone(),
        zone: endpoint.zone.clone(),
        state: because::state(endpoint).to_owned(),
        taken,
        priority,
        field: verdict.field().to_owned(),
        because,
    }
}
