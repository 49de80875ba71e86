//! Clients that come back, and first syncs: xDS rules 52, 65, 93.

use super::*;

#[test]
fn a_reconnect_is_sent_only_what_differs_rule_52() {
    let mut world = World::new();
    world
        .set(ALL, C, "same", "1")
        .set(ALL, C, "changed", "2")
        .set(ALL, C, "new", "1")
        .commit();
    let mut client = world.delta();
    let held = [("same", "1"), ("changed", "1"), ("vanished", "1")];
    client.delta_request(C.as_str(), "", &[], &[], &held);
    assert_eq!(client.expect(C).names(), ["changed", "new"]);
    assert_eq!(client.expect(C).removed, ["vanished"]);
    client.expect_nothing();
}

#[test]
fn a_reconnect_with_everything_current_is_sent_nothing() {
    let mut world = World::new();
    world.set(ALL, C, "a", "1").set(ALL, E, "a", "1").commit();
    let mut client = world.delta();
    // Envoy was seen to ask in another order than it is served (xDS rule 93).
    client.delta_request(E.as_str(), "", &["a"], &[], &[("a", "1")]);
    client.delta_request(C.as_str(), "", &[], &[], &[("a", "1")]);
    client.expect_nothing();
    world.put(E, "a", "2");
    assert_eq!(client.expect(E).names(), ["a"]);
}

#[test]
fn a_nonce_of_another_stream_is_no_acknowledgement_rule_65() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.change(E, "7.3", &["a"], &[]);
    assert_eq!(client.expect(E).names(), ["a"]);
}

#[test]
fn first_syncs_share_their_bytes_and_later_ones_do_not_see_old_ones() {
    let mut world = World::new();
    let names: Vec<String> = (0..100).map(|i| format!("name{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        world.set(ALL, E, name, "1");
    }
    world.commit();
    let bytes = |client: &mut Client| {
        client.subscribe(E, &names);
        let store = client.snapshots.read();
        match client.session.next(&store, client.now) {
            Next::Send(response) => response.message[1].clone(),
            Next::Wait(_) => panic!("a response was due"),
        }
    };
    let (mut first, mut second) = (world.delta(), world.delta());
    let (a, b) = (bytes(&mut first), bytes(&mut second));
    assert_eq!(a.as_ptr(), b.as_ptr());
    world.put(E, "name7", "2");
    let mut third = world.delta();
    third.subscribe(E, &names);
    let got = third.expect(E);
    assert_eq!(
        (got.resources.len(), got.resources["name7"].as_str()),
        (100, "2")
    );
    third.expect_nothing();
}

/// envoy#22418: a client whose stream ended while a changed cluster warmed reports the new cluster
/// and the old assignment as held.
#[test]
fn a_reconnect_is_not_believed_about_the_assignment_of_a_cluster_that_just_changed() {
    let mut world = World::new();
    world
        .set(ALL, C, "a", "c1")
        .set(ALL, E, "a", "e1")
        .set(ALL, C, "b", "c1")
        .set(ALL, E, "b", "e1")
        .commit();
    world.put(C, "a", "c2");
    let mut client = world.delta();
    client.delta_request(C.as_str(), "", &[], &[], &[("a", "c2"), ("b", "c1")]);
    let held = [("a", "e1"), ("b", "e1")];
    client.delta_request(E.as_str(), "", &["a", "b"], &[], &held);
    assert_eq!(client.expect(E).names(), ["a"]);
    client.expect_nothing();

    let mut later = world.delta();
    later.wait(Duration::from_secs(600));
    later.delta_request(E.as_str(), "", &["a", "b"], &[], &held);
    later.expect_nothing();
}

/// Envoy asks for clusters and for assignments in one go, but the clusters may be answered before
/// the assignments are asked for.
#[test]
fn a_reconnect_is_not_believed_about_the_assignment_of_a_cluster_it_was_just_sent() {
    let mut world = World::new();
    world
        .set(ALL, C, "a", "c2")
        .set(ALL, E, "a", "e1")
        .set(ALL, C, "b", "c1")
        .set(ALL, E, "b", "e1")
        .commit();
    let mut client = world.delta();
    client.delta_request(C.as_str(), "", &[], &[], &[("a", "c1"), ("b", "c1")]);
    assert_eq!(client.expect(C).names(), ["a"]);
    let held = [("a", "e1"), ("b", "e1")];
    client.delta_request(E.as_str(), "", &["a", "b"], &[], &held);
    assert_eq!(client.expect(E).names(), ["a"]);
    client.expect_nothing();
}

/// Envoy holds its request for clusters back while one of them is warming: only the missing request
/// tells that one is.
#[test]
fn a_reconnect_that_asks_for_assignments_but_not_for_clusters_is_warming_and_not_believed() {
    let mut world = World::new();
    world.set(ALL, C, "a", "c1").set(ALL, E, "a", "e1").commit();
    let mut client = world.delta();
    client.delta_request(E.as_str(), "", &["a"], &[], &[("a", "e1")]);
    client.expect_nothing();
    assert!(!client.session.is_warming_reconnect());
    client.wait(PATIENCE);
    assert_eq!(client.expect(E).names(), ["a"]);
    assert!(client.session.is_warming_reconnect());
    client.wait(PATIENCE);
    client.expect_nothing();
    client.delta_request(C.as_str(), "", &[], &[], &[("a", "c2")]);
    assert_eq!(client.expect(C).names(), ["a"]);
    assert_eq!(client.expect(E).names(), ["a"]);
}

#[test]
fn a_reconnect_is_not_believed_about_secrets_rule_53() {
    let mut world = World::new();
    world.put(TypeUrl::SECRET, "a", "1");
    let mut client = world.delta();
    let held = [("a", "1")];
    client.delta_request(TypeUrl::SECRET.as_str(), "", &["a"], &[], &held);
    assert_eq!(client.expect(TypeUrl::SECRET).names(), ["a"]);
    client.expect_nothing();
}
