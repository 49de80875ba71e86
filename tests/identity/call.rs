//! A discovery client of which everything can be chosen: its certificate, its token, the method,
//! and what it says of itself.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use seaway_proto::TypeUrl;
use seaway_proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use seaway_proto::envoy::core::Node;
use seaway_testing::certs::Leaf;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};

/// Nothing here takes longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a client shows, and how it verifies the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shows {
    /// The authority of the server, in PEM.
    pub(crate) trusts: String,
    /// Certificate and key, in PEM.
    pub(crate) certificate: Option<(String, String)>,
    pub(crate) token: Option<String>,
}

impl Shows {
    pub(crate) fn certificate(mut self, leaf: &Leaf) -> Self {
        self.certificate = Some((leaf.pem(), leaf.key_pem()));
        self
    }

    pub(crate) fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }
}

/// A method of a discovery service, and what its type is for who asks for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    pub(crate) path: &'static str,
    pub(crate) url: TypeUrl,
}

impl Method {
    fn is_delta(self) -> bool {
        self.path.contains("/Delta")
    }

    fn request(self, node: &Node, name: &str) -> Vec<u8> {
        let (node, names) = (Some(node.clone()), vec![name.to_owned()]);
        let type_url = self.url.as_str().to_owned();
        match self.is_delta() {
            true => DeltaDiscoveryRequest {
                node,
                type_url,
                resource_names_subscribe: names,
                ..DeltaDiscoveryRequest::default()
            }
            .encode_to_vec(),
            false => DiscoveryRequest {
                node,
                type_url,
                resource_names: names,
                ..DiscoveryRequest::default()
            }
            .encode_to_vec(),
        }
    }

    fn acknowledge(self, response: &Bytes) -> Result<Vec<u8>, prost::DecodeError> {
        let response = DeltaDiscoveryResponse::decode(response.clone())?;
        let request = DeltaDiscoveryRequest {
            type_url: response.type_url,
            response_nonce: response.nonce,
            ..DeltaDiscoveryRequest::default()
        };
        Ok(request.encode_to_vec())
    }

    /// The names of what a response holds or says to be gone.
    fn names(self, response: Bytes) -> Result<usize, prost::DecodeError> {
        Ok(match self.is_delta() {
            true => {
                let response = DeltaDiscoveryResponse::decode(response)?;
                response.resources.len() + response.removed_resources.len()
            }
            false => DiscoveryResponse::decode(response)?.resources.len(),
        })
    }
}

/// Connects.
pub(crate) async fn connect(address: SocketAddr, shows: &Shows) -> Result<Channel> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&shows.trusts))
        .domain_name("localhost");
    if let Some((certificate, key)) = &shows.certificate {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Endpoint::from_shared(format!("https://{address}"))?;
    Ok(endpoint.tls_config(tls)?.connect().await?)
}

/// How it was answered.
pub(crate) fn code<T>(answer: &Result<T, Status>) -> Code {
    answer.as_ref().map_or_else(Status::code, |_| Code::Ok)
}

/// A stream that is open.
pub(crate) struct Stream {
    method: Method,
    requests: mpsc::UnboundedSender<Vec<u8>>,
    responses: Streaming<Bytes>,
}

impl Stream {
    /// Opens it, with a first request for something of this name.
    pub(crate) async fn open(
        channel: Channel,
        shows: &Shows,
        method: Method,
        node: &Node,
        name: &str,
    ) -> Result<Stream, Status> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let _ = requests.send(method.request(node, name));
        let mut request = Request::new(UnboundedReceiverStream::new(receiver));
        if let Some(token) = &shows.token {
            let value = format!("Bearer {token}").parse();
            let value = value.map_err(|_| Status::internal("no header"))?;
            request.metadata_mut().insert("authorization", value);
        }
        let mut grpc = Grpc::new(channel);
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unknown(format!("no connection: {error}")))?;
        let path = PathAndQuery::from_static(method.path);
        let responses = grpc.streaming(request, path, Raw).await?;
        Ok(Stream {
            method,
            requests,
            responses: responses.into_inner(),
        })
    }

    /// The next response: how many resources it is about.
    pub(crate) async fn next(&mut self) -> Result<usize, Status> {
        let next = tokio::time::timeout(DEADLINE, self.responses.message()).await;
        let next = next.map_err(|_| Status::deadline_exceeded("no response"))??;
        let response = next.ok_or_else(|| Status::cancelled("the stream ended"))?;
        let wrong = |error: prost::DecodeError| Status::internal(error.to_string());
        if self.method.is_delta() {
            let _ = self
                .requests
                .send(self.method.acknowledge(&response).map_err(wrong)?);
        }
        self.method.names(response).map_err(wrong)
    }

    /// Opens it, and how it is answered: how many resources the first response is about.
    pub(crate) async fn first_answer(
        channel: Channel,
        shows: &Shows,
        method: Method,
        node: &Node,
        name: &str,
    ) -> Result<usize, Status> {
        let mut stream = Stream::open(channel, shows, method, node, name).await?;
        stream.next().await
    }

    /// How it ends.
    pub(crate) async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

/// Messages as bytes.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
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
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put_slice(&item);
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
