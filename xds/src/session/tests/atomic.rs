//! Scoped routes, of which a client takes none of a response that has a bad one: the others reach
//! it all the same.

use super::*;

const S: TypeUrl = TypeUrl::SCOPED_ROUTE;

/// Publishes scoped routes of these names at once.
fn put_all(world: &mut World, names: &[&str]) {
    for name in names {
        world.set(ALL, S, name, "1");
    }
    world.commit();
}

/// A client that has asked for all scoped routes, and has had an empty answer.
fn client(world: &mut World) -> Client {
    let mut client = world.client(Dialect::Delta, PLAIN);
    client.subscribe(S, &[]);
    let got = sent(&mut client);
    client.ack(&got);
    client
}

/// The next response, which is not answered yet.
fn sent(client: &mut Client) -> Got {
    client.next().expect("a response")
}

/// Rejects a response by this text.
fn refuse(client: &mut Client, got: &Got, text: &str) {
    let names = Names::Change {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    client.reject(got, text, names);
}

#[test]
fn what_the_error_names_is_held_back_and_the_others_are_sent_again() {
    let mut world = World::new();
    let mut client = client(&mut world);
    put_all(&mut world, &["a", "b", "c", "d"]);
    let got = sent(&mut client);
    assert_eq!(got.names(), ["a", "b", "c", "d"]);
    refuse(&mut client, &got, "scope b: bad regex");
    let got = sent(&mut client);
    assert_eq!(got.names(), ["a", "c", "d"]);
    // There was another bad one behind the first.
    refuse(&mut client, &got, "scope c: bad regex");
    let got = sent(&mut client);
    assert_eq!(got.names(), ["a", "d"]);
    client.ack(&got);
    client.expect_nothing();
    world.put(S, "b", "2");
    let got = sent(&mut client);
    assert_eq!(got.names(), ["b"]);
    client.ack(&got);
    client.expect_nothing();
}

#[test]
fn where_the_error_names_nothing_each_goes_alone() {
    let mut world = World::new();
    let mut client = client(&mut world);
    put_all(&mut world, &["a", "b", "c"]);
    let got = sent(&mut client);
    refuse(&mut client, &got, "something is wrong");
    // What changes meanwhile goes alone, too, as long as it is owed; all else does not.
    world.set(ALL, S, "c", "2").set(ALL, S, "x", "1").commit();
    world.set(ALL, S, "y", "1").commit();
    for name in ["a", "b", "c"] {
        let got = sent(&mut client);
        assert_eq!(got.names(), [name]);
        if name == "b" {
            refuse(&mut client, &got, "something is wrong");
        } else {
            client.ack(&got);
        }
    }
    let got = sent(&mut client);
    assert_eq!(got.names(), ["x", "y"]);
    client.ack(&got);
    client.expect_nothing();
    assert!(client.session.is_rejecting(S.as_str()));
    world.set(ALL, S, "a", "2").set(ALL, S, "b", "2").commit();
    let got = sent(&mut client);
    assert_eq!(got.names(), ["a", "b"]);
    client.ack(&got);
    assert!(!client.session.is_rejecting(S.as_str()));
}

#[test]
fn one_that_is_gone_or_changed_meanwhile_is_not_sent_as_it_was() {
    let mut world = World::new();
    let mut client = client(&mut world);
    put_all(&mut world, &["a", "b", "c"]);
    let got = sent(&mut client);
    world.unset(ALL, S, "a").set(ALL, S, "b", "2").commit();
    refuse(&mut client, &got, "something is wrong");
    let mut seen = Vec::new();
    while let Some(got) = client.next() {
        seen.push((got.names().join(","), got.removed.join(",")));
        client.ack(&got);
    }
    let seen: Vec<(&str, &str)> = seen.iter().map(|(a, b)| (&**a, &**b)).collect();
    assert_eq!(seen, [("b", ""), ("c", ""), ("", "a")]);
}

/// Other types are taken apart from a bad neighbour: nothing is sent twice.
#[test]
fn of_other_types_only_the_bad_one_is_missing() {
    let mut world = World::new();
    let mut client = world.client(Dialect::Delta, PLAIN);
    client.subscribe(C, &[]);
    let got = sent(&mut client);
    client.ack(&got);
    world.set(ALL, C, "a", "1").set(ALL, C, "b", "1").commit();
    let got = sent(&mut client);
    refuse(&mut client, &got, "b: bad");
    client.expect_nothing();
}
