//! What mesh proxies with imports have: exactly what they import, shared, and moved without a loss.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use seaway_proto::{Resource, TypeUrl, json};
use seaway_translator::model::ServiceKey;
use seaway_translator::{Imports, Layer, Object, Options, Question, Role, View, Viewpoint};
use support::random::{an_op, options, run};
use support::{World, one};

fn service(name: &str, ip: &str) -> Object {
    let (namespace, name) = name.split_once('/').unwrap();
    one(&format!(
        "{{kind: Service, metadata: {{namespace: {namespace}, name: {name}}}, \
         spec: {{clusterIP: {ip}, ports: [{{name: http, port: 80}}]}}}}"
    ))
}

fn namespace(name: &str, imports: &str) -> Object {
    one(&format!(
        "{{kind: Namespace, metadata: {{name: {name}, annotations: {{seaway.dev/import: \"{imports}\"}}}}}}"
    ))
}

fn importing(imports: &str) -> View {
    View {
        imports: Some(imports.parse().unwrap()),
        ..View::of(Role::Mesh)
    }
}

fn world(views: &[&View]) -> World {
    let mut world = World::new(Options::default());
    world.apply([
        service("shop/web", "10.96.0.1"),
        service("shop/api", "10.96.0.2"),
        service("infra/dns", "10.96.0.3"),
        service("infra/log", "10.96.0.4"),
    ]);
    for view in views {
        world.translator.activate(view);
    }
    world.flush();
    world
}

fn clusters(world: &World, view: &View) -> Vec<String> {
    world.names(TypeUrl::CLUSTER, view)
}

type Seen = BTreeMap<(TypeUrl, Arc<str>), Resource>;

fn seen(world: &World, view: &View) -> Seen {
    world.published.seen(&world.translator.place(view))
}

fn scopes(world: &World, view: &View) -> Vec<String> {
    world.names(TypeUrl::SCOPED_ROUTE, view)
}

#[test]
fn a_proxy_has_exactly_what_it_imports_and_what_all_mesh_proxies_share() {
    let view = importing("shop,infra/dns");
    let mut world = world(&[&view]);
    let of = ["infra/dns/80", "shop/api/80", "shop/web/80"];
    assert_eq!(clusters(&world, &view), of);
    assert_eq!(world.names(TypeUrl::ENDPOINT, &view), of);
    assert_eq!(
        scopes(&world, &view)[..3],
        ["infra/dns", "infra/dns:80", "infra/dns@10.96.0.3"]
    );
    assert_eq!(
        world.names(TypeUrl::LISTENER, &view),
        ["http@127.0.0.1:15001"]
    );

    let mut came = world.apply([service("shop/new", "10.96.0.5")]);
    came.retain(|line| line.starts_with("import"));
    assert_eq!(
        came,
        [
            "import:shop Cluster shop/new/80",
            "import:shop ClusterLoadAssignment shop/new/80",
            "import:shop ScopedRouteConfiguration shop/new",
            "import:shop ScopedRouteConfiguration shop/new:80",
            "import:shop ScopedRouteConfiguration shop/new@10.96.0.5",
        ]
    );
    let elsewhere = world.apply([service("infra/new", "10.96.0.6")]);
    assert!(!elsewhere.iter().any(|line| line.starts_with("import")));
    world.delete(&service("shop/new", "10.96.0.5"));
    assert_eq!(clusters(&world, &view), of);
    world.translator.deactivate(&view);
    let gone = world.flush();
    assert!(
        gone.iter().all(|line| line.starts_with("import:")),
        "{gone:?}"
    );
    assert_eq!(clusters(&world, &view), [""; 0]);
}

/// Who imports the same, in whatever order and form, shares all of it; of a Service there is one
/// copy for each way to import it.
#[test]
fn equal_imports_are_shared() {
    let (one, other) = (importing("shop/web,infra,shop"), importing("infra/*, shop"));
    assert_eq!(one.deciding(), other.deciding());
    let world = world(&[&one, &importing("shop"), &importing("shop/web,infra/dns")]);
    let layers: BTreeSet<String> = world
        .published
        .layers()
        .into_iter()
        .filter(|(_, url, name)| (*url, &**name) == (TypeUrl::CLUSTER, "shop/web/80"))
        .map(|(layer, ..)| layer.to_string())
        .collect();
    let expected = ["import:shop", "import:shop/web", "inside"].map(str::to_owned);
    assert_eq!(layers, expected.into());
    assert_eq!(world.translator.place(&one), world.translator.place(&other));
}

