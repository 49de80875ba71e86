//! What becomes of a connection or a request, in sentences.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::Role;
use crate::model::{Family, Policy, Protocol};
use crate::names::FrontendKind;
use crate::place::choose::Set;
use crate::plan::explain::addresses::{Address, Outcome};
use crate::plan::explain::asker::listed;
use crate::plan::explain::endpoints::{Asked, Lead};
use crate::plan::explain::summary::Served;
use crate::plan::explain::viewpoint::Client;
use crate::policy::capture;

/// How many endpoints or addresses a sentence names.
const NAMED: usize = 3;

/// Sentences, and how much of what they are about is served.
#[derive(Debug, Default)]
pub(in crate::plan::explain) struct Verdicts {
    sentences: Vec<String>,
    good: usize,
    bad: usize,
}

impl Verdicts {
    /// Adds a sentence about this many things that are served, or are not.
    pub(in crate::plan::explain) fn say(
        &mut self,
        is_served: bool,
        things: usize,
        sentence: String,
    ) {
        match is_served {
            true => self.good += things,
            false => self.bad += things,
        }
        self.sentences.push(sentence);
    }

    /// Whether nothing has been said.
    pub(in crate::plan::explain) fn is_empty(&self) -> bool {
        self.sentences.is_empty()
    }

    /// Whether it is served, and the sentences.
    pub(in crate::plan::explain) fn end(self) -> (Served, Vec<String>) {
        let served = match (self.good, self.bad) {
            (0, _) => Served::No,
            (_, 0) => Served::Yes,
            _ => Served::Partly,
        };
        (served, self.sentences)
    }
}

/// The words for what comes to a port: a new one, and one that is not served.
fn nouns(protocol: Protocol) -> (&'static str, &'static str) {
    match protocol {
        Protocol::Udp => ("A new flow", "A datagram"),
        Protocol::Tcp | Protocol::Sctp => ("A new connection", "A connection"),
    }
}

/// Says what becomes of connections to the addresses of a section.
pub(in crate::plan::explain) fn of_addresses(
    asked: &Asked<'_>,
    addresses: &[&Address],
    leads: &BTreeMap<Family, Lead>,
    verdicts: &mut Verdicts,
) {
    let protocol = asked.service.ports[asked.port].protocol;
    for family in [Family::V4, Family::V6] {
        for is_external in [false, true] {
            let leading = addresses.iter().filter(|address| {
                let of_family = Family::of(address.fact.address.ip()) == family;
                let external = address.kind != FrontendKind::ClusterIp;
                let splits = asked.service.external_policy != asked.service.internal_policy
                    && asked.asker.client == Client::Anybody;
                let group = is_external == (external && (splits || is_restricted(address)));
                of_family && group && matches!(address.outcome, Outcome::Leads(_))
            });
            let leading: Vec<&Address> = leading.copied().collect();
            if let Some(first) = leading.first() {
                let to: Vec<String> = leading.iter().map(|a| a.named(asked.asker)).collect();
                let lead = leads.get(&family).cloned().unwrap_or_default();
                let from = from(asked, first);
                let place = format!("{from} to {}", listed(&to, "or", NAMED));
                of_lead(asked, &place, (&lead, leading.len()), verdicts);
                if let Some(whose) = is_closed_to_others(first) {
                    let sentence = format!("From elsewhere than {whose} it is closed.");
                    verdicts.sentences.push(sentence);
                }
            }
        }
    }
    of_others(asked, protocol, addresses, verdicts);
}

fn is_restricted(address: &Address) -> bool {
    match &address.outcome {
        Outcome::Leads(leads) => leads.iter().any(|(_, whose)| whose.is_some()),
        _ => false,
    }
}

/// The ranges whose connections alone an address takes.
fn is_closed_to_others(address: &Address) -> Option<String> {
    let Outcome::Leads(leads) = &address.outcome else {
        return None;
    };
    let whose: Option<Vec<&str>> = leads.iter().map(|(_, whose)| whose.as_deref()).collect();
    let whose = whose?;
    let is_open = whose.iter().any(|whose| whose.contains("all others"));
    let ranges: Vec<&str> = whose.iter().map(|w| w.trim_start_matches("for ")).collect();
    (!is_open).then(|| format!("{} (spec.loadBalancerSourceRanges)", ranges.join(" and ")))
}

/// Where a connection to an address comes from, with a blank before it.
fn from(asked: &Asked<'_>, address: &Address) -> String {
    let by_policy = address.kind != FrontendKind::ClusterIp
        && asked.service.external_policy == Policy::Local
        && asked.asker.client == Client::Anybody
        && is_restricted(address);
    match (by_policy, asked.local) {
        (false, _) => asked.asker.origin(),
        (true, true) => match asked.asker.node_name() {
            Some(node) => format!(" from outside of the cluster at node {node}"),
            None => " from outside of the cluster".to_owned(),
        },
        (true, false) => match asked.asker.node_name() {
            Some(node) => format!(" from node {node} or a pod on it"),
            None => " from a node or a pod on it".to_owned(),
        },
    }
}

/// The words for what goes to a set of endpoints.
struct Going<'w> {
    /// One that an endpoint gets.
    new: &'w str,
    /// One that nobody gets, and what becomes of it.
    any: &'w str,
    lost: &'w str,
    /// The node of a strict Local policy, and all others.
    own_node: &'w str,
    elsewhere: &'w str,
}

