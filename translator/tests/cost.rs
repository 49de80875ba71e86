//! The lowest cost of a change: which resources it touches, by name, and that it touches no other.

mod support;

use seaway_proto::TypeUrl;
use seaway_translator::{Capture, Object, Options, Role};
use support::{World, one, service, slice, view};

const LOCAL: &str = ", type: LoadBalancer, externalTrafficPolicy: Local, externalIPs: [192.0.2.80]";

fn endpoint(ip: &str, node: &str) -> String {
    format!("{{addresses: [{ip}], nodeName: {node}}}")
}

fn endpoints(of: &[(&str, &str)]) -> String {
    let each: Vec<String> = of.iter().map(|(ip, node)| endpoint(ip, node)).collect();
    format!("[{}]", each.join(", "))
}

/// A Node with one address and one range of pods.
fn node(name: &str, zone: &str, ip: &str, pods: &str) -> Object {
    one(&format!(
        "{{kind: Node, metadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: \"{zone}\", other: \"{ip}\"}}}}, \
         spec: {{podCIDRs: [{pods}]}}, status: {{addresses: [{{type: InternalIP, address: {ip}}}]}}}}"
    ))
}

/// Three nodes with a proxy each, a Service with a Local policy and both sets of endpoints, and a
/// neighbour that has nothing to do with it.
fn world(options: Options) -> World {
    let mut world = World::new(options);
    for (i, name) in ["n1", "n2", "n3"].into_iter().enumerate() {
        world.translator.activate(&view(Role::Node, name, ""));
        let (ip, pods) = (format!("192.0.2.{i}"), format!("10.244.{i}.0/24"));
        world.apply([node(name, "za", &ip, &pods)]);
    }
    let both = endpoints(&[("10.244.0.1", "n1"), ("10.244.1.1", "n2")]);
    world.apply([
        service("web", "10.96.0.1", LOCAL),
        slice("web-1", "web", &both),
        service("other", "10.96.0.2", LOCAL.replace(".80", ".81").as_str()),
        slice("other-1", "other", &both),
    ]);
    world
}

fn plain() -> World {
    world(Options::default())
}

/// T127: one assignment per distinct view. The Cluster set is the same for all, the Local one
/// differs on the endpoint's node alone.
#[test]
fn an_endpoint_is_one_assignment_per_view_and_never_a_listener() {
    let mut world = plain();
    let more = endpoints(&[("10.244.1.2", "n2")]);
    assert_eq!(
        world.apply([slice("web-2", "web", &more)]),
        [
            "all ClusterLoadAssignment d/web/80",
            "node:n2@za ClusterLoadAssignment d/web/80~local",
        ]
    );
    let first = endpoints(&[("10.244.2.1", "n3")]);
    assert_eq!(
        world.apply([slice("web-3", "web", &first)]),
        [
            "all ClusterLoadAssignment d/web/80",
            "node:n3@za ClusterLoadAssignment d/web/80~local",
        ]
    );
}

/// T127.
#[test]
fn one_of_250_endpoints_in_three_slices_is_one_assignment() {
    let mut world = plain();
    let part = |from: u8, to: u8, without: u8| {
        let ips: Vec<String> = (from..to)
            .filter(|last| *last != without)
            .map(|last| format!("10.244.9.{last}"))
            .collect();
        let list: Vec<(&str, &str)> = ips.iter().map(|ip| (ip.as_str(), "n9")).collect();
        endpoints(&list)
    };
    world.apply([
        service("big", "10.96.0.3", ""),
        slice("big-1", "big", &part(0, 100, 255)),
        slice("big-2", "big", &part(100, 200, 255)),
        slice("big-3", "big", &part(200, 250, 255)),
    ]);
    let changed = world.apply([slice("big-2", "big", &part(100, 200, 150))]);
    assert_eq!(changed, ["all ClusterLoadAssignment d/big/80"]);
}

