//! Layers: overrides, their ends, moves between them, and placements that move.

use super::*;

const ZONE: u32 = 1;
const NODE: u32 = 2;
const FAR: u32 = 3;
/// Sees the node layer over the zone layer over the shared one.
const NEAR: PlacementId = PlacementId(1);

fn world() -> World {
    let mut world = World::new();
    let layers = [NODE, ZONE, ALL].map(LayerId).to_vec();
    world.commit_with(vec![(NEAR, Some(layers))]);
    world
}

fn near(world: &mut World) -> Client {
    let mut client = world.client(Dialect::Delta, NEAR);
    client.subscribe(E, &["a"]);
    client
}

#[test]
fn the_most_specific_layer_wins() {
    let mut world = world();
    world
        .set(ALL, E, "a", "all")
        .set(ZONE, E, "a", "zone")
        .set(FAR, E, "a", "far")
        .commit();
    assert_eq!(near(&mut world).expect(E).resources["a"], "zone");
    let mut plain = world.delta();
    plain.subscribe(E, &["a"]);
    assert_eq!(plain.expect(E).resources["a"], "all");
}

#[test]
fn a_change_below_an_override_is_silent() {
    let mut world = world();
    world
        .set(ALL, E, "a", "all")
        .set(ZONE, E, "a", "zone")
        .commit();
    let mut client = near(&mut world);
    client.expect(E);
    world.put(E, "a", "all2");
    client.expect_nothing();
}

#[test]
fn the_end_of_an_override_sends_the_lower_value() {
    let mut world = world();
    world
        .set(ALL, E, "a", "all")
        .set(ZONE, E, "a", "zone")
        .commit();
    let mut client = near(&mut world);
    client.expect(E);
    world.unset(ZONE, E, "a").commit();
    let got = client.expect(E);
    assert_eq!((got.resources["a"].as_str(), got.removed.len()), ("all", 0));
}

#[test]
fn the_end_of_an_override_with_the_lower_bytes_is_silent() {
    let mut world = world();
    world
        .set(ALL, E, "a", "all")
        .set(ZONE, E, "a", "zone")
        .commit();
    let mut client = near(&mut world);
    client.expect(E);
    world.unset(ZONE, E, "a").set(ALL, E, "a", "zone").commit();
    client.expect_nothing();
    world.put(E, "a", "next");
    assert_eq!(client.expect(E).resources["a"], "next");
}

/// The override that ended is not the one the client saw: silence would leave it with the first.
#[test]
fn an_override_that_changed_before_it_ended_is_not_trusted() {
    let mut world = world();
    world
        .set(ALL, E, "a", "all")
        .set(ZONE, E, "a", "old")
        .commit();
    let mut client = near(&mut world);
    client.expect(E);
    world.set(ZONE, E, "a", "all").commit();
    world.unset(ZONE, E, "a").commit();
    assert_eq!(client.expect(E).resources["a"], "all");
}

#[test]
fn a_move_between_layers_in_one_commit_is_at_most_one_update() {
    let mut world = world();
    world.set(ZONE, E, "a", "zone").commit();
    let mut client = near(&mut world);
    client.expect(E);
    world.unset(ZONE, E, "a").set(NODE, E, "a", "node").commit();
    assert_eq!(client.expect(E).resources["a"], "node");
    client.expect_nothing();
    world.unset(NODE, E, "a").set(ALL, E, "a", "node").commit();
    client.expect_nothing();
}

#[test]
fn other_layers_are_invisible() {
    let mut world = world();
    world.put(E, "a", "1");
    let mut client = near(&mut world);
    client.expect(E);
    world.set(FAR, E, "a", "far").commit();
    world.unset(FAR, E, "a").commit();
    client.expect_nothing();
}

/// A layer that only overrides changes what is there, and brings nothing.
#[test]
fn a_layer_that_only_overrides_shows_nothing_that_no_other_has() {
    const ABOVE: u32 = LayerId::overriding(4).0;
    let mut world = World::new();
    let placed = |layers: &[u32]| {
        let layers = layers.iter().copied().map(LayerId).collect();
        vec![(NEAR, Some(layers))]
    };
    world.commit_with(placed(&[ABOVE, ALL]));
    world.set(ABOVE, E, "a", "above").commit();
    let mut client = world.client(Dialect::Delta, NEAR);
    client.subscribe(E, &["*"]);
    assert_eq!(client.expect(E).resources.len(), 0);
    world.set(ABOVE, E, "a", "above2").commit();
    client.expect_nothing();
    world.set(ALL, E, "a", "all").commit();
    assert_eq!(client.expect(E).resources["a"], "above2");
    world.set(ALL, E, "a", "all2").commit();
    client.expect_nothing();
    // Another layer has it in the place of the first.
    world.set(ZONE, E, "a", "all2").commit();
    world.commit_with(placed(&[ABOVE, ZONE]));
    client.expect_nothing();
    world.unset(ZONE, E, "a").commit();
    assert_eq!(client.expect(E).removed, ["a"]);
    world.set(ABOVE, E, "a", "above3").commit();
    client.expect_nothing();
}

