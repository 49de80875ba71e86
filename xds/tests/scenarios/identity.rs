//! Who is let in by whom, for how long, and how much of it.

use std::time::{Duration, SystemTime};

use seaway_proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use seaway_xds::{Identity, Limits};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::admit::identity;
use crate::client::{node, strings};
use crate::codec::{Stream, try_open};
use crate::world::{ALL, C, E, R, Variant, World, each};

type Opened = Result<Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>, Status>;

const ADS: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const METHODS: [&str; 12] = [
    "discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    "discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    "cluster.v3.ClusterDiscoveryService/StreamClusters",
    "cluster.v3.ClusterDiscoveryService/DeltaClusters",
    "endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
    "endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
    "listener.v3.ListenerDiscoveryService/StreamListeners",
    "listener.v3.ListenerDiscoveryService/DeltaListeners",
    "route.v3.RouteDiscoveryService/StreamRoutes",
    "route.v3.RouteDiscoveryService/DeltaRoutes",
    "secret.v3.SecretDiscoveryService/StreamSecrets",
    "secret.v3.SecretDiscoveryService/DeltaSecrets",
];

/// A world that knows only these.
async fn knowing(limits: Limits, identities: &[Identity]) -> World {
    let world = World::limited(limits).await;
    world.known.lock().unwrap().identities = identities.to_vec();
    world
}

async fn known(identities: &[Identity]) -> World {
    knowing(Limits::default(), identities).await
}

fn subscribe() -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(node("test-id")),
        type_url: E.as_str().into(),
        resource_names_subscribe: strings(&["a"]),
        ..Default::default()
    }
}

async fn open(
    channel: &Channel,
    proof: &str,
) -> Result<Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>, Status> {
    let mut stream: Stream<_, DeltaDiscoveryResponse> =
        try_open(channel, ADS, Some(proof), Some(subscribe())).await?;
    stream.responses.message().await?.expect("a response");
    Ok(stream)
}

/// How a stream ends that was opened so and asks for nothing.
async fn ends(world: &World, method: &str, proof: Option<&str>) -> Status {
    let path = format!("/envoy.service.{method}");
    let opened: Opened = try_open(&world.connect().await, &path, proof, None).await;
    let ended = match opened {
        Ok(mut stream) => stream.responses.message().await.map(|_| ()),
        Err(status) => Err(status),
    };
    ended.expect_err("a status")
}

#[tokio::test]
async fn every_method_asks_who_it_is_before_it_reads_anything_rule_216() {
    let world = known(&[identity("a")]).await;
    for method in METHODS {
        for proof in [None, Some("b")] {
            let status = ends(&world, method, proof).await;
            assert_eq!(status.code(), Code::Unauthenticated, "{method} {proof:?}");
        }
    }
    let denied = r#"xds_denied_streams_total{reason="unauthenticated"}"#;
    assert_eq!(world.metric(denied), 24.0);
    assert_eq!(world.metric("xds_streams"), 0.0);
}

/// It would be a cheap place for guesses.
#[tokio::test]
async fn a_connection_with_no_other_stream_goes_when_its_proof_is_bad() {
    let world = known(&[identity("a")]).await;
    ends(&world, METHODS[1], Some("b")).await;
    let refused = r#"xds_connections_closed_total{reason="refused"}"#;
    world.until(refused, 1.0).await;
    let channel = world.connect().await;
    let mut good = open(&channel, "a").await.unwrap();
    let bad: Opened = try_open(&channel, ADS, Some("b"), None).await;
    let status = bad.unwrap().responses.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    good.requests.send(subscribe()).await.unwrap();
    good.responses.message().await.unwrap().expect("a response");
    assert_eq!(world.metric(refused), 1.0);
}

#[tokio::test]
async fn a_forbidden_type_ends_the_stream_that_asks_for_it_and_no_other() {
    each(&ALL, &[C], |mut world, mut client, url| async move {
        world.known.lock().unwrap().forbidden = &[R];
        world.put_all(url, &["a"]);
        client.subscribe(url, &["a"]).await;
        assert_eq!(client.next(url).await.says(), "a=1");
        let mut other = world.client(Variant::DeltaAds).await;
        other.subscribe(R, &["a"]).await;
        let ended = other.end(R).await;
        assert_eq!(ended.code(), Code::PermissionDenied);
        assert!(ended.message().contains(R.as_str()), "{ended}");
        client.quiet().await;
        let denied = r#"xds_denied_streams_total{reason="forbidden"}"#;
        assert_eq!(world.metric(denied), 1.0);
    })
    .await;
}

