//! What a change of an Ingress, a Gateway or a route costs, and that no order of changes matters.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use proptest::prelude::*;
use seaway_proto::{TypeUrl, json};
use seaway_translator::{Change, ExternalNamePolicy, Layer, Options, Reason, Role, View};
use support::routing::{
    an_object, asking, class, gateway, gateway_class, ingress, route, secret, secured,
};
use support::{World, one, service, slice, view};

/// Gateway rule 112, GW108, GW110, GW112: a change touches the hosts it names and nothing else.
#[test]
fn a_change_touches_the_hosts_it_names() {
    let mut world = World::new(Options::default());
    let listener = "[{name: h, protocol: HTTP, port: 80}]";
    let fixed = [
        gateway_class(),
        gateway("g", "2026-01-01T00:00:00Z", listener),
        class(),
    ];
    world.apply(fixed);
    world.apply([
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", "[{addresses: [10.0.0.1]}]"),
    ]);
    world.apply((0..50).map(|n| route(&format!("r{n}"), &format!("[h{n}.org]"), "/", "web")));

    let scope = |host: &str| format!("fleet:default ScopedRouteConfiguration 80/{host}");
    assert_eq!(
        world.apply([route("new", "[new.org]", "/", "web")]),
        [scope("new.org")]
    );
    assert_eq!(
        world.apply([route("new", "[new.org]", "/a", "web")]),
        [scope("new.org")]
    );
    assert_eq!(
        world.apply([route("new", "[newer.org]", "/a", "web")]),
        [scope("new.org"), scope("newer.org")]
    );
    assert_eq!(
        world.delete(&route("new", "[newer.org]", "/a", "web")),
        [scope("newer.org")]
    );
    assert_eq!(
        world.apply([slice("web-1", "web", "[{addresses: [10.0.0.2]}]")]),
        ["all ClusterLoadAssignment d/web/80"]
    );
    let label = |value: &str| {
        one(&format!(
            "{{kind: Namespace, metadata: {{name: d, labels: {{a: {value}}}}}}}"
        ))
    };
    assert_eq!(world.apply([label("b")]), [""; 0]);
    assert_eq!(world.apply([label("c")]), [""; 0]);

    // A wildcard changes what finds it, and the hosts under it whose own rules come first.
    assert_eq!(
        world.apply([
            route("wide", "[\"*.h1.org\"]", "/w", "web"),
            route("under", "[a.h1.org]", "/u", "web")
        ]),
        [
            scope("*.h1.org"),
            scope("a.h1.org"),
            "fleet:default TypedExtensionConfig hosts/80".to_owned()
        ]
    );
    assert_eq!(
        world.apply([route("wide", "[\"*.h1.org\"]", "/v", "web")]),
        [scope("*.h1.org"), scope("a.h1.org")]
    );
}

/// Gateway rules 37 and 38, GW052 to GW054: a certificate is a resource of its own, which is there
/// while something uses it.
#[test]
fn a_certificate_is_replaced_without_its_listener() {
    let mut world = World::new(Options::default());
    world.apply([class(), service("web", "10.96.0.1", "")]);
    let (first, second) = (secret("s", "ec", "ec"), secret("s", "p384", "p384"));
    assert_eq!(world.apply([first.clone()]), [""; 0]);
    let of = |names: &[&str]| -> Vec<String> {
        let name = |name: &&str| format!("fleet:default {name}");
        names.iter().map(name).collect()
    };
    let listener = "chains:default Listener tls/443".to_owned();
    let mut expected = vec!["all Cluster d/web/80".to_owned(), listener.clone()];
    expected.extend(of(&[
        "Listener http/80",
        "ScopedRouteConfiguration 443/a.org",
        "ScopedRouteConfiguration 80/a.org",
        "Secret d/s",
        "TypedExtensionConfig hosts/443",
        "TypedExtensionConfig hosts/80",
    ]));
    expected.push("inside Cluster d/web/80".to_owned());
    assert_eq!(world.apply([secured("i", "a.org", "s")]), expected);
    assert_eq!(world.apply([second]), of(&["Secret d/s"]));
    // What cannot be served takes the secret away, and the chain closes connections.
    let and_listener = |others: &[&str]| [vec![listener.clone()], of(others)].concat();
    let taken = and_listener(&["Secret d/s"]);
    assert_eq!(world.apply([secret("s", "ec", "p384")]), taken);
    assert_eq!(world.apply([first.clone()]), taken);
    assert_eq!(world.delete(&first), taken);
    assert_eq!(world.apply([first]), taken);
    // A host more: its scopes, and the chain that has its certificate.
    assert_eq!(
        world.apply([secured("j", "b.org", "s")]),
        and_listener(&[
            "ScopedRouteConfiguration 443/b.org",
            "ScopedRouteConfiguration 80/b.org",
        ])
    );
    let seen = view(Role::Ingress, "", "");
    assert_eq!(world.names(TypeUrl::SECRET, &seen), ["d/s"]);
    for role in [Role::Node, Role::Mesh, Role::Grpc] {
        assert_eq!(world.names(TypeUrl::SECRET, &view(role, "", "")), [""; 0]);
    }
    world.delete(&secured("j", "b.org", "s"));
    world.delete(&secured("i", "a.org", "s"));
    assert_eq!(world.names(TypeUrl::SECRET, &seen), [""; 0]);
    assert_eq!(world.names(TypeUrl::LISTENER, &seen), ["hosts"]);
}

