//! The incremental dialect: xDS rules 5, 25, 26, 31, 36, 41-44, 46-59, 64, 69-71.

use super::*;

#[test]
fn a_first_wildcard_gets_everything_once() {
    let mut world = World::new();
    world.set(ALL, C, "a", "a1").set(ALL, C, "b", "b1").commit();
    let mut client = world.delta();
    client.subscribe(C, &[]);
    assert_eq!(client.expect(C).names(), ["a", "b"]);
    client.expect_nothing();
}

#[test]
fn an_empty_wildcard_is_answered_at_once_rule_31() {
    let mut world = World::new();
    let mut client = world.delta();
    client.subscribe(L, &[]);
    assert_eq!(client.expect(L).names(), [""; 0]);
    client.expect_nothing();
}

#[test]
fn an_empty_first_request_for_assignments_is_no_interest_rule_38() {
    let mut world = World::new();
    world.put(E, "a", "a1");
    let mut client = world.delta();
    client.subscribe(E, &[]);
    client.expect_nothing();
}

#[test]
fn the_four_step_example_of_the_specification_rule_40() {
    let mut world = World::new();
    world.set(ALL, C, "A", "a1").set(ALL, C, "B", "b1").commit();
    let mut client = world.delta();
    client.subscribe(C, &[]);
    assert_eq!(client.expect(C).names(), ["A", "B"]);
    client.subscribe(C, &["A"]);
    assert_eq!(client.expect(C).names(), ["A"]);
    client.unsubscribe(C, &["*"]);
    world.set(ALL, C, "A", "a2").set(ALL, C, "B", "b2").commit();
    assert_eq!(client.expect(C).names(), ["A"]);
    client.unsubscribe(C, &["A"]);
    world.put(C, "A", "a3");
    client.expect_nothing();
}

#[test]
fn unsubscribing_under_a_wildcard_is_answered_rule_42() {
    let mut world = World::new();
    world.put(C, "a", "a1");
    let mut client = world.delta();
    client.subscribe(C, &["*", "a", "gone"]);
    let got = client.expect(C);
    assert_eq!(
        (got.names(), got.removed.as_slice()),
        (vec!["a"], &["gone".to_string()][..])
    );
    client.unsubscribe(C, &["a", "gone"]);
    let got = client.expect(C);
    assert_eq!(
        (got.names(), got.removed.as_slice()),
        (vec!["a"], &["gone".to_string()][..])
    );
    world.put(C, "a", "a2");
    assert_eq!(client.expect(C).names(), ["a"]);
}

#[test]
fn wildcard_on_and_off_in_the_first_request_is_nothing_rule_43() {
    let mut world = World::new();
    world.put(C, "a", "a1");
    let mut client = world.delta();
    client.change(C, "", &["*"], &["*"]);
    client.expect_nothing();
    world.put(C, "a", "a2");
    client.expect_nothing();
}

#[test]
fn a_wildcard_that_returns_is_sent_everything_again_rule_44() {
    let mut world = World::new();
    world.put(C, "a", "a1");
    let mut client = world.delta();
    client.subscribe(C, &["*"]);
    assert_eq!(client.expect(C).names(), ["a"]);
    client.unsubscribe(C, &["*"]);
    client.subscribe(C, &["*"]);
    assert_eq!(client.expect(C).names(), ["a"]);
}

