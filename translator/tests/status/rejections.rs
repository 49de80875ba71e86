//! What proxies reject, as it is shown by the objects that it was made from (Gateway rule 106).

use std::collections::BTreeSet;
use std::sync::Arc;

use seaway_translator::{ObjectKind, Reason};

use super::{World, gateway, route, world};
use crate::support::one;
use crate::support::routing::{self, class, ingress, secret, secured};

const LISTENERS: &str = "listeners: [{name: h, protocol: HTTP, port: 80}, {name: s, protocol: \
                         HTTPS, port: 443, tls: {certificateRefs: [{name: s}]}}]";
const WEB: &str = "hostnames: [a.org], rules: [{backendRefs: [{name: web, port: 80}]}]";

/// Problems as `<object> <reason> <message>`.
fn problems(world: &World) -> Vec<String> {
    let problems = world.translator.problems();
    // The certificates here are for other hosts.
    let shown = problems
        .iter()
        .filter(|one| one.reason != Reason::CertificateMismatch)
        .map(|one| format!("{} {} {}", one.object, one.reason, one.message));
    shown.collect()
}

fn reject(world: &mut World, all: &[(&str, &str)]) -> bool {
    let changed = world.translator.set_rejections(all.iter().copied());
    world.flush();
    changed
}

fn served() -> World {
    let mut world = world();
    world.apply([
        gateway(LISTENERS),
        secret("s", "ec", "ec"),
        route("{name: g}", WEB),
        class(),
    ]);
    world.translator.track_status(true);
    world.translator.take_status_changes();
    world
}

fn changed(world: &mut World) -> Vec<String> {
    let changed = world.translator.take_status_changes();
    changed.iter().map(ToString::to_string).collect()
}

#[test]
fn a_listener_that_a_proxy_rejects_is_not_programmed() {
    let mut world = served();
    let good = world.gateway();
    let words = "http/80: cannot bind '[::]:80':\n Address already in use\u{1b}[31m";
    assert!(reject(&mut world, &[("ingress default 80", words)]));
    assert_eq!(changed(&mut world), ["Gateway d/g"]);
    let status = world.gateway();
    assert!(status.contains("\nh: A=T R=T P=F/Invalid C=F"), "{status}");
    assert!(status.contains("\ns: A=T R=T P=T C=F"), "{status}");
    assert_eq!(
        world.message("h", "Programmed"),
        "a proxy rejects it: http/80: cannot bind '[::]:80': Address already in use[31m"
    );
    assert_eq!(
        problems(&world),
        [
            "Gateway d/g RejectedByProxy a proxy rejects what it was sent, and keeps what it had: \
             http/80: cannot bind '[::]:80': Address already in use[31m"
        ]
    );
    assert!(!reject(&mut world, &[("ingress default 80", words)]));
    assert!(reject(&mut world, &[]));
    assert_eq!(changed(&mut world), ["Gateway d/g"]);
    assert_eq!((world.gateway(), problems(&world)), (good, Vec::new()));
}

#[test]
fn the_routes_of_a_host_that_a_proxy_rejects_say_so() {
    let mut world = served();
    world.apply([ingress("i", "b.org", "/", "web")]);
    world.translator.take_status_changes();
    let all = [
        ("ingress default 80/a.org", "bad regex"),
        ("ingress default 80/b.org", "bad path"),
        ("ingress other 80/a.org", "of another fleet"),
        ("mesh", "of no object"),
        ("what is this", "?"),
    ];
    assert!(reject(&mut world, &all));
    assert_eq!(changed(&mut world), ["Ingress d/i", "HTTPRoute d/r"]);
    assert_eq!(world.route(), "g/: A=T R=T P=F/Invalid");
    let lines = problems(&world);
    let begins = [
        "HTTPRoute d/r RejectedByProxy",
        "Ingress d/i RejectedByProxy",
    ];
    for line in begins {
        assert!(lines.iter().any(|one| one.starts_with(line)), "{lines:?}");
    }
    // The listener serves all other hosts.
    assert!(world.gateway().contains("\nh: A=T R=T P=T C=F"));
    reject(&mut world, &[]);
    assert_eq!(world.route(), "g/: A=T R=T");
    assert_eq!(problems(&world), [""; 0]);
}

#[test]
fn a_certificate_or_a_service_that_a_proxy_rejects_is_named() {
    let mut world = served();
    let all = [
        ("Secret d/s", "no start line"),
        ("Service d/web node:n1@za", "cannot bind"),
    ];
    assert!(reject(&mut world, &all));
    assert!(world.gateway().contains("\ns: A=T R=T P=F/Invalid C=F"));
    let status = world.status(ObjectKind::Gateway, "d", "g");
    assert!(status.contains("\nh: A=T R=T P=T"), "{status}");
    let lines = problems(&world);
    assert!(
        lines[1].starts_with("Service d/web RejectedByProxy"),
        "{lines:?}"
    );
    assert!(lines[1].ends_with(": cannot bind"), "{lines:?}");
}

