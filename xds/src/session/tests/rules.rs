//! Rules that the scripts of the two dialects do not come by.

use super::*;
use crate::session::unknown_types::UNKNOWN_TYPES;
use crate::types::TypeSpec;

const DIALECTS: [Dialect; 2] = [Dialect::Delta, Dialect::Sotw];

/// Asks for exactly these names, in either dialect, on a stream that asked for none of them before.
fn ask(client: &mut Client, url: TypeUrl, names: &[&str]) {
    match client.session.dialect {
        Dialect::Delta => client.subscribe(url, names),
        Dialect::Sotw => client.names(url, "", names),
    }
}

#[test]
fn a_client_that_comes_by_name_learns_that_all_of_it_is_gone_rule_21() {
    let mut world = World::new();
    world.put(C, "a", "1");
    let mut first = world.sotw();
    first.names(C, "", &["a"]);
    let version = first.expect(C).version;
    world.remove(C, "a");
    let mut again = world.sotw();
    again.names_at(C, "", &version, &["a"]);
    assert_eq!(again.expect(C).names(), [""; 0]);
    again.expect_nothing();
}

#[test]
fn a_change_of_place_and_a_commit_looked_at_together_send_nothing_twice() {
    let mut world = World::new();
    let place = |world: &mut World, layers: &[u32]| {
        let layers = layers.iter().map(|layer| LayerId(*layer)).collect();
        world.commit_with(vec![(PLAIN, Some(layers))]);
    };
    world.set(ALL, E, "a", "all");
    place(&mut world, &[1, ALL]);
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    client.expect(E);
    place(&mut world, &[2, ALL]);
    world.set(1, E, "a", "of the place it left").commit();
    client.expect_nothing();
}

#[test]
fn a_rejection_of_an_earlier_response_leaves_the_later_one_alone_rule_69() {
    let mut world = World::new();
    world.put(L, "a", "1");
    let mut client = world.sotw();
    client.names(L, "", &[]);
    let first = client.next().unwrap();
    world.put(L, "a", "2");
    client.wait(PATIENCE);
    let second = client.next().unwrap();
    client.reject(&first, "a: no", Names::default());
    client.names(L, &second.nonce, &[]);
    world.put(L, "b", "1");
    assert_eq!(client.expect(L).names(), ["1", "2"]);
}

#[test]
fn a_name_listed_twice_is_sent_once_rule_34() {
    for dialect in DIALECTS {
        let mut world = World::new();
        world.put(E, "a", "1");
        let mut client = world.client(dialect, PLAIN);
        ask(&mut client, E, &["a", "a", "*", "a"]);
        let bytes = {
            let store = client.snapshots.read();
            let Next::Send(response) = client.session.next(&store, client.now) else {
                panic!("a response")
            };
            response::content(&response.message)
        };
        let count = match dialect {
            Dialect::Delta => DeltaDiscoveryResponse::decode(&*bytes)
                .unwrap()
                .resources
                .len(),
            Dialect::Sotw => DiscoveryResponse::decode(&*bytes).unwrap().resources.len(),
        };
        assert_eq!(count, 1, "{dialect:?}");
    }
}

#[test]
fn what_is_given_up_before_its_turn_is_not_sent_rule_35() {
    let mut world = World::new();
    world.set(ALL, E, "a", "1").set(ALL, E, "b", "1").commit();
    let mut client = world.delta();
    client.subscribe(E, &["a", "b"]);
    let got = client.next().unwrap();
    world.set(ALL, E, "a", "2").set(ALL, E, "b", "2").commit();
    client.expect_nothing();
    client.unsubscribe(E, &["a"]);
    client.ack(&got);
    assert_eq!(client.expect(E).names(), ["b"]);
    client.expect_nothing();
}

#[test]
fn a_type_can_be_without_the_legacy_wildcard_rule_39() {
    for dialect in DIALECTS {
        let mut world = World::new();
        world.put(C, "a", "1");
        let mut client = world.client(dialect, PLAIN);
        let specs: Vec<TypeSpec> = (0..client.session.types.len())
            .map(|index| TypeSpec {
                legacy_wildcard: false,
                ..*client.session.types.spec(index)
            })
            .collect();
        client.session.types = Types::new(specs);
        ask(&mut client, C, &[]);
        client.expect_nothing();
        ask(&mut client, C, &["*"]);
        client.expect(C);
    }
}

