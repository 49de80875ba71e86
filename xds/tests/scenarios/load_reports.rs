//! Reports of load: what a client is told to report, and what the application is given of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seaway_proto::envoy::core::Node;
use seaway_proto::envoy::endpoint::{ClusterStats, UpstreamLocalityStats};
use seaway_proto::envoy::load_stats::{LoadStatsRequest, LoadStatsResponse};
use seaway_proto::google::protobuf::BytesValue;
use seaway_xds::{Limits, LoadReport, LoadReports, LoadStream, ServerConfig};
use tokio::sync::watch;
use tonic::{Code, Status};

use crate::admit::identity;
use crate::codec::{Stream, open_with, try_open};
use crate::world::{C, World};

const PATH: &str = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats";
const SEND_ALL: &str = "envoy.lrs.supports_send_all_clusters";

/// What was reported: requests by cluster, and how many streams are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counted {
    issued: BTreeMap<String, u64>,
    streams: u32,
    reports: u32,
}

#[derive(Clone, Debug)]
struct Counting(Arc<Mutex<watch::Sender<Counted>>>);

impl Counting {
    fn change(&self, change: impl FnOnce(&mut Counted)) {
        self.0.lock().unwrap().send_modify(change);
    }
}

impl LoadReports for Counting {
    fn interval(&self) -> Duration {
        Duration::from_millis(1500)
    }

    fn begin(&self) -> Box<dyn LoadStream> {
        self.change(|counted| counted.streams += 1);
        Box::new(One(self.clone()))
    }
}

struct One(Counting);

impl LoadStream for One {
    fn take(&mut self, mut report: LoadReport<'_>) -> Result<usize, Status> {
        let mut kept = 0;
        while let Some(cluster) = report.next_cluster()? {
            let issued = cluster.localities.iter().map(|one| one.issued).sum::<u64>();
            kept += usize::try_from(cluster.dropped).unwrap();
            self.0.change(|counted| {
                *counted
                    .issued
                    .entry(cluster.cluster.to_owned())
                    .or_default() += issued;
            });
        }
        self.0.change(|counted| counted.reports += 1);
        Ok(kept)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.change(|counted| counted.streams -= 1);
    }
}

async fn world(limits: Limits) -> (World, watch::Receiver<Counted>) {
    let (sender, counted) = watch::channel(Counted::default());
    let config = ServerConfig {
        load_reports: Some(Arc::new(Counting(Arc::new(Mutex::new(sender))))),
        limits,
        ..ServerConfig::default()
    };
    (World::with(config).await, counted)
}

fn first(features: &[&str], clusters: &[(&str, u64)]) -> LoadStatsRequest {
    let node = Node {
        id: "n1".to_owned(),
        client_features: features.iter().map(|&feature| feature.to_owned()).collect(),
        ..Node::default()
    };
    LoadStatsRequest {
        node: Some(node),
        ..report(clusters)
    }
}

fn report(clusters: &[(&str, u64)]) -> LoadStatsRequest {
    let stats = |(name, issued): &(&str, u64)| ClusterStats {
        cluster_name: (*name).to_owned(),
        upstream_locality_stats: vec![UpstreamLocalityStats {
            total_issued_requests: *issued,
            ..Default::default()
        }],
        ..Default::default()
    };
    LoadStatsRequest {
        node: None,
        cluster_stats: clusters.iter().map(stats).collect(),
    }
}

type Reports = Stream<LoadStatsRequest, LoadStatsResponse>;

async fn open(world: &World, request: LoadStatsRequest) -> Reports {
    let channel = world.connect().await;
    try_open(&channel, PATH, None, Some(request)).await.unwrap()
}

async fn next(stream: &mut Reports) -> Result<Option<LoadStatsResponse>, Status> {
    let next = tokio::time::timeout(Duration::from_secs(10), stream.responses.message());
    next.await.expect("an answer")
}

async fn until(counted: &mut watch::Receiver<Counted>, wanted: impl FnMut(&Counted) -> bool) {
    let reached = tokio::time::timeout(Duration::from_secs(10), counted.wait_for(wanted))
        .await
        .is_ok();
    assert!(reached, "{:?}", *counted.borrow());
}

