//! What is said of the decisions over a Service: everything once, and nothing but what is
//! published.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use seaway_proto::TypeUrl;
use seaway_translator::model::ServiceKey;
use seaway_translator::{
    Decider, EndpointVerdict, Explanation, FrontendVerdict, Options, RefusedAddress, Role, View,
};
use support::{World, one, service, slice, view};

fn key(name: &str) -> ServiceKey {
    ServiceKey {
        namespace: "d".into(),
        name: name.into(),
    }
}

#[track_caller]
fn explain(world: &World, name: &str, view: &View) -> Explanation {
    world.translator.explain(&key(name), view).unwrap()
}

/// Slice, index, verdict and the field that decided, for each endpoint.
fn endpoints(explanation: &Explanation) -> Vec<(String, EndpointVerdict, &'static str)> {
    let each = explanation.endpoints.iter();
    each.map(|endpoint| {
        let name = format!("{}[{}]", endpoint.slice, endpoint.index);
        (name, endpoint.verdict, endpoint.verdict.field())
    })
    .collect()
}

/// A slice of port `http` whose endpoints are of IPv6, one with another port, and one for headless
/// Services.
fn others() -> [seaway_translator::Object; 3] {
    let of = |name: &str, label: &str, family: &str, port: &str, ip: &str| {
        one(&format!(
            "{{kind: EndpointSlice, metadata: {{namespace: d, name: {name}, labels: {{kubernetes.io/service-name: web{label}}}}}, \
             addressType: {family}, ports: [{{name: {port}, port: 8080}}], endpoints: [{{addresses: [\"{ip}\"]}}]}}"
        ))
    };
    let headless = ", service.kubernetes.io/headless: \"\"";
    [
        of("web-4", "", "IPv6", "http", "fd00::1"),
        of("web-5", "", "IPv4", "admin", "10.0.0.50"),
        of("web-6", headless, "IPv4", "http", "10.0.0.60"),
    ]
}

#[test]
fn every_endpoint_is_said_once_with_what_decided() {
    let mut world = World::new(Options::default());
    let first = "[{addresses: [10.0.0.1]}, {addresses: [10.0.0.2], conditions: {ready: false}}, \
                 {addresses: [127.0.0.1]}, {addresses: [10.96.0.2]}, {addresses: [10.0.0.3], \
                 conditions: {ready: false, serving: true, terminating: true}}]";
    world.apply([
        service("web", "10.96.0.1", ""),
        service("other", "10.96.0.2", ", externalIPs: [10.0.0.99]"),
        slice("web-1", "web", first),
        slice("web-2", "web", "[{addresses: [10.0.0.1]}]"),
        one(
            "{kind: EndpointSlice, metadata: {namespace: d, name: web-3, labels: {kubernetes.io/service-name: web}}, \
             addressType: IPv4, ports: [{name: http, port: 80}], endpoints: [{addresses: [10.96.0.2]}]}",
        ),
    ]);
    world.apply(others());
    let explanation = explain(&world, "web", &View::of(Role::Node));
    let ready = EndpointVerdict::Chosen(Decider::Conditions);
    let not_ready = EndpointVerdict::NotChosen(Decider::Conditions);
    let expected = [
        ("web-1[0]", ready, "conditions"),
        ("web-1[1]", not_ready, "conditions"),
        (
            "web-1[2]",
            EndpointVerdict::Refused(RefusedAddress::Loopback),
            "addresses[0]",
        ),
        // Nothing is served there at 8080.
        ("web-1[3]", ready, "conditions"),
        ("web-1[4]", not_ready, "conditions"),
        ("web-2[0]", EndpointVerdict::Shadowed, "addresses[0]"),
        ("web-3[0]", EndpointVerdict::IsService, "addresses[0]"),
        ("web-4[0]", EndpointVerdict::NoFamily, "addresses[0]"),
        ("web-5[0]", EndpointVerdict::NoPort, "ports"),
        (
            "web-6[0]",
            EndpointVerdict::HeadlessSlice,
            "metadata.labels[service.kubernetes.io/headless]",
        ),
    ];
    let expected = expected.map(|(name, verdict, field)| (name.to_owned(), verdict, field));
    assert_eq!(endpoints(&explanation), expected);
}

