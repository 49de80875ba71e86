//! HTTPRoutes with Services as parents: what a change of one publishes, and to whom (Gateway rules
//! 115 to 119).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use seaway_proto::{TypeUrl, json};
use seaway_translator::{Change, Object, Options, Reason, Role, View};
use serde_json::Value;
use support::{World, one, service, slice};

const A: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za}]";

/// A route of a namespace for a Service of namespace `d`, with more fields of the parent, to
/// another Service there.
fn route(namespace: &str, name: &str, parent: &str, to: &str) -> Object {
    one(&format!(
        "{{kind: HTTPRoute, metadata: {{namespace: {namespace}, name: {name}}}, spec: {{parentRefs: \
         [{{group: \"\", kind: Service, namespace: d, name: {parent}}}], rules: [{{backendRefs: \
         [{{name: {to}, namespace: d, port: 80}}]}}]}}}}"
    ))
}

fn world() -> World {
    let mut world = World::new(Options::default());
    world.apply([
        service("web", "10.96.0.1", ""),
        service("next", "10.96.0.2", ""),
        slice("web", "web", A),
        slice("next", "next", A),
    ]);
    world
}

fn of(namespace: &str, whole_table: bool) -> View {
    View {
        namespace: Some(namespace.into()),
        whole_table,
        ..View::of(Role::Mesh)
    }
}

/// The scopes of Service `d/web` in a layer.
fn scopes(layer: &str) -> Vec<String> {
    let of_web = ["", ":80", "@10.96.0.1"];
    let name = |suffix: &&str| format!("{layer} ScopedRouteConfiguration d/web{suffix}");
    of_web.iter().map(name).collect()
}

/// Where requests for `web.d` go as a view sees it; a status where the proxy answers.
fn led(world: &World, view: &View) -> String {
    let seen = world.published.seen(&world.translator.place(view));
    let (type_url, name) = match view.whole_table {
        true => (TypeUrl::ROUTE, "http/15001"),
        false => (TypeUrl::SCOPED_ROUTE, "d/web"),
    };
    let value = json::to_value(type_url.as_str(), &seen[&(type_url, name.into())].value).unwrap();
    let routes = match view.whole_table {
        true => &value,
        false => &value["route_configuration"],
    };
    let hosts = routes["virtual_hosts"].as_array().unwrap().iter();
    let mut of_web = hosts.filter(|host| host["name"] == "d/web/80");
    let first = &of_web.next().unwrap()["routes"][0];
    match &first["route"]["cluster"] {
        Value::String(cluster) => cluster.clone(),
        _ => first["direct_response"]["status"].to_string(),
    }
}

/// A route that comes, changes, moves and goes is the scopes of its Services and nothing else, and
/// an endpoint behind it its assignment.
#[test]
fn a_route_is_the_scopes_of_its_services() {
    let mut world = world();
    let mesh = View::of(Role::Mesh);
    let mine = scopes("role:mesh");
    assert_eq!(world.apply([route("d", "r", "web", "next")]), mine);
    assert_eq!(led(&world, &mesh), "d/next/80");
    assert_eq!(world.apply([route("d", "r", "web", "next")]), [""; 0]);
    let more = "[{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}]";
    assert_eq!(
        world.apply([slice("next", "next", more)]),
        ["all ClusterLoadAssignment d/next/80"]
    );
    // It moves to another Service.
    let moved = world.apply([route("d", "r", "next", "web")]);
    assert_eq!(moved.len(), 6, "{moved:?}");
    assert_eq!(led(&world, &mesh), "d/web/80");
    world.apply([route("d", "r", "web", "next")]);
    assert_eq!(world.delete(&route("d", "r", "web", "next")), mine);
    assert_eq!(led(&world, &mesh), "d/web/80");
    // Gateway rule 113: that mesh proxies send requests somewhere means nothing to others.
    let clusters = world.names(TypeUrl::CLUSTER, &View::of(Role::Ingress));
    assert_eq!(clusters, [""; 0]);
}

