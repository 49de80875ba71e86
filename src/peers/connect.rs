//! A connection to one peer, on which it tells its digests: with the TLS of the xDS port, and the
//! proof of this replica's identity that proxies have to show there as well.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, TE};
use axum::http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use seaway_proto::peers::WATCH;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::digest::Digest;
use super::frames::{EMPTY, Frames};
use crate::admission::tls::ClientFiles;
use crate::process::outside::quote;

/// How long connecting, with everything up to the head of the answer, may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a peer may say nothing; it tells something each second.
const SILENCE: Duration = Duration::from_secs(5);

/// How this replica knows others and proves who it is; the files are read for each connection.
#[derive(Clone, Debug)]
pub(crate) struct PeerTls {
    /// The authorities of peers' certificates, and the proof of this replica.
    pub(crate) files: ClientFiles,
    /// The name that their certificates must have.
    pub(crate) name: String,
}

/// The digests that a peer tells.
pub(super) struct Told {
    body: Incoming,
    frames: Frames,
    _connection: AbortOnDropHandle<()>,
}

impl Told {
    /// The next digest.
    ///
    /// # Errors
    /// The peer says nothing, or what cannot be used, or the call has ended.
    pub(super) async fn next(&mut self) -> anyhow::Result<Digest> {
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(Digest::read(&message)?);
            }
            let frame = timeout(SILENCE, self.body.frame()).await;
            let frame = frame.map_err(|_| anyhow::anyhow!("it says nothing"))?;
            let Some(frame) = frame else {
                bail!("the call has ended");
            };
            let frame = frame.context("the call broke")?;
            match frame.data_ref() {
                Some(data) => self.frames.add(data),
                None => bail!("{}", frame.trailers_ref().map_or_else(String::new, status)),
            }
        }
    }
}

/// The gRPC status by which a call has ended, as a text.
fn status(headers: &HeaderMap) -> String {
    let text = |name: &str| {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    let (code, message) = (text("grpc-status"), text("grpc-message"));
    quote(&format!("it answers with gRPC status {code}: {message}"))
}

/// Connects to a peer and asks for its digests.
///
/// # Errors
/// It cannot be reached, is not who it should be, or refuses.
pub(super) async fn connect(address: SocketAddr, tls: Option<&PeerTls>) -> anyhow::Result<Told> {
    let connected = timeout(CONNECT, connect_in_time(address, tls)).await;
    connected.map_err(|_| anyhow::anyhow!("it does not answer"))?
}

async fn connect_in_time(address: SocketAddr, tls: Option<&PeerTls>) -> anyhow::Result<Told> {
    let Some(tls) = tls.cloned() else {
        let socket = TcpStream::connect(address).await?;
        return ask(socket, "http", &address.to_string(), None).await;
    };
    // It waits for a disk.
    let PeerTls { files, name } = tls;
    let proof = tokio::task::spawn_blocking(move || files.read(b"h2")).await??;
    let server = ServerName::try_from(name.clone()).context("--peers-server-name")?;
    let socket = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(proof.config);
    let socket = connector.connect(server, socket).await;
    let socket = socket.context("TLS")?;
    ask(socket, "https", &name, proof.authorization).await
}

async fn ask<S>(
    socket: S,
    scheme: &str,
    authority: &str,
    authorization: Option<HeaderValue>,
) -> anyhow::Result<Told>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(socket)).await?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // Whoever reads from it hears of its end.
        let _ = connection.await;
    }));
    let mut request = Request::post(format!("{scheme}://{authority}{WATCH}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(Bytes::from_static(EMPTY)))?;
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let response = sender.send_request(request).await?;
    let head = response.headers();
    if response.status() != StatusCode::OK {
        bail!("it answers {}", response.status());
    }
    if head.contains_key(HeaderName::from_static("grpc-status")) {
        bail!("{}", status(head));
    }
    Ok(Told {
        body: response.into_body(),
        frames: Frames::default(),
        _connection: connection,
    })
}
