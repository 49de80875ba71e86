//! Commits on their way: which streams they wait for, and when the last of these is done.

use super::*;
use crate::store::changes::Change;
use crate::store::notify::{CommitWaiter, StreamLayers};

/// A client whose connection is told of commits.
pub(super) struct Told {
    client: Client,
    number: u64,
    connection: CommitWaiter,
}

impl std::ops::Deref for Told {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for Told {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Told {
    /// Joins the connections that are told of commits, as a stream does after its first request.
    pub(super) fn of(client: Client, number: u64) -> Told {
        let connection = client.snapshots.notifier().listen();
        let mut told = Told {
            client,
            number,
            connection,
        };
        told.register();
        told
    }

    pub(super) fn register(&mut self) {
        let (placement, layers) = self.session.stream_layers();
        let layers = layers.clone();
        let layers = StreamLayers { placement, layers };
        let handle = self.connection.interest_handle();
        handle.add(self.session.interest());
        handle.stream_layers(self.number, layers, self.session.inbox());
    }

    fn end(self) {
        self.connection.interest_handle().leave(self.number);
    }
}

/// A client that has everything of a type that there is.
fn with_all(world: &mut World, dialect: Dialect, url: TypeUrl, number: u64) -> Told {
    let mut client = world.client(dialect, PLAIN);
    match dialect {
        Dialect::Delta => client.subscribe(url, &["*"]),
        Dialect::Sotw => client.names(url, "", &["*"]),
    }
    let got = client.next().unwrap();
    answer(&mut client, &got);
    client.expect_nothing();
    Told::of(client, number)
}

fn answer(client: &mut Client, got: &Got) {
    match client.session.dialect {
        Dialect::Delta => client.ack(got),
        Dialect::Sotw => {
            let url = TypeUrl::LISTENER;
            let url = [C, E, R]
                .into_iter()
                .find(|of| of.as_str() == got.url)
                .unwrap_or(url);
            client.names(url, &got.nonce, &["*"]);
        }
    }
}

fn newest(world: &World) -> Arc<Change> {
    world.snapshots.changes().all().pop().unwrap()
}

/// What a commit changed of one type: how many streams it concerns, how many it waits for, and
/// whether the last was sent it, and has answered.
fn counts(change: &Change, url: TypeUrl) -> (u32, u32, bool, bool) {
    let types = Types::envoy();
    let mut all = change.types.iter();
    let of = all.find(|of| types.spec(of.type_index).url == url).unwrap();
    let (sent, acked) = (of.sent().is_some(), of.acked().is_some());
    (of.concerned(), of.waiting(), sent, acked)
}

#[test]
fn a_commit_is_done_when_the_slowest_of_several_streams_has_answered() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut world = World::new();
        world.put(E, "a", "1");
        let mut fast = with_all(&mut world, dialect, E, 1);
        let mut slow = with_all(&mut world, dialect, E, 2);
        world.put(E, "a", "2");
        let change = newest(&world);
        assert_eq!(counts(&change, E), (2, 2, false, false));
        let got = fast.next().unwrap();
        answer(&mut fast, &got);
        assert_eq!(counts(&change, E), (2, 1, false, false));
        let got = slow.next().unwrap();
        assert_eq!(counts(&change, E), (2, 1, true, false));
        let before = Instant::now();
        answer(&mut slow, &got);
        assert_eq!(counts(&change, E), (2, 0, true, true));
        let acked = change.types[0].acked().unwrap();
        assert!(before <= acked && acked <= Instant::now());
    }
}

#[test]
fn a_stream_that_ends_is_not_waited_for() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let unread = with_all(&mut world, Dialect::Delta, E, 1);
    let mut unsent = with_all(&mut world, Dialect::Delta, E, 2);
    let mut unanswered = with_all(&mut world, Dialect::Delta, E, 3);
    // What is under way lets the next one wait.
    world.put(E, "a", "2");
    unsent.next().unwrap();
    world.put(E, "a", "3");
    let change = newest(&world);
    unsent.expect_nothing();
    unanswered.next().unwrap();
    assert_eq!(counts(&change, E), (3, 3, false, false));
    unread.end();
    assert_eq!(counts(&change, E), (3, 2, false, false));
    unsent.end();
    assert_eq!(counts(&change, E), (3, 1, true, false));
    unanswered.end();
    assert_eq!(counts(&change, E), (3, 0, true, true));
}

#[test]
fn a_commit_that_nobody_asks_for_is_done_at_once() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut told = with_all(&mut world, Dialect::Delta, E, 1);
    world.put(R, "r", "1");
    assert_eq!(counts(&newest(&world), R), (0, 0, false, false));
    // One that may concern it, and turns out not to.
    told.subscribe(C, &["c"]);
    told.expect(C);
    told.register();
    world.set(ALL, C, "c", "1").set(ALL, E, "a", "1").commit();
    let change = newest(&world);
    assert_eq!(counts(&change, C), (1, 1, false, false));
    assert_eq!(told.expect(C).names(), ["c"]);
    assert_eq!(counts(&change, C), (1, 0, true, true));
    world.set(ALL, R, "r", "2").set(ALL, E, "a", "2").commit();
    let change = newest(&world);
    assert_eq!(counts(&change, R), (1, 1, false, false));
    let got = told.next().unwrap();
    assert_eq!(counts(&change, R), (0, 0, false, false));
    assert_eq!(counts(&change, E), (1, 1, true, false));
    told.ack(&got);
    assert_eq!(counts(&change, E), (1, 0, true, true));
}