/// The same where Envoys ask for certificates by names (Gateway rule 109, GW109): a host more is
/// its certificate and what has Envoy ask for it, and the listener of the port stays.
#[test]
fn a_host_more_is_no_change_of_the_listener_where_certificates_are_asked_for() {
    let mut world = World::new(Options::default());
    world.apply([class(), service("web", "10.96.0.1", "")]);
    let asking = asking();
    assert!(!world.translator.activate(&asking), "there is nothing yet");
    world.apply([secret("s", "ec", "ec"), secured("i", "a.org", "s")]);
    let listeners = ["certificates/33", "hosts", "http/80", "tls/443"];
    assert_eq!(world.names(TypeUrl::LISTENER, &asking), listeners);
    assert_eq!(world.names(TypeUrl::SECRET, &asking), ["a.org", "d/s"]);
    let scopes = [
        "fleet:default ScopedRouteConfiguration 443/b.org",
        "fleet:default ScopedRouteConfiguration 80/b.org",
    ];
    let own = [
        "on-demand:default Listener certificates/40",
        "on-demand:default Secret b.org",
    ];
    assert_eq!(
        world.apply([secured("j", "b.org", "s")]),
        [scopes, own].concat()
    );
    // A certificate that goes and comes back, and one that is replaced.
    let first = secret("s", "ec", "ec");
    let taken = world.delete(&first);
    assert_eq!(
        taken,
        [
            "fleet:default Secret d/s",
            "on-demand:default Listener certificates/33",
            "on-demand:default Listener certificates/40",
            "on-demand:default Secret a.org",
            "on-demand:default Secret b.org",
        ]
    );
    assert_eq!(world.names(TypeUrl::SECRET, &asking), [""; 0]);
    assert_eq!(world.apply([first]), taken);
    assert_eq!(
        world.apply([secret("s", "p384", "p384")]),
        [
            "fleet:default Secret d/s",
            "on-demand:default Secret a.org",
            "on-demand:default Secret b.org"
        ]
    );
}

/// An Envoy that cannot ask has chains, for as long as it is there; the other form goes with the
/// last that can.
#[test]
fn a_form_of_certificates_is_there_while_a_proxy_needs_it() {
    let mut world = World::new(Options::default());
    world.apply([class(), service("web", "10.96.0.1", "")]);
    world.apply([secret("s", "ec", "ec"), secured("i", "a.org", "s")]);
    let (plain, asking) = (View::of(Role::Ingress), asking());
    assert!(world.translator.activate(&asking));
    world.flush();
    assert!(world.translator.activate(&plain));
    assert_eq!(world.flush(), ["chains:default Listener tls/443"]);
    assert_eq!(world.names(TypeUrl::SECRET, &plain), ["d/s"]);
    // Replicas compare what does not depend on who is connected.
    let forms: [Layer; 2] =
        ["chains:default", "on-demand:default"].map(|name| name.parse().unwrap());
    assert!(!forms.iter().any(Layer::is_shared));
    world.translator.deactivate(&plain);
    assert_eq!(world.flush(), ["chains:default Listener tls/443"]);
    world.translator.deactivate(&asking);
    let gone = world.flush();
    assert!(
        gone.iter()
            .any(|name| name == "on-demand:default Secret a.org")
    );
    // Who comes next finds the chains.
    assert_eq!(world.names(TypeUrl::SECRET, &plain), ["d/s"]);
    assert_eq!(
        world.names(TypeUrl::LISTENER, &plain),
        ["hosts", "http/80", "tls/443"]
    );
}

