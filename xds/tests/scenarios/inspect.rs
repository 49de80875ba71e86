//! What those see who look at the server: its streams, its resources, its newest commits, and how
//! long changes take.

use std::time::{Duration, Instant};

use seaway_proto::TypeUrl;
use seaway_xds::{
    Candidate, ChangeReport, ResourceKey, ResourceReport, Standing, StreamReport, StreamState,
    TypeChangeReport, TypeReport,
};

use crate::client::Client;
use crate::raw::{ACK, DATA, Raw, SETTINGS};
use crate::world::{ALL, C, E, L, R, Variant, World, each};

/// For how long a proxy may be on the way and count as there.
const GRACE: Duration = Duration::from_secs(1);

fn newest(world: &World) -> ChangeReport {
    world.inspector.changes().remove(0)
}

fn of_type(change: &ChangeReport, url: TypeUrl) -> &TypeChangeReport {
    let found = change.types.iter().find(|of| of.type_url == url);
    found.unwrap()
}

fn type_of(stream: &StreamReport, url: TypeUrl) -> &TypeReport {
    stream.types.iter().find(|of| of.type_url == url).unwrap()
}

/// The reports of the streams of a node.
fn streams(world: &World, node: &str) -> Vec<StreamReport> {
    let all = world.inspector.streams().into_iter();
    all.filter(|stream| &*stream.facts.node == node).collect()
}

fn resources(world: &World) -> Vec<ResourceReport> {
    world
        .inspector
        .resources(|_| true, None, usize::MAX)
        .resources
}

#[tokio::test]
async fn a_stream_is_shown_with_who_it_is_and_how_far_it_is_until_it_ends() {
    each(
        &ALL,
        &[C, E, L, R],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a", "b"]);
            let before = Instant::now();
            client = client.named("n1").proven("somebody").run_by("gRPC Go");
            client.subscribe(url, &["a", "missing"]).await;
            client.next(url).await;
            client.quiet().await;
            let stream = streams(&world, "n1").remove(0);
            let facts = &stream.facts;
            assert_eq!(facts.about, [("zone", "a".into())]);
            assert_eq!(facts.identity.as_deref(), Some("somebody"));
            assert_eq!((&*facts.client, facts.placement.0), ("gRPC Go", 0));
            assert!(before <= facts.since && facts.peer.is_some());
            assert_eq!(stream.state, StreamState::Synced);
            let of = type_of(&stream, url);
            assert_eq!((of.wildcard, of.names, of.missing), (false, 2, 1));
            assert_eq!((of.held, of.owed, of.unacknowledged), (1, 0, None));
            assert_eq!(of.sent.map(|of| of.version), of.acked.map(|of| of.version));
            assert!(of.sent.unwrap().at <= of.acked.unwrap().at);
            assert_eq!((of.rejecting_count, of.held_back_count), (0, 0));
            assert_eq!(stream.types.len(), 1, "only what was asked for");
            let found = world.inspector.stream(facts.number).unwrap();
            assert_eq!(found.facts.since, facts.since);
            client.reconnect();
            client.quiet().await;
            assert_eq!(streams(&world, "n1").len(), 0);
            assert!(world.inspector.stream(facts.number).is_none());
        },
    )
    .await;
}

