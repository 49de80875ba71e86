//! Several Services before the proxies, and several fleets of proxies: by which Service clients
//! reach a Gateway, and which proxies serve it (Gateway rules 11 to 16).

use seaway_proto::TypeUrl;
use seaway_translator::{Object, ObjectKind, Options, Reason, Role, View};

use super::{World, edge, edge_key, options, world};
use crate::support::routing::{class, gateway_class, ingress, route, secret, secured};
use crate::support::{one, service, slice};

/// A Service before the proxies, with one address and these ports.
pub(super) fn front(name: &str, ip: &str, ports: &str, annotations: &str) -> Object {
    let tail = ip.strip_prefix("192.0").unwrap_or_default();
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: {name}, annotations: {{{annotations}}}}}, \
         spec: {{type: LoadBalancer, clusterIP: 10.97{tail}, selector: {{app: edge}}, ports: \
         [{ports}]}}, status: {{loadBalancer: {{ingress: [{{ip: {ip}}}]}}}}}}"
    ))
}

/// Gateway `d/<name>` of this age, with more fields of its `metadata` and its `spec`.
pub(super) fn gateway(name: &str, month: u8, meta: &str, spec: &str) -> Object {
    one(&format!(
        "{{kind: Gateway, metadata: {{namespace: d, name: {name}, creationTimestamp: \
         \"2026-0{month}-01T00:00:00Z\", {meta}}}, spec: {{gatewayClassName: gc, {spec}}}}}"
    ))
}

pub(super) fn listening(protocol: &str, port: u16) -> String {
    format!("listeners: [{{name: h, protocol: {protocol}, port: {port}}}]")
}

fn by(name: &str, spec: &str) -> String {
    format!("addresses: [{{type: Hostname, value: {name}.d.svc}}], {spec}")
}

/// A world whose proxies are behind `d/edge`, with ports 80 and 443 as usual.
fn with_edge() -> World {
    let mut world = world();
    let ports = "{name: a, port: 80, targetPort: http}, {name: b, port: 443, targetPort: https}, \
                 {name: c, port: 8080, targetPort: 8085}";
    world.apply([front("edge", "192.0.2.1", ports, "")]);
    world
}

pub(super) fn of_gateway(world: &World, name: &str) -> String {
    world.status(ObjectKind::Gateway, "d", name)
}

const SERVED: &str = "A=T P=T R=T at";
const KIND: &str = "[\"HTTPRoute\"]";

/// The names of a type that the proxies of a fleet have.
fn names(world: &World, fleet: &str, kind: TypeUrl) -> Vec<String> {
    let view = View {
        fleet: fleet.parse().unwrap(),
        ..View::of(Role::Ingress)
    };
    world.names(kind, &view)
}

/// GW006, GW010: each Service is an address space of its own.
#[test]
fn gateways_with_services_of_their_own_do_not_meet() {
    let mut world = with_edge();
    let ports = |number: u16| format!("{{port: 80, targetPort: {number}}}");
    world.apply([
        front("one", "192.0.2.11", &ports(20_000), ""),
        front("two", "192.0.2.12", &ports(20_001), ""),
        gateway("g", 1, "", &by("one", &listening("HTTP", 80))),
        gateway("h", 2, "", &by("two", &listening("HTTP", 80))),
    ]);
    for (name, ip) in [("g", "192.0.2.11"), ("h", "192.0.2.12")] {
        let expected = format!("{SERVED} [\"{ip}\"]\nh: A=T R=T P=T C=F 0 {KIND}");
        assert_eq!(of_gateway(&world, name), expected);
    }
    world.apply([
        route("r", "[]", "/", "web"),
        slice("web-1", "web", "[{addresses: [10.0.0.1]}]"),
    ]);
    let listeners = names(&world, "default", TypeUrl::LISTENER);
    assert_eq!(listeners, ["hosts", "http/20000", "http/20001"]);
    let scopes = names(&world, "default", TypeUrl::SCOPED_ROUTE);
    assert_eq!(scopes, ["20000/*", "20001/*"]);
    // By the address that a Service has, too.
    let wanted = format!(
        "addresses: [{{value: 192.0.2.12}}], {}",
        listening("HTTP", 80)
    );
    world.apply([gateway("g", 1, "", &wanted)]);
    let listeners = names(&world, "default", TypeUrl::LISTENER);
    assert_eq!(listeners, ["hosts", "http/20001"]);
    // Both have the same port now, and `g` is older.
    let expected = "A=F/ListenersNotValid P=F/Invalid R=T at []\nh: A=F/HostnameConflict R=T \
                    P=F/HostnameConflict C=T/HostnameConflict 0 [\"HTTPRoute\"]";
    assert_eq!(of_gateway(&world, "h"), expected);
}