fn issued(counted: &Counted, cluster: &str) -> u64 {
    counted.issued.get(cluster).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_client_is_told_once_what_to_report_and_is_heard_until_it_ends_rule_204() {
    let (mut world, mut counted) = world(Limits::default()).await;
    world.put_all(C, &["a", "b"]);
    // It comes back: what it counted meanwhile is in its first request.
    let mut stream = open(&world, first(&[SEND_ALL], &[("a", 3)])).await;
    let answer = next(&mut stream).await.unwrap().unwrap();
    assert!(answer.send_all_clusters && answer.clusters.is_empty());
    assert!(!answer.report_endpoint_granularity);
    let interval = answer.load_reporting_interval.unwrap();
    assert_eq!((interval.seconds, interval.nanos), (1, 500_000_000));
    until(&mut counted, |counted| issued(counted, "a") == 3).await;
    for _ in 0..100 {
        stream
            .requests
            .send(report(&[("a", 1), ("b", 2)]))
            .await
            .unwrap();
    }
    until(&mut counted, |counted| issued(counted, "b") == 200).await;
    assert_eq!(issued(&counted.borrow(), "a"), 103);
    let Stream {
        requests,
        mut responses,
    } = stream;
    drop(requests);
    assert_eq!(responses.message().await.unwrap(), None);
    until(&mut counted, |counted| counted.streams == 0).await;
}

#[tokio::test]
async fn a_client_that_must_be_told_names_is_told_the_published_ones_that_it_reports_of_rule_204() {
    let (mut world, _counted) = world(Limits::default()).await;
    world.put_all(C, &["a", "b", "c"]);
    let reported = [("b", 1), ("x", 1), ("a", 0), ("b", 2)];
    let mut stream = open(&world, first(&["else"], &reported)).await;
    let answer = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(answer.clusters, ["a", "b"]);
    assert!(!answer.send_all_clusters);
}

#[tokio::test]
async fn without_a_node_and_with_what_is_no_report_a_stream_ends() {
    let (world, counted) = world(Limits::default()).await;
    let mut nobody = open(&world, report(&[("a", 1)])).await;
    let status = next(&mut nobody).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("a node with an id"), "{status}");

    // The field of the node, and three bytes that are none.
    let value = vec![0xff; 3];
    let channel = world.connect().await;
    let garbage: Result<Stream<BytesValue, LoadStatsResponse>, _> =
        try_open(&channel, PATH, None, Some(BytesValue { value })).await;
    let status = garbage.unwrap().responses.message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert_eq!(*counted.borrow(), Counted::default());
}

#[tokio::test]
async fn who_may_not_open_a_discovery_stream_reports_nothing() {
    let (world, counted) = world(Limits {
        streams_per_identity: 1,
        ..Limits::default()
    })
    .await;
    world.known.lock().unwrap().identities = vec![identity("n1")];
    let request = || first(&[SEND_ALL], &[("a", 1)]);
    let mut unknown = open(&world, request()).await;
    let status = next(&mut unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    world
        .until(r#"xds_connections_closed_total{reason="refused"}"#, 1.0)
        .await;
    assert_eq!(*counted.borrow(), Counted::default());

    let channel = world.connect().await;
    let proven = || try_open(&channel, PATH, Some("n1"), Some(request()));
    let mut known: Reports = proven().await.unwrap();
    next(&mut known).await.unwrap().unwrap();
    let mut more: Reports = proven().await.unwrap();
    let status = next(&mut more).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

#[tokio::test]
async fn what_is_kept_for_a_stream_is_charged_to_its_client_rule_205() {
    let (world, mut counted) = world(Limits {
        memory_per_client: 1 << 20,
        ..Limits::default()
    })
    .await;
    let mut stream = open(&world, first(&[SEND_ALL], &[])).await;
    next(&mut stream).await.unwrap().unwrap();
    for (kept, enough) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let mut request = report(&[("a", 1)]);
        request.cluster_stats[0].total_dropped_requests = kept;
        stream.requests.send(request).await.unwrap();
        if enough {
            until(&mut counted, |counted| counted.reports == 2).await;
            world
                .until("xds_client_memory_bytes", f64::from(1 << 20))
                .await;
        }
    }
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    until(&mut counted, |counted| counted.streams == 0).await;
    world.until("xds_client_memory_bytes", 0.0).await;
}

#[tokio::test]
async fn a_report_of_millions_of_clusters_ends_its_stream_rule_205() {
    let (world, counted) = world(Limits::default()).await;
    let mut stream = open(&world, first(&[SEND_ALL], &[])).await;
    next(&mut stream).await.unwrap().unwrap();
    let flood = LoadStatsRequest {
        node: None,
        cluster_stats: vec![ClusterStats::default(); 600_000],
    };
    stream.requests.send(flood).await.unwrap();
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(counted.borrow().issued.is_empty());
}

#[tokio::test]
async fn a_server_that_ends_ends_streams_of_reports_too() {
    let (mut world, mut counted) = world(Limits::default()).await;
    let mut stream = open(&world, first(&[SEND_ALL], &[])).await;
    next(&mut stream).await.unwrap().unwrap();
    stream.requests.send(report(&[("a", 7)])).await.unwrap();
    until(&mut counted, |counted| issued(counted, "a") == 7).await;
    world.shutdown.cancel();
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    (&mut world.server).await.unwrap();
    until(&mut counted, |counted| counted.streams == 0).await;
}

#[tokio::test]
async fn a_server_that_takes_no_reports_says_so() {
    let world = World::start().await;
    let channel = world.connect().await;
    let refused: Result<Reports, _> =
        open_with(&channel, PATH, &[], Some(first(&[SEND_ALL], &[]))).await;
    assert_eq!(refused.err().unwrap().code(), Code::Unimplemented);
}