#[tokio::test]
async fn a_rejection_is_shown_with_the_words_until_it_is_accepted() {
    each(
        &ALL,
        &[C, E, L, R],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a", "b"]);
            client = client.named("n1");
            client.subscribe(url, &["a", "b"]).await;
            let first = client.next(url).await;
            world.put(url, "a", "2");
            let got = client.read(url).await;
            let before = Instant::now();
            client.nack(&got, &first.version, "a: no good").await;
            client.quiet().await;
            let stream = streams(&world, "n1").remove(0);
            let of = type_of(&stream, url);
            let StreamState::Rejects { since } = stream.state else {
                panic!("{:?}", stream.state);
            };
            assert!(before <= since && since <= Instant::now());
            let (mark, words) = of.rejected.clone().unwrap();
            assert_eq!((mark.at, &*words), (since, "a: no good"));
            let rejecting = &of.rejecting[0];
            assert_eq!((&*rejecting.name, &*rejecting.error), ("a", "a: no good"));
            assert_eq!(&*rejecting.origin, format!("{}/a", url.short()));
            assert_eq!(of_type(&newest(&world), url).rejected, 1);
            let all = resources(&world);
            assert_eq!(
                (all[0].seen_by, all[0].rejected_by, all[0].held_by),
                (1, 1, 0)
            );
            assert_eq!(
                (all[1].seen_by, all[1].rejected_by, all[1].held_by),
                (1, 0, 1)
            );
            let contents = world
                .inspector
                .contents(stream.facts.number, |_, _| true, None, 9);
            let contents = contents.unwrap();
            let (a, b) = (&contents[0], &contents[1]);
            assert_eq!(
                (a.standing, a.value.as_deref()),
                (Standing::Rejected, Some(&b"a=2"[..]))
            );
            assert_eq!(a.rejection.as_ref().unwrap().1, "a: no good");
            assert!(a.kept.is_some_and(|kept| kept != a.version));
            assert_eq!(
                (b.standing, b.value.as_deref()),
                (Standing::Held, Some(&b"b=1"[..]))
            );
            world.put(url, "a", "3");
            client.next(url).await;
            client.quiet().await;
            assert_eq!(streams(&world, "n1")[0].state, StreamState::Synced);
        },
    )
    .await;
}

/// The delays are measured from the event behind a change to what the last client said: what a
/// client sees of both lies around that.
#[tokio::test]
async fn the_last_answer_of_a_commit_is_that_of_the_slowest_and_so_is_the_metric_rule_208() {
    each(&ALL, &[C, E, L, R], |mut world, mut fast, url| async move {
        let mut slow = world.client(Variant::SotwAds).await;
        world.put_all(url, &["a"]);
        for client in [&mut fast, &mut slow] {
            client.subscribe(url, &["a"]).await;
            client.next(url).await;
            client.quiet().await;
        }
        let sum = |world: &World, name: &str| world.metric(&format!("{name}_sum"));
        let metrics = ["change_to_sent_seconds", "change_to_ack_seconds"];
        let before = metrics.map(|name| sum(&world, name));
        let begin = Instant::now();
        world.put(url, "a", "2");
        let committed = Instant::now();
        fast.next(url).await;
        let got = slow.read(url).await;
        let sent = Instant::now();
        fast.quiet().await;
        let change = newest(&world);
        let of = of_type(&change, url);
        assert_eq!((of.concerned, of.waiting, of.acked), (2, 1, None));
        assert_eq!((of.set, of.removed), (1, 0));
        assert_eq!(*change.origins, [format!("{}/a", url.short()).into()]);
        assert!(begin <= change.at && change.committed <= committed);
        let acked = Instant::now();
        slow.ack(&got).await;
        slow.quiet().await;
        let done = Instant::now();
        let change = world.inspector.change(change.seq).unwrap();
        let of = of_type(&change, url);
        assert_eq!((of.concerned, of.waiting, of.rejected), (2, 0, 0));
        let (last_sent, last_ack) = (of.sent.unwrap(), of.acked.unwrap());
        assert!(begin <= last_sent && last_sent <= sent);
        assert!(acked <= last_ack && last_ack <= done);
        let measured = [last_sent - change.at, last_ack - change.at];
        for ((name, before), delay) in metrics.into_iter().zip(before).zip(measured) {
            let difference = sum(&world, name) - before - delay.as_secs_f64();
            assert!(difference.abs() < 0.000_001, "{name}: {difference}");
        }
    })
    .await;
}

