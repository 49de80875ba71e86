//! The state-of-the-world dialect: xDS rules 20-34, 37, 40, 65-72, 89.

use super::*;

fn values(got: &Got) -> Vec<&str> {
    got.names()
}

#[test]
fn every_listener_response_is_complete_rule_21() {
    let mut world = World::new();
    world.set(ALL, L, "a", "a1").set(ALL, L, "b", "b1").commit();
    let mut client = world.sotw();
    client.names(L, "", &[]);
    let first = client.expect(L);
    assert_eq!(values(&first), ["a1", "b1"]);
    client.names(L, &first.nonce, &[]);
    client.expect_nothing();
    world.put(L, "b", "b2");
    let second = client.expect(L);
    assert_eq!(values(&second), ["a1", "b2"]);
    assert_ne!(first.version, second.version);
}

#[test]
fn a_listener_that_takes_over_an_address_comes_without_the_other() {
    let mut world = World::new();
    world.set(ALL, L, "a", "a1").commit();
    let mut client = world.sotw();
    client.names(L, "", &[]);
    let first = client.expect(L);
    client.names(L, &first.nonce, &[]);
    world.unset(ALL, L, "a").set(ALL, L, "b", "b1").commit();
    let second = client.expect(L);
    assert_eq!(values(&second), ["b1"]);
    client.names(L, &second.nonce, &[]);
    client.expect_nothing();
}

#[test]
fn assignments_are_sent_alone_rule_22() {
    let mut world = World::new();
    world.set(ALL, E, "a", "a1").set(ALL, E, "b", "b1").commit();
    let mut client = world.sotw();
    client.names(E, "", &["a", "b"]);
    let got = client.expect(E);
    client.names(E, &got.nonce, &["a", "b"]);
    world.put(E, "b", "b2");
    assert_eq!(values(&client.expect(E)), ["b2"]);
}

#[test]
fn newly_named_resources_are_sent_even_if_unchanged_rule_23() {
    let mut world = World::new();
    world.set(ALL, E, "a", "a1").set(ALL, E, "b", "b1").commit();
    let mut client = world.sotw();
    client.names(E, "", &["a"]);
    let got = client.expect(E);
    client.names(E, &got.nonce, &["a", "b"]);
    assert_eq!(values(&client.expect(E)), ["b1"]);
}

#[test]
fn leaving_and_returning_is_answered_again_rule_24() {
    let mut world = World::new();
    world.set(ALL, E, "a", "a1").set(ALL, E, "b", "b1").commit();
    let mut client = world.sotw();
    client.names(E, "", &["a", "b"]);
    let got = client.expect(E);
    client.names(E, &got.nonce, &["b"]);
    client.expect_nothing();
    client.names(E, &got.nonce, &["a", "b"]);
    assert_eq!(values(&client.expect(E)), ["a1"]);
}

#[test]
fn missing_names_hold_nothing_back_and_arrive_later_rules_25_26() {
    let mut world = World::new();
    world.put(L, "a", "a1");
    let mut client = world.sotw();
    client.names(L, "", &["a", "late"]);
    let got = client.expect(L);
    assert_eq!(values(&got), ["a1"]);
    client.names(L, &got.nonce, &["a", "late"]);
    world.put(L, "late", "l1");
    assert_eq!(values(&client.expect(L)), ["a1", "l1"]);
}

#[test]
fn an_emptied_list_is_not_a_wildcard_rules_28_37() {
    let mut world = World::new();
    world.put(C, "a", "a1");
    let mut client = world.sotw();
    client.names(C, "", &["a"]);
    let got = client.expect(C);
    client.names(C, &got.nonce, &[]);
    world.put(C, "a", "a2");
    client.expect_nothing();
}

#[test]
fn a_list_with_an_empty_name_is_no_wildcard_rule_33() {
    let mut world = World::new();
    world.put(C, "a", "a1");
    let mut client = world.sotw();
    client.names(C, "", &["a"]);
    let got = client.expect(C);
    client.names(C, &got.nonce, &[""]);
    world.put(C, "a", "a2");
    client.expect_nothing();
}

