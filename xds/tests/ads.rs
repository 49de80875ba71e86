//! The server over a real connection: what a session test cannot see, such as statuses, nodes,
//! leases and shutdown.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use seaway_proto::discovery::{
    AggregatedDiscoveryServiceClient, DeltaDiscoveryRequest, DeltaDiscoveryResponse,
    DiscoveryRequest,
};
use seaway_proto::envoy::cluster::Cluster;
use seaway_proto::envoy::core::Node;
use seaway_proto::{Resource, TypeUrl};
use seaway_xds::{
    Admission, Admit, AdsServer, Authenticated, Caller, Commit, Dialect, LayerId, Metrics,
    PlacementId, Publisher, Replace, ServerConfig, Types, channel, serve,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

const DEADLINE: Duration = Duration::from_secs(10);

/// Admits everyone once ready, and counts who is there.
#[derive(Clone, Default)]
struct Door {
    ready: Arc<AtomicBool>,
    inside: Arc<AtomicUsize>,
}

struct Lease(Arc<AtomicUsize>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Admit for Door {
    type Permissions = ();

    async fn authenticate(&self, _: Caller<'_>) -> Result<Authenticated<()>, Status> {
        Ok(Authenticated::anybody())
    }

    async fn admit(&self, (): &(), _: &Node, _: Dialect) -> Result<Admission, Status> {
        if !self.ready.load(Ordering::SeqCst) {
            return Err(Status::unavailable("not synced"));
        }
        self.inside.fetch_add(1, Ordering::SeqCst);
        Ok(Admission {
            placement: PlacementId(0),
            forbidden: &[],
            on_demand: None,
            about: Vec::new(),
            lease: Box::new(Lease(self.inside.clone())),
        })
    }
}

struct Server {
    address: SocketAddr,
    door: Door,
    publisher: Publisher,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn server() -> Server {
    server_with(None).await
}

async fn server_with(max_connection_age: Option<Duration>) -> Server {
    let (mut publisher, snapshots) = channel(Types::envoy());
    publisher.commit(Commit {
        placements: vec![(PlacementId(0), Some(vec![LayerId(0)]))],
        ..Commit::default()
    });
    let door = Door::default();
    door.ready.store(true, Ordering::SeqCst);
    let config = ServerConfig {
        identifier: "replica-1".into(),
        max_connection_age,
        ..ServerConfig::default()
    };
    let ads = AdsServer::new(snapshots, door.clone(), config, Metrics::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let task = tokio::spawn(async move { serve(listener, ads, token).await.unwrap() });
    Server {
        address,
        door,
        publisher,
        shutdown,
        task,
    }
}

impl Server {
    fn put(&mut self, name: &str, stat: &str) {
        let cluster = Cluster {
            name: name.into(),
            alt_stat_name: stat.into(),
            ..Default::default()
        };
        let resource = Resource::new(TypeUrl::CLUSTER, name, &cluster, vec![]);
        self.publisher.commit(Commit {
            replace: vec![Replace {
                origin: name.into(),
                resources: vec![(LayerId(0), resource)],
                ..Replace::default()
            }],
            ..Commit::default()
        });
    }

    async fn client(&self) -> AggregatedDiscoveryServiceClient<Channel> {
        let uri = format!("http://{}", self.address);
        AggregatedDiscoveryServiceClient::connect(uri)
            .await
            .unwrap()
    }

    /// Opens a delta stream with this first request.
    async fn delta(&self, first: DeltaDiscoveryRequest) -> Result<Stream, Status> {
        let (requests, receiver) = mpsc::channel(8);
        requests.send(first).await.unwrap();
        let outbound = ReceiverStream::new(receiver);
        let responses = self
            .client()
            .await
            .delta_aggregated_resources(outbound)
            .await?;
        Ok(Stream {
            requests,
            responses: responses.into_inner(),
        })
    }
}

struct Stream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Stream {
    async fn next(&mut self) -> Result<Option<DeltaDiscoveryResponse>, Status> {
        timeout(DEADLINE, self.responses.message())
            .await
            .expect("an answer in time")
    }
}

fn clusters(id: &str) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(Node {
            id: id.into(),
            ..Default::default()
        }),
        type_url: TypeUrl::CLUSTER.as_str().into(),
        ..Default::default()
    }
}

async fn failure(stream: Result<Stream, Status>) -> Status {
    match stream {
        Ok(mut stream) => stream.next().await.expect_err("an error status"),
        Err(status) => status,
    }
}

#[tokio::test]
async fn a_change_reaches_an_open_stream() {
    let mut server = server().await;
    server.put("a", "1");
    let mut stream = server.delta(clusters("n")).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.resources[0].name, "a");
    assert_eq!(first.control_plane.unwrap().identifier, "replica-1");
    let ack = DeltaDiscoveryRequest {
        type_url: first.type_url,
        response_nonce: first.nonce,
        ..Default::default()
    };
    stream.requests.send(ack).await.unwrap();
    server.put("a", "2");
    let second = stream.next().await.unwrap().unwrap();
    assert_ne!(first.resources[0].version, second.resources[0].version);
}

#[tokio::test]
async fn state_of_the_world_is_served_on_its_own_method_rule_1() {
    let mut server = server().await;
    server.put("a", "1");
    let request = DiscoveryRequest {
        node: clusters("n").node,
        type_url: TypeUrl::CLUSTER.as_str().into(),
        ..Default::default()
    };
    let outbound =
        tokio_stream::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let mut client = server.client().await;
    let responses = client.stream_aggregated_resources(outbound).await.unwrap();
    let response = timeout(DEADLINE, responses.into_inner().message())
        .await
        .unwrap();
    assert_eq!(response.unwrap().unwrap().resources.len(), 1);
}

#[tokio::test]
async fn nobody_is_served_before_the_first_sync_rule_139() {
    let server = server().await;
    server.door.ready.store(false, Ordering::SeqCst);
    let status = failure(server.delta(clusters("n")).await).await;
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_first_request_needs_a_node_id_rule_11() {
    let server = server().await;
    for node in [None, Some(Node::default())] {
        let request = DeltaDiscoveryRequest {
            node,
            ..clusters("")
        };
        let status = failure(server.delta(request).await).await;
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    assert_eq!(server.door.inside.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_missing_type_url_ends_the_stream_rule_3() {
    let server = server().await;
    let request = DeltaDiscoveryRequest {
        type_url: String::new(),
        ..clusters("n")
    };
    let status = failure(server.delta(request).await).await;
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn streams_with_one_node_id_are_apart_and_leases_end_with_them_rules_13_15() {
    let mut server = server().await;
    server.put("a", "1");
    let mut first = server.delta(clusters("n")).await.unwrap();
    let mut second = server.delta(clusters("n")).await.unwrap();
    first.next().await.unwrap().unwrap();
    second.next().await.unwrap().unwrap();
    assert_eq!(server.door.inside.load(Ordering::SeqCst), 2);
    drop(first);
    timeout(DEADLINE, async {
        while server.door.inside.load(Ordering::SeqCst) != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the lease ends with its stream");
    let ack = DeltaDiscoveryRequest {
        type_url: TypeUrl::CLUSTER.as_str().into(),
        resource_names_subscribe: vec!["a".into()],
        ..Default::default()
    };
    second.requests.send(ack).await.unwrap();
    assert_eq!(second.next().await.unwrap().unwrap().resources.len(), 1);
}

#[tokio::test]
async fn shutdown_ends_streams_and_then_the_server() {
    let server = server().await;
    let mut stream = server.delta(clusters("n")).await.unwrap();
    stream.next().await.unwrap().unwrap();
    server.shutdown.cancel();
    let status = stream.next().await.expect_err("the stream ends");
    assert_eq!(status.code(), Code::Unavailable);
    drop(stream);
    timeout(DEADLINE, server.task)
        .await
        .expect("the server ends")
        .unwrap();
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_and_its_proxy_comes_back_rules_152_153() {
    let mut server = server_with(Some(Duration::from_millis(200))).await;
    server.put("a", "1");
    let mut client = server.client().await;
    for _ in 0..3 {
        let (requests, receiver) = mpsc::channel(8);
        requests.send(clusters("n")).await.unwrap();
        let outbound = ReceiverStream::new(receiver);
        let responses = client.delta_aggregated_resources(outbound).await.unwrap();
        let mut stream = Stream {
            requests,
            responses: responses.into_inner(),
        };
        // Something was sent before the stream ends (xDS rule 154).
        assert_eq!(stream.next().await.unwrap().unwrap().resources.len(), 1);
        let status = stream
            .next()
            .await
            .expect_err("the stream ends with its connection");
        assert_eq!(status.code(), Code::Unavailable);
    }
}