#[test]
fn a_wildcard_is_what_the_place_sees_rule_45() {
    let mut world = World::new();
    world
        .set(ALL, C, "mine", "1")
        .set(7, C, "elsewhere", "1")
        .commit();
    let mut client = world.delta();
    client.subscribe(C, &[]);
    assert_eq!(client.expect(C).names(), ["mine"]);
    world.set(7, C, "elsewhere", "2").commit();
    client.expect_nothing();
}

#[test]
fn giving_up_what_was_never_asked_for_is_no_fault_rule_57() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["b"]);
    client.expect(E);
    client.unsubscribe(E, &["a", "never", ""]);
    client.expect_nothing();
}

#[test]
fn a_burst_of_questions_has_one_answer_rule_60() {
    let mut world = World::new();
    let names = ["a", "b", "c", "d"];
    for name in names {
        world.set(ALL, E, name, "1");
    }
    world.commit();
    let mut client = world.delta();
    for name in names {
        client.subscribe(E, &[name]);
    }
    assert_eq!(client.expect(E).names(), names);
    client.expect_nothing();
}

#[test]
fn all_parts_of_a_large_answer_come_before_what_depends_on_it_rule_61() {
    let mut world = World::new();
    let large = "x".repeat(1 << 20);
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        world.set(ALL, C, name, &large).set(ALL, L, name, "1");
    }
    world.commit();
    let mut client = world.delta();
    client.subscribe(L, &[]);
    client.subscribe(C, &[]);
    let mut clusters = 0;
    while clusters < names.len() {
        clusters += client.expect(C).resources.len();
    }
    assert_eq!(client.expect(L).names(), names);
}

#[test]
fn no_nonce_comes_twice_on_a_stream_nor_on_another_rule_64() {
    let mut world = World::new();
    let mut nonces = Vec::new();
    for url in [C, E, L, R] {
        world.set(ALL, url, "a", "1");
    }
    world.commit();
    for _ in 0..2 {
        let mut client = world.delta();
        for url in [C, E, L, R] {
            client.subscribe(url, &["a"]);
            nonces.push(client.expect(url).nonce);
        }
    }
    let distinct: BTreeSet<&String> = nonces.iter().collect();
    assert_eq!(distinct.len(), 8, "{nonces:?}");
}

#[test]
fn two_replicas_say_the_same_whatever_came_first_rules_73_144() {
    let versions = |names: [&str; 3]| {
        let mut world = World::new();
        for name in names {
            world.put(C, name, name);
            world.put(E, name, name);
        }
        let mut client = world.sotw();
        client.names(C, "", &[]);
        let clusters = client.expect(C).version;
        client.names(E, "", &["a", "b", "c"]);
        (clusters, client.expect(E).version)
    };
    assert_eq!(versions(["a", "b", "c"]), versions(["c", "a", "b"]));
}

#[test]
fn a_type_that_nobody_serves_is_silence_and_many_of_them_a_fault_rules_5_110() {
    let mut world = World::new();
    world.put(C, "a", "1");
    let mut client = world.sotw();
    let request = |i: usize| Request {
        type_url: format!("type.googleapis.com/no.Such{i}"),
        ..Request::default()
    };
    for i in 0..UNKNOWN_TYPES {
        assert_eq!(client.request(request(i)), Ok(Outcome::UnknownType));
    }
    assert_eq!(client.request(request(0)), Ok(Outcome::UnknownType));
    client.expect_nothing();
    client.names(C, "", &[]);
    client.expect(C);
    let one_more = client.request(request(UNKNOWN_TYPES));
    assert_eq!(one_more, Err(ProtocolError::TooManyTypes(UNKNOWN_TYPES)));
}

#[test]
fn a_change_before_the_first_request_is_not_lost_rule_16() {
    for dialect in DIALECTS {
        let mut world = World::new();
        world.put(C, "a", "1");
        let mut client = world.client(dialect, PLAIN);
        world.put(C, "a", "2");
        ask(&mut client, C, &[]);
        assert_eq!(client.expect(C).resources.values().next().unwrap(), "2");
    }
}

