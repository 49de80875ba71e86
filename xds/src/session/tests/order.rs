//! Order and warming: xDS rules 84-90 in the incremental dialect.

use super::*;

/// A client that holds a cluster with its assignment and a listener.
pub(super) fn settled(world: &mut World) -> Client {
    world
        .set(ALL, C, "a", "c1")
        .set(ALL, E, "a", "e1")
        .set(ALL, L, "l", "l1")
        .commit();
    let mut client = world.delta();
    client.subscribe(C, &[]);
    client.expect(C);
    client.subscribe(E, &["a"]);
    client.expect(E);
    client.subscribe(L, &[]);
    client.expect(L);
    client.expect_nothing();
    client
}

#[test]
fn one_change_goes_out_in_the_order_of_dependence_rule_84() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world
        .set(ALL, R, "r", "r1")
        .set(ALL, L, "l", "l2")
        .set(ALL, E, "a", "e2")
        .set(ALL, C, "a", "c2")
        .commit();
    client.subscribe(R, &["r"]);
    for url in [C, E, L, R] {
        client.expect(url);
    }
    client.expect_nothing();
}

#[test]
fn removals_go_the_other_way_rule_86() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world
        .unset(ALL, C, "a")
        .unset(ALL, E, "a")
        .unset(ALL, L, "l")
        .set(ALL, C, "b", "c1")
        .commit();
    assert_eq!(client.expect(C).names(), ["b"]);
    for (url, name) in [(L, "l"), (C, "a"), (E, "a")] {
        assert_eq!(client.expect(url).removed, [name]);
    }
    client.expect_nothing();
}

#[test]
fn a_secret_is_removed_after_what_may_refer_to_it_rule_63() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.set(ALL, TypeUrl::SECRET, "s", "s1").commit();
    client.subscribe(TypeUrl::SECRET, &["s"]);
    client.expect(TypeUrl::SECRET);
    world
        .unset(ALL, C, "a")
        .unset(ALL, TypeUrl::SECRET, "s")
        .unset(ALL, L, "l")
        .commit();
    for (url, name) in [(L, "l"), (C, "a"), (TypeUrl::SECRET, "s")] {
        assert_eq!(client.expect(url).removed, [name]);
    }
}

/// A client that gets the new listener first rejects it: "duplicate address".
#[test]
fn a_listener_that_takes_over_an_address_comes_with_the_removal_of_the_other() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.unset(ALL, L, "l").set(ALL, L, "m", "m1").commit();
    let response = client.expect(L);
    assert_eq!(response.names(), ["m"]);
    assert_eq!(response.removed, ["l"]);
    client.expect_nothing();
}

#[test]
fn a_listener_waits_for_the_acknowledgement_of_its_cluster_rule_87() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.set(ALL, C, "b", "c1").set(ALL, L, "m", "m1").commit();
    let c = client.next().unwrap();
    assert_eq!(c.names(), ["b"]);
    client.expect_nothing();
    client.ack(&c);
    assert_eq!(client.expect(L).names(), ["m"]);
}

#[test]
fn a_listener_waits_until_the_new_cluster_has_its_assignment() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world
        .set(ALL, C, "b", "c1")
        .set(ALL, E, "b", "e1")
        .set(ALL, L, "m", "m1")
        .commit();
    assert_eq!(client.expect(C).names(), ["b"]);
    client.expect_nothing();
    client.subscribe(E, &["b"]);
    assert_eq!(client.expect(E).names(), ["b"]);
    assert_eq!(client.expect(L).names(), ["m"]);
}

#[test]
fn nothing_waits_longer_than_a_second() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world
        .set(ALL, C, "b", "c1")
        .set(ALL, E, "b", "e1")
        .set(ALL, L, "m", "m1")
        .commit();
    client.next().unwrap();
    client.expect_nothing();
    client.wait(PATIENCE);
    assert_eq!(client.expect(L).names(), ["m"]);
}

#[test]
fn a_changed_cluster_is_followed_by_its_unchanged_assignment_rules_88_90() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.put(C, "a", "c2");
    assert_eq!(client.expect(C).names(), ["a"]);
    assert_eq!(client.expect(E).names(), ["a"]);
    client.expect_nothing();
}

#[test]
fn an_endpoint_change_sends_only_the_assignment_rule_100() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.put(E, "a", "e2");
    assert_eq!(client.expect(E).names(), ["a"]);
    client.expect_nothing();
}

/// consul#19866: an acknowledgement that crosses a cluster change must not count for the wiped
/// assignment.
#[test]
fn a_crossing_acknowledgement_does_not_mark_the_assignment_as_held() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.put(E, "a", "e2");
    let e = client.next().unwrap();
    world.put(C, "a", "c2");
    assert_eq!(client.expect(C).names(), ["a"]);
    client.ack(&e);
    assert_eq!(client.expect(E).resources["a"], "e2");
}

/// A first answer waits for what is under way of other types only where it depends on that.
#[test]
fn first_answers_do_not_wait_for_pushes_of_other_types_rules_87_103() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.set(ALL, TypeUrl::SECRET, "s", "s1");
    world.set(ALL, E, "b", "e1").set(ALL, R, "r", "r1").commit();
    world.put(C, "a", "c2");
    let clusters = client.next().unwrap();
    client.expect(E);
    // The clusters are not acknowledged: their next change waits, and with it the assignments that
    // belong to it.
    world.set(ALL, C, "a", "c3").set(ALL, E, "a", "e3").commit();
    client.expect_nothing();
    client.subscribe(E, &["b", "none"]);
    client.subscribe(TypeUrl::SECRET, &["s"]);
    client.subscribe(R, &["r"]);
    let got = client.expect(E);
    assert_eq!(
        (got.names(), &got.removed[..]),
        (vec!["b"], &["none".to_owned()][..])
    );
    client.expect(TypeUrl::SECRET);
    // Routes wait for what they may depend on.
    client.expect_nothing();
    client.ack(&clusters);
    for (url, name) in [(C, "a"), (E, "a"), (R, "r")] {
        assert_eq!(client.expect(url).names(), [name]);
    }
    client.expect_nothing();
}

#[test]
fn first_answers_do_not_wait_in_state_of_the_world_either_rules_87_103() {
    let mut world = World::new();
    world
        .set(ALL, C, "a", "c1")
        .set(ALL, E, "a", "e1")
        .set(ALL, E, "b", "e2")
        .commit();
    let mut client = world.sotw();
    client.names(C, "", &[]);
    let got = client.expect(C);
    client.names(C, &got.nonce, &[]);
    client.names(E, "", &["a"]);
    let got = client.expect(E);
    client.names(E, &got.nonce, &["a"]);
    world.put(C, "a", "c2");
    let clusters = client.expect(C);
    let got = client.expect(E);
    world.set(ALL, C, "a", "c3").set(ALL, E, "a", "e3").commit();
    client.names(E, &got.nonce, &["a", "b"]);
    let got = client.expect(E);
    assert_eq!(got.names(), ["e2"]);
    client.names(E, &got.nonce, &["a", "b"]);
    client.expect_nothing();
    client.names(C, &clusters.nonce, &[]);
    client.expect(C);
    assert_eq!(client.expect(E).names(), ["e3"]);
}
