//! The aggregated discovery service over bytes: responses are encoded already, requests are handed
//! on undecoded.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::{Buf, BufMut, Bytes};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::transport::server::TcpIncoming;
use tonic::{Status, Streaming};

/// Opens streams.
pub trait Handler: Clone + Send + Sync + 'static {
    /// What a stream sends.
    type Responses: Stream<Item = Result<Bytes, Status>> + Send + 'static;

    /// A client came. `delta` says in which dialect it speaks.
    fn open(&self, delta: bool, requests: Streaming<Bytes>) -> Self::Responses;
}

/// Serves forever.
pub async fn serve(listener: TcpListener, handler: impl Handler) -> Result<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .add_service(Service(handler))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Service<H>(H);

impl<H> NamedService for Service<H> {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl<H: Handler> tower::Service<http::Request<Body>> for Service<H> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let delta = request.uri().path().ends_with("/DeltaAggregatedResources");
        let opener = Opener {
            handler: self.0.clone(),
            delta,
        };
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw).max_decoding_message_size(64 << 20);
            Ok(grpc.streaming(opener, request).await)
        })
    }
}

struct Opener<H> {
    handler: H,
    delta: bool,
}

impl<H: Handler> StreamingService<Bytes> for Opener<H> {
    type Response = Bytes;
    type ResponseStream = H::Responses;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let responses = self.handler.open(self.delta, request.into_inner());
        ready(Ok(tonic::Response::new(responses)))
    }
}

#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}