#[test]
fn a_name_that_only_others_have_does_not_exist() {
    let mut world = world();
    world.set(FAR, E, "a", "far").commit();
    let mut client = near(&mut world);
    assert_eq!(client.expect(E).removed, ["a"]);
    world.set(NODE, E, "a", "mine").commit();
    assert_eq!(client.expect(E).resources["a"], "mine");
    world.unset(NODE, E, "a").commit();
    assert_eq!(client.expect(E).removed, ["a"]);
    world.set(ALL, E, "a", "back").commit();
    assert_eq!(client.expect(E).resources["a"], "back");
}

#[test]
fn a_placement_that_moves_sends_only_what_looks_different() {
    let mut world = world();
    world
        .set(ALL, E, "a", "all")
        .set(ZONE, E, "a", "zone")
        .set(FAR, E, "a", "far")
        .set(ALL, E, "b", "all")
        .set(ZONE, E, "c", "zone")
        .commit();
    let mut client = world.client(Dialect::Delta, NEAR);
    client.subscribe(E, &["a", "b", "c"]);
    assert_eq!(client.expect(E).names(), ["a", "b", "c"]);
    let layers = [NODE, FAR, ALL].map(LayerId).to_vec();
    world.commit_with(vec![(NEAR, Some(layers))]);
    let got = client.expect(E);
    assert_eq!(
        (got.names(), got.resources["a"].as_str()),
        (vec!["a"], "far")
    );
    assert_eq!(client.expect(E).removed, ["c"]);
    client.expect_nothing();
}

#[test]
fn a_stream_far_behind_the_log_loses_no_removal() {
    let mut world = world();
    world.set(ALL, E, "a", "1").set(ALL, E, "b", "1").commit();
    let mut client = world.delta();
    client.subscribe(E, &["a", "b"]);
    client.expect(E);
    world.remove(E, "a");
    for i in 0..(1 << 16) + 10 {
        world.put(E, "noise", &i.to_string());
    }
    world.put(E, "b", "2");
    assert_eq!(client.expect(E).names(), ["b"]);
    assert_eq!(client.expect(E).removed, ["a"]);
    client.expect_nothing();
}

#[test]
fn a_hidden_name_does_not_exist_whatever_is_below() {
    let mut world = world();
    world.set(ALL, E, "a", "all").hide(ZONE, E, "a").commit();
    let mut client = near(&mut world);
    assert_eq!(client.expect(E).removed, ["a"]);
    let mut plain = world.delta();
    plain.subscribe(E, &["a"]);
    assert_eq!(plain.expect(E).resources["a"], "all");
    world.put(E, "a", "all2");
    client.expect_nothing();
    assert_eq!(plain.expect(E).resources["a"], "all2");
    // A layer above the one that hides it may have it again.
    world.set(NODE, E, "a", "node").commit();
    assert_eq!(client.expect(E).resources["a"], "node");
    plain.expect_nothing();
}

#[test]
fn hiding_is_a_removal_and_its_end_an_addition() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut world = world();
        world.set(ALL, L, "a", "all").set(ALL, L, "b", "b").commit();
        let mut client = world.client(dialect, NEAR);
        let ask = |client: &mut Client, nonce: &str| match dialect {
            Dialect::Delta => client.change(L, nonce, &["*"], &[]),
            Dialect::Sotw => client.names(L, nonce, &[]),
        };
        ask(&mut client, "");
        let mut got = client.next().unwrap();
        for (hidden, values) in [(true, vec!["b"]), (false, vec!["all", "b"])] {
            match dialect {
                Dialect::Delta => client.ack(&got),
                Dialect::Sotw => ask(&mut client, &got.nonce),
            }
            match hidden {
                true => world.hide(ZONE, L, "a").commit(),
                false => world.unset(ZONE, L, "a").commit(),
            }
            got = client.next().unwrap();
            let has: Vec<&str> = got.resources.values().map(String::as_str).collect();
            match dialect {
                Dialect::Sotw => assert_eq!(has, values),
                Dialect::Delta if hidden => assert_eq!(got.removed, ["a"]),
                Dialect::Delta => assert_eq!(has, ["all"]),
            }
        }
    }
}

