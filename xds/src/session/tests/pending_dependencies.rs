//! Assignments that a client is expected to ask for: waited for with the response they belong to,
//! and not if nobody wants them.

use super::order::settled;
use super::waits::{SECOND, STEP, settled_in, take};
use super::*;

/// What a client that was sent a new cluster does with it.
#[derive(Clone, Copy, Debug)]
enum Unwanted {
    /// It rejects it, and says which.
    Rejected,
    /// It takes it and asks for no assignment.
    NotAskedFor,
    /// It asks for the assignment and gives it up before it was sent.
    GivenUp,
}

impl Unwanted {
    /// The client has read the response with the cluster `x`.
    fn answer(self, client: &mut Client, got: &Got) {
        if let Unwanted::Rejected = self {
            let names = match client.session.dialect {
                Dialect::Sotw => Names::default(),
                Dialect::Delta => Names::Change {
                    subscribe: vec![],
                    unsubscribe: vec![],
                    initial: HashMap::new(),
                },
            };
            client.reject(got, "x: no such thing", names);
            return;
        }
        take(client, got, &["a"]);
        match self {
            Unwanted::NotAskedFor => client.wait(PATIENCE),
            _ => {
                ask_for(client, "x", &["a", "x"]);
                match client.session.dialect {
                    Dialect::Delta => client.unsubscribe(E, &["x"]),
                    Dialect::Sotw => client.names(E, "", &["a"]),
                }
            }
        }
    }
}

/// Asks for a further assignment; `all`: with the others.
fn ask_for(client: &mut Client, name: &str, all: &[&str]) {
    match client.session.dialect {
        Dialect::Delta => client.subscribe(E, &[name]),
        Dialect::Sotw => client.names(E, "", all),
    }
}

#[test]
fn an_assignment_that_nobody_asks_for_delays_no_later_service_rules_80_87() {
    let cases = [Unwanted::Rejected, Unwanted::NotAskedFor, Unwanted::GivenUp];
    for (dialect, case) in [Dialect::Delta, Dialect::Sotw]
        .into_iter()
        .flat_map(|dialect| cases.map(|case| (dialect, case)))
    {
        let mut world = World::new();
        let mut client = settled_in(dialect, &mut world);
        world.set(ALL, C, "x", "x1").set(ALL, E, "x", "y1").commit();
        let got = client.next().unwrap();
        case.answer(&mut client, &got);
        client.expect_nothing();
        for (service, all) in [("b", &["a", "b"][..]), ("d", &["a", "b", "d"])] {
            let listener = format!("l{service}");
            world.set(ALL, C, service, service);
            world.set(ALL, E, service, "e5");
            world.set(ALL, L, &listener, &listener).commit();
            let got = client.next().unwrap();
            assert_eq!(got.url, C.as_str());
            take(&mut client, &got, &[]);
            // Its own assignment is awaited.
            client.expect_nothing();
            ask_for(&mut client, service, all);
            let got = client.next().unwrap();
            assert_eq!(got.url, E.as_str());
            take(&mut client, &got, all);
            let got = client.next();
            let got = got.unwrap_or_else(|| panic!("{dialect:?} {case:?}"));
            assert!(got.resources.values().any(|value| *value == listener));
            take(&mut client, &got, &[]);
        }
    }
}

/// Clusters by name beside a wildcard of listeners: a cluster that is given up is not waited for.
#[test]
fn what_a_cluster_that_was_given_up_refers_to_is_not_waited_for() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    let mut named = world.delta();
    named.subscribe(C, &["a"]);
    named.expect(C);
    named.subscribe(E, &["a"]);
    named.expect(E);
    named.subscribe(L, &["*"]);
    named.expect(L);
    world.set(ALL, C, "x", "x1").set(ALL, E, "x", "y1").commit();
    world.put(L, "m", "m1");
    named.subscribe(C, &["x"]);
    assert_eq!(named.expect(C).names(), ["x"]);
    assert_eq!(named.expect(L).names(), ["m"]);
    world.put(L, "n", "n1");
    named.expect_nothing();
    named.unsubscribe(C, &["x"]);
    assert_eq!(named.expect(L).names(), ["n"]);
    // A wildcard that ends gives up all that it alone covered.
    assert_eq!(client.expect(C).names(), ["x"]);
    client.expect_nothing();
    client.subscribe(C, &["a"]);
    client.expect(C);
    client.expect(E);
    client.unsubscribe(C, &["*"]);
    assert_eq!(client.expect(L).names(), ["m", "n"]);
}

#[test]
fn a_later_cluster_makes_an_earlier_service_wait_no_longer() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world
        .set(ALL, C, "b", "b1")
        .set(ALL, E, "b", "e1")
        .set(ALL, L, "m", "m1")
        .commit();
    client.expect(C);
    for step in 1..SECOND {
        client.wait(STEP);
        // Each of a new Service whose assignment the client does not ask for, either.
        let name = format!("x{step}");
        world
            .set(ALL, C, &name, "x1")
            .set(ALL, E, &name, "y1")
            .commit();
        assert_eq!(client.expect(C).names(), [&*name]);
        client.expect_nothing();
    }
    client.wait(STEP);
    assert_eq!(client.expect(L).names(), ["m"]);
}

/// A listener that is rejected keeps no route from going, nor does the route that it names and
/// nobody asks for.
#[test]
fn a_rejected_listener_delays_no_later_route_rules_80_87() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut world = World::new();
        let mut client = settled_in(dialect, &mut world);
        world.put(R, "r", "r1");
        match dialect {
            Dialect::Delta => client.subscribe(R, &["r"]),
            Dialect::Sotw => client.names(R, "", &["r"]),
        }
        let got = client.next().unwrap();
        take_route(&mut client, &got);
        world.set(ALL, L, "x", "x1").set(ALL, R, "x", "y1").commit();
        let got = client.next().unwrap();
        Unwanted::Rejected.answer(&mut client, &got);
        client.expect_nothing();
        for value in ["2", "3"] {
            world
                .set(ALL, L, "m", value)
                .set(ALL, R, "r", value)
                .commit();
            let got = client.next().unwrap();
            assert_eq!(got.url, L.as_str());
            client.expect_nothing();
            take(&mut client, &got, &[]);
            let got = client.next().unwrap();
            assert_eq!(got.url, R.as_str());
            take_route(&mut client, &got);
        }
    }
}

fn take_route(client: &mut Client, got: &Got) {
    match client.session.dialect {
        Dialect::Delta => client.ack(got),
        Dialect::Sotw => client.names(R, &got.nonce, &["r"]),
    }
}
