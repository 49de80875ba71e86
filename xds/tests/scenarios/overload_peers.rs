//! Peers that are deaf, dumb, slow or rude, and connections that are of no use: who is closed, and
//! who is not.

use std::time::Duration;

use seaway_xds::Limits;
use tokio::time::{Instant, sleep};

use crate::raw::{
    ACK, DATA, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, MAX_HEADERS, MAX_STREAMS, PING, REFUSED_STREAM,
    RESET, Raw, SETTINGS, WINDOW,
};
use crate::world::{E, Variant, World};

const NONE: (&str, &str) = ("x-more", "");
/// The size of the windows that HTTP/2 begins with, and the number of that setting.
const INITIAL_WINDOW: (u16, u32) = (4, 65_535);

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// No pings, and whoever does not do what he should is closed soon.
fn strict() -> Limits {
    Limits {
        first_stream: ms(150),
        idle: ms(300),
        stalled: ms(300),
        grace: ms(100),
        ..Limits::default()
    }
}

fn closed(reason: &str) -> String {
    format!(r#"xds_connections_closed_total{{reason="{reason}"}}"#)
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_closed() {
    let world = World::limited(strict()).await;
    let mut silent = Raw::connect(world.address()).await;
    let mut streamless = Raw::connect(world.address()).await;
    streamless.preface(&[]).flush().await;
    assert!(streamless.read_kind(GOAWAY).await.is_some());
    while silent.read().await.is_some() {}
    assert_eq!(world.metric(&closed("idle")), 2.0);
    world.until("xds_connections", 0.0).await;
}

#[tokio::test]
async fn a_connection_whose_streams_have_ended_is_closed_later_and_one_with_a_stream_is_not() {
    let world = World::limited(strict()).await;
    let mut used = Raw::connect(world.address()).await;
    used.preface(&[]).open(1, NONE).subscribe(1, E, &["a"]);
    used.flush().await;
    let mut user = world.client(Variant::DeltaAds).await;
    user.subscribe(E, &["a"]).await;
    user.next(E).await;
    assert!(used.read_kind(DATA).await.is_some());
    let start = Instant::now();
    used.frame(RESET, 0, 1, &[0, 0, 0, 8]).flush().await;
    assert!(used.read_kind(GOAWAY).await.is_some());
    assert!(start.elapsed() >= ms(300));
    sleep(ms(300)).await;
    user.quiet().await;
    assert_eq!(world.metric(&closed("idle")), 1.0);
}

/// A stream that is owed three mebibytes, on a connection that may send it none of them beyond the
/// first window.
pub(crate) async fn owed(world: &mut World) -> Raw {
    world.put(E, "a", &"x".repeat(3 << 20));
    let mut raw = Raw::connect(world.address()).await;
    raw.preface(&[INITIAL_WINDOW])
        .open(1, NONE)
        .subscribe(1, E, &["a"]);
    raw.flush().await;
    assert!(raw.read_kind(DATA).await.is_some());
    raw
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_cut_though_it_answers_rule_131() {
    let mut world = World::limited(strict()).await;
    let mut quick = world.client(Variant::DeltaAds).await;
    quick.subscribe(E, &["a"]).await;
    quick.next(E).await;
    let mut stuck = owed(&mut world).await;
    quick.next(E).await;
    let start = Instant::now();
    world.until("xds_blocked_writes", 1.0).await;
    // It reads, and says so, but lets the server send nothing more.
    while let Some(frame) = stuck.read().await {
        if frame.kind == PING && frame.flags & ACK == 0 {
            stuck.frame(PING, ACK, 0, &frame.payload).flush().await;
        }
    }
    assert!(start.elapsed() >= ms(250), "{:?}", start.elapsed());
    assert_eq!(world.metric(&closed("stalled")), 1.0);
    world.until("xds_streams", 1.0).await;
    world.until("xds_blocked_writes", 0.0).await;
    world.put(E, "a", "2");
    assert_eq!(quick.next(E).await.says(), "a=2");
}

#[tokio::test]
async fn a_peer_that_takes_little_is_not_cut_rule_131() {
    let mut world = World::limited(strict()).await;
    let mut slow = owed(&mut world).await;
    let mut bytes = 16 << 10;
    let start = Instant::now();
    while bytes < 3 << 20 {
        slow.allow(1, 300 << 10).flush().await;
        let allowed = bytes + (290 << 10);
        while bytes < allowed.min(3 << 20) {
            bytes += slow.read_kind(DATA).await.expect("more").payload.len();
        }
        sleep(ms(100)).await;
    }
    assert!(start.elapsed() > 2 * strict().stalled);
    assert_eq!(world.metric(&closed("stalled")), 0.0);
    assert_eq!(world.metric("xds_streams"), 1.0);
}

#[tokio::test]
async fn a_peer_that_has_stopped_altogether_is_cut_rules_131_150() {
    let mut world = World::limited(Limits {
        keepalive_interval: ms(50),
        keepalive_timeout: ms(50),
        ..strict()
    })
    .await;
    world.put(E, "a", &"x".repeat(16 << 20));
    let mut frozen = Raw::connect(world.address()).await;
    frozen.preface(&[(INITIAL_WINDOW.0, 1 << 30)]).frame(
        WINDOW,
        0,
        0,
        &(1_u32 << 30).to_be_bytes(),
    );
    frozen.open(1, NONE).subscribe(1, E, &["a"]).flush().await;
    world.until("xds_streams", 1.0).await;
    // More waits than the operating system takes, so that not even a ping gets out.
    world.until(&closed("stalled"), 1.0).await;
    world.until("xds_connections", 0.0).await;
    world.until("xds_streams", 0.0).await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer_pings_is_closed_rule_150() {
    let world = World::limited(Limits {
        keepalive_interval: ms(100),
        keepalive_timeout: ms(100),
        ..Limits::default()
    })
    .await;
    let mut user = world.client(Variant::DeltaAds).await;
    user.subscribe(E, &["a"]).await;
    user.next(E).await;
    let mut dead = Raw::connect(world.address()).await;
    dead.preface(&[])
        .open(1, NONE)
        .subscribe(1, E, &["a"])
        .flush()
        .await;
    assert!(dead.read_kind(PING).await.is_some());
    while dead.read().await.is_some() {}
    world.until("xds_connections", 1.0).await;
    world.until("xds_streams", 1.0).await;
    // One that answers stays.
    sleep(ms(300)).await;
    user.quiet().await;
}

#[tokio::test]
async fn a_peer_may_ping_as_often_as_it_likes_rule_151() {
    let mut world = World::start().await;
    let mut eager = Raw::connect(world.address()).await;
    eager
        .preface(&[])
        .open(1, NONE)
        .subscribe(1, E, &["a"])
        .flush()
        .await;
    assert!(eager.read_kind(DATA).await.is_some());
    for number in 0_u64..1000 {
        eager.frame(PING, 0, 0, &number.to_be_bytes()).flush().await;
        let frame = eager.read().await.expect("an answer");
        assert_eq!((frame.kind, frame.flags), (PING, ACK));
        assert_eq!(frame.payload, number.to_be_bytes());
    }
    // And many at once.
    for number in 0_u64..1000 {
        eager.frame(PING, 0, 0, &number.to_be_bytes());
    }
    eager.flush().await;
    for _ in 0..1000 {
        assert_eq!(eager.read().await.expect("an answer").kind, PING);
    }
    world.put(E, "a", "1");
    assert_eq!(eager.read().await.expect("a response").kind, DATA);
}

#[tokio::test]
async fn what_a_connection_may_ask_for_is_announced_and_bounded_rule_158() {
    let world = World::limited(Limits {
        streams_per_connection: 2,
        ..Limits::default()
    })
    .await;
    let mut greedy = Raw::connect(world.address()).await;
    greedy.preface(&[]);
    for stream in [1, 3, 5] {
        greedy.open(stream, NONE).subscribe(stream, E, &["a"]);
    }
    greedy.flush().await;
    let settings = greedy.read_kind(SETTINGS).await.unwrap();
    assert_eq!(settings.setting(MAX_STREAMS), Some(2));
    assert_eq!(settings.setting(MAX_HEADERS), Some(16 << 10));
    let reset = greedy.read_kind(RESET).await.unwrap();
    assert_eq!((reset.stream, reset.error()), (5, REFUSED_STREAM));
    for _ in 0..2 {
        let data = greedy.read_kind(DATA).await.unwrap();
        assert_ne!(data.stream, 5);
    }
}

#[tokio::test]
async fn headers_above_all_measure_are_refused_and_the_connection_is_kept_rule_158() {
    let world = World::start().await;
    let mut verbose = Raw::connect(world.address()).await;
    // Together still one frame, and with the other headers above the limit.
    let long = "x".repeat(16_000);
    verbose
        .preface(&[])
        .open(1, ("authorization", &long))
        .flush()
        .await;
    loop {
        let frame = verbose.read().await.expect("an answer");
        if frame.stream == 1 {
            // Refused in a header or by a reset, whichever, before anything was read of it.
            assert!([HEADERS, RESET].contains(&frame.kind), "{frame:?}");
            break;
        }
    }
    assert_eq!(world.metric("xds_streams"), 0.0);
    verbose.open(3, ("authorization", &long[..8000]));
    verbose.subscribe(3, E, &["a"]).flush().await;
    assert_eq!(verbose.read_kind(DATA).await.unwrap().stream, 3);
}

#[tokio::test]
async fn a_flood_of_resets_ends_its_connection_rule_158() {
    let world = World::start().await;
    let mut rude = Raw::connect(world.address()).await;
    rude.preface(&[]);
    for stream in (1..4001).step_by(2) {
        rude.open(stream, NONE)
            .frame(RESET, 0, stream, &[0, 0, 0, 8]);
    }
    rude.flush().await;
    let goaway = rude.read_kind(GOAWAY).await.expect("to be told so");
    assert_eq!(goaway.error(), ENHANCE_YOUR_CALM);
    while rude.read().await.is_some() {}
    world.until("xds_connections", 0.0).await;
    world.until("xds_streams", 0.0).await;
}
