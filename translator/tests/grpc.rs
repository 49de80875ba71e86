//! What is made for gRPC clients while they ask for it, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use seaway_proto::TypeUrl;
use seaway_translator::{Change, Options, Reason, Role, View, translate_targets};
use support::{World, one, service, slice};

const A: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za}]";
const NOTHING: [&str; 0] = [];

fn world() -> World {
    let mut world = World::new(Options::default());
    world.flush();
    world
}

fn want(world: &mut World, name: &str, is_wanted: bool) -> Vec<String> {
    world.translator.want(&name.into(), is_wanted);
    world.flush()
}

#[test]
fn a_name_is_a_listener_from_when_it_is_asked_for_until_nobody_asks() {
    let mut world = world();
    world.apply([service("web", "10.96.0.1", ""), slice("web-1", "web", A)]);
    assert_eq!(
        want(&mut world, "web.d", true),
        ["role:grpc Listener web.d"]
    );
    assert_eq!(want(&mut world, "web.d", true), NOTHING);
    let other = "WEB.d.svc.cluster.local.:80";
    let line = format!("role:grpc Listener {other}");
    assert_eq!(want(&mut world, other, true), [line.as_str()]);
    assert_eq!(
        want(&mut world, "web.d", false),
        ["role:grpc Listener web.d"]
    );
    assert_eq!(want(&mut world, other, false), [line]);
    assert_eq!(want(&mut world, "web.d", false), NOTHING);
}

#[test]
fn a_service_that_comes_later_is_found_by_who_asked_before_and_goes_with_it() {
    let mut world = world();
    assert!(!world.translator.want(&"web.d:80".into(), true));
    let all = [
        "all ClusterLoadAssignment d/web/80",
        "inside Cluster d/web/80",
        "role:grpc Listener web.d:80",
        "role:mesh ScopedRouteConfiguration d/web",
        "role:mesh ScopedRouteConfiguration d/web:80",
        "role:mesh ScopedRouteConfiguration d/web@10.96.0.1",
    ];
    let web = service("web", "10.96.0.1", "");
    let id = web.id();
    assert_eq!(world.apply([web.clone()]), all);
    world.translator.apply(Change::Delete(id));
    assert_eq!(world.flush(), all);
    assert_eq!(world.apply([web]), all);
}

/// A route for the Service of a name is in the listener of that name, and what it leads to is
/// there; one of another namespace is for nobody here, since clients are in none.
#[test]
fn a_route_is_in_the_listener_of_its_service() {
    let mut world = world();
    world.apply([
        service("web", "10.96.0.1", ""),
        service("next", "10.96.0.2", ""),
    ]);
    want(&mut world, "web.d", true);
    want(&mut world, "next.d", true);
    let route = |namespace: &str, fields: &str| {
        one(&format!(
            "{{kind: HTTPRoute, metadata: {{namespace: {namespace}, name: r}}, spec: {{parentRefs: \
             [{{group: \"\", kind: Service, namespace: d, name: web}}], rules: [{{{fields}}}]}}}}"
        ))
    };
    let listeners = |mut changed: Vec<String>| {
        changed.retain(|line| line.starts_with("role:grpc "));
        changed
    };
    let mine = ["role:grpc Listener web.d"];
    let to = "backendRefs: [{name: next, namespace: d, port: 80}]";
    assert_eq!(listeners(world.apply([route("d", to)])), mine);
    assert_eq!(listeners(world.apply([route("j", to)])), NOTHING);
    // What gRPC does not do is a problem while somebody asks for the name.
    let filtered = "filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]";
    assert_eq!(listeners(world.apply([route("d", filtered)])), mine);
    assert_eq!(
        world.translator.problem_counts()[&Reason::UnsupportedField],
        1
    );
    want(&mut world, "web.d", false);
    assert!(
        !world
            .translator
            .problem_counts()
            .contains_key(&Reason::UnsupportedField)
    );
    want(&mut world, "web.d", true);
    assert_eq!(listeners(world.apply([route("d", to)])), mine);
    // A backend that goes, and comes back.
    let next = service("next", "10.96.0.2", "");
    let both = ["role:grpc Listener next.d", mine[0]];
    assert_eq!(listeners(world.delete(&next)), both);
    assert_eq!(listeners(world.apply([next])), both);
    assert_eq!(listeners(world.delete(&route("d", to))), mine);
}

