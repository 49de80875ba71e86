//! No world makes a proxy connect to itself without end: whatever endpoints name, and in whatever
//! order objects come and go.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use seaway_proto::{TypeUrl, json};
use seaway_translator::model::Node;
use seaway_translator::{Change, NodePortAddresses, Object, Options, Reason, Role, View};
use serde_json::{Value, json};
use support::{World, object, one, service, slice, view};

const ANY: fn() -> View = || view(Role::Node, "", "");

/// A Service with port 80, a node port where it is not 0, and external IPs.
fn frontends(name: &str, ip: &str, node_port: u16, external: &[&str]) -> Object {
    let node_port = (node_port != 0).then_some(node_port);
    let value = json!({"kind": "Service", "metadata": {"namespace": "d", "name": name}, "spec": {"clusterIP": ip,
        "externalIPs": external, "ports": [{"name": "http", "port": 80, "nodePort": node_port}]}});
    object(value).unwrap().unwrap()
}

/// A slice of the Service, with these endpoints on this port.
fn at(service: &str, ips: &[&str], port: u16) -> Object {
    let endpoints: Vec<Value> = ips.iter().map(|ip| json!({"addresses": [ip]})).collect();
    let value = json!({"kind": "EndpointSlice", "metadata": {"namespace": "d", "name": format!("{service}-{port}"),
        "labels": {"kubernetes.io/service-name": service}}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}], "endpoints": endpoints});
    object(value).unwrap().unwrap()
}

fn node(name: &str, ip: &str) -> Object {
    one(&format!(
        "{{kind: Node, metadata: {{name: {name}}}, status: {{addresses: [{{type: InternalIP, address: {ip}}}]}}}}"
    ))
}

fn refused(world: &World) -> Vec<String> {
    let problems = world.translator.problems().into_iter();
    let own = problems.filter(|problem| problem.reason == Reason::EndpointIsService);
    own.map(|problem| format!("{} {}: {}", problem.object, problem.field, problem.message))
        .collect()
}

fn served(world: &World, service: &str) -> String {
    world.endpoints(&format!("d/{service}/80"), &ANY())
}

/// Whichever of the three comes last, and whichever goes first.
#[test]
fn an_endpoint_is_refused_while_its_address_is_a_services() {
    let ours = [
        service("a", "10.96.0.1", ""),
        at("a", &["10.96.0.2", "10.1.0.1"], 80),
    ];
    let other = service("b", "10.96.0.2", "");
    let problem = "EndpointSlice d/a-80 endpoints[0].addresses[0]: 10.96.0.2:80 TCP is an address of Service d/b; a Service's address \
                   is nobody's endpoint";
    let orders: [[Object; 3]; 3] = [
        [ours[0].clone(), ours[1].clone(), other.clone()],
        [ours[1].clone(), other.clone(), ours[0].clone()],
        [other.clone(), ours[0].clone(), ours[1].clone()],
    ];
    for order in orders {
        let mut world = World::new(Options::default());
        for object in order {
            world.apply([object]);
        }
        assert_eq!(served(&world, "a"), "10.1.0.1:80");
        assert_eq!(refused(&world), [problem]);
        world.delete(&other);
        assert_eq!(served(&world, "a"), "10.1.0.1:80,10.96.0.2:80");
        assert_eq!(refused(&world), [""; 0]);
        world.apply([other.clone()]);
        world.apply([at("a", &["10.1.0.1"], 80)]);
        assert_eq!(refused(&world), [""; 0], "the endpoint is gone");
        world.apply([at("a", &["10.96.0.2"], 80)]);
        assert_eq!(refused(&world), [problem]);
        assert_eq!(served(&world, "a"), "");
        world.delete(&at("a", &[], 80));
        assert_eq!(refused(&world), [""; 0], "the slice is gone");
    }
}