/// GW007, GW008.
#[test]
fn at_shared_addresses_the_older_gateway_has_a_host() {
    let mut world = with_edge();
    world.apply([
        gateway("g", 1, "", &listening("HTTP", 80)),
        gateway("h", 2, "", &listening("HTTP", 80)),
    ]);
    let taken = "h: A=F/HostnameConflict R=T P=F/HostnameConflict C=T/HostnameConflict 0";
    assert!(
        of_gateway(&world, "h").contains(taken),
        "{}",
        of_gateway(&world, "h")
    );
    assert!(of_gateway(&world, "g").starts_with(SERVED));
    world.delete(&gateway("g", 1, "", ""));
    let expected = format!("{SERVED} [\"192.0.2.1\"]\nh: A=T R=T P=T C=F 0 {KIND}");
    assert_eq!(of_gateway(&world, "h"), expected);
}

/// GW009, Gateway rule 14: the ports of the Service are those that there are.
#[test]
fn a_listener_has_a_port_if_its_service_has() {
    let mut world = with_edge();
    world.apply([gateway("g", 1, "", &listening("HTTP", 8080))]);
    assert_eq!(
        names(&world, "default", TypeUrl::LISTENER),
        ["hosts", "http/8085"]
    );
    let refused = |world: &World, message: &str| {
        assert!(of_gateway(world, "g").contains("h: A=F/PortUnavailable"));
        assert_eq!(world.message("h", "Accepted"), message);
        assert_eq!(names(world, "default", TypeUrl::LISTENER), ["hosts"]);
    };
    world.apply([gateway("g", 1, "", &listening("HTTP", 8081))]);
    refused(
        &world,
        "the addresses of this Gateway, which are those of Service d/edge, have no port 8081, \
         only 80, 443, 8080",
    );
    world.apply([gateway("g", 1, "", &listening("HTTP", 443))]);
    refused(&world, "behind port 443 the proxies speak HTTPS");
    // Behind another Service the numbers count alone.
    let ports = "{name: a, port: 80, targetPort: web}, {name: b, port: 81, targetPort: 443}, \
                 {name: c, port: 82, protocol: UDP, targetPort: 9000}";
    world.apply([
        front("one", "192.0.2.11", ports, ""),
        gateway("g", 1, "", &by("one", &listening("HTTP", 80))),
    ]);
    refused(
        &world,
        "the targetPort of port 80 of Service d/one is a name; it has to be the number of a port \
         at which the proxies listen for it",
    );
    world.apply([gateway("g", 1, "", &by("one", &listening("HTTP", 81)))]);
    refused(&world, "behind port 81 the proxies speak HTTPS");
    world.apply([gateway("g", 1, "", &by("one", &listening("HTTP", 82)))]);
    refused(
        &world,
        "the addresses of this Gateway, which are those of Service d/one, have no port 82, only \
         80, 81",
    );
}

