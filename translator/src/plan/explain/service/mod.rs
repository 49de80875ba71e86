//! The sections about the ports of a Service: one for each port, and each set of endpoints that is
//! behind it.

mod set;

use super::addresses::{self, Address, Outcome};
use super::answer::{Fact, Section};
use super::asker::{Asker, count, listed};
use super::draft::Draft;
use super::endpoints::Asked;
use super::external;
use super::question::PortRef;
use crate::model::{Kind, Policy, Protocol, Service, ServiceKey, ServicePort};
use crate::names::FrontendKind;
use crate::plan::service::ServicePlan;
use crate::{ObjectId, Origin, Role};
use set::of_set;

/// Explains a Service, or one port of it.
pub(super) fn answer(
    asker: &Asker<'_>,
    key: &ServiceKey,
    port: Option<&PortRef>,
    draft: &mut Draft,
) {
    draft.concerns(ObjectId::of_service(key));
    // Also of one that is gone: when it went is known.
    draft.made_of(Origin::Service(key.clone()));
    let Some(service) = asker.context.index.service(key) else {
        let section = missing(asker, key, draft);
        draft.add(section);
        slices(asker, key, draft);
        draft.next(format!(
            "kubectl -n {} get service {}",
            key.namespace, key.name
        ));
        return;
    };
    if let Some(section) = not_imported(asker, key) {
        draft.add(section);
        return;
    }
    if matches!(service.kind, Kind::ExternalName(_)) {
        external::answer(asker, service, port, draft);
        return;
    }
    let plan = ServicePlan::new(&asker.context, service);
    let addresses = addresses::of_service(asker, service, &plan.frontends);
    let positions = 0..service.ports.len();
    let is_asked = |at: &usize| port.is_none_or(|port| port.is(&service.ports[*at]));
    let asked: Vec<usize> = positions.filter(is_asked).collect();
    if asked.is_empty() {
        draft.sections.push(no_port(asker, service, port));
    }
    for port in asked {
        let addresses = addresses.iter().filter(|address| address.port == port);
        let addresses: Vec<&Address> = addresses.collect();
        of_port(asker, (service, &plan, port), &addresses, draft);
    }
    draft.note(asker.is_old(&ObjectId::of_service(key)));
    slices(asker, key, draft);
}

/// The section about a Service that the proxy does not import; `None`: it does.
pub(super) fn not_imported(asker: &Asker<'_>, key: &ServiceKey) -> Option<Section> {
    let why = asker.imports_no(key)?;
    Some(Section {
        title: format!("{key}, as {} sees it", asker.who()),
        facts: vec![Fact::new("import", why)],
        verdict: vec![format!("Nothing is served for {key} there.")],
        ..Section::default()
    })
}

/// Notes the EndpointSlices of a Service, whose problems are of interest.
pub(super) fn slices(asker: &Asker<'_>, service: &ServiceKey, draft: &mut Draft) {
    for slice in asker.context.index.slices(service) {
        draft.concerns(ObjectId::of_slice(&slice.namespace, &slice.name));
    }
    for id in asker.unread_slices(service) {
        draft.concerns(id.clone());
    }
}

fn missing(asker: &Asker<'_>, key: &ServiceKey, draft: &mut Draft) -> Section {
    let index = asker.context.index;
    let id = ObjectId::of_service(key);
    let mut text = asker.there_is_no(&id);
    if !asker.unread.has(&id) {
        text.push_str(", or it is left to another proxy by its label");
    }
    let mut facts = vec![Fact::new("service", text)];
    let slices = index.slices(key).count();
    if slices > 0 {
        let text = format!(
            "{} of it: they wait for the Service",
            count(slices, "EndpointSlice")
        );
        facts.push(Fact::new("slices", text));
    }
    let others = index.services().map(|(other, _)| other);
    let others = others.filter(|other| other.name == key.name);
    let others: Vec<String> = others.take(4).map(ToString::to_string).collect();
    if let Some(first) = others.first() {
        draft.next(format!("seaway explain {first}"));
        facts.push(Fact::new(
            "others",
            format!("there is {}", listed(&others, "and", 3)),
        ));
    }
    Section {
        title: format!("{key}, as {} sees it", asker.who()),
        facts,
        verdict: vec![format!("Nothing is served for {key}.")],
        ..Section::default()
    }
}