#[test]
fn the_last_listener_gone_is_an_empty_response_rule_30() {
    let mut world = World::new();
    world.put(L, "a", "a1");
    let mut client = world.sotw();
    client.names(L, "", &[]);
    let got = client.expect(L);
    client.names(L, &got.nonce, &[]);
    world.remove(L, "a");
    assert_eq!(values(&client.expect(L)), [""; 0]);
    client.expect_nothing();
}

#[test]
fn an_empty_first_wildcard_is_answered_rule_31() {
    let mut world = World::new();
    let mut client = world.sotw();
    client.names(C, "", &[]);
    assert_eq!(values(&client.expect(C)), [""; 0]);
    client.expect_nothing();
}

#[test]
fn a_first_assignment_request_is_answered_whatever_its_version_rule_32() {
    let mut world = World::new();
    world.put(E, "a", "a1");
    let mut first = world.sotw();
    first.names(E, "", &["a"]);
    let version = first.expect(E).version;
    let mut again = world.sotw();
    again.names_at(E, "old", &version, &["a"]);
    assert_eq!(values(&again.expect(E)), ["a1"]);
}

#[test]
fn a_reconnecting_wildcard_that_is_current_is_sent_nothing() {
    let mut world = World::new();
    world.set(ALL, C, "a", "a1").set(ALL, C, "b", "b1").commit();
    let mut first = world.sotw();
    first.names(C, "", &[]);
    let version = first.expect(C).version;
    let mut again = world.sotw();
    again.names_at(C, "old", &version, &[]);
    again.expect_nothing();
    world.remove(C, "b");
    assert_eq!(values(&again.expect(C)), ["a1"]);
}

#[test]
fn the_four_step_example_of_the_specification_rule_40() {
    let mut world = World::new();
    world.set(ALL, C, "A", "a1").set(ALL, C, "B", "b1").commit();
    let mut client = world.sotw();
    client.names(C, "", &[]);
    let got = client.expect(C);
    client.names(C, &got.nonce, &["*", "A"]);
    let got = client.expect(C);
    assert_eq!(values(&got), ["a1", "b1"]);
    client.names(C, &got.nonce, &["A"]);
    world.put(C, "B", "b2");
    client.expect_nothing();
    world.put(C, "A", "a2");
    let got = client.expect(C);
    assert_eq!(values(&got), ["a2"]);
    client.names(C, &got.nonce, &[]);
    world.put(C, "A", "a3");
    client.expect_nothing();
}

#[test]
fn a_stale_request_is_not_answered_but_its_names_count_rules_66_67() {
    let mut world = World::new();
    world.set(ALL, E, "a", "a1").set(ALL, E, "b", "b1").commit();
    let mut client = world.sotw();
    client.names(E, "", &["a"]);
    let first = client.expect(E);
    client.names(E, &first.nonce, &["a"]);
    world.put(E, "a", "a2");
    let second = client.expect(E);
    client.names(E, &first.nonce, &["a", "b"]);
    client.expect_nothing();
    client.names(E, &second.nonce, &["a", "b"]);
    assert_eq!(values(&client.expect(E)), ["b1"]);
}

#[test]
fn a_rejection_is_not_answered_until_something_changes_rules_68_69() {
    let mut world = World::new();
    world.put(C, "a", "a1");
    let mut client = world.sotw();
    client.names(C, "", &[]);
    let got = client.expect(C);
    let outcome = client.reject(&got, "a is bad", Names::default());
    assert!(matches!(outcome, Outcome::Rejected(_)));
    client.expect_nothing();
    world.put(C, "a", "a2");
    assert_eq!(values(&client.expect(C)), ["a2"]);
}

#[test]
fn a_changed_cluster_is_followed_by_its_assignment_rule_89() {
    let mut world = World::new();
    world.set(ALL, C, "a", "c1").set(ALL, E, "a", "e1").commit();
    let mut client = world.sotw();
    client.names(C, "", &[]);
    let c = client.expect(C);
    client.names(C, &c.nonce, &[]);
    client.names(E, "", &["a"]);
    let e = client.expect(E);
    client.names(E, &e.nonce, &["a"]);
    world.put(C, "a", "c2");
    let c = client.expect(C);
    client.names(C, &c.nonce, &[]);
    let again = client.expect(E);
    assert_eq!(values(&again), ["e1"]);
    client.names(E, &again.nonce, &["a"]);
    client.expect_nothing();
}

