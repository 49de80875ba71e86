//! The gRPC service: the aggregated discovery service in both dialects, over responses that are encoded already.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use seaway_proto::envoy::core::Node;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::transport::server::TcpIncoming;
use tonic::{Status, Streaming};

use crate::metrics::Metrics;
use crate::nacks::NackLog;
use crate::publish::{PlacementId, Snapshots};
use crate::stream;
use crate::wire::Incoming;

/// The largest request taken: a reconnecting proxy lists every resource it holds (xDS rule 126).
const MAX_REQUEST: usize = 64 << 20;
/// How often an idle connection is probed, and how long the answer may take (xDS rule 150).
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

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

/// `envoy.service.discovery.v3.AggregatedDiscoveryService`.
pub struct AdsServer<A> {
    shared: Arc<Shared<A>>,
}

/// What the streams of a server share.
pub(crate) struct Shared<A> {
    pub(crate) snapshots: Snapshots,
    pub(crate) admit: A,
    pub(crate) identifier: Arc<str>,
    pub(crate) metrics: Metrics,
    pub(crate) nacks: NackLog,
    /// Cancelled when streams are to end.
    pub(crate) closing: CancellationToken,
    streams: AtomicU64,
}

impl<A> Shared<A> {
    pub(crate) fn next_stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed)
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
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(interval))
        .http2_keepalive_timeout(Some(timeout))
        .add_service(ads)
        .serve_with_incoming_shutdown(incoming, async move {
            shutdown.cancelled().await;
            // Streams never end by themselves (xDS rule 146).
            closing.cancel();
        })
        .await?;
    Ok(())
}

impl<A> NamedService for AdsServer<A> {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl<A: Admit> tower::Service<http::Request<Body>> for AdsServer<A> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        use seaway_proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};
        let shared = self.shared.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        match method {
            "DeltaAggregatedResources" => {
                Box::pin(streaming::<A, DeltaDiscoveryRequest>(shared, request))
            }
            "StreamAggregatedResources" => {
                Box::pin(streaming::<A, DiscoveryRequest>(shared, request))
            }
            _ => Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        }
    }
}

async fn streaming<A: Admit, I: Incoming>(
    shared: Arc<Shared<A>>,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Infallible> {
    let codec = Frames(PhantomData::<I>);
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST);
    Ok(grpc.streaming(Handler(shared), request).await)
}

/// A number unlike those of other processes, so that no nonce is like one of an earlier process (xDS rule 64).
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

struct Handler<A>(Arc<Shared<A>>);

impl<A: Admit, I: Incoming> StreamingService<I> for Handler<A> {
    type Response = Vec<Bytes>;
    type ResponseStream = ReceiverStream<Result<Vec<Bytes>, Status>>;
    type Future = std::future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<I>>) -> Self::Future {
        let responses = stream::spawn(self.0.clone(), request.into_inner());
        std::future::ready(Ok(tonic::Response::new(responses)))
    }
}

/// Decodes requests by prost; responses are encoded already and are only put together.
struct Frames<I>(PhantomData<I>);

impl<I: Incoming> Codec for Frames<I> {
    type Encode = Vec<Bytes>;
    type Decode = I;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Frames(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Frames(PhantomData)
    }
}

impl<I> Encoder for Frames<I> {
    type Item = Vec<Bytes>;
    type Error = Status;

    fn encode(&mut self, parts: Vec<Bytes>, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.reserve(parts.iter().map(Bytes::len).sum());
        for part in parts {
            buf.put(part);
        }
        Ok(())
    }
}

impl<I: Incoming> Decoder for Frames<I> {
    type Item = I;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<I>, Status> {
        I::decode(buf)
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("not a discovery request: {error}")))
    }
}
