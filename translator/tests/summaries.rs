//! What a Service is in one line, case by case, and of which Services that has changed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::BTreeMap;
use std::mem::{size_of, size_of_val};

use seaway_translator::model::ServiceKey;
use seaway_translator::{Change, Object, Options, ServiceSummary, Translator};
use support::{World, manifests, one, service, slice};

fn key(name: &str) -> ServiceKey {
    ServiceKey {
        namespace: "d".into(),
        name: name.into(),
    }
}

fn tracking() -> World {
    let mut world = World::new(Options::default());
    world.translator.track_summaries(true);
    world
}

/// A summary in one line: type, addresses, ports, endpoints, whether it is served and why not.
fn line(summary: &ServiceSummary) -> String {
    let why = summary.why.map(|why| format!(" {why}"));
    format!(
        "{} [{}] [{}] {}/{} {}{}",
        summary.kind,
        summary.addresses.join(" "),
        summary.ports.join(" "),
        summary.ready,
        summary.endpoints,
        summary.served,
        why.unwrap_or_default(),
    )
}

#[track_caller]
fn said(world: &World, name: &str) -> String {
    line(&world.translator.summary(&key(name)).unwrap())
}

/// The changes of summaries since the last call; `gone` for a Service that is no more.
fn changes(world: &mut World) -> Vec<String> {
    let changes = world.translator.take_summary_changes().into_iter();
    let text = |(key, summary): (ServiceKey, Option<ServiceSummary>)| {
        let what = summary.map_or_else(|| "gone".to_owned(), |summary| line(&summary));
        format!("{}: {what}", key.name)
    };
    changes.map(text).collect()
}

/// A Service of namespace `d` with this spec, and the slices that go with it.
fn objects(spec: &str, slices: &str) -> Vec<Object> {
    let mut text = format!("{{kind: Service, metadata: {{namespace: d, name: web}}, {spec}}}");
    for slice in slices.split_terminator('\n') {
        let at = text.len();
        text.push_str(&format!(
            "\n---\n{{kind: EndpointSlice, metadata: {{namespace: d, name: web-{at}, labels: \
             {{kubernetes.io/service-name: web}}}}, addressType: IPv4, ports: [{{name: http, \
             port: 8080}}], {slice}}}"
        ));
    }
    let (objects, problems) = manifests(&text);
    assert_eq!(problems, []);
    objects
}

#[track_caller]
fn case(spec: &str, slices: &str, expected: &str) {
    let mut world = tracking();
    world.apply(objects(spec, slices));
    assert_eq!(said(&world, "web"), expected, "{spec}");
}

const HTTP: &str = "spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}";
const TWO: &str =
    "endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2], conditions: {ready: false}}]";

#[test]
fn what_is_served_is_said_with_the_reason_where_it_is_not() {
    let unready = "endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]";
    let terminating = "endpoints: [{addresses: [10.0.0.1], conditions: {ready: false, serving: \
                       true, terminating: true}}]";
    case(HTTP, TWO, "ClusterIP [10.96.0.1] [http:80] 1/2 yes");
    case(HTTP, terminating, "ClusterIP [10.96.0.1] [http:80] 0/1 yes");
    let none = "ClusterIP [10.96.0.1] [http:80] 0/0 no NoEndpoints";
    case(HTTP, "", none);
    case(HTTP, "endpoints: []", none);
    case(
        HTTP,
        unready,
        "ClusterIP [10.96.0.1] [http:80] 0/1 no NoReadyEndpoints",
    );
    let refused = "endpoints: [{addresses: [169.254.169.254]}]";
    case(
        HTTP,
        refused,
        "ClusterIP [10.96.0.1] [http:80] 1/1 no EndpointsRefused",
    );
    let other_name = "spec: {clusterIP: 10.96.0.1, ports: [{name: admin, port: 80}]}";
    case(
        other_name,
        TWO,
        "ClusterIP [10.96.0.1] [admin:80] 1/2 no NoEndpointPort",
    );
    let v6 = "spec: {clusterIP: fd00::1, ports: [{name: http, port: 80}]}";
    case(
        v6,
        TWO,
        "ClusterIP [fd00::1] [http:80] 1/2 no NoEndpointsOfFamily",
    );
    let both = "spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, fd00::1], ports: [{name: \
                http, port: 80}]}";
    let of_both = "ClusterIP [10.96.0.1 fd00::1] [http:80] 1/2 partly NoEndpointsOfFamily";
    case(both, TWO, of_both);
}