/// Says where connections go that a listener takes.
fn of_lead(
    asked: &Asked<'_>,
    place: &str,
    (lead, things): (&Lead, usize),
    verdicts: &mut Verdicts,
) {
    let (new, any) = nouns(asked.service.ports[asked.port].protocol);
    let going = Going {
        new: &format!("{new}{place}"),
        any: &format!("{any}{place}"),
        lost: closed(asked),
        own_node: "the node that takes it",
        elsewhere: "on any other",
    };
    of_set(asked, &going, (lead, things), verdicts);
}

/// Says where what comes to a set of endpoints goes.
fn of_set(
    asked: &Asked<'_>,
    going: &Going<'_>,
    (lead, things): (&Lead, usize),
    verdicts: &mut Verdicts,
) {
    let Going { new, any, lost, .. } = going;
    let is_strict = asked.set() == Set::Local { fallback: false };
    let is_placeless = asked.asker.is_anywhere();
    let (is_served, sentence) = match (is_strict, lead.taken.is_empty()) {
        (true, _) if is_placeless && lead.nodes.is_empty() => {
            (false, format!("{any} is {lost}: no node has an endpoint."))
        }
        (true, _) if is_placeless => {
            let nodes: Vec<String> = lead.nodes.iter().map(ToString::to_string).collect();
            let (nodes, own_node) = (listed(&nodes, "or", 4), going.own_node);
            let elsewhere = going.elsewhere;
            let sentence = format!(
                "{new} goes to an endpoint on {own_node}, if that is {nodes}; {elsewhere} it is \
                 {lost}."
            );
            (true, sentence)
        }
        (true, true) => {
            let here = asked.asker.here();
            let sentence = format!("{any} is {lost}: no endpoint on {here} can take it.");
            (false, sentence)
        }
        (false, true) => (false, format!("{any} is {lost}: no endpoint can take it.")),
        (_, false) => (
            true,
            format!("{new} goes to {}.", goes_to(asked, &lead.taken)),
        ),
    };
    verdicts.say(is_served, things, sentence);
}

/// What becomes of a connection that a listener takes and nobody gets.
fn closed(asked: &Asked<'_>) -> &'static str {
    match asked.service.ports[asked.port].protocol {
        Protocol::Udp => "dropped",
        Protocol::Tcp | Protocol::Sctp => "accepted and closed",
    }
}

/// The endpoints that are taken, and how one of them is chosen.
fn goes_to(asked: &Asked<'_>, taken: &[SocketAddr]) -> String {
    let names: Vec<String> = taken.iter().map(SocketAddr::to_string).collect();
    let which = match names.len() {
        more if more > NAMED => {
            format!("one of {more} endpoints ({}, …)", names[..2].join(", "))
        }
        _ => listed(&names, "or", NAMED),
    };
    match (names.len(), asked.service.affinity.is_some()) {
        (1, _) => which,
        (_, false) => format!("{which}, in turn"),
        (_, true) if asked.asker.view.role == Role::Grpc => {
            format!("{which}, each channel to one of them (sessionAffinity: ClientIP)")
        }
        (_, true) => format!("{which}, by the client's address (sessionAffinity: ClientIP)"),
    }
}

/// Says what becomes of connections to addresses that lead nowhere, of all alike at once.
fn of_others(
    asked: &Asked<'_>,
    protocol: Protocol,
    addresses: &[&Address],
    verdicts: &mut Verdicts,
) {
    let mut alike: Vec<((bool, String), Vec<String>)> = Vec::new();
    for address in addresses {
        let options = asked.asker.context.options;
        let what = match &address.outcome {
            Outcome::Closed(why) => (false, format!("is {}: {why}", closed(asked))),
            Outcome::Answered => (
                true,
                "is taken by the endpoint that listens there".to_owned(),
            ),
            Outcome::Ruled => (
                true,
                "is taken as HTTP, whose requests go where HTTPRoutes of the Service say"
                    .to_owned(),
            ),
            Outcome::Taken(service) => (false, format!("reaches Service {service}")),
            Outcome::Nobody => (false, nobody(options, protocol).to_owned()),
            Outcome::Left(what) => (false, (*what).to_owned()),
            Outcome::Leads(_) | Outcome::NotHere => continue,
        };
        let named = address.named(asked.asker);
        match alike.iter_mut().find(|(other, _)| *other == what) {
            Some((_, others)) => others.push(named),
            None => alike.push((what, vec![named])),
        }
    }
    let (_, any) = nouns(protocol);
    let from = asked.asker.origin();
    for ((is_served, what), named) in alike {
        let to = listed(&named, "or", NAMED);
        let sentence = format!("{any}{from} to {to} {what}.");
        verdicts.say(is_served, named.len(), sentence);
    }
}

/// What becomes of connections to an address at which nobody listens.
pub(in crate::plan::explain) fn nobody(
    options: &crate::Options,
    protocol: Protocol,
) -> &'static str {
    match capture::is_bound(protocol, options) {
        true => "is refused by the kernel",
        false => "is accepted and closed: nothing is served there",
    }
}

/// Says where requests for a host name go, at mesh and ingress proxies.
pub(in crate::plan::explain) fn of_requests(
    asked: &Asked<'_>,
    what: &str,
    leads: &BTreeMap<Family, Lead>,
    verdicts: &mut Verdicts,
) {
    let is_grpc = asked.asker.view.role == Role::Grpc;
    let going = Going {
        new: what,
        any: what,
        lost: match is_grpc {
            true => "answered with UNAVAILABLE",
            false => "answered with 503",
        },
        own_node: &format!("the {}'s own node", asked.asker.by_whom()),
        elsewhere: "elsewhere",
    };
    let lead = leads.get(&asked.service.primary_family);
    let lead = lead.cloned().unwrap_or_default();
    of_set(asked, &going, (&lead, 1), verdicts);
}
