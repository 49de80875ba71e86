//! How long anything waits for something else: never longer for what came after it.

use super::order::settled;
use super::*;

pub(super) const STEP: Duration = Duration::from_millis(20);
/// A second, in steps.
pub(super) const SECOND: usize = 50;

/// The client of `settled`, in state of the world.
fn settled_sotw(world: &mut World) -> Client {
    world
        .set(ALL, C, "a", "c1")
        .set(ALL, E, "a", "e1")
        .set(ALL, L, "l", "l1")
        .commit();
    let mut client = world.sotw();
    for (url, names) in [(C, &[][..]), (E, &["a"]), (L, &[])] {
        client.names(url, "", names);
        let got = client.expect(url);
        client.names(url, &got.nonce, names);
    }
    client.expect_nothing();
    client
}

pub(super) fn settled_in(dialect: Dialect, world: &mut World) -> Client {
    match dialect {
        Dialect::Delta => settled(world),
        Dialect::Sotw => settled_sotw(world),
    }
}

/// Acknowledges a response of either dialect; clusters and listeners are wildcards in both.
pub(super) fn take(client: &mut Client, got: &Got, assignments: &[&str]) {
    let names = match got.url == E.as_str() {
        true => assignments,
        false => &[],
    };
    match client.session.dialect {
        Dialect::Delta => client.ack(got),
        Dialect::Sotw => client.names(type_of(got), &got.nonce, names),
    }
}

fn type_of(got: &Got) -> TypeUrl {
    let mut types = [C, E, L, R].into_iter();
    types.find(|url| url.as_str() == got.url).unwrap()
}

/// Steps of a client that reads one response at a time and acknowledges it with the next step,
/// while `change` commits something new before each. Returns after how many it was sent something
/// of that type and value.
fn steps_until(
    client: &mut Client,
    mut read: Option<Got>,
    (url, value): (TypeUrl, &str),
    mut change: impl FnMut(usize),
) -> Option<usize> {
    for step in 0..4 * SECOND {
        client.wait(STEP);
        change(step);
        if let Some(got) = read.take() {
            take(client, &got, &["a"]);
        }
        read = client.next();
        let has = |got: &Got| got.url == url.as_str() && got.resources.values().any(|v| v == value);
        if read.as_ref().is_some_and(has) {
            return Some(step);
        }
    }
    None
}

#[test]
fn a_listener_goes_within_a_second_while_earlier_types_keep_changing_rule_87() {
    for (dialect, changing) in [Dialect::Delta, Dialect::Sotw]
        .into_iter()
        .flat_map(|dialect| [C, E].map(|changing| (dialect, changing)))
    {
        let mut world = World::new();
        let mut client = settled_in(dialect, &mut world);
        world.put(changing, "a", "first");
        let first = client.next();
        world.put(L, "m", "m1");
        let steps = steps_until(&mut client, first, (L, "m1"), |step| {
            world.put(changing, "a", &step.to_string());
        });
        assert!(
            steps.is_some_and(|steps| steps <= SECOND),
            "{dialect:?} {changing}: {steps:?}"
        );
    }
}

#[test]
fn a_route_goes_within_a_second_while_listeners_keep_changing_rule_87() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    client.subscribe(R, &["r"]);
    client.expect(R);
    world.put(L, "l", "l2");
    let first = client.next();
    world.put(R, "r", "r1");
    client.expect_nothing();
    let steps = steps_until(&mut client, first, (R, "r1"), |step| {
        world.put(L, "l", &step.to_string());
    });
    assert!(steps.is_some_and(|steps| steps <= SECOND), "{steps:?}");
}

/// A client that reads one response at a time, and slowly.
#[test]
fn an_assignment_goes_within_a_second_while_clusters_keep_changing() {
    let mut world = World::new();
    world.set(ALL, C, "b", "c1").set(ALL, E, "b", "e1").commit();
    let mut client = settled(&mut world);
    world.set(ALL, C, "b", "c2").set(ALL, E, "a", "e2").commit();
    let steps = steps_until(&mut client, None, (E, "e2"), |step| {
        world.put(C, "b", &step.to_string());
    });
    assert!(steps.is_some_and(|steps| steps <= SECOND), "{steps:?}");
}

/// What is owed for a second passes; what came to be owed just now does not pass with it.
#[test]
fn a_new_listener_does_not_overtake_its_cluster_beside_one_that_may_go_rules_84_87() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut world = World::new();
        let mut client = settled_in(dialect, &mut world);
        world.put(C, "a", "c2");
        client.next().unwrap();
        let assignment = client.next().unwrap();
        take(&mut client, &assignment, &["a"]);
        world.put(L, "m", "m1");
        client.expect_nothing();
        client.wait(PATIENCE - STEP);
        world.set(ALL, C, "b", "b1").set(ALL, L, "n", "n1").commit();
        client.expect_nothing();
        client.wait(STEP);
        let got = client.expect(L);
        let names: BTreeSet<&String> = got.resources.values().collect();
        assert!(names.contains(&"m1".to_owned()) && !names.contains(&"n1".to_owned()));
        if dialect == Dialect::Sotw {
            take(&mut client, &got, &["a"]);
        }
        let clusters = client.next().unwrap();
        assert!(clusters.resources.values().any(|value| value == "b1"));
        take(&mut client, &clusters, &["a"]);
        let got = client.expect(L);
        assert!(got.resources.values().any(|value| value == "n1"));
    }
}