#[test]
fn endpoints_change_assignments_and_no_listener_rule_152() {
    let mut world = world();
    world.apply([service("web", "10.96.0.1", "")]);
    want(&mut world, "web.d", true);
    let changed = world.apply([slice("web-1", "web", A)]);
    assert!(!changed.is_empty());
    assert!(
        changed.iter().all(|line| !line.contains("role:grpc")),
        "{changed:?}"
    );
}

#[test]
fn a_port_that_comes_and_goes_takes_its_name_along() {
    let mut world = world();
    let with = |ports: &str| {
        one(&format!(
            "{{kind: Service, metadata: {{namespace: d, name: web}}, spec: {{clusterIP: None, ports: [{ports}]}}}}"
        ))
    };
    world.apply([with("{name: a, port: 81}")]);
    assert_eq!(want(&mut world, "web.d:82", true), NOTHING);
    assert_eq!(
        want(&mut world, "web.d", true),
        ["role:grpc Listener web.d"]
    );
    let of_listeners = |changed: Vec<String>| -> Vec<String> {
        let listeners = changed.into_iter().filter(|line| line.contains("Listener"));
        listeners.collect()
    };
    let changed = world.apply([with("{name: a, port: 81}, {name: b, port: 82}")]);
    let both = ["role:grpc Listener web.d", "role:grpc Listener web.d:82"];
    assert_eq!(
        of_listeners(changed),
        both,
        "two ports, and none of them is meant"
    );
    let changed = world.apply([with("{name: a, port: 81}")]);
    assert_eq!(of_listeners(changed), both);
}

#[test]
fn an_alias_leads_to_another_service_as_long_as_that_has_the_port() {
    let mut world = world();
    let alias = one("{kind: Service, metadata: {namespace: d, name: alias}, \
         spec: {type: ExternalName, externalName: web.d.svc.cluster.local}}");
    world.apply([alias]);
    assert_eq!(want(&mut world, "alias.d", true), NOTHING);
    let changed = world.apply([service("web", "10.96.0.1", "")]);
    assert!(
        changed.contains(&"role:grpc Listener alias.d".to_owned()),
        "{changed:?}"
    );
    // A header before everything is nothing that a gRPC client can send.
    let proxied = one(
        "{kind: Service, metadata: {namespace: d, name: web, annotations: {seaway.dev/proxy-protocol: v2}}, \
         spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}}",
    );
    let changed = world.apply([proxied]);
    assert!(
        changed.contains(&"role:grpc Listener alias.d".to_owned()),
        "{changed:?}"
    );
    assert!(listeners(&world).is_empty());
}

#[test]
fn what_no_service_can_be_called_costs_nothing() {
    let mut world = world();
    world.apply([service("web", "10.96.0.1", "")]);
    let before = format!("{:?}", world.translator);
    for number in 0..10_000 {
        assert!(
            !world
                .translator
                .want(&format!("no name {number}").into(), true)
        );
    }
    assert_eq!(format!("{:?}", world.translator), before);
    // A name of a Service that could come is remembered, and forgotten.
    for is_wanted in [true, false] {
        for number in 0..10_000 {
            let name = format!("nobody-{number}.d").into();
            assert!(!world.translator.want(&name, is_wanted));
        }
    }
    assert_eq!(format!("{:?}", world.translator), before);
    assert_eq!(world.flush(), NOTHING);
}

