//! Laws that hold for any world: the order of events does not matter, what is published step by
//! step is what a fresh translator publishes, and nothing a manifest contains panics or contradicts
//! itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use seaway_proto::{TypeUrl, json};
use seaway_translator::model::ServiceKey;
use seaway_translator::{Capture, Change, NodePortAddresses, Object, Options, Role, View};
use serde_json::{Value, json};
use support::{Published, World, object, view};

#[derive(Clone, Debug)]
enum Op {
    Apply(Value),
    Delete(Value),
    Activate(View),
    Deactivate(View),
    Flush,
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    select(words)
}

fn list<T: Clone + std::fmt::Debug>(
    of: impl Strategy<Value = T>,
    most: usize,
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(of, 0..=most)
}

// Mostly good values, so that objects meet and matter; the bad ones are there to be left out.
const SERVICES: &[&str] = &["a", "b", "1c"];
const NODES: &[&str] = &["n1", "n2", "n3"];
const ZONES: &[&str] = &["za", "zb"];

fn service_port() -> impl Strategy<Value = Value> {
    let numbers = select(&[80, 80, 80, 80, 81, 30080, 22, 0][..]);
    let node_ports = select(&[0, 30080, 30080, 30081, -1][..]);
    let protocols = prop_oneof![8 => Just("TCP"), 2 => Just("UDP"), 1 => word(&["SCTP", "X"])];
    let apps = word(&["", "", "kubernetes.io/h2c", "https"]);
    (word(&["http", "http", "http", ""]), numbers, protocols, node_ports, apps).prop_map(|(name, port, protocol, node_port, app)| {
        json!({"name": name, "port": port, "protocol": protocol, "nodePort": node_port, "appProtocol": app})
    })
}

fn a_service() -> impl Strategy<Value = Value> {
    let ips = word(&[
        "10.96.0.1",
        "10.96.0.2",
        "10.96.0.3",
        "fd00::1",
        "127.0.0.5",
    ]);
    let ips = prop_oneof![6 => ips, 1 => word(&["None", "", "bad"])];
    const EXTERNAL: &[&str] = &["192.0.2.1", "192.0.2.1", "10.96.0.1", "2001:db8::1", "?"];
    const RANGES: &[&str] = &["", "", "10.0.0.0/8", "192.0.2.0/29", "2001:db8::/32"];
    const NAMES: &[&str] = &[
        "a.d.svc.cluster.local",
        "b.d.svc",
        "1c.d.svc.cluster.local",
        "www.example.com",
        "localhost",
    ];
    let meta = (
        word(SERVICES),
        prop::option::weighted(0.1, word(&["", "x"])),
        prop::option::of(1..3u8),
        prop::bool::ANY,
    );
    let addresses = (
        ips,
        prop::option::of(word(&["fd00::2", "10.96.0.9"])),
        list(word(EXTERNAL), 2),
        list(word(EXTERNAL), 2),
    );
    let types = word(&["ClusterIP", "ClusterIP", "LoadBalancer", "ExternalName"]);
    let policies = (
        word(&["Cluster", "Local"]),
        word(&["Cluster", "Local"]),
        word(RANGES),
        select(&[0, 30080, 31000][..]),
    );
    (meta, addresses, list(service_port(), 3), types, policies, word(NAMES)).prop_map(
        |((name, proxy, day, fallback), (ip, second, external, lb), ports, kind, (internal, ext, ranges, check), target)| {
            let labels = proxy.map(|proxy| json!({"service.kubernetes.io/service-proxy-name": proxy}));
            let annotations = fallback.then(|| json!({"seaway.dev/local-fallback": "cluster"}));
            let families: Vec<&str> = [Some(ip), second].into_iter().flatten().map(|ip| if ip.contains(':') { "IPv6" } else { "IPv4" }).collect();
            let ips: Vec<&str> = [Some(ip), second].into_iter().flatten().collect();
            let lb: Vec<Value> = lb.iter().map(|ip| json!({"ip": ip})).collect();
            json!({
                "kind": "Service",
                "metadata": {"namespace": "d", "name": name, "labels": labels, "annotations": annotations,
                    "creationTimestamp": day.map(|day| format!("2026-01-0{day}T00:00:00Z"))},
                "spec": {"type": kind, "clusterIP": ip, "clusterIPs": ips, "ipFamilies": families, "externalIPs": external,
                    "ports": ports, "internalTrafficPolicy": internal, "externalTrafficPolicy": ext, "externalName": target,
                    "healthCheckNodePort": check, "loadBalancerSourceRanges": if ranges.is_empty() { vec![] } else { vec![ranges] }},
                "status": {"loadBalancer": {"ingress": lb}},
            })
        },
    )
}