/// A port that the Service does not have is no frontend; but nothing in a range for Services is
/// ever an endpoint.
#[test]
fn the_port_and_the_protocol_count_outside_of_the_services_range() {
    let world = |options: Options| {
        let mut world = World::new(options);
        world.apply([
            frontends("a", "10.96.0.1", 0, &[]),
            at("a", &["10.96.0.2", "203.0.113.9", "10.96.0.77"], 81),
            frontends("b", "10.96.0.2", 0, &["203.0.113.9"]),
        ]);
        (served(&world, "a"), refused(&world).len())
    };
    let all = "10.96.0.2:81,10.96.0.77:81,203.0.113.9:81";
    assert_eq!(world(Options::default()), (all.to_owned(), 0));
    let range = Options {
        service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
        ..Options::default()
    };
    assert_eq!(world(range), ("203.0.113.9:81".to_owned(), 2));
}

/// Whoever may create a Service must not be able to take others' pods out of service by claiming
/// their addresses.
#[test]
fn a_pod_is_not_lost_to_an_external_ip_that_somebody_claims() {
    let mut world = World::new(Options {
        pod_cidrs: vec!["10.1.0.0/16".parse().unwrap()],
        ..Options::default()
    });
    world.apply([
        frontends("a", "10.96.0.1", 0, &[]),
        at("a", &["10.1.0.1", "203.0.113.9"], 80),
    ]);
    world.apply([frontends(
        "thief",
        "10.96.0.2",
        0,
        &["10.1.0.1", "203.0.113.9"],
    )]);
    assert_eq!(served(&world, "a"), "10.1.0.1:80");
    // A Node says as much, as soon as it says so and as long.
    let node = |pods: &str| {
        let node = format!("{{kind: Node, metadata: {{name: n1}}, spec: {{podCIDRs: [{pods}]}}}}");
        one(&node)
    };
    let all = "10.1.0.1:80,203.0.113.9:80";
    for (pods, expected) in [
        ("203.0.113.0/24", all),
        ("203.0.112.0/24", "10.1.0.1:80"),
        ("203.0.113.8/31", all),
    ] {
        world.apply([node(pods)]);
        assert_eq!(served(&world, "a"), expected, "{pods}");
    }
    world.delete(&node(""));
    assert_eq!(served(&world, "a"), "10.1.0.1:80");
    assert_eq!(refused(&world).len(), 1);
}

/// Two nodes whose node ports name each other would loop over the wire. Any one that goes opens the
/// circle again.
#[test]
fn a_circle_of_node_ports_is_refused_while_it_is_closed() {
    let a = [
        frontends("a", "10.96.0.1", 30081, &[]),
        at("a", &["192.0.2.2"], 30082),
    ];
    let b = [
        frontends("b", "10.96.0.2", 30082, &[]),
        at("b", &["192.0.2.1"], 30081),
    ];
    let nodes = [node("n1", "192.0.2.1"), node("n2", "192.0.2.2")];
    let all: Vec<Object> = [a, b, nodes].concat();
    let mut world = World::new(Options::default());
    for object in all.iter().cycle().skip(3).take(all.len()) {
        world.apply([object.clone()]);
    }
    let closed = |world: &World| {
        assert_eq!(
            (served(world, "a").as_str(), served(world, "b").as_str()),
            ("", "")
        );
        assert_eq!(
            refused(world),
            [
                "EndpointSlice d/a-30082 endpoints[0].addresses[0]: 192.0.2.2:30082 TCP is an address of Service d/b, from which a way leads \
             back to Service d/a",
                "EndpointSlice d/b-30081 endpoints[0].addresses[0]: 192.0.2.1:30081 TCP is an address of Service d/a, from which a way leads \
             back to Service d/b",
            ]
        );
    };
    closed(&world);
    for object in &all {
        world.delete(object);
        assert_eq!(refused(&world), [""; 0], "without {}", object.id());
        let open = [("a", "192.0.2.2:30082"), ("b", "192.0.2.1:30081")];
        for (name, expected) in open {
            let gone = object.id().to_string();
            let without =
                gone.ends_with(&format!("/{name}")) || gone.contains(&format!("/{name}-"));
            assert!(
                without || served(&world, name) == expected,
                "{name} without {gone}"
            );
        }
        world.apply([object.clone()]);
        closed(&world);
    }
}

