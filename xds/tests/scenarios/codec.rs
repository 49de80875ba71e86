//! Calling any discovery service by its path: one codec and one opening for all of them.

use std::marker::PhantomData;

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// The header with the proof of who asks: who he is.
pub(crate) const PROOF: &str = "x-proof";

/// A stream of requests of one form and responses of another.
pub(crate) struct Stream<Q, S> {
    pub(crate) requests: mpsc::Sender<Q>,
    pub(crate) responses: Streaming<S>,
}

/// Opens the stream with its first request.
pub(crate) async fn open<Q, S>(channel: &Channel, path: &str, first: Q) -> Stream<Q, S>
where
    Q: Message + 'static,
    S: Message + Default + 'static,
{
    try_open(channel, path, None, Some(first)).await.unwrap()
}

/// The same with this proof of who asks, and maybe without any request, if the server lets it.
pub(crate) async fn try_open<Q, S>(
    channel: &Channel,
    path: &str,
    proof: Option<&str>,
    first: Option<Q>,
) -> Result<Stream<Q, S>, Status>
where
    Q: Message + 'static,
    S: Message + Default + 'static,
{
    let headers = proof.map(|proof| (PROOF, proof));
    open_with(channel, path, headers.as_slice(), first).await
}

/// The same with these headers.
pub(crate) async fn open_with<Q, S>(
    channel: &Channel,
    path: &str,
    headers: &[(&'static str, &str)],
    first: Option<Q>,
) -> Result<Stream<Q, S>, Status>
where
    Q: Message + 'static,
    S: Message + Default + 'static,
{
    let (requests, receiver) = mpsc::channel(64);
    if let Some(first) = first {
        requests.send(first).await.unwrap();
    }
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path: PathAndQuery = path.parse().unwrap();
    let mut outbound = Request::new(ReceiverStream::new(receiver));
    for (name, value) in headers {
        let value = value.parse().unwrap();
        outbound.metadata_mut().insert(*name, value);
    }
    let codec = Prost::<Q, S>(PhantomData);
    let responses = grpc.streaming(outbound, path, codec).await?;
    Ok(Stream {
        requests,
        responses: responses.into_inner(),
    })
}

struct Prost<Q, S>(PhantomData<(Q, S)>);

impl<Q: Message + 'static, S: Message + Default + 'static> Codec for Prost<Q, S> {
    type Encode = Q;
    type Decode = S;
    type Encoder = Prost<Q, ()>;
    type Decoder = Prost<(), S>;

    fn encoder(&mut self) -> Self::Encoder {
        Prost(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Prost(PhantomData)
    }
}

impl<Q: Message> Encoder for Prost<Q, ()> {
    type Item = Q;
    type Error = Status;

    fn encode(&mut self, item: Q, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buf).unwrap();
        Ok(())
    }
}

impl<S: Message + Default> Decoder for Prost<(), S> {
    type Item = S;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<S>, Status> {
        Ok(Some(S::decode(buf).unwrap()))
    }
}
