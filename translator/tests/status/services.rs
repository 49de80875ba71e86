//! The Services that are to be made for single Gateways (Gateway rule 13).

use std::collections::{BTreeMap, BTreeSet};

use seaway_translator::model::{GatewayService, ServiceKey, ServiceWrite};
use seaway_translator::{Object, Options};

use super::bindings::{front, gateway, listening, of_gateway};
use super::{World, edge_key, options};
use crate::support::one;
use crate::support::routing::gateway_class;

const EDGE: &str = "{name: a, port: 80, targetPort: http}, {name: b, port: 443, targetPort: https}";

/// A world in which Services are made, before proxies behind `d/edge`.
fn world() -> World {
    let mut world = World::new(Options {
        gateway_services: true,
        ..options()
    });
    world.apply([gateway_class(), front("edge", "192.0.2.1", EDGE, "")]);
    world
}

/// What is to become of Services since the last call, by their names.
fn changes(world: &mut World) -> BTreeMap<String, Option<ServiceWrite>> {
    let changes = world.translator.take_service_changes().into_iter();
    changes
        .map(|(key, write)| (key.to_string(), write))
        .collect()
}

/// Those that are to be made, by the names of their Gateways.
fn made(world: &mut World) -> BTreeMap<String, (String, GatewayService)> {
    let made = changes(world).into_iter().filter_map(|(key, write)| {
        let Some(ServiceWrite::Make(made)) = write else {
            return None;
        };
        Some((made.gateway.1.to_string(), (key, made)))
    });
    made.collect()
}

/// A Service as it is made.
fn object(key: &str, made: &GatewayService) -> Object {
    let ports = made.ports.iter();
    let ports = ports
        .map(|(port, target)| format!("{{name: port-{port}, port: {port}, targetPort: {target}}}"));
    let ports = ports.collect::<Vec<_>>().join(", ");
    managed(key, &made.gateway.1, &ports)
}

/// A Service that Seaway made for Gateway `d/<of>`, with these ports.
fn managed(key: &str, of: &str, ports: &str) -> Object {
    let (namespace, name) = key.split_once('/').unwrap();
    one(&format!(
        "{{kind: Service, metadata: {{namespace: {namespace}, name: {name}, labels: \
         {{app.kubernetes.io/managed-by: seaway}}, annotations: {{seaway.dev/gateway: d/{of}}}}}, \
         spec: {{type: LoadBalancer, clusterIP: 10.98.0.1, selector: {{app: edge}}, ports: \
         [{ports}]}}, status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.20}}]}}}}}}"
    ))
}

/// The ports, each with that of the proxies.
fn ports(made: &GatewayService) -> Vec<(u16, u16)> {
    let ports = made.ports.iter();
    ports
        .map(|(port, target)| (port.get(), target.get()))
        .collect()
}

/// What becomes of the Service for Gateway `d/g`, which was made.
#[track_caller]
fn after(change: impl IntoIterator<Item = Object>) -> Option<ServiceWrite> {
    let mut world = world();
    world.apply([gateway("g", 1, "", &listening("HTTP", 80))]);
    let (key, one) = made(&mut world).remove("g").unwrap();
    world.apply([object(&key, &one)]);
    assert_eq!(changes(&mut world).len(), 1);
    assert!(of_gateway(&world, "g").starts_with("A=T P=T R=T"));
    world.apply(change);
    let mut changes = changes(&mut world);
    changes
        .remove(&key)
        .unwrap_or(Some(ServiceWrite::Make(one)))
}