#[tokio::test]
async fn delays_are_counted_once_for_each_commit_and_type_and_begin_with_all_labels_rule_207() {
    let mut world = World::start().await;
    let count = |world: &World, url: TypeUrl| {
        let count = format!("change_to_ack_seconds_count{{type=\"{url}\"}}");
        let line = world.metrics();
        let line = line.lines().find_map(|line| line.strip_prefix(&count));
        line.map(|count| count.trim().parse::<u32>().unwrap())
    };
    assert_eq!([C, E, L, R].map(|url| count(&world, url)), [Some(0); 4]);
    world.set(C, "a", "1").set(E, "a", "1").commit();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = world.client(Variant::DeltaAds).await;
        for url in [C, E] {
            client.subscribe(url, &["a"]).await;
            client.next(url).await;
        }
        client.quiet().await;
        clients.push(client);
    }
    assert_eq!(
        [C, E].map(|url| count(&world, url)),
        [Some(0); 2],
        "no change"
    );
    world
        .set(C, "a", "2")
        .set(E, "a", "2")
        .set(R, "a", "2")
        .commit();
    for client in &mut clients {
        for url in [C, E] {
            client.next(url).await;
        }
        client.quiet().await;
    }
    let counts = [C, E, R].map(|url| count(&world, url));
    assert_eq!(counts, [Some(1), Some(1), Some(0)]);
    assert_eq!(of_type(&newest(&world), C).concerned, 3);
}

/// A client that has a resource and then lets the server send nothing more on its stream.
async fn deaf(world: &mut World) -> Raw {
    let mut raw = Raw::connect(world.address()).await;
    raw.preface(&[])
        .open(1, ("x-more", ""))
        .subscribe(1, E, &["a"]);
    raw.flush().await;
    let frame = raw.read_kind(DATA).await.unwrap();
    raw.ack(1, &frame).flush().await;
    while type_of(&streams(world, "raw")[0], E).acked.is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The initial window is 0 from now on.
    raw.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).flush().await;
    loop {
        let frame = raw.read_kind(SETTINGS).await.unwrap();
        if frame.flags & ACK != 0 {
            return raw;
        }
    }
}

#[tokio::test]
async fn a_reader_that_has_stopped_is_behind_since_the_first_commit_that_it_misses() {
    let mut world = World::start().await;
    world.put(E, "a", "1");
    let mut raw = deaf(&mut world).await;
    let mut other = world.client(Variant::DeltaAds).await.named("other");
    other.subscribe(E, &["a"]).await;
    other.next(E).await;
    other.quiet().await;
    let oldest = format!("xds_oldest_unacked_seconds{{type=\"{E}\"}}");
    world.until(&oldest, 0.0).await;
    world.put(E, "nobody asks for it", "1");
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.put(E, "a", "2");
    other.next(E).await;
    other.quiet().await;
    let first = newest(&world);
    let of = of_type(&first, E);
    assert_eq!((of.concerned, of.waiting, of.acked), (2, 1, None));
    // A proxy that is on the way is not behind.
    let stream = streams(&world, "raw").remove(0);
    let of = type_of(&stream, E);
    assert!(of.owed == 1 || of.unacknowledged.is_some(), "{of:?}");
    if first.committed.elapsed() < GRACE {
        assert_eq!(stream.state, StreamState::Synced);
    }
    tokio::time::sleep(GRACE + Duration::from_millis(50)).await;
    world.put(E, "a", "3");
    other.next(E).await;
    other.quiet().await;
    let stream = streams(&world, "raw").remove(0);
    let StreamState::Behind { since } = stream.state else {
        panic!("{:?}", stream.state);
    };
    assert!(first.committed <= since && since < newest(&world).committed);
    assert!(world.metric(&oldest) > GRACE.as_secs_f64());
    assert_eq!(streams(&world, "other")[0].state, StreamState::Synced);
    let all = resources(&world);
    let a = all.iter().find(|of| &*of.name == "a").unwrap();
    assert_eq!((a.seen_by, a.held_by, a.owed_by), (2, 1, 1));
    // As soon as it reads it has everything.
    raw.allow(1, 1 << 20).flush().await;
    loop {
        let frame = raw.read_kind(DATA).await.unwrap();
        raw.ack(1, &frame).flush().await;
        if frame.payload.windows(3).any(|bytes| bytes == b"a=3") {
            break;
        }
    }
    world.until(&oldest, 0.0).await;
    assert_eq!(streams(&world, "raw")[0].state, StreamState::Synced);
    for change in world.inspector.changes() {
        assert!(change.types.iter().all(|of| of.waiting == 0), "{change:?}");
    }
}