/// With acknowledgements a listener waits for those of its own change, not for the whole second.
#[test]
fn a_listener_waits_only_for_what_was_owed_before_it() {
    let mut world = World::new();
    let mut client = settled(&mut world);
    world.put(E, "a", "e2");
    let first = client.next().unwrap();
    world.put(L, "m", "m1");
    client.expect_nothing();
    client.wait(STEP);
    world.put(E, "a", "e3");
    client.expect_nothing();
    client.ack(&first);
    assert_eq!(client.next().unwrap().resources["a"], "e3");
    assert_eq!(client.expect(L).names(), ["m"]);
}

#[test]
fn removals_go_while_other_things_keep_changing_rule_86() {
    for (dialect, changing) in [Dialect::Delta, Dialect::Sotw]
        .into_iter()
        .flat_map(|dialect| [C, E, L].map(|changing| (dialect, changing)))
    {
        let mut world = World::new();
        world.set(ALL, C, "b", "b1").set(ALL, L, "m", "m1").commit();
        let mut client = settled_in(dialect, &mut world);
        world.unset(ALL, C, "b").unset(ALL, L, "m");
        world.set(ALL, changing, "a", "first").commit();
        let mut held: BTreeSet<&str> = ["b1", "m1"].into();
        let mut read: Option<Got> = None;
        let mut steps = 0;
        while !held.is_empty() {
            steps += 1;
            assert!(steps < 2 * SECOND, "{dialect:?} {changing}: {held:?}");
            client.wait(STEP);
            world.put(changing, "a", &steps.to_string());
            if let Some(got) = read.take() {
                take(&mut client, &got, &["a"]);
            }
            read = client.next();
            let Some(got) = &read else { continue };
            held.retain(|value| match (dialect, *value) {
                (Dialect::Delta, "b1") => !got.removed.contains(&"b".to_owned()),
                (Dialect::Delta, _) => !got.removed.contains(&"m".to_owned()),
                (Dialect::Sotw, value) => {
                    let url = if value == "b1" { C } else { L };
                    got.url != url.as_str() || got.resources.contains_key(value)
                }
            });
        }
    }
}

/// One cluster is gone for long; another lost its last listener just now, and that listener is
/// still under way.
#[test]
fn a_removal_does_not_overtake_what_came_before_it_beside_an_older_one_rule_86() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut world = World::new();
        world.set(ALL, C, "b", "b1").set(ALL, C, "d", "d1").commit();
        let mut client = settled_in(dialect, &mut world);
        world.put(L, "l", "l2");
        let listener = client.next().unwrap();
        client.wait(STEP);
        world.remove(C, "b");
        client.expect_nothing();
        client.wait(STEP);
        world.unset(ALL, C, "d").set(ALL, L, "l", "l3").commit();
        client.expect_nothing();
        take(&mut client, &listener, &["a"]);
        let gone = client.next().unwrap();
        assert_eq!(gone.url, C.as_str());
        match dialect {
            Dialect::Delta => assert_eq!(gone.removed, ["b"]),
            Dialect::Sotw => assert_eq!(gone.names(), ["c1", "d1"]),
        }
        take(&mut client, &gone, &["a"]);
        let listener = client.next().unwrap();
        assert_eq!(listener.url, L.as_str());
        client.expect_nothing();
        take(&mut client, &listener, &["a"]);
        let gone = client.next().unwrap();
        match dialect {
            Dialect::Delta => assert_eq!(gone.removed, ["d"]),
            Dialect::Sotw => assert_eq!(gone.names(), ["c1"]),
        }
    }
}

#[test]
fn only_changed_clusters_are_followed_by_their_assignments_rule_91() {
    let mut world = World::new();
    world.set(ALL, C, "b", "b1").set(ALL, E, "b", "f1").commit();
    let mut client = settled_sotw(&mut world);
    let got = {
        client.names(E, "", &["a", "b"]);
        client.expect(E)
    };
    client.names(E, &got.nonce, &["a", "b"]);
    world.put(C, "a", "c2");
    let clusters = client.expect(C);
    client.names(C, &clusters.nonce, &[]);
    assert_eq!(client.expect(E).names(), ["e1"]);
}

/// A client that comes back with the clusters there are, and with an assignment that is gone.
#[test]
fn what_waits_for_something_that_comes_to_nothing_is_not_forgotten() {
    let mut world = World::new();
    world.put(C, "a", "c1");
    let mut before = world.sotw();
    before.names(C, "", &[]);
    let version = before.expect(C).version;
    let mut client = world.sotw();
    client.names_at(C, "", &version, &[]);
    client.names_at(E, "", "of another stream", &["gone"]);
    let due = client.now + PATIENCE;
    let store = world.snapshots.read();
    let next = client.session.next(&store, client.now);
    assert!(
        matches!(next, Next::Wait(Some(at)) if at == due),
        "{next:?}"
    );
}