#[test]
fn a_condition_that_decides_nothing_is_nothing() {
    let mut world = plain();
    let with = |more: &str| {
        let list = format!("[{}, {more}]", endpoint("10.244.1.2", "n2"));
        slice("web-2", "web", &list)
    };
    world.apply([with(
        "{addresses: [10.244.1.3], conditions: {ready: false}}",
    )]);
    let terminating =
        "{addresses: [10.244.1.3], conditions: {ready: false, serving: true, terminating: true}}";
    assert_eq!(world.apply([with(terminating)]), [""; 0]);
}

/// A Node's zone moves its proxies to other layers; without hints these hold nothing that differs.
/// The Local set is of the node.
#[test]
fn the_label_of_a_node_is_only_what_differs_for_it() {
    let mut world = plain();
    let changed = world.apply([node("n1", "zb", "192.0.2.0", "10.244.0.0/24")]);
    let local =
        |layer: &str, name: &str| format!("{layer} ClusterLoadAssignment d/{name}/80~local");
    let expected = ["node:n1@za", "node:n1@zb"]
        .map(|layer| ["other", "web"].map(|name| local(layer, name)))
        .concat();
    assert_eq!(changed, expected);
    let n3 = world.apply([node("n3", "zb", "192.0.2.2", "10.244.2.0/24")]);
    assert_eq!(n3, [""; 0], "there is no endpoint on it");
}

/// The proxy's view of the Local set stays the same over the move: equal bytes are not sent again.
#[test]
fn what_a_proxy_sees_is_the_same_after_a_label_that_means_nothing_to_it() {
    let mut world = plain();
    let n1 = view(Role::Node, "n1", "");
    let before = world.published.seen(&world.translator.place(&n1));
    world.apply([node("n1", "zb", "192.0.2.0", "10.244.0.0/24")]);
    let after = world.published.seen(&world.translator.place(&n1));
    assert_eq!(before, after);
}

#[test]
fn the_addresses_of_a_node_are_its_own_listeners() {
    let mut world = plain();
    let own = |ip: &str| format!("node-role:n1 Listener d/{ip}");
    let listeners = [
        own("other/80@externalip:192.0.2.81:80"),
        own("web/80@externalip:192.0.2.80:80"),
    ];
    assert_eq!(
        world.apply([node("n1", "za", "192.0.2.9", "10.244.0.0/24")]),
        listeners
    );
    assert_eq!(
        world.apply([node("n1", "za", "192.0.2.9", "10.245.0.0/24")]),
        listeners
    );
    let silent = world.apply([node("n9", "za", "192.0.2.99", "10.244.9.0/24")]);
    assert_eq!(silent, [""; 0], "no proxy is there");
}

/// Where the cluster's range has the node's, the node's own one says nothing new.
#[test]
fn a_range_of_pods_inside_the_clusters_is_nothing() {
    let mut world = world(Options {
        pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
        ..Options::default()
    });
    assert_eq!(
        world.apply([node("n1", "za", "192.0.2.0", "10.244.77.0/24")]),
        [""; 0]
    );
}

#[test]
fn a_renamed_service_is_its_own_resources() {
    let mut world = plain();
    let web = service("web", "10.96.0.1", LOCAL);
    world
        .translator
        .apply(seaway_translator::Change::Delete(web.id()));
    let changed = world.apply([
        service("shop", "10.96.0.1", LOCAL),
        slice(
            "web-1",
            "shop",
            &endpoints(&[("10.244.0.1", "n1"), ("10.244.1.1", "n2")]),
        ),
    ]);
    assert!(!changed.is_empty());
    let mut strangers = changed
        .iter()
        .filter(|line| !line.contains(" d/web") && !line.contains(" d/shop"));
    assert_eq!(strangers.next(), None);
    let clusters = |name: &str| {
        changed
            .iter()
            .filter(|line| line.contains(&format!(" Cluster d/{name}/80")))
            .count()
    };
    assert_eq!((clusters("web"), clusters("shop")), (2, 2));
}

fn two_ports(first: &str, second: &str) -> Object {
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: two}}, spec: {{clusterIP: 10.96.0.5, ports: [{{name: {first}}}, {{name: {second}}}]}}}}"
    ))
}