#[test]
fn each_gateway_without_addresses_gets_a_service_with_its_good_ports() {
    let mut world = world();
    let listeners = "listeners: [{name: a, protocol: HTTP, port: 80}, {name: b, protocol: HTTP, \
                     port: 80, hostname: x.org}, {name: c, protocol: HTTPS, port: 8443, tls: {certificateRefs: [{name: s}]}}, {name: d, \
                     protocol: TCP, port: 81}, {name: e, protocol: HTTP, port: 82, hostname: y.org}, \
                     {name: f, protocol: HTTP, port: 82, hostname: y.org}]";
    let with_address = format!(
        "addresses: [{{type: Hostname, value: edge.d.svc}}], {}",
        listening("HTTP", 80)
    );
    world.apply([
        gateway("g", 1, "", listeners),
        gateway("addressed", 1, "", &with_address),
        gateway("bad", 1, "", &listening("TCP", 80)),
    ]);
    let made = made(&mut world);
    let names: Vec<&String> = made.keys().collect();
    assert_eq!(names, ["g"]);
    let (key, one) = &made["g"];
    assert!(key.starts_with("d/gw-d-g-"), "{key}");
    assert_eq!(&*one.selector, "app=edge");
    assert!(!one.is_local && one.seen.is_empty());
    let numbers: Vec<u16> = ports(one).iter().map(|(port, _)| *port).collect();
    assert_eq!(numbers, [80, 8443]);
    let targets: BTreeSet<u16> = ports(one).iter().map(|(_, target)| *target).collect();
    assert_eq!(targets.len(), 2);
    assert!(targets.iter().all(|port| (20_000..30_000).contains(port)));
    // What is decided once stays, whatever changes elsewhere.
    world.apply([gateway("h", 1, "", &listening("HTTP", 80))]);
    let names: Vec<String> = changes(&mut world).into_keys().collect();
    assert!(
        names.len() == 1 && names[0].starts_with("d/gw-d-h-"),
        "{names:?}"
    );
}

#[test]
fn without_the_option_nothing_is_made_and_nothing_taken_away() {
    let mut world = World::new(options());
    world.apply([
        gateway_class(),
        front("edge", "192.0.2.1", EDGE, ""),
        managed("d/old", "gone", "{port: 80, targetPort: 20000}"),
        gateway("g", 1, "", &listening("HTTP", 80)),
    ]);
    assert!(changes(&mut world).is_empty());
}

/// A restart finds the ports in the Services.
#[test]
fn the_ports_that_a_service_has_are_kept_and_a_new_one_is_added() {
    let mut world = world();
    let both =
        "listeners: [{name: a, protocol: HTTP, port: 80}, {name: b, protocol: HTTP, port: 81}]";
    world.apply([
        managed(
            "d/any-name",
            "g",
            "{name: p, port: 80, targetPort: 29999}, {name: q, port: 90, targetPort: 20001}",
        ),
        gateway("g", 1, "", both),
    ]);
    let (key, one) = made(&mut world).remove("g").unwrap();
    assert_eq!(key, "d/any-name");
    assert_eq!(ports(&one)[0], (80, 29_999));
    assert!(ports(&one)[1].0 == 81 && one.ports.len() == 2);
    assert_eq!(one.seen.len(), 2);
    // The listener whose port is yet to come waits, the other one is served.
    let status = of_gateway(&world, "g");
    assert!(status.contains("a: A=T R=T P=T C=F"), "{status}");
    assert!(status.contains("b: A=F/PortUnavailable"), "{status}");
    assert!(
        world
            .message("b", "Accepted")
            .contains("is being made, or lacks this port")
    );
    world.apply([object(&key, &one)]);
    let status = of_gateway(&world, "g");
    assert!(status.contains("b: A=T R=T P=T C=F"), "{status}");
}

#[test]
fn of_two_services_with_one_port_of_the_proxies_the_second_gets_another() {
    let mut world = world();
    let port = "{port: 80, targetPort: 20007}";
    world.apply([
        front("by-hand", "192.0.2.9", "{port: 80, targetPort: 20008}", ""),
        managed("d/one", "g", port),
        managed("d/two", "h", port),
        managed("d/three", "i", "{port: 80, targetPort: 20008}"),
    ]);
    world.apply(["g", "h", "i"].map(|name| gateway(name, 1, "", &listening("HTTP", 80))));
    let made = made(&mut world);
    let target = |name: &str| ports(&made[name].1)[0].1;
    assert_eq!(target("g"), 20_007);
    let all = BTreeSet::from(["g", "h", "i"].map(target));
    assert!(all.len() == 3 && !all.contains(&20_008), "{all:?}");
}

