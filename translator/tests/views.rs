//! Views and layers: who sees what, and what comes and goes with a view or a Node.

mod support;

use seaway_translator::{NodePortAddresses, Options, Role};
use support::{World, node, one, service, slice, view};

const A: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za}]";
const AB: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za}, {addresses: [10.1.0.2], nodeName: n2, zone: zb}]";
const HINTED: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za, hints: {forZones: [{name: za}]}}, \
     {addresses: [10.1.0.2], nodeName: n2, zone: zb, hints: {forZones: [{name: zb}]}}]";

fn world() -> World {
    World::new(Options::default())
}

/// T127, for a Service whose assignment lies in several layers.
#[test]
fn an_endpoint_change_is_one_assignment_per_layer() {
    let mut world = world();
    for (node, zone) in [("n1", "za"), ("n2", "zb"), ("n3", "zc")] {
        world.translator.activate(&view(Role::Node, node, zone));
    }
    let near = one(
        "{kind: Service, metadata: {namespace: d, name: near, annotations: {seaway.dev/local-fallback: cluster}}, \
         spec: {clusterIP: 10.96.0.1, internalTrafficPolicy: Local, ports: [{name: http, port: 80}]}}",
    );
    world.apply([near, slice("near-1", "near", AB)]);
    let changed = world.apply([slice(
        "near-2",
        "near",
        "[{addresses: [10.1.0.3], nodeName: n3, zone: zc}]",
    )]);
    // In each zone here the zone's endpoint is the node's too: the node layers would hold nothing
    // else.
    let layers = ["all", "zone:za", "zone:zb", "zone:zc"];
    let expected = layers.map(|layer| format!("{layer} ClusterLoadAssignment d/near/80~local"));
    assert_eq!(changed, expected);
}

#[test]
fn t067_a_node_label_moves_its_proxies_to_other_layers() {
    let mut world = world();
    let n1 = view(Role::Node, "n1", "");
    world.apply([
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", HINTED),
        node("n1", "za", ""),
    ]);
    world.translator.activate(&n1);
    assert_eq!(world.flush(), ["zone:za ClusterLoadAssignment d/web/80"]);
    assert_eq!(
        world.endpoints("d/web/80", &n1),
        "10.1.0.1:8080 | 10.1.0.2:8080"
    );
    let changed = world.apply([node("n1", "zb", "")]);
    assert_eq!(
        changed,
        [
            "zone:za ClusterLoadAssignment d/web/80",
            "zone:zb ClusterLoadAssignment d/web/80"
        ]
    );
    assert_eq!(
        world.endpoints("d/web/80", &n1),
        "10.1.0.2:8080 | 10.1.0.1:8080"
    );
    let place: Vec<String> = world
        .translator
        .place(&n1)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        place,
        [
            "node-role:n1",
            "node:n1@zb",
            "zone:zb",
            "role:node",
            "inside",
            "all"
        ]
    );
    assert_eq!(
        world.apply([node("n1", "", "")]),
        ["zone:zb ClusterLoadAssignment d/web/80"]
    );
    assert_eq!(
        world.endpoints("d/web/80", &n1),
        "10.1.0.1:8080,10.1.0.2:8080"
    );
}

/// Service rule 150: a claim counts only while the Node is not known.
#[test]
fn the_zone_of_a_known_node_wins_over_the_claim() {
    let mut world = world();
    let claims_zb = view(Role::Mesh, "n1", "zb");
    world.translator.activate(&claims_zb);
    world.apply([
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", HINTED),
    ]);
    assert_eq!(
        world.endpoints("d/web/80", &claims_zb),
        "10.1.0.2:8080 | 10.1.0.1:8080"
    );
    world.apply([node("n1", "za", "")]);
    assert_eq!(
        world.endpoints("d/web/80", &claims_zb),
        "10.1.0.1:8080 | 10.1.0.2:8080"
    );
    world.delete(&node("n1", "za", ""));
    assert_eq!(
        world.endpoints("d/web/80", &claims_zb),
        "10.1.0.2:8080 | 10.1.0.1:8080"
    );
}

