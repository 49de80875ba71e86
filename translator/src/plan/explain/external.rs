//! The sections about a Service of type ExternalName: where its name leads.

use std::num::NonZeroU16;

use super::answer::{Fact, Section};
use super::asker::{Asker, listed};
use super::draft::Draft;
use super::question::PortRef;
use super::service::{of_port, slices};
use super::words::verdict::Verdicts;
use super::{endpoints, summary};
use crate::model::{BackendPort, Kind, Protocol, Service, ServicePort};
use crate::names::ClusterName;
use crate::plan::clusters::find;
use crate::plan::external_name::{self, ExternalNamePlan};
use crate::plan::hosts::{Named, named};
use crate::plan::service::ServicePlan;
use crate::{ObjectId, Role};

/// Explains a Service of type ExternalName.
pub(super) fn answer(
    asker: &Asker<'_>,
    service: &Service,
    port: Option<&PortRef>,
    draft: &mut Draft,
) {
    let plan = external_name::plan(&asker.context, service);
    let key = &service.key;
    let name = match &service.kind {
        Kind::ExternalName(Some(name)) => name.to_string(),
        _ => "a name that is none of DNS".to_owned(),
    };
    let text = format!("ExternalName: {name}");
    let mut facts = vec![Fact::by("name", "spec.externalName", text)];
    let mut verdicts = Verdicts::default();
    facts.extend(wrong(&plan));
    let said = (&mut facts, &mut verdicts);
    let target = match asker.view.role {
        Role::Node => {
            let text = "none: a Service of type ExternalName is served by name only";
            facts.push(Fact::by("address", "spec.type", text));
            let sentence = format!("No proxy of a node takes connections to {key}.");
            verdicts.say(false, 1, sentence);
            None
        }
        Role::Ingress => by_rule(asker, service, port, said),
        Role::Mesh | Role::Grpc => by_name(asker, (service, &plan), port, said),
    };
    let summary = summary::of_external_name(service, &plan);
    if let (Some(why), true) = (summary.why, plan.hosts.is_empty()) {
        verdicts.say(false, 1, format!("Nothing is served for {key}: {why}."));
    }
    if verdicts.is_empty() {
        let port = port.map(|port| format!(":{port}"));
        let port = port.unwrap_or_default();
        verdicts.say(false, 1, format!("Nothing is served for {key}{port}."));
    }
    let (served, verdict) = verdicts.end();
    if served != summary::Served::Yes {
        draft.next(format!(
            "kubectl -n {} get service {} -o yaml",
            key.namespace, key.name
        ));
    }
    draft.add(Section {
        title: format!("{key} of type ExternalName, as {} sees it", asker.who()),
        facts,
        endpoints: endpoints::unused_rows(asker, service),
        served,
        verdict,
        ..Section::default()
    });
    slices(asker, &service.key, draft);
    if let Some(target) = target {
        of_target(asker, &target, draft);
    }
}

/// What keeps all of the name, or a port of it, from leading anywhere.
fn wrong(plan: &ExternalNamePlan) -> impl Iterator<Item = Fact> {
    let refused = plan.refusal.as_ref();
    let refused =
        refused.map(|refusal| Fact::by("refused", "spec.externalName", refusal.to_string()));
    let missing = plan.missing.as_ref().map(|(target, ports)| {
        let ports: Vec<String> = ports.iter().map(|(_, number)| number.to_string()).collect();
        let text = format!("Service {target} has no port {}", listed(&ports, "or", 8));
        Fact::by("ports", "spec.ports", text)
    });
    refused.into_iter().chain(missing)
}