#[tokio::test]
async fn a_connection_goes_when_its_proof_ends_and_comes_back_with_a_newer_one() {
    let mut old = identity("a");
    let left = Duration::from_millis(1500);
    old.expires = Some(SystemTime::now() + left);
    let limits = Limits {
        // How often is looked at what expires.
        first_stream: Duration::from_millis(400),
        ..Limits::default()
    };
    let world = knowing(limits, &[old.clone()]).await;
    let channel = world.connect().await;
    let start = Instant::now();
    let mut stream = open(&channel, "a").await.unwrap();
    let expiry = old.expires.unwrap().duration_since(SystemTime::UNIX_EPOCH);
    let shown = r#"xds_identity_expiry_timestamp_seconds{kind="token"}"#;
    world.until(shown, expiry.unwrap().as_secs() as f64).await;
    old.expires = None;
    world.known.lock().unwrap().identities = vec![old];
    let ended = stream.responses.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
    assert!(start.elapsed() >= left - Duration::from_millis(300));
    assert_eq!(
        world.metric(r#"xds_connections_closed_total{reason="expired"}"#),
        1.0
    );
    open(&channel, "a").await.unwrap();
    world.until(shown, 0.0).await;
}

#[tokio::test]
async fn a_connection_is_cut_when_its_proof_is_withdrawn() {
    let (mut bad, good) = (identity("a"), identity("b"));
    let withdrawn = CancellationToken::new();
    bad.revoked = Some(withdrawn.clone());
    let world = known(&[bad, good]).await;
    let (one, two) = (world.connect().await, world.connect().await);
    let mut bad = open(&one, "a").await.unwrap();
    let mut good = open(&two, "b").await.unwrap();
    withdrawn.cancel();
    bad.responses.message().await.unwrap_err();
    assert_eq!(
        world.metric(r#"xds_connections_closed_total{reason="revoked"}"#),
        1.0
    );
    good.requests.send(subscribe()).await.unwrap();
    good.responses.message().await.unwrap().expect("a response");
}

fn few() -> Limits {
    Limits {
        connections_per_identity: 2,
        streams_per_identity: 4,
        first_syncs_per_identity: 1000,
        ..Limits::default()
    }
}

#[track_caller]
fn exhausted<T>(opened: Result<T, Status>) {
    let status = opened.err().expect("too many");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

#[tokio::test]
async fn an_identity_has_so_many_connections_and_streams_and_others_theirs() {
    let world = knowing(few(), &[identity("a"), identity("b")]).await;
    let (one, two, three) = (
        world.connect().await,
        world.connect().await,
        world.connect().await,
    );
    let first = open(&one, "a").await.unwrap();
    let second = open(&two, "a").await.unwrap();
    exhausted(open(&three, "a").await);
    let _more = (
        open(&one, "a").await.unwrap(),
        open(&one, "a").await.unwrap(),
    );
    exhausted(open(&one, "a").await);
    let other = world.connect().await;
    open(&other, "b").await.unwrap();
    let denied = r#"xds_denied_streams_total{reason="limit"}"#;
    assert_eq!(world.metric(denied), 2.0);
    // What ends makes room.
    drop((first, second));
    world.until("xds_streams", 2.0).await;
    let _three = open(&world.connect().await, "a").await.unwrap();
    let _four = open(&one, "a").await.unwrap();
}

#[tokio::test]
async fn an_identity_has_so_many_first_syncs_a_second_and_then_waits() {
    let limits = Limits {
        first_syncs_per_identity: 5,
        longest_wait: Duration::from_millis(500),
        ..Limits::default()
    };
    let world = knowing(limits, &[identity("a"), identity("b")]).await;
    let channel = world.connect().await;
    let start = Instant::now();
    // Five at once, and two that wait.
    for _ in 0..7 {
        open(&channel, "a").await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(380));
    let many = (0..20).map(|_| open(&channel, "a"));
    let many = futures::future::join_all(many).await;
    let refused = many.iter().filter(|opened| opened.is_err()).count();
    assert!((15..=18).contains(&refused), "{refused}");
    many.into_iter().filter(Result::is_err).for_each(exhausted);
    let others = Instant::now();
    open(&channel, "b").await.unwrap();
    assert!(others.elapsed() < Duration::from_millis(380));
}

/// Or one that leaves and comes back at once could take it twice.
#[tokio::test]
async fn what_an_identity_took_counts_after_its_last_stream_has_gone() {
    let limits = Limits {
        first_syncs_per_identity: 5,
        // Who has gone is looked for every 50 milliseconds.
        first_stream: Duration::from_millis(400),
        ..Limits::default()
    };
    let world = knowing(limits, &[identity("a")]).await;
    let start = Instant::now();
    for _ in 0..2 {
        let channel = world.connect().await;
        for _ in 0..5 {
            open(&channel, "a").await.unwrap();
        }
        drop(channel);
        world.until("xds_streams", 0.0).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    // The second five had to wait, but for what came back meanwhile.
    let passed = start.elapsed();
    assert!(passed >= Duration::from_millis(900), "{passed:?}");
}
