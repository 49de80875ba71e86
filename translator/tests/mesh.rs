//! What mesh proxies have of Services: scopes, or one table, and what a change of them costs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::sync::Arc;

use seaway_proto::{Resource, TypeUrl, json};
use seaway_translator::{Change, Object, Options, Role, View};
use serde_json::Value;
use support::{World, asked, one, service, slice, view};

const A: &str = "[{addresses: [10.1.0.1], nodeName: n1, zone: za}]";

/// A proxy that takes the routes of all Services as one table.
fn of_a_table() -> View {
    View {
        whole_table: true,
        ..View::of(Role::Mesh)
    }
}

fn scopes(of: &[&str]) -> Vec<String> {
    let name = |name: &&str| format!("role:mesh ScopedRouteConfiguration {name}");
    of.iter().map(name).collect()
}

fn two_ports(name: &str, ports: [u16; 2]) -> Object {
    let [a, b] = ports;
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: {name}}}, \
         spec: {{clusterIP: 10.96.0.9, ports: [{{name: a, port: {a}}}, {{name: b, port: {b}}}]}}}}"
    ))
}

/// What a view sees under this name, as JSON.
fn seen(world: &World, view: &View, type_url: TypeUrl, name: &str) -> Value {
    let seen = world.published.seen(&world.translator.place(view));
    let resource: &Resource = &seen[&(type_url, Arc::from(name))];
    json::to_value(type_url.as_str(), &resource.value).unwrap()
}

