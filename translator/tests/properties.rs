//! Laws that hold for any world: the order of events does not matter, what is published step by
//! step is what a fresh translator publishes, and nothing a manifest contains panics or contradicts
//! itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use seaway_proto::{TypeUrl, json};
use seaway_translator::model::ServiceKey;
use seaway_translator::{Object, Options, Role, View};
use serde_json::{Value, json};
use support::random::{an_op, list, options, rest, run, word};
use support::{Published, World, object, view};

/// A fresh translator that is given a world at once; the views come first or last.
fn fresh(options: Options, objects: &[Object], views: &BTreeSet<View>, views_first: bool) -> World {
    let mut world = World::with(options);
    world.translator.track_summaries(true);
    if views_first {
        views.iter().for_each(|view| {
            world.translator.activate(view);
        });
    }
    world.apply(objects.iter().rev().cloned());
    views.iter().for_each(|view| {
        world.translator.activate(view);
    });
    world.flush();
    world
}

/// The clusters that the proxies of a frontend's chains lead to.
fn led_to(listener: &Value) -> Vec<String> {
    let chains = listener["filter_chains"].as_array().into_iter().flatten();
    let filters = chains.flat_map(|chain| chain["filters"].as_array().into_iter().flatten());
    filters
        .filter_map(|filter| filter["typed_config"]["cluster"].as_str())
        .map(str::to_owned)
        .collect()
}

/// What no proxy may ever be sent: two listeners on one address, a reference to nothing, a host
/// name twice, an endpoint twice.
fn check_sanity(published: &Published, world: &World, view: &View) {
    let seen = published.seen(&world.translator.place(view));
    let mut addresses = BTreeSet::new();
    let mut scopes = BTreeSet::new();
    for ((type_url, name), resource) in &seen {
        for target in &resource.refs {
            assert!(
                seen.contains_key(&(target.type_url, target.name.clone())),
                "{name} refers to {}",
                target.name
            );
        }
        let value = json::to_value(type_url.as_str(), &resource.value).unwrap();
        for cluster in led_to(&value) {
            let refers = resource.refs.iter().any(|target| *target.name == *cluster);
            assert!(refers, "{name} does not refer to {cluster}");
        }
        let once = |found: Vec<&Value>| {
            let unique: BTreeSet<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(unique.len(), found.len(), "{name}: {found:?}");
        };
        match *type_url {
            TypeUrl::LISTENER => assert!(addresses.insert(value["address"].to_string()), "{name}"),
            TypeUrl::ROUTE => {
                let hosts = value["virtual_hosts"].as_array().into_iter().flatten();
                once(
                    hosts
                        .flat_map(|host| host["domains"].as_array().unwrap())
                        .collect(),
                );
            }
            TypeUrl::SCOPED_ROUTE => {
                assert!(scopes.insert(value["key"].to_string()), "{name}");
            }
            TypeUrl::ENDPOINT => {
                let groups = || value["endpoints"].as_array().into_iter().flatten();
                once(
                    groups()
                        .flat_map(|group| group["lb_endpoints"].as_array().unwrap())
                        .collect(),
                );
                let priorities: BTreeSet<u64> = groups()
                    .map(|group| group["priority"].as_u64().unwrap_or(0))
                    .collect();
                assert!(
                    (0..)
                        .zip(&priorities)
                        .all(|(expected, found)| expected == *found),
                    "{name}"
                );
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_where_a_fresh_start_does(options in options(), ops in prop::collection::vec(an_op(), 10..60)) {
        let world = run(options.clone(), &ops);
        let (objects, views) = rest(&ops);
        for views_first in [true, false] {
            let fresh = fresh(options.clone(), &objects, &views, views_first);
            prop_assert_eq!(&world.published, &fresh.published);
            prop_assert_eq!(world.translator.problems(), fresh.translator.problems());
            prop_assert_eq!(world.translator.problem_counts(), fresh.translator.problem_counts());
            for id in objects.iter().map(Object::id) {
                let service = ServiceKey { namespace: id.namespace, name: id.name };
                prop_assert_eq!(world.translator.summary(&service), fresh.translator.summary(&service));
            }
            for view in &views {
                prop_assert_eq!(world.translator.place(view), fresh.translator.place(view));
            }
        }
        for view in &views {
            check_sanity(&world.published, &world, view);
        }
    }

    #[test]
    fn nothing_a_manifest_contains_panics(values in prop::collection::vec(hostile(), 1..12)) {
        let mut world = World::new(Options::default());
        let here = view(Role::Node, "n1", "za");
        world.translator.activate(&here);
        world.apply(values.into_iter().filter_map(|value| object(value).ok().flatten()));
        check_sanity(&world.published, &world, &here);
        check_sanity(&world.published, &world, &view(Role::Mesh, "n1", "za"));
    }
}

/// Objects with arbitrary text and numbers wherever their kind has text and numbers.
fn hostile() -> impl Strategy<Value = Value> {
    let text = || prop_oneof![3 => "\\PC{0,12}", 1 => "[0-9a-f.:/]{0,20}", 2 => word(&["a", "n1", "za", "10.0.0.1", "::1", "Local", "None", "TCP"]).prop_map(str::to_owned)];
    let ports = list((text(), any::<i32>(), text(), any::<i32>()), 3);
    let texts = prop::collection::vec(text(), 12);
    (word(&["Service", "EndpointSlice", "Node"]), texts, ports, any::<[Option<bool>; 3]>()).prop_map(|(kind, t, ports, [ready, serving, terminating])| {
        let ports: Vec<Value> = ports.iter().map(|(name, port, protocol, node_port)| {
            json!({"name": name, "port": port % 70000, "protocol": protocol, "nodePort": node_port, "appProtocol": t[0]})
        }).collect();
        let name = if t[1].is_empty() || t[1].len() > 3 { "a" } else { &t[1] };
        json!({
            "kind": kind,
            "metadata": {"namespace": "d", "name": name, "labels": {"kubernetes.io/service-name": "a", "topology.kubernetes.io/zone": t[2]},
                "annotations": {"seaway.dev/local-fallback": t[3], "endpoints.kubernetes.io/last-change-trigger-time": t[4]}},
            "spec": if kind == "Service" { json!({"type": t[5], "clusterIP": t[6], "clusterIPs": [t[6], t[7]], "ipFamilies": [t[8], "IPv6"],
                "externalIPs": [t[9], t[10]], "externalName": t[11], "ports": ports, "internalTrafficPolicy": t[0],
                "loadBalancerSourceRanges": [t[1]], "sessionAffinity": t[2]}) } else { Value::Null },
            "status": if kind == "Service" { json!({"loadBalancer": {"ingress": [{"ip": t[7], "ipMode": t[8]}]}}) } else {
                json!({"addresses": [{"type": "InternalIP", "address": t[9]}]}) },
            "addressType": t[10],
            "ports": ports,
            "endpoints": [{"addresses": [t[6], t[7]], "nodeName": t[8], "zone": t[9], "hints": {"forZones": [{"name": t[10]}], "forNodes": [{"name": t[11]}]},
                "conditions": {"ready": ready, "serving": serving, "terminating": terminating}}],
        })
    })
}