fn two_slice(name: &str, target: u16) -> Object {
    one(&format!(
        "{{kind: EndpointSlice, metadata: {{namespace: d, name: two-1, labels: {{kubernetes.io/service-name: two}}}}, addressType: IPv4, \
         ports: [{{name: {name}, port: {target}}}, {{name: admin, port: 9090}}], endpoints: [{{addresses: [10.244.0.5]}}]}}"
    ))
}

/// A cluster is named after the number of its port: renumbering makes another one, and leaves the
/// Service's other port alone.
#[test]
fn a_renumbered_port_is_that_port_alone() {
    let mut world = plain();
    world.apply([
        two_ports("http, port: 80", "admin, port: 90"),
        two_slice("http", 8080),
    ]);
    assert_eq!(
        world.apply([two_ports("http, port: 81", "admin, port: 90")]),
        [
            "all ClusterLoadAssignment d/two/80",
            "all ClusterLoadAssignment d/two/81",
            "inside Cluster d/two/80",
            "inside Cluster d/two/81",
            "role:mesh ScopedRouteConfiguration d/two",
            "role:mesh ScopedRouteConfiguration d/two:80",
            "role:mesh ScopedRouteConfiguration d/two:81",
            "role:mesh ScopedRouteConfiguration d/two@10.96.0.5",
            "role:node Listener d/two/80@clusterip:10.96.0.5:80",
            "role:node Listener d/two/81@clusterip:10.96.0.5:81",
        ]
    );
}

#[test]
fn a_renumbered_target_is_one_assignment_and_a_renamed_port_nothing() {
    let mut world = plain();
    world.apply([
        two_ports("http, port: 80", "admin, port: 90"),
        two_slice("http", 8080),
    ]);
    assert_eq!(
        world.apply([two_slice("http", 8081)]),
        ["all ClusterLoadAssignment d/two/80"]
    );
    let renamed = [
        two_ports("www, port: 80", "admin, port: 90"),
        two_slice("www", 8081),
    ];
    assert_eq!(world.apply(renamed), [""; 0]);
    let swapped = two_ports("admin, port: 90", "www, port: 80");
    assert_eq!(
        world.apply([swapped]),
        [""; 0],
        "the order of ports means nothing"
    );
}

#[test]
fn an_address_more_is_a_listener_more() {
    let mut world = plain();
    world.apply([
        service("near", "10.96.0.6", ""),
        slice("near-1", "near", "[{addresses: [10.244.0.6]}]"),
    ]);
    assert_eq!(
        world.apply([service("near", "10.96.0.6", ", externalIPs: [192.0.2.86]")]),
        ["role:node Listener d/near/80@externalip:192.0.2.86:80"]
    );
}

/// A policy of the inside changes whom the cluster IP leads to, and the names; never what is
/// outside.
#[test]
fn an_internal_policy_is_the_listener_of_the_cluster_ip() {
    let mut world = plain();
    let local = LOCAL.to_owned() + ", internalTrafficPolicy: Local";
    assert_eq!(
        world.apply([service("web", "10.96.0.1", &local)]),
        [
            "inside Cluster d/web/80",
            "inside Cluster d/web/80~local",
            "role:mesh ScopedRouteConfiguration d/web",
            "role:mesh ScopedRouteConfiguration d/web:80",
            "role:mesh ScopedRouteConfiguration d/web@10.96.0.1",
            "role:node Cluster d/web/80",
            "role:node Cluster d/web/80~local",
            "role:node Listener d/web/80@clusterip:10.96.0.1:80",
        ]
    );
}

fn balanced(ranges: &str) -> Object {
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: lb}}, spec: {{type: LoadBalancer, clusterIP: 10.96.0.7, \
         loadBalancerSourceRanges: [{ranges}], ports: [{{name: http, port: 80, nodePort: 30080}}]}}, \
         status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.7}}]}}}}}}"
    ))
}