#[test]
fn a_cluster_goes_after_the_listener_that_used_it_rule_86() {
    let mut world = World::new();
    world
        .set(ALL, C, "old", "old")
        .set(ALL, L, "l", "uses old")
        .commit();
    let mut client = world.sotw();
    client.names(C, "", &[]);
    let c = client.expect(C);
    client.names(C, &c.nonce, &[]);
    client.names(L, "", &[]);
    let l = client.expect(L);
    client.names(L, &l.nonce, &[]);

    world
        .unset(ALL, C, "old")
        .set(ALL, C, "new", "new")
        .set(ALL, L, "l", "uses new")
        .commit();
    let both = client.expect(C);
    assert_eq!(values(&both), ["new", "old"]);
    client.expect_nothing();
    client.names(C, &both.nonce, &[]);
    let l = client.expect(L);
    assert_eq!(values(&l), ["uses new"]);
    client.expect_nothing();
    client.names(L, &l.nonce, &[]);
    assert_eq!(values(&client.expect(C)), ["new"]);
}

/// The version is that of the whole subscription, so it comes back when the content does, and says
/// nothing of how it came there.
#[test]
fn a_version_is_a_sum_over_the_subscription_rule_72() {
    let mut world = World::new();
    world.set(ALL, E, "a", "a1").set(ALL, E, "b", "b1").commit();
    let mut client = world.sotw();
    client.names(E, "", &["a", "b", "late"]);
    let first = client.expect(E);
    let mut versions = vec![first.version.clone()];
    let mut nonce = first.nonce;
    let mut change = |world: &mut World, client: &mut Client| {
        client.names(E, &nonce, &["a", "b", "late"]);
        world.commit();
        let got = client.expect(E);
        nonce.clone_from(&got.nonce);
        got.version
    };
    world.set(ALL, E, "b", "b2");
    versions.push(change(&mut world, &mut client));
    world.set(ALL, E, "late", "l1").set(ALL, E, "b", "b3");
    versions.push(change(&mut world, &mut client));
    world.unset(ALL, E, "late").set(ALL, E, "b", "b2");
    versions.push(change(&mut world, &mut client));
    assert_eq!(versions[1], versions[3]);
    assert_eq!(versions.iter().collect::<BTreeSet<_>>().len(), 3);
    // A stream that comes now sums up the same.
    let mut other = world.sotw();
    other.names(E, "", &["b", "a", "gone"]);
    assert_eq!(other.expect(E).version, versions[3]);
}

/// A response of listeners is complete: with the rejected one in it, it would be rejected again,
/// whatever else has changed.
#[test]
fn a_rejected_listener_stays_at_what_it_was_while_the_others_flow() {
    let mut world = World::new();
    world
        .set(ALL, L, "bad", "bad1")
        .set(ALL, L, "good", "good1")
        .commit();
    let mut client = world.sotw();
    client.names(L, "", &[]);
    let got = client.expect(L);
    client.names(L, &got.nonce, &[]);
    world
        .set(ALL, L, "bad", "bad2")
        .set(ALL, L, "new", "new1")
        .commit();
    let got = client.expect(L);
    client.reject(&got, "bad: no; new: neither", Names::default());
    client.expect_nothing();
    world.put(L, "good", "good2");
    let got = client.expect(L);
    assert_eq!(values(&got), ["bad1", "good2"]);
    client.names(L, &got.nonce, &[]);
    world.put(L, "bad", "bad3");
    let got = client.expect(L);
    assert_eq!(values(&got), ["bad3", "good2"]);
    client.names(L, &got.nonce, &[]);
    world.put(L, "new", "new2");
    assert_eq!(values(&client.expect(L)), ["bad3", "good2", "new2"]);
}
