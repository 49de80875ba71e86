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
    let made = |url: TypeUrl, origin: &str| match role {
        _ if resource.is_some() => false,
        Some(Role::Mesh) => {
            (url == TypeUrl::SCOPED_ROUTE || url == TypeUrl::ROUTE) && is_of(origins, origin)
        }
        Some(Role::Grpc) => url == TypeUrl::LISTENER && is_of(origins, origin),
        Some(Role::Ingress) => origin.starts_with("ingress ") && origins.contains(origin),
        Some(Role::Node) | None => false,
    };
    let made = (role != Some(Role::Node) && resource.is_none()).then_some(made);
    let names = match resource {
        Some(name) => {
            let types = inspect.inspector.types().specs().iter();
            types.map(|spec| (spec.url, name)).collect()
        }
        None => names(answer),
    };
    let names = names.into_iter().take(LOOKED_FOR);
    let inspector = &inspect.inspector;
    let shares = inspector.shares(|facts| whose.has(facts), names, made);
    let counted = |standing| shares.iter().filter(|of| of.standing == standing).count();
    let mut lacking: Vec<&ShareReport> = shares
        .iter()
        .filter(|of| of.standing != Standing::Held)
        .collect();
    lacking.sort_by_key(|of| (of.standing != Standing::Rejected, of.facts.number));
    Have {
        connected: inspector.stream_count_of(|facts| whose.has(facts)),
        proxies: shares.len(),
        have: counted(Standing::Held),
        reject: counted(Standing::Rejected),
        without: lacking.into_iter().take(NAMED).map(without).collect(),
    }
}

fn is_of(origins: &BTreeSet<String>, origin: &str) -> bool {
    origins.iter().any(|object| is_made_of(origin, object))
}

/// The resources that the sections of an answer name.
fn names(answer: &Answer) -> BTreeSet<(TypeUrl, &str)> {
    let mut names = BTreeSet::new();
    for section in &answer.sections {
        let clusters = section.port.iter().flat_map(|port| &port.clusters);
        for name in clusters {
            names.extend([(TypeUrl::CLUSTER, &**name), (TypeUrl::ENDPOINT, &**name)]);
        }
        let addresses = section.addresses.iter();
        let listeners = addresses.filter_map(|of| of.listener.as_deref());
        names.extend(listeners.map(|name| (TypeUrl::LISTENER, name)));
    }
    names
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