#[test]
fn a_name_that_leads_nowhere_is_a_problem_of_translate() {
    let view = View::of(Role::Grpc);
    let web = [service("web", "10.96.0.1", "")];
    let names = ["web.d:81".into(), "web.d".into()];
    let snapshot = translate_targets(Options::default(), web, &view, &names);
    let problems: Vec<Reason> = snapshot
        .problems
        .iter()
        .map(|problem| problem.reason)
        .collect();
    assert_eq!(problems, [Reason::MissingName]);
    assert!(snapshot.problems[0].message.contains("web.d:81"));
    let types: Vec<TypeUrl> = snapshot.resources.keys().map(|(url, _)| *url).collect();
    assert_eq!(types, {
        let mut all = [TypeUrl::CLUSTER, TypeUrl::ENDPOINT, TypeUrl::LISTENER];
        all.sort();
        all
    });
}

/// The listeners of gRPC clients.
fn listeners(world: &World) -> BTreeSet<String> {
    let place = world.translator.place(&View::of(Role::Grpc));
    let seen = world.published.seen(&place).into_keys();
    let listeners = seen.filter(|(url, _)| *url == TypeUrl::LISTENER);
    listeners.map(|(_, name)| name.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However names and Services come and go, what there is in the end is what a translation of
    /// the last state has, and each cluster behind a name is one that gRPC clients see.
    #[test]
    fn the_order_of_questions_and_services_means_nothing(
        steps in prop::collection::vec((any::<bool>(), 0..4u8, 0..4u8, any::<bool>()), 1..40),
    ) {
        let names = ["a.d", "a.d:80", "b.d", "b.d.svc:81"];
        let services = |number: u8, kind: u8| match (number, kind) {
            (0, 0) => service("a", "10.96.0.1", ""),
            (0, 1) => service("a", "None", ""),
            (0, 2) => service("a", "10.96.0.1", ", sessionAffinity: ClientIP"),
            (_, 0) => one("{kind: Service, metadata: {namespace: d, name: b}, spec: {type: ExternalName, externalName: a.d.svc.cluster.local}}"),
            (_, 1) => one("{kind: Service, metadata: {namespace: d, name: b}, spec: {type: ExternalName, externalName: x.example}}"),
            (0, _) => one("{kind: Service, metadata: {namespace: d, name: a}, spec: {clusterIP: 10.96.0.1, ports: [{name: w, port: 80, appProtocol: kubernetes.io/wss}]}}"),
            (_, _) => one("{kind: Service, metadata: {namespace: d, name: b}, spec: {clusterIP: 10.96.0.2, ports: [{name: x, port: 81}]}}"),
        };
        let (mut world, mut wanted, mut there) = (world(), BTreeSet::new(), BTreeMap::new());
        for (is_name, which, kind, is_there) in steps {
            if is_name {
                let name: Arc<str> = names[usize::from(which)].into();
                world.translator.want(&name, is_there);
                _ = if is_there { wanted.insert(name) } else { wanted.remove(&name) };
            } else {
                let object = services(which % 2, kind);
                let change = match is_there {
                    true => Change::Apply(object.clone()),
                    false => Change::Delete(object.id()),
                };
                world.translator.apply(change);
                _ = if is_there { there.insert(which % 2, object) } else { there.remove(&(which % 2)) };
            }
            if kind == 0 {
                world.flush();
            }
        }
        world.flush();
        let view = View::of(Role::Grpc);
        let wanted: Vec<Arc<str>> = wanted.into_iter().collect();
        let expected = translate_targets(Options::default(), there.into_values(), &view, &wanted);
        let seen = world.published.seen(&world.translator.place(&view));
        for (key, resource) in &expected.resources {
            prop_assert_eq!(seen.get(key), Some(resource));
            for to in &resource.refs {
                prop_assert!(expected.resources.contains_key(&(to.type_url, to.name.clone())), "{:?}", to);
            }
        }
        let made: BTreeSet<String> = expected.resources.keys()
            .filter(|(url, _)| *url == TypeUrl::LISTENER)
            .map(|(_, name)| name.to_string())
            .collect();
        prop_assert_eq!(listeners(&world), made);
    }
}
