//! The status of GatewayClasses, Gateways and their listeners (Gateway rules 6 to 31, 98 to 103).

use seaway_translator::ObjectKind;
use seaway_translator::status::{SUPPORTED_FEATURES, Status};

use super::{gateway, id, route, world};
use crate::support::one;

/// A listener in good standing, with so many routes.
fn good(name: &str, routes: i32) -> String {
    format!("{name}: A=T R=T P=T C=F {routes} [\"HTTPRoute\"]")
}

const HTTP: &str = "{name: h, protocol: HTTP, port: 80}";

#[test]
fn gw001_what_is_of_another_controller_has_no_status() {
    let mut world = world();
    world.apply_text(
        "{kind: GatewayClass, metadata: {name: other}, spec: {controllerName: other.io/x}}\n---\n\
         {kind: Gateway, metadata: {namespace: d, name: g}, spec: {gatewayClassName: other, \
         listeners: [{name: h, protocol: HTTP, port: 80}]}}",
    );
    world.apply([route("{name: g}", "")]);
    assert_eq!(
        world.status(ObjectKind::GatewayClass, "", "other"),
        "nothing"
    );
    assert_eq!(world.gateway(), "nothing");
    assert_eq!(world.route(), "nothing");
    assert_eq!(world.status(ObjectKind::Gateway, "d", "absent"), "nothing");
    assert_eq!(world.status(ObjectKind::Service, "d", "web"), "nothing");
}

#[test]
fn gw002_a_class_with_parameters_is_not_accepted() {
    let mut world = world();
    world.apply([gateway(&format!("listeners: [{HTTP}]"))]);
    assert_eq!(world.status(ObjectKind::GatewayClass, "", "gc"), "A=T");
    world.apply([one(
        "{kind: GatewayClass, metadata: {name: gc, generation: 7}, spec: {controllerName: \
         seaway.dev/gateway-controller, parametersRef: {group: x, kind: y, name: z}}}",
    )]);
    let status = world.status(ObjectKind::GatewayClass, "", "gc");
    assert_eq!(status, "A=F/InvalidParameters");
    assert_eq!(world.gateway(), "nothing");
    let status = world
        .translator
        .status(&id(ObjectKind::GatewayClass, "", "gc"));
    let Some(Status::GatewayClass(conditions)) = status else {
        panic!("{status:?}");
    };
    assert_eq!(conditions[0].generation, 7);
    let message = "Seaway reads no parameters, so the class is not served";
    assert_eq!(&*conditions[0].message, message);
}

#[test]
fn gw005_a_gateway_with_parameters_is_not_accepted() {
    let mut world = world();
    let parameters = "infrastructure: {parametersRef: {group: x, kind: y, name: z}}";
    world.apply([
        gateway(&format!("{parameters}, listeners: [{HTTP}]")),
        route("{name: g}", ""),
    ]);
    assert_eq!(
        world.gateway(),
        "A=F/InvalidParameters P=F/Invalid R=T at []\n\
         h: A=T R=T P=F/Invalid C=F 1 [\"HTTPRoute\"]"
    );
    assert_eq!(world.route(), "g/: A=T R=T");
}

#[test]
fn gw007_gw008_of_two_gateways_the_older_has_the_port_and_host_name() {
    let mut world = world();
    let older = one(
        "{kind: Gateway, metadata: {namespace: e, name: older, creationTimestamp: \
         \"2025-01-01T00:00:00Z\"}, spec: {gatewayClassName: gc, listeners: [{name: h, protocol: \
         HTTP, port: 80}]}}",
    );
    world.apply([older.clone(), gateway(&format!("listeners: [{HTTP}]"))]);
    assert_eq!(
        world.gateway(),
        "A=F/ListenersNotValid P=F/Invalid R=T at []\n\
         h: A=F/HostnameConflict R=T P=F/HostnameConflict C=T/HostnameConflict 0 [\"HTTPRoute\"]"
    );
    assert_eq!(
        world.message("h", "Conflicted"),
        "Gateway e/older is older and has * at port 80"
    );
    let other = world.status(ObjectKind::Gateway, "e", "older");
    assert_eq!(
        other,
        format!("A=T P=T R=T at [\"192.0.2.1\"]\n{}", good("h", 0))
    );
    world.delete(&older);
    let expected = format!("A=T P=T R=T at [\"192.0.2.1\"]\n{}", good("h", 0));
    assert_eq!(world.gateway(), expected);
}

/// Checks what is said of a Gateway with these listeners, and of each of them.
#[track_caller]
fn check(listeners: &str, gateway: &str, expected: &[String]) {
    let mut world = world();
    world.apply([super::gateway(&format!("listeners: [{listeners}]"))]);
    let expected = expected.join("\n");
    assert_eq!(
        world.gateway(),
        format!("{gateway}\n{expected}"),
        "{listeners}"
    );
}