/// An alias that is imported leads where it led; its target has no name there for that.
#[test]
fn an_imported_alias_leads_to_a_service_that_is_not_imported() {
    let view = importing("shop/alias");
    let mut world = world(&[&view]);
    let alias = one("{kind: Service, metadata: {namespace: shop, name: alias}, \
         spec: {type: ExternalName, externalName: api.shop.svc.cluster.local}}");
    world.apply([alias.clone()]);
    assert_eq!(clusters(&world, &view), ["shop/api/80"]);
    assert_eq!(world.names(TypeUrl::ENDPOINT, &view), ["shop/api/80"]);
    assert!(
        scopes(&world, &view)
            .iter()
            .all(|name| name.starts_with("shop/alias"))
    );
    assert!(!scopes(&world, &view).is_empty());
    world.delete(&service("shop/api", "10.96.0.2"));
    assert_eq!(clusters(&world, &view), [""; 0]);
    world.apply([service("shop/api", "10.96.0.2")]);
    assert_eq!(clusters(&world, &view), ["shop/api/80"]);
    world.delete(&alias);
    assert_eq!(clusters(&world, &view), [""; 0]);
}

/// The proxy's own words win over its Namespace; an empty annotation is none, a bad one is a
/// problem and none.
#[test]
fn the_annotation_of_the_namespace_is_for_proxies_that_say_nothing() {
    let silent = View {
        namespace: Some("shop".into()),
        ..View::of(Role::Mesh)
    };
    let says = View {
        imports: importing("infra/log").imports,
        ..silent.clone()
    };
    let mut world = world(&[&silent, &says]);
    assert_eq!(clusters(&world, &silent).len(), 4);
    world.apply([namespace("shop", "shop,infra/dns")]);
    assert_eq!(world.translator.take_moved(), [silent.clone()].into());
    let three = ["infra/dns/80", "shop/api/80", "shop/web/80"];
    assert_eq!(clusters(&world, &silent), three);
    assert_eq!(clusters(&world, &says), ["infra/log/80"]);
    let before = seen(&world, &silent);

    world.apply([namespace("shop", "shop/web,infra")]);
    assert_eq!(world.translator.take_moved(), [silent.clone()].into());
    let now = seen(&world, &silent);
    assert_eq!(
        clusters(&world, &silent),
        ["infra/dns/80", "infra/log/80", "shop/web/80"]
    );
    let both = now.keys().filter(|key| before.contains_key(*key));
    let both: Vec<_> = both.map(|key| (key, before[key] == now[key])).collect();
    assert!(
        both.len() > 8 && both.iter().all(|(_, same)| *same),
        "{both:?}"
    );

    for (text, problems) in [("", 0), ("shop,*", 1)] {
        world.apply([namespace("shop", text)]);
        assert_eq!(clusters(&world, &silent).len(), 4);
        assert_eq!(world.translator.problems().len(), problems, "{text}");
    }
    world.delete(&namespace("shop", ""));
    assert_eq!(world.translator.problems(), []);
}