fn an_endpoint() -> impl Strategy<Value = Value> {
    let ip = prop_oneof![8 => word(&["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"]), 1 => word(&["fd01::1", "169.254.0.1", "bad"]),
        1 => word(&["10.96.0.1", "192.0.2.1", "192.0.2.7"])];
    let terminating = r#"{"ready":false,"serving":true,"terminating":true}"#;
    let conditions =
        prop_oneof![4 => Just("{}"), 1 => Just(r#"{"ready":false}"#), 1 => Just(terminating)];
    let hints =
        |names| prop_oneof![1 => Just(Vec::new()), 4 => prop::collection::vec(word(names), 1..=2)];
    let names = (
        prop::option::weighted(0.9, word(NODES)),
        prop::option::weighted(0.9, word(ZONES)),
        hints(ZONES),
        hints(NODES),
    );
    (ip, conditions, names).prop_map(|(ip, conditions, (node, zone, zones, nodes))| {
        let named = |names: Vec<&str>| -> Vec<Value> { names.iter().map(|name| json!({"name": name})).collect() };
        json!({"addresses": [ip], "conditions": serde_json::from_str::<Value>(conditions).unwrap(), "nodeName": node, "zone": zone,
            "hints": {"forZones": named(zones), "forNodes": named(nodes)}})
    })
}

fn a_slice() -> impl Strategy<Value = Value> {
    let ports = prop::collection::vec(
        (
            word(&["http", "http", "http", ""]),
            select(&[8080, 8080, 8081, 80, 30080, 0][..]),
            word(&["TCP", "TCP", "TCP", "UDP"]),
        ),
        1..=2,
    );
    let labels = (word(SERVICES), prop::bool::weighted(0.1));
    (word(&["s1", "s2", "s3", "s4"]), labels, prop_oneof![8 => Just("IPv4"), 1 => word(&["IPv6", "FQDN"])], ports, list(an_endpoint(), 4)).prop_map(
        |(name, (service, headless), family, ports, endpoints)| {
            let ports: Vec<Value> = ports.iter().map(|(name, port, protocol)| json!({"name": name, "port": port, "protocol": protocol})).collect();
            let mut labels = json!({"kubernetes.io/service-name": service});
            if headless {
                labels["service.kubernetes.io/headless"] = "".into();
            }
            json!({"kind": "EndpointSlice", "metadata": {"namespace": "d", "name": name, "labels": labels},
                "addressType": family, "ports": ports, "endpoints": endpoints})
        },
    )
}

fn a_node() -> impl Strategy<Value = Value> {
    let taint = word(&["x", "ToBeDeletedByClusterAutoscaler"]);
    let labels = (word(&["za", "zb", ""]), word(&["r1", "r2", ""]), taint);
    let ips = list(word(&["192.0.2.1", "192.0.2.7", "2001:db8::1"]), 2);
    let pods = list(word(&["10.1.0.0/24", "10.2.0.0/24", "fd01::/64", "bad"]), 2);
    (word(NODES), labels, ips, pods).prop_map(|(name, (zone, region, taint), ips, pods)| {
        let addresses: Vec<Value> = ips.iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
        json!({"kind": "Node", "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone,
            "topology.kubernetes.io/region": region}}, "spec": {"podCIDRs": pods, "taints": [{"key": taint, "effect": "NoSchedule"}]},
            "status": {"addresses": addresses}})
    })
}

fn an_object() -> impl Strategy<Value = Value> {
    prop_oneof![3 => a_service(), 3 => a_slice(), 1 => a_node()]
}

fn a_view() -> impl Strategy<Value = View> {
    let role = select(&[Role::Node, Role::Mesh][..]);
    let place = (word(&["", "n1", "n2"]), word(&["", "za", "zb"]));
    (role, place, any::<bool>()).prop_map(|(role, (node, zone), whole_table)| View {
        whole_table,
        ..view(role, node, zone)
    })
}

fn an_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => an_object().prop_map(Op::Apply),
        1 => an_object().prop_map(Op::Delete),
        2 => a_view().prop_map(Op::Activate),
        1 => a_view().prop_map(Op::Deactivate),
        2 => Just(Op::Flush),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let modes =
        ["all", "primary", "192.0.2.0/29"].map(|text| text.parse::<NodePortAddresses>().unwrap());
    let pods = list(
        select(vec![
            "10.1.0.0/16".parse().unwrap(),
            "fd01::/32".parse().unwrap(),
        ]),
        1,
    );
    let captures = select(vec![
        None,
        Some(Capture::Redirect),
        Some(Capture::Namespace),
        Some(Capture::NamespaceRedirect),
    ]);
    (select(modes.to_vec()), pods, captures, any::<bool>()).prop_map(
        |(nodeport_addresses, pod_cidrs, capture, keep_source)| Options {
            capture,
            keep_source,
            nodeport_addresses,
            pod_cidrs,
            ..Options::default()
        },
    )
}

fn read(value: &Value) -> Object {
    object(value.clone()).unwrap().unwrap()
}

/// Objects and views that are left after all operations.
fn rest(ops: &[Op]) -> (Vec<Object>, BTreeSet<View>) {
    let mut objects: Vec<Object> = Vec::new();
    let mut views = BTreeSet::new();
    for op in ops {
        match op {
            Op::Apply(value) | Op::Delete(value) => {
                let object = read(value);
                objects.retain(|other| other.id() != object.id());
                if matches!(op, Op::Apply(_)) {
                    objects.push(object);
                }
            }
            Op::Activate(view) => {
                views.insert(view.clone());
            }
            Op::Deactivate(view) => {
                views.remove(view);
            }
            Op::Flush => {}
        }
    }
    (objects, views)
}

fn run(options: Options, ops: &[Op]) -> World {
    let mut world = World::with(options);
    for (at, op) in ops.iter().enumerate() {
        if at == ops.len() / 2 {
            world.translator.track_summaries(true);
        }
        match op {
            Op::Apply(value) => world.translator.apply(Change::Apply(read(value))),
            Op::Delete(value) => world.translator.apply(Change::Delete(read(value).id())),
            Op::Activate(view) => {
                world.translator.activate(view);
            }
            Op::Deactivate(view) => world.translator.deactivate(view),
            Op::Flush => {
                world.flush();
            }
        }
    }
    world.flush();
    world
}

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
