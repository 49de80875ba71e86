//! Acknowledgements, rejections and silence: xDS rules 54, 56, 58, 69, 70, 78, 98.

use super::*;
use crate::session::error_text::Rejected;

#[test]
fn a_stale_nonce_still_changes_the_subscription_rule_54() {
    let mut world = World::new();
    world.set(ALL, E, "a", "1").set(ALL, E, "b", "1").commit();
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    let first = client.expect(E);
    world.put(E, "a", "2");
    let second = client.next().unwrap();
    client.change(E, &first.nonce, &["b"], &[]);
    client.expect_nothing();
    client.ack(&second);
    assert_eq!(client.expect(E).names(), ["b"]);
}

#[test]
fn names_change_in_acknowledgements_and_rejections_too_rules_56_70() {
    let mut world = World::new();
    world
        .set(ALL, E, "a", "1")
        .set(ALL, E, "b", "1")
        .set(ALL, E, "c", "1")
        .commit();
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    let got = client.next().unwrap();
    client.change(E, &got.nonce, &["b"], &["never-asked"]);
    let got = client.next().unwrap();
    assert_eq!(got.names(), ["b"]);
    let names = Names::Change {
        subscribe: vec!["c".into()],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    client.reject(&got, "no", names);
    assert_eq!(client.expect(E).names(), ["c"]);
}

#[test]
fn a_rejected_resource_is_not_sent_again_until_it_changes_rule_69() {
    let mut world = World::new();
    world
        .set(ALL, L, "good", "1")
        .set(ALL, L, "bad", "1")
        .commit();
    let mut client = world.delta();
    client.subscribe(L, &[]);
    let got = client.next().unwrap();
    let names = Names::Change {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    let outcome = client.reject(&got, "bad: cannot bind '10.0.0.1:80'", names);
    let rejected = Rejected {
        id: client.snapshots.read().find(3, "bad").unwrap(),
        name: "bad".into(),
        origin: "Listener/bad".into(),
        repeated: false,
    };
    let nack = Nack {
        sole: None,
        error: "bad: cannot bind '10.0.0.1:80'".into(),
        resources: vec![rejected],
        repeated: false,
    };
    assert_eq!(outcome, Outcome::Rejected(nack));
    client.expect_nothing();
    world.put(L, "bad", "2");
    assert_eq!(client.expect(L).names(), ["bad"]);
}

#[test]
fn a_client_that_never_acknowledges_still_gets_changes_each_second_rule_58() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    let mut nonces = vec![client.next().unwrap().nonce];
    for value in ["2", "3", "4"] {
        world.put(E, "a", value);
        client.expect_nothing();
        client.wait(PATIENCE);
        let got = client.next().unwrap();
        assert_eq!(got.resources["a"], value);
        nonces.push(got.nonce);
    }
    let distinct: BTreeSet<&String> = nonces.iter().collect();
    assert_eq!(distinct.len(), 4);
    // A late answer to an earlier response is still understood.
    let names = Names::Change {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    let early = Got {
        url: E.as_str().into(),
        nonce: nonces[1].clone(),
        ..Got::default()
    };
    assert!(matches!(
        client.reject(&early, "no", names),
        Outcome::Rejected(_)
    ));
}

#[test]
fn changes_while_a_response_is_under_way_are_merged_rule_98() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    let got = client.next().unwrap();
    for value in ["2", "3", "4"] {
        world.put(E, "a", value);
    }
    client.expect_nothing();
    client.ack(&got);
    assert_eq!(client.expect(E).resources["a"], "4");
    client.expect_nothing();
}

#[test]
fn status_remembers_the_last_words_rule_78() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    client.expect(E);
    let status = client.report(E);
    let sent = status.sent.unwrap();
    assert_eq!((sent.at, status.acked), (client.now, Some(sent)));
    assert!(status.rejected.is_none());
}

#[test]
fn a_rejected_assignment_is_not_forced_by_its_cluster_but_by_a_question() {
    let mut world = World::new();
    world.set(ALL, C, "a", "c1").set(ALL, E, "a", "e1").commit();
    let mut client = world.delta();
    client.subscribe(C, &[]);
    client.expect(C);
    client.subscribe(E, &["a"]);
    let got = client.next().unwrap();
    let names = Names::Change {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    client.reject(&got, "assignment a is bad", names);
    world.put(C, "a", "c2");
    client.expect(C);
    client.expect_nothing();
    client.subscribe(E, &["a"]);
    assert_eq!(client.expect(E).names(), ["a"]);
}
