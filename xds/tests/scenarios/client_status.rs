//! The status of clients: who sees whom, and what of it.

use std::time::Duration;

use seaway_proto::envoy::client_status::client_status_discovery_service_client::ClientStatusDiscoveryServiceClient;
use seaway_proto::envoy::client_status::{ClientStatusRequest, ClientStatusResponse, ConfigStatus};
use seaway_proto::envoy::text_matcher::string_matcher::MatchPattern;
use seaway_proto::envoy::text_matcher::{NodeMatcher, RegexMatcher, StringMatcher, StructMatcher};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::admit::INSPECTOR;
use crate::client::Client;
use crate::side::{proven, world};
use crate::world::{C, E, L, Variant, World};

async fn fetch(
    world: &World,
    name: &str,
    request: ClientStatusRequest,
) -> Result<ClientStatusResponse, Status> {
    let mut client = ClientStatusDiscoveryServiceClient::new(world.connect().await)
        .max_decoding_message_size(64 << 20);
    let answer = client.fetch_client_status(proven(request, name)).await?;
    Ok(answer.into_inner())
}

/// Everything that a request is told, if it asks for everything.
async fn all(world: &World, name: &str) -> ClientStatusResponse {
    let request = ClientStatusRequest::default();
    fetch(world, name, request).await.unwrap()
}

fn matching(pattern: MatchPattern) -> ClientStatusRequest {
    let matcher = NodeMatcher {
        node_id: Some(StringMatcher {
            match_pattern: Some(pattern),
            ..StringMatcher::default()
        }),
        ..NodeMatcher::default()
    };
    ClientStatusRequest {
        node_matchers: vec![matcher],
        ..ClientStatusRequest::default()
    }
}

/// The ids of the nodes of an answer.
fn nodes(answer: &ClientStatusResponse) -> Vec<String> {
    let config = answer.config.iter();
    let ids = config.map(|config| config.node.clone().unwrap().id);
    ids.collect()
}

/// A client of an identity, as the node of that name.
async fn of_identity(world: &World, name: &str) -> Client {
    let client = world.client(Variant::DeltaAds).await;
    client.named(name).proven(name).run_by("envoy")
}

