//! ExternalName Services and aliases as they and their targets change.

mod support;

use seaway_proto::{TypeUrl, json};
use seaway_translator::{ExternalNamePolicy, Options, Reason, Role};
use support::{World, one, service, slice, view};

const A: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za}]";

fn world() -> World {
    World::new(Options::default())
}

fn external(name: &str, target: &str) -> seaway_translator::Object {
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: {name}}}, spec: {{type: ExternalName, externalName: {target}, ports: [{{port: 80}}]}}}}"
    ))
}

#[test]
fn t104_and_rule_127_external_names_change() {
    let mut world = world();
    world.apply([service("web", "10.96.0.1", ""), slice("web-1", "web", A)]);
    let node = view(Role::Node, "", "");
    world.apply([external("web", "www.example.com")]);
    assert_eq!(world.names(TypeUrl::LISTENER, &node), [""; 0]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &node), [""; 0]);
    let changed = world.apply([external("web", "www.example.org")]);
    assert_eq!(
        changed,
        [
            "role:grpc Cluster d/web/80",
            "role:mesh Cluster d/web/80",
            "role:mesh ScopedRouteConfiguration d/web",
            "role:mesh ScopedRouteConfiguration d/web:80",
        ]
    );
    world.apply([service("web", "10.96.0.1", "")]);
    assert_eq!(
        world.names(TypeUrl::LISTENER, &node),
        ["d/web/80@clusterip:10.96.0.1:80"]
    );
    assert_eq!(world.endpoints("d/web/80", &node), "10.1.0.1:8080");
}

#[test]
fn aliases_follow_their_targets() {
    let mut world = world();
    let alias = external("alias", "alias-2.d.svc.cluster.local");
    world.apply([alias, external("alias-2", "web.d.svc.cluster.local")]);
    let unresolved = |world: &World| {
        world
            .translator
            .problem_counts()
            .get(&Reason::ExternalNameUnresolved)
            .copied()
    };
    assert_eq!(unresolved(&world), Some(2));
    let scope = "role:mesh ScopedRouteConfiguration d/alias".to_owned();
    assert!(
        world
            .apply([service("web", "10.96.0.1", "")])
            .contains(&scope)
    );
    assert_eq!(unresolved(&world), None);
    // The target's endpoints do not matter to its aliases, its policy does.
    assert!(!world.apply([slice("web-1", "web", A)]).contains(&scope));
    assert!(
        world
            .apply([service(
                "web",
                "10.96.0.1",
                ", internalTrafficPolicy: Local"
            )])
            .contains(&scope)
    );
    assert!(
        world
            .apply([external("web", "alias.d.svc.cluster.local")])
            .contains(&scope)
    );
    assert_eq!(
        world
            .translator
            .problem_counts()
            .get(&Reason::ExternalNameLoop),
        Some(&3)
    );
}

#[test]
fn at_most_eight_aliases_in_a_row() {
    let mut world = world();
    let chain =
        (1..=9).map(|i| external(&format!("s{i}"), &format!("s{}.d.svc.cluster.local", i - 1)));
    world.apply(chain.chain([service("s0", "10.96.0.1", "")]));
    let problems = world.translator.problems();
    let loops: Vec<String> = problems
        .iter()
        .map(|problem| problem.object.to_string())
        .collect();
    assert_eq!(loops, ["Service d/s9"], "eight are followed, nine are not");
}

/// A Service without ports has whichever an Ingress asks for.
#[test]
fn t100_the_number_of_a_backend_is_the_port_of_a_name() {
    let mut world = World::new(Options {
        external_name: ExternalNamePolicy::All,
        ..Options::default()
    });
    let ingress = view(Role::Ingress, "", "");
    world.apply([
        one(
            "{kind: Service, metadata: {namespace: d, name: bare}, spec: {type: ExternalName, \
             externalName: www.example.com}}",
        ),
        one(
            "{kind: IngressClass, metadata: {name: c}, spec: {controller: \
             seaway.dev/ingress-controller}}",
        ),
        one(
            "{kind: Ingress, metadata: {namespace: d, name: i}, spec: {ingressClassName: c, \
             defaultBackend: {service: {name: bare, port: {number: 8443}}}}}",
        ),
    ]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &ingress), ["d/bare/8443"]);
    let seen = world.published.seen(&world.translator.place(&ingress));
    let cluster = &seen[&(TypeUrl::CLUSTER, "d/bare/8443".into())];
    let cluster = json::to_value(TypeUrl::CLUSTER.as_str(), &cluster.value).unwrap();
    let address = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        ["socket_address"];
    assert_eq!(address["address"], "www.example.com.");
    assert_eq!(address["port_value"], 8443);
}

/// T102, Service rule 125: a Service of another namespace, with a grant of that namespace.
#[test]
fn t102_a_grant_allows_an_alias_of_a_service_of_another_namespace() {
    let mut world = World::new(Options {
        external_name: ExternalNamePolicy::All,
        ..Options::default()
    });
    let rule = support::routing::ingress("i", "a.org", "/", "second");
    let x = one(
        "{kind: Service, metadata: {namespace: other, name: x}, spec: {clusterIP: 10.96.0.9, \
         ports: [{name: http, port: 80}]}}",
    );
    let grant = one(
        "{kind: ReferenceGrant, metadata: {namespace: other, name: g}, spec: {from: [{group: \"\", \
         kind: Service, namespace: d}], to: [{group: \"\", kind: Service, name: x}]}}",
    );
    world.apply([
        support::routing::class(),
        rule,
        x,
        external("first", "x.other.svc.cluster.local"),
        external("second", "first.d.svc.cluster.local"),
    ]);
    let (mesh, ingress) = (view(Role::Mesh, "", ""), view(Role::Ingress, "", ""));
    let check = |world: &World, granted: bool| {
        let refused = world.translator.problem_counts();
        let refused = refused.get(&Reason::ExternalNameRefused).copied();
        assert_eq!(refused, (!granted).then_some(3));
        let own: &[&str] = if granted { &["other/x/80"] } else { &[] };
        assert_eq!(world.names(TypeUrl::CLUSTER, &ingress), own);
        let scopes = world.names(TypeUrl::SCOPED_ROUTE, &mesh);
        for name in ["d/first", "d/second"] {
            assert_eq!(scopes.contains(&name.to_owned()), granted, "{scopes:?}");
        }
    };
    check(&world, false);
    world.apply([grant.clone()]);
    check(&world, true);
    world.delete(&grant);
    check(&world, false);
}