/// Out of a circle and into one, nothing is lost; the circle is that of Services, over whatever
/// addresses.
#[test]
fn only_the_edges_of_the_circle_are_refused() {
    let mut world = World::new(Options::default());
    world.apply([
        node("n1", "192.0.2.1"),
        node("n2", "192.0.2.2"),
        frontends("first", "10.96.0.1", 30081, &[]),
        at("first", &["192.0.2.1", "10.1.0.1"], 30082),
        frontends("a", "10.96.0.2", 30082, &[]),
        at("a", &["192.0.2.1", "192.0.2.2", "10.1.0.2"], 80),
        frontends("b", "10.96.0.3", 0, &["192.0.2.1"]),
        at("b", &["192.0.2.2"], 30083),
        frontends("c", "10.96.0.4", 30083, &[]),
        at("c", &["192.0.2.1"], 30082),
        at("c", &["192.0.2.2"], 30084),
        frontends("last", "10.96.0.5", 30084, &[]),
        at("last", &["10.1.0.3"], 80),
    ]);
    let expected = [
        ("first", "10.1.0.1:30082,192.0.2.1:30082"),
        ("a", "10.1.0.2:80,192.0.2.2:80"),
        ("b", ""),
        ("c", "192.0.2.2:30084"),
        ("last", "10.1.0.3:80"),
    ];
    for (name, endpoints) in expected {
        assert_eq!(served(&world, name), endpoints, "{name}");
    }
    assert_eq!(refused(&world).len(), 3);
}

/// Node ports that are not served on an address are no frontends there.
#[test]
fn an_address_without_node_ports_leads_to_the_node() {
    let world = |range: &str| {
        let mut world = World::new(Options {
            nodeport_addresses: range.parse::<NodePortAddresses>().unwrap(),
            ..Options::default()
        });
        world.apply([
            node("n1", "192.0.2.1"),
            frontends("a", "10.96.0.1", 30081, &[]),
            at("a", &["192.0.2.1"], 30081),
        ]);
        served(&world, "a")
    };
    assert_eq!(world("192.0.2.0/24"), "");
    assert_eq!(world("198.51.100.0/24"), "192.0.2.1:30081");
}

/// An ingress controller in the node's network whose Service lists all nodes: on its node it
/// answers, elsewhere the Service does.
#[test]
fn a_daemon_answers_at_its_own_address() {
    let mut world = World::new(Options::default());
    let external = |world: &World| -> Vec<String> {
        let names = world.names(TypeUrl::LISTENER, &ANY()).into_iter();
        names.filter(|name| name.contains("externalip")).collect()
    };
    let listener = |ip: &str| format!("d/ingress/80@externalip:{ip}:80");
    let nodes = ["192.0.2.1", "192.0.2.2"];
    world.apply([
        node("n1", nodes[0]),
        node("n2", nodes[1]),
        frontends("ingress", "10.96.0.1", 0, &nodes),
        at("ingress", &nodes[..1], 80),
        // To the daemon from another Service: no edge, so no circle either.
        frontends("other", "10.96.0.2", 30080, &[]),
        at("other", &nodes[..1], 80),
        at("ingress", &["10.1.0.1", nodes[1]], 30080),
    ]);
    let both = "10.1.0.1:30080,192.0.2.1:80,192.0.2.2:30080";
    assert_eq!(
        (external(&world), served(&world, "ingress").as_str()),
        (vec![listener(nodes[1])], both)
    );
    assert_eq!(served(&world, "other"), "192.0.2.1:80");
    assert_eq!(world.translator.problems(), []);

    world.apply([at("ingress", &[], 80)]);
    assert_eq!(
        external(&world),
        nodes.map(listener),
        "no daemon, no reason"
    );
    assert_eq!(
        served(&world, "other"),
        "",
        "now it leads to ingress, and back"
    );
    world.apply([at("ingress", &nodes, 80)]);
    assert_eq!(external(&world), [""; 0]);
    assert_eq!(world.translator.problems(), []);

    world.delete(&node("n2", nodes[1]));
    assert_eq!(
        external(&world),
        [listener(nodes[1])],
        "no Node's address: a Service's"
    );
    assert_eq!(refused(&world).len(), 1);
}

