//! Changes one after the other: what each of them changes, and nothing else.

mod support;

use seaway_proto::TypeUrl;
use seaway_translator::{Options, Reason, Role};
use support::{World, one, service, slice, view};

const A: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za}]";
const AB: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za}, {addresses: [10.1.0.2], nodeName: n2, zone: zb}]";

fn world() -> World {
    World::new(Options::default())
}

#[test]
fn the_first_flush_has_what_needs_no_object() {
    let mut world = world();
    assert_eq!(
        world.flush(),
        [
            "importers Listener http@127.0.0.1:15001",
            "role:ingress Listener hosts",
            "role:mesh Listener http@127.0.0.1:15001",
        ]
    );
    assert_eq!(world.flush(), [""; 0]);
}

#[test]
fn an_endpoint_change_is_one_assignment_and_equal_objects_are_nothing() {
    let mut world = world();
    world.apply([service("web", "10.96.0.1", ""), slice("web-1", "web", A)]);
    world.apply([
        service("other", "10.96.0.2", ""),
        slice("other-1", "other", A),
    ]);
    let changed = world.apply([slice("web-1", "web", AB)]);
    assert_eq!(changed, ["all ClusterLoadAssignment d/web/80"]);
    world
        .translator
        .apply(seaway_translator::Change::Apply(slice("web-1", "web", AB)));
    world
        .translator
        .apply(seaway_translator::Change::Apply(service(
            "web",
            "10.96.0.1",
            "",
        )));
    assert_eq!(world.translator.flush(), [], "nothing was dirty");
}

#[test]
fn t004_the_label_takes_the_frontends_away_and_its_removal_brings_them_back() {
    let mut world = world();
    let ours = service("web", "10.96.0.1", "");
    let theirs = one(
        "{kind: Service, metadata: {namespace: d, name: web, labels: {service.kubernetes.io/service-proxy-name: \"\"}}, \
         spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}}",
    );
    let all = [
        "all ClusterLoadAssignment d/web/80",
        "inside Cluster d/web/80",
        "role:mesh ScopedRouteConfiguration d/web",
        "role:mesh ScopedRouteConfiguration d/web:80",
        "role:mesh ScopedRouteConfiguration d/web@10.96.0.1",
        "role:node Listener d/web/80@clusterip:10.96.0.1:80",
    ];
    world.flush();
    assert_eq!(world.apply([ours.clone(), slice("web-1", "web", A)]), all);
    assert_eq!(world.apply([theirs]), all);
    assert_eq!(world.apply([ours]), all);
}

#[test]
fn t015_t016_an_address_goes_to_the_next_and_a_shared_one_stays() {
    let mut world = world();
    let old = service("a", "10.96.0.1", ", externalIPs: [192.0.2.1]");
    let new = service("b", "10.96.0.2", ", externalIPs: [192.0.2.1]");
    let slices = [slice("a-1", "a", A), slice("b-1", "b", A)];
    let other_port = one(
        "{kind: Service, metadata: {namespace: d, name: c}, spec: {clusterIP: 10.96.0.3, \
         externalIPs: [192.0.2.1], ports: [{name: http, port: 81}]}}",
    );
    world.apply(
        [new, other_port, old.clone(), slice("c-1", "c", A)]
            .into_iter()
            .chain(slices),
    );
    let node = view(Role::Node, "", "");
    let listeners = world.names(TypeUrl::LISTENER, &node);
    assert!(listeners.contains(&"d/a/80@externalip:192.0.2.1:80".to_owned()));
    assert!(listeners.contains(&"d/c/81@externalip:192.0.2.1:81".to_owned()));
    let problems = world.translator.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].reason, Reason::FrontendConflict);
    assert_eq!(
        world.translator.problem_counts()[&Reason::FrontendConflict],
        1
    );
    let changed = world.delete(&old);
    let addresses: Vec<&String> = changed
        .iter()
        .filter(|line| line.contains("192.0.2.1"))
        .collect();
    let expected =
        ["a", "b"].map(|name| format!("role:node Listener d/{name}/80@externalip:192.0.2.1:80"));
    assert_eq!(addresses, expected.iter().collect::<Vec<_>>());
    assert_eq!(world.translator.problems(), []);
    assert!(world.translator.problem_counts().is_empty());
}

/// Service rule 16; rule 1 for what is still stored.
#[test]
fn t104_a_service_becomes_an_external_name_and_comes_back() {
    let mut world = world();
    let inside = service("web", "10.96.0.1", ", externalIPs: [192.0.2.1]");
    let stored = ", externalIPs: [192.0.2.1], type: ExternalName, externalName: www.example.com";
    let outside = service("web", "10.96.0.1", stored);
    world.apply([inside.clone(), slice("web-1", "web", A)]);
    let (node, mesh) = (view(Role::Node, "n1", "za"), view(Role::Mesh, "", ""));
    let before = world.published.clone();
    world.apply([outside]);
    assert_eq!(world.names(TypeUrl::LISTENER, &node), [""; 0]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &node), [""; 0]);
    assert_eq!(world.names(TypeUrl::ENDPOINT, &mesh), [""; 0]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &mesh), ["d/web/80"]);
    world.apply([inside]);
    assert_eq!(world.published, before);
}

