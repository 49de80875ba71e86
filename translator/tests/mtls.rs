//! mTLS between mesh proxies: what a change of a Namespace costs, who is given which endpoints, and
//! what is said of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::sync::Arc;

use seaway_proto::{TypeUrl, json};
use seaway_translator::diff::{self, diff};
use seaway_translator::{Object, Options, Question, Role, View, Viewpoint};
use support::{World, one, service, slice, view};

fn namespace(name: &str, mode: &str) -> Object {
    one(&format!(
        "{{kind: Namespace, metadata: {{name: {name}, annotations: {{seaway.dev/mtls: {mode}}}}}}}"
    ))
}

fn options() -> Options {
    Options {
        mesh_inbound: Some("0.0.0.0:15008".parse().unwrap()),
        ..Options::default()
    }
}

fn with_certificate() -> View {
    View {
        mesh_tls: true,
        namespace: Some("d".into()),
        ..View::of(Role::Mesh)
    }
}

fn world(options: Options) -> World {
    let mut world = World::new(options);
    world.translator.activate(&with_certificate());
    world.apply([
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", "[{addresses: [10.1.0.1]}]"),
    ]);
    world
}

/// A Namespace that turns to mTLS is its Services' clusters and assignments, and nothing else.
#[test]
fn a_namespace_that_asks_changes_its_own_services_alone() {
    let mut world = world(options());
    assert_eq!(
        world.apply([namespace("d", "permissive")]),
        [
            "all ClusterLoadAssignment d/web/80~mtls",
            "mesh-tls Cluster d/web/80",
        ]
    );
    assert_eq!(
        world.apply([namespace("d", "strict")]),
        ["all ClusterLoadAssignment d/web/80"]
    );
    assert_eq!(
        world.apply([namespace("e", "strict")]),
        Vec::<String>::new()
    );
    assert_eq!(
        world.delete(&namespace("d", "strict")),
        [
            "all ClusterLoadAssignment d/web/80",
            "all ClusterLoadAssignment d/web/80~mtls",
            "mesh-tls Cluster d/web/80",
        ]
    );
}

/// Endpoints that come are no change of a listener; a port that is new in the namespace is one.
#[test]
fn the_listener_of_a_namespace_has_the_ports_of_its_services() {
    let mut world = world(options());
    let more = "[{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}]";
    assert_eq!(
        world.apply([slice("web-1", "web", more)]),
        ["all ClusterLoadAssignment d/web/80"]
    );
    // The same port of another Service.
    let api = [
        service("api", "10.96.0.2", ""),
        slice("api-1", "api", "[{addresses: [10.1.0.3]}]"),
    ];
    let changed = world.apply(api.clone());
    assert!(
        changed.iter().all(|one| !one.contains("inbound")),
        "{changed:?}"
    );
    let other = one(
        "{kind: EndpointSlice, metadata: {namespace: d, name: api-1, labels: {kubernetes.io/service-name: api}}, \
         addressType: IPv4, ports: [{name: http, port: 9090}], endpoints: [{addresses: [10.1.0.3]}]}",
    );
    let changed = world.apply([other]);
    let inbound: Vec<&String> = changed
        .iter()
        .filter(|one| one.contains("inbound"))
        .collect();
    assert_eq!(
        inbound,
        [
            "mesh-inbound:d Cluster inbound/9090",
            "mesh-inbound:d Listener inbound@0.0.0.0:15008",
        ]
    );
}

/// Only proxies with a certificate see it, and of the listener those of the namespace. It is there
/// while one of them is.
#[test]
fn layers_of_mtls_are_for_proxies_with_a_certificate() {
    let mut world = world(options());
    world.apply([namespace("d", "strict")]);
    let inbound = "inbound@0.0.0.0:15008";
    world.translator.deactivate(&with_certificate());
    let gone = world.flush();
    assert!(
        gone.contains(&format!("mesh-inbound:d Listener {inbound}")),
        "{gone:?}"
    );
    world.translator.activate(&with_certificate());
    assert_eq!(world.flush(), gone);
    let has = |view: &View, type_url: TypeUrl, name: &str| {
        let names = world.names(type_url, view);
        names.iter().any(|one| one == name)
    };
    let elsewhere = View {
        namespace: Some("e".into()),
        ..with_certificate()
    };
    let without = View {
        mesh_tls: false,
        ..with_certificate()
    };
    assert!(has(&with_certificate(), TypeUrl::LISTENER, inbound));
    assert!(!has(&elsewhere, TypeUrl::LISTENER, inbound));
    for secret in ["mesh-certificate", "mesh-authorities"] {
        assert!(has(&elsewhere, TypeUrl::SECRET, secret));
        assert!(!has(&without, TypeUrl::SECRET, secret));
    }
    let claiming = View {
        mesh_tls: true,
        ..view(Role::Node, "n1", "")
    };
    for other in [without, claiming] {
        assert!(!has(&other, TypeUrl::LISTENER, inbound));
        assert_eq!(world.endpoints("d/web/80", &other), "");
    }
    assert_eq!(
        world.endpoints("d/web/80~mtls", &with_certificate()),
        "10.1.0.1:15008"
    );
}