/// Gateway rule 27, for the protocol of a port.
#[test]
fn the_older_gateway_decides_what_a_port_speaks() {
    let mut world = with_edge();
    world.apply([
        gateway("g", 2, "", &listening("HTTP", 8080)),
        secret("s", "ec", "ec"),
    ]);
    let tls = "listeners: [{name: h, protocol: HTTPS, port: 8080, tls: {certificateRefs: [{name: \
               s}]}}]";
    world.apply([gateway("h", 3, "", tls)]);
    let taken = "h: A=F/ProtocolConflict R=T P=F/ProtocolConflict C=T/ProtocolConflict";
    assert!(
        of_gateway(&world, "h").contains(taken),
        "{}",
        of_gateway(&world, "h")
    );
    let listeners = |world: &World| names(world, "default", TypeUrl::LISTENER);
    assert_eq!(listeners(&world), ["hosts", "http/8085"]);
    world.apply([gateway("h", 1, "", tls)]);
    assert_eq!(listeners(&world), ["hosts", "tls/8085"]);
    assert!(of_gateway(&world, "g").contains(taken));
    world.delete(&gateway("h", 1, "", tls));
    assert_eq!(listeners(&world), ["hosts", "http/8085"]);
    assert!(of_gateway(&world, "g").contains("h: A=T R=T P=T C=F"));
}

/// Gateway rule 12: only Services before the same pods, of the namespace of the fleet.
#[test]
fn a_service_before_other_pods_is_nobodys_address() {
    let mut world = with_edge();
    let other = one(
        "{kind: Service, metadata: {namespace: d, name: other}, spec: {clusterIP: 10.96.0.8, \
         selector: {app: other}, ports: [{port: 80, targetPort: 9999}]}}",
    );
    let foreign = one(
        "{kind: Service, metadata: {namespace: e, name: other}, spec: {clusterIP: 10.96.0.7, \
         selector: {app: edge}, ports: [{port: 80, targetPort: 9999}]}}",
    );
    world.apply([other, foreign]);
    for address in ["other.d.svc", "other.e.svc"] {
        let spec = format!(
            "addresses: [{{type: Hostname, value: {address}}}], {}",
            listening("HTTP", 80)
        );
        world.apply([gateway("g", 1, "", &spec)]);
        let status = of_gateway(&world, "g");
        assert!(status.starts_with("A=T P=F/AddressNotUsable"), "{status}");
        let listeners = names(&world, "default", TypeUrl::LISTENER);
        assert_eq!(listeners, ["hosts", "http/80"], "{address}");
    }
}

/// Gateway rule 13: the Service that is made for a Gateway is its own, and no other one's.
#[test]
fn a_gateway_has_the_service_that_is_made_for_it() {
    let with_services = Options {
        gateway_services: true,
        ..options()
    };
    let mut world = World::new(with_services);
    let ports = "{name: a, port: 80, targetPort: http}";
    world.apply([
        gateway_class(),
        front("edge", "192.0.2.1", ports, ""),
        gateway("g", 1, "", &listening("HTTP", 80)),
        gateway("h", 1, "", &by("made", &listening("HTTP", 80))),
    ]);
    let waiting = "A=F/ListenersNotValid P=F/Invalid R=T at []\nh: A=F/PortUnavailable";
    assert!(
        of_gateway(&world, "g").starts_with(waiting),
        "{}",
        of_gateway(&world, "g")
    );
    let made = |port: u16| {
        let ports = format!("{{port: {port}, targetPort: 20000}}");
        front("made", "192.0.2.20", &ports, "seaway.dev/gateway: d/g")
    };
    world.apply([made(80)]);
    let expected = format!("{SERVED} [\"192.0.2.20\"]\nh: A=T R=T P=T C=F 0 {KIND}");
    assert_eq!(of_gateway(&world, "g"), expected);
    assert!(of_gateway(&world, "h").starts_with("A=T P=F/AddressNotUsable"));
    world.apply([made(81)]);
    assert!(of_gateway(&world, "g").contains("h: A=F/PortUnavailable"));
    world.delete(&made(81));
    assert!(of_gateway(&world, "g").starts_with(waiting));
    // Gateways with addresses get none.
    assert!(of_gateway(&world, "h").starts_with("A=T P=F/AddressNotUsable"));
}

