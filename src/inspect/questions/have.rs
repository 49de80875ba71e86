//! Which proxies have what an answer says: those at the place that was asked about, and how far
//! they are with the resources that decide it.

use std::collections::BTreeSet;

use seaway_proto::TypeUrl;
use seaway_translator::{Answer, Origin, Role, View};
use seaway_xds::{ShareReport, Standing, StreamFacts};

use crate::inspect::api::{Have, Rejection, Without, WithoutState};
use crate::inspect::query::is_made_of;
use crate::inspect::{Inspect, proxies, types};

/// The most resources of an answer that are looked for.
const LOOKED_FOR: usize = 200;
/// The most proxies that are named.
const NAMED: usize = 8;

/// Of whom it is asked whether they have it.
pub(super) enum Whose<'a> {
    /// All proxies that are connected at a place.
    At(&'a View),
    /// The proxy with this id.
    Proxy(&'a str),
}

impl Whose<'_> {
    fn has(&self, facts: &StreamFacts) -> bool {
        let view = match self {
            Whose::Proxy(id) => return *facts.node == **id,
            Whose::At(view) => view,
        };
        let said = |what| proxies::noted(facts, what);
        let fits = |wanted: Option<&str>, what| wanted.is_none_or(|name| said(what) == Some(name));
        // The label of the proxy's Node may say another zone than the proxy, or one where it says
        // none.
        let zone = view.zone.as_deref().filter(|_| view.node.is_none());
        said("role") == Some(view.role.as_str())
            && fits(view.node.as_deref(), "node")
            && (said("zone").is_none() || fits(zone, "zone"))
            && fits(view.namespace.as_deref(), "namespace")
            && (view.role != Role::Ingress || fits(Some(view.fleet.as_str()), "fleet"))
    }
}

/// What an answer is made of, for the origins of resources: the Services of its sections, and
/// others that it names.
pub(super) fn origins(answer: &Answer) -> BTreeSet<String> {
    let ports = answer.sections.iter().filter_map(|of| of.port.as_ref());
    let services = ports.map(|port| format!("Service {}", port.service));
    let others = answer.basis.origins.iter().map(Origin::to_string);
    services.chain(others).collect()
}

/// How many proxies have all that decides an answer; `resource` is the one that was asked about.
pub(super) fn have(
    inspect: &Inspect,
    (answer, resource): (&Answer, Option<&str>),
    origins: &BTreeSet<String>,
    whose: &Whose<'_>,
) -> Have {
    let role = answer.basis.view.as_ref().map(|view| view.role);
    // The names of routes, and those that gRPC clients dial, are not in an answer.
    let of_type = |url: TypeUrl| match role {
        _ if resource.is_some() => false,
        Some(Role::Mesh) => url == TypeUrl::SCOPED_ROUTE || url == TypeUrl::ROUTE,
        Some(Role::Grpc) => url == TypeUrl::LISTENER,
        Some(Role::Ingress) => true,
        Some(Role::Node) | None => false,
    };
    let made = |origin: &str| match role {
        Some(Role::Ingress) => origin.starts_with("ingress ") && origins.contains(origin),
        _ => is_of(origins, origin),
    };
    let inspector = &inspect.inspector;
    let names: Vec<(TypeUrl, &str)> = match resource {
        Some(name) => {
            let types = inspector.types().specs().iter();
            types.map(|spec| (spec.url, name)).collect()
        }
        None => names(answer),
    };
    let (connected, shares) = inspector.shares(|facts| whose.has(facts), names, (of_type, made));
    let counted = |standing| shares.iter().filter(|of| of.standing == standing).count();
    let mut lacking: Vec<&ShareReport> = shares
        .iter()
        .filter(|of| of.standing != Standing::Held)
        .collect();
    lacking.sort_by_key(|of| (of.standing != Standing::Rejected, of.facts.number));
    Have {
        connected,
        proxies: shares.len(),
        have: counted(Standing::Held),
        reject: counted(Standing::Rejected),
        without: lacking.into_iter().take(NAMED).map(without).collect(),
    }
}