#[test]
fn t049_a_slice_moves_from_one_service_to_the_other_at_once() {
    let mut world = world();
    world.apply([
        service("a", "10.96.0.1", ""),
        service("b", "10.96.0.2", ""),
        slice("x", "a", A),
    ]);
    let changed = world.apply([slice("x", "b", A)]);
    let expected = [
        "all ClusterLoadAssignment d/a/80",
        "all ClusterLoadAssignment d/b/80",
        "role:node Listener d/a/80@clusterip:10.96.0.1:80",
        "role:node Listener d/b/80@clusterip:10.96.0.2:80",
    ];
    assert_eq!(changed, expected);
}

#[test]
fn t052_t053_slices_may_come_first_and_the_headless_label_is_read_at_run_time() {
    let mut world = world();
    world.flush();
    assert_eq!(world.apply([slice("web-1", "web", A)]), [""; 0]);
    world.apply([service("web", "10.96.0.1", "")]);
    let any = view(Role::Node, "", "");
    assert_eq!(world.endpoints("d/web/80", &any), "10.1.0.1:8080");
    let labelled = one(
        "{kind: EndpointSlice, metadata: {namespace: d, name: web-1, labels: {kubernetes.io/service-name: web, \
         service.kubernetes.io/headless: \"\"}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.1.0.1]}]}",
    );
    world.apply([labelled]);
    assert_eq!(world.endpoints("d/web/80", &any), "");
    assert_eq!(world.names(TypeUrl::LISTENER, &any), [""; 0]);
    world.apply([slice("web-1", "web", A)]);
    assert_eq!(world.endpoints("d/web/80", &any), "10.1.0.1:8080");
}

/// Endpoints that come and go move the listener and the assignment, never the cluster (Service
/// rules 76, 80; xDS rule 100).
#[test]
fn from_one_endpoint_to_none_and_back() {
    let mut world = world();
    world.apply([service("web", "10.96.0.1", ""), slice("web-1", "web", A)]);
    let expected = [
        "all ClusterLoadAssignment d/web/80",
        "role:node Listener d/web/80@clusterip:10.96.0.1:80",
    ];
    assert_eq!(world.apply([slice("web-1", "web", "[]")]), expected);
    assert_eq!(world.apply([slice("web-1", "web", A)]), expected);
    assert_eq!(world.delete(&slice("web-1", "web", A)), expected);
}

#[test]
fn refused_endpoint_addresses_are_left_out_unless_allowed() {
    let endpoints =
        "[{addresses: [127.0.0.1]}, {addresses: [169.254.0.1]}, {addresses: [10.1.0.1]}]";
    let any = view(Role::Node, "", "");
    let served = |options: Options| {
        let mut world = World::new(options);
        world.apply([
            service("web", "10.96.0.1", ""),
            slice("web-1", "web", endpoints),
        ]);
        let refused = world
            .translator
            .problem_counts()
            .get(&Reason::EndpointAddressRefused)
            .copied();
        (world.endpoints("d/web/80", &any), refused)
    };
    assert_eq!(
        served(Options::default()),
        ("10.1.0.1:8080".to_owned(), Some(2))
    );
    let loopback = Options {
        allow_loopback_endpoints: true,
        ..Options::default()
    };
    assert_eq!(
        served(loopback),
        ("10.1.0.1:8080,127.0.0.1:8080".to_owned(), Some(1))
    );
    let allowed = Options {
        allow_endpoint_cidrs: vec![
            "169.254.0.0/16".parse().unwrap(),
            "127.0.0.0/8".parse().unwrap(),
        ],
        ..Options::default()
    };
    assert_eq!(
        served(allowed),
        (
            "10.1.0.1:8080,127.0.0.1:8080,169.254.0.1:8080".to_owned(),
            None
        )
    );
}

/// Service rule 45: the live pod beats the ghost; then the newer slice is believed.
#[test]
fn of_two_entries_for_one_address_the_right_one_is_believed() {
    let at = |name: &str, time: &str, conditions: &str| {
        one(&format!(
            "{{kind: EndpointSlice, metadata: {{namespace: d, name: {name}, labels: {{kubernetes.io/service-name: web}}, \
             annotations: {{endpoints.kubernetes.io/last-change-trigger-time: \"{time}\"}}}}, addressType: IPv4, \
             ports: [{{name: http, port: 8080}}], endpoints: [{{addresses: [10.1.0.1], conditions: {{{conditions}}}}}]}}"
        ))
    };
    let any = view(Role::Node, "", "");
    let served = |slices: [seaway_translator::Object; 2]| {
        let mut world = world();
        world.apply([service("web", "10.96.0.1", "")].into_iter().chain(slices));
        world.endpoints("d/web/80", &any)
    };
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    assert_eq!(
        served([at("a", old, "ready: false"), at("b", new, "ready: true")]),
        "10.1.0.1:8080"
    );
    assert_eq!(
        served([at("a", new, "ready: false"), at("b", old, "ready: true")]),
        ""
    );
    let ghost = "ready: false, serving: true, terminating: true";
    assert_eq!(
        served([at("a", new, ghost), at("b", old, "ready: true")]),
        "10.1.0.1:8080"
    );
    assert_eq!(
        served([at("a", new, ghost), at("b", old, "ready: false")]),
        ""
    );
}