/// A world of two fleets: Ingresses `i` and `plain` of the default one, `x` of fleet `blue`.
fn of_two_fleets() -> World {
    let mut options = options();
    let mut key = edge_key();
    key.name = "blue-edge".into();
    options
        .ingress_services
        .insert("blue".parse().unwrap(), key);
    let mut world = World::new(options);
    let ports = "{name: a, port: 80, targetPort: http}, {name: b, port: 443, targetPort: https}";
    let blue_class = "{kind: IngressClass, metadata: {name: seaway-blue, labels: \
                      {seaway.dev/fleet: blue}}, spec: {controller: \
                      seaway.dev/ingress-controller}}";
    let blue_ingress = "{kind: Ingress, metadata: {namespace: d, name: x}, spec: \
                        {ingressClassName: seaway-blue, tls: [{hosts: [a.org], secretName: t}], \
                        rules: [{host: a.org, http: {paths: [{path: /, pathType: Prefix, backend: \
                        {service: {name: web, port: {number: 80}}}}]}}]}}";
    world.apply([
        gateway_class(),
        class(),
        one(blue_class),
        service("web", "10.96.0.1", ""),
        front("edge", "192.0.2.1", ports, ""),
        front("blue-edge", "192.0.2.2", ports, ""),
        secret("s", "ec", "ec"),
        secret("t", "p384", "p384"),
        secured("i", "a.org", "s"),
        ingress("plain", "b.org", "/", "web"),
        one(blue_ingress),
    ]);
    world
}

#[track_caller]
fn check(world: &World, fleet: &str, kind: TypeUrl, expected: &[&str]) {
    assert_eq!(names(world, fleet, kind), expected, "{fleet}");
}

/// Two tenants with a fleet each never see one another's listeners, routes and certificates.
#[test]
fn each_fleet_has_its_own_listeners_routes_and_certificates() {
    let world = of_two_fleets();
    check(&world, "default", TypeUrl::SECRET, &["d/s"]);
    check(&world, "blue", TypeUrl::SECRET, &["d/t"]);
    check(&world, "none", TypeUrl::SECRET, &[]);
    check(&world, "none", TypeUrl::LISTENER, &["hosts"]);
    check(&world, "none", TypeUrl::SCOPED_ROUTE, &[]);
    let all = ["hosts", "http/80", "tls/443"];
    check(&world, "default", TypeUrl::LISTENER, &all);
    check(&world, "blue", TypeUrl::LISTENER, &all);
    let of_default = ["443/a.org", "80/a.org", "80/b.org"];
    check(&world, "default", TypeUrl::SCOPED_ROUTE, &of_default);
    check(
        &world,
        "blue",
        TypeUrl::SCOPED_ROUTE,
        &["443/a.org", "80/a.org"],
    );
    // Hosts of one fleet do not get into the way of those of another. The certificates are for
    // others.
    let mut problems = world.translator.problems();
    problems.retain(|one| one.reason != Reason::CertificateMismatch);
    assert_eq!(problems, []);
    assert_eq!(
        world.status(ObjectKind::Ingress, "d", "i"),
        "at [\"192.0.2.1\"]"
    );
    assert_eq!(
        world.status(ObjectKind::Ingress, "d", "x"),
        "at [\"192.0.2.2\"]"
    );
}

