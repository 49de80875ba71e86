//! The sections about an object with rules, or a Gateway: what of it is served, and why the rest is
//! not.

use super::answer::{Fact, Section};
use super::asker::{Asker, count, listed};
use super::draft::Draft;
use super::ingress::path;
use super::summary;
use super::words::verdict::Verdicts;
use crate::model::{
    BackendPort, Gateway, HTTPRoute, Hostname, Ingress, IngressTls, Kind, ListenerProtocol, Rule,
    ServiceKey, Target,
};
use crate::plan::certificates;
use crate::plan::gateway::{not_attached, verdicts};
use crate::plan::host::{Table, resolve};
use crate::plan::ingress::taken_over_tls;
use crate::policy::gateway::gateway_refusal;
use crate::{ObjectId, ObjectKind, Origin};

/// How many rules and host names are shown of one object.
const SHOWN: usize = 40;

/// Explains an object.
pub(super) fn answer(asker: &Asker<'_>, id: &ObjectId, draft: &mut Draft) {
    draft.concerns(id.clone());
    let routing = asker.context.index.routing();
    let (mut facts, mut verdicts) = (Vec::new(), Verdicts::default());
    let said = (&mut facts, &mut verdicts, &mut *draft);
    match id.kind {
        ObjectKind::Ingress => match routing.ingress(id) {
            Some(ingress) => of_ingress(asker, id, ingress, said),
            None => missing(id, said),
        },
        ObjectKind::HTTPRoute => match routing.http_route(id) {
            Some(route) => of_route(asker, id, route, said),
            None => missing(id, said),
        },
        ObjectKind::Gateway => match routing.gateway(id) {
            Some(gateway) => of_gateway(asker, id, gateway, said),
            None => missing(id, said),
        },
        _ => missing(id, said),
    }
    let (served, verdict) = verdicts.end();
    if served != summary::Served::Yes {
        let kind = id.kind.as_str().to_lowercase();
        draft.next(format!(
            "kubectl -n {} describe {kind} {}",
            id.namespace, id.name
        ));
    }
    draft.add(Section {
        title: id.to_string(),
        facts,
        served,
        verdict,
        ..Section::default()
    });
}

type Said<'s> = (&'s mut Vec<Fact>, &'s mut Verdicts, &'s mut Draft);

fn missing(id: &ObjectId, (facts, verdicts, _): Said<'_>) {
    facts.push(Fact::new("object", format!("there is no {id}")));
    verdicts.say(false, 1, "Nothing of it is served.".to_owned());
}

fn of_ingress(asker: &Asker<'_>, id: &ObjectId, ingress: &Ingress, said: Said<'_>) {
    let (facts, verdicts, draft) = said;
    let routing = asker.context.index.routing();
    let controller = &asker.context.options.ingress_controller;
    if !routing.is_served(id) {
        let why = match &ingress.class {
            None => "it has no class, and --ingress-without-class is not set".to_owned(),
            Some(class) => format!("class {class} is none of controller {controller}"),
        };
        facts.push(Fact::by("class", "spec.ingressClassName", why));
        verdicts.say(false, 1, format!("Nothing of {id} is served here."));
        return;
    }
    if let Some(class) = &ingress.class {
        facts.push(Fact::by("class", "spec.ingressClassName", &**class));
    }
    if let Some(fleet) = routing.fleet_of(id) {
        facts.push(Fact::new("fleet", fleet.as_str()));
    }
    let hosts = ingress.hosts.iter().map(|(host, _)| host);
    let any = ingress.default_backend.iter().map(|_| &Hostname::Any);
    made_of_hosts(asker, id, hosts.chain(any), draft);
    for tls in &ingress.tls {
        of_tls(asker, (id, ingress, tls), (facts, verdicts));
    }
    let default = ingress
        .default_backend
        .iter()
        .map(|rule| (&Hostname::Any, &**rule));
    let rules = ingress.hosts.iter().flat_map(|(host, rules)| {
        let each = rules.iter();
        each.map(move |rule| (host, rule))
    });
    let rules: Vec<(String, &Rule)> = rules
        .chain(default)
        .map(|(host, rule)| (host.to_string(), rule))
        .collect();
    of_rules(asker, id, &rules, (facts, verdicts, draft));
}

/// Notes the routes of an object for hosts, at every port where it has some.
fn made_of_hosts<'h>(
    asker: &Asker<'_>,
    id: &ObjectId,
    hosts: impl Iterator<Item = &'h Hostname>,
    draft: &mut Draft,
) {
    for host in hosts.take(SHOWN) {
        for (table, claims) in asker.context.index.routing().tables() {
            if claims.objects_of(host).contains(id) {
                let (fleet, port) = (table.fleet.clone(), table.port);
                draft.made_of(Origin::IngressHost(fleet, port, host.clone()));
            }
        }
    }
}

