//! The server as an application sees it: what it is given, and serving until told to stop.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use seaway_proto::envoy::core::Node;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use xxhash_rust::xxh3::xxh3_64;

use crate::metrics::Metrics;
use crate::nacks::NackLog;
use crate::publish::{PlacementId, Snapshots};

/// How often an idle connection is probed, and how long the answer may take (xDS rule 150).
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// On shutdown so much time is given to each stream to end before the next, on average, but no more than the window to all.
const CLOSING_PACE: Duration = Duration::from_millis(2);
const CLOSING_WINDOW: Duration = Duration::from_secs(3);
/// Streams that one connection may have: far more than a proxy needs, far fewer than would hurt (xDS rule 158).
const MAX_STREAMS: u32 = 1000;

/// Decides what a proxy may see.
pub trait Admit: Send + Sync + 'static {
    /// Called with the node of a stream's first message, before any state is kept for the stream. An error ends the stream with
    /// that status: UNAVAILABLE as long as there is nothing complete to serve (xDS rule 139).
    fn admit(&self, node: &Node) -> impl Future<Output = Result<Admission, Status>> + Send;
}

/// An admitted proxy.
pub struct Admission {
    /// From where it looks at the layers.
    pub placement: PlacementId,
    /// Dropped when the stream ends, however it ends.
    pub lease: Box<dyn Send + Sync>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Admission");
        debug
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

/// Settings of the server.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// The name of this replica, sent as `control_plane.identifier` in every response (xDS rule 18).
    pub identifier: String,
}

/// Why serving ended.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The transport failed as a whole.
    #[error("xDS server: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// The discovery services: `AggregatedDiscoveryService`, and those of single types (CDS, EDS, LDS, RDS, SDS) on the same engine, each
/// with its state-of-the-world and its incremental method (xDS rules 1, 2). The unary and REST variants do not exist here.
pub struct AdsServer<A> {
    pub(crate) shared: Arc<Shared<A>>,
}

/// What the streams of a server share.
pub(crate) struct Shared<A> {
    pub(crate) snapshots: Snapshots,
    pub(crate) admit: A,
    pub(crate) identifier: Arc<str>,
    pub(crate) metrics: Metrics,
    pub(crate) nacks: NackLog,
    /// Cancelled when streams are to end.
    closing: CancellationToken,
    /// The longest time over which they then end.
    closing_window: Duration,
    open: AtomicU32,
    streams: AtomicU64,
}

impl<A> Shared<A> {
    /// Counts a stream in and gives it its number.
    pub(crate) fn enter(&self) -> u64 {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.streams.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns when this stream has to end. After the server was told to, streams do so one after the other in an order of chance, so
    /// that a fleet does not ask the next replica all at once (xDS rule 146).
    pub(crate) async fn closing(&self, stream: u64) {
        self.closing.cancelled().await;
        let all = CLOSING_PACE * self.open.load(Ordering::Relaxed);
        let window = all.min(self.closing_window);
        let share = xxh3_64(&stream.to_le_bytes()) as f64 / u64::MAX as f64;
        tokio::time::sleep(window.mul_f64(share)).await;
    }
}

impl<A> Clone for AdsServer<A> {
    fn clone(&self) -> AdsServer<A> {
        AdsServer {
            shared: self.shared.clone(),
        }
    }
}

impl<A> std::fmt::Debug for AdsServer<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdsServer").finish_non_exhaustive()
    }
}

impl<A: Admit> AdsServer<A> {
    /// A server over what a [`Publisher`](crate::Publisher) publishes.
    pub fn new(snapshots: Snapshots, admit: A, config: ServerConfig, metrics: Metrics) -> Self {
        AdsServer {
            shared: Arc::new(Shared {
                snapshots,
                admit,
                identifier: config.identifier.into(),
                metrics,
                nacks: NackLog::default(),
                closing: CancellationToken::new(),
                closing_window: CLOSING_WINDOW,
                open: AtomicU32::new(0),
                streams: AtomicU64::new(random()),
            }),
        }
    }
}

/// Serves until `shutdown` is cancelled and every connection has ended: clients get a GOAWAY, then their streams end.
pub async fn serve<A: Admit>(
    listener: TcpListener,
    ads: AdsServer<A>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let closing = ads.shared.closing.clone();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (interval, timeout) = KEEPALIVE;
    // Every path is the service's to judge; what it does not know is unimplemented (xDS rules 4, 6).
    let routes = Routes::default().into_axum_router().fallback_service(ads);
    let routes: Routes = routes.into();
    tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(interval))
        .http2_keepalive_timeout(Some(timeout))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async move {
            shutdown.cancelled().await;
            // Streams never end by themselves (xDS rule 146).
            closing.cancel();
        })
        .await?;
    Ok(())
}

/// A number unlike those of other processes, so that no nonce is like one of an earlier process (xDS rule 64).
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