/// Says where requests for each name of the Service go. Returns the cluster of a Service that it is
/// an alias of.
fn by_name(
    asker: &Asker<'_>,
    (service, plan): (&Service, &ExternalNamePlan),
    port: Option<&PortRef>,
    (facts, verdicts): (&mut Vec<Fact>, &mut Verdicts),
) -> Option<ClusterName> {
    let mut target = None;
    for Named { host, names, .. } in named(plan.hosts.clone(), asker.context.options) {
        let of_service = service.ports.iter().find(|p| p.number == host.port.number);
        let is_asked = port.is_none_or(|port| match of_service {
            Some(of_service) => port.is(of_service),
            None => port.port.parse() == Ok(host.port.number.get()),
        });
        let Some(first) = names.first().filter(|_| is_asked) else {
            continue;
        };
        facts.push(Fact::new("names", listed(&names, "and", 6)));
        let sentence = match &host.rewrite {
            Some(name) => format!(
                "A new request{} to {first} goes to {name}:{}, which the {} looks up in DNS.",
                asker.origin(),
                host.port.number,
                asker.by_whom()
            ),
            None => format!(
                "A new request{} to {first} goes where those to cluster {} go.",
                asker.origin(),
                host.cluster
            ),
        };
        verdicts.say(true, 1, sentence);
        if host.rewrite.is_none() {
            target = target.or_else(|| host.cluster.parse().ok());
        }
    }
    if verdicts.is_empty() && !plan.hosts.is_empty() {
        let served = plan.hosts.iter().map(|host| host.port.number.to_string());
        let served: Vec<String> = served.collect();
        let text = format!("it is served at {}", listed(&served, "and", 8));
        facts.push(Fact::by("ports", "spec.ports", text));
    }
    target
}

/// Says where the requests go that rules of ingress proxies send to the Service. Returns the
/// cluster of a Service that it is an alias of.
fn by_rule(
    asker: &Asker<'_>,
    service: &Service,
    port: Option<&PortRef>,
    (facts, verdicts): (&mut Vec<Fact>, &mut Verdicts),
) -> Option<ClusterName> {
    let (routing, key) = (asker.context.index.routing(), &service.key);
    let asked = |number: &NonZeroU16| {
        port.is_none_or(
            |port| match service.ports.iter().find(|p| p.number == *number) {
                Some(of_service) => port.is(of_service),
                None => port.port.parse() == Ok(number.get()),
            },
        )
    };
    let mut numbers: Vec<NonZeroU16> = match service.ports.is_empty() {
        true => routing.numbers_used(key).collect(),
        false => service.ports.iter().map(|port| port.number).collect(),
    };
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(asked);
    if numbers.is_empty() {
        let sentence = format!("No ingress proxy sends requests to {key} there.");
        verdicts.say(false, 1, sentence);
    }
    let mut target = None;
    for number in numbers {
        let of_port = find(service, &BackendPort::Number(number));
        if !routing.uses(key, number.get(), of_port.map_or("", |port| &port.name)) {
            let sentence = format!("No ingress proxy sends requests to {key}:{number}.");
            verdicts.say(false, 1, sentence);
            continue;
        }
        let what = format!("A request that a rule sends to {key}:{number}");
        match external_name::upstream(&asker.context, service, &BackendPort::Number(number)) {
            Ok(upstream) => {
                let to = match &upstream.hostname {
                    Some(name) => format!("{name}:{number}, which the proxy looks up in DNS"),
                    None => format!("cluster {}", upstream.cluster),
                };
                verdicts.say(true, 1, format!("{what} goes to {to}."));
                if upstream.hostname.is_none() {
                    target = target.or_else(|| upstream.cluster.parse().ok());
                }
            }
            Err(refusal) => {
                let why = refusal.map_or_else(
                    || format!("the Service it is an alias of has no port {number}"),
                    |refusal| refusal.to_string(),
                );
                facts.push(Fact::by("refused", "spec.externalName", why.clone()));
                verdicts.say(false, 1, format!("{what} is not served: {why}."));
            }
        }
    }
    target
}

/// Adds the section of the port of another Service that a cluster is of.
pub(super) fn of_target(asker: &Asker<'_>, cluster: &ClusterName, draft: &mut Draft) {
    let key = &cluster.port.service;
    let Some(service) = asker.context.index.service(key) else {
        return;
    };
    draft.concerns(ObjectId::of_service(key));
    let mut ports = service.ports.iter();
    let is_it =
        |port: &ServicePort| port.number == cluster.port.number && port.protocol == Protocol::Tcp;
    let Some(port) = ports.position(is_it) else {
        return;
    };
    let plan = ServicePlan::new(&asker.context, service);
    of_port(asker, (service, &plan, port), &[], draft);
    let without_name = |why| Fact::new("import", format!("{why}; by its own name it is not there"));
    draft.note(asker.imports_no(key).map(without_name));
    slices(asker, &service.key, draft);
}
