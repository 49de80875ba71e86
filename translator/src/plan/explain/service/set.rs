//! The section about one set of endpoints of a Service port: what leads there, what decided over
//! the endpoints, and what becomes of a connection.

use std::collections::{BTreeMap, BTreeSet};

use super::title;
use crate::Role;
use crate::model::{Family, Kind, Policy, Service};
use crate::names::FrontendKind;
use crate::plan::clusters::cluster_name;
use crate::plan::explain::addresses::{Address, Outcome};
use crate::plan::explain::answer::{EndpointRow, Fact, PortFacts, Section, Taken};
use crate::plan::explain::asker::listed;
use crate::plan::explain::draft::Draft;
use crate::plan::explain::endpoints::{self, Asked, Lead};
use crate::plan::explain::summary::Served;
use crate::plan::explain::words::policies::{self, By};
use crate::plan::explain::words::verdict::{self, Verdicts};
use crate::plan::explain::words::{next, settings};
use crate::plan::host::routed_for;
use crate::plan::hosts;
use crate::policy::frontends::is_stream;

/// Adds the section of one set of endpoints.
pub(super) fn of_set(asked: &Asked<'_>, addresses: &[&Address], draft: &mut Draft) {
    let Asked { asker, service, .. } = *asked;
    let port = &service.ports[asked.port];
    let (mut rows, mut leads) = endpoints::rows(asked);
    let is_unused = service.kind.is_without_ip() && asker.view.role == Role::Node;
    if is_unused {
        rows.iter_mut().for_each(|row| unused(row, &service.kind));
        leads.clear();
    }
    let by = by(asked, addresses);
    let family = family(asked, addresses);
    let lead = leads.get(&family).cloned().unwrap_or_default();
    let mut facts = Vec::new();
    facts.extend(without_address(asked, addresses));
    let mut verdicts = Verdicts::default();
    verdict::of_addresses(asked, addresses, &leads, &mut verdicts);
    match asker.view.role {
        Role::Mesh | Role::Grpc => names(asked, &leads, &mut facts, &mut verdicts),
        Role::Ingress => routed(asked, &leads, &mut facts, &mut verdicts),
        Role::Node => {}
    }
    if !is_unused {
        facts.push(policies::policy(asked, by));
    }
    facts.extend(policies::topology(asked, family));
    facts.extend(settings::of_endpoints(
        service,
        port.protocol,
        asker.view.role,
    ));
    let is_anywhere = rows.iter().any(|row| row.taken == Taken::Local);
    if lead.taken.is_empty() && !is_anywhere && !is_unused {
        facts.push(policies::endpoints(asked, &rows));
        facts.extend(next::strangers(asked, &rows));
    }
    if is_unused {
        verdicts.say(false, 1, nobody_takes(service));
    }
    let (served, verdict) = verdicts.end();
    if served != Served::Yes && !is_unused {
        next::hints(asked, &rows, addresses, draft);
    }
    draft.sections.push(Section {
        title: title(asker, service, port, whose(asked, by)),
        port: Some(port_facts(asked, &leads)),
        addresses: addresses
            .iter()
            .map(|address| address.fact.clone())
            .collect(),
        facts,
        endpoints: rows,
        served,
        verdict,
    });
}

/// That a Service without a cluster IP has no connections at proxies of nodes.
fn nobody_takes(service: &Service) -> String {
    let why = match service.kind {
        Kind::Headless => "clients that look it up find its endpoints",
        _ => "it has no cluster IP",
    };
    let (name, namespace) = (&service.key.name, &service.key.namespace);
    format!("No proxy of a node takes connections to {name}.{namespace}: {why}.")
}

/// Turns the row of an endpoint into that of one that is not used.
fn unused(row: &mut EndpointRow, kind: &Kind) {
    row.taken = Taken::No;
    row.priority = None;
    let because = match kind {
        Kind::Headless => "a headless Service has no address that would lead to it",
        _ => "without a cluster IP no address leads to it",
    };
    because.clone_into(&mut row.because);
}

/// What leads to the set: a cluster IP or a name, something external, or a rule.
fn by(asked: &Asked<'_>, addresses: &[&Address]) -> By {
    let leads = |a: &&&Address| matches!(a.outcome, Outcome::Leads(_));
    let mut kinds: Vec<FrontendKind> = addresses.iter().filter(leads).map(|a| a.kind).collect();
    if kinds.is_empty() {
        kinds = addresses.iter().map(|a| a.kind).collect();
    }
    match asked.asker.view.role {
        Role::Ingress => By::Rule,
        _ if kinds.is_empty() || kinds.contains(&FrontendKind::ClusterIp) => By::Internal,
        _ => By::External,
    }
}