/// The same where proxies ask for it by the name of a host (Gateway rule 109): it is the listener
/// of that host that says so.
#[test]
fn a_certificate_that_is_asked_for_by_a_host_is_named_when_it_is_rejected() {
    let mut world = served();
    world.apply([
        one(
            "{kind: Service, metadata: {namespace: d, name: edge}, spec: {type: LoadBalancer, \
             clusterIP: 10.96.0.9, ports: [{name: a, port: 443}, {name: b, port: 8443}]}, status: \
             {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}}",
        ),
        gateway(
            "listeners: [{name: s, protocol: HTTPS, port: 443, hostname: a.org, tls: \
             {certificateRefs: [{name: s}]}}, {name: other, protocol: HTTPS, port: 443, hostname: \
             d.org, tls: {certificateRefs: [{name: s}]}}, {name: far, protocol: HTTPS, port: 8443, \
             hostname: a.org, tls: {certificateRefs: [{name: s}]}}]",
        ),
        secured("i", "b.org", "t"),
        secret("t", "ec", "ec"),
    ]);
    let good = world.gateway();
    world.translator.take_status_changes();
    let all = [
        ("ingress default certificate a.org", "no start line"),
        ("ingress default certificate b.org", "no key"),
        ("ingress other certificate a.org", "of another fleet"),
        ("ingress default certificate c.org", "of no object"),
    ];
    assert!(reject(&mut world, &all));
    assert_eq!(changed(&mut world), ["Ingress d/i", "Gateway d/g"]);
    for line in [
        "s: A=T R=T P=F/Invalid",
        "other: A=T R=T P=T",
        "far: A=T R=T P=T",
    ] {
        let status = world.gateway();
        assert!(status.contains(&format!("\n{line}")), "{status}");
    }
    assert_eq!(
        world.message("s", "Programmed"),
        "a proxy rejects it: no start line"
    );
    let lines = problems(&world);
    for (object, words) in [("Gateway d/g", "no start line"), ("Ingress d/i", "no key")] {
        let begins = format!("{object} RejectedByProxy");
        let named = |one: &String| one.starts_with(&begins) && one.ends_with(words);
        assert!(lines.iter().any(named), "{lines:?}");
    }
    reject(&mut world, &[]);
    assert_eq!((world.gateway(), problems(&world)), (good, Vec::new()));
}

/// Of two listeners at one port only one protocol is served, and what proxies reject is that.
#[test]
fn what_is_rejected_is_not_said_of_a_route_to_a_listener_without_its_port() {
    let mut world = served();
    world.apply([
        one(
            "{kind: Service, metadata: {namespace: d, name: edge}, spec: {type: LoadBalancer, \
             clusterIP: 10.96.0.9, ports: [{port: 8080}]}, status: {loadBalancer: {ingress: [{ip: \
             192.0.2.1}]}}}",
        ),
        gateway("listeners: [{name: h, protocol: HTTP, port: 8080}]"),
        routing::gateway(
            "later",
            "2026-02-02T00:00:00Z",
            "[{name: s, protocol: HTTPS, port: 8080, tls: {certificateRefs: [{name: s}]}}]",
        ),
        one(
            "{kind: HTTPRoute, metadata: {namespace: d, name: of-later}, spec: {parentRefs: \
             [{name: later}], hostnames: [a.org], rules: [{backendRefs: [{name: web, port: 80}]}]}}",
        ),
    ]);
    let of_later = |world: &World| world.status(ObjectKind::HTTPRoute, "d", "of-later");
    let before = of_later(&world);
    reject(&mut world, &[("ingress default 8080/a.org", "bad regex")]);
    assert_eq!(world.route(), "g/: A=T R=T P=F/Invalid");
    assert_eq!(of_later(&world), before);
}

/// What nobody has is a warning of the Service that is meant, if there is one, and else of the
/// name.
#[test]
fn held_back_and_missing_are_problems_while_they_last() {
    let mut world = served();
    let held = [("Service d/web", "larger than clients accept")];
    assert!(world.translator.set_held_back(held));
    assert!(!world.translator.set_held_back(held));
    let names: BTreeSet<(&str, Arc<str>)> = BTreeSet::from([
        ("Cluster", "d/web/81".into()),
        ("Cluster", "d/wbe/80".into()),
    ]);
    assert!(world.translator.set_missing(&names));
    assert!(!world.translator.set_missing(&names));
    let said = |world: &World| -> Vec<String> {
        let all = problems(world).into_iter();
        all.filter(|one| one.contains(" HeldBack ") || one.contains(" MissingName "))
            .collect()
    };
    let expected = [
        "Name d/wbe/80 MissingName a proxy asks for the Cluster d/wbe/80, which nobody has; it \
         waits until there is one",
        "Service d/web HeldBack it is held back from proxies that were not sent it yet: larger \
         than clients accept",
        "Service d/web MissingName a proxy asks for the Cluster d/web/81, which nobody has; it \
         waits until there is one",
    ];
    assert_eq!(said(&world), expected);
    world.translator.set_missing(&BTreeSet::new());
    world.translator.set_held_back([]);
    assert_eq!(said(&world), [""; 0]);
}
