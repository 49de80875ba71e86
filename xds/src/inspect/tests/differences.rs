//! Layers, what streams ask for, and where their clients differ from it.

use super::*;

#[test]
fn a_layer_says_what_it_has_and_how_many_look_through_it() {
    let mut world = World::new();
    world.put(ALL, "a", Some("1"));
    world.put(ALL, "b", Some("1"));
    world.put(ZONE, "b", Some("2"));
    world.put(ZONE, "c", None);
    let (_near, _far) = (world.open(NEAR), world.open(FAR));
    let layers = world.inspector.layers();
    let of = |layer: LayerId| {
        let report = &layers[&layer];
        let [of_type] = &report.types[..] else {
            panic!("{report:?}");
        };
        assert!(of_type.bytes > of_type.count && of_type.type_url == E);
        (of_type.count, report.seen_by)
    };
    assert_eq!((of(ALL), of(ZONE)), ((2, 2), (1, 1)));
}

#[test]
fn what_a_stream_asks_for_is_the_one_of_the_first_layer_that_has_it() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.put(ALL, name, Some("1"));
    }
    world.put(ZONE, "b", Some("2"));
    world.put(ZONE, "c", None);
    let _near = world.open(NEAR);
    let streams = world.inspector.streams_of("n");
    assert_eq!(Vec::from_iter(streams.iter().map(|of| of.number)), [1]);
    assert!(world.inspector.streams_of("other").is_empty());
    let asked = world.inspector.asked_by(&streams);
    let has = |name, layer| asked.has(E, name, layer);
    assert!(has("a", ALL) && has("b", ZONE));
    assert!(!has("b", ALL) && !has("c", ALL) && !has("c", ZONE));
    assert!(!asked.has(TypeUrl::CLUSTER, "a", ALL));
    let report = world
        .inspector
        .resources(|_| true, None, 1)
        .resources
        .remove(0);
    assert_eq!(report.value.as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_difference_is_what_the_client_lacks_or_has_too_much() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.put(ALL, name, Some("1"));
    }
    let stream = world.open(FAR);
    let differences = |world: &World, after: Option<&str>, limit| {
        let after = after.map(|name| (E, name));
        let (total, page) = world.inspector.differences(1, after, limit).unwrap();
        let of = page.into_iter().map(|of| {
            let version = of.version.is_some();
            (of.name.to_string(), of.standing, of.has_some, version)
        });
        (total, of.collect::<Vec<_>>())
    };
    let owed = |name: &str, has_some| (name.to_owned(), Some(Standing::Owed), has_some, true);
    assert_eq!(
        differences(&world, None, 2),
        (3, vec![owed("a", false), owed("b", false)])
    );
    let (_, page) = differences(&world, Some("b"), 2);
    assert_eq!(page, [owed("c", false)]);
    world.deliver(&stream);
    assert_eq!(differences(&world, None, 9), (0, Vec::new()));
    // Another version, one that is gone, and one that is new, before the stream has read them.
    world.put(ALL, "a", Some("2"));
    world.put(ALL, "d", Some("1"));
    world.publisher.commit(Commit {
        replace: vec![Replace {
            origin: "b in 0".into(),
            ..Replace::default()
        }],
        ..Commit::default()
    });
    let removed = ("b".to_owned(), None, true, false);
    let expected = [owed("a", true), removed, owed("d", false)];
    assert_eq!(differences(&world, None, 9), (3, expected.to_vec()));
    world.deliver(&stream);
    world.deliver(&stream);
    assert_eq!(differences(&world, None, 9), (0, Vec::new()));
    assert!(world.inspector.differences(7, None, 9).is_none());
}

#[test]
fn a_secret_is_listed_without_its_content() {
    let mut world = World::new();
    let secret = Resource::from_bytes(TypeUrl::SECRET, "s", Bytes::from_static(b"key"), Vec::new());
    let replace = Replace {
        origin: "s".into(),
        resources: vec![(ALL, secret)],
        ..Replace::default()
    };
    world.publisher.commit(Commit {
        replace: vec![replace],
        ..Commit::default()
    });
    let report = world
        .inspector
        .resources(|_| true, None, 9)
        .resources
        .remove(0);
    assert_eq!((&*report.name, report.value), ("s", None));
}
