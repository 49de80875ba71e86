//! How far clients are with several resources together.

use super::*;

/// Chooses no resource by what it is made of.
fn none() -> (impl Fn(TypeUrl) -> bool, impl Fn(&str) -> bool) {
    (|_| false, |_: &str| true)
}

/// The resources that are asked about by name, in this order, and the streams that have them.
fn shares(world: &World, names: &[&str]) -> Vec<(u64, Standing)> {
    let names = names.iter().map(|name| (E, *name));
    let (connected, shares) = world.inspector.shares(|_| true, names, none());
    assert_eq!(connected, world.inspector.stream_count());
    let rows = shares.iter().map(|of| (of.facts.number, of.standing));
    rows.collect()
}

#[test]
fn the_resource_that_is_furthest_from_held_counts() {
    let mut world = World::new();
    world.put(ALL, "a", Some("1"));
    let (near, far) = (world.open(NEAR), world.open(FAR));
    world.deliver(&near);
    world.deliver(&far);
    world.put(ZONE, "b", Some("1"));
    let (a, b) = ((1, Standing::Held), (2, Standing::Held));
    assert_eq!(shares(&world, &["a"]), [a, b]);
    // Only the one near sees the other: nobody else lacks it.
    assert_eq!(shares(&world, &["a", "b"]), [(1, Standing::Owed), b]);
    let nonce = world.send(&near);
    assert_eq!(shares(&world, &["a", "b"]), [(1, Standing::Sent), b]);
    assert_eq!(shares(&world, &["b"]), [(1, Standing::Sent)]);
    world.request(&near, &nonce, &[]);
    assert_eq!(shares(&world, &["a", "b"]), [a, b]);
    assert_eq!(shares(&world, &["none"]), []);
    assert_eq!(shares(&world, &[]), []);
}

#[test]
fn resources_are_found_by_what_they_are_made_of_and_streams_are_chosen() {
    let mut world = World::new();
    world.put(ALL, "a", Some("1"));
    world.put(ALL, "b", Some("1"));
    let (near, far) = (world.open(NEAR), world.open(FAR));
    world.deliver(&near);
    let of = |origin: &'static str, number: Option<u64>| -> Vec<Standing> {
        let made = (|url: TypeUrl| url == E, |of: &str| of == origin);
        let which = |facts: &StreamFacts| number.is_none_or(|number| facts.number == number);
        let (connected, shares) = world.inspector.shares(which, [], made);
        let expected = number.map_or(world.inspector.stream_count(), |_| 1);
        assert_eq!(connected, expected);
        shares.iter().map(|of| of.standing).collect()
    };
    assert_eq!(of("b in 0", None), [Standing::Held, Standing::Owed]);
    assert_eq!(of("b in 0", Some(2)), [Standing::Owed]);
    assert_eq!(of("c in 0", None), []);
    drop(far);
    assert_eq!(of("b in 0", None), [Standing::Held]);
}

#[test]
fn what_a_client_rejects_comes_with_its_words() {
    let mut world = World::new();
    world.put(ALL, "a", Some("1"));
    world.put(ALL, "b", Some("1"));
    let near = world.open(NEAR);
    let nonce = world.send(&near);
    let request = Request {
        type_url: E.as_str().to_owned(),
        nonce,
        error: Some("b: cannot bind".to_owned()),
        names: Names::Change {
            subscribe: Default::default(),
            unsubscribe: Vec::new(),
            initial: Default::default(),
        },
    };
    {
        let mut session = lock(&near.session);
        let store = world.inspector.snapshots.read();
        session.on_owned(request, &store, Instant::now()).unwrap();
    }
    let (_, shares) = world.inspector.shares(|_| true, [(E, "b")], none());
    assert_eq!(shares.len(), 1);
    assert_eq!(shares[0].standing, Standing::Rejected);
    let rejected = &shares[0].rejected;
    assert_eq!((rejected.len(), &*rejected[0].name), (1, "b"));
    assert!(rejected[0].error.contains("cannot bind"), "{rejected:?}");
}
