//! How streams and connections end on purpose.

use std::time::Duration;

use seaway_proto::Version;
use seaway_xds::{Limits, ServerConfig};
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::client::strings;
use crate::overload_peers::owed;
use crate::world::{C, E, Variant, World};

const SOON: Duration = Duration::from_millis(100);
const AGED: &str = r#"xds_connections_closed_total{reason="age"}"#;

/// Every connection gets old soon.
async fn short_lived() -> World {
    World::with(ServerConfig {
        max_connection_age: Some(SOON),
        ..ServerConfig::default()
    })
    .await
}

#[tokio::test]
async fn a_stream_has_its_first_answer_before_it_is_ended_rule_154() {
    for variant in [Variant::DeltaAds, Variant::SotwSeparate] {
        let mut world = short_lived().await;
        world.put(C, "a", "1");
        world.door.send_replace(false);
        let mut client = world.client(variant).await;
        client.subscribe(C, &["a"]).await;
        // Its connection has to go before the server knows what to answer.
        world.until(AGED, 1.0).await;
        world.door.send_replace(true);
        assert_eq!(client.read(C).await.says(), "a=1");
        assert_eq!(client.end(C).await.code(), Code::Unavailable);
        world.until("xds_connections", 0.0).await;
    }
}

#[tokio::test]
async fn a_stream_is_ended_without_an_answer_after_a_while_rule_154() {
    let world = short_lived().await;
    world.door.send_replace(false);
    let mut client = world.client(Variant::DeltaAds).await;
    client.subscribe(C, &["a"]).await;
    assert_eq!(client.end(C).await.code(), Code::Unavailable);
    world.until("xds_connections", 0.0).await;
}

#[tokio::test]
async fn a_stream_that_is_owed_nothing_is_ended_at_once_rule_154() {
    let mut world = short_lived().await;
    world.put(E, "a", "1");
    let mut client = world.client(Variant::DeltaSeparate).await;
    let start = Instant::now();
    client
        .delta(E, |r| {
            r.resource_names_subscribe = strings(&["a"]);
            let version = Version::of(b"a=1").to_string();
            r.initial_resource_versions = [("a".to_owned(), version)].into();
        })
        .await;
    assert_eq!(client.end(E).await.code(), Code::Unavailable);
    assert!(start.elapsed() < 6 * SOON, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_peer_that_takes_nothing_does_not_keep_the_server_from_ending_rule_146() {
    let mut world = World::limited(Limits {
        grace: SOON,
        ..Limits::default()
    })
    .await;
    let _stuck = owed(&mut world).await;
    world.shutdown.cancel();
    let ended = timeout(Duration::from_secs(10), &mut world.server).await;
    ended.expect("the server ends").unwrap();
}
