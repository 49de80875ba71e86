//! Which methods there are, and what they take.

use seaway_proto::TypeUrl;
use seaway_proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use seaway_xds::{ServerConfig, TypeSpec, Types};
use tonic::{Code, Status};

use crate::client::{node, strings};
use crate::codec::{Stream, try_open};
use crate::world::{ALL, C, DELTA, E, L, World, each};

type Opened = Result<Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>, Status>;

/// What a stream at this path says to a first request for this type.
async fn first(
    world: &World,
    path: &str,
    type_url: &str,
) -> Result<DeltaDiscoveryResponse, Status> {
    let request = DeltaDiscoveryRequest {
        node: Some(node("test-id")),
        type_url: type_url.into(),
        ..Default::default()
    };
    let channel = world.connect().await;
    let opened: Opened = try_open(&channel, path, None, Some(request)).await;
    let message = opened?.responses.message().await?;
    Ok(message.expect("a response"))
}

#[tokio::test]
async fn a_service_of_one_type_needs_no_type_and_takes_no_other_rule_3() {
    let mut world = World::start().await;
    world.put(C, "a", "1");
    let path = "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters";
    let response = first(&world, path, "").await.unwrap();
    assert_eq!(response.type_url, C.as_str());
    assert_eq!(response.resources.len(), 1);
    let status = first(&world, path, L.as_str()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

/// A type that this crate has never heard of needs no code of its own.
#[tokio::test]
async fn a_further_type_is_served_on_the_aggregated_stream_rule_8() {
    let url = TypeUrl::new("type.googleapis.com/envoy.service.runtime.v3.Runtime");
    let spec = TypeSpec {
        url,
        ..*Types::envoy().specs().last().unwrap()
    };
    let mut world = World::serving(Types::new([spec]), ServerConfig::default()).await;
    world.put(url, "layer", "1");
    let path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
    let request = DeltaDiscoveryRequest {
        node: Some(node("test-id")),
        type_url: url.as_str().into(),
        resource_names_subscribe: strings(&["layer", "other"]),
        ..Default::default()
    };
    let channel = world.connect().await;
    let opened: Opened = try_open(&channel, path, None, Some(request)).await;
    let mut stream = opened.unwrap();
    let response = stream.responses.message().await.unwrap().unwrap();
    assert_eq!(response.type_url, url.as_str());
    assert_eq!(response.resources[0].name, "layer");
    assert_eq!(response.removed_resources, ["other"]);
    world.put(url, "other", "1");
    // The first one is not acknowledged: the change comes all the same.
    let response = stream.responses.message().await.unwrap().unwrap();
    assert_eq!(response.resources[0].name, "other");
}

#[tokio::test]
async fn what_does_not_exist_is_unimplemented_rules_4_6() {
    let world = World::start().await;
    let paths = [
        "/envoy.service.discovery.v2.AggregatedDiscoveryService/DeltaAggregatedResources",
        "/envoy.api.v2.ClusterDiscoveryService/DeltaClusters",
        "/envoy.service.cluster.v3.ClusterDiscoveryService/FetchClusters",
        "/envoy.service.runtime.v3.RuntimeDiscoveryService/DeltaRuntime",
    ];
    for path in paths {
        let status = first(&world, path, C.as_str()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn a_proxy_that_lists_megabytes_of_what_it_holds_is_heard_rule_126() {
    each(&DELTA, &[C, E], |mut world, mut client, url| async move {
        world.put_all(url, &["a"]);
        let held = (0..50_000).map(|i| (format!("{i}{}", "-".repeat(100)), "v".to_owned()));
        client
            .delta(url, |r| {
                r.resource_names_subscribe = vec!["a".into()];
                r.initial_resource_versions = held.collect();
            })
            .await;
        assert_eq!(client.next(url).await.says(), "a=1");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn a_type_that_is_not_served_leaves_the_stream_alone_rule_5() {
    each(&ALL, &[C], |mut world, mut client, url| async move {
        if !client.is_ads() {
            return;
        }
        world.put_all(url, &["a"]);
        client.subscribe(url, &["a"]).await;
        client.next(url).await;
        match client.is_delta() {
            true => {
                client
                    .delta(url, |r| r.type_url = "type.googleapis.com/no.Such".into())
                    .await
            }
            false => {
                client
                    .sotw(url, |r| r.type_url = "type.googleapis.com/no.Such".into())
                    .await
            }
        }
        client.quiet().await;
        world.put(url, "a", "2");
        assert_eq!(client.next(url).await.says(), "a=2");
    })
    .await;
}