#[test]
fn a_name_asked_for_again_is_sent_again_rule_47() {
    let mut world = World::new();
    world.put(E, "a", "a1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    assert_eq!(client.expect(E).names(), ["a"]);
    client.subscribe(E, &["a"]);
    assert_eq!(client.expect(E).names(), ["a"]);
}

#[test]
fn a_missing_name_is_told_once_and_delivered_when_it_appears_rules_48_49_50() {
    let mut world = World::new();
    world.put(E, "a", "a1");
    let mut client = world.delta();
    client.subscribe(E, &["a", "late"]);
    let got = client.expect(E);
    assert_eq!(
        (got.names(), got.removed.as_slice()),
        (vec!["a"], &["late".to_string()][..])
    );
    world.put(E, "a", "a2");
    let got = client.expect(E);
    assert_eq!((got.names(), got.removed.len()), (vec!["a"], 0));
    world.put(E, "late", "1");
    assert_eq!(client.expect(E).names(), ["late"]);
    world.put(E, "late", "2");
    assert_eq!(client.expect(E).names(), ["late"]);
}

#[test]
fn only_what_changed_is_sent_and_removals_are_named_rule_51() {
    let mut world = World::new();
    world.set(ALL, E, "a", "a1").set(ALL, E, "b", "b1").commit();
    let mut client = world.delta();
    client.subscribe(E, &["a", "b"]);
    client.expect(E);
    world.put(E, "b", "b2");
    assert_eq!(client.expect(E).names(), ["b"]);
    world.remove(E, "a");
    let got = client.expect(E);
    assert_eq!((got.names().len(), got.removed), (0, vec!["a".to_string()]));
    world.put(E, "a", "a9");
    assert_eq!(client.expect(E).names(), ["a"]);
}

#[test]
fn equal_bytes_are_never_sent_again_rule_72() {
    let mut world = World::new();
    world.put(E, "a", "a1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    client.expect(E);
    world.put(E, "a", "a1");
    client.expect_nothing();
}

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
    };
    let nack = Nack {
        error: "bad: cannot bind '10.0.0.1:80'".into(),
        resources: vec![rejected],
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
fn removed_and_created_again_before_the_client_was_told_is_an_update() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    let got = client.next().unwrap();
    world.remove(E, "a");
    client.expect_nothing();
    world.put(E, "a", "2");
    client.expect_nothing();
    world.remove(E, "a");
    client.expect_nothing();
    client.ack(&got);
    assert_eq!(client.expect(E).removed, ["a"]);
    client.expect_nothing();
}

#[test]
fn a_name_asked_for_between_its_removal_and_the_news_is_told_once_rule_34() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    let got = client.next().unwrap();
    world.remove(E, "a");
    client.expect_nothing();
    client.subscribe(E, &["a"]);
    client.ack(&got);
    assert_eq!(client.expect(E).removed, ["a"]);
    client.expect_nothing();
}

#[test]
fn names_of_unknown_types_do_not_exist_rule_5() {
    let mut world = World::new();
    let mut client = world.delta();
    client.delta_request("type.googleapis.com/no.Such", "", &["x"], &[], &[]);
    let got = client.next().unwrap();
    assert_eq!(
        (got.url.as_str(), got.removed),
        ("type.googleapis.com/no.Such", vec!["x".into()])
    );
    client.expect_nothing();
}

#[test]
fn a_request_without_type_is_a_fault_rule_3() {
    let mut world = World::new();
    let mut client = world.delta();
    assert_eq!(client.request(Request::default()), Err(Fault::NoTypeUrl));
}

#[test]
fn large_sets_are_split_rule_124() {
    let mut world = World::new();
    let value = "x".repeat(1 << 20);
    for name in ["a", "b", "c", "d", "e"] {
        world.set(ALL, E, name, &format!("{name}{value}"));
    }
    world.commit();
    let mut client = world.delta();
    client.subscribe(E, &["a", "b", "c", "d", "e"]);
    let mut names = Vec::new();
    while let Some(got) = client.next() {
        assert!(got.resources.values().map(String::len).sum::<usize>() < 4 << 20);
        names.extend(got.resources.keys().cloned());
        client.ack(&got);
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[test]
fn ids_are_used_again_only_after_every_stream_has_passed() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    client.expect(E);
    // The stream sleeps while a name goes and others come; the wildcard-less client must neither miss nor mix them.
    world.remove(E, "a");
    for i in 0..10 {
        world.put(E, &format!("other{i}"), "1");
    }
    assert_eq!(client.expect(E).removed, ["a"]);
    world.put(E, "b", "1");
    world.put(E, "c", "1");
    client.expect_nothing();
    world.put(E, "a", "1");
    assert_eq!(client.expect(E).names(), ["a"]);
}

#[test]
fn status_remembers_the_last_words_rule_78() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    client.expect(E);
    let (_, status) = client
        .session
        .status()
        .find(|(url, _)| *url == E.as_str())
        .unwrap();
    let sent = status.sent.as_ref().unwrap();
    assert_eq!((sent.at, status.acked.as_ref()), (client.now, Some(sent)));
    assert!(status.nacked.is_none());
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
            Next::Send(response) => response.parts[0].clone(),
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

/// envoy#22418: a client whose stream ended while a changed cluster warmed reports the new cluster and the old assignment as held.
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
