//! Broken and hostile objects harm only themselves: whatever stands in their fields, nothing
//! panics, what good neighbours get stays the same to the byte, and what is wrong is said with the
//! object's name and the field.
//!
//! `testdata/hostile.yaml` is a sample of such objects; it is given to a real Envoy as all golden
//! inputs are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use seaway_proto::{Resource, TypeUrl};
use seaway_translator::{NodePortAddresses, Object, Options, Role, View, read};
use serde_json::{Value, json};
use support::{World, object, one, view};

/// What garbage is made of: values that are almost good, values that mean something elsewhere, and
/// noise.
fn text() -> impl Strategy<Value = String> {
    const NASTY: &[&str] = &[
        "",
        " ",
        "None",
        "Local",
        "ClientIP",
        "UDP",
        "SCTP",
        "10.0.0.1",
        "010.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "127.0.0.1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "224.0.0.1",
        "169.254.169.254",
        "fd00:ec2::254",
        "fe80::1%eth0",
        "10.0.0.0/8",
        "0.0.0.0/0",
        "10.0.0.0/33",
        "/",
        "a/b",
        "../..",
        "a~local",
        "x@clusterip:1.2.3.4:5",
        "%CEL(1/0)%",
        "*",
        "http/15001",
        "healthz",
        "\u{0}",
        "{{",
        "v1",
        "v3",
        "4294967296",
        "-1",
        "www.example.com",
        "localhost",
        "kubernetes.io/h2c",
        "LoadBalancer",
        "ExternalName",
    ];
    prop_oneof![4 => select(NASTY).prop_map(str::to_owned), 2 => "\\PC{0,20}", 1 => Just("x".repeat(300))]
}

fn number() -> impl Strategy<Value = i32> {
    let known = select(
        &[
            0,
            -1,
            1,
            53,
            80,
            8080,
            30080,
            65_535,
            65_536,
            i32::MIN,
            i32::MAX,
        ][..],
    );
    prop_oneof![3 => known, 1 => any::<i32>()]
}

/// Good objects with every field that is read.
fn originals() -> [Value; 3] {
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080, "appProtocol": "http"},
        {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053, "appProtocol": ""}]);
    [
        json!({"kind": "Service",
            "metadata": {"namespace": "bad", "name": "bad", "labels": {"service.kubernetes.io/service-proxy": ""}, "annotations": {
                "seaway.dev/local-fallback": "cluster", "seaway.dev/proxy-protocol": "v1", "seaway.dev/outlier-detection": "3"}},
            "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"],
                "ipFamilies": ["IPv4", "IPv6"], "externalIPs": ["198.51.100.1"], "externalName": "x.example", "ports": ports,
                "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000,
                "loadBalancerSourceRanges": ["10.0.0.0/8"], "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}, "trafficDistribution": "PreferClose"},
            "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.2", "ipMode": "VIP", "hostname": "a.example"}]}}}),
        json!({"kind": "EndpointSlice",
            "metadata": {"namespace": "bad", "name": "bad-1", "labels": {"kubernetes.io/service-name": "bad"},
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}],
            "endpoints": [{"addresses": ["10.1.0.1", "10.1.0.2"], "hostname": "bad-0", "nodeName": "n1", "zone": "za",
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "hints": {"forZones": [{"name": "za"}], "forNodes": [{"name": "n1"}]}}]}),
        json!({"kind": "Node", "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "za",
                "topology.kubernetes.io/region": "r"}},
            "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "taints": [{"key": "x", "effect": "NoSchedule", "value": ""}]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}}),
    ]
}

