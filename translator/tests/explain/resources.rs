//! Resources by their names: what is explained is what is published under a name, of every type.

use std::collections::BTreeSet;

use proptest::prelude::*;
use seaway_translator::{Options, Question, Role, View, Viewpoint};

use super::cases;
use super::support::random::{an_op, options, run};
use super::support::routing::{an_object, asking, class, gateway_class, secret, secured};
use super::support::{World, service, slice};

/// Asks for each resource that is published by its name.
fn check_resources(world: &World) {
    let published = world.published.layers();
    let names: BTreeSet<&str> = published.iter().map(|(_, _, name)| &**name).collect();
    for name in names {
        let question = Question::read(&format!("resource {name}"), "d").unwrap();
        let from = Viewpoint::of(View::of(Role::Node));
        let answer = world.translator.explain(&question, &from);
        for (layer, type_url, _) in published.iter().filter(|(_, _, of)| **of == *name) {
            let title = format!("{} {name}, as ", type_url.short());
            let mut sections = answer.sections.iter();
            let section = sections.find(|section| section.title.starts_with(&title));
            let facts = section.iter().flat_map(|section| &section.facts);
            let mut layers = facts.filter(|fact| fact.label == "layers");
            let expected = layer.to_string();
            assert!(
                layers.any(|fact| fact.text.split(", ").any(|one| one == expected)),
                "{layer} {title}: {answer:#?}"
            );
        }
    }
}

/// A Secret may be named like a Service, and a host of a port like the names of one.
#[test]
fn a_name_of_two_resources_is_that_of_both() {
    let mut world = World::new(Options::default());
    world.translator.activate(&View::of(Role::Mesh));
    world.apply([
        class(),
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", "[{addresses: [10.1.0.1]}]"),
        secret("web", "ec", "ec"),
        secured("i", "a.org", "web"),
    ]);
    let question = Question::read("resource d/web", "d").unwrap();
    let from = Viewpoint::of(View::of(Role::Ingress));
    let answer = world.translator.explain(&question, &from);
    let titles = answer.sections.iter().map(|section| section.title.as_str());
    let expected = ["ScopedRouteConfiguration", "Secret"];
    let expected = expected.map(|kind| format!("{kind} d/web, as an ingress proxy sees it"));
    assert_eq!(
        titles.collect::<BTreeSet<_>>(),
        expected.iter().map(String::as_str).collect()
    );
    check_resources(&world);
}

/// Mesh proxies of a namespace, and those that take one table, have a listener of the same name.
#[test]
fn what_mesh_proxies_share_is_found_by_its_name_in_each_of_its_layers() {
    let mut world = World::new(Options::default());
    for (namespace, whole_table) in [
        (None, false),
        (None, true),
        (Some("d"), false),
        (Some("d"), true),
    ] {
        world.translator.activate(&View {
            namespace: namespace.map(Into::into),
            whole_table,
            ..View::of(Role::Mesh)
        });
    }
    world.apply([
        service("web", "10.96.0.1", ""),
        slice("web-1", "web", "[{addresses: [10.1.0.1]}]"),
    ]);
    let published = world.published.layers();
    let count = |start: &str| {
        let names = published.iter().map(|(_, _, name)| name);
        names.filter(|name| name.starts_with(start)).count()
    };
    // One is that of those who import something.
    assert_eq!((count("http@"), count("http/")), (5, 1));
    check_resources(&world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_resource_of_a_service_is_found_by_its_name(
        options in options(),
        ops in prop::collection::vec(an_op(), 10..40),
    ) {
        // What a node has alone is made where proxies are there, and as they are now.
        check_resources(&run(options, &ops));
    }

    #[test]
    fn each_resource_of_ingress_proxies_is_found_by_its_name(
        objects in prop::collection::vec(an_object(), 1..12),
    ) {
        let mut world = World::new(Options::default());
        world.translator.activate(&View::of(Role::Ingress));
        world.translator.activate(&asking());
        world.apply([class(), gateway_class()]);
        world.apply(objects);
        check_resources(&world);
    }
}