#[test]
fn a_route_is_served_after_its_listener_has_gone_rule_96() {
    for dialect in DIALECTS {
        let mut world = World::new();
        world.set(ALL, L, "l", "l1").set(ALL, R, "r", "r1").commit();
        let mut client = world.client(dialect, PLAIN);
        ask(&mut client, L, &[]);
        let listeners = client.expect(L);
        if dialect == Dialect::Sotw {
            client.names(L, &listeners.nonce, &[]);
        }
        world.remove(L, "l");
        client.next().unwrap();
        client.wait(PATIENCE);
        ask(&mut client, R, &["r"]);
        client.expect(R);
        client.wait(PATIENCE);
        world.put(R, "r", "r2");
        assert_eq!(client.expect(R).resources.values().next().unwrap(), "r2");
    }
}

#[test]
fn error_texts_are_kept_up_to_a_bound_rules_78_218() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a"]);
    let got = client.next().unwrap();
    let names = Names::Change {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    let Outcome::Rejected(nack) = client.reject(&got, &"ä".repeat(1 << 20), names) else {
        panic!("a rejection")
    };
    assert!(nack.error.len() <= 4096 && nack.error.len() > 4000);
}

#[test]
fn names_beside_a_wildcard_are_answered_at_once_rules_116_117() {
    let mut world = World::new();
    world.put(C, "a", "1");
    let mut client = world.delta();
    client.subscribe(C, &["*"]);
    client.expect(C);
    client.subscribe(C, &["on-demand"]);
    assert_eq!(client.expect(C).removed, ["on-demand"]);
    world.put(C, "on-demand", "1");
    assert_eq!(client.expect(C).names(), ["on-demand"]);
    client.expect_nothing();
}

#[test]
fn names_have_a_length_and_a_number_rule_218() {
    let mut world = World::new();
    let long = "n".repeat(MAX_NAME + 1);
    let many: Vec<String> = (0..=MAX_NAMES).map(|i| i.to_string()).collect();
    let change = |subscribe: &[String]| Names::Change {
        subscribe: subscribe.to_vec(),
        unsubscribe: vec![],
        initial: Default::default(),
    };
    let complete = |names: &[String]| Names::Complete {
        names: names.to_vec(),
        version: String::new(),
    };
    let ask = |client: &mut Client, names| {
        client.request(Request {
            type_url: E.as_str().into(),
            names,
            ..Request::default()
        })
    };
    let (mut delta, mut sotw) = (world.delta(), world.sotw());
    let long = [long];
    let fault = Err(ProtocolError::LongName(MAX_NAME + 1));
    assert_eq!(ask(&mut delta, change(&long)), fault);
    assert_eq!(ask(&mut sotw, complete(&long)), fault);
    assert_eq!(
        ask(&mut sotw, complete(&many)),
        Err(ProtocolError::TooManyNames)
    );
    assert_eq!(
        ask(&mut delta, change(&many)),
        Err(ProtocolError::TooManyNames)
    );
    // Of names that do not exist not so many are taken (`remembered`).
    assert_eq!(
        ask(&mut delta, change(&many[1..])),
        Err(ProtocolError::TooMuch)
    );
}

#[test]
fn names_with_their_parameters_in_another_order_are_the_same_rule_114() {
    let (one, other) = ("xdstp://x/t/a?b=2&a=1", "xdstp://x/t/a?a=1&b=2");
    for (published, asked) in [(one, other), (other, one), (one, one)] {
        let mut world = World::new();
        world
            .set(ALL, C, published, "c1")
            .set(ALL, E, published, "e1")
            .commit();
        let mut delta = world.delta();
        delta.subscribe(E, &[asked]);
        assert_eq!(delta.expect(E).names(), [other]);
        delta.subscribe(C, &[asked]);
        assert_eq!(delta.expect(C).names(), [other]);
        // What refers to it finds it, too.
        assert_eq!(delta.expect(E).names(), [other]);
        delta.unsubscribe(E, &[one]);
        let mut sotw = world.sotw();
        sotw.names(E, "", &[asked, "xdstp://x/t/a?b=1&a=2"]);
        let got = sotw.expect(E);
        assert_eq!(got.names(), ["e1"]);
        sotw.names(E, &got.nonce, &[published, "xdstp://x/t/a?a=2&b=1"]);
        sotw.expect_nothing();
        let mut back = world.delta();
        back.delta_request(E.as_str(), "", &[asked], &[], &[(one, "e1")]);
        back.subscribe(C, &[]);
        back.expect(C);
        world.put(E, published, "e2");
        assert_eq!(back.expect(E).names(), [other]);
        delta.expect_nothing();
    }
}