/// Whose connections a section is about, where there are two of one port.
fn whose(asked: &Asked<'_>, by: By) -> &'static str {
    let is_local = asked.service.external_policy == Policy::Local;
    match (by, asked.local) {
        (By::External, true) => " from outside of the cluster",
        (By::External, false) if is_local => " from inside of the cluster",
        _ => "",
    }
}

/// The family that topology and endpoints are told of: that of the first address that leads there.
fn family(asked: &Asked<'_>, addresses: &[&Address]) -> Family {
    let mut leading = addresses
        .iter()
        .filter(|a| matches!(a.outcome, Outcome::Leads(_)));
    let first = leading.next().or(addresses.first());
    match (asked.asker.view.role, first) {
        (Role::Node, Some(address)) => Family::of(address.fact.address.ip()),
        _ => asked.service.primary_family,
    }
}

/// Why there is no address at all.
fn without_address(asked: &Asked<'_>, addresses: &[&Address]) -> Option<Fact> {
    let text = match asked.service.kind {
        Kind::Headless => "none: the Service is headless, so that it is served by name only",
        Kind::WithoutIp => {
            "none: spec.clusterIP gives the Service none, so that it is served by name only"
        }
        Kind::ClusterIp | Kind::ExternalName(_) => return None,
    };
    let is_bare = addresses.is_empty();
    is_bare.then(|| Fact::by("address", "spec.clusterIP", text))
}

/// The names of a port at mesh proxies, and where requests for them go.
fn names(
    asked: &Asked<'_>,
    leads: &BTreeMap<Family, Lead>,
    facts: &mut Vec<Fact>,
    verdicts: &mut Verdicts,
) {
    let (service, asker) = (asked.service, asked.asker);
    let port = &service.ports[asked.port];
    if !is_stream(port) {
        let text = "none: TCP ports are served by name, and no others";
        facts.push(Fact::new("names", text));
        let sentence = match asker.view.role {
            Role::Grpc => "No gRPC client finds this port by name.".to_owned(),
            _ => "No mesh proxy serves this port by name.".to_owned(),
        };
        verdicts.say(false, 1, sentence);
        return;
    }
    let named = hosts::named(asked.plan.hosts.clone(), asker.context.options);
    let of_port = named
        .into_iter()
        .find(|named| named.host.port.number == port.number);
    let Some(named) = of_port else {
        return;
    };
    let Some(first) = named.names.first() else {
        return;
    };
    facts.push(Fact::new("names", listed(&named.names, "and", 6)));
    if asker.view.role == Role::Mesh {
        let addresses = hosts::addresses(&asker.context, service);
        let by_address: Vec<_> = addresses.iter().flat_map(|ip| named.at(*ip)).collect();
        let by_address = (!by_address.is_empty()).then(|| listed(&by_address, "and", 6));
        facts.extend(by_address.map(|text| Fact::by("by IP", "spec.clusterIPs", text)));
        let of_pods = format!("POD.{first}, for pods with a hostname");
        facts.extend(named.host.pods.then(|| Fact::new("by pod", of_pods)));
    }
    let noun = match asker.view.role {
        Role::Grpc => "RPC",
        _ => "request",
    };
    let what = format!("A new {noun}{} to {first}", asker.origin());
    match ruled(asked) {
        None => verdict::of_requests(asked, &what, leads, verdicts),
        Some(rules) => {
            let sentence = format!("{what} goes where the rules of {rules} say.");
            let scheme = match asker.view.role {
                Role::Grpc => "xds:///",
                _ => "http://",
            };
            let text = format!("of {rules}; seaway explain {scheme}{first} says what they do");
            facts.push(Fact::new("rules", text));
            verdicts.say(true, 1, sentence);
        }
    }
}

/// The HTTPRoutes that decide on requests for the port by name, if there are any.
fn ruled(asked: &Asked<'_>) -> Option<String> {
    let clients = asked.asker.view.mesh_namespace();
    let number = &asked.service.ports[asked.port].number;
    let routes = routed_for(&asked.asker.context, asked.service, clients).remove(number)?;
    let objects: BTreeSet<String> = routes
        .iter()
        .map(|route| route.by.object().to_string())
        .collect();
    let objects: Vec<String> = objects.into_iter().collect();
    Some(listed(&objects, "and", 4))
}

/// Whether ingress proxies send requests to a port, and where they go.
fn routed(
    asked: &Asked<'_>,
    leads: &BTreeMap<Family, Lead>,
    facts: &mut Vec<Fact>,
    verdicts: &mut Verdicts,
) {
    let (service, index) = (asked.service, asked.asker.context.index);
    let port = &service.ports[asked.port];
    let users = index
        .routing()
        .users_of(&service.key, port.number.get(), &port.name);
    let users: Vec<String> = users.into_iter().map(|id| id.to_string()).collect();
    if !index.is_routed_to(service, port) {
        facts.push(Fact::new(
            "rules",
            "no Ingress and no route sends requests to this port",
        ));
        let sentence = "No ingress proxy sends requests to this port.".to_owned();
        verdicts.say(false, 1, sentence);
        return;
    }
    let users = match users.is_empty() {
        true => "by an alias of the Service".to_owned(),
        false => format!("of {}", listed(&users, "and", 4)),
    };
    facts.push(Fact::new("rules", users));
    verdict::of_requests(asked, "A request that a rule sends there", leads, verdicts);
}

/// The port and its set, by the names that are published.
fn port_facts(asked: &Asked<'_>, leads: &BTreeMap<Family, Lead>) -> PortFacts {
    let (service, port) = (asked.service, &asked.service.ports[asked.port]);
    let (policy, words) = match asked.local {
        true => (Policy::Local, "Local"),
        false => (Policy::Cluster, "Cluster"),
    };
    let clusters = leads.keys().filter_map(|family| {
        let name = cluster_name(service, port, policy, *family);
        let mut planned = asked.plan.clusters.iter();
        let is_planned = planned.any(|cluster| cluster.name == name);
        is_planned.then(|| name.to_string())
    });
    PortFacts {
        service: service.key.to_string(),
        name: port.name.clone(),
        number: port.number.get(),
        protocol: port.protocol.to_string(),
        policy: words.to_owned(),
        clusters: clusters.collect(),
    }
}
