//! The sections about a Service of type ExternalName: where its name leads.

use super::answer::{Fact, Section};
use super::asker::{Asker, listed};
use super::draft::Draft;
use super::question::PortRef;
use super::service::{of_port, slices};
use super::words::verdict::Verdicts;
use super::{endpoints, summary};
use crate::model::{Kind, Protocol, Service, ServicePort};
use crate::names::ClusterName;
use crate::plan::external_name::{self, ExternalNamePlan};
use crate::plan::hosts::named;
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
    let mut facts = vec![Fact::by(
        "name",
        "spec.externalName",
        format!("ExternalName: {name}"),
    )];
    let mut verdicts = Verdicts::default();
    let summary = summary::of_external_name(service, &plan);
    if let Some(refusal) = &plan.refusal {
        facts.push(Fact::by(
            "refused",
            "spec.externalName",
            refusal.to_string(),
        ));
    }
    if let Some((target, ports)) = &plan.missing {
        let ports: Vec<String> = ports.iter().map(|(_, number)| number.to_string()).collect();
        let text = format!("Service {target} has no port {}", listed(&ports, "or", 8));
        facts.push(Fact::by("ports", "spec.ports", text));
    }
    let target = match asker.view.role {
        Role::Node => {
            let text = "none: a Service of type ExternalName is served by name only";
            facts.push(Fact::by("address", "spec.type", text));
            let sentence = format!("No proxy of a node takes connections to {key}.");
            verdicts.say(false, 1, sentence);
            None
        }
        _ => by_name(asker, (service, &plan), port, (&mut facts, &mut verdicts)),
    };
    if let (Some(why), true) = (summary.why, plan.hosts.is_empty()) {
        verdicts.say(false, 1, format!("Nothing is served for {key}: {why}."));
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
    slices(asker, service, draft);
    if let Some(target) = target {
        of_target(asker, &target, draft);
    }
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
    for (host, names) in named(plan.hosts.clone(), asker.context.options) {
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
                "A new request{} to {first} goes to {name}:{}, which the proxy looks up in DNS.",
                asker.origin(),
                host.port.number
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
    slices(asker, service, draft);
}