#[test]
fn a_full_pool_is_said_and_harms_nobody_who_has_ports() {
    let mut world = world();
    for number in 0..100 {
        let ports = (0..100).map(|port| {
            let target = 20_000 + number * 100 + port;
            format!(
                "{{name: p{port}, port: {}, targetPort: {target}}}",
                port + 1
            )
        });
        let ports = ports.collect::<Vec<_>>().join(", ");
        let of = if number == 0 { "g" } else { "other" };
        world.apply([managed(&format!("d/s{number}"), of, &ports)]);
    }
    world.apply([
        gateway("other", 1, "", &listening("TCP", 80)),
        gateway("g", 1, "", &listening("HTTP", 80)),
    ]);
    let (key, one) = made(&mut world).remove("g").unwrap();
    assert_eq!((&*key, &ports(&one)[..]), ("d/s0", &[(80, 20_079)][..]));
    // The ports that it has no listeners for are free.
    world.apply([
        gateway("g", 1, "", &listening("HTTP", 80)),
        managed("d/s0", "more", "{port: 80, targetPort: 20000}"),
    ]);
    let ports = (0..100).map(|port| {
        format!(
            "{{name: q{port}, port: {}, targetPort: {}}}",
            port + 1,
            20_000 + port
        )
    });
    let ports = ports.collect::<Vec<_>>().join(", ");
    world.apply([front("all", "192.0.2.8", &ports, "")]);
    let status = of_gateway(&world, "g");
    assert!(
        status.starts_with("A=F/ListenersNotValid P=F/Invalid"),
        "{status}"
    );
    let message = world.message("h", "Accepted");
    assert_eq!(
        message,
        "no port of the proxies is left for it, of 20000 to 29999"
    );
}

#[test]
fn what_keeps_a_service_from_being_made_is_said() {
    let mut world = world();
    world.apply([gateway("g", 1, "", &listening("HTTP", 80))]);
    let (key, _) = made(&mut world).remove("g").unwrap();
    let says = |world: &World, what: &str| {
        let message = world.message("h", "Accepted");
        assert!(message.contains(what), "{message}");
    };
    // Somebody else's Service of that name.
    let (_, name) = key.split_once('/').unwrap();
    world.apply([front(
        name,
        "192.0.2.9",
        "{port: 80, targetPort: 20000}",
        "",
    )]);
    assert_eq!(changes(&mut world), [(key.clone(), None)].into());
    says(&world, &format!("there is a Service {key} already"));
    world.delete(&front(name, "192.0.2.9", "{port: 80}", ""));
    assert_eq!(made(&mut world).len(), 1);
    says(&world, "is being made");
    world.delete(&front("edge", "192.0.2.1", EDGE, ""));
    assert_eq!(changes(&mut world), [(key.clone(), None)].into());
    says(&world, "there is no Service d/edge");
    world.apply([super::edge("[]")]);
    says(
        &world,
        "Service d/edge, which --ingress-service names, has no selector",
    );
    assert!(changes(&mut world).is_empty());
}

#[test]
fn a_service_that_nobody_needs_is_taken_away_and_no_other() {
    let removes = |change: Vec<Object>| match after(change) {
        Some(ServiceWrite::Remove(stray)) => Some(stray.generation),
        _ => None,
    };
    let http = listening("HTTP", 80);
    let addressed = format!("addresses: [{{type: Hostname, value: edge.d.svc}}], {http}");
    assert_eq!(
        removes(vec![gateway("g", 1, "generation: 4", &addressed)]),
        Some(Some(4))
    );
    let fleet = "labels: {seaway.dev/fleet: other}";
    assert_eq!(removes(vec![gateway("g", 1, fleet, &http)]), Some(Some(0)));
    // Another controller's, now or from the start.
    let foreign = "{kind: GatewayClass, metadata: {name: gc}, spec: {controllerName: a.b/c}}";
    assert_eq!(removes(vec![one(foreign)]), Some(Some(0)));
    // One that was made by hand takes its place.
    let own = "seaway.dev/gateway: d/g";
    let by_hand = front("zz", "192.0.2.9", "{port: 80, targetPort: 8080}", own);
    assert_eq!(removes(vec![by_hand]), Some(Some(0)));
    // What is wrong for now takes no address away.
    for spec in [
        "infrastructure: {parametersRef: {group: a, kind: B, name: c}}, listeners: [{name: h, protocol: HTTP, port: 80}]",
        &listening("TCP", 80),
    ] {
        assert_eq!(removes(vec![gateway("g", 1, "", spec)]), None, "{spec}");
    }
    let class = "{kind: GatewayClass, metadata: {name: gc}, spec: {controllerName: \
                 seaway.dev/gateway-controller, parametersRef: {group: a, kind: B, name: c}}}";
    assert_eq!(removes(vec![one(class)]), None);
    assert_eq!(removes(vec![super::edge("[]")]), None);
    let fleet = "labels: {seaway.dev/fleet: \"no name\"}";
    assert_eq!(removes(vec![gateway("g", 1, fleet, &http)]), None);
}