#[tokio::test]
async fn resources_are_read_page_by_page_in_one_order() {
    let mut world = World::start().await;
    let names: Vec<String> = (0..100).map(|number| format!("n{number:03}")).collect();
    for name in names.iter().rev() {
        world.set(E, name, "1").set(R, name, "1");
    }
    world.set(C, "c", "1").commit();
    let all = resources(&world);
    assert_eq!(all.len(), 201);
    let order = |of: &ResourceReport| {
        let types = world.inspector.types().specs().iter();
        let index = types.clone().position(|spec| spec.url == of.type_url);
        (index, of.name.clone())
    };
    assert!(all.is_sorted_by_key(order));
    let mut paged: Vec<ResourceReport> = Vec::new();
    loop {
        let after: Option<ResourceKey> = paged.last().map(ResourceReport::key);
        let page = world
            .inspector
            .resources(|_| true, after.as_ref(), 7)
            .resources;
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    let keys = |all: &[ResourceReport]| -> Vec<_> {
        all.iter()
            .map(|of| (of.type_url, of.name.clone()))
            .collect()
    };
    assert_eq!(keys(&paged), keys(&all));
    let which = |of: &Candidate<'_>| {
        let origin = format!("{}/{}", R.short(), of.name);
        of.type_url == R && of.name.ends_with('7') && of.origin() == origin
    };
    let chosen = world.inspector.resources(which, None, 100);
    assert_eq!(chosen.total, 10);
    let chosen = chosen.resources;
    assert_eq!(chosen.len(), 10);
    assert_eq!(&*chosen[1].name, "n017");
    assert_eq!(chosen[1].seq, world.inspector.seq());
    assert_eq!(chosen[1].changed, Some(newest(&world).committed));
    assert_eq!(&*all[0].refs[0].name, "c");
    assert!(
        world
            .inspector
            .resources(|_| true, None, 0)
            .resources
            .is_empty()
    );
}

#[tokio::test]
async fn a_resource_is_counted_for_those_who_hold_it_and_those_who_are_sent_it() {
    each(&ALL, &[C, E, L, R], |mut world, client, url| async move {
        world.put_all(url, &["a", "b"]);
        let mut clients: Vec<Client> = vec![client];
        for variant in [Variant::DeltaAds, Variant::SotwAds] {
            clients.push(world.client(variant).await);
        }
        for client in &mut clients {
            client.subscribe(url, &["a"]).await;
        }
        let [one, two, three] = &mut clients[..] else {
            panic!()
        };
        one.next(url).await;
        let got = two.read(url).await;
        three.next(url).await;
        let report = |world: &World, name: &str| {
            let which = |of: &Candidate<'_>| of.type_url == url && of.name == name;
            world
                .inspector
                .resources(which, None, 1)
                .resources
                .remove(0)
        };
        let counts = |world: &World| {
            let of = report(world, "a");
            (of.seen_by, of.held_by, of.sent_to, of.owed_by)
        };
        three.quiet().await;
        one.quiet().await;
        assert_eq!(counts(&world), (3, 2, 1, 0));
        assert_eq!(report(&world, "b").seen_by, 0);
        two.ack(&got).await;
        two.quiet().await;
        assert_eq!(counts(&world), (3, 3, 0, 0));
        world.put(url, "a", "2");
        assert_eq!(counts(&world), (3, 0, 0, 3));
        one.next(url).await;
        one.quiet().await;
        assert_eq!(counts(&world), (3, 1, 2, 0));
    })
    .await;
}
