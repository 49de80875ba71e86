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
fn names_of_unknown_types_are_bounded_rule_218() {
    let mut world = World::new();
    let mut client = world.delta();
    let url = "type.googleapis.com/no.Such";
    let ask = |client: &mut Client, url: &str, names: &[String]| {
        client.request(Request {
            type_url: url.into(),
            names: Names::Change {
                subscribe: names.to_vec(),
                unsubscribe: vec![],
                initial: HashMap::new(),
            },
            ..Request::default()
        })
    };
    let long = "n".repeat(MAX_NAME + 1);
    let fault = Err(ProtocolError::LongName(MAX_NAME + 1));
    assert_eq!(ask(&mut client, &long, &[]), fault);
    assert_eq!(ask(&mut client, url, &[long]), fault);
    let names: Vec<String> = (0..=MAX_NAMES).map(|n| n.to_string()).collect();
    assert_eq!(
        ask(&mut client, url, &names),
        Err(ProtocolError::TooManyNames)
    );
    let names = &names[..240_000];
    ask(&mut client, url, names).unwrap();
    let more = ask(&mut client, "no.Other", &names[..200_000]);
    assert_eq!(more, Err(ProtocolError::TooManyNames));
    let mut told = 0;
    while let Some(got) = client.next() {
        let bytes: usize = got.removed.iter().map(|name| name.len() + 2).sum();
        assert!(bytes < 4 << 20, "{bytes} bytes");
        told += got.removed.len();
    }
    assert_eq!(told, names.len());
    ask(&mut client, "no.Other", &names[..1]).unwrap();
}

#[test]
fn a_request_without_type_is_a_fault_rule_3() {
    let mut world = World::new();
    let mut client = world.delta();
    assert_eq!(
        client.request(Request::default()),
        Err(ProtocolError::NoTypeUrl)
    );
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
    // The stream sleeps while a name goes and others come; the wildcard-less client must neither
    // miss nor mix them.
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