#[test]
fn types_addresses_and_ports_are_those_people_know() {
    let node_port = "spec: {type: NodePort, clusterIP: 10.96.0.1, externalIPs: [192.0.2.1], \
                     ports: [{name: http, port: 80, nodePort: 30080}]}";
    let expected = "NodePort [10.96.0.1 192.0.2.1] [http:80:30080] 1/2 yes";
    case(node_port, TWO, expected);
    let udp = "spec: {type: LoadBalancer, clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, \
               {name: dns, port: 53, protocol: UDP}]}, status: {loadBalancer: {ingress: [{ip: \
               192.0.2.9}]}}";
    let expected = "LoadBalancer [10.96.0.1 192.0.2.9] [http:80 dns:53/UDP] 1/2 partly \
                    NoEndpointPort";
    case(udp, TWO, expected);
    let sctp = "spec: {clusterIP: 10.96.0.1, ports: [{port: 80, protocol: SCTP}]}";
    let expected = "ClusterIP [10.96.0.1] [80/SCTP] 0/0 no UnsupportedProtocol";
    case(sctp, "", expected);
}

/// Service rule 1.
#[test]
fn a_headless_service_is_served_by_name_alone() {
    let headless = "spec: {clusterIP: None, ports: [{name: http, port: 80}]}";
    case(headless, TWO, "Headless [] [http:80] 1/2 yes");
    case(headless, "", "Headless [] [http:80] 0/0 no NoEndpoints");
    let udp = "spec: {clusterIP: None, ports: [{name: http, port: 80, protocol: UDP}]}";
    case(
        udp,
        TWO,
        "Headless [] [http:80/UDP] 1/2 no HeadlessHasNoAddress",
    );
    let bare = "spec: {ports: [{name: http, port: 80}]}";
    case(bare, TWO, "ClusterIP [] [http:80] 1/2 partly NoClusterIp");
    let unallocated = "spec: {type: NodePort, ports: [{name: http, port: 80, nodePort: 30080}]}";
    let expected = "NodePort [] [http:80:30080] 1/2 partly NoClusterIp";
    case(unallocated, TWO, expected);
}

/// Service rules 121 and 125.
#[test]
fn an_external_name_is_served_where_it_leads_somewhere() {
    let named = |name: &str| format!("spec: {{type: ExternalName, externalName: {name}}}");
    let of = |name: &str, rest: &str| format!("ExternalName [{name}] [] 0/0 {rest}");
    for (name, rest) in [
        ("www.example.com", "yes"),
        ("localhost", "no ExternalNameRefused"),
        ("web.d.svc.cluster.local", "no ExternalNameLoop"),
        ("nobody.d.svc.cluster.local", "no ExternalNameUnresolved"),
    ] {
        case(&named(name), TWO, &of(name, rest));
    }
    let expected = "ExternalName [] [] 0/0 no InvalidExternalName";
    case(&named("\"a b\""), "", expected);
}

/// Service rules 18 and 20.
#[test]
fn an_address_that_another_service_has_is_not_served() {
    let mut world = tracking();
    let older = one(
        "{kind: Service, metadata: {namespace: d, name: older, creationTimestamp: \
         \"2026-01-01T00:00:00Z\"}, spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}}",
    );
    let ready = "[{addresses: [10.0.0.1]}]";
    world.apply([
        older.clone(),
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", ready),
    ]);
    let expected = "ClusterIP [10.96.0.1] [http:80] 1/1 no AddressTaken";
    assert_eq!(said(&world, "web"), expected);
    world.translator.take_summary_changes();
    world.delete(&older);
    let served = "web: ClusterIP [10.96.0.1] [http:80] 1/1 yes";
    assert_eq!(changes(&mut world), ["older: gone", served]);
}

#[test]
fn only_what_has_changed_is_handed_over_and_only_to_those_who_ask() {
    let mut world = World::new(Options::default());
    let ready = "[{addresses: [10.0.0.1]}]";
    world.apply([service("web", "10.96.0.1", ""), slice("s", "web", ready)]);
    assert!(world.translator.take_summary_changes().is_empty());
    assert_eq!(world.translator.summary(&key("web")), None);

    world.translator.track_summaries(true);
    let served = "web: ClusterIP [10.96.0.1] [http:80] 1/1 yes";
    assert_eq!(changes(&mut world), [served]);
    assert_eq!(changes(&mut world), [""; 0]);
    // Another endpoint in the same place is nothing that a summary says.
    world.apply([slice("s", "web", "[{addresses: [10.0.0.2]}]")]);
    assert_eq!(changes(&mut world), [""; 0]);
    world.apply([slice("s", "web", "[]")]);
    let lost = "web: ClusterIP [10.96.0.1] [http:80] 0/0 no NoEndpoints";
    assert_eq!(changes(&mut world), [lost]);

    world.translator.track_summaries(false);
    assert_eq!(world.translator.summary(&key("web")), None);
    world.apply([slice("s", "web", ready)]);
    assert_eq!(changes(&mut world), [""; 0]);
}

