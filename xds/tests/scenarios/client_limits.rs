//! What clients may have the server keep and wait for, in bytes and in time; and who makes room for
//! whom.

use std::time::Duration;

use seaway_proto::Version;
use seaway_proto::discovery::ResourceLocator;
use seaway_xds::Limits;
use tokio::time::{Instant, sleep};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Uri};
use tonic::transport::Channel;

use crate::raw::{ACK, DATA, Raw, SETTINGS};
use crate::world::{C, E, Variant, World};

const NONE: (&str, &str) = ("x-more", "");
const MEMORY: &str = "xds_client_memory_bytes";
const REFUSALS: &str = "xds_client_memory_refusals_total";

/// A stream that has had its first answer.
async fn opened(world: &World, more: (&str, &str)) -> Raw {
    let mut raw = Raw::connect(world.address()).await;
    raw.preface(&[]).flush().await;
    assert!(raw.read_kind(SETTINGS).await.is_some());
    // From then on the larger windows count.
    raw.frame(SETTINGS, ACK, 0, &[]);
    raw.open(1, more).subscribe(1, E, &["a"]).flush().await;
    assert!(raw.read_kind(DATA).await.is_some());
    raw
}

#[tokio::test]
async fn a_request_that_does_not_end_ends_its_stream_rule_218() {
    let mut world = World::limited(Limits {
        request: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    world.put(E, "a", "0");
    let mut user = world.client(Variant::DeltaAds).await;
    user.subscribe(E, &["a"]).await;
    assert_eq!(user.next(E).await.says(), "a=0");
    let mut slow = opened(&world, NONE).await;
    let start = Instant::now();
    slow.begin(1, 1 << 20, 100_000).flush().await;
    // A byte now and then does not help.
    for _ in 0..5 {
        sleep(Duration::from_millis(50)).await;
        slow.frame(DATA, 0, 1, &[0]).flush().await;
    }
    slow.ended(1).await;
    assert!(start.elapsed() >= Duration::from_millis(200));
    world.until(MEMORY, 0.0).await;
    world.put(E, "a", "1");
    assert_eq!(user.next(E).await.says(), "a=1");
}

#[tokio::test]
async fn what_is_kept_of_unfinished_requests_is_bounded_in_sum_rule_218() {
    let world = World::limited(Limits {
        client_memory: 2 << 20,
        ..Limits::default()
    })
    .await;
    let mut greedy = opened(&world, NONE).await;
    greedy.begin(1, 16 << 20, 900_000).flush().await;
    let kept = async {
        while world.metric(MEMORY) < 900_000.0 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    let kept = tokio::time::timeout(Duration::from_secs(10), kept).await;
    kept.expect("most of a request to be kept");
    // It has nearly all that is common to all; everybody else may have his own half MiB.
    let mut modest = opened(&world, NONE).await;
    modest.begin(1, 1 << 20, 200_000).flush().await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(world.metric(REFUSALS), 0.0);
    let mut other = opened(&world, NONE).await;
    other.begin(1, 16 << 20, 1_500_000).flush().await;
    other.ended(1).await;
    assert_eq!(world.metric(REFUSALS), 1.0);
    assert!(world.metric(MEMORY) < 3e6, "{}", world.metric(MEMORY));
    drop((greedy, modest));
    world.until("xds_streams", 0.0).await;
    world.until(MEMORY, 0.0).await;
}

/// Of one connection, on all of its streams.
#[tokio::test]
async fn what_is_kept_for_one_client_is_bounded_rule_218() {
    let world = World::limited(Limits {
        memory_per_client: 1 << 20,
        ..Limits::default()
    })
    .await;
    let mut greedy = opened(&world, NONE).await;
    greedy.open(3, NONE).subscribe(3, E, &["a"]);
    greedy
        .begin(1, 16 << 20, 500_000)
        .begin(3, 16 << 20, 600_000);
    greedy.flush().await;
    world.until(REFUSALS, 1.0).await;
    world.until("xds_streams", 1.0).await;
}

#[tokio::test]
async fn a_connection_without_a_stream_makes_room_for_another() {
    let mut world = World::limited(Limits {
        connections: Some(2),
        ..Limits::default()
    })
    .await;
    let mut user = world.client(Variant::DeltaAds).await;
    user.subscribe(E, &["a"]).await;
    user.next(E).await;
    let mut silent = Raw::connect(world.address()).await;
    world.until("xds_connections", 2.0).await;
    let mut second = world.client(Variant::DeltaAds).await;
    second.subscribe(E, &["a"]).await;
    second.next(E).await;
    while silent.read().await.is_some() {}
    assert_eq!(
        world.metric(r#"xds_connections_closed_total{reason="crowded"}"#),
        1.0
    );
    assert_eq!(world.metric("xds_connections_refused_total"), 0.0);
    world.until("xds_connections", 2.0).await;
    world.put(E, "a", "1");
    assert_eq!(user.next(E).await.says(), "a=1");
    assert_eq!(second.next(E).await.says(), "a=1");
}

#[tokio::test]
async fn a_call_ends_when_its_client_stops_waiting() {
    let world = World::start().await;
    let start = Instant::now();
    let mut patient = opened(&world, ("grpc-timeout", "1H")).await;
    let mut hasty = opened(&world, ("grpc-timeout", "300m")).await;
    hasty.ended(1).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    world.until("xds_streams", 1.0).await;
    patient.subscribe(1, E, &["b"]).flush().await;
    assert!(patient.read_kind(DATA).await.is_some());
}

/// The HTTP status of an answer, what it says of encodings, and its status of gRPC.
async fn answer(
    channel: &mut Channel,
    method: &str,
    headers: &[(&str, &str)],
) -> (u16, Option<String>, Option<String>) {
    let uri: Uri = "http://xds/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters"
        .parse()
        .unwrap();
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    std::future::poll_fn(|cx| channel.poll_ready(cx))
        .await
        .unwrap();
    let answer = channel
        .call(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let header = |name| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    (
        answer.status().as_u16(),
        header("grpc-accept-encoding"),
        header("grpc-status"),
    )
}

#[tokio::test]
async fn what_is_no_call_of_grpc_is_answered_in_http_and_what_is_says_what_it_takes() {
    let world = World::start().await;
    let mut channel = world.connect().await;
    let grpc = ("content-type", "application/grpc");
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(
            answer(&mut channel, method, &[grpc]).await.0,
            405,
            "{method}"
        );
    }
    for other in [
        "application/json",
        "application/grpc-web+proto",
        "text/html",
    ] {
        let headers = [("content-type", other)];
        assert_eq!(
            answer(&mut channel, "POST", &headers).await.0,
            415,
            "{other}"
        );
    }
    assert_eq!(answer(&mut channel, "POST", &[]).await.0, 415);
    let proto = [("content-type", "application/grpc+proto")];
    let (status, encodings, _) = answer(&mut channel, "POST", &proto).await;
    assert_eq!((status, encodings.as_deref()), (200, Some("identity")));
    let (status, _, code) = answer(&mut channel, "POST", &[grpc, ("grpc-timeout", "soon")]).await;
    assert_eq!((status, code.as_deref()), (200, Some("13")));
}

/// A request so large that it is taken in parts means what it would mean as a whole: a wildcard,
/// and all that the client holds.
#[tokio::test]
async fn a_large_request_is_taken_in_parts_and_means_the_same_rules_52_126() {
    let mut world = World::start().await;
    let names: Vec<String> = (0..9_000)
        .map(|n| format!("{n}/{}", "-".repeat(60)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.put_all(C, &names);
    let version = |name: &&str| {
        let version = Version::of(format!("{name}=1").as_bytes());
        ((*name).to_owned(), version.to_string())
    };
    let held: Vec<_> = names.iter().map(version).collect();
    world
        .set(C, names[1_500], "2")
        .unset(C, names[2_999])
        .commit();
    let mut back = world.client(Variant::DeltaAds).await;
    back.delta(C, |r| {
        r.initial_resource_versions = held.into_iter().collect()
    })
    .await;
    let got = back.next(C).await;
    assert_eq!(got.says(), format!("{}=2", names[1_500]));
    let got = back.next(C).await;
    assert_eq!(got.says(), format!("-{}", names[2_999]));
    back.quiet().await;
    world.put(C, "new", "1");
    assert_eq!(back.next(C).await.says(), "new=1");
}

/// Its first part may change nothing, and its last one all the same something.
#[tokio::test]
async fn what_the_last_part_of_a_large_request_asks_for_is_answered_rule_119() {
    let mut world = World::start().await;
    world.put_all(E, &["a", "b"]);
    let mut client = world.client(Variant::DeltaAds).await;
    client.subscribe(E, &["a"]).await;
    assert_eq!(client.next(E).await.says(), "a=1");
    let never_asked_for = (0..9_000).map(|n| format!("{n}/{}", "-".repeat(60)));
    client
        .delta(E, |r| {
            r.resource_names_unsubscribe = never_asked_for.collect();
            r.resource_locators_subscribe = vec![ResourceLocator {
                name: "b".into(),
                ..Default::default()
            }];
        })
        .await;
    assert_eq!(client.next(E).await.says(), "b=1");
    client.quiet().await;
}