#[test]
fn a_gateway_that_goes_takes_its_service_and_a_class_does_not() {
    let mut world = world();
    let object = gateway("g", 1, "", &listening("HTTP", 80));
    world.apply([
        managed("d/made", "g", "{port: 80, targetPort: 20000}"),
        front(
            "by-hand",
            "192.0.2.9",
            "{port: 80, targetPort: 20008}",
            "seaway.dev/gateway: d/gone",
        ),
    ]);
    world.apply([gateway("g", 1, "", &listening("HTTP", 80))]);
    assert_eq!(made(&mut world).len(), 1);
    world.delete(&gateway_class());
    assert_eq!(changes(&mut world), [("d/made".to_owned(), None)].into());
    world.apply([gateway_class()]);
    assert_eq!(made(&mut world).len(), 1);
    world.delete(&object);
    let changes = changes(&mut world);
    let Some(Some(ServiceWrite::Remove(stray))) = changes.get("d/made") else {
        panic!("{changes:?}");
    };
    assert_eq!((changes.len(), stray.generation), (1, None));
}

/// A fleet in another namespace: the Service moves with its Gateway.
#[test]
fn a_gateway_that_moves_to_another_fleet_gets_a_service_there() {
    let mut options = Options {
        gateway_services: true,
        ..options()
    };
    let blue = ServiceKey {
        namespace: "e".into(),
        name: "edge".into(),
    };
    options
        .ingress_services
        .insert("blue".parse().unwrap(), blue);
    let mut world = World::new(options);
    let shared = "{kind: Service, metadata: {namespace: e, name: edge}, spec: {clusterIP: \
                  10.96.0.77, externalTrafficPolicy: Local, type: LoadBalancer, selector: {b: c, a: \
                  b}, ports: [{port: 80}]}}";
    assert_eq!(edge_key().to_string(), "d/edge");
    world.apply([
        gateway_class(),
        front("edge", "192.0.2.1", EDGE, ""),
        one(shared),
        managed("d/made", "g", "{port: 80, targetPort: 20000}"),
        gateway("g", 1, "", &listening("HTTP", 80)),
    ]);
    assert_eq!(made(&mut world)["g"].0, "d/made");
    let fleet = "labels: {seaway.dev/fleet: blue}";
    world.apply([gateway("g", 1, fleet, &listening("HTTP", 80))]);
    let changes = changes(&mut world);
    assert!(
        matches!(changes["d/made"], Some(ServiceWrite::Remove(_))),
        "{changes:?}"
    );
    let new = changes.iter().find(|(key, _)| key.starts_with("e/gw-d-g-"));
    let Some((_, Some(ServiceWrite::Make(made)))) = new else {
        panic!("{changes:?}");
    };
    assert_eq!((&*made.selector, made.is_local), ("a=b,b=c", true));
}

/// Two hundred at once, in whichever order their Services appear.
#[test]
fn many_gateways_have_ports_of_their_own_that_stay() {
    let mut world = world();
    let names: Vec<String> = (0..200).map(|number| format!("g{number}")).collect();
    world.apply(
        names
            .iter()
            .map(|name| gateway(name, 1, "", &listening("HTTP", 80))),
    );
    let first = made(&mut world);
    let targets: BTreeSet<u16> = first.values().map(|(_, one)| ports(one)[0].1).collect();
    assert_eq!((first.len(), targets.len()), (200, 200));
    for name in names.iter().rev() {
        let (key, one) = &first[name];
        world.apply([object(key, one)]);
    }
    for (name, (_, one)) in made(&mut world) {
        assert_eq!(one.ports, first[&name].1.ports, "{name}");
        assert!(!one.seen.is_empty());
    }
}
