//! The services beside discovery: health and reflection.

use std::time::Duration;

use seaway_xds::ServerConfig;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tonic::{Code, Request};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::{v1, v1alpha};

use crate::admit::{INSPECTOR, identity};
use crate::codec::PROOF;
use crate::world::World;

const ADS: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
const CSDS: &str = "envoy.service.status.v3.ClientStatusDiscoveryService";

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

fn said(response: HealthCheckResponse) -> ServingStatus {
    response.status()
}

/// A world that knows somebody, and is as ready as is said.
pub(crate) async fn world(ready: watch::Receiver<bool>) -> World {
    let world = World::with(ServerConfig {
        ready: Some(ready),
        ..ServerConfig::default()
    })
    .await;
    world.known.lock().unwrap().identities = vec![identity("n1"), identity(INSPECTOR)];
    world
}

pub(crate) fn proven<T>(message: T, name: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(PROOF, name.parse().unwrap());
    request
}

#[tokio::test]
async fn everybody_is_told_whether_the_server_is_ready_rule_206() {
    let (ready, is_ready) = watch::channel(false);
    let world = world(is_ready).await;
    let mut health = HealthClient::new(world.connect().await);
    for service in ["", ADS, CSDS, "grpc.health.v1.Health"] {
        let got = health.check(of(service)).await.unwrap().into_inner();
        assert_eq!(said(got), ServingStatus::NotServing, "{service}");
    }
    ready.send_replace(true);
    let got = health.check(of(ADS)).await.unwrap().into_inner();
    assert_eq!(said(got), ServingStatus::Serving);
    let unknown = health.check(of("envoy.service.nothing")).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn who_watches_is_told_of_every_change_and_of_the_end_rule_206() {
    let (ready, is_ready) = watch::channel(false);
    let world = world(is_ready).await;
    let mut health = HealthClient::new(world.connect().await);
    let mut watched = health.watch(of("")).await.unwrap().into_inner();
    let mut unknown = health.watch(of("nothing")).await.unwrap().into_inner();
    let got = unknown.next().await.unwrap().unwrap();
    assert_eq!(said(got), ServingStatus::ServiceUnknown);
    for serves in [
        ServingStatus::NotServing,
        ServingStatus::Serving,
        ServingStatus::NotServing,
    ] {
        let got = watched.next().await.unwrap().unwrap();
        assert_eq!(said(got), serves);
        let is_ready = *ready.borrow();
        ready.send_replace(!is_ready);
    }
    assert_eq!(
        said(watched.next().await.unwrap().unwrap()),
        ServingStatus::Serving
    );
    // The same again is no change; then the server ends, and whatever is open with it.
    ready.send_replace(true);
    world.shutdown.cancel();
    let got = watched.next().await.unwrap().unwrap();
    assert_eq!(said(got), ServingStatus::NotServing);
    let end = watched.next().await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    let end = unknown.next().await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    world.server.await.unwrap();
}

#[tokio::test]
async fn the_watches_of_a_connection_are_bounded_and_its_questions_go_on() {
    let (_ready, is_ready) = watch::channel(true);
    let world = world(is_ready).await;
    let mut health = HealthClient::new(world.connect().await);
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(health.watch(of("")).await.unwrap());
    }
    let one_more = health.watch(of("")).await.unwrap_err();
    assert_eq!(one_more.code(), Code::ResourceExhausted);
    health.check(of("")).await.unwrap();
    // Another connection has its own, and whoever ends one may begin another.
    let mut other = HealthClient::new(world.connect().await);
    other.watch(of("")).await.unwrap();
    open.pop();
    let again = async {
        while health.watch(of("")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_ends_with_the_time_that_its_client_gives_it() {
    let world = World::start().await;
    let mut health = HealthClient::new(world.connect().await);
    let mut request = Request::new(of(""));
    let metadata = request.metadata_mut();
    // Not by the client's own clock.
    metadata.insert("grpc-timeout", "50m".parse().unwrap());
    let mut watched = health.watch(request).await.unwrap().into_inner();
    watched.next().await.unwrap().unwrap();
    let end = watched.next().await.unwrap().unwrap_err();
    assert!(
        [Code::DeadlineExceeded, Code::Cancelled].contains(&end.code()),
        "{end}"
    );
}

#[tokio::test]
async fn reflection_lists_the_services_to_those_who_are_known_rule_206() {
    let (_ready, is_ready) = watch::channel(true);
    let world = world(is_ready).await;
    let channel = world.connect().await;
    let list = || v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let stranger = client
        .server_reflection_info(tokio_stream::once(list()))
        .await;
    assert_eq!(stranger.unwrap_err().code(), Code::Unauthenticated);
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(world.connect().await);
    let symbol = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1::server_reflection_request::MessageRequest::FileContainingSymbol(CSDS.to_owned()),
        ),
    };
    let questions = tokio_stream::iter([list(), symbol]);
    let answers = client.server_reflection_info(proven(questions, "n1")).await;
    let mut answers = answers.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response;
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(listed)) =
        answer
    else {
        panic!("{answer:?}");
    };
    let names: Vec<String> = listed.service.into_iter().map(|of| of.name).collect();
    for name in [
        ADS,
        CSDS,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(names.iter().any(|of| of == name), "{names:?}");
    }
    assert_eq!(names.len(), 10);
    let answer = answers.next().await.unwrap().unwrap().message_response;
    let file = v1::server_reflection_response::MessageResponse::FileDescriptorResponse;
    assert!(answer.is_some_and(|of| std::mem::discriminant(&of)
        == std::mem::discriminant(&file(v1::FileDescriptorResponse::default()))));
    // The names of an older version.
    let list = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let channel = world.connect().await;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let questions = proven(tokio_stream::once(list), "n1");
    let answers = client.server_reflection_info(questions).await.unwrap();
    assert!(answers.into_inner().next().await.unwrap().is_ok());
}

#[tokio::test]
async fn reflection_can_be_switched_off_rule_206() {
    let world = World::with(ServerConfig {
        reflection: false,
        ..ServerConfig::default()
    })
    .await;
    let channel = world.connect().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let nothing = tokio_stream::empty::<v1::ServerReflectionRequest>();
    let refused = client.server_reflection_info(nothing).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
}
