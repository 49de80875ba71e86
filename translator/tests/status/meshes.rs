//! The status of HTTPRoutes whose parents are Services (Gateway rules 115, 116 and 120).

use seaway_translator::ObjectKind;
use seaway_translator::status::{MESH_CONTROLLER, Status};

use super::{gateway, id, route, world};
use crate::support::one;

/// What a world with some Services says of route `d/r` with these parents and fields, whichever
/// comes first.
#[track_caller]
fn check(parents: &str, fields: &str, expected: &str) {
    let services = || {
        [
            one(
                "{kind: Service, metadata: {namespace: d, name: s}, spec: {clusterIP: 10.96.0.2, \
                 ports: [{name: http, port: 80}, {name: admin, port: 8080}, {name: dns, port: 53, \
                 protocol: UDP}]}}",
            ),
            one(
                "{kind: Service, metadata: {namespace: d, name: headless}, spec: {clusterIP: None, \
                 ports: [{port: 80}]}}",
            ),
            one(
                "{kind: Service, metadata: {namespace: d, name: name}, spec: {type: ExternalName, \
                 externalName: x.org}}",
            ),
            one(
                "{kind: Service, metadata: {namespace: j, name: far}, spec: {clusterIP: 10.96.0.3, \
                 ports: [{port: 80}]}}",
            ),
        ]
    };
    let mut first = world();
    first.apply(services());
    first.apply([route(parents, fields)]);
    assert_eq!(first.route(), expected);
    let mut last = world();
    last.apply([route(parents, fields)]);
    last.translator.track_status(true);
    last.translator.take_status_changes();
    last.apply(services());
    assert_eq!(last.route(), expected);
    let route = id(ObjectKind::HTTPRoute, "d", "r");
    assert!(last.translator.take_status_changes().contains(&route));
}

fn service(name: &str, rest: &str) -> String {
    format!("{{group: \"\", kind: Service, name: {name}{rest}}}")
}

/// GW131, GW132, GW137.
#[test]
fn a_service_with_a_cluster_ip_takes_routes_for_the_ports_that_it_has() {
    let good = "backendRefs: [{name: s, port: 80}]";
    let rules = &*format!("rules: [{{{good}}}]");
    check(&service("s", ""), rules, "s/: A=T R=T");
    check(&service("s", ", port: 8080"), rules, "s/: A=T R=T");
    check(
        &service("s", ", sectionName: admin"),
        rules,
        "s/admin: A=T R=T",
    );
    let none = "A=F/NoMatchingParent R=T";
    for (parent, section) in [
        (service("s", ", port: 81"), "s/"),
        (service("s", ", port: 53"), "s/"),
        (service("s", ", sectionName: nope"), "s/nope"),
        (service("s", ", sectionName: http, port: 8080"), "s/http"),
        (service("headless", ""), "headless/"),
        (service("name", ""), "name/"),
    ] {
        check(&parent, rules, &format!("{section}: {none}"));
    }
    // One that does not exist, or of another kind or group, is nobody's.
    let strangers = format!(
        "{}, {}, {{name: s, kind: Service}}, {{name: s, group: x.org, kind: Service}}",
        service("absent", ""),
        service("s", ", namespace: j")
    );
    let both = format!("{strangers}, {}", service("s", ""));
    check(&both, rules, "s/: A=T R=T");
}

/// GW138: a backend of another namespace needs no grant there, unlike at Gateways.
#[test]
fn a_backend_is_judged_by_who_sends_requests_there() {
    let rules = "rules: [{backendRefs: [{name: far, namespace: j, port: 80}]}]";
    check(&service("s", ""), rules, "s/: A=T R=T");
    let rules = "rules: [{backendRefs: [{name: absent, port: 80}]}]";
    check(&service("s", ""), rules, "s/: A=T R=F/BackendNotFound");
    let rules = "rules: [{backendRefs: [{name: s, port: 81}]}]";
    check(&service("s", ""), rules, "s/: A=T R=F/BackendNotFound");
    // Mesh proxies serve names that ingress proxies do not.
    let rules = "rules: [{backendRefs: [{name: name, port: 80}]}]";
    check(&service("s", ""), rules, "s/: A=T R=T");
    let rules = "rules: [{backendRefs: [{name: s, port: 80}], filters: [{type: Foo}]}]";
    check(&service("s", ""), rules, "s/: A=F/UnsupportedValue R=T");
    let mut world = world();
    world.apply([
        gateway("listeners: [{name: h, protocol: HTTP, port: 80}]"),
        one(
            "{kind: Service, metadata: {namespace: j, name: far}, spec: {clusterIP: 10.96.0.3, \
             ports: [{port: 80}]}}",
        ),
        route(
            &format!("{{name: g}}, {}", service("web", "")),
            "rules: [{backendRefs: [{name: far, namespace: j, port: 80}]}]",
        ),
    ]);
    assert_eq!(world.route(), "g/: A=T R=F/RefNotPermitted\nweb/: A=T R=T");
    let Some(Status::Route(entries)) =
        world
            .translator
            .status(&id(ObjectKind::HTTPRoute, "d", "r"))
    else {
        panic!("it has a status");
    };
    assert_eq!(entries[1].controller, MESH_CONTROLLER);
}