fn is_of(origins: &BTreeSet<String>, origin: &str) -> bool {
    origins.iter().any(|object| is_made_of(origin, object))
}

/// The resources that the sections of an answer name, each once, and so many at most: first the
/// listeners, without which nothing arrives, then each cluster with its endpoints.
fn names(answer: &Answer) -> Vec<(TypeUrl, &str)> {
    let addresses = answer.sections.iter().flat_map(|of| &of.addresses);
    let listeners = addresses.filter_map(|of| of.listener.as_deref());
    let ports = answer.sections.iter().filter_map(|of| of.port.as_ref());
    let clusters = ports.flat_map(|port| &port.clusters);
    let clusters =
        clusters.flat_map(|name| [(TypeUrl::CLUSTER, &**name), (TypeUrl::ENDPOINT, name)]);
    let mut seen = BTreeSet::new();
    listeners
        .map(|name| (TypeUrl::LISTENER, name))
        .chain(clusters)
        .filter(|name| seen.insert(*name))
        .take(LOOKED_FOR)
        .collect()
}

fn without(share: &ShareReport) -> Without {
    let rejects = share.rejected.iter().map(|of| Rejection {
        r#type: types::short(of.type_url).to_owned(),
        name: of.name.to_string(),
        error: of.error.clone(),
    });
    Without {
        proxy: share.facts.node.to_string(),
        state: match share.standing {
            Standing::Rejected => WithoutState::Rejects,
            Standing::HeldBack => WithoutState::HeldBack,
            Standing::Owed => WithoutState::Owed,
            Standing::Sent | Standing::Held => WithoutState::Unanswered,
        },
        rejects: rejects.collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn section(clusters: Value, listeners: &[&str]) -> Value {
        let addresses = listeners.iter().map(|name| {
            json!({
                "address": "10.96.0.1:80", "kind": "clusterip", "field": "spec.clusterIPs", "listener": name, "text": "",
            })
        });
        let addresses: Vec<Value> = addresses.collect();
        json!({
            "title": "", "served": "yes", "verdict": [], "addresses": addresses,
            "port": {
                "service": "shop/web", "name": "", "number": 80, "protocol": "TCP", "policy": "Cluster", "clusters": clusters,
            },
        })
    }

    fn answer(sections: &[Value]) -> Answer {
        let answer = json!({"asked": "", "seen_by": "", "served": "yes", "sections": sections});
        serde_json::from_value(answer).unwrap()
    }

    #[test]
    fn the_resources_of_an_answer_are_looked_for_once_and_listeners_first() {
        let sections = [
            section(json!(["c1"]), &["l2"]),
            section(json!(["c0", "c1"]), &["l1", "l2"]),
        ];
        let (cluster, endpoint) = (TypeUrl::CLUSTER, TypeUrl::ENDPOINT);
        assert_eq!(
            names(&answer(&sections)),
            [
                (TypeUrl::LISTENER, "l2"),
                (TypeUrl::LISTENER, "l1"),
                (cluster, "c1"),
                (endpoint, "c1"),
                (cluster, "c0"),
                (endpoint, "c0"),
            ]
        );
    }

    #[test]
    fn what_is_looked_for_is_cut_behind_the_listeners_and_not_by_duplicates() {
        let many: Vec<String> = (0..LOOKED_FOR).map(|number| format!("c{number}")).collect();
        let one = section(json!(many), &["l1"]);
        let whole = answer(&[one.clone(), one, section(json!([]), &["l2"])]);
        let found = names(&whole);
        assert_eq!(found.len(), LOOKED_FOR);
        assert_eq!(
            found[..3],
            [
                (TypeUrl::LISTENER, "l1"),
                (TypeUrl::LISTENER, "l2"),
                (TypeUrl::CLUSTER, "c0")
            ]
        );
        let twice = section(json!(["c"]), &["l1"]);
        let twice: Vec<Value> = std::iter::repeat_n(twice, LOOKED_FOR).collect();
        assert_eq!(names(&answer(&twice)).len(), 3);
    }
}
