//! Requests with everything that a test may want to say in them, over a connection that stays open.

use std::convert::Infallible;
use std::fmt;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

use crate::Namespace;
use crate::echo::{self, Echoed};

/// How long connecting may take, and an answer unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(5);

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    method: String,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
    body: AskBody,
    patience: Duration,
}

impl Ask {
    /// `GET path`, of this host.
    pub fn get(host: &str, path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: AskBody::default(),
            patience: DEADLINE,
        }
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body of so many bytes, whose length is said before it.
    #[must_use]
    pub fn body(mut self, length: usize) -> Self {
        self.body = AskBody::new(length, true);
        self
    }

    /// With a body of so many bytes, of which nothing is said before it.
    #[must_use]
    pub fn streamed_body(mut self, length: usize) -> Self {
        self.body = AskBody::new(length, false);
        self
    }

    /// The answer may take so long, instead of 5 seconds.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    fn request(&self, uri: String, host: Option<&str>) -> Result<Request<AskBody>> {
        let mut request = Request::builder().method(&*self.method).uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(self.body.clone())?)
    }
}

/// The body of a request.
#[derive(Clone, Debug, Default)]
struct AskBody {
    content: Full<Bytes>,
    /// Whether nobody is told how long it is.
    hidden: bool,
}

impl AskBody {
    fn new(length: usize, said: bool) -> Self {
        Self {
            content: Full::new(vec![b'x'; length].into()),
            hidden: !said,
        }
    }
}

impl Body for AskBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.content).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.hidden {
            true => SizeHint::default(),
            false => self.content.size_hint(),
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.path)?;
        let mut headers = self.headers.iter();
        headers.try_for_each(|(name, value)| write!(f, " [{name}: {value}]"))
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// The values of a header, joined as a list.
    pub fn header(&self, name: &str) -> Option<String> {
        let all = self.headers.iter().filter(|(n, _)| n == name);
        let values: Vec<&str> = all.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// The request as an echoing backend got it.
    pub fn echoed(&self) -> Result<Echoed> {
        echo::echoed(&self.body)
    }

    /// The backend that answered with status 200.
    pub fn backend(&self) -> Option<String> {
        let seen = Echoed::read(&self.body).filter(|_| self.status == 200)?;
        Some(seen.backend)
    }
}

enum Sender {
    Http1(http1::SendRequest<AskBody>),
    Http2(http2::SendRequest<AskBody>),
}

/// A connection that stays open between requests, HTTP/1.1 or HTTP/2 from its first byte. It is
/// never made anew: a request over one that was closed fails.
pub struct Connection {
    sender: Sender,
    runtime: Runtime,
    certificate: Vec<u8>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects from inside `namespace`, to speak HTTP/2 if `http2` says so.
    pub fn open(namespace: &Namespace, target: SocketAddr, http2: bool) -> Result<Self> {
        let stream = connect(namespace, target)?;
        let runtime = runtime()?;
        let sender = runtime.block_on(async {
            let stream = TcpStream::from_std(stream)?;
            timeout(DEADLINE, handshake(stream, http2)).await?
        })?;
        Ok(Self {
            sender,
            runtime,
            certificate: Vec::new(),
        })
    }

    /// Connects with TLS from inside `namespace`, and speaks the version of HTTP that is agreed on.
    #[cfg(feature = "worlds")]
    pub fn secured(
        namespace: &Namespace,
        target: SocketAddr,
        tls: &crate::secured::Tls,
    ) -> Result<Self> {
        Self::over(connect(namespace, target)?, tls)
    }

    /// [`Connection::secured`] from the namespace of this thread.
    #[cfg(feature = "worlds")]
    pub fn secured_here(target: SocketAddr, tls: &crate::secured::Tls) -> Result<Self> {
        Self::over(tcp(target)?, tls)
    }

    #[cfg(feature = "worlds")]
    fn over(stream: StdStream, tls: &crate::secured::Tls) -> Result<Self> {
        let runtime = runtime()?;
        let opened = async {
            let stream = tls.connect(TcpStream::from_std(stream)?).await?;
            let (_, session) = stream.get_ref();
            let shown = session.peer_certificates().and_then(<[_]>::first);
            let certificate = shown.map(|shown| shown.to_vec()).unwrap_or_default();
            let http2 = session.alpn_protocol() == Some(b"h2");
            anyhow::Ok((handshake(stream, http2).await?, certificate))
        };
        let (sender, certificate) = runtime.block_on(async { timeout(DEADLINE, opened).await? })?;
        Ok(Self {
            sender,
            runtime,
            certificate,
        })
    }

    /// The certificate that the other side has shown; empty without TLS.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Whether HTTP/2 is spoken.
    pub fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// One request, and its answer to the end.
    pub fn ask(&mut self, ask: &Ask) -> Result<Reply> {
        let Self {
            sender, runtime, ..
        } = self;
        let exchange = async {
            let response = match sender {
                Sender::Http1(sender) => {
                    sender.ready().await?;
                    let request = ask.request(ask.path.clone(), Some(&ask.host))?;
                    sender.send_request(request).await
                }
                Sender::Http2(sender) => {
                    sender.ready().await?;
                    let uri = format!("http://{}{}", ask.host, ask.path);
                    sender.send_request(ask.request(uri, None)?).await
                }
            };
            read(response?).await
        };
        let answered = runtime.block_on(async { timeout(ask.patience, exchange).await });
        let answered = answered.with_context(|| format!("{ask}: no answer"))?;
        answered.with_context(|| format!("{ask}: no whole answer"))
    }
}

fn runtime() -> Result<Runtime> {
    Ok(runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// A TCP connection from inside `namespace`.
fn connect(namespace: &Namespace, target: SocketAddr) -> Result<StdStream> {
    namespace.run(move || tcp(target))?
}

/// A TCP connection from the namespace of this thread.
fn tcp(target: SocketAddr) -> Result<StdStream> {
    let stream = StdStream::connect_timeout(&target, DEADLINE)?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Begins HTTP over a connection.
async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
) -> Result<Sender> {
    let stream = TokioIo::new(stream);
    if http2 {
        let (sender, driver) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(driver);
        return Ok(Sender::Http2(sender));
    }
    let (sender, driver) = http1::handshake(stream).await?;
    tokio::spawn(driver);
    Ok(Sender::Http1(sender))
}

async fn read(response: Response<Incoming>) -> Result<Reply> {
    let (head, body) = response.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let body = body.collect().await?.to_bytes();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