/// A request for a Service that came to the mesh proxy's own listener would be routed there again.
#[test]
fn the_listener_of_mesh_proxies_is_no_endpoint() {
    let mut world = World::new(Options {
        allow_loopback_endpoints: true,
        ..Options::default()
    });
    world.apply([
        service("a", "10.96.0.1", ""),
        at("a", &["127.0.0.1"], 15001),
    ]);
    world.apply([at("a", &["127.0.0.1"], 15002)]);
    assert_eq!(served(&world, "a"), "127.0.0.1:15002");
    assert_eq!(refused(&world).len(), 1);
}

/// A change of a frontend is its own resources and the assignments of those who led there.
#[test]
fn a_frontend_concerns_only_those_who_lead_there() {
    let mut world = World::new(Options::default());
    world.flush();
    for i in 0..50 {
        let name = format!("s{i}");
        world.apply([
            frontends(&name, &format!("10.96.1.{i}"), 0, &[]),
            slice(
                &format!("{name}-1"),
                &name,
                "[{addresses: [192.0.2.1]}, {addresses: [10.1.0.1]}]",
            ),
        ]);
    }
    world.apply([
        frontends("a", "10.96.0.1", 0, &[]),
        at("a", &["192.0.2.1", "203.0.113.1"], 30080),
    ]);
    world.apply([node("n1", "192.0.2.1")]);
    let (b, thief) = (
        frontends("b", "10.96.0.2", 30080, &[]),
        frontends("c", "10.96.0.3", 0, &["203.0.113.1", "192.0.2.1"]),
    );
    let before = world.published.clone();
    assert_eq!(
        origins(&mut world, Change::Apply(b.clone())),
        ["Service d/a", "Service d/b"],
        "nothing is on a circle, but a leads there now"
    );
    assert_eq!(
        origins(&mut world, Change::Apply(thief.clone())),
        ["Service d/c"]
    );
    origins(&mut world, Change::Delete(b.id()));
    origins(&mut world, Change::Delete(thief.id()));
    assert_eq!(world.published, before);
    assert_eq!(
        origins(&mut world, Change::Apply(node("n9", "192.0.2.9"))),
        [""; 0]
    );
}

/// Which origins a change translates, whether or not anything comes out different.
fn origins(world: &mut World, change: Change) -> Vec<String> {
    world.translator.apply(change);
    let replaces = world.translator.flush();
    let mut origins: Vec<String> = replaces.iter().map(|r| r.origin.to_string()).collect();
    world.published.take(replaces);
    origins.sort();
    origins
}

/// Two thousand Services that lead to one another in one circle: the cost of a further edge is
/// bounded by that of the circle.
#[test]
fn a_flood_of_edges_is_no_trouble() {
    const COUNT: u16 = 2_000;
    let mut world = World::new(Options::default());
    world.apply([node("n1", "192.0.2.1")]);
    let port = |i: u16| 30_000 + i % COUNT;
    let mut objects = Vec::new();
    for i in 0..COUNT {
        let (name, ip) = (
            format!("s{i}"),
            format!("10.97.{}.{}", i / 250, i % 250 + 1),
        );
        objects.push(frontends(&name, &ip, port(i), &[]));
        objects.push(at(&name, &["192.0.2.1"], port(i + 1)));
    }
    world.apply(objects);
    assert_eq!(refused(&world).len(), usize::from(COUNT));
    let extra = at("s1", &["192.0.2.1"], port(1000));
    let begun = Instant::now();
    for _ in 0..3 {
        world.apply([extra.clone()]);
        world.delete(&extra);
    }
    // Six changes; without a bound on the cost of an edge they take minutes.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    let gone = frontends("s7", "10.97.0.8", port(7), &[]);
    world.delete(&gone);
    assert_eq!(refused(&world), [""; 0], "a circle that is cut is none");
}