/// The endpoints that are said to be chosen in a cluster, by priority.
fn chosen(explanation: &Explanation, cluster: &str) -> Vec<BTreeSet<String>> {
    let mut priorities: Vec<BTreeSet<String>> = Vec::new();
    let uses = explanation.endpoints.iter().flat_map(|e| &e.uses);
    for of in uses.filter(|of| of.cluster.to_string() == cluster) {
        if let Some(priority) = of.priority {
            priorities.resize(priorities.len().max(priority + 1), BTreeSet::new());
            priorities[priority].insert(of.address.to_string());
        }
    }
    priorities
}

/// Those that a view sees.
fn published(world: &World, cluster: &str, view: &View) -> Vec<BTreeSet<String>> {
    let text = world.endpoints(cluster, view);
    let priorities = text.split(" | ").filter(|all| !all.is_empty());
    priorities
        .map(|all| all.split(',').map(str::to_owned).collect())
        .collect()
}

/// An endpoint of a slice, as YAML.
fn an_endpoint() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(&[
        "",
        "ready: false",
        "ready: false, serving: true, terminating: true",
        "terminating: true",
    ]);
    let hints = prop::sample::select(&["", "za", "zb"]);
    let ip = prop_oneof![8 => 1..9u8, 1 => Just(99)];
    (ip, condition, 1..4u8, hints).prop_map(|(ip, condition, node, hint)| {
        let (ip, zone) = match ip {
            99 => ("127.0.0.1".to_owned(), "za"),
            ip => (format!("10.0.0.{ip}"), ["za", "zb"][usize::from(node % 2)]),
        };
        let hints = match hint {
            "" => String::new(),
            zone => format!(", hints: {{forZones: [{{name: {zone}}}]}}"),
        };
        format!(
            "{{addresses: [{ip}], nodeName: n{node}, zone: {zone}, conditions: {{{condition}}}{hints}}}"
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_is_everything_and_what_is_published(
        slices in prop::collection::vec(prop::collection::vec(an_endpoint(), 0..5), 0..4),
        fallback in any::<bool>(),
    ) {
        let mut world = World::new(Options::default());
        let n1 = view(Role::Node, "n1", "za");
        world.translator.activate(&n1);
        let annotation = if fallback { ", annotations: {seaway.dev/local-fallback: cluster}" } else { "" };
        world.apply([one(&format!(
            "{{kind: Service, metadata: {{namespace: d, name: web{annotation}}}, spec: {{type: NodePort, clusterIP: 10.96.0.1, \
             externalTrafficPolicy: Local, ports: [{{name: http, port: 80, nodePort: 30080}}]}}}}"
        ))]);
        let mut expected = Vec::new();
        for (number, endpoints) in slices.iter().enumerate() {
            let name = format!("web-{number}");
            world.apply([slice(&name, "web", &format!("[{}]", endpoints.join(", ")))]);
            expected.extend((0..endpoints.len()).map(|index| format!("{name}[{index}]")));
        }
        let explanation = explain(&world, "web", &n1);
        let said: Vec<String> = endpoints(&explanation).into_iter().map(|(name, _, _)| name).collect();
        prop_assert_eq!(said, expected);
        for name in ["d/web/80", "d/web/80~local"] {
            prop_assert_eq!(chosen(&explanation, name), published(&world, name, &n1));
        }
        for endpoint in &explanation.endpoints {
            let chosen = matches!(endpoint.verdict, EndpointVerdict::Chosen(_));
            prop_assert_eq!(chosen, endpoint.uses.iter().any(|of| of.priority.is_some()));
        }
    }
}

/// What is said to be chosen is what the place sees.
#[test]
fn what_is_chosen_is_what_is_published_there() {
    let local = ", type: NodePort, externalTrafficPolicy: Local, externalIPs: [192.0.2.9]";
    let mut world = World::new(Options::default());
    let n1 = view(Role::Node, "n1", "za");
    world.translator.activate(&n1);
    let hinted = "[{addresses: [10.0.0.1], nodeName: n1, zone: za, hints: {forZones: [{name: za}]}}, \
                  {addresses: [10.0.0.2], nodeName: n2, zone: zb, hints: {forZones: [{name: zb}]}}]";
    world.apply([
        service("web", "10.96.0.1", local),
        slice("web-1", "web", hinted),
    ]);
    let explanation = explain(&world, "web", &n1);
    for name in ["d/web/80", "d/web/80~local"] {
        assert_eq!(chosen(&explanation, name), published(&world, name, &n1));
    }
    let uses = explanation.endpoints.iter().flat_map(|e| &e.uses);
    let mut left = uses.filter(|of| of.priority.is_none());
    assert!(left.all(|of| of.by == Decider::Node));
    let by: Vec<_> = endpoints(&explanation);
    assert_eq!(by[0].2, "hints.forZones");
}

#[test]
fn every_frontend_is_said_with_what_became_of_it() {
    let mut world = World::new(Options {
        external_ips: "192.0.2.0/24".parse().unwrap(),
        ..Options::default()
    });
    let extra = ", externalIPs: [192.0.2.1, 198.51.100.1, \"fd00::9\"]";
    world.apply([
        service("web", "10.96.0.1", extra),
        slice("web-1", "web", "[{addresses: [10.0.0.1]}]"),
        service("zeta", "10.96.0.3", ", externalIPs: [192.0.2.1]"),
        slice("zeta-1", "zeta", "[{addresses: [10.0.0.2]}]"),
        service("none", "10.96.0.4", ""),
    ]);
    let verdicts = |name: &str| -> Vec<(String, FrontendVerdict)> {
        let explanation = explain(&world, name, &View::of(Role::Node));
        let each = explanation.frontends.into_iter();
        each.map(|frontend| (frontend.field, frontend.verdict))
            .collect()
    };
    let of = |field: &str, verdict| (field.to_owned(), verdict);
    assert_eq!(
        verdicts("web"),
        [
            of("spec.clusterIP", FrontendVerdict::Served),
            of("spec.externalIPs[0]", FrontendVerdict::Served),
            of("spec.externalIPs[2]", FrontendVerdict::NoFamily),
            of("spec.externalIPs[1]", FrontendVerdict::NotAllowed),
            of("spec.externalIPs[2]", FrontendVerdict::NotAllowed),
        ]
    );
    assert_eq!(
        verdicts("zeta"),
        [
            of("spec.clusterIP", FrontendVerdict::Served),
            of("spec.externalIPs[0]", FrontendVerdict::Taken(key("web"))),
        ]
    );
    assert_eq!(
        verdicts("none"),
        [of("spec.clusterIP", FrontendVerdict::NoEndpoint)]
    );
    let names = world.names(TypeUrl::LISTENER, &View::of(Role::Node));
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_name_outside_has_no_endpoints() {
    let mut world = World::new(Options::default());
    world.apply([
        one(
            "{kind: Service, metadata: {namespace: d, name: out}, spec: {type: ExternalName, externalName: example.com}}",
        ),
        slice("out-1", "out", "[{addresses: [10.0.0.1]}]"),
    ]);
    let explanation = explain(&world, "out", &View::of(Role::Mesh));
    assert_eq!(
        endpoints(&explanation)[0].1,
        EndpointVerdict::ExternalName,
        "{explanation:?}"
    );
    assert_eq!(
        world
            .translator
            .explain(&key("gone"), &View::of(Role::Mesh)),
        None
    );
}
