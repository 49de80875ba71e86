//! A connection to one peer, on which it tells its digests: with the TLS of the xDS port, and the
//! proof of this replica's identity that proxies have to show there as well.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, TE};
use axum::http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use seaway_proto::peers::WATCH;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::digest::Digest;
use super::frames::{EMPTY, Frames};
use crate::process::outside::{quote, read_credential};
use crate::process::pem;

/// How long connecting, with everything up to the head of the answer, may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a peer may say nothing; it tells something each second.
const SILENCE: Duration = Duration::from_secs(5);

/// How this replica knows others and proves who it is; the files are read for each connection.
#[derive(Clone, Debug)]
pub(crate) struct PeerTls {
    /// The authorities of peers' certificates.
    pub(crate) ca: PathBuf,
    /// The name that their certificates must have.
    pub(crate) name: String,
    /// This replica's own certificate and its key.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    /// The token of its service account.
    pub(crate) token: Option<PathBuf>,
}

/// What the files have.
struct Proof {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    authorization: Option<HeaderValue>,
}

impl PeerTls {
    fn read(&self) -> anyhow::Result<Proof> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in certificates("--peers-ca", &self.ca)? {
            roots.add(authority).context("--peers-ca")?;
        }
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .context("TLS 1.3")?
            .with_root_certificates(roots);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("--peers-cert", certificate)?;
                let flag = "--peers-key";
                let key = pem::private_key(flag, &read_credential(flag, key)?)?;
                let own = builder.with_client_auth_cert(chain, key);
                own.context("--peers-cert and --peers-key do not match")?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let token = self.token.as_deref().map(token).transpose()?;
        Ok(Proof {
            config: Arc::new(config),
            name: ServerName::try_from(self.name.clone()).context("--peers-server-name")?,
            authorization: token,
        })
    }
}

fn certificates(flag: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    pem::certificates(flag, &read_credential(flag, path)?)
}

/// The header that shows a token. Its value is never logged.
fn token(path: &Path) -> anyhow::Result<HeaderValue> {
    let bytes = read_credential("--peers-token-file", path)?;
    let text = [b"Bearer ".as_slice(), bytes.trim_ascii()].concat();
    let mut value = HeaderValue::from_bytes(&text).context("--peers-token-file: no token")?;
    value.set_sensitive(true);
    Ok(value)
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
    let proof = tokio::task::spawn_blocking(move || tls.read()).await??;
    let socket = TcpStream::connect(address).await?;
    let name = proof.name.to_str().into_owned();
    let connector = TlsConnector::from(proof.config);
    let socket = connector.connect(proof.name, socket).await;
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
