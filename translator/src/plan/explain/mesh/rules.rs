//! Which rule of HTTPRoutes takes a request for a Service, and where that sends it (Gateway rules
//! 115 to 117).

use std::collections::BTreeSet;

use super::{Asker, ClusterName, Draft, Fact, Host, Request, Role, Section, Served, of_target};
use crate::plan::explain::asker::listed;
use crate::plan::explain::ingress::{Saying, act, path, route};
use crate::plan::explain::words::verdict::Verdicts;
use crate::plan::grpc::{ALL, RpcRoute, ruled};
use crate::plan::host::{RoutePlan, routed_for};

/// How many rules are shown of a port.
const RULES: usize = 40;

/// Says what rules make of a request, if any decide on those for its port; else returns what is
/// said of it so far.
pub(super) fn say(
    asker: &Asker<'_>,
    request: &Request,
    host: &Host,
    section: Section,
    draft: &mut Draft,
) -> Option<Section> {
    let Some(service) = asker.context.index.service(&host.port.service) else {
        return Some(section);
    };
    let number = &host.port.number;
    if asker.view.role == Role::Grpc {
        let (mut rules, _) = ruled(&asker.context, service);
        let Some(rules) = rules.remove(number) else {
            return Some(section);
        };
        by_rpc_rules(asker, &rules, section, draft);
        return None;
    }
    let clients = asker.view.mesh_namespace();
    let Some(routes) = routed_for(&asker.context, service, clients).remove(number) else {
        return Some(section);
    };
    by_routes(asker, request, (host, &routes), section, draft);
    None
}

/// Says which rule of HTTPRoutes takes a request, and where that sends it.
fn by_routes(
    asker: &Asker<'_>,
    request: &Request,
    (host, routes): (&Host, &[RoutePlan<'_>]),
    section: Section,
    draft: &mut Draft,
) {
    let name = format!("Service port {}", host.port);
    let mut clusters = BTreeSet::new();
    // What is said of the Service's own cluster and settings does not hold for a rule.
    let facts = section.facts.iter().filter(|fact| fact.label == "host");
    let mut said = Saying {
        facts: facts.cloned().collect(),
        verdicts: Verdicts::default(),
        draft,
    };
    match route(routes, |_| true, &name, request, &mut said) {
        Some(route) => act(asker, request, route, (true, &mut said), &mut clusters),
        None => {
            let text = format!("none for {name} takes path {}", request.path);
            said.fact("rule", text);
            said.refuse("The request is answered with 404.");
        }
    }
    said.end(asker, section, clusters);
}

/// Says of each rule what becomes of the RPCs that it takes: what those look like, a name does not
/// say.
fn by_rpc_rules(asker: &Asker<'_>, rules: &[RpcRoute<'_>], section: Section, draft: &mut Draft) {
    let facts = section.facts.into_iter();
    let mut facts: Vec<Fact> = facts.filter(|fact| fact.label == "host").collect();
    let mut clusters = BTreeSet::new();
    for rule in rules.iter().take(RULES) {
        let shares = rule.shares.iter();
        let mut to: Vec<String> = shares
            .map(|(cluster, weight)| format!("cluster {cluster} by weight {weight}"))
            .collect();
        if rule.failing > 0 {
            let percent = f64::from(rule.failing) / f64::from(ALL) * 100.0;
            to.push(format!("UNAVAILABLE for {percent}%"));
        }
        let (object, path) = (rule.by.object(), path(&rule.matches.path));
        let to = listed(&to, "and", 8);
        let text = format!("{} of {object}, {path}: {to}", rule.field);
        facts.push(Fact::by("rule", &**rule.field, text));
        let named = rule.shares.iter().map(|(cluster, _)| cluster);
        clusters.extend(named.filter_map(|cluster| cluster.parse::<ClusterName>().ok()));
        draft.concerns(object);
    }
    let is_served = !clusters.is_empty();
    let then = "one that no rule takes fails with UNAVAILABLE";
    let verdict = format!("An RPC goes where the first rule that takes it sends it; {then}.");
    draft.add(Section {
        facts,
        served: if is_served { Served::Yes } else { Served::No },
        verdict: vec![verdict],
        ..section
    });
    for cluster in clusters {
        of_target(asker, &cluster, draft);
    }
}