// Small enough a world that circles are frequent.
const NODES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const NAMES: [&str; 3] = ["a", "b", "c"];

fn a_service() -> impl Strategy<Value = Value> {
    let addresses = subsequence(
        vec!["192.0.2.1", "192.0.2.2", "203.0.113.1", "203.0.113.2"],
        0..=2,
    );
    let ports = (
        select(&[80, 30080, 30081][..]),
        select(&[0, 30080, 30081, 30082][..]),
        select(&["TCP", "UDP"][..]),
    );
    (select(&NAMES[..]), 1..4u8, addresses.clone(), addresses, ports).prop_map(|(name, ip, external, lb, (port, node_port, protocol))| {
        let ingress: Vec<Value> = lb.iter().map(|ip| json!({"ip": ip, "ipMode": "VIP"})).collect();
        json!({"kind": "Service", "metadata": {"namespace": "d", "name": name},
            "spec": {"type": "LoadBalancer", "clusterIP": format!("10.96.0.{ip}"), "externalIPs": external,
                "ports": [{"name": "x", "port": port, "nodePort": node_port, "protocol": protocol}]},
            "status": {"loadBalancer": {"ingress": ingress}}})
    })
}

fn a_slice() -> impl Strategy<Value = Value> {
    let ips = subsequence(
        vec![
            "192.0.2.1",
            "192.0.2.2",
            "203.0.113.1",
            "203.0.113.2",
            "10.96.0.1",
            "10.96.0.2",
            "10.1.0.1",
        ],
        0..=3,
    );
    let port = select(&[80, 30080, 30081, 30082][..]);
    (select(&["x", "y", "z"][..]), select(&NAMES[..]), ips, port, select(&["TCP", "UDP"][..])).prop_map(
        |(name, service, ips, port, protocol)| {
            let endpoints: Vec<Value> = ips.iter().map(|ip| json!({"addresses": [ip]})).collect();
            json!({"kind": "EndpointSlice", "metadata": {"namespace": "d", "name": name,
                "labels": {"kubernetes.io/service-name": service}}, "addressType": "IPv4",
                "ports": [{"name": "x", "port": port, "protocol": protocol}], "endpoints": endpoints})
        },
    )
}

fn a_node() -> impl Strategy<Value = Value> {
    let pods = subsequence(vec!["203.0.113.0/31", "203.0.113.2/32"], 0..=2);
    (select(&["n1", "n2"][..]), subsequence(NODES.to_vec(), 0..=2), pods).prop_map(
        |(name, ips, pods)| {
            let addresses: Vec<Value> = ips
                .iter()
                .map(|ip| json!({"type": "InternalIP", "address": ip}))
                .collect();
            json!({"kind": "Node", "metadata": {"name": name}, "spec": {"podCIDRs": pods}, "status": {"addresses": addresses}})
        },
    )
}

/// Objects that come and go, and whether each is looked at at once.
fn a_history() -> impl Strategy<Value = Vec<(Value, bool, bool)>> {
    let object = prop_oneof![3 => a_service(), 3 => a_slice(), 1 => a_node()];
    prop::collection::vec((object, prop::bool::weighted(0.8), any::<bool>()), 5..40)
}