/// Envoy takes an empty list of identities for everybody: where no name is good there is one that
/// nobody has.
#[test]
fn no_good_account_is_nobody() {
    let mut world = world(options());
    let bad = one(
        "{kind: Service, metadata: {namespace: d, name: web, annotations: {seaway.dev/service-accounts: '*'}}, \
         spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}}",
    );
    world.apply([namespace("d", "strict"), bad]);
    let seen = world
        .published
        .seen(&world.translator.place(&with_certificate()));
    let cluster = &seen[&(TypeUrl::CLUSTER, Arc::from("d/web/80"))];
    let value = json::to_value(TypeUrl::CLUSTER.as_str(), &cluster.value).unwrap();
    let context = &value["transport_socket"]["typed_config"]["common_tls_context"];
    let matchers = &context["combined_validation_context"]["default_validation_context"];
    let names = &matchers["match_typed_subject_alt_names"];
    assert_eq!(names[0]["matcher"]["exact"], "spiffe://nobody", "{value:#}");
    assert_eq!(names.as_array().map(Vec::len), Some(1));
}

/// What is asked for and not served is a problem of the Namespace.
#[test]
fn a_namespace_that_asks_in_vain_is_told() {
    let mut world = world(Options::default());
    let before = world.published.clone();
    world.apply([namespace("d", "strict")]);
    assert_eq!(world.published, before);
    let problems = world.translator.problems();
    let of_namespace = problems
        .iter()
        .find(|problem| problem.object.to_string() == "Namespace d");
    assert!(of_namespace.unwrap().message.contains("--mesh-inbound"));
    world.delete(&namespace("d", "strict"));
    let problems = world.translator.problems();
    assert!(
        problems
            .iter()
            .all(|p| p.object.to_string() != "Namespace d")
    );
}

/// An explanation says that a connection is mTLS, and who has to be at its end.
#[test]
fn an_explanation_says_who_is_accepted() {
    let mut world = world(options());
    let said = |world: &World, view: View| {
        let question = Question::read("d/web", "d").unwrap();
        let answer = world.translator.explain(&question, &Viewpoint::of(view));
        let section = answer.sections[0].clone();
        let mut facts = section.facts.iter().filter(|fact| fact.label == "mTLS");
        let text = facts.next().map(|fact| fact.text.clone());
        (text.unwrap_or_default(), section.verdict.join(" "))
    };
    assert_eq!(said(&world, with_certificate()).0, "");
    world.apply([namespace("d", "strict")]);
    let (text, verdict) = said(&world, with_certificate());
    assert_eq!(
        text,
        "strict: connections are mTLS, to port 15008 of the endpoint, which has to be spiffe://cluster.local/ns/d/sa/*"
    );
    assert!(verdict.contains("10.1.0.1:8080"), "{verdict}");
    let (text, verdict) = said(&world, View::of(Role::Mesh));
    assert!(
        text.starts_with("strict: only mesh proxies with a certificate"),
        "{text}"
    );
    assert!(verdict.contains("503"), "{verdict}");
    world.apply([namespace("d", "permissive")]);
    let (text, verdict) = said(&world, View::of(Role::Mesh));
    assert!(
        text.contains("connections of this proxy are plain"),
        "{text}"
    );
    assert!(verdict.contains("10.1.0.1:8080"), "{verdict}");
}

/// A difference says what becomes of connections, and who is accepted.
#[test]
fn a_difference_says_that_connections_become_mtls() {
    let views = [View::of(Role::Mesh), with_certificate()];
    let told = |old: &[Object], new: &[Object]| {
        let world = |objects: &[Object]| diff::World::new(options(), objects.to_vec(), &views);
        let difference = diff(&world(old), &world(new));
        let effects = difference.changed.iter().flat_map(|of| &of.effects);
        effects.map(ToString::to_string).collect::<Vec<_>>()
    };
    let plain = vec![
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", "[{addresses: [10.1.0.1]}]"),
    ];
    let with = |mode: &str| [plain.clone(), vec![namespace("d", mode)]].concat();
    assert_eq!(
        told(&plain, &with("permissive")),
        [
            "connections to endpoints plain -> mTLS with spiffe://cluster.local/ns/d/sa/*; no connection is cut"
        ]
    );
    assert_eq!(
        told(&with("permissive"), &with("strict")),
        ["! no endpoint is left (10.1.0.1:8080 leaves); requests get 503"]
    );
    let more = "[{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}]";
    let mut grown = with("strict");
    grown[1] = slice("web-1", "web", more);
    let grown = told(&with("strict"), &grown);
    assert_eq!(grown.len(), 1, "{grown:?}");
    assert!(grown[0].contains("10.1.0.2:15008"), "{grown:?}");
}
