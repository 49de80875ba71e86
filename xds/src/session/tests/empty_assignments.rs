//! What is gone, in state of the world: xDS rule 95.

use prost::Message;
use seaway_proto::envoy::endpoint::ClusterLoadAssignment;

use super::*;
use crate::store::slot::RESOLVED;

fn empty(name: &str) -> String {
    let assignment = ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        ..ClusterLoadAssignment::default()
    };
    String::from_utf8(assignment.encode_to_vec()).unwrap()
}

/// A client that holds a cluster with its assignment, and that of another name.
fn settled(world: &mut World) -> Client {
    world
        .set(ALL, C, "a", "c1")
        .set(ALL, E, "a", "e1")
        .set(ALL, E, "b", "e2")
        .commit();
    let mut client = world.sotw();
    client.names(C, "", &[]);
    let got = client.expect(C);
    client.names(C, &got.nonce, &[]);
    client.names(E, "", &["a", "b"]);
    let got = client.expect(E);
    client.names(E, &got.nonce, &["a", "b"]);
    client.expect_nothing();
    client
}

#[test]
fn an_assignment_that_is_gone_is_empty_after_its_cluster_has_gone_rule_95() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.unset(ALL, C, "a").unset(ALL, E, "a").commit();
    let clusters = client.expect(C);
    client.expect_nothing();
    client.wait(PATIENCE);
    client.names(C, &clusters.nonce, &[]);
    // Not at once: a client that is not warming the cluster gives the name up with it.
    client.expect_nothing();
    client.wait(PATIENCE);
    let got = client.expect(E);
    assert_eq!(got.names(), [empty("a")]);
    assert_ne!(got.version, clusters.version);
    client.names(E, &got.nonce, &["a", "b"]);
    client.wait(PATIENCE);
    client.expect_nothing();
    world.put(E, "a", "e3");
    assert_eq!(client.expect(E).names(), ["e3"]);
}

#[test]
fn who_gives_the_name_up_is_told_nothing_rule_95() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.unset(ALL, C, "a").unset(ALL, E, "a").commit();
    let clusters = client.expect(C);
    client.names(C, &clusters.nonce, &[]);
    client.expect_nothing();
    client.names(E, "", &["b"]);
    client.expect_nothing();
    client.wait(2 * PATIENCE);
    client.expect_nothing();
    // The next one has a second of its own.
    world.remove(E, "b");
    client.expect_nothing();
    client.wait(PATIENCE);
    assert_eq!(client.expect(E).names(), [empty("b")]);
}

#[test]
fn an_assignment_that_comes_back_in_time_is_not_empty_in_between_rule_95() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.remove(E, "b");
    client.expect_nothing();
    world.put(E, "b", "e3");
    assert_eq!(client.expect(E).names(), ["e3"]);
    client.wait(2 * PATIENCE);
    client.expect_nothing();
}

/// The assignment of a cluster that is still there is late, not gone.
#[test]
fn what_a_cluster_refers_to_is_waited_for_rules_25_95() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.remove(E, "a");
    for _ in 0..3 {
        client.expect_nothing();
        client.wait(PATIENCE);
    }
    world.put(E, "a", "e3");
    let got = client.expect(E);
    assert_eq!(got.names(), ["e3"]);
    client.names(E, &got.nonce, &["a", "b"]);
    world.remove(E, "a");
    client.expect_nothing();
    client.wait(PATIENCE);
    client.expect_nothing();
    // Until the cluster is gone, too.
    world.remove(C, "a");
    let got = client.expect(C);
    client.names(C, &got.nonce, &[]);
    client.expect_nothing();
    client.wait(PATIENCE);
    assert_eq!(client.expect(E).names(), [empty("a")]);
}

#[test]
fn names_that_a_client_comes_back_with_may_be_gone_rule_95() {
    let mut world = World::new();
    world.set(ALL, C, "a", "c1").set(ALL, E, "b", "e2").commit();
    let names = ["a", "b", "gone"];
    let mut client = world.sotw();
    client.names_at(E, "", "of another stream", &names);
    let got = client.expect(E);
    assert_eq!(got.names(), ["e2"]);
    client.names(E, &got.nonce, &names);
    client.expect_nothing();
    client.wait(PATIENCE);
    let empties = client.expect(E);
    assert_eq!(empties.names(), [empty("gone")]);
    assert_ne!(empties.version, got.version);
    client.names(E, &got.nonce, &names);
    // A client that had nothing yet is not answered what never existed.
    let mut other = world.sotw();
    other.names(E, "", &names);
    assert_eq!(other.expect(E).names(), ["e2"]);
    other.wait(3 * PATIENCE);
    other.expect_nothing();
}

#[test]
fn a_name_asked_for_while_its_removal_is_remembered_is_gone_rule_95() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    client.names(E, "", &["a"]);
    // Another stream has not seen the removal yet, so that it is remembered.
    let _slow = world.sotw();
    world.remove(E, "b");
    client.names(E, "", &["a", "b"]);
    client.expect_nothing();
    client.wait(PATIENCE);
    assert_eq!(client.expect(E).names(), [empty("b")]);
}

#[test]
fn other_types_and_wildcards_have_no_empty_values_rule_95() {
    let mut world = World::new();
    world.set(ALL, R, "r", "r1").set(ALL, E, "b", "e2").commit();
    let mut client = world.sotw();
    for (url, names) in [(E, ["*"]), (R, ["r"])] {
        client.names(url, "", &names);
        let got = client.expect(url);
        client.names(url, &got.nonce, &names);
    }
    world.unset(ALL, R, "r").unset(ALL, E, "b").commit();
    client.expect_nothing();
    client.wait(2 * PATIENCE);
    client.expect_nothing();
}

/// A stream that never asked for clusters, as one of the service of assignments alone.
#[test]
fn who_asks_for_assignments_alone_is_told_of_those_whose_cluster_went_later_rule_95() {
    let mut world = World::new();
    world.set(ALL, C, "a", "c1").set(ALL, E, "a", "e1").commit();
    let mut client = world.sotw();
    client.names(E, "", &["a"]);
    let got = client.expect(E);
    client.names(E, &got.nonce, &["a"]);
    world.remove(E, "a");
    for _ in 0..2 {
        client.expect_nothing();
        client.wait(PATIENCE);
    }
    client.expect_nothing();
    let cluster = Interest::change(Types::envoy().index(C.as_str()).unwrap(), "a");
    assert!(client.session.interest().meets(cluster));
    world.remove(C, "a");
    client.expect_nothing();
    client.wait(PATIENCE);
    assert_eq!(client.expect(E).names(), [empty("a")]);
}

/// Whether anything refers to what is gone is known without looking at all that there is.
#[test]
fn what_a_removal_costs_does_not_grow_with_the_world() {
    let costs = [10, 1000].map(|clusters| {
        let mut world = World::new();
        let mut client = settled(&mut world);
        for n in 0..clusters {
            world.set(ALL, C, &format!("c{n}"), "c1");
        }
        world.commit();
        let got = client.expect(C);
        client.names(C, &got.nonce, &[]);
        world.unset(ALL, C, "a").unset(ALL, E, "a").commit();
        let got = client.expect(C);
        client.names(C, &got.nonce, &[]);
        client.expect_nothing();
        client.wait(PATIENCE);
        let before = RESOLVED.get();
        assert_eq!(client.expect(E).names(), [empty("a")]);
        RESOLVED.get() - before
    });
    assert_eq!(costs[0], costs[1]);
}
