//! What others wrote survives, and nothing is written twice.

use super::*;
use seaway_translator::model::ParentRef;
use seaway_translator::status::{
    Condition, GatewayStatus, ListenerStatus, ParentStatus, SUPPORTED_FEATURES,
};

mod routes;

/// The time at which everything is merged.
const NOW: &str = "2026-11-30T12:00:00Z";
const BEFORE: &str = "2026-01-01T00:00:00Z";

fn condition(kind: &'static str, status: bool, generation: i64) -> Condition {
    Condition {
        kind,
        status,
        reason: "Because",
        message: "said".into(),
        generation,
    }
}

/// The same condition as it stands in an object.
fn standing(kind: &str, status: &str, generation: i64, since: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": "Because", "message": "said",
        "observedGeneration": generation, "lastTransitionTime": since,
    })
}

fn wanted(status: &Status) -> Wanted<'_> {
    Wanted {
        target: Some(status),
        before: None,
    }
}

fn merge(object: &Value, kind: ObjectKind, wanted: Wanted<'_>) -> Option<Value> {
    patch(object, kind, wanted, NOW.parse().unwrap())
}

/// Applies a JSON merge patch, as far as it is used here.
fn apply(object: &mut Value, patch: &Value) {
    for (name, value) in patch.as_object().unwrap() {
        match value {
            Value::Object(_) => {
                if object[name].is_null() {
                    object[name] = json!({});
                }
                apply(&mut object[name], value);
            }
            Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
            value => object[name] = value.clone(),
        }
    }
}

/// Merges, and sees that a second time nothing is to be written. Returns the status then.
fn settled(object: &Value, kind: ObjectKind, wanted: Wanted<'_>) -> Value {
    let mut object = object.clone();
    if object["status"].is_null() {
        object["status"] = json!({});
    }
    if let Some(patch) = merge(&object, kind, wanted) {
        apply(&mut object["status"], &patch);
    }
    assert_eq!(merge(&object, kind, wanted), None, "{object}");
    object["status"].clone()
}

/// The conditions of a GatewayClass of generation 5 with these conditions, once ours are merged.
fn conditions(current: &[Value], ours: Vec<Condition>) -> Vec<Value> {
    let object = json!({
        "metadata": {"generation": 5},
        "status": {"conditions": current},
    });
    let status = Status::GatewayClass(ours);
    let status = settled(&object, ObjectKind::GatewayClass, wanted(&status));
    status["conditions"].as_array().unwrap().clone()
}

#[test]
fn conditions_of_other_types_stay_where_they_are() {
    let other = json!({"type": "example.com/Paid", "status": "Unknown", "extra": [1.5, null]});
    let ours = standing("Accepted", "True", 5, BEFORE);
    let merged = conditions(
        &[other.clone(), ours.clone(), other.clone()],
        vec![
            condition("Accepted", true, 5),
            condition("Programmed", true, 5),
        ],
    );
    let new = standing("Programmed", "True", 5, NOW);
    assert_eq!(merged, [other.clone(), ours, other, new]);
}

/// `None`: the condition stays as it is.
#[test]
fn the_time_of_a_transition_changes_with_the_status_alone() {
    for (status, since) in [("True", BEFORE), ("False", NOW), ("Unknown", NOW)] {
        let mut there = standing("Accepted", status, 4, BEFORE);
        there["reason"] = json!("Pending");
        there["message"] = json!("waiting");
        let merged = conditions(&[there], vec![condition("Accepted", true, 5)]);
        assert_eq!(merged, [standing("Accepted", "True", 5, since)], "{status}");
    }
}

#[test]
fn an_observed_generation_is_never_lowered_unless_there_is_no_such_generation() {
    let newer = standing("Accepted", "False", 5, BEFORE);
    let merged = conditions(
        std::slice::from_ref(&newer),
        vec![condition("Accepted", true, 4)],
    );
    assert_eq!(merged, [newer]);
    // The object was restored from a backup.
    let lost = standing("Accepted", "False", 6, BEFORE);
    let merged = conditions(&[lost], vec![condition("Accepted", true, 4)]);
    assert_eq!(merged, [standing("Accepted", "True", 4, NOW)]);
}

#[test]
fn a_condition_of_ours_that_does_not_hold_any_more_is_removed() {
    let partial = standing("PartiallyInvalid", "True", 4, BEFORE);
    let accepted = standing("Accepted", "True", 5, BEFORE);
    let merged = conditions(
        &[partial, accepted.clone()],
        vec![condition("Accepted", true, 5)],
    );
    assert_eq!(merged, [accepted]);
}

/// With one more the API server would refuse them all.
#[test]
fn there_are_eight_conditions_at_most_and_those_of_others_stay() {
    let others: Vec<Value> = (0..6)
        .map(|number| standing(&format!("example.com/{number}"), "True", 1, BEFORE))
        .collect();
    let ours = ["Accepted", "Programmed", "ResolvedRefs"];
    let ours = ours.map(|kind| condition(kind, true, 1)).to_vec();
    let merged = conditions(&others, ours);
    assert_eq!(merged.len(), 8);
    assert_eq!(merged[..6], others);
    assert_eq!(merged[7]["type"], "Programmed");
}

#[test]
fn a_message_is_cut_where_the_api_would_refuse_it() {
    let mut long = condition("Accepted", true, 5);
    long.message = "ä".repeat(40_000).into();
    let merged = conditions(&[], vec![long]);
    assert_eq!(merged[0]["message"].as_str().unwrap().len(), 32_768);
}

