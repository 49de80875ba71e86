//! Random worlds: objects, views and options, and what happens to them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use seaway_translator::{Capture, Change, NodePortAddresses, Object, Options, Role, View};
use serde_json::{Value, json};

use super::{World, object, view};

/// An event in the life of a world.
#[derive(Clone, Debug)]
pub enum Op {
    Apply(Value),
    Delete(Value),
    Activate(View),
    Deactivate(View),
    Flush,
}

pub fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    select(words)
}

pub fn list<T: Clone + std::fmt::Debug>(
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

pub fn a_service() -> impl Strategy<Value = Value> {
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

pub fn a_slice() -> impl Strategy<Value = Value> {
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

pub fn a_node() -> impl Strategy<Value = Value> {
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

/// A route of Services, of their namespace or of another one.
pub fn a_mesh_route() -> impl Strategy<Value = Value> {
    let parent = (
        word(SERVICES),
        prop::option::weighted(0.5, select(&[80, 80, 81, 9][..])),
        prop::option::weighted(0.2, Just("http")),
    );
    let parent = parent.prop_map(|(name, port, section)| {
        json!({"group": "", "kind": "Service", "namespace": "d", "name": name, "port": port, "sectionName": section})
    });
    let backend = (
        word(&["a", "b", "1c", "absent"]),
        select(&[80, 80, 81][..]),
        0..3u32,
    );
    let backend = backend.prop_map(|(name, port, weight)| json!({"namespace": "d", "name": name, "port": port, "weight": weight}));
    let filter = select(&[None, None, Some("RequestRedirect"), Some("Foo")][..]);
    let rule = (word(&["/", "/p"]), list(backend, 2), filter).prop_map(|(path, backends, filter)| {
        let filters = filter.map(|kind| json!([{"type": kind, "requestRedirect": {"scheme": "https"}}]));
        json!({"matches": [{"path": {"value": path}}], "backendRefs": backends, "filters": filters})
    });
    let meta = (
        word(&["d", "d", "j"]),
        word(&["r1", "r2"]),
        prop::option::of(1..3u8),
    );
    (
        meta,
        prop::collection::vec(parent, 1..=2),
        prop::collection::vec(rule, 1..=2),
    )
        .prop_map(|((namespace, name, day), parents, rules)| {
            json!({
                "kind": "HTTPRoute",
                "metadata": {"namespace": namespace, "name": name,
                    "creationTimestamp": day.map(|day| format!("2026-01-0{day}T00:00:00Z"))},
                "spec": {"parentRefs": parents, "rules": rules},
            })
        })
}

/// The namespace of all Services, what mesh proxies in it import, and what it asks of connections
/// to them.
pub fn a_namespace() -> impl Strategy<Value = Value> {
    let imports = word(&["d", "d/a", "d/b,e", "", "*"]);
    let mode = word(&["strict", "strict", "permissive", "", "Strict"]);
    (imports, mode).prop_map(|(imports, mode)| {
        json!({"kind": "Namespace", "metadata": {"name": "d", "annotations":
            {"seaway.dev/import": imports, "seaway.dev/mtls": mode}}})
    })
}

fn an_object() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => a_service(),
        6 => a_slice(),
        2 => a_node(),
        4 => a_mesh_route(),
        1 => a_namespace(),
    ]
}

pub fn a_view() -> impl Strategy<Value = View> {
    let role = select(&[Role::Node, Role::Mesh][..]);
    let place = (word(&["", "n1", "n2"]), word(&["", "za", "zb"]));
    let namespace = select(&[None, Some("d"), Some("j")][..]);
    let imports = prop::option::of(word(&["d", "d/a", "d/b", "d/1c,d/a", "e/a"]));
    let of_mesh = (any::<bool>(), namespace, imports, any::<bool>());
    (role, place, of_mesh).prop_map(|(role, (node, zone), of_mesh)| {
        let (whole_table, namespace, imports, mesh_tls) = of_mesh;
        View {
            whole_table,
            namespace: namespace.map(Into::into),
            imports: imports.map(|text| text.parse().unwrap()),
            mesh_tls,
            ..view(role, node, zone)
        }
    })
}

pub fn an_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => an_object().prop_map(Op::Apply),
        1 => an_object().prop_map(Op::Delete),
        2 => a_view().prop_map(Op::Activate),
        1 => a_view().prop_map(Op::Deactivate),
        2 => Just(Op::Flush),
    ]
}

pub fn options() -> impl Strategy<Value = Options> {
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
    let inbound = select(vec![None, Some("0.0.0.0:8081".parse().unwrap())]);
    (
        select(modes.to_vec()),
        pods,
        captures,
        any::<bool>(),
        inbound,
    )
        .prop_map(
            |(nodeport_addresses, pod_cidrs, capture, keep_source, mesh_inbound)| Options {
                mesh_inbound,
                capture,
                keep_source,
                nodeport_addresses,
                pod_cidrs,
                ..Options::default()
            },
        )
}

pub fn read(value: &Value) -> Object {
    object(value.clone()).unwrap().unwrap()
}

/// Objects and views that are left after all operations.
pub fn rest(ops: &[Op]) -> (Vec<Object>, BTreeSet<View>) {
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

pub fn run(options: Options, ops: &[Op]) -> World {
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
