//! What is shown of a session: how far its client is, also with what the stream has not read.

use super::deliveries::Told;
use super::*;
use crate::session::state::rejections::LONGEST;

/// The time for which a client may be on the way and count as there.
const GRACE: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

fn committed(world: &World) -> Instant {
    world.snapshots.changes().all().pop().unwrap().committed
}

/// How far the client of a stream is with assignments at a time.
fn at(told: &mut Told, now: Instant) -> (StreamState, usize) {
    told.now = now;
    let report = told.report(E);
    (report.state, report.owed)
}

#[test]
fn what_a_stream_has_not_read_counts_from_the_first_commit_that_concerns_it() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut client = world.delta();
    client.subscribe(E, &["a", "late"]);
    client.expect(E);
    let mut told = Told::of(client, 1);
    world.put(E, "other", "1");
    world.put(C, "a", "1");
    let nothing = committed(&world) + LONGEST;
    assert_eq!(at(&mut told, nothing), (StreamState::Synced, 0));
    world.put(E, "a", "2");
    let since = committed(&world);
    world.put(E, "a", "3");
    world.put(E, "late", "1");
    assert_eq!(at(&mut told, since + GRACE), (StreamState::Synced, 2));
    let behind = StreamState::Behind { since };
    assert_eq!(at(&mut told, since + GRACE + MOMENT), (behind, 2));
    world.remove(E, "a");
    assert_eq!(at(&mut told, since + GRACE + MOMENT), (behind, 2));
    // Read, sent, and not acknowledged: the removal waits for that.
    let got = told.next().unwrap();
    let read = told.now;
    let report = told.report(E);
    assert_eq!((report.owed, report.unacknowledged), (1, Some(read)));
    let behind = StreamState::Behind { since: read };
    assert_eq!(at(&mut told, read + LONGEST), (behind, 1));
    told.ack(&got);
    assert_eq!(told.expect(E).removed, ["a"]);
    assert_eq!(at(&mut told, read + LONGEST), (StreamState::Synced, 0));
    assert_eq!(told.report(E).unacknowledged, None);
}

#[test]
fn a_placement_that_moved_counts_before_the_stream_has_read_it() {
    let mut world = World::new();
    world.put(E, "a", "1");
    world.put(E, "b", "1");
    let mut client = world.delta();
    client.subscribe(E, &["*"]);
    client.expect(E);
    let mut told = Told::of(client, 1);
    world.set(1, E, "a", "2").commit();
    let moved = vec![(PLAIN, Some(vec![LayerId(1), LayerId(ALL)]))];
    world.commit_with(moved);
    let now = told.now + LONGEST;
    let (state, owed) = at(&mut told, now);
    assert_eq!(owed, 1);
    assert!(matches!(state, StreamState::Behind { .. }), "{state:?}");
    assert_eq!(told.expect(E).names(), ["a"]);
    assert_eq!(at(&mut told, now), (StreamState::Synced, 0));
}

#[test]
fn an_empty_value_that_waits_for_its_second_leaves_nobody_behind_rule_95() {
    let mut world = World::new();
    world.set(ALL, C, "a", "1").set(ALL, E, "a", "1").commit();
    let mut client = world.sotw();
    client.names(E, "", &["a"]);
    let got = client.expect(E);
    client.names(E, &got.nonce, &["a"]);
    let mut told = Told::of(client, 1);
    world.unset(ALL, C, "a").unset(ALL, E, "a").commit();
    told.expect_nothing();
    let gone = told.now;
    assert_eq!(
        at(&mut told, gone + PATIENCE + MOMENT),
        (StreamState::Synced, 1)
    );
    let since = gone + PATIENCE;
    let behind = StreamState::Behind { since };
    assert_eq!(at(&mut told, since + GRACE + MOMENT), (behind, 1));
}

#[test]
fn a_rejection_outweighs_being_behind_and_its_words_are_those_of_the_resource() {
    let mut world = World::new();
    world.set(ALL, L, "a", "1").set(ALL, L, "b", "1").commit();
    let mut client = world.delta();
    client.subscribe(L, &["*"]);
    let got = client.next().unwrap();
    let names = Names::Change {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    let since = client.now;
    client.reject(&got, "a: bad\nb: worse", names);
    client.wait(LONGEST);
    assert_eq!(client.report(L).behind, None);
    world.put(L, "c", "1");
    client.wait(PATIENCE);
    client.next();
    client.wait(LONGEST);
    let report = client.report(L);
    assert_eq!(report.state, StreamState::Rejects { since });
    // It does not answer what it was sent later.
    assert!(report.behind.is_some_and(|behind| behind > since));
    let words = |of: &Rejecting| (of.name.to_string(), of.error.clone());
    let words: Vec<_> = report.rejecting.iter().map(words).collect();
    let expected = [("a", "a: bad"), ("b", "b: worse")];
    assert_eq!(words, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!((report.rejecting_count, report.held_back_count), (2, 0));
}

#[test]
fn what_is_listed_of_rejections_is_bounded() {
    let mut world = World::new();
    let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    for name in &names {
        world.set(ALL, L, name, "1");
    }
    world.commit();
    let mut client = world.delta();
    client.subscribe(L, &["*"]);
    let got = client.next().unwrap();
    let text: Vec<String> = names.iter().map(|name| format!("{name}: bad")).collect();
    let none = Names::Change {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    client.reject(&got, &text.join("\n"), none);
    let report = client.report(L);
    assert_eq!((report.rejecting.len(), report.rejecting_count), (16, 100));
}

#[test]
fn the_worse_of_two_states_is_the_rejection_and_then_the_older_one() {
    let now = Instant::now();
    let behind = |since| StreamState::Behind { since };
    let rejects = |since| StreamState::Rejects { since };
    let later = now + MOMENT;
    for (one, other, worse) in [
        (
            StreamState::Synced,
            StreamState::Synced,
            StreamState::Synced,
        ),
        (StreamState::Synced, behind(now), behind(now)),
        (behind(later), behind(now), behind(now)),
        (behind(now), rejects(later), rejects(later)),
        (rejects(now), rejects(later), rejects(now)),
    ] {
        assert_eq!(one.worse(other), worse);
        assert_eq!(other.worse(one), worse);
    }
}
