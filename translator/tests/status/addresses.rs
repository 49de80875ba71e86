//! The addresses in the status of Gateways and Ingresses (Gateway rules 12, 101 and 102, Service
//! rule 146).

use seaway_translator::{ObjectKind, Options, Reason};

use super::{World, edge, gateway, world};
use crate::support::routing::{class, gateway_class, ingress};
use crate::support::{node, one, slice};

const LISTENER: &str = "listeners: [{name: h, protocol: HTTP, port: 80}]";

/// The line of Gateway `d/g` itself.
fn line(world: &World) -> String {
    world
        .gateway()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn exposing(fields: &str) -> seaway_translator::Object {
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: edge}}, spec: {{clusterIP: 10.96.0.9, \
         ports: [{{port: 80, nodePort: 30080}}], {fields}}}}}"
    ))
}

/// A world with a Gateway and an Ingress, without the Service before the proxies.
fn bare() -> World {
    let mut world = World::new(super::options());
    let rule = ingress("i", "a.org", "/", "web");
    world.apply([gateway_class(), class(), gateway(LISTENER), rule]);
    world
}

/// Checks the addresses of both.
#[track_caller]
fn check(world: &World, expected: &[&str]) {
    let at = format!("at {expected:?}");
    let programmed = match expected.is_empty() {
        true => "P=F/AddressNotAssigned",
        false => "P=T",
    };
    assert_eq!(line(world), format!("A=T {programmed} R=T {at}"));
    assert_eq!(world.status(ObjectKind::Ingress, "d", "i"), at);
}

/// GW012, Gateway rule 102.
#[test]
fn the_addresses_are_those_of_the_service_in_front_of_the_proxies() {
    let mut world = bare();
    check(&world, &[]);
    assert_eq!(
        world.message("", "Programmed"),
        "there is no Service d/edge, which --ingress-service names"
    );
    world.apply([edge("[]")]);
    check(&world, &[]);
    let message = world.message("", "Programmed");
    assert_eq!(message, "Service d/edge has no address yet");
    world.apply([edge(
        "[{ip: 198.51.100.7, ipMode: Proxy}, {hostname: lb.x.org}]",
    )]);
    check(&world, &["198.51.100.7", "lb.x.org"]);
    world.apply([edge("[{hostname: a b}, {ip: 192.0.2.3}]")]);
    check(&world, &["192.0.2.3"]);
    let problems = world.translator.problems();
    let mut fields = problems.iter().map(|one| (one.reason, &*one.field));
    let expected = (
        Reason::InvalidHostname,
        "status.loadBalancer.ingress[0].hostname",
    );
    assert!(fields.any(|one| one == expected), "{problems:?}");
    world.apply([exposing("type: LoadBalancer, externalIPs: [192.0.2.5]")]);
    check(&world, &["192.0.2.5"]);
    world.apply([exposing("type: ClusterIP")]);
    check(&world, &["10.96.0.9"]);
    world.delete(&exposing("type: ClusterIP"));
    check(&world, &[]);
}

/// Gateway rule 102.
#[test]
fn at_node_ports_the_addresses_are_those_of_nodes_that_answer() {
    let mut world = bare();
    let with_address = |name: &str, ip: &str| {
        one(&format!(
            "{{kind: Node, metadata: {{name: {name}}}, status: {{addresses: [{{type: InternalIP, \
             address: {ip}}}]}}}}"
        ))
    };
    world.apply([exposing("type: NodePort"), node("n0", "", "")]);
    check(&world, &[]);
    world.apply([
        with_address("n1", "192.0.2.11"),
        with_address("n2", "192.0.2.12"),
    ]);
    check(&world, &["192.0.2.11", "192.0.2.12"]);
    world.apply([exposing("type: NodePort, externalTrafficPolicy: Local")]);
    check(&world, &[]);
    let endpoints = "[{addresses: [10.0.0.1], nodeName: n2}]";
    world.apply([slice("edge-1", "edge", endpoints)]);
    check(&world, &["192.0.2.12"]);
    // A Gateway has room for 16.
    let nodes = (0..20).map(|n| with_address(&format!("m{n:02}"), &format!("10.9.0.{n}")));
    world.apply(nodes.chain([exposing("type: NodePort")]));
    let first: Vec<String> = (0..16).map(|n| format!("10.9.0.{n}")).collect();
    check(&world, &first.iter().map(|one| &**one).collect::<Vec<_>>());
}

