//! What is large: xDS rules 124, 125, 127.

use super::*;

/// More than a response may have.
fn huge(value: &str) -> String {
    value.repeat(5 << 20)
}

#[test]
fn what_is_too_large_for_grpc_goes_to_envoy_alone_rule_127() {
    let mut world = World::new();
    world.put(R, "a", "1");
    let agents = [ClientKind::Envoy, ClientKind::Grpc, ClientKind::Other];
    let mut clients = agents.map(|client_kind| {
        let mut client = world.client_like(Dialect::Delta, client_kind);
        client.subscribe(R, &["a", "b"]);
        client.expect(R);
        client
    });
    world
        .set(ALL, R, "a", &huge("2"))
        .set(ALL, R, "b", "1")
        .commit();
    for (client, client_kind) in clients.iter_mut().zip(agents) {
        let mut has = BTreeMap::new();
        while let Some(got) = client.next() {
            client.ack(&got);
            has.extend(got.resources);
        }
        let large = client_kind == ClientKind::Envoy;
        assert_eq!(
            (has["a"].len() > 1, has["b"].as_str()),
            (large, "1"),
            "{client_kind:?}"
        );
    }
    let held_back = world.snapshots.quarantined();
    let [report] = &held_back[..] else {
        panic!("one");
    };
    assert_eq!(
        (&*report.name, &*report.origin),
        ("a", "RouteConfiguration/a")
    );
    assert!(
        matches!(report.reason, crate::QuarantineReason::TooLarge { bytes } if bytes > 5 << 20)
    );
    world.put(R, "a", "3");
    for client in &mut clients {
        assert_eq!(client.expect(R).resources["a"], "3");
    }
    assert!(world.snapshots.quarantined().is_empty());
}

#[test]
fn one_large_content_after_the_other_leaves_the_last_that_was_not_rule_127() {
    let mut world = World::new();
    world.put(R, "a", "1");
    for value in ["2", "3"] {
        world.put(R, "a", &huge(value));
    }
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut client = world.client_like(dialect, ClientKind::Grpc);
        match dialect {
            Dialect::Delta => client.subscribe(R, &["a"]),
            Dialect::Sotw => client.names(R, "", &["a"]),
        }
        let got = client.expect(R);
        assert_eq!(got.resources.values().collect::<Vec<_>>(), ["1"]);
    }
}

#[test]
fn names_that_do_not_exist_are_split_too_rule_124() {
    let names: Vec<String> = (0..20_000).map(|n| format!("{n:0240}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut delta = world.delta();
    delta.subscribe(E, &names);
    let mut grpc = world.grpc();
    grpc.names(E, "", &names);
    for client in [&mut delta, &mut grpc] {
        let mut told = BTreeSet::new();
        while let Some(got) = client.next() {
            let bytes: usize = got.removed.iter().map(|name| name.len() + 40).sum();
            assert!(bytes < 4 << 20, "{bytes} bytes");
            match client.session.dialect {
                Dialect::Delta => client.ack(&got),
                Dialect::Sotw => client.names(E, &got.nonce, &names),
            }
            told.extend(got.removed);
        }
        assert_eq!(told.len(), names.len());
    }
}

#[test]
fn names_that_were_removed_are_split_too_rule_124() {
    let mut world = World::new();
    let names: Vec<String> = (0..20_000).map(|n| format!("{n:0240}")).collect();
    for url in [L, R] {
        for name in &names {
            world.set(ALL, url, name, "1");
        }
    }
    world.commit();
    let mut client = world.delta();
    client.subscribe(L, &["*"]);
    client.subscribe(R, &["*"]);
    let drain = |client: &mut Client| {
        let mut removed = BTreeSet::new();
        while let Some(got) = client.next() {
            let bytes: usize = got.removed.iter().map(|name| name.len() + 4).sum();
            assert!(bytes < 4 << 20, "{bytes} bytes");
            client.ack(&got);
            removed.extend(got.removed.iter().map(|name| format!("{} {name}", got.url)));
        }
        removed.len()
    };
    assert_eq!(drain(&mut client), 0);
    for url in [L, R] {
        for name in &names {
            world.unset(ALL, url, name);
        }
    }
    world.set(ALL, L, "new", "1").commit();
    assert_eq!(drain(&mut client), 2 * names.len());
}

#[test]
fn empty_values_are_split_too_rules_95_124() {
    let names: Vec<String> = (0..30_000).map(|n| format!("{n:0120}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new();
    let mut client = world.sotw();
    client.names_at(E, "", "of another stream", &names);
    client.expect_nothing();
    client.wait(PATIENCE);
    let mut told = 0;
    while let Some(got) = client.next() {
        let bytes: usize = got.resources.keys().map(|value| value.len() + 100).sum();
        assert!(bytes < 4 << 20, "{bytes} bytes");
        told += got.resources.len();
        client.names(E, &got.nonce, &names);
    }
    assert_eq!(told, names.len());
}

/// What a delta client was told last of a type that needs several responses, when it takes them all
/// and when it rejects the last.
#[test]
fn the_last_of_several_responses_says_that_it_was_all() {
    let part = |value: &str| value.repeat(3 << 20);
    for rejects in [false, true] {
        let mut world = World::new();
        for name in ["a", "b", "c"] {
            world.put(L, name, &part("1"));
        }
        let mut client = world.delta();
        client.subscribe(L, &["*"]);
        let mut said = Vec::new();
        while let Some(got) = client.next() {
            said.push((got.resources.len(), got.version.ends_with('+')));
            match rejects {
                true if got.resources.contains_key("c") => {
                    let names = Names::Change {
                        subscribe: Vec::new(),
                        unsubscribe: Vec::new(),
                        initial: Default::default(),
                    };
                    client.reject(&got, "no c", names);
                }
                _ => client.ack(&got),
            }
        }
        let mut expected = vec![(1, true), (1, true), (1, false)];
        // It took in nothing of that response, and so has not seen its version.
        expected.extend(rejects.then_some((0, false)));
        assert_eq!(said, expected);
        world.put(L, "a", "2");
        assert!(!client.expect(L).version.ends_with('+'));
    }
}

#[test]
fn a_client_is_told_when_nothing_follows_after_all() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.put(L, name, &"1".repeat(3 << 20));
    }
    let mut client = world.delta();
    client.subscribe(L, &["*"]);
    assert!(client.expect(L).version.ends_with('+'));
    world.unset(ALL, L, "b").commit();
    let last = client.expect(L);
    assert_eq!((last.resources.len(), last.removed.len()), (0, 0));
    assert!(!last.version.ends_with('+'));
}