#[test]
fn what_is_gone_before_it_is_sent_is_waited_for_until_that_is_read() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut told = with_all(&mut world, Dialect::Delta, E, 1);
    world.put(E, "b", "1");
    let there = newest(&world);
    world.remove(E, "b");
    assert_eq!(counts(&there, E), (1, 1, false, false));
    told.expect_nothing();
    for change in [there, newest(&world)] {
        assert_eq!(counts(&change, E), (0, 0, false, false));
    }
}

#[test]
fn a_rejection_is_an_answer_and_is_counted() {
    let mut world = World::new();
    world.put(L, "a", "1");
    let mut told = with_all(&mut world, Dialect::Delta, L, 1);
    world.put(L, "a", "2");
    let got = told.next().unwrap();
    let names = Names::Change {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: HashMap::new(),
    };
    told.reject(&got, "a: no good", names);
    let change = newest(&world);
    assert_eq!(counts(&change, L), (1, 0, true, true));
    assert_eq!(change.types[0].rejected(), 1);
}

#[test]
fn commits_that_are_merged_are_answered_together() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut told = with_all(&mut world, Dialect::Delta, E, 1);
    world.put(E, "a", "2");
    let one = newest(&world);
    world.put(E, "b", "1");
    let two = newest(&world);
    let got = told.next().unwrap();
    assert_eq!(got.names(), ["a", "b"]);
    assert_eq!(
        (counts(&one, E), counts(&two, E)),
        ((1, 1, true, false), (1, 1, true, false))
    );
    told.ack(&got);
    assert_eq!(
        (counts(&one, E), counts(&two, E)),
        ((1, 0, true, true), (1, 0, true, true))
    );
}

#[test]
fn a_commit_that_a_request_was_read_with_is_followed_all_the_same() {
    let mut world = World::new();
    world.put(E, "a", "1");
    let mut told = with_all(&mut world, Dialect::Delta, E, 1);
    // The stream reads it with a request, before it is told of it.
    let handle = told.connection.interest_handle();
    handle.leave(told.number);
    world.put(E, "a", "2");
    told.subscribe(C, &["c"]);
    let change = newest(&world);
    let (counting, _) = world.snapshots.changes().begin(change.seq, None, {
        let mut summary = crate::store::changes::Summary::new(Types::envoy().len());
        summary.set(1, 1);
        summary
    });
    let change = newest(&world);
    told.session.inbox().push(counting.to_stream());
    drop(counting);
    told.expect(C);
    assert_eq!(counts(&change, E), (1, 1, false, false));
    told.expect(E);
    assert_eq!(counts(&change, E), (1, 0, true, true));
}

#[test]
fn a_stream_far_behind_keeps_the_oldest_and_the_newest_of_a_bounded_number() {
    let mut world = World::new();
    world.put(E, "a", "0");
    let mut told = with_all(&mut world, Dialect::Delta, E, 1);
    let first = world.snapshots.read().seq() + 1;
    for value in 1..=100 {
        world.put(E, "a", &value.to_string());
    }
    let waits = |world: &World| {
        let all = world.snapshots.changes().all();
        let all = all.iter().filter(|change| change.seq >= first);
        let waiting: Vec<u64> = all
            .clone()
            .filter(|change| change.types[0].waiting() > 0)
            .map(|change| change.seq - first)
            .collect();
        let lost: u32 = all.map(|change| change.types[0].lost()).sum();
        (
            waiting.len(),
            waiting.first().copied(),
            waiting.last().copied(),
            lost,
        )
    };
    assert_eq!(waits(&world), (32, Some(0), Some(99), 68));
    // Behind a response under way as many are followed once more.
    let got = told.next().unwrap();
    for value in 200..300 {
        world.put(E, "a", &value.to_string());
        told.expect_nothing();
    }
    assert_eq!(waits(&world), (64, Some(0), Some(199), 136));
    told.ack(&got);
    assert_eq!(waits(&world).1, Some(100));
    told.expect(E);
    assert_eq!(waits(&world), (0, None, None, 136));
}

#[test]
fn responses_without_an_answer_are_followed_with_the_later_ones() {
    let mut world = World::new();
    world.put(E, "a", "0");
    let mut told = with_all(&mut world, Dialect::Delta, E, 1);
    let first = world.snapshots.read().seq() + 1;
    let mut got = None;
    for value in 1..20 {
        world.put(E, "a", &value.to_string());
        told.client.now += PATIENCE;
        got = told.next();
    }
    let waiting = |world: &World| {
        let all = world.snapshots.changes().all();
        let all = all.iter().filter(|change| change.seq >= first);
        all.filter(|change| change.types[0].waiting() > 0).count()
    };
    assert_eq!(waiting(&world), 19);
    told.ack(&got.unwrap());
    assert_eq!(waiting(&world), 0);
}