#[test]
fn a_status_that_is_no_object_or_has_wrong_types_is_written_anew() {
    for status in [json!(null), json!({}), json!({"conditions": {"a": 1}})] {
        let object = json!({"metadata": {}, "status": status});
        let status = Status::GatewayClass(vec![condition("Accepted", true, 1)]);
        let patch = merge(&object, ObjectKind::GatewayClass, wanted(&status)).unwrap();
        let expected = json!([standing("Accepted", "True", 1, NOW)]);
        assert_eq!(patch["conditions"], expected);
    }
}

#[test]
fn a_class_has_the_features_that_are_served() {
    let status = Status::GatewayClass(Vec::new());
    let status = settled(&json!({}), ObjectKind::GatewayClass, wanted(&status));
    let features = status["supportedFeatures"].as_array().unwrap();
    assert_eq!(features.len(), SUPPORTED_FEATURES.len());
    assert_eq!(features[0], json!({"name": "Gateway"}));
    assert!(SUPPORTED_FEATURES.is_sorted());
}

fn listener(name: &str, attached_routes: i32) -> ListenerStatus {
    ListenerStatus {
        name: name.into(),
        kinds: vec!["HTTPRoute"],
        attached_routes,
        conditions: vec![condition("Programmed", true, 2)],
    }
}

#[test]
fn a_gateway_has_the_addresses_and_listeners_that_are_given_and_no_others() {
    let ours = standing("Programmed", "True", 2, BEFORE);
    let other = json!({"type": "example.com/Paid", "status": "True"});
    let object = json!({"metadata": {"generation": 2}, "status": {
        "addresses": [{"type": "IPAddress", "value": "192.0.2.9"}],
        "attachedListenerSets": 3,
        "conditions": [other],
        "listeners": [
            {"name": "gone", "conditions": []},
            {"name": "b", "attachedRoutes": 7, "supportedKinds": [], "conditions": [ours]},
        ],
    }});
    let status = Status::Gateway(GatewayStatus {
        addresses: vec![
            StatusAddress::Ip("2001:db8::1".parse().unwrap()),
            StatusAddress::Hostname("lb.example.com".into()),
        ],
        conditions: vec![condition("Accepted", true, 2)],
        listeners: vec![listener("a", 0), listener("b", 1)],
    });
    let entry = |name: &str, routes: i32, since: &str| {
        json!({
            "name": name, "attachedRoutes": routes,
            "supportedKinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}],
            "conditions": [standing("Programmed", "True", 2, since)],
        })
    };
    let expected = json!({
        "addresses": [
            {"type": "IPAddress", "value": "2001:db8::1"},
            {"type": "Hostname", "value": "lb.example.com"},
        ],
        "attachedListenerSets": 3,
        "conditions": [other, standing("Accepted", "True", 2, NOW)],
        "listeners": [entry("a", 0, NOW), entry("b", 1, BEFORE)],
    });
    assert_eq!(
        settled(&object, ObjectKind::Gateway, wanted(&status)),
        expected
    );
}

#[test]
fn only_what_differs_is_in_the_patch() {
    let object = json!({"metadata": {"generation": 2}, "status": {
        "conditions": [standing("Accepted", "True", 2, BEFORE)],
    }});
    let status = Status::Gateway(GatewayStatus {
        addresses: Vec::new(),
        conditions: vec![condition("Accepted", true, 2)],
        listeners: vec![listener("a", 0)],
    });
    let patch = merge(&object, ObjectKind::Gateway, wanted(&status)).unwrap();
    let fields: Vec<&String> = patch.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["listeners"]);
}

#[test]
fn a_gateway_that_is_not_ours_is_left_to_its_controller() {
    let object = json!({"status": {"conditions": [standing("Programmed", "True", 2, BEFORE)]}});
    let before = Status::GatewayClass(Vec::new());
    let none = Wanted {
        target: None,
        before: Some(&before),
    };
    for kind in [ObjectKind::Gateway, ObjectKind::GatewayClass] {
        assert_eq!(merge(&object, kind, none), None);
        assert!(!concerns(kind, none));
    }
}

fn addresses(all: &[&str]) -> Status {
    let all = all.iter().map(|text| match text.parse() {
        Ok(ip) => StatusAddress::Ip(ip),
        Err(_) => StatusAddress::Hostname((*text).into()),
    });
    Status::Ingress(all.collect())
}

#[test]
fn an_ingress_shows_the_addresses_and_nothing_else_of_its_status_is_touched() {
    let object =
        json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}], "x": 1}, "y": [2]}});
    let status = addresses(&["192.0.2.7", "lb.example.com"]);
    let expected = json!({
        "loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"hostname": "lb.example.com"}], "x": 1},
        "y": [2],
    });
    assert_eq!(
        settled(&object, ObjectKind::Ingress, wanted(&status)),
        expected
    );
    let none = addresses(&[]);
    let expected = json!({"loadBalancer": {"x": 1}, "y": [2]});
    assert_eq!(
        settled(&object, ObjectKind::Ingress, wanted(&none)),
        expected
    );
    assert_eq!(merge(&json!({}), ObjectKind::Ingress, wanted(&none)), None);
}

#[test]
fn an_ingress_that_is_not_ours_any_more_loses_our_addresses_and_no_others() {
    let ours = json!([{"ip": "192.0.2.1"}]);
    let before = addresses(&["192.0.2.1"]);
    for (there, before, expected) in [
        (ours.clone(), Some(&before), json!({"loadBalancer": {}})),
        (
            ours.clone(),
            None,
            json!({"loadBalancer": {"ingress": ours}}),
        ),
        (
            json!([{"ip": "198.51.100.1"}]),
            Some(&before),
            json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}),
        ),
    ] {
        let object = json!({"status": {"loadBalancer": {"ingress": there}}});
        let none = Wanted {
            target: None,
            before,
        };
        assert_eq!(settled(&object, ObjectKind::Ingress, none), expected);
    }
}