/// What summaries take beside the strings of their keys, which are shared: 3 MB for 10,000.
#[test]
fn a_summary_takes_three_hundred_bytes_at_most() {
    let mut translator = Translator::new(Options::default());
    translator.track_summaries(true);
    for i in 0..1_000 {
        let ip = format!("10.96.{}.{}", i / 250, i % 250);
        let extra = ", type: NodePort, externalIPs: [192.0.2.1]";
        let service = service(&format!("service-{i}"), &ip, extra);
        translator.apply(Change::Apply(service));
    }
    translator.flush();
    let changes: BTreeMap<_, _> = translator.take_summary_changes();
    assert_eq!(changes.len(), 1_000);
    // A piece of the heap is rounded up to a multiple of 16 bytes.
    let piece = |bytes: usize| bytes.next_multiple_of(16);
    let texts = |texts: &[Box<str>]| -> usize {
        let each = texts.iter().map(|text| piece(text.len()));
        piece(size_of_val(texts)) + each.sum::<usize>()
    };
    let of = |summary: &ServiceSummary| texts(&summary.addresses) + texts(&summary.ports);
    let heap: usize = changes.values().flatten().map(of).sum();
    // A map is two thirds full.
    let entries = changes.len() * size_of::<(ServiceKey, ServiceSummary)>() * 3 / 2;
    assert!(heap + entries <= 300 * changes.len(), "{heap} + {entries}");
}

#[test]
fn a_summary_reads_back_as_it_is_written() {
    let mut world = tracking();
    world.apply(objects(HTTP, TWO));
    let summary = world.translator.summary(&key("web")).unwrap();
    let json = serde_json::to_value(&summary).unwrap();
    let expected = serde_json::json!({
        "type": "ClusterIP", "addresses": ["10.96.0.1"], "ports": ["http:80"], "ready": 1,
        "endpoints": 2, "served": "yes",
    });
    assert_eq!(json, expected);
    assert_eq!(
        serde_json::from_value::<ServiceSummary>(json).unwrap(),
        summary
    );
}

/// Whoever waits for an object is not told that it is published before a flush had it.
#[test]
fn what_stands_of_an_object_says_whether_a_flush_had_it() {
    let mut world = tracking();
    let (web, its) = (
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", "[{addresses: [10.0.0.1]}]"),
    );
    assert_eq!(world.translator.standing(&web.id()).object, None);
    let look = |world: &World, object: &Object| {
        let standing = world.translator.standing(&object.id());
        assert_eq!(standing.object.as_ref(), Some(object));
        standing.is_flushed
    };
    world.translator.apply(Change::Apply(web.clone()));
    assert!(!look(&world, &web));
    world.flush();
    assert!(look(&world, &web));
    world.translator.apply(Change::Apply(its.clone()));
    assert!(!look(&world, &its) && !look(&world, &web));
    world.flush();
    assert!(look(&world, &its) && look(&world, &web));
    // Another Service's change is none of theirs.
    let other = service("other", "10.96.0.2", "");
    world.translator.apply(Change::Apply(other.clone()));
    assert!(look(&world, &its) && look(&world, &web) && !look(&world, &other));
    let standing = world.translator.standing(&web.id());
    assert_eq!(line(&standing.summary.unwrap()), said(&world, "web"));
    // A slice that is gone is gone with the flush that has it.
    world.flush();
    world.translator.apply(Change::Delete(its.id()));
    let gone = world.translator.standing(&its.id());
    assert_eq!((gone.object, gone.is_flushed), (None, false));
    world.flush();
    assert!(world.translator.standing(&its.id()).is_flushed);
    // A slice of no Service is nothing to anybody, and ids are read as they are shown.
    let id = its.id().to_string().parse().unwrap();
    assert_eq!(its.id(), id);
    for text in ["Service", "Service web", "Pod d/web", "Node ", ""] {
        let read = text.parse::<seaway_translator::ObjectId>();
        assert!(read.is_err(), "{text:?}: {read:?}");
    }
}