#[tokio::test]
async fn a_client_sees_its_own_resources_and_how_far_each_is_rule_201() {
    let (_ready, is_ready) = watch::channel(true);
    let mut world = world(is_ready).await;
    world.put_all(L, &["acked", "bad", "sent"]);
    let mut client = of_identity(&world, "n1").await;
    client.subscribe(L, &["acked", "bad", "sent"]).await;
    client.next(L).await;
    world.put(L, "bad", "2");
    let got = client.read(L).await;
    client.nack(&got, "", "bad: no good").await;
    world.put(L, "sent", "2");
    client.read(L).await;
    // A gated type waits for what was sent before.
    world.put(E, "a", "1");
    client.subscribe(E, &["a", "missing"]).await;
    client.read(E).await;
    let mut other = of_identity(&world, INSPECTOR).await;
    other.subscribe(L, &["acked"]).await;
    other.next(L).await;
    let answer = all(&world, "n1").await;
    assert_eq!(nodes(&answer), ["n1"]);
    let config = &answer.config[0];
    assert_eq!(config.node.as_ref().unwrap().user_agent_name, "envoy");
    let of = |status: ConfigStatus| i32::from(status);
    let shown = config.generic_xds_configs.iter().map(|of| {
        let content = of.xds_config.as_ref().unwrap();
        assert_eq!(content.type_url, of.type_url);
        assert!(of.last_updated.as_ref().unwrap().seconds > 1_700_000_000);
        let content = String::from_utf8(content.value.clone()).unwrap();
        (of.name.as_str(), content, of.config_status)
    });
    let expected = [
        ("a", "a=1".to_owned(), of(ConfigStatus::Stale)),
        ("acked", "acked=1".to_owned(), of(ConfigStatus::Synced)),
        ("bad", "bad=2".to_owned(), of(ConfigStatus::Error)),
        ("sent", "sent=2".to_owned(), of(ConfigStatus::Stale)),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let rejected = &config.generic_xds_configs[2];
    let error = rejected.error_state.as_ref().unwrap();
    assert_eq!(error.details, "bad: no good");
    assert_eq!(error.version_info, rejected.version_info);
    assert!(config.generic_xds_configs[1].error_state.is_none());
    // Who may look at all sees both.
    assert_eq!(nodes(&all(&world, INSPECTOR).await), ["n1", INSPECTOR]);
}

#[tokio::test]
async fn who_proves_nothing_sees_nothing_rule_203() {
    let (_ready, is_ready) = watch::channel(true);
    let world = world(is_ready).await;
    let mut client = of_identity(&world, "n1").await;
    client.subscribe(E, &["a"]).await;
    client.read(E).await;
    let request = ClientStatusRequest::default;
    let mut stranger = ClientStatusDiscoveryServiceClient::new(world.connect().await);
    let error = stranger.fetch_client_status(request()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    // Where nobody is asked for a proof, nobody is anybody.
    world.known.lock().unwrap().identities.clear();
    let mut anybody = ClientStatusDiscoveryServiceClient::new(world.connect().await);
    let error = anybody.fetch_client_status(request()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn clients_are_found_by_their_node_rule_202() {
    let (_ready, is_ready) = watch::channel(true);
    let world = world(is_ready).await;
    let mut clients = Vec::new();
    for name in ["edge-1", "edge-2", "mesh-1"] {
        let mut client = world
            .client(Variant::SotwAds)
            .await
            .named(name)
            .proven("n1");
        client.subscribe(C, &[]).await;
        client.next(C).await;
        clients.push(client);
    }
    let ask = |request| fetch(&world, INSPECTOR, request);
    let of = |text: &str| text.to_owned();
    for (pattern, expected) in [
        (MatchPattern::Exact(of("mesh-1")), &["mesh-1"][..]),
        (MatchPattern::Prefix(of("edge-")), &["edge-1", "edge-2"]),
        (MatchPattern::Suffix(of("-1")), &["edge-1", "mesh-1"]),
        (MatchPattern::Contains(of("sh")), &["mesh-1"]),
        (MatchPattern::Exact(of("MESH-1")), &[]),
    ] {
        let answer = ask(matching(pattern.clone())).await.unwrap();
        assert_eq!(nodes(&answer), expected, "{pattern:?}");
    }
    // Each of several matchers finds some.
    let mut two = matching(MatchPattern::Exact(of("mesh-1")));
    two.node_matchers
        .extend(matching(MatchPattern::Exact(of("edge-2"))).node_matchers);
    assert_eq!(nodes(&ask(two).await.unwrap()), ["edge-2", "mesh-1"]);
    let mut folded = matching(MatchPattern::Exact(of("MESH-1")));
    folded.node_matchers[0]
        .node_id
        .as_mut()
        .unwrap()
        .ignore_case = true;
    assert_eq!(nodes(&ask(folded).await.unwrap()), ["mesh-1"]);
    let mut metadata = ClientStatusRequest::default();
    metadata.node_matchers.push(NodeMatcher {
        node_metadatas: vec![StructMatcher::default()],
        ..NodeMatcher::default()
    });
    let regex = matching(MatchPattern::SafeRegex(RegexMatcher::default()));
    for unknown in [metadata, regex] {
        let error = ask(unknown).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
}

#[tokio::test]
async fn contents_are_left_out_on_request_beyond_a_limit_and_always_of_secrets_rule_202() {
    let (_ready, is_ready) = watch::channel(true);
    let mut world = world(is_ready).await;
    let secret = seaway_proto::TypeUrl::SECRET;
    world.put(secret, "key", "private");
    for name in ["a", "b", "c"] {
        world.set(E, name, &"x".repeat(2 << 20));
    }
    world.set(C, "small", "1").commit();
    let mut client = of_identity(&world, "n1").await;
    client.subscribe(secret, &["key"]).await;
    client.next(secret).await;
    client.subscribe(C, &["small"]).await;
    client.next(C).await;
    client.subscribe(E, &["a", "b", "c"]).await;
    for _ in 0..3 {
        client.next(E).await;
    }
    let with = |answer: &ClientStatusResponse| -> Vec<(String, bool)> {
        let all = answer.config[0].generic_xds_configs.iter();
        all.map(|of| (of.name.clone(), of.xds_config.is_some()))
            .collect()
    };
    let answer = all(&world, "n1").await;
    let expected = [
        ("small", true),
        ("a", true),
        ("b", false),
        ("c", false),
        ("key", false),
    ];
    assert_eq!(
        with(&answer),
        expected.map(|(name, has)| (name.to_owned(), has))
    );
    assert!(!format!("{answer:?}").contains("private"));
    let request = ClientStatusRequest {
        exclude_resource_contents: true,
        ..ClientStatusRequest::default()
    };
    let answer = fetch(&world, "n1", request).await.unwrap();
    assert!(with(&answer).iter().all(|(_, has)| !has));
}

#[tokio::test]
async fn each_message_of_a_stream_is_answered_by_what_is_there_then_rule_201() {
    let (_ready, is_ready) = watch::channel(true);
    let mut world = world(is_ready).await;
    world.put(E, "a", "1");
    let mut client = of_identity(&world, "n1").await;
    client.subscribe(E, &["a"]).await;
    let got = client.read(E).await;
    let (questions, asked) = mpsc::channel(4);
    let asked = ReceiverStream::new(asked);
    let mut status = ClientStatusDiscoveryServiceClient::new(world.connect().await);
    questions
        .send(ClientStatusRequest::default())
        .await
        .unwrap();
    let answers = status.stream_client_status(proven(asked, "n1")).await;
    let mut answers = answers.unwrap().into_inner();
    let status = |answer: Option<Result<ClientStatusResponse, Status>>| {
        let answer = answer.unwrap().unwrap();
        answer.config[0].generic_xds_configs[0].config_status()
    };
    assert_eq!(status(answers.next().await), ConfigStatus::Stale);
    client.ack(&got).await;
    world
        .until(&format!("xds_oldest_unacked_seconds{{type=\"{E}\"}}"), 0.0)
        .await;
    questions
        .send(ClientStatusRequest::default())
        .await
        .unwrap();
    assert_eq!(status(answers.next().await), ConfigStatus::Synced);
    drop(questions);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn few_look_at_a_time_and_who_may_look_at_all_does_not_wait_for_others() {
    let (_ready, is_ready) = watch::channel(true);
    let world = world(is_ready).await;
    let mut open = Vec::new();
    let mut begin = async |name: &str| {
        let mut client = ClientStatusDiscoveryServiceClient::new(world.connect().await);
        let (questions, asked) = mpsc::channel::<ClientStatusRequest>(1);
        let asked = proven(ReceiverStream::new(asked), name);
        let begun = client.stream_client_status(asked).await?;
        open.push((questions, begun.into_inner()));
        Ok::<_, Status>(())
    };
    for _ in 0..2 {
        begin("n1").await.unwrap();
    }
    let error = begin("n1").await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    begin(INSPECTOR).await.unwrap();
    open.clear();
    let again = async {
        while let Err(error) = fetch(&world, "n1", ClientStatusRequest::default()).await {
            assert_eq!(error.code(), Code::ResourceExhausted);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again)
        .await
        .unwrap();
}
