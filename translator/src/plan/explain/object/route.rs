//! What is said of an HTTPRoute: which of its parents take it, and where its rules lead.

use super::{Said, made_of_hosts, of_rules};
use crate::model::{Gateway, HTTPRoute, Hostname, ParentRef, Rule, Service, Target};
use crate::plan::explain::answer::Fact;
use crate::plan::explain::asker::{Asker, listed};
use crate::plan::gateway::{not_attached, not_taken, parent_service};
use crate::plan::host::{resolve, resolve_in_mesh};
use crate::policy::gateway::{gateway_refusal, ports_of_parent};
use crate::{ObjectId, ObjectKind, Origin};

/// How many parents of each kind take the route.
#[derive(Default)]
struct Taken {
    by_gateways: usize,
    by_services: usize,
}

/// Explains an HTTPRoute.
pub(super) fn of_route(asker: &Asker<'_>, id: &ObjectId, route: &HTTPRoute, said: Said<'_>) {
    let (facts, verdicts, draft) = said;
    let routing = asker.context.index.routing();
    let mut taken = Taken::default();
    for (index, parent) in route.parents.iter().enumerate() {
        let field = format!("spec.parentRefs[{index}]");
        let said = (&mut *facts, &mut *verdicts, &mut *draft);
        if let Some(gateway) = routing.parent(route, parent) {
            let is_taken = at_gateway(asker, (id, route), (parent, field), gateway, said);
            taken.by_gateways += usize::from(is_taken);
        } else if let Some(service) = parent_service(&asker.context, route, parent) {
            let is_taken = at_service(id, (parent, field), service, said);
            taken.by_services += usize::from(is_taken);
        } else {
            let namespace = parent.namespace.as_ref().unwrap_or(&route.namespace);
            let what = match parent.is_service() {
                true => "no Service that is served here",
                false => "no Gateway of a class that is served here",
            };
            let text = format!("{namespace}/{} is {what}", parent.name);
            facts.push(Fact::by("parent", field, text));
        }
    }
    if taken.by_gateways + taken.by_services == 0 {
        verdicts.say(false, 1, format!("No Gateway and no Service takes {id}."));
        return;
    }
    if !route.dropped.is_empty() {
        facts.push(Fact::new("left out", &*route.dropped));
    }
    let hosts: Vec<String> = match taken.by_gateways {
        // Those that it names are for Gateways.
        0 => vec!["requests".to_owned()],
        _ => route.hostnames.iter().map(Hostname::to_string).collect(),
    };
    let hosts = listed(&hosts, "and", 3);
    let rules = route.rules.iter().map(|rule| (hosts.clone(), rule));
    let rules: Vec<(String, &Rule)> = rules.collect();
    let resolve = |to: &Target| match taken.by_gateways {
        0 => resolve_in_mesh(&asker.context, to),
        _ => resolve(&asker.context, id, to),
    };
    of_rules(asker, (id, &resolve), &rules, (facts, verdicts, draft));
}

/// Says whether a Gateway takes a route.
fn at_gateway(
    asker: &Asker<'_>,
    (id, route): (&ObjectId, &HTTPRoute),
    (parent, field): (&ParentRef, String),
    gateway: &Gateway,
    (facts, verdicts, draft): Said<'_>,
) -> bool {
    let routing = asker.context.index.routing();
    let gateway_id = ObjectId::new(ObjectKind::Gateway, &gateway.namespace, &gateway.name);
    let taken = match routing.attach(route, parent, gateway) {
        Ok(taken) => taken,
        Err(why) => {
            let text = not_attached(gateway, why);
            verdicts.say(false, 1, format!("{gateway_id} does not take it: {why}."));
            facts.push(Fact::by("parent", field, text));
            return false;
        }
    };
    let hosts = taken.iter().flat_map(|(_, hosts)| hosts.iter().copied());
    made_of_hosts(asker, id, hosts, draft);
    let each = taken.iter().map(|(listener, hosts)| {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        format!(
            "listener {} for {}",
            listener.name,
            listed(&hosts, "and", 4)
        )
    });
    let each: Vec<String> = each.collect();
    let text = format!("{gateway_id}: {}", listed(&each, "and", 4));
    facts.push(Fact::by("parent", field, text));
    if let Some(refusal) = gateway_refusal(gateway) {
        verdicts.say(false, 1, format!("{gateway_id} is not served: {refusal}."));
        draft.concerns(gateway_id);
    }
    true
}

/// Says whether a Service takes a route.
fn at_service(
    id: &ObjectId,
    (parent, field): (&ParentRef, String),
    service: &Service,
    (facts, verdicts, draft): Said<'_>,
) -> bool {
    let key = &service.key;
    let ports = match ports_of_parent(parent, service) {
        Ok(ports) => ports,
        Err(why) => {
            verdicts.say(false, 1, format!("Service {key} does not take it: {why}."));
            facts.push(Fact::by("parent", field, not_taken(key, why)));
            return false;
        }
    };
    let numbers: Vec<String> = ports.iter().map(|port| port.number.to_string()).collect();
    let clients = match id.namespace == key.namespace {
        true => "all mesh proxies".to_owned(),
        false => format!("the mesh proxies of namespace {}", id.namespace),
    };
    let ports = listed(&numbers, "and", 8);
    let text = format!("Service {key}: port {ports}, for {clients}");
    facts.push(Fact::by("parent", field, text));
    draft.made_of(Origin::Service(key.clone()));
    true
}