/// Service rule 26; where a node's address lies in a range, that node's listener lets the address
/// of the load balancer in (rule 29).
#[test]
fn source_ranges_are_the_listeners_of_the_load_balancer() {
    let mut world = plain();
    world.apply([
        balanced(""),
        slice("lb-1", "lb", "[{addresses: [10.244.0.7]}]"),
    ]);
    let listener = |layer: &str| format!("{layer} Listener d/lb/80@lb:203.0.113.7:80");
    assert_eq!(
        world.apply([balanced("198.51.100.0/24")]),
        [listener("role:node")]
    );
    assert_eq!(
        world.apply([balanced("198.51.100.0/24, 192.0.2.1/32")]),
        [listener("node-role:n2"), listener("role:node")]
    );
}

/// Service rule 20: an address becomes a Node's own, and is given back.
#[test]
fn a_system_port_goes_with_the_node_that_has_the_address() {
    let mut world = plain();
    let ssh = one(
        "{kind: Service, metadata: {namespace: d, name: ssh}, spec: {clusterIP: 10.96.0.8, externalIPs: [192.0.2.50], \
         ports: [{name: http, port: 22}]}}",
    );
    world.apply([ssh, slice("ssh-1", "ssh", "[{addresses: [10.244.0.8]}]")]);
    let listener = ["role:node Listener d/ssh/22@externalip:192.0.2.50:22"];
    let owner = node("n9", "za", "192.0.2.50", "10.244.9.0/24");
    assert_eq!(world.apply([owner.clone()]), listener);
    assert_eq!(world.translator.problems().len(), 1);
    assert_eq!(world.delete(&owner), listener);
    assert_eq!(world.translator.problems(), []);
}

/// With a capture that is asked for a mesh proxy has the listener, too: it is there once, whoever
/// looks.
#[test]
fn a_service_that_comes_is_one_listener_for_nodes_and_mesh_proxies() {
    let mut world = world(Options {
        capture: Some(Capture::Bind),
        ..Options::default()
    });
    let mesh = view(Role::Mesh, "n1", "");
    world.translator.activate(&mesh);
    world.flush();
    let both = endpoints(&[("10.244.0.1", "n1"), ("10.244.1.1", "n2")]);
    world.apply([slice("new-1", "new", &both)]);
    assert_eq!(
        world.apply([service("new", "10.96.0.9", "")]),
        [
            "all ClusterLoadAssignment d/new/80",
            "captured Listener d/new/80@clusterip:10.96.0.9:80",
            "inside Cluster d/new/80",
            "role:mesh ScopedRouteConfiguration d/new",
            "role:mesh ScopedRouteConfiguration d/new:80",
            "role:mesh ScopedRouteConfiguration d/new@10.96.0.9",
        ]
    );
    let more = endpoints(&[("10.244.1.2", "n2")]);
    assert_eq!(
        world.apply([slice("new-2", "new", &more)]),
        ["all ClusterLoadAssignment d/new/80"]
    );
    let name = "d/new/80@clusterip:10.96.0.9:80".to_owned();
    for view in [&mesh, &view(Role::Node, "n1", "")] {
        assert!(world.names(TypeUrl::LISTENER, view).contains(&name));
    }
    let ingress = view(Role::Ingress, "n1", "");
    assert!(!world.names(TypeUrl::LISTENER, &ingress).contains(&name));
}

/// A node without IPv6 could not bind the second listener.
#[test]
fn the_redirect_listener_of_ipv6_is_there_while_a_service_needs_it() {
    let mut world = world(Options {
        capture: Some(Capture::Redirect),
        ..Options::default()
    });
    let six = service("six", "\"fd00::1\"", "");
    let listener = "captured Listener redirect@[::]:15006".to_owned();
    assert!(world.apply([six.clone()]).contains(&listener));
    assert!(
        !world
            .apply([service("seven", "\"fd00::2\"", "")])
            .contains(&listener)
    );
    assert!(!world.delete(&six).contains(&listener));
    assert!(
        world
            .delete(&service("seven", "\"fd00::2\"", ""))
            .contains(&listener)
    );
}