const SOME: &str = "A=T/ListenersNotValid P=T R=T at [\"192.0.2.1\"]";
const NONE: &str = "A=F/ListenersNotValid P=F/Invalid R=T at []";
const KINDS: &str = "[\"HTTPRoute\"]";

/// GW013, GW014.
#[test]
fn all_parties_of_a_conflict_say_so() {
    let lost = |name: &str, reason: &str, kinds: &str| {
        format!("{name}: A=F/{reason} R=T P=F/{reason} C=T/{reason} 0 {kinds}")
    };
    check(
        "{name: a, protocol: HTTP, port: 80, hostname: x.org}, {name: b, protocol: HTTP, \
         port: 80, hostname: X.org}, {name: c, protocol: HTTP, port: 80, hostname: y.org}",
        SOME,
        &[
            lost("a", "HostnameConflict", KINDS),
            lost("b", "HostnameConflict", KINDS),
            good("c", 0),
        ],
    );
    check(
        "{name: a, protocol: HTTP, port: 80}, {name: b, protocol: TCP, port: 80}",
        NONE,
        &[
            lost("a", "ProtocolConflict", KINDS),
            lost("b", "ProtocolConflict", "[]"),
        ],
    );
}

/// GW009, GW017 to GW019.
#[test]
fn each_listener_says_what_becomes_of_it() {
    let refused = |name: &str, reason: &str, kinds: &str| {
        format!("{name}: A=F/{reason} R=T P=F/Invalid C=F 0 {kinds}")
    };
    let port = "{name: x, protocol: HTTP, port: 8081}";
    check(port, NONE, &[refused("x", "PortUnavailable", KINDS)]);
    check(
        "{name: a, protocol: HTTP, port: 80, hostname: x.org, tls: {}}, \
         {name: b, protocol: HTTP, port: 80, hostname: x.org}",
        SOME,
        &[refused("a", "UnsupportedValue", KINDS), good("b", 0)],
    );
    let unknown = "{name: a, protocol: INVALID, port: 1111}";
    let expected = refused("a", "UnsupportedProtocol", "[]");
    check(unknown, NONE, std::slice::from_ref(&expected));
    check(
        &format!("{unknown}, {HTTP}"),
        SOME,
        &[expected, good("h", 0)],
    );
    let at = "R=F/ListenersNotResolved at [\"192.0.2.1\"]";
    check(
        "{name: h, protocol: HTTP, port: 80, allowedRoutes: {kinds: [{kind: Foo}]}}",
        &format!("A=T P=F/Invalid {at}"),
        &["h: A=T R=F/InvalidRouteKinds P=F/Invalid C=F 0 []".to_owned()],
    );
    check(
        "{name: h, protocol: HTTP, port: 80, allowedRoutes: {kinds: [{kind: Foo}, \
         {kind: HTTPRoute}]}}",
        &format!("A=T P=T {at}"),
        &[format!("h: A=T R=F/InvalidRouteKinds P=T C=F 0 {KINDS}")],
    );
}

/// Gateway rule 14.
#[test]
fn gw009_a_listener_says_whose_addresses_lack_its_port() {
    let mut world = world();
    world.apply([gateway(
        "listeners: [{name: x, protocol: HTTP, port: 8081}]",
    )]);
    assert_eq!(
        world.message("x", "Accepted"),
        "the addresses of this Gateway, which are those of Service d/edge, have no port 8081, only \
         80, 443"
    );
}

/// Gateway rule 99, GW105.
#[test]
fn every_condition_is_of_the_generation_that_was_read() {
    let mut world = world();
    world.apply([
        gateway(&format!("listeners: [{HTTP}]")),
        route("{name: g}", ""),
    ]);
    let status = world.translator.status(&id(ObjectKind::Gateway, "d", "g"));
    let Some(Status::Gateway(status)) = status else {
        panic!("{status:?}");
    };
    let listeners = status.listeners.iter().flat_map(|one| &one.conditions);
    let all: Vec<_> = status.conditions.iter().chain(listeners).collect();
    assert_eq!(all.len(), 3 + 4);
    assert!(all.iter().all(|condition| condition.generation == 3));
    let status = world
        .translator
        .status(&id(ObjectKind::HTTPRoute, "d", "r"));
    let Some(Status::Route(parents)) = status else {
        panic!("{status:?}");
    };
    let mut all = parents.iter().flat_map(|parent| &parent.conditions);
    assert!(all.all(|condition| condition.generation == 5));
}

#[test]
fn the_features_are_in_order_and_each_is_there_once() {
    assert!(SUPPORTED_FEATURES.is_sorted_by(|one, other| one < other));
}
