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