#[test]
fn a_view_dirties_only_what_differs_for_it_and_leaves_nothing_behind() {
    let mut world = world();
    let local = service("local", "10.96.0.3", ", internalTrafficPolicy: Local");
    let objects = [
        service("plain", "10.96.0.1", ""),
        slice("plain-1", "plain", AB),
        service("hinted", "10.96.0.2", ""),
        slice("hinted-1", "hinted", HINTED),
        local,
        slice("local-1", "local", AB),
    ];
    world.apply(objects);
    let before = world.published.clone();
    let n1 = view(Role::Node, "n1", "za");
    let same_place = view(Role::Mesh, "n1", "za");
    world.translator.activate(&n1);
    let replaces = world.translator.flush();
    let origins = replaces.iter().map(|replace| replace.origin.to_string());
    let origins: Vec<String> = origins.collect();
    assert_eq!(
        origins,
        [
            "Service d/hinted",
            "Service d/local",
            "Service d/local node:n1@za"
        ]
    );
    let changed = world.published.take(replaces);
    assert_eq!(
        changed,
        [
            "node:n1@za ClusterLoadAssignment d/local/80~local",
            "zone:za ClusterLoadAssignment d/hinted/80"
        ]
    );
    world.translator.activate(&n1);
    world.translator.activate(&same_place);
    world.translator.activate(&view(Role::Node, "n9", "zz"));
    assert_eq!(
        world.translator.flush(),
        [],
        "known places and places without endpoints cost nothing"
    );
    world.translator.deactivate(&n1);
    assert_eq!(world.translator.flush(), [], "somebody else is still there");
    world.translator.deactivate(&same_place);
    world.flush();
    assert_eq!(world.published, before);
}

#[test]
fn a_region_moves_the_endpoints_on_the_node_to_another_locality() {
    let mut world = world();
    world.apply([service("web", "10.96.0.1", ""), slice("web-1", "web", AB)]);
    world.apply([
        service("far", "10.96.0.2", ""),
        slice("far-1", "far", "[{addresses: [10.1.0.9], nodeName: n9}]"),
    ]);
    assert_eq!(
        world.apply([node("n1", "za", "r1")]),
        ["all ClusterLoadAssignment d/web/80"]
    );
    assert_eq!(
        world.delete(&node("n1", "za", "r1")),
        ["all ClusterLoadAssignment d/web/80"]
    );
}

/// Service rule 23: what is silently not served would be looked for in vain.
#[test]
fn an_unknown_node_is_told_where_its_addresses_are_needed() {
    let mut world = World::new(Options {
        nodeport_addresses: NodePortAddresses::Primary,
        ..Options::default()
    });
    let n1 = view(Role::Node, "n1", "");
    let reasons = |world: &World| -> Vec<String> {
        let problems = world.translator.problems();
        problems
            .iter()
            .map(|p| format!("{} {}", p.object, p.reason))
            .collect()
    };
    world.translator.activate(&view(Role::Mesh, "n1", ""));
    assert_eq!(reasons(&world), [""; 0], "a mesh proxy has no node ports");
    world.translator.activate(&n1);
    assert_eq!(reasons(&world), ["Node n1 UnknownNode"]);
    world.apply([node("n1", "za", "")]);
    assert_eq!(reasons(&world), [""; 0]);
    world.delete(&node("n1", "za", ""));
    assert_eq!(reasons(&world), ["Node n1 UnknownNode"]);
    world.translator.deactivate(&n1);
    assert_eq!(reasons(&world), [""; 0]);
}

#[test]
fn node_ports_follow_the_addresses_of_the_node() {
    let mut world = World::new(Options {
        nodeport_addresses: NodePortAddresses::Primary,
        ..Options::default()
    });
    let n1 = view(Role::Node, "n1", "");
    world.translator.activate(&n1);
    world.translator.activate(&view(Role::Mesh, "n2", ""));
    let web = one(
        "{kind: Service, metadata: {namespace: d, name: web}, spec: {clusterIP: 10.96.0.1, \
         ports: [{name: http, port: 80, nodePort: 30080}]}}",
    );
    world.apply([web, slice("web-1", "web", A)]);
    let at = |ip: &str| {
        one(&format!(
            "{{kind: Node, metadata: {{name: n1}}, status: {{addresses: [{{type: InternalIP, address: {ip}}}]}}}}"
        ))
    };
    let listener = |ip: &str| format!("node-role:n1 Listener d/web/80@nodeport:{ip}:30080");
    assert_eq!(world.apply([at("192.0.2.1")]), [listener("192.0.2.1")]);
    assert_eq!(
        world.apply([at("192.0.2.2")]),
        [listener("192.0.2.1"), listener("192.0.2.2")]
    );
    // Somebody with a better claim to that very address takes it on this node, and gives it back.
    let taker = one(
        "{kind: Service, metadata: {namespace: d, name: taker}, spec: {clusterIP: 10.96.0.2, \
         externalIPs: [192.0.2.2], ports: [{name: http, port: 30080}]}}",
    );
    assert!(
        world
            .apply([taker.clone()])
            .contains(&listener("192.0.2.2"))
    );
    assert!(world.delete(&taker).contains(&listener("192.0.2.2")));
    world.translator.deactivate(&n1);
    assert_eq!(world.flush(), [listener("192.0.2.2")]);
}
