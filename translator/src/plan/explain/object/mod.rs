//! The sections about an object with rules, or a Gateway: what of it is served, and why the rest is
//! not.

mod gateway;
mod route;

use crate::model::{BackendPort, Hostname, Ingress, IngressTls, Kind, Rule, ServiceKey, Target};
use crate::plan::certificates;
use crate::plan::explain::answer::{Fact, Section};
use crate::plan::explain::asker::{Asker, count, listed};
use crate::plan::explain::draft::Draft;
use crate::plan::explain::ingress::path;
use crate::plan::explain::summary;
use crate::plan::explain::words::verdict::Verdicts;
use crate::plan::host::{Refused, Table, Upstream, resolve};
use crate::plan::ingress::taken_over_tls;
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
            None => missing(asker, id, said),
        },
        ObjectKind::HTTPRoute => match routing.http_route(id) {
            Some(route) => route::of_route(asker, id, route, said),
            None => missing(asker, id, said),
        },
        ObjectKind::Gateway => match routing.gateway(id) {
            Some(gateway) => gateway::of_gateway(asker, id, gateway, said),
            None => missing(asker, id, said),
        },
        _ => missing(asker, id, said),
    }
    if !facts.iter().any(|fact| fact.label == "object") {
        facts.extend(asker.is_old(id));
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

fn missing(asker: &Asker<'_>, id: &ObjectId, (facts, verdicts, _): Said<'_>) {
    facts.push(Fact::new("object", asker.there_is_no(id)));
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
    let resolve = |to: &Target| resolve(&asker.context, id, to);
    of_rules(asker, (id, &resolve), &rules, (facts, verdicts, draft));
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
        (Ok(certificate), None) => match certificates::misfit(&key, certificate, &*tls.hosts) {
            None => format!("{hosts} with the certificate of Secret {}/{secret}", key.0),
            Some(why) => {
                let sentence = format!("Clients that check certificates refuse it: {why}.");
                verdicts.say(false, 1, sentence);
                format!("{hosts}: {why}")
            }
        },
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

/// What finds the cluster behind a backend.
type Resolve<'r> = &'r dyn Fn(&Target) -> Result<Upstream, Refused>;

/// Says of each rule where it leads.
fn of_rules(
    asker: &Asker<'_>,
    (id, resolve): (&ObjectId, Resolve<'_>),
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
            let (is_served, to) = match resolve(&backend.target) {
                Ok(_) => to(asker, &backend.target, draft),
                Err(why) => {
                    concerns(&backend.target, draft);
                    (false, format!("{}, but {why}", target(&backend.target)))
                }
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

/// Notes the Service behind a backend that is not served.
pub(in crate::plan::explain) fn concerns(target: &Target, draft: &mut Draft) {
    if let Target::Service(key, _) = target {
        draft.concerns(ObjectId::of_service(key));
    }
}

/// A backend in words.
pub(in crate::plan::explain) fn target(target: &Target) -> String {
    match target {
        Target::Service(key, BackendPort::Number(number)) => format!("Service {key} port {number}"),
        Target::Service(key, BackendPort::Name(name)) => format!("Service {key} port {name}"),
        Target::Unsupported(what) => format!("{what}, which is no Service"),
    }
}

fn state(asker: &Asker<'_>, key: &ServiceKey) -> (bool, String) {
    let Some(service) = asker.context.index.service(key) else {
        let missing = asker.which_is_missing(&ObjectId::of_service(key));
        return (false, missing.to_owned());
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