/// Listeners by their address and protocol, each with the names of its clusters; and the endpoints
/// of each cluster.
fn datapath(
    world: &World,
) -> (
    BTreeMap<String, BTreeSet<String>>,
    BTreeMap<String, BTreeSet<String>>,
) {
    let socket = |address: &Value| {
        let socket = &address["socket_address"];
        format!(
            "{}:{}",
            socket["address"].as_str().unwrap(),
            socket["port_value"]
        )
    };
    let value = |resource: &seaway_proto::Resource| {
        json::to_value(resource.type_url.as_str(), &resource.value).unwrap()
    };
    let mut listeners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for listener in world.published.all(TypeUrl::LISTENER) {
        let clusters = listener
            .refs
            .iter()
            .filter(|target| target.type_url == TypeUrl::CLUSTER);
        let address = socket(&value(listener)["address"]);
        let protocol = if listener.name.contains("/udp@") {
            "udp"
        } else {
            "tcp"
        };
        let known = listeners
            .entry(format!("{address}/{protocol}"))
            .or_default();
        known.extend(clusters.map(|target| target.name.to_string()));
    }
    let mut clusters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for assignment in world.published.all(TypeUrl::ENDPOINT) {
        let protocol = if assignment.name.contains("/udp") {
            "udp"
        } else {
            "tcp"
        };
        let known = clusters.entry(assignment.name.to_string()).or_default();
        for group in value(assignment)["endpoints"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let endpoints = group["lb_endpoints"].as_array().unwrap().iter();
            known.extend(
                endpoints.map(|e| format!("{}/{protocol}", socket(&e["endpoint"]["address"]))),
            );
        }
    }
    (listeners, clusters)
}

/// Follows every listener to the listeners that its endpoints are; what is routed to pods reaches
/// none. The walk is over when the longest way there can be is behind it.
fn has_loop(world: &World, nodes: &[Node]) -> bool {
    let (listeners, clusters) = datapath(world);
    let next = |listener: &String| -> BTreeSet<String> {
        let endpoints = listeners[listener]
            .iter()
            .filter_map(|name| clusters.get(name))
            .flatten();
        let listens = |endpoint: &String| {
            let (ip, port) = endpoint.split_once(':').unwrap();
            let ip: IpAddr = ip.parse().unwrap();
            let is_node = nodes.iter().any(|node| node.addresses.contains(&ip));
            let is_pod = |node: &Node| node.pod_cidrs.iter().any(|range| range.contains(&ip));
            if !is_node && nodes.iter().any(is_pod) {
                return None;
            }
            let wildcard = is_node.then(|| format!("0.0.0.0:{port}"));
            [Some(endpoint.clone()), wildcard]
                .into_iter()
                .flatten()
                .find(|address| listeners.contains_key(address))
        };
        endpoints.filter_map(listens).collect()
    };
    let mut reached: BTreeSet<String> = listeners.keys().cloned().collect();
    for _ in 0..listeners.len() {
        reached = reached.iter().flat_map(next).collect();
    }
    !reached.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_ends_in_a_loop_and_all_end_where_a_fresh_start_does(history in a_history(), range in any::<bool>()) {
        let options = Options {
            service_cidrs: if range { vec!["10.96.0.0/31".parse().unwrap()] } else { Vec::new() },
            ..Options::default()
        };
        let mut world = World::new(options.clone());
        let mut left: BTreeMap<String, Object> = BTreeMap::new();
        for (value, comes, looked_at) in history {
            let object = object(value).unwrap().unwrap();
            let id = object.id();
            if comes {
                left.insert(id.to_string(), object.clone());
                world.translator.apply(Change::Apply(object));
            } else {
                left.remove(&id.to_string());
                world.translator.apply(Change::Delete(id));
            }
            if looked_at {
                world.flush();
            }
        }
        world.flush();
        let mut fresh = World::new(options);
        fresh.apply(left.values().rev().cloned());
        prop_assert_eq!(&world.published, &fresh.published);
        prop_assert_eq!(world.translator.problems(), fresh.translator.problems());
        let nodes = left.values().filter_map(|object| match object {
            Object::Node(node) => Some((**node).clone()),
            _ => None,
        });
        prop_assert!(!has_loop(&world, &nodes.collect::<Vec<_>>()));
    }
}