/// Says whether the hosts of a certificate are served with it.
fn of_tls(
    asker: &Asker<'_>,
    (id, ingress, tls): (&ObjectId, &Ingress, &IngressTls),
    (facts, verdicts): (&mut Vec<Fact>, &mut Verdicts),
) {
    let Some(secret) = &tls.secret else {
        return;
    };
    let key = (ingress.namespace.clone(), secret.clone());
    let hosts: Vec<String> = tls.hosts.iter().map(Hostname::to_string).collect();
    let hosts = match hosts.is_empty() {
        true => "all hosts".to_owned(),
        false => listed(&hosts, "and", 4),
    };
    let (routing, options) = (asker.context.index.routing(), asker.context.options);
    let table = routing
        .fleet_of(id)
        .map(|fleet| Table::https(fleet, options));
    let claims = table.and_then(|table| routing.hosts(&table));
    let taken = claims.and_then(|claims| taken_over_tls(ingress, tls, claims));
    let text = match (certificates::certificate(&asker.context, id, &key), taken) {
        (Ok(_), None) => format!("{hosts} with the certificate of Secret {}/{secret}", key.0),
        (_, Some(taken)) => {
            let sentence = format!("Not all of {hosts} is served with its certificate: {taken}.");
            verdicts.say(false, 1, sentence);
            format!("{hosts}: {taken}")
        }
        (Err(why), None) => {
            let sentence = format!("Connections for {hosts} are closed: {why}.");
            verdicts.say(false, 1, sentence);
            format!("{hosts}: {why}")
        }
    };
    facts.push(Fact::by("tls", &*tls.field, text));
}

fn of_route(asker: &Asker<'_>, id: &ObjectId, route: &HTTPRoute, said: Said<'_>) {
    let (facts, verdicts, draft) = said;
    let routing = asker.context.index.routing();
    let mut attached = 0;
    for (index, parent) in route.parents.iter().enumerate() {
        let field = format!("spec.parentRefs[{index}]");
        let namespace = parent.namespace.as_ref().unwrap_or(&route.namespace);
        let Some(gateway) = routing.parent(route, parent) else {
            let name = &parent.name;
            let text = format!("{namespace}/{name} is no Gateway of a class that is served here");
            facts.push(Fact::by("parent", field, text));
            continue;
        };
        let gateway_id = ObjectId::new(ObjectKind::Gateway, &gateway.namespace, &gateway.name);
        match routing.attach(route, parent, gateway) {
            Ok(taken) => {
                attached += 1;
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
            }
            Err(why) => {
                let text = not_attached(gateway, why);
                verdicts.say(false, 1, format!("{gateway_id} does not take it: {why}."));
                facts.push(Fact::by("parent", field, text));
            }
        }
    }
    if attached == 0 {
        verdicts.say(false, 1, format!("No Gateway takes {id}."));
        return;
    }
    if !route.dropped.is_empty() {
        facts.push(Fact::new("left out", &*route.dropped));
    }
    let hosts: Vec<String> = route.hostnames.iter().map(Hostname::to_string).collect();
    let hosts = listed(&hosts, "and", 3);
    let rules = route.rules.iter().map(|rule| (hosts.clone(), rule));
    let rules: Vec<(String, &Rule)> = rules.collect();
    of_rules(asker, id, &rules, (facts, verdicts, draft));
}

/// Says of each rule where it leads.
fn of_rules(
    asker: &Asker<'_>,
    id: &ObjectId,
    rules: &[(String, &Rule)],
    (facts, verdicts, draft): Said<'_>,
) {
    let (mut good, mut bad) = (0, 0);
    for (host, rule) in rules {
        let paths = rule.matches.iter().map(|matches| path(&matches.path));
        let mut paths: Vec<String> = paths.collect();
        paths.dedup();
        let what = format!("{host}, {}", listed(&paths, "and", 3));
        if rule.broken {
            bad += 1;
            let text = format!("{what}: part of the rule cannot be served, answered with 500");
            facts.push(Fact::by("rule", &*rule.field, text));
        }
        if rule.filters.redirect.is_some() {
            good += 1;
            facts.push(Fact::by(
                "rule",
                &*rule.field,
                format!("{what}: a redirect"),
            ));
        }
        for backend in &rule.backends {
            let (is_served, to) = match resolve(&asker.context, id, &backend.target) {
                Ok(_) => to(asker, &backend.target, draft),
                Err(why) => (false, format!("{}, but {why}", target(&backend.target))),
            };
            match is_served {
                true => good += 1,
                false => bad += 1,
            }
            if facts.len() < SHOWN {
                facts.push(Fact::by("rule", &*backend.field, format!("{what}: {to}")));
            }
        }
    }
    if good > 0 {
        verdicts.say(true, good, format!("{} served.", are(good, id)));
    }
    if bad > 0 {
        verdicts.say(false, bad, format!("{} not served.", are(bad, id)));
    }
    if good + bad == 0 {
        verdicts.say(
            false,
            1,
            format!("{id} has no rule that sends requests anywhere."),
        );
    }
}