#[test]
fn hiding_what_was_hidden_below_or_is_not_there_is_silent() {
    let mut world = world();
    world.hide(ZONE, E, "a").commit();
    let mut client = near(&mut world);
    assert_eq!(client.expect(E).removed, ["a"]);
    for _ in 0..2 {
        world.hide(NODE, E, "a").commit();
        client.expect_nothing();
        world.set(ALL, E, "a", "all").commit();
        client.expect_nothing();
        world.unset(NODE, E, "a").commit();
        client.expect_nothing();
    }
    world.unset(ZONE, E, "a").commit();
    assert_eq!(client.expect(E).resources["a"], "all");
}

/// The same object first has a value in the layer, then hides the name, then has both listed, and
/// at last nothing.
#[test]
fn an_object_hides_what_it_had() {
    let mut world = world();
    let reference = |url, name: &str| ResourceRef {
        type_url: url,
        name: name.into(),
    };
    let replace = |value: Option<&str>, hidden: bool| Commit {
        replace: vec![Replace {
            origin: "o".into(),
            resources: value
                .map(|value| (LayerId(ZONE), resource(E, "a", value)))
                .into_iter()
                .collect(),
            hidden: match hidden {
                true => vec![(LayerId(ZONE), reference(E, "a"))],
                false => vec![],
            },
        }],
        ..Commit::default()
    };
    world.put(E, "a", "all");
    let mut client = near(&mut world);
    client.expect(E);
    let steps = [
        (Some("1"), false, Some("1"), (1, 0)),
        (None, true, None, (1, 0)),
        (Some("1"), true, None, (0, 0)),
        (Some("1"), false, Some("1"), (1, 0)),
        (Some("2"), true, None, (1, 0)),
        (None, false, Some("all"), (0, 1)),
    ];
    for (value, hidden, seen, (set, removed)) in steps {
        let committed = world.publisher.commit(replace(value, hidden));
        assert_eq!((committed.set, committed.removed), (set, removed));
        let got = client.next();
        let got = got.inspect(|got| client.ack(got)).unwrap_or_default();
        match seen {
            _ if set + removed == 0 => assert_eq!(got, Got::default()),
            Some(seen) => assert_eq!(got.resources["a"], seen),
            None => assert_eq!(got.removed, ["a"]),
        }
    }
}

/// A stream that slept through the hiding and its end looks at what it knew.
#[test]
fn hidden_and_shown_again_in_between_is_silent() {
    let mut world = world();
    world.set(ALL, E, "a", "all").commit();
    let mut client = near(&mut world);
    client.expect(E);
    world.hide(ZONE, E, "a").commit();
    world.unset(ZONE, E, "a").commit();
    // What the zone said at the client's cursor is not known any more: it may be sent again, but
    // not removed.
    if let Some(got) = client.next() {
        assert_eq!(got.resources["a"], "all");
        client.ack(&got);
    }
    client.expect_nothing();
}

/// The id of a removed name is used again once all streams have read the removal, even if the
/// client has not answered the response with the removed resource.
#[test]
fn an_answer_about_a_removed_resource_says_nothing_of_the_one_that_has_its_id_now() {
    let index = Types::envoy().index(L.as_str()).unwrap();
    let id = |world: &World, name| world.snapshots.read().find(index, name).unwrap();
    for error in [None, Some("a: no good"), Some("no good")] {
        let mut world = World::new();
        world.put(L, "a", "a1");
        let mut client = world.delta();
        client.subscribe(L, &[]);
        let first = client.next().unwrap();
        let before = id(&world, "a");
        world.remove(L, "a");
        client.expect_nothing();
        world.put(R, "r", "r1");
        world.put(L, "b", "b1");
        assert_eq!(id(&world, "b"), before, "the id is used again");
        match error {
            None => client.ack(&first),
            Some(text) => {
                let names = Names::Change {
                    subscribe: vec![],
                    unsubscribe: vec![],
                    initial: HashMap::new(),
                };
                let outcome = client.reject(&first, text, names);
                let Outcome::Rejected(nack) = outcome else {
                    panic!("{outcome:?}");
                };
                assert_eq!(nack.resources, [], "{text}");
            }
        }
        assert!(!client.session.is_rejecting(L.as_str()), "{error:?}");
        let got = client.expect(L);
        assert_eq!(got.removed, ["a"]);
        assert_eq!(got.names(), ["b"]);
        client.expect_nothing();
    }
}
