//! The status of Gateways, GatewayClasses and routes (Gateway rules 6 and 98 to 105).

use seaway_translator::model::ParentRef;
use seaway_translator::status::{
    Condition, GATEWAY_CONTROLLER, GatewayStatus, ListenerStatus, MESH_CONTROLLER, ParentStatus,
    SUPPORTED_FEATURES, StatusAddress,
};
use serde_json::{Value, json};

use super::{Around, conditions};

/// The most entries that `status.parents` may have.
const MAX_PARENTS: usize = 32;

/// The status of a GatewayClass: conditions and features.
pub(super) fn class(current: &Value, wanted: &[Condition], around: &Around<'_>) -> Value {
    let features = SUPPORTED_FEATURES.iter().map(|name| json!({"name": name}));
    json!({
        "conditions": conditions::merged(&current["conditions"], wanted, around),
        "supportedFeatures": features.collect::<Vec<_>>(),
    })
}

/// The status of a Gateway: its addresses and listeners are those that are given and no others.
pub(super) fn gateway(current: &Value, wanted: &GatewayStatus, around: &Around<'_>) -> Value {
    let of = |listener: &ListenerStatus| {
        let listeners = current["listeners"].as_array();
        let mut listeners = listeners.into_iter().flatten();
        let found = listeners.find(|there| there["name"] == *listener.name);
        found.map_or(&Value::Null, |found| &found["conditions"])
    };
    let listeners = wanted.listeners.iter().map(|listener| {
        let group = ParentRef::GROUP;
        let kinds = listener.kinds.iter();
        let kinds: Vec<Value> = kinds
            .map(|kind| json!({"group": group, "kind": kind}))
            .collect();
        json!({
            "name": *listener.name,
            "supportedKinds": kinds,
            "attachedRoutes": listener.attached_routes,
            "conditions": conditions::merged(of(listener), &listener.conditions, around),
        })
    });
    let addresses = wanted.addresses.iter().map(|address| match address {
        StatusAddress::Ip(ip) => json!({"type": "IPAddress", "value": ip}),
        StatusAddress::Hostname(name) => json!({"type": "Hostname", "value": **name}),
    });
    json!({
        "addresses": addresses.collect::<Vec<_>>(),
        "conditions": conditions::merged(&current["conditions"], &wanted.conditions, around),
        "listeners": listeners.collect::<Vec<_>>(),
    })
}

/// The status of a route: our entries are those that are wanted, at their places or at the end;
/// those of other controllers stay as they are (Gateway rule 100). `refs` are the references as
/// the route has them now: an entry repeats one of these to the letter.
pub(super) fn route(
    current: &Value,
    refs: &Value,
    wanted: &[ParentStatus],
    around: &Around<'_>,
) -> Value {
    let current = current["parents"].as_array();
    let current = current.map(Vec::as_slice).unwrap_or_default();
    let is_ours = |entry: &Value| {
        let controller = &entry["controllerName"];
        controller == GATEWAY_CONTROLLER || controller == MESH_CONTROLLER
    };
    let mut wanted: Vec<(&Value, &ParentStatus)> = wanted
        .iter()
        .filter_map(|wanted| Some((named(refs, &wanted.parent)?, wanted)))
        .collect();
    let foreign = current.iter().filter(|entry| !is_ours(entry)).count();
    wanted.truncate(MAX_PARENTS.saturating_sub(foreign));
    let mut parents = Vec::with_capacity(foreign + wanted.len());
    for entry in current {
        if !is_ours(entry) {
            parents.push(entry.clone());
            continue;
        }
        let parent = Parent::of(&entry["parentRef"]);
        let place = wanted.iter().position(|(wanted, status)| {
            Parent::of(wanted) == parent && entry["controllerName"] == status.controller
        });
        if let Some(place) = place {
            let (parent, status) = wanted.remove(place);
            parents.push(updated(entry.clone(), parent, &status.conditions, around));
        }
    }
    for (parent, status) in wanted {
        let entry = json!({"controllerName": status.controller});
        parents.push(updated(entry, parent, &status.conditions, around));
    }
    json!({ "parents": parents })
}

fn updated(mut entry: Value, parent: &Value, wanted: &[Condition], around: &Around<'_>) -> Value {
    entry["parentRef"] = parent.clone();
    entry["conditions"] = conditions::merged(&entry["conditions"], wanted, around);
    entry
}

/// The reference among those of a route that this one was read from.
fn named<'a>(refs: &'a Value, parent: &ParentRef) -> Option<&'a Value> {
    let parent = Parent {
        group: parent.group.as_deref().unwrap_or(ParentRef::GROUP),
        kind: parent.kind.as_deref().unwrap_or(Parent::KIND),
        namespace: parent.namespace.as_deref(),
        name: &parent.name,
        section: parent.section.as_deref(),
        port: parent.port.map(|port| port.get().into()),
    };
    let mut refs = refs.as_array()?.iter();
    refs.find(|written| Parent::of(written) == parent)
}

/// A reference to a parent with what the API's definition fills in.
#[derive(PartialEq)]
struct Parent<'a> {
    group: &'a str,
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
    section: Option<&'a str>,
    port: Option<i64>,
}

impl Parent<'_> {
    const KIND: &'static str = "Gateway";

    fn of(written: &Value) -> Parent<'_> {
        let text = |field: &str| written[field].as_str();
        Parent {
            group: text("group").unwrap_or(ParentRef::GROUP),
            kind: text("kind").unwrap_or(Parent::KIND),
            namespace: text("namespace"),
            name: text("name").unwrap_or_default(),
            section: text("sectionName"),
            port: written["port"].as_i64(),
        }
    }
}