/// The leaves of a document, and its lists.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "kind") {
                places(value, &format!("{path}/{}", key.replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            found.push(path.to_owned());
            for (i, value) in items.iter().enumerate() {
                places(value, &format!("{path}/{i}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// A good object in which some fields are garbage of the same type, and some lists are doubled,
/// emptied, or gone.
fn an_object() -> impl Strategy<Value = Value> {
    let damage = prop::collection::vec((any::<Index>(), text(), number(), 0..4u8), 1..6);
    (select(originals().to_vec()), damage).prop_map(|(mut value, damage)| {
        for (place, text, number, how) in damage {
            let mut found = Vec::new();
            places(&value, "", &mut found);
            let place: &String = place.get(&found);
            let place = value.pointer_mut(place).unwrap();
            match place {
                Value::Array(items) if how == 0 => items.clear(),
                Value::Array(items) => items.extend(items.clone()),
                Value::Number(_) => *place = number.into(),
                Value::Bool(now) => *now = !*now,
                // Kinds are told by their type; times have a format that their type checks.
                other => *other = text.into(),
            }
        }
        value
    })
}

const GOOD: [&str; 3] = [
    "{kind: Service, metadata: {namespace: good, name: good}, spec: {type: LoadBalancer, clusterIP: 10.96.9.9, externalTrafficPolicy: Local, \
     healthCheckNodePort: 31999, sessionAffinity: ClientIP, ports: [{name: http, port: 80, nodePort: 31998}, \
     {name: dns, port: 53, protocol: UDP}]}, status: {loadBalancer: {ingress: [{ip: 203.0.113.9}]}}}",
    "{kind: EndpointSlice, metadata: {namespace: good, name: good-1, labels: {kubernetes.io/service-name: good}}, addressType: IPv4, \
     ports: [{name: http, port: 8080}, {name: dns, port: 53, protocol: UDP}], endpoints: [{addresses: [10.9.0.1], nodeName: good, zone: zg}]}",
    "{kind: Node, metadata: {name: good, labels: {topology.kubernetes.io/zone: zg}}, spec: {podCIDRs: [10.9.0.0/24]}, \
     status: {addresses: [{type: InternalIP, address: 203.0.113.1}]}}",
];

fn good(world: &World, view: &View) -> Vec<Resource> {
    let seen = world.published.seen(&world.translator.place(view));
    let own = |name: &str| name.starts_with("good/") || name.contains("/good/");
    let mut found = seen.into_iter().filter(|((_, name), _)| own(name));
    let found: Vec<Resource> = found.by_ref().map(|(_, resource)| resource).collect();
    assert!(found.iter().any(|r| r.type_url == TypeUrl::LISTENER) || view.role != Role::Node);
    found
}

fn world(options: &Options, views: &[View]) -> World {
    let mut world = World::with(options.clone());
    for view in views {
        world.translator.activate(view);
    }
    world.apply(GOOD.map(one));
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neighbours_of_broken_objects_get_what_they_got(
        values in prop::collection::vec(an_object(), 1..8),
        mode in select(&["all", "primary", "203.0.113.0/24"][..]),
    ) {
        let options = Options {
            nodeport_addresses: mode.parse::<NodePortAddresses>().unwrap(),
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
            ..Options::default()
        };
        let views = [view(Role::Node, "good", "zg"), view(Role::Mesh, "good", "")];
        let mut world = world(&options, &views);
        let before = views.each_ref().map(|view| good(&world, view));
        let mut objects: Vec<Object> = Vec::new();
        for value in values {
            match object(value) {
                Ok(object) => objects.extend(object),
                Err(problem) => prop_assert!(problem.field.starts_with("metadata."), "{problem:?}"),
            }
        }
        let bad: Vec<Object> = objects.iter().filter(|object| !object.id().to_string().contains("good")).cloned().collect();
        world.apply(bad.clone());
        prop_assert_eq!(&before, &views.each_ref().map(|view| good(&world, view)));
        for problem in world.translator.problems() {
            let named = bad.iter().any(|object| Some(&object.id()) == problem.object.object());
            prop_assert!(named && !problem.field.is_empty() && !problem.message.is_empty(), "{problem:?}");
        }
        for object in &bad {
            world.delete(object);
        }
        prop_assert_eq!(world.translator.problems(), Vec::new(), "what is gone has no problems");
        prop_assert_eq!(&world.published, &self::world(&options, &views).published);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// xDS rule 148: what a checkpoint keeps is what was read, whatever was read.
    #[test]
    fn what_was_read_survives_being_written_down(value in an_object()) {
        let Ok(Some(object)) = object(value) else { return Ok(()) };
        let text = serde_json::to_string(&object).unwrap();
        let back: Object = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read::validate(back), Ok(object));
    }
}

#[test]
fn what_no_reading_gives_does_not_come_back() {
    let [service, slice, node] = originals().map(|value| {
        let object = object(value).unwrap().unwrap();
        serde_json::to_value(object).unwrap()
    });
    let refused = |object: &Value, path: &str, value: Value| {
        let mut object = object.clone();
        let place = object.pointer_mut(path);
        *place.unwrap_or_else(|| panic!("no {path}")) = value;
        let back = serde_json::from_value::<Object>(object);
        assert!(
            back.is_err() || read::validate(back.unwrap()).is_err(),
            "{path}"
        );
    };
    for (path, value) in [
        ("/Service/key/name", json!("Bad")),
        ("/Service/cluster_ips", json!(["10.0.0.1", "10.0.0.2"])),
        ("/Service/cluster_ips", json!(["::ffff:10.0.0.1"])),
        (
            "/Service/exposure",
            json!({"LoadBalancer": [{"Hostname": "a b"}]}),
        ),
        (
            "/Service/exposure",
            json!({"LoadBalancer": vec![json!({"Ip": "10.0.0.1"}); 17]}),
        ),
        ("/Service/accounts", json!(["*"])),
        ("/Service/accounts", json!(["b", "a"])),
        ("/Service/accounts", json!(vec!["a"; 40])),
        ("/Service/kind", json!("Headless")),
        ("/Service/kind", json!({"ExternalName": "1.2.3.4/"})),
        ("/Service/ports/0/number", json!(0)),
        ("/Service/ports/1", json!(service["Service"]["ports"][0])),
        ("/Service/affinity", json!(90_000)),
        ("/Service/source_ranges/v4", json!(["10.0.0.1/8"])),
        ("/Service/source_ranges/v6", json!(["10.0.0.0/8"])),
        ("/Service/problems", json!([{"object": "x"}])),
        ("/Service", json!({})),
    ] {
        refused(&service, path, value);
    }
    for (path, value) in [
        ("/EndpointSlice/service/namespace", json!("elsewhere")),
        ("/EndpointSlice/endpoints/0/ip", json!("::ffff:10.0.0.1")),
        ("/EndpointSlice/endpoints/0/node", json!("")),
        ("/EndpointSlice/endpoints/0/hostname", json!("a.b")),
        ("/EndpointSlice/endpoints/0/zone_hints", json!(["b", "a"])),
        ("/EndpointSlice/endpoints/0/node_hints", json!(["a", "a"])),
        ("/EndpointSlice/endpoints/0/condition", json!("Great")),
    ] {
        refused(&slice, path, value);
    }
    for (path, value) in [
        ("/Node/name", json!("")),
        ("/Node/addresses", json!(["10.0.0.1", "10.0.0.1"])),
        ("/Node/pod_cidrs", json!(["10.0.0.1/8"])),
        ("/Node/zone", json!("")),
    ] {
        refused(&node, path, value);
    }
}

/// The most that fits: every port number of a Service, a thousand endpoints, all of them twice.
#[test]
fn the_largest_objects_are_no_trouble() {
    let ports: Vec<Value> = (1..=65_535)
        .map(|port| json!({"name": format!("p{port}"), "port": port}))
        .collect();
    let large = json!({"kind": "Service", "metadata": {"namespace": "d", "name": "large"},
        "spec": {"clusterIP": "10.96.0.1", "ports": ports}});
    let endpoints: Vec<Value> = (0..1000)
        .map(|i| json!({"addresses": [format!("10.1.{}.{}", i / 250, i % 250 + 1)]}))
        .collect();
    let slice = |name: &str| {
        json!({"kind": "EndpointSlice", "metadata": {"namespace": "d", "name": name,
            "labels": {"kubernetes.io/service-name": "large"}},
            "addressType": "IPv4", "ports": [{"name": "p80", "port": 80}, {"name": "p80", "port": 80}], "endpoints": endpoints})
    };
    let mut world = World::new(Options::default());
    let n1 = view(Role::Node, "n1", "");
    world.translator.activate(&n1);
    let objects =
        [large, slice("large-1"), slice("large-2")].map(|value| object(value).unwrap().unwrap());
    world.apply(objects);
    assert_eq!(world.names(TypeUrl::CLUSTER, &n1).len(), 65_535);
    let listeners = world.names(TypeUrl::LISTENER, &n1);
    assert_eq!(listeners, ["d/large/80@clusterip:10.96.0.1:80"]);
    assert_eq!(world.endpoints("d/large/80", &n1).split(',').count(), 1000);
}

#[test]
fn addresses_of_the_host_and_of_clouds_are_no_endpoints_unless_they_are_allowed() {
    let refused = [
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
    ];
    let endpoints = |options: Options| {
        let mut world = World::new(options);
        let list: Vec<String> = refused
            .iter()
            .chain(&["10.1.0.1"])
            .map(|ip| format!("{{addresses: [{ip}]}}"))
            .collect();
        let list = format!("[{}]", list.join(", "));
        world.apply([
            support::service("web", "10.96.0.1", ""),
            support::slice("web-1", "web", &list),
        ]);
        let problems = world.translator.problems().len();
        (
            world.endpoints("d/web/80", &view(Role::Node, "n1", "")),
            problems,
        )
    };
    let (served, problems) = endpoints(Options::default());
    assert_eq!(
        (served.as_str(), problems),
        ("10.1.0.1:8080", refused.len())
    );
    let allowed = Options {
        allow_endpoint_cidrs: vec!["0.0.0.0/0".parse().unwrap()],
        ..Options::default()
    };
    let (served, problems) = endpoints(allowed);
    assert_eq!(
        (served.split(',').count(), problems),
        (refused.len() + 1, 0)
    );
}