/// No fleet sees the certificates of another, also under the names of hosts.
#[test]
fn certificates_that_are_asked_for_are_those_of_the_fleet() {
    let mut world = World::new(Options::default());
    world.apply([class(), service("web", "10.96.0.1", "")]);
    let of = |fleet: &str| View {
        fleet: fleet.parse().unwrap(),
        ..asking()
    };
    for fleet in ["default", "blue"] {
        world.translator.activate(&of(fleet));
    }
    world.apply([secret("s", "ec", "ec"), secured("i", "a.org", "s")]);
    assert_eq!(
        world.names(TypeUrl::SECRET, &of("default")),
        ["a.org", "d/s"]
    );
    assert_eq!(world.names(TypeUrl::SECRET, &of("blue")), [""; 0]);
}

/// Service rule 145: the narrowest name of a certificate counts, in whatever order they stand.
#[test]
fn a_host_has_the_certificate_of_the_narrowest_name() {
    let mut world = World::new(Options::default());
    let tls = |hosts: &str, secret: &str| format!("{{hosts: [{hosts}], secretName: {secret}}}");
    let rule = |host: &str| {
        format!(
            "{{host: \"{host}\", http: {{paths: [{{path: /, pathType: Prefix, \
             backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}"
        )
    };
    let rules: Vec<String> = ["x.a.org", "y.a.org", "*.b.org"].map(rule).into();
    let tls = [tls("\"*.a.org\"", "s1"), tls("x.a.org, q.b.org", "s2")];
    let ingress = one(&format!(
        "{{kind: Ingress, metadata: {{namespace: d, name: i}}, spec: {{ingressClassName: seaway, \
         tls: [{}], rules: [{}]}}}}",
        tls.join(", "),
        rules.join(", ")
    ));
    world.apply([
        class(),
        secret("s1", "ec", "ec"),
        secret("s2", "p384", "p384"),
    ]);
    world.apply([ingress]);
    let seen = world
        .published
        .seen(&world.translator.place(&view(Role::Ingress, "", "")));
    let listener = &seen[&(TypeUrl::LISTENER, "tls/443".into())];
    let value = json::to_value(TypeUrl::LISTENER.as_str(), &listener.value).unwrap();
    let chains = value["filter_chains"].as_array().unwrap().iter();
    let chains: Vec<_> = chains
        .map(|chain| {
            let names = &chain["filter_chain_match"]["server_names"];
            (chain["name"].as_str().unwrap(), names.to_string())
        })
        .collect();
    let expected = [
        ("ingresses d/s1", "[\"*.a.org\",\"y.a.org\"]".to_owned()),
        ("ingresses d/s2", "[\"x.a.org\",\"q.b.org\"]".to_owned()),
    ];
    assert_eq!(chains, expected);
    let scopes = world.names(TypeUrl::SCOPED_ROUTE, &view(Role::Ingress, "", ""));
    let over_tls: Vec<_> = scopes
        .iter()
        .filter(|name| name.starts_with("443/"))
        .collect();
    assert_eq!(over_tls, ["443/*.b.org", "443/x.a.org", "443/y.a.org"]);
}