fn are(number: usize, of: &ObjectId) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} of {of} {verb}", count(number, "backend"))
}

/// The Service behind a backend, and whether it has an endpoint.
fn to(asker: &Asker<'_>, of: &Target, draft: &mut Draft) -> (bool, String) {
    let Target::Service(key, _) = of else {
        return (false, target(of));
    };
    let (is_served, what) = state(asker, key);
    if !is_served {
        draft.concerns(ObjectId::of_service(key));
    }
    (is_served, format!("{}, {what}", target(of)))
}

/// A backend in words.
pub(super) fn target(target: &Target) -> String {
    match target {
        Target::Service(key, BackendPort::Number(number)) => format!("Service {key} port {number}"),
        Target::Service(key, BackendPort::Name(name)) => format!("Service {key} port {name}"),
        Target::Unsupported(what) => format!("{what}, which is no Service"),
    }
}

fn state(asker: &Asker<'_>, key: &ServiceKey) -> (bool, String) {
    let Some(service) = asker.context.index.service(key) else {
        return (false, "which does not exist".to_owned());
    };
    let summary = summary::of_any(&asker.context, service);
    let why = summary
        .why
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    let of_name = matches!(service.kind, Kind::ExternalName(_));
    let what = match of_name {
        true => format!("an ExternalName{why}"),
        false => format!(
            "{} of {} endpoints ready{why}",
            summary.ready, summary.endpoints
        ),
    };
    // An address that another Service has does not matter to an ingress proxy.
    (
        of_name || summary.ready > 0 || summary.served != summary::Served::No,
        what,
    )
}

fn of_gateway(asker: &Asker<'_>, id: &ObjectId, gateway: &Gateway, said: Said<'_>) {
    let (facts, verdicts_of, draft) = said;
    let routing = asker.context.index.routing();
    let class = &gateway.class;
    if !routing.is_gateway_ours(gateway) {
        let text = format!("class {class} is not served here");
        facts.push(Fact::by("class", "spec.gatewayClassName", text));
        verdicts_of.say(false, 1, format!("Nothing of {id} is served here."));
        return;
    }
    facts.push(Fact::by("class", "spec.gatewayClassName", &**class));
    if let Some(fleet) = &gateway.fleet {
        facts.push(Fact::new("fleet", fleet.as_str()));
    }
    if let Some(refusal) = gateway_refusal(gateway) {
        facts.push(Fact::by("refused", refusal.field(), refusal.to_string()));
        verdicts_of.say(false, 1, format!("Nothing of {id} is served: {refusal}."));
        return;
    }
    let key = (gateway.namespace.clone(), gateway.name.clone());
    for verdict in verdicts(&asker.context, id, gateway) {
        let listener = verdict.listener;
        if let Some(table) = &verdict.table {
            let (fleet, port) = (table.fleet.clone(), table.port);
            draft.made_of(Origin::IngressPort(fleet, port));
        }
        let field = format!("spec.listeners[{}]", listener.index);
        let protocol = match &listener.protocol {
            ListenerProtocol::Http => "HTTP",
            ListenerProtocol::Https => "HTTPS",
            ListenerProtocol::Tls => "TLS",
            ListenerProtocol::Tcp => "TCP",
            ListenerProtocol::Udp => "UDP",
            ListenerProtocol::Other(other) => other,
        };
        let (name, port, host) = (&listener.name, listener.port, &listener.hostname);
        let routes = count(routing.attached(&key, name), "route");
        let bad = verdict
            .certificates
            .iter()
            .filter_map(|one| one.as_ref().err());
        let bad: Vec<String> = bad.map(ToString::to_string).collect();
        let is_closed = listener.protocol == ListenerProtocol::Https
            && !verdict.certificates.iter().any(Result::is_ok);
        let text = match (&verdict.refused, &verdict.table) {
            (Some((_, why)), _) => Err(why.clone()),
            (None, _) if is_closed => Err(format!("no certificate: {}", listed(&bad, "and", 2))),
            (None, Some(table)) => Ok(format!("served at port {} of the proxies", table.port)),
            (None, None) => Err("not served".to_owned()),
        };
        let what = format!("{name}: {protocol} at port {port} for {host}, {routes}");
        match text {
            Ok(text) => {
                facts.push(Fact::by("listener", field, format!("{what}: {text}")));
                verdicts_of.say(true, 1, format!("Listener {name} is served."));
            }
            Err(why) => {
                facts.push(Fact::by("listener", field, format!("{what}: {why}")));
                verdicts_of.say(false, 1, format!("Listener {name} is not served: {why}."));
            }
        }
    }
}
