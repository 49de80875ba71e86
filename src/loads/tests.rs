//! Reports as proxies send them, and what is shown of them.

use prometheus_client::encoding::text::encode;
use prost::Message;
use seaway_proto::Resource;
use seaway_proto::envoy::cluster::Cluster;
use seaway_proto::envoy::core::Locality;
use seaway_proto::envoy::endpoint::{
    ClusterLoadAssignment, ClusterStats, LocalityLbEndpoints, UpstreamLocalityStats,
};
use seaway_proto::envoy::load_stats::LoadStatsRequest;
use seaway_xds::{Commit, LayerId, Publisher, Replace, Types};

use super::*;

/// The loads of a server that publishes the cluster `d/web/80` with endpoints in zones a and b.
fn loads() -> (Loads, Registry, Publisher) {
    let (mut publisher, snapshots) = seaway_xds::channel(Types::envoy());
    let name: Arc<str> = "d/web/80".into();
    let cluster = Resource::new(TypeUrl::CLUSTER, name.clone(), &Cluster::default(), vec![]);
    let in_zone = |zone: &str| LocalityLbEndpoints {
        locality: Some(locality(zone)),
        ..Default::default()
    };
    let assignment = ClusterLoadAssignment {
        endpoints: vec![in_zone("a"), in_zone("b")],
        ..Default::default()
    };
    let assignment = Resource::new(TypeUrl::ENDPOINT, name, &assignment, vec![]);
    let replace = Replace {
        origin: "Service d/web".into(),
        resources: vec![(LayerId(0), cluster), (LayerId(1), assignment)],
        ..Replace::default()
    };
    publisher.commit(Commit {
        replace: vec![replace],
        ..Commit::default()
    });
    let mut registry = Registry::with_prefix("seaway");
    let loads = Loads::register(Duration::from_secs(30), snapshots, &mut registry);
    (loads, registry, publisher)
}

fn locality(zone: &str) -> Locality {
    Locality {
        zone: zone.to_owned(),
        ..Locality::default()
    }
}

/// What a proxy says of a cluster: of each zone how many requests were sent and have not ended.
fn stats(cluster: &str, zones: &[(&str, u64, u64)]) -> ClusterStats {
    let of_zone = |(zone, issued, in_progress): &(&str, u64, u64)| UpstreamLocalityStats {
        locality: Some(locality(zone)),
        total_issued_requests: *issued,
        total_successful_requests: *issued,
        total_requests_in_progress: *in_progress,
        ..Default::default()
    };
    ClusterStats {
        cluster_name: cluster.to_owned(),
        upstream_locality_stats: zones.iter().map(of_zone).collect(),
        ..Default::default()
    }
}

fn report(clusters: Vec<ClusterStats>) -> Vec<u8> {
    let request = LoadStatsRequest {
        cluster_stats: clusters,
        ..Default::default()
    };
    request.encode_to_vec()
}

/// The series of loads, each with its value.
fn series(registry: &Registry) -> Vec<String> {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let lines = text.lines().filter(|line| line.contains('{'));
    lines.map(str::to_owned).collect()
}

#[test]
fn reports_of_all_streams_are_added_up_by_service_and_zone() {
    let (loads, registry, _publisher) = loads();
    let (mut one, mut two) = (loads.begin(), loads.begin());
    let mut dropping = stats("d/web/80", &[("a", 3, 1), ("b", 4, 0)]);
    dropping.total_dropped_requests = 7;
    let kept = one.take(LoadReport::of(&report(vec![dropping]))).unwrap();
    assert_eq!(kept, PER_PLACE);
    let second = report(vec![stats("d/web/80", &[("a", 5, 2)])]);
    two.take(LoadReport::of(&second)).unwrap();
    let expected = |in_progress: u64| {
        [
            r#"seaway_lrs_requests_total{service="d/web",zone="a",outcome="issued"} 8"#.to_owned(),
            r#"seaway_lrs_requests_total{service="d/web",zone="a",outcome="success"} 8"#.to_owned(),
            r#"seaway_lrs_requests_total{service="d/web",zone="a",outcome="error"} 0"#.to_owned(),
            r#"seaway_lrs_requests_total{service="d/web",zone="b",outcome="issued"} 4"#.to_owned(),
            r#"seaway_lrs_requests_total{service="d/web",zone="b",outcome="success"} 4"#.to_owned(),
            r#"seaway_lrs_requests_total{service="d/web",zone="b",outcome="error"} 0"#.to_owned(),
            format!(r#"seaway_lrs_requests_in_progress{{service="d/web",zone="a"}} {in_progress}"#),
            r#"seaway_lrs_requests_in_progress{service="d/web",zone="b"} 0"#.to_owned(),
            r#"seaway_lrs_dropped_total{service="d/web"} 7"#.to_owned(),
        ]
    };
    assert_eq!(series(&registry), expected(3));
    drop(two);
    assert_eq!(series(&registry), expected(1));
    assert_eq!(one.take(LoadReport::of(&report(vec![]))).unwrap(), 0);
    assert_eq!(series(&registry), expected(0));
}

#[test]
fn clusters_and_zones_that_somebody_made_up_cost_nothing() {
    let (loads, registry, _publisher) = loads();
    let mut liar = loads.begin();
    for part in 0..10 {
        let name = |number| format!("d/x-{part}-{number}/80");
        let clusters = (0..10_000).map(|number| stats(&name(number), &[("a", 1, 1)]));
        let kept = liar
            .take(LoadReport::of(&report(clusters.collect())))
            .unwrap();
        assert_eq!(kept, 0);
        let zones: Vec<_> = (0..10_000)
            .map(|number| format!("{part}-{number}"))
            .collect();
        let zones: Vec<_> = zones.iter().map(|zone| (zone.as_str(), 1, 1)).collect();
        let zones = report(vec![stats("d/web/80", &zones)]);
        let kept = liar.take(LoadReport::of(&zones)).unwrap();
        assert_eq!(kept, 0);
    }
    assert_eq!(series(&registry), [""; 0]);
    // And one that is there is not believed beside so many that are not, until the next report.
    let mut zones = vec![("x", 1, 0); 20];
    zones.push(("a", 1, 0));
    let mixed = report(vec![stats("d/web/80", &zones)]);
    liar.take(LoadReport::of(&mixed)).unwrap();
    assert_eq!(series(&registry), [""; 0]);
    let honest = report(vec![stats("d/web/80", &zones[20..])]);
    liar.take(LoadReport::of(&honest)).unwrap();
    assert_eq!(series(&registry).len(), 4);
}

#[test]
fn intervals_differ_by_a_tenth_at_most() {
    let (loads, _registry, _publisher) = loads();
    let all: Vec<_> = (0..100).map(|_| loads.interval()).collect();
    let within = Duration::from_secs(27)..=Duration::from_secs(33);
    assert!(
        all.iter().all(|interval| within.contains(interval)),
        "{all:?}"
    );
    assert!(all.iter().any(|interval| *interval != all[0]));
}