fn no_port(asker: &Asker<'_>, service: &Service, port: Option<&PortRef>) -> Section {
    let ports: Vec<String> = service.ports.iter().map(short).collect();
    let has = match ports.is_empty() {
        true => "no ports".to_owned(),
        false => listed(&ports, "and", 8),
    };
    let asked = port.map(|port| format!(":{port}")).unwrap_or_default();
    let key = &service.key;
    Section {
        title: format!("{key}{asked}, as {} sees it", asker.who()),
        facts: vec![Fact::by(
            "ports",
            "spec.ports",
            format!("the Service has {has}"),
        )],
        verdict: vec![format!("Nothing is served for {key}{asked}.")],
        ..Section::default()
    }
}

/// A port in a few characters: `http:80`, `dns:53/UDP`.
pub(super) fn short(port: &ServicePort) -> String {
    let name = match &*port.name {
        "" => String::new(),
        name => format!("{name}:"),
    };
    match port.protocol {
        Protocol::Tcp => format!("{name}{}", port.number),
        protocol => format!("{name}{}/{protocol}", port.number),
    }
}

/// The title of a section about a port.
fn title(asker: &Asker<'_>, service: &Service, port: &ServicePort, whose: &str) -> String {
    let name = match &*port.name {
        "" => String::new(),
        name => format!(" {name}"),
    };
    let (key, number, protocol) = (&service.key, port.number, port.protocol);
    format!(
        "{key} port{name} {number}/{protocol}{whose}, as {} sees it",
        asker.who()
    )
}

/// Adds the sections of one port, with these of its addresses.
pub(super) fn of_port(
    asker: &Asker<'_>,
    (service, plan, port): (&Service, &ServicePlan<'_>, usize),
    addresses: &[&Address],
    draft: &mut Draft,
) {
    let of_port = &service.ports[port];
    if of_port.protocol == Protocol::Sctp {
        let text = "SCTP is not served: Envoy does not speak it";
        draft.sections.push(Section {
            title: title(asker, service, of_port, ""),
            facts: vec![Fact::by(
                "protocol",
                format!("spec.ports[{}]", of_port.index),
                text,
            )],
            verdict: vec![format!("Nothing is served for {}.", short(of_port))],
            ..Section::default()
        });
        return;
    }
    let internal = service.internal_policy == Policy::Local;
    let leads = |local: bool| {
        addresses.iter().any(|address| match &address.outcome {
            Outcome::Leads(leads) => leads.iter().any(|(of, _)| *of == local),
            _ => false,
        })
    };
    let mut sets: Vec<bool> = match asker.view.role {
        Role::Ingress => vec![false],
        Role::Mesh | Role::Grpc => vec![internal],
        Role::Node => Vec::new(),
    };
    for local in [internal, !internal] {
        if leads(local) && !sets.contains(&local) {
            sets.push(local);
        }
    }
    if sets.is_empty() {
        // Nothing leads anywhere: it is the set that others get, or that would be there.
        let external = service.external_policy == Policy::Local;
        let is_external = |a: &&Address| a.kind != FrontendKind::ClusterIp;
        sets.push(
            match addresses.is_empty() || !addresses.iter().all(is_external) {
                true => internal,
                false => external,
            },
        );
    }
    for (at, local) in sets.into_iter().enumerate() {
        let shown = addresses.iter().copied().filter(|a| match &a.outcome {
            Outcome::Leads(leads) => leads.iter().any(|(of, _)| *of == local),
            Outcome::NotHere if asker.view.role == Role::Ingress => false,
            _ => at == 0,
        });
        let shown: Vec<&Address> = shown.collect();
        let asked = Asked {
            asker,
            service,
            plan,
            port,
            local,
        };
        of_set(&asked, &shown, draft);
    }
}