#[test]
fn without_a_service_that_is_named_there_is_no_address() {
    let mut world = World::new(Options::default());
    let rule = ingress("i", "a.org", "/", "web");
    world.apply([
        gateway_class(),
        class(),
        gateway(LISTENER),
        rule,
        edge("[{ip: 192.0.2.1}]"),
    ]);
    assert_eq!(line(&world), "A=T P=F/AddressNotAssigned R=T at []");
    // What others wrote there stays.
    assert_eq!(world.status(ObjectKind::Ingress, "d", "i"), "nothing");
}

/// GW010, GW011.
#[test]
fn a_gateway_has_the_addresses_that_it_asks_for() {
    let cases = [
        ("{value: 192.0.2.1}", "A=T P=T R=T at [\"192.0.2.1\"]"),
        (
            "{type: Hostname, value: lb.x.org}",
            "A=T P=T R=T at [\"lb.x.org\"]",
        ),
        ("{type: Hostname}", "A=T P=T R=T at [\"lb.x.org\"]"),
        (
            "{type: IPAddress, value: \"\"}",
            "A=T P=T R=T at [\"192.0.2.1\"]",
        ),
        (
            "{type: Hostname, value: edge.d.svc}",
            "A=T P=T R=T at [\"192.0.2.1\", \"lb.x.org\"]",
        ),
        (
            "{type: Hostname, value: edge.d.svc.cluster.local}",
            "A=T P=T R=T at [\"192.0.2.1\", \"lb.x.org\"]",
        ),
        (
            "{value: 192.0.2.9}, {value: 192.0.2.1}",
            "A=T P=F/AddressNotUsable R=T at [\"192.0.2.1\"]",
        ),
        (
            "{type: test/fake, value: a}, {value: 192.0.2.1}",
            "A=F/UnsupportedAddress P=F/Invalid R=T at []",
        ),
    ];
    for (addresses, expected) in cases {
        let mut world = world();
        world.apply([
            edge("[{ip: 192.0.2.1}, {hostname: lb.x.org}]"),
            gateway(&format!("addresses: [{addresses}], {LISTENER}")),
        ]);
        assert_eq!(line(&world), expected, "{addresses}");
    }
}

/// Service rule 146, GW129.
#[test]
fn an_ingress_of_another_class_has_no_address() {
    let mut world = world();
    let rule = ingress("i", "a.org", "/", "web");
    world.apply([rule]);
    assert_eq!(world.status(ObjectKind::Ingress, "d", "i"), "nothing");
    world.apply([class()]);
    assert_eq!(
        world.status(ObjectKind::Ingress, "d", "i"),
        "at [\"192.0.2.1\"]"
    );
    world.delete(&class());
    assert_eq!(world.status(ObjectKind::Ingress, "d", "i"), "nothing");
}

/// A Gateway that is refused for its addresses is not served, and a problem says so.
#[test]
fn a_gateway_that_asks_for_an_unknown_kind_of_address_is_not_served() {
    let mut world = world();
    world.apply([gateway(&format!(
        "addresses: [{{type: test/fake, value: a}}], {LISTENER}"
    ))]);
    let problems: Vec<String> = world
        .translator
        .problems()
        .iter()
        .map(|one| format!("{} {} {}", one.object, one.field, one.reason))
        .collect();
    assert_eq!(
        problems,
        ["Gateway d/g spec.addresses[0] UnsupportedAddress"]
    );
    let seen = crate::support::view(seaway_translator::Role::Ingress, "", "");
    let listeners = world.names(seaway_proto::TypeUrl::LISTENER, &seen);
    assert_eq!(listeners, ["hosts"]);
}