/// A route may be there before its Service and its backends, and outlives them.
#[test]
fn services_and_backends_come_after_their_routes() {
    let mut world = World::new(Options::default());
    let mesh = View::of(Role::Mesh);
    let nothing = world.apply([route("d", "r", "web", "next")]);
    assert!(
        !nothing.iter().any(|line| line.contains("Scoped")),
        "{nothing:?}"
    );
    world.apply([service("web", "10.96.0.1", "")]);
    assert_eq!(led(&world, &mesh), "500");
    assert_eq!(
        world.translator.problem_counts()[&Reason::BackendNotFound],
        1
    );
    world.apply([service("next", "10.96.0.2", "")]);
    assert_eq!(led(&world, &mesh), "d/next/80");
    assert!(
        !world
            .translator
            .problem_counts()
            .contains_key(&Reason::BackendNotFound)
    );
    // A Service of another kind has no routes.
    world.apply([service("web", "None", "")]);
    assert_eq!(led(&world, &mesh), "d/web/80");
    assert_eq!(
        world.translator.problem_counts()[&Reason::NoMatchingParent],
        1
    );
    world.apply([service("web", "10.96.0.1", "")]);
    assert_eq!(led(&world, &mesh), "d/next/80");
    world.delete(&service("next", "10.96.0.2", ""));
    assert_eq!(led(&world, &mesh), "500");
    // An alias is the Service behind it, and what is behind the alias changes with that.
    world.apply([
        service(
            "next",
            "\"\"",
            ", type: ExternalName, externalName: far.d.svc.cluster.local",
        ),
        service("far", "10.96.0.3", ""),
    ]);
    assert_eq!(led(&world, &mesh), "d/far/80");
    world.apply([service(
        "far",
        "10.96.0.3",
        ", internalTrafficPolicy: Local",
    )]);
    assert_eq!(led(&world, &mesh), "d/far/80~local");
}

/// GW133, Gateway rule 119: the routes of another namespace are in the layer of the proxies there,
/// while there are any, and only what differs.
#[test]
fn gw133_a_namespace_has_a_layer_for_what_differs_there() {
    let mut world = world();
    let (j, k) = (of("j", false), of("k", false));
    let consumer = route("j", "r", "web", "next");
    // Nobody is there to see it.
    assert_eq!(world.apply([consumer.clone()]), [""; 0]);
    assert_eq!(led(&world, &k), "d/web/80");
    world.translator.activate(&j);
    world.translator.activate(&k);
    let mut came = world.flush();
    came.retain(|line| line.contains("Scoped"));
    assert_eq!(came, scopes("namespace:j"));
    assert_eq!(
        (&*led(&world, &j), &*led(&world, &k)),
        ("d/next/80", "d/web/80")
    );
    // A route of the Service's own namespace is for all others, and equal bytes are no layer.
    assert_eq!(
        world.apply([route("d", "r", "web", "next")]),
        [scopes("namespace:j"), scopes("role:mesh")].concat()
    );
    assert_eq!(led(&world, &k), "d/next/80");
    world.apply([route("d", "r", "web", "absent")]);
    assert_eq!((&*led(&world, &j), &*led(&world, &k)), ("d/next/80", "500"));
    assert_eq!(world.delete(&consumer), scopes("namespace:j"));
    assert_eq!(led(&world, &j), "500");
    world.apply([consumer]);
    world.translator.deactivate(&j);
    let mut went = world.flush();
    went.retain(|line| line.contains("Scoped"));
    assert_eq!(went, scopes("namespace:j"));
}