/// Who takes one table has that of its imports, and its own short names.
#[test]
fn a_table_has_the_services_that_are_imported() {
    let view = View {
        whole_table: true,
        namespace: Some("shop".into()),
        ..importing("infra/dns,shop/web")
    };
    let mut world = world(&[&view]);
    let hosts = |world: &World| {
        let seen = seen(world, &view);
        let table = &seen[&(TypeUrl::ROUTE, "http/15001".into())];
        let table = json::to_value(TypeUrl::ROUTE.as_str(), &table.value).unwrap();
        let hosts = table["virtual_hosts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let names = hosts
            .iter()
            .map(|host| host["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(hosts(&world), ["infra/dns/80", "shop/web/80"]);
    let changed = world.apply([service("shop/more", "10.96.0.9")]);
    assert!(
        !changed.iter().any(|line| line.starts_with("import")),
        "{changed:?}"
    );
    world.delete(&service("infra/dns", "10.96.0.3"));
    assert_eq!(hosts(&world), ["shop/web/80"]);
    let listener = &seen(&world, &view)[&(TypeUrl::LISTENER, "http@127.0.0.1:15001".into())];
    let listener = json::to_value(TypeUrl::LISTENER.as_str(), &listener.value).unwrap();
    assert!(listener.to_string().contains("NAMESPACE = \\\"shop\\\""));
    world.translator.deactivate(&view);
    world.flush();
    let left = world.published.layers();
    assert!(
        !left
            .iter()
            .any(|(layer, ..)| matches!(layer, Layer::ImportTable(_)))
    );
}

#[test]
fn what_is_not_imported_is_explained() {
    let view = importing("shop");
    let silent = View {
        namespace: Some("shop".into()),
        ..View::of(Role::Mesh)
    };
    let mut world = world(&[&view]);
    world.apply([namespace("shop", "shop")]);
    let says = |what: &str, view: &View| {
        let question = Question::read(what, "shop").unwrap();
        let answer = world
            .translator
            .explain(&question, &Viewpoint::of(view.clone()));
        format!("{:?}", answer.sections)
    };
    let own = "this proxy does not import Service infra/log: it imports shop (seaway.import in its metadata)";
    let of_namespace = "it imports shop (annotation seaway.dev/import of Namespace shop)";
    for (what, outcome) in [
        ("http://log.infra/", "answered with 404"),
        ("http://10.96.0.4/", "answered with 404"),
        ("infra/log", "Nothing is served for infra/log there"),
        ("10.96.0.4:80", "Nothing is served for infra/log there"),
    ] {
        for (view, why) in [(&view, own), (&silent, of_namespace)] {
            let said = says(what, view);
            assert!(said.contains(why) && said.contains(outcome), "{said}");
        }
    }
    assert!(says("resource infra/log/80", &view).contains("No Cluster of this name is for"));
    assert!(says("resource shop/web/80", &view).contains("import:shop"));
    assert!(!says("http://web.shop/", &view).contains("404"));
}

/// A table of imports has the routes of its namespace, and its proxies what those lead to.
#[test]
fn what_a_table_of_imports_leads_to_is_there() {
    let view = View {
        whole_table: true,
        namespace: Some("shop".into()),
        ..importing("infra/dns")
    };
    let mut world = world(&[&view]);
    assert_eq!(clusters(&world, &view), ["infra/dns/80"]);
    let route = one(
        "{kind: HTTPRoute, metadata: {namespace: shop, name: r}, spec: {parentRefs: [{group: '', kind: Service, \
         namespace: infra, name: dns}], rules: [{backendRefs: [{namespace: infra, name: log, port: 80}]}]}}",
    );
    world.apply([route.clone()]);
    assert_eq!(clusters(&world, &view), ["infra/dns/80", "infra/log/80"]);
    // Who comes later finds the same.
    world.translator.deactivate(&view);
    world.flush();
    assert_eq!(clusters(&world, &view), [""; 0]);
    world.translator.activate(&view);
    world.flush();
    assert_eq!(clusters(&world, &view), ["infra/dns/80", "infra/log/80"]);
    world.delete(&route);
    assert_eq!(clusters(&world, &view), ["infra/dns/80"]);
}

/// The Service to which a resource belongs, if it belongs to one.
fn owner(type_url: TypeUrl, name: &str) -> Option<ServiceKey> {
    let name = match type_url {
        TypeUrl::ROUTE => name.strip_prefix("svc/")?,
        _ => name,
    };
    let mut parts = name.split(['@', ':']).next()?.split('/');
    Some(ServiceKey {
        namespace: parts.next()?.into(),
        name: parts.next()?.into(),
    })
}

/// What a proxy sees that imports something is what one sees of these Services that imports
/// nothing.
fn check(world: &World, view: &View, imports: &Imports) {
    let wide = View {
        imports: None,
        namespace: None,
        ..view.clone()
    };
    let (some, all) = (seen(world, view), seen(world, &wide));
    let mut expected: BTreeSet<_> = all
        .keys()
        .filter(|(url, name)| owner(*url, name).is_none_or(|service| imports.has(&service)))
        .cloned()
        .collect();
    // What these lead to.
    let mut next: Vec<_> = expected.iter().cloned().collect();
    while let Some(key) = next.pop() {
        if key.0 == TypeUrl::ROUTE && view.whole_table {
            continue;
        }
        let refs = all[&key].refs.iter();
        for to in refs.map(|to| (to.type_url, to.name.clone())) {
            if expected.insert(to.clone()) {
                next.push(to);
            }
        }
    }
    let found: BTreeSet<_> = some.keys().cloned().collect();
    assert!(expected.is_subset(&found), "{found:?} {expected:?}");
    // What the routes of any namespace lead to, whoever imports the Service may have, too.
    let routes = [TypeUrl::ROUTE, TypeUrl::SCOPED_ROUTE].into_iter();
    let routes = routes.flat_map(|url| world.published.all(url).map(move |one| (url, one)));
    let routes = routes
        .filter(|(url, one)| owner(*url, &one.name).is_some_and(|service| imports.has(&service)));
    let led: BTreeSet<_> = routes
        .flat_map(|(_, one)| one.refs.iter().map(|to| to.name.clone()))
        .collect();
    for key in found.difference(&expected) {
        let is_cluster = [TypeUrl::CLUSTER, TypeUrl::ENDPOINT].contains(&key.0);
        let cluster = key.1.strip_suffix("~mtls").unwrap_or(&key.1);
        assert!(is_cluster && led.contains(cluster), "{key:?}");
    }
    for (key, resource) in &some {
        // The listener and the table of a namespace and of imports are their own.
        if ![TypeUrl::LISTENER, TypeUrl::ROUTE].contains(&key.0) {
            assert_eq!(resource, &all[key], "{key:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_proxy_sees_of_its_imports_what_others_see_of_them(options in options(), ops in prop::collection::vec(an_op(), 10..60), imports in prop::sample::select(&["d", "d/a", "d/1c,d/b"][..]), whole_table: bool) {
        let mut world = run(options, &ops);
        let view = View { whole_table, node: Some("n1".into()), zone: Some("za".into()), ..importing(imports) };
        let wide = View { imports: None, ..view.clone() };
        for view in [&view, &wide] {
            world.translator.activate(view);
        }
        world.flush();
        check(&world, &view, view.imports.as_ref().unwrap());
    }
}