/// A Gateway and an IngressClass move with their labels, routes and all.
#[test]
fn what_is_labelled_anew_moves_to_the_other_fleet() {
    let mut world = of_two_fleets();
    let labelled = |label: &str| gateway("g", 1, label, &listening("HTTP", 80));
    world.apply([
        labelled("labels: {seaway.dev/fleet: blue}"),
        route("r", "[c.org]", "/", "web"),
    ]);
    let blue = ["443/a.org", "80/*", "80/a.org", "80/c.org"];
    check(&world, "blue", TypeUrl::SCOPED_ROUTE, &blue);
    assert!(of_gateway(&world, "g").starts_with("A=T P=T R=T at [\"192.0.2.2\"]"));
    world.apply([labelled("")]);
    check(
        &world,
        "blue",
        TypeUrl::SCOPED_ROUTE,
        &["443/a.org", "80/a.org"],
    );
    let scopes = names(&world, "default", TypeUrl::SCOPED_ROUTE);
    assert!(scopes.contains(&"80/c.org".to_owned()), "{scopes:?}");
    assert!(of_gateway(&world, "g").starts_with("A=T P=T R=T at [\"192.0.2.1\"]"));
    let class = "{kind: IngressClass, metadata: {name: seaway-blue}, spec: {controller: \
                 seaway.dev/ingress-controller}}";
    world.apply([one(class)]);
    check(&world, "blue", TypeUrl::LISTENER, &["hosts"]);
    check(&world, "blue", TypeUrl::SECRET, &[]);
}

/// A label that names no fleet that could be: a problem names it, and nothing is served.
#[test]
fn a_label_that_is_no_name_of_a_fleet_is_a_problem() {
    let mut world = with_edge();
    let bad_class = one(
        "{kind: IngressClass, metadata: {name: seaway, labels: {seaway.dev/fleet: a.b}}, spec: \
         {controller: seaway.dev/ingress-controller}}",
    );
    world.apply([
        bad_class,
        ingress("i", "a.org", "/", "web"),
        gateway(
            "g",
            1,
            "labels: {seaway.dev/fleet: A}",
            &listening("HTTP", 80),
        ),
    ]);
    let problems = world.translator.problems();
    let shown = problems
        .iter()
        .map(|one| format!("{} {} {}", one.object, one.field, one.reason));
    let field = "metadata.labels[seaway.dev/fleet]";
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            format!("Gateway d/g {field} InvalidParameters"),
            format!("IngressClass seaway {field} InvalidParameters"),
        ]
    );
    assert!(of_gateway(&world, "g").starts_with("A=F/InvalidParameters P=F/Invalid"));
    assert_eq!(names(&world, "default", TypeUrl::LISTENER), ["hosts"]);
}

/// An address that no Service before the proxies has is said without a cluster, too, and is no
/// problem any more once one has it.
#[test]
fn an_address_that_nobody_has_is_a_problem() {
    let mut world = with_edge();
    let wanted = "addresses: [{value: 192.0.2.77}, {value: 192.0.2.1}, {type: Hostname}], ";
    let spec = format!("{wanted}{}", listening("HTTP", 80));
    world.apply([gateway("g", 1, "", &spec)]);
    let problems = world.translator.problems();
    let shown = problems
        .iter()
        .map(|one| format!("{} {} {}", one.object, one.field, one.reason));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        ["Gateway d/g spec.addresses[0] AddressNotUsable"]
    );
    world.apply([edge("[{ip: 192.0.2.1}, {ip: 192.0.2.77}]")]);
    assert_eq!(world.translator.problems(), []);
}

/// The Gateway of a tenant that is older has the host over TLS, whatever Secret it names: the
/// Ingress says so.
#[test]
fn an_ingress_says_that_an_older_gateway_has_its_host_with_the_same_secret() {
    let mut world = with_edge();
    let listener = "listeners: [{name: h, protocol: HTTPS, port: 443, hostname: a.org, tls: \
                    {certificateRefs: [{name: s}]}}]";
    world.apply([
        class(),
        secret("s", "ec", "ec"),
        gateway("g", 1, "", listener),
        secured("i", "a.org", "s"),
    ]);
    let problems = world.translator.problems();
    let of_ingress = problems
        .iter()
        .filter(|one| one.object.to_string() == "Ingress d/i")
        // The certificate is for other hosts.
        .filter(|one| one.reason != Reason::CertificateMismatch);
    let shown = of_ingress.map(|one| format!("{} {}", one.field, one.message));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        ["spec.tls[0].hosts Gateway d/g is older and has a.org over TLS"]
    );
}
