//! What a fleet costs: what is a single node's own is made for that node alone, however many there
//! are, and what is told is what changed.

mod support;

use seaway_translator::{Change, NodePortAddresses, Object, Options, Role};
use support::{World, one, service, slice, view};

const LOCAL: &str = ", type: LoadBalancer, externalTrafficPolicy: Local, externalIPs: [192.0.2.80]";
const PER_NODE: &str = ", type: LoadBalancer, externalTrafficPolicy: Local, externalIPs: [192.0.2.80], healthCheckNodePort: 31000";

fn endpoint(ip: &str, node: &str) -> String {
    format!("{{addresses: [{ip}], nodeName: {node}}}")
}

/// A Node with one address and one range of pods.
fn node(name: &str, zone: &str, ip: &str, pods: &str) -> Object {
    one(&format!(
        "{{kind: Node, metadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: \"{zone}\", other: \"{ip}\"}}}}, \
         spec: {{podCIDRs: [{pods}]}}, status: {{addresses: [{{type: InternalIP, address: {ip}}}]}}}}"
    ))
}

/// So many nodes with a proxy and an endpoint each, and a Service with listeners and assignments of
/// its own on every one of them.
fn fleet(nodes: u8, extra: &str) -> World {
    let mut world = World::new(Options::default());
    for number in 0..nodes {
        join(&mut world, number);
    }
    let on = |number| endpoint(&format!("10.244.{number}.1"), &format!("n{number}"));
    let all: Vec<String> = (0..nodes).map(on).collect();
    let all = format!("[{}]", all.join(", "));
    world.apply([
        service("web", "10.96.0.1", extra),
        slice("web-1", "web", &all),
    ]);
    world
}

fn join(world: &mut World, number: u8) {
    let name = format!("n{number}");
    world.translator.activate(&view(Role::Node, &name, ""));
    let (ip, pods) = (format!("192.0.2.{number}"), format!("10.244.{number}.0/24"));
    world.apply([node(&name, "za", &ip, &pods)]);
}

/// The layers of nodes in which something was made, whether or not it is another one than before,
/// each with how many resources.
fn made(world: &mut World) -> Vec<String> {
    let replaces = world.translator.flush();
    let of_nodes = replaces.iter().flat_map(|replace| &replace.resources);
    let mut layers: Vec<String> = of_nodes
        .map(|(layer, resource)| format!("{layer} {}", resource.type_url.short()))
        .filter(|line| line.starts_with("node"))
        .collect();
    layers.sort();
    world.published.take(replaces);
    layers
}

/// A node that joins a fleet is that node's listeners, and nobody else's; so is one whose addresses
/// change, and one that leaves.
#[test]
fn a_node_that_joins_is_made_its_own_listeners_alone() {
    for extra in [LOCAL, PER_NODE] {
        let mut world = fleet(20, extra);
        let name = "n90";
        world.translator.activate(&view(Role::Node, name, ""));
        assert_eq!(made(&mut world), [""; 0], "nothing is known of it");
        let at = |ip: &str| node(name, "za", ip, "10.244.90.0/24");
        for ip in ["192.0.2.90", "192.0.2.91"] {
            world.translator.apply(Change::Apply(at(ip)));
            assert_eq!(made(&mut world), ["node-role:n90 Listener"], "{extra}");
        }
        world.translator.deactivate(&view(Role::Node, name, ""));
        let replaces = world.translator.flush();
        let of_nodes = |origin: &str| origin.contains(" node");
        let gone: Vec<String> = replaces
            .iter()
            .map(|r| r.origin.to_string())
            .filter(|o| of_nodes(o))
            .collect();
        assert_eq!(gone, ["Service d/web node-role:n90"]);
        assert!(
            replaces
                .iter()
                .all(|r| !of_nodes(&r.origin.to_string()) || r.resources.is_empty())
        );
    }
}

/// The same where node ports are served on the addresses of each node.
#[test]
fn a_node_that_joins_is_made_its_own_node_ports_alone() {
    let mut world = World::new(Options {
        nodeport_addresses: NodePortAddresses::Primary,
        ..Options::default()
    });
    (0..20).for_each(|number| join(&mut world, number));
    let balanced = one(
        "{kind: Service, metadata: {namespace: d, name: web}, spec: {type: NodePort, clusterIP: 10.96.0.1, \
         ports: [{name: http, port: 80, nodePort: 30080}]}}",
    );
    world.apply([
        balanced,
        slice("web-1", "web", "[{addresses: [10.244.0.7]}]"),
    ]);
    world.translator.activate(&view(Role::Node, "n90", ""));
    let joining = node("n90", "za", "192.0.2.90", "10.244.90.0/24");
    world.translator.apply(Change::Apply(joining));
    assert_eq!(made(&mut world), ["node-role:n90 Listener"]);
}

/// One endpoint is the assignment of its node and the answer of that node's health check.
#[test]
fn an_endpoint_of_a_local_service_is_made_the_assignment_of_its_node_alone() {
    let mut world = fleet(20, PER_NODE);
    let more = slice(
        "web-2",
        "web",
        &format!("[{}]", endpoint("10.244.7.2", "n7")),
    );
    for _ in 0..2 {
        world.translator.apply(Change::Apply(more.clone()));
        assert_eq!(
            made(&mut world),
            [
                "node-role:n7 Listener",
                "node-role:n7 RouteConfiguration",
                "node:n7@za ClusterLoadAssignment"
            ]
        );
        world.translator.apply(Change::Delete(more.id()));
        made(&mut world);
    }
}

/// In a sick cluster many problems stand: a change tells of those that appear and end with it,
/// once.
#[test]
fn problems_that_stand_are_not_told_again() {
    let mut world = fleet(3, LOCAL);
    let bad = |name: String| service(&name, "10.96.0.1", LOCAL);
    world.apply((0..100).map(|number| bad(format!("bad-{number:02}"))));
    let told = |world: &mut World| -> Vec<(String, bool)> {
        let changes = world.translator.take_problem_changes().into_iter();
        changes
            .map(|(problem, stands)| (problem.object.to_string(), stands))
            .collect()
    };
    assert_eq!(told(&mut world).len(), world.translator.problems().len());
    world.apply([service("fine", "10.96.0.9", "")]);
    assert_eq!(told(&mut world), []);
    let one = bad("bad-07".to_owned());
    world.delete(&one);
    let of_one = told(&mut world);
    assert!(
        !of_one.is_empty()
            && of_one
                .iter()
                .all(|t| *t == ("Service d/bad-07".into(), false))
    );
    world.apply([one.clone()]);
    world.delete(&one);
    assert_eq!(told(&mut world), [], "it came and went");
}
