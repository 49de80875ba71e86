//! ExternalName Services and aliases as they and their targets change.

mod support;

use seaway_proto::TypeUrl;
use seaway_translator::{Options, Reason, Role};
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