/// The same for those that take one table: theirs is another one.
#[test]
fn gw133_a_namespace_has_a_table_of_its_own() {
    let mut world = world();
    let (j, k) = (of("j", true), of("k", true));
    world.translator.activate(&j);
    world.translator.activate(&k);
    world.flush();
    let own = ["namespace-table:j RouteConfiguration http/15001"];
    let consumer = route("j", "r", "web", "next");
    assert_eq!(world.apply([consumer.clone()]), own);
    assert_eq!(
        (&*led(&world, &j), &*led(&world, &k)),
        ("d/next/80", "d/web/80")
    );
    // A Service more is in both.
    let mut both = world.apply([service("more", "10.96.0.4", "")]);
    both.retain(|line| line.contains(" RouteConfiguration "));
    let shared = "whole-table RouteConfiguration http/15001";
    assert_eq!(both, [own[0], shared]);
    assert_eq!(world.delete(&consumer), own);
    assert_eq!(led(&world, &j), "d/web/80");
    world.apply([consumer]);
    // It goes with the last who is there.
    world.translator.deactivate(&j);
    let mut went = world.flush();
    went.retain(|line| line.contains(" RouteConfiguration "));
    assert_eq!(went, own);
}

/// Gateway rules 55 and 58: of two equal matches the older route has the requests, and the other
/// one a problem.
#[test]
fn routes_of_one_port_compete_as_those_of_one_host() {
    let mut world = world();
    let dated = |name: &str, day: u8, path: &str, to: &str| {
        one(&format!(
            "{{kind: HTTPRoute, metadata: {{namespace: d, name: {name}, creationTimestamp: \
             \"2026-01-0{day}T00:00:00Z\"}}, spec: {{parentRefs: [{{group: \"\", kind: Service, \
             name: web, port: 80}}], rules: [{{matches: [{{path: {{value: {path}}}}}], \
             backendRefs: [{{name: {to}, port: 80}}]}}]}}}}"
        ))
    };
    world.apply([dated("a", 2, "/", "web"), dated("b", 1, "/", "next")]);
    assert_eq!(led(&world, &View::of(Role::Mesh)), "d/next/80");
    let problems = world.translator.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].reason, Reason::DuplicateMatch);
    assert_eq!(problems[0].object.to_string(), "HTTPRoute d/a");
    assert!(
        problems[0]
            .message
            .contains("HTTPRoute d/b has an equal match for Service port d/web/80")
    );
    // The longer prefix is tried first, whatever its age.
    world.apply([dated("a", 2, "/longer", "web")]);
    assert_eq!(led(&world, &View::of(Role::Mesh)), "d/web/80");
    assert_eq!(world.translator.problems(), []);
}

/// Routes of any number do not make the scopes of a Service as large as one likes.
#[test]
fn a_port_has_so_many_matches_and_no_more() {
    let mut world = world();
    let many = |n: usize| {
        let matches = (0..64).map(|m| format!("{{path: {{value: /{n}/{m}}}}}"));
        let matches = matches.collect::<Vec<_>>().join(", ");
        one(&format!(
            "{{kind: HTTPRoute, metadata: {{namespace: d, name: r{n}}}, spec: {{parentRefs: \
             [{{group: \"\", kind: Service, name: web, port: 80}}], rules: [{{matches: [{matches}], \
             backendRefs: [{{name: web, port: 80}}]}}]}}}}"
        ))
    };
    world.apply((0..15).map(many));
    assert_eq!(world.translator.problems(), []);
    for object in (15..20).map(many) {
        world.translator.apply(Change::Apply(object));
    }
    world.flush();
    assert_eq!(world.translator.problem_counts()[&Reason::TooLarge], 1);
    let seen = world
        .published
        .seen(&world.translator.place(&View::of(Role::Mesh)));
    let scope = &seen[&(TypeUrl::SCOPED_ROUTE, "d/web:80".into())];
    let value = json::to_value(TypeUrl::SCOPED_ROUTE.as_str(), &scope.value).unwrap();
    let routes = &value["route_configuration"]["virtual_hosts"][0]["routes"];
    assert_eq!(routes.as_array().unwrap().len(), 1001);
}
