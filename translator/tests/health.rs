//! Health checks: what changes in them, and nothing else, when endpoints, Nodes and proxies come
//! and go.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use seaway_proto::{TypeUrl, json};
use seaway_translator::{NodePortAddresses, Object, Options, Role, View};
use support::{World, one, slice, view};

const A: &str = "[{addresses: [10.1.0.1], nodeName: n1}]";
const ALL_REMOTE: &str = "[{addresses: [10.1.0.2], nodeName: n2}]";

fn checked(port: u16) -> Object {
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: web}}, spec: {{type: LoadBalancer, clusterIP: 10.96.0.1, \
         externalTrafficPolicy: Local, healthCheckNodePort: {port}, ports: [{{name: http, port: 80}}]}}}}"
    ))
}

fn node(spec: &str) -> Object {
    one(&format!(
        "{{kind: Node, metadata: {{name: n1}}, spec: {spec}, status: {{addresses: [{{type: InternalIP, address: 192.0.2.1}}]}}}}"
    ))
}

/// The status that a view's proxy answers with on a path.
#[track_caller]
fn answer(world: &World, route: &str, position: usize, view: &View) -> u64 {
    let seen = world.published.seen(&world.translator.place(view));
    let resource = seen.get(&(TypeUrl::ROUTE, route.into())).unwrap();
    let value = json::to_value(TypeUrl::ROUTE.as_str(), &resource.value).unwrap();
    value["virtual_hosts"][0]["routes"][position]["direct_response"]["status"]
        .as_u64()
        .unwrap()
}

#[test]
fn t028_t031_an_endpoint_that_comes_and_goes_changes_the_answer_of_its_node() {
    let mut world = World::new(Options::default());
    let (n1, n2) = (view(Role::Node, "n1", ""), view(Role::Node, "n2", ""));
    world.translator.activate(&n1);
    world.translator.activate(&n2);
    world.apply([checked(31000), slice("web-1", "web", A)]);
    let route = "healthcheck/d/web";
    let answers = |world: &World| [&n1, &n2].map(|view| answer(world, route, 0, view));
    assert_eq!(answers(&world), [200, 503]);
    let changed = world.apply([slice("web-1", "web", ALL_REMOTE)]);
    assert_eq!(
        changed,
        [
            "all ClusterLoadAssignment d/web/80",
            "node-role:n1 RouteConfiguration healthcheck/d/web",
            "node-role:n2 RouteConfiguration healthcheck/d/web",
        ]
    );
    assert_eq!(answers(&world), [503, 200]);
    world.apply([slice("web-1", "web", "[]")]);
    assert_eq!(answers(&world), [503, 503]);
    let listeners = world.names(TypeUrl::LISTENER, &n1);
    assert_eq!(
        listeners,
        ["d/web@healthcheck:0.0.0.0:31000"],
        "it stays without endpoints"
    );
}

#[test]
fn a_proxy_that_comes_later_gets_the_answer_of_its_node() {
    let mut world = World::new(Options::default());
    world.apply([checked(31000), slice("web-1", "web", A)]);
    // Another proxy is on the node already: the layers they share are there.
    world.translator.activate(&view(Role::Mesh, "n1", ""));
    world.flush();
    let n1 = view(Role::Node, "n1", "");
    world.translator.activate(&n1);
    let own = ["node-role:n1 RouteConfiguration healthcheck/d/web"];
    assert_eq!(world.flush(), own);
    assert_eq!(answer(&world, "healthcheck/d/web", 0, &n1), 200);
    world.translator.deactivate(&n1);
    assert_eq!(world.flush(), own);
}

#[test]
fn another_port_is_another_listener_and_the_same_answer() {
    let mut world = World::new(Options {
        nodeport_addresses: NodePortAddresses::Primary,
        ..Options::default()
    });
    world.translator.activate(&view(Role::Node, "n1", ""));
    world.apply([checked(31000), slice("web-1", "web", A), node("{}")]);
    let listener = |port: u16| format!("node-role:n1 Listener d/web@healthcheck:192.0.2.1:{port}");
    assert_eq!(
        world.apply([checked(31001)]),
        [listener(31000), listener(31001)]
    );
}

/// Service rule 35.
#[test]
fn a_node_about_to_go_says_so() {
    let mut world = World::with(Options::default());
    let n1 = view(Role::Node, "n1", "");
    let n2 = view(Role::Node, "n2", "");
    world.translator.activate(&n1);
    world.translator.activate(&n2);
    world.apply([node("{}")]);
    let answers = |world: &World| {
        let of = |view| [0, 1].map(|path| answer(world, "healthz", path, view));
        [of(&n1), of(&n2)]
    };
    assert_eq!(answers(&world), [[200, 200], [200, 200]]);
    let tainted = node("{taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]}");
    let own = ["node-role:n1 RouteConfiguration healthz"];
    assert_eq!(world.apply([tainted.clone()]), own);
    assert_eq!(answers(&world), [[503, 200], [200, 200]]);
    assert_eq!(world.apply([node("{}")]), own);
    // What a Node says counts for proxies that come later, too.
    world.translator.deactivate(&n1);
    assert_eq!(world.apply([tainted]), Vec::<String>::new());
    world.translator.activate(&n1);
    assert_eq!(world.flush(), own);
    let deleting =
        "{kind: Node, metadata: {name: n1, deletionTimestamp: \"2026-01-01T00:00:00Z\"}}";
    assert_eq!(world.apply([one(deleting)]), Vec::<String>::new());
    assert_eq!(answers(&world), [[503, 200], [200, 200]]);
}