/// All names of the virtual hosts of a route configuration.
fn domains(routes: &Value) -> Vec<String> {
    let hosts = routes["virtual_hosts"].as_array().unwrap().iter();
    let names = hosts.flat_map(|host| host["domains"].as_array().unwrap());
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// One more Service among a thousand is its own scopes, of a size that does not depend on how many
/// there are.
#[test]
fn one_more_service_among_a_thousand_is_its_own_scopes() {
    let mut world = World::new(Options::default());
    let each = |n: u32| {
        let name = format!("s{n}");
        let ip = format!("10.96.{}.{}", n / 250, n % 250 + 1);
        [service(&name, &ip, ""), slice(&name, &name, A)]
    };
    world.translator.activate(&View::of(Role::Mesh));
    world.apply((0..1000).flat_map(each));
    let mut of_mesh = world.apply(each(1000));
    of_mesh.retain(|line| line.starts_with("role:mesh "));
    let of_one = ["d/s1000", "d/s1000:80", "d/s1000@10.96.4.1"];
    assert_eq!(of_mesh, scopes(&of_one));
    let all = world.published.all(TypeUrl::SCOPED_ROUTE);
    let own = all.filter(|scope| scope.name.starts_with("d/s1000"));
    let bytes: usize = own.map(|scope| scope.value.len()).sum();
    assert!(bytes < 1400, "{bytes} bytes");

    world.apply([two_ports("s1000", [81, 82])]);
    let mut renumbered = world.apply([two_ports("s1000", [81, 83])]);
    renumbered.retain(|line| line.starts_with("role:mesh "));
    let of_two = ["d/s1000", "d/s1000:82", "d/s1000:83", "d/s1000@10.96.0.9"];
    assert_eq!(renumbered, scopes(&of_two));
    let more = "[{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}]";
    assert_eq!(
        world.apply([slice("s7", "s7", more)]),
        ["all ClusterLoadAssignment d/s7/80"]
    );
    let mut gone = world.delete(&service("s7", "10.96.0.8", ""));
    gone.retain(|line| line.starts_with("role:mesh "));
    assert_eq!(gone, scopes(&["d/s7", "d/s7:80", "d/s7@10.96.0.8"]));
}

/// Service rule 149: every name of a Service port is in exactly the scope that Envoy finds by its
/// first two labels, and in the table.
#[test]
fn every_name_is_in_the_scope_of_its_first_two_labels() {
    let mut world = World::new(Options::default());
    let alias = one("{kind: Service, metadata: {namespace: d, name: alias}, \
         spec: {type: ExternalName, externalName: two.d.svc.cluster.local}}");
    world.translator.activate(&of_a_table());
    let objects = [
        service("one", "10.96.0.1", ""),
        two_ports("two", [443, 80]),
        alias,
    ];
    world.apply(objects);
    let mut found = Vec::new();
    for scope in world.names(TypeUrl::SCOPED_ROUTE, &View::of(Role::Mesh)) {
        let scope = seen(&world, &View::of(Role::Mesh), TypeUrl::SCOPED_ROUTE, &scope);
        let key = scope["key"]["fragments"].as_array().unwrap().iter();
        let key: Vec<_> = key
            .map(|part| part["string_key"].as_str().unwrap())
            .collect();
        for name in domains(&scope["route_configuration"]) {
            let labels: Vec<_> = name.split('.').take(2).collect();
            assert_eq!(labels, key, "{name}");
            found.push(asked(&name));
        }
    }
    let table = seen(&world, &of_a_table(), TypeUrl::ROUTE, "http/15001");
    let mut of_table = domains(&table);
    found.sort();
    of_table.sort();
    assert_eq!(found, of_table);
    // Six of a Service with one port, and two of its address; of two ports four more.
    assert_eq!(found.len(), 8 + 12 + 9);
    assert!(found.contains(&"10.96.0.9:443".to_owned()));
    assert!(found.contains(&"alias.d.svc.cluster.local:443".to_owned()));
}

/// The table is there while a proxy takes it, whatever came before, and nobody else sees it.
#[test]
fn the_table_is_there_while_a_proxy_takes_it() {
    let mut world = World::new(Options::default());
    let (of_table, of_scopes) = (of_a_table(), View::of(Role::Mesh));
    world.apply([service("one", "10.96.0.1", ""), slice("one", "one", A)]);
    assert_eq!(world.names(TypeUrl::ROUTE, &of_table), [""; 0]);

    let both = [
        "whole-table Listener http@127.0.0.1:15001",
        "whole-table RouteConfiguration http/15001",
    ];
    assert!(
        world.translator.activate(&of_table),
        "there is something to wait for"
    );
    assert_eq!(world.flush(), both);
    for (view, routes) in [(&of_table, "rds"), (&of_scopes, "scoped_routes")] {
        let listener = seen(&world, view, TypeUrl::LISTENER, "http@127.0.0.1:15001");
        let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
        assert!(manager[routes].is_object(), "{manager}");
    }
    assert_eq!(world.names(TypeUrl::ROUTE, &of_scopes), [""; 0]);

    let changed = world.apply([service("two", "10.96.0.2", "")]);
    assert!(changed.contains(&both[1].to_owned()), "{changed:?}");
    assert!(!changed.contains(&both[0].to_owned()), "{changed:?}");
    let more = "[{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}]";
    assert_eq!(
        world.apply([slice("one", "one", more)]),
        ["all ClusterLoadAssignment d/one/80"]
    );
    let before = seen(&world, &of_table, TypeUrl::ROUTE, "http/15001");

    // A second one of another zone changes nothing, and the last one takes it away.
    let other = View {
        whole_table: true,
        ..view(Role::Mesh, "n1", "za")
    };
    world.translator.activate(&other);
    assert_eq!(world.flush(), [""; 0]);
    world.translator.deactivate(&of_table);
    assert_eq!(world.flush(), [""; 0]);
    world.translator.deactivate(&other);
    assert_eq!(world.flush(), both);

    world
        .translator
        .apply(Change::Delete(service("two", "", "").id()));
    world.translator.activate(&of_table);
    world.apply([service("three", "10.96.0.3", "")]);
    let names = domains(&seen(&world, &of_table, TypeUrl::ROUTE, "http/15001"));
    assert_eq!((domains(&before).len(), names.len()), (16, 16));
    assert!(names.contains(&"three.d".to_owned()), "{names:?}");
    assert!(!names.contains(&"two.d".to_owned()), "{names:?}");
}

/// Service rule 149: a cluster IP that several Services have is that of one of them alone, since
/// two scopes with one key would be rejected with all others. Whose it is changes with either.
#[test]
fn a_shared_cluster_ip_is_the_scope_of_one_service() {
    let mut world = World::new(Options::default());
    let mesh = View::of(Role::Mesh);
    let with = |name: &str, port: u16, created: &str| {
        one(&format!(
            "{{kind: Service, metadata: {{namespace: d, name: {name}, creationTimestamp: '{created}'}}, \
             spec: {{clusterIP: 10.96.0.9, ports: [{{port: {port}}}]}}}}"
        ))
    };
    let owners = |world: &World| {
        let all = world.names(TypeUrl::SCOPED_ROUTE, &mesh).into_iter();
        let all = all.filter(|name| name.contains('@'));
        all.collect::<Vec<_>>()
    };
    world.apply([with("young", 81, "2024-01-02T00:00:00Z")]);
    assert_eq!(owners(&world), ["d/young@10.96.0.9"]);
    let old = with("old", 80, "2024-01-01T00:00:00Z");
    world.apply([old.clone()]);
    assert_eq!(owners(&world), ["d/old@10.96.0.9"]);
    world.delete(&old);
    assert_eq!(owners(&world), ["d/young@10.96.0.9"]);
}

/// Service rule 149: the listener that knows short names is there while a proxy of its namespace
/// is, in each form, and is nobody else's.
#[test]
fn a_namespace_has_a_listener_while_a_proxy_is_in_it() {
    let mut world = World::new(Options::default());
    world.apply([service("one", "10.96.0.1", "")]);
    let of = |namespace: &str, whole_table: bool| View {
        namespace: Some(namespace.into()),
        whole_table,
        ..View::of(Role::Mesh)
    };
    let name = "http@127.0.0.1:15001";
    let script = |world: &World, view: &View| {
        let listener = seen(world, view, TypeUrl::LISTENER, name);
        let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
        let lookup = &manager["http_filters"][0]["typed_config"]["default_source_code"];
        let first = lookup["inline_string"].as_str().unwrap().lines().next();
        (first.unwrap().to_owned(), manager["rds"].is_object())
    };
    let (shop, table) = (of("shop", false), of("shop", true));
    world.translator.activate(&shop);
    assert_eq!(world.flush(), [format!("namespace:shop Listener {name}")]);
    let in_shop = "local NAMESPACE = \"shop\"".to_owned();
    assert_eq!(script(&world, &shop), (in_shop.clone(), false));
    let nowhere = "local NAMESPACE = nil".to_owned();
    for other in [View::of(Role::Mesh), of("a\"b", false)] {
        assert_eq!(script(&world, &other), (nowhere.clone(), false));
    }
    world.translator.activate(&table);
    world.flush();
    assert_eq!(script(&world, &table), (in_shop, true));
    world.translator.deactivate(&shop);
    assert_eq!(world.flush(), [format!("namespace:shop Listener {name}")]);
    assert_eq!(script(&world, &shop), (nowhere, false));
}

/// Service rules 120, 129 and 152: a pod that comes with a name is an endpoint and no route.
#[test]
fn a_named_pod_of_a_headless_service_is_an_endpoint_alone() {
    let mut world = World::new(Options::default());
    let headless = |ip: &str| {
        one(&format!(
            "{{kind: Service, metadata: {{namespace: d, name: db}}, \
             spec: {{clusterIP: {ip}, ports: [{{name: http, port: 80}}]}}}}"
        ))
    };
    let endpoints = |ready: bool| {
        format!(
            "[{{addresses: [10.1.0.1], hostname: db-0}}, \
             {{addresses: [10.1.0.2], hostname: db-1, conditions: {{ready: {ready}}}}}]"
        )
    };
    let mesh = View::of(Role::Mesh);
    let named = |world: &World| {
        let assignment = seen(world, &mesh, TypeUrl::ENDPOINT, "d/db/80");
        let all = assignment["endpoints"][0]["lb_endpoints"].as_array();
        let all = all.unwrap().iter();
        let name =
            all.map(|one| one["metadata"]["filter_metadata"]["envoy.lb"]["hostname"].clone());
        name.collect::<Vec<_>>()
    };
    world.apply([headless("None"), slice("db", "db", &endpoints(false))]);
    assert_eq!(named(&world), ["db-0"]);
    let changed = world.apply([slice("db", "db", &endpoints(true))]);
    assert_eq!(changed, ["all ClusterLoadAssignment d/db/80"]);
    assert_eq!(named(&world), ["db-0", "db-1"]);
    // With a cluster IP they have no names (Service rule 128).
    world.apply([headless("10.96.0.1")]);
    assert_eq!(named(&world), [Value::Null, Value::Null]);
}