/// Gateway rule 113: ingress proxies have the clusters that a rule names, and no others.
#[test]
fn a_cluster_is_there_while_a_rule_names_it() {
    let mut world = World::new(Options::default());
    let seen = view(Role::Ingress, "", "");
    world.apply([
        class(),
        service("web", "10.96.0.1", ""),
        service("other", "10.96.0.2", ""),
    ]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &seen), [""; 0]);
    let rule = ingress("i", "a.org", "/", "web");
    world.apply([rule.clone()]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &seen), ["d/web/80"]);
    assert_eq!(world.names(TypeUrl::LISTENER, &seen), ["hosts", "http/80"]);
    world.apply([ingress("i", "a.org", "/", "other")]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &seen), ["d/other/80"]);
    world.delete(&rule);
    assert_eq!(world.names(TypeUrl::CLUSTER, &seen), [""; 0]);
    assert_eq!(world.names(TypeUrl::LISTENER, &seen), ["hosts"]);
    // Those of a node have both, whatever ingress proxies use.
    let node = view(Role::Node, "n1", "");
    assert_eq!(
        world.names(TypeUrl::CLUSTER, &node),
        ["d/other/80", "d/web/80"]
    );
}

/// Service rule 125: behind an alias is the Service that it leads to, whichever comes first.
#[test]
fn an_alias_leads_to_the_cluster_of_its_target() {
    let alias = |target: &str| {
        one(&format!(
            "{{kind: Service, metadata: {{namespace: d, name: alias}}, spec: {{type: ExternalName, \
             externalName: {target}.d.svc.cluster.local, ports: [{{name: http, port: 80}}]}}}}"
        ))
    };
    let mut world = World::new(Options {
        external_name: ExternalNamePolicy::All,
        ..Options::default()
    });
    let seen = view(Role::Ingress, "", "");
    let (web, other) = (
        service("web", "10.96.0.1", ""),
        service("other", "10.96.0.2", ""),
    );
    world.apply([class(), web, other, alias("web")]);
    let rule = ingress("i", "a.org", "/", "alias");
    world.apply([rule.clone()]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &seen), ["d/web/80"]);
    world.apply([alias("other")]);
    assert_eq!(world.names(TypeUrl::CLUSTER, &seen), ["d/other/80"]);
    world.delete(&rule);
    assert_eq!(world.names(TypeUrl::CLUSTER, &seen), [""; 0]);
}

/// Rules without a host are repeated for every host, and tenants may make as many of both as they
/// like.
#[test]
fn a_host_inherits_a_bounded_number_of_matches() {
    let mut world = World::new(Options::default());
    world.apply([class(), ingress("own", "a.org", "/", "web")]);
    world.apply((0..300).map(|n| ingress(&format!("i{n:03}"), "", &format!("/p{n}"), "web")));
    let seen = world
        .published
        .seen(&world.translator.place(&view(Role::Ingress, "", "")));
    let routes = |host: &str| {
        let scope = &seen[&(TypeUrl::SCOPED_ROUTE, format!("80/{host}").into())];
        let value = json::to_value(TypeUrl::SCOPED_ROUTE.as_str(), &scope.value).unwrap();
        let host = &value["route_configuration"]["virtual_hosts"][0];
        host["routes"].as_array().unwrap().len()
    };
    // Its own, those of the oldest, and the 404 behind all.
    assert_eq!((routes("a.org"), routes("*")), (1 + 200 + 1, 300 + 1));
    let problems = world.translator.problems();
    let named: Vec<String> = problems
        .iter()
        .filter(|problem| problem.reason == Reason::TooLarge)
        .map(|problem| problem.object.to_string())
        .collect();
    assert_eq!(named.len(), 1, "{problems:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever came and went, what stands is what a translator makes that was told of nothing else
    /// (invariant 6).
    #[test]
    fn the_way_to_a_world_does_not_matter(
        steps in prop::collection::vec((an_object(), prop::bool::weighted(0.8), any::<bool>()), 1..40),
        gateway_services in prop::bool::weighted(0.3),
    ) {
        let options = support::routing::options(gateway_services);
        let mut world = World::new(options.clone());
        let mut left = std::collections::BTreeMap::new();
        for (object, applied, flushed) in steps {
            if applied {
                left.insert(object.id(), object.clone());
                world.translator.apply(Change::Apply(object));
            } else {
                left.remove(&object.id());
                world.translator.apply(Change::Delete(object.id()));
            }
            if flushed {
                world.flush();
            }
        }
        world.flush();
        let mut fresh = World::new(options);
        fresh.apply(left.values().rev().cloned());
        prop_assert_eq!(&world.published, &fresh.published);
        prop_assert_eq!(world.translator.problems(), fresh.translator.problems());
    }
}
