//! The entries of a route's status (Gateway rule 100).

use super::*;
use seaway_translator::status::{GATEWAY_CONTROLLER, MESH_CONTROLLER};

const OTHER: &str = "example.com/other";

fn parent(name: &str) -> ParentStatus {
    ParentStatus {
        parent: ParentRef {
            group: None,
            kind: None,
            namespace: None,
            name: name.into(),
            section: None,
            port: None,
        },
        controller: GATEWAY_CONTROLLER,
        conditions: vec![condition("Accepted", true, 3)],
    }
}

fn entry(parent: &Value, controller: &str, since: &str) -> Value {
    json!({
        "parentRef": parent, "controllerName": controller,
        "conditions": [standing("Accepted", "True", 3, since)],
    })
}

fn route(refs: &[Value], parents: &[Value]) -> Value {
    json!({
        "metadata": {"generation": 3}, "spec": {"parentRefs": refs}, "status": {"parents": parents},
    })
}

fn parents(route: &Value, wanted: Vec<ParentStatus>) -> Vec<Value> {
    let status = Status::Route(wanted);
    let wanted = super::wanted(&status);
    let status = settled(route, ObjectKind::HTTPRoute, wanted);
    status["parents"].as_array().unwrap().clone()
}

#[test]
fn our_entries_are_at_their_places_or_at_the_end_and_those_of_others_stay() {
    let full = |name: &str| {
        let group = ParentRef::GROUP;
        json!({"group": group, "kind": "Gateway", "name": name})
    };
    let (a, b) = (full("a"), full("b"));
    let foreign = json!({"parentRef": a, "controllerName": OTHER, "conditions": [{"x": 1.0}]});
    let object = route(
        &[a.clone(), b.clone()],
        &[
            foreign.clone(),
            entry(&b, GATEWAY_CONTROLLER, BEFORE),
            foreign.clone(),
        ],
    );
    let merged = parents(&object, vec![parent("a"), parent("b")]);
    let ours = entry(&b, GATEWAY_CONTROLLER, BEFORE);
    let new = entry(&a, GATEWAY_CONTROLLER, NOW);
    assert_eq!(merged, [foreign.clone(), ours, foreign, new]);
}

/// Gateway rule 120: a Service has the entry of the controller for meshes, a Gateway that of the
/// other one, and of neither does the other's stay.
#[test]
fn a_service_has_an_entry_of_its_own_controller() {
    let service = json!({"group": "", "kind": "Service", "name": "a", "port": 80});
    let mut of_service = parent("a");
    of_service.controller = MESH_CONTROLLER;
    of_service.parent.group = Some("".into());
    of_service.parent.kind = Some("Service".into());
    of_service.parent.port = 80.try_into().ok();
    let gateway = json!({"name": "a"});
    let object = route(
        &[gateway.clone(), service.clone()],
        &[
            entry(&service, GATEWAY_CONTROLLER, BEFORE),
            entry(&service, MESH_CONTROLLER, BEFORE),
            entry(&service, OTHER, BEFORE),
        ],
    );
    let merged = parents(&object, vec![parent("a"), of_service]);
    let expected = [
        entry(&service, MESH_CONTROLLER, BEFORE),
        entry(&service, OTHER, BEFORE),
        entry(&gateway, GATEWAY_CONTROLLER, NOW),
    ];
    assert_eq!(merged, expected);
    let merged = parents(&object, vec![]);
    assert_eq!(merged, [entry(&service, OTHER, BEFORE)]);
}

/// The suite compares what is not set, too.
#[test]
fn the_reference_is_that_of_the_route_to_the_letter() {
    let other = json!({"name": "a", "sectionName": "web", "port": 80, "namespace": "infra"});
    let bare = json!({"name": "a"});
    let mut wanted = parent("a");
    wanted.parent.section = Some("web".into());
    wanted.parent.namespace = Some("infra".into());
    wanted.parent.port = 80.try_into().ok();
    let object = route(&[other.clone(), bare.clone()], &[]);
    let merged = parents(&object, vec![parent("a"), wanted]);
    let expected = [
        entry(&bare, GATEWAY_CONTROLLER, NOW),
        entry(&other, GATEWAY_CONTROLLER, NOW),
    ];
    assert_eq!(merged, expected);
}

#[test]
fn our_entries_for_parents_that_are_gone_or_not_ours_are_removed_and_no_others() {
    let (a, b) = (json!({"name": "a"}), json!({"name": "b"}));
    let ours = [&a, &b].map(|parent| entry(parent, GATEWAY_CONTROLLER, BEFORE));
    let foreign = entry(&a, OTHER, BEFORE);
    let all = [ours[0].clone(), foreign.clone(), ours[1].clone()];
    // Not ours any more, though the route still has it.
    let object = route(&[a.clone(), b.clone()], &all);
    let merged = parents(&object, vec![parent("b")]);
    assert_eq!(merged, [foreign.clone(), ours[1].clone()]);
    // The route has another generation by now, which will be judged.
    let object = route(&[b], &all);
    let merged = parents(&object, vec![parent("a"), parent("b")]);
    assert_eq!(merged, [foreign.clone(), ours[1].clone()]);
    // Nothing of it is ours.
    let none = Wanted {
        target: None,
        before: None,
    };
    let status = settled(&object, ObjectKind::HTTPRoute, none);
    assert_eq!(status, json!({"parents": [foreign]}));
    assert!(concerns(ObjectKind::HTTPRoute, none));
}

#[test]
fn a_doubled_entry_of_ours_is_one_again() {
    let a = json!({"name": "a"});
    let ours = entry(&a, GATEWAY_CONTROLLER, BEFORE);
    let object = route(&[a], &[ours.clone(), ours.clone()]);
    assert_eq!(parents(&object, vec![parent("a")]), [ours]);
}

#[test]
fn there_are_32_entries_at_most_and_those_of_others_come_first() {
    let names: Vec<String> = (0..32).map(|number| format!("p{number}")).collect();
    let refs: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    let wanted = || names.iter().map(|name| parent(name)).collect();
    for foreign in [0, 30, 32] {
        let others: Vec<Value> = refs[..foreign]
            .iter()
            .map(|parent| entry(parent, OTHER, BEFORE))
            .collect();
        let merged = parents(&route(&refs, &others), wanted());
        assert_eq!(merged.len(), 32);
        assert_eq!(merged[..foreign], others);
    }
}

#[test]
fn a_route_without_status_of_anybody_is_left_alone() {
    let object = json!({"metadata": {"generation": 3}, "spec": {"parentRefs": [{"name": "a"}]}});
    let none = Wanted {
        target: None,
        before: None,
    };
    assert_eq!(merge(&object, ObjectKind::HTTPRoute, none), None);
}
