//! Connections that are to be encrypted, and are not.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use seaway_xds::{Limits, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::raw::Raw;
use crate::world::World;

const FAILED: &str = "xds_failed_handshakes_total";

fn config() -> Arc<rustls::ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(certificate)];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(
        builder
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap(),
    )
}

async fn world(handshake: Duration) -> World {
    let (_, configs) = watch::channel(config());
    World::with(ServerConfig {
        tls: Some(configs),
        limits: Limits {
            handshake,
            ..Limits::default()
        },
        ..ServerConfig::default()
    })
    .await
}

/// What the server says until it closes the connection.
async fn read_all(mut socket: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is an end too.
    _ = socket.read_to_end(&mut said).await;
    said
}

#[tokio::test]
async fn a_handshake_has_so_long_rule_158() {
    let limit = Duration::from_millis(200);
    let world = world(limit).await;
    let start = Instant::now();
    let silent = TcpStream::connect(world.address()).await.unwrap();
    let mut slow = TcpStream::connect(world.address()).await.unwrap();
    // The head of a record that never comes.
    slow.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    let (silent, slow) = tokio::join!(read_all(silent), read_all(slow));
    assert_eq!((silent, slow), (vec![], vec![]));
    assert!(start.elapsed() >= limit, "{:?}", start.elapsed());
    world.until(FAILED, 2.0).await;
    world.until("xds_connections", 0.0).await;
}

#[tokio::test]
async fn plain_text_is_not_answered_where_tls_is_expected() {
    let world = world(Duration::from_secs(10)).await;
    let mut plain = Raw::connect(world.address()).await;
    plain.preface(&[]).flush().await;
    while plain.read().await.is_some() {}
    world.until(FAILED, 1.0).await;
}

/// Load balancers do so all the time to know whether somebody listens.
#[tokio::test]
async fn who_connects_and_goes_has_failed_at_nothing() {
    let world = world(Duration::from_secs(10)).await;
    // The head of a record that never comes is more than nothing.
    let cases: [(&[u8], bool, f64); 3] = [
        (&[], false, 0.0),
        (&[], true, 0.0),
        (&[22, 3, 1, 2, 0], false, 1.0),
    ];
    for (says, resets, failed) in cases {
        let mut peer = TcpStream::connect(world.address()).await.unwrap();
        peer.write_all(says).await.unwrap();
        if resets {
            peer.set_zero_linger().unwrap();
        }
        world.until("xds_connections", 1.0).await;
        drop(peer);
        world.until("xds_connections", 0.0).await;
        world.until(FAILED, failed).await;
    }
}

#[tokio::test]
async fn a_server_that_ends_waits_for_no_handshake() {
    let mut world = world(Duration::from_secs(60)).await;
    let silent = TcpStream::connect(world.address()).await.unwrap();
    world.until("xds_connections", 1.0).await;
    world.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), &mut world.server).await;
    ended.unwrap().unwrap();
    drop(silent);
}
