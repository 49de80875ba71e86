//! Clients: one request over one new connection, and connections that are held open.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream as StdStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, Response, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::time::timeout;

use crate::Namespace;
use crate::backend::{SAW_CLIENT, SAW_HOST, SAW_VERSION};

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body: a backend answers with its name.
    pub body: String,
    /// The host name the backend was asked for, "" when no backend answered.
    pub host: String,
    /// The HTTP version the backend was asked in, "" when no backend answered.
    pub version: String,
    /// The address from which the backend was asked; `None` when no backend answered.
    pub client: Option<IpAddr>,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A complete response.
    Answered(Answer),
    /// The kernel refused the connection.
    Refused,
    /// Accepted or half accepted, then closed without a complete response.
    Closed(String),
    /// Nothing within the deadline.
    TimedOut,
}

impl Outcome {
    /// The backend that answered with status 200.
    pub fn backend(&self) -> Option<&str> {
        match self {
            Self::Answered(answer) if answer.status == 200 => Some(&answer.body),
            _ => None,
        }
    }

    /// The address from which a backend saw this client, when one answered with status 200.
    pub fn client(&self) -> Option<IpAddr> {
        match self {
            Self::Answered(answer) if answer.status == 200 => answer.client,
            _ => None,
        }
    }

    /// Who answered, or in one word what became of the request otherwise: `refused`, `closed`,
    /// `timed out`.
    pub fn word(&self) -> &str {
        match self {
            Self::Answered(answer) if answer.status == 200 => &answer.body,
            Self::Answered(_) => "failed",
            Self::Refused => "refused",
            Self::Closed(_) => "closed",
            Self::TimedOut => "timed out",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) if answer.status == 200 => write!(f, "{}", answer.body),
            Self::Answered(answer) => write!(f, "status {} {}", answer.status, answer.body.trim()),
            Self::Refused => f.write_str("connection refused"),
            Self::Closed(reason) => write!(f, "connection closed ({reason})"),
            Self::TimedOut => f.write_str("timed out"),
        }
    }
}

/// A request to be made from somewhere: where to connect, and what to ask for.
#[derive(Clone, Debug)]
pub struct Client {
    target: SocketAddr,
    pub(crate) host: String,
    path: String,
    http2: bool,
}

impl Client {
    /// `GET /` at `target`, HTTP/1.1, with the address as host name.
    pub fn new(target: impl Into<SocketAddr>) -> Self {
        let target = target.into();
        Self {
            target,
            host: target.to_string(),
            path: "/".to_owned(),
            http2: false,
        }
    }

    /// Asks for this host name.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Asks for this path.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Speaks HTTP/2 from the first byte.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// One request over a new connection, from inside `namespace`.
    pub fn get(&self, namespace: &Namespace) -> Result<Outcome> {
        let mut outcomes = self.get_often(namespace, 1)?;
        outcomes.pop().context("one request has one outcome")
    }

    /// `count` requests, one after the other, each over a new connection, from inside `namespace`.
    pub fn get_often(&self, namespace: &Namespace, count: usize) -> Result<Vec<Outcome>> {
        let client = self.clone();
        namespace.run(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Ok(runtime.block_on(async {
                let mut outcomes = Vec::with_capacity(count);
                for _ in 0..count {
                    outcomes.push(client.clone().send().await);
                }
                outcomes
            }))
        })?
    }

    /// One request over a new connection, from the namespace of the thread that polls this.
    pub(crate) async fn send(self) -> Outcome {
        outcome(self.exchange()).await
    }

    /// A new connection, from the namespace of the thread that polls this.
    pub(crate) async fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn exchange(&self) -> Result<Answer> {
        let stream = self.connect().await?;
        let response = if self.http2 {
            self.over_http2(stream).await
        } else {
            self.over_http1(stream).await
        }?;
        read(response).await
    }

    async fn over_http1(&self, stream: TcpStream) -> Result<Response<Incoming>> {
        let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(&self.path)
            .header(HOST, &self.host)
            .header(CONNECTION, "close");
        Ok(sender
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?)
    }

    async fn over_http2(&self, stream: TcpStream) -> Result<Response<Incoming>> {
        let (mut sender, connection) =
            conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(format!("http://{}{}", self.host, self.path));
        Ok(sender
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET http://{}{}", self.target, self.path)?;
        if self.http2 {
            f.write_str("  (HTTP/2)")?;
        }
        let named = self.host != self.target.to_string();
        if named {
            write!(f, "  host: {}", self.host)
        } else {
            Ok(())
        }
    }
}

/// What becomes of an exchange within the deadline.
pub(crate) async fn outcome(exchange: impl Future<Output = Result<Answer>>) -> Outcome {
    match timeout(DEADLINE, exchange).await {
        Ok(Ok(answer)) => Outcome::Answered(answer),
        Ok(Err(error)) if refused(&error) => Outcome::Refused,
        Ok(Err(error)) => Outcome::Closed(format!("{error:#}")),
        Err(_) => Outcome::TimedOut,
    }
}

/// Whether the kernel said no.
fn refused(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Reads a response to its end.
pub(crate) async fn read(response: Response<Incoming>) -> Result<Answer> {
    let (head, body) = response.into_parts();
    let header = |name| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let (host, version) = (header(SAW_HOST), header(SAW_VERSION));
    let client = header(SAW_CLIENT).parse().ok();
    let body = body.collect().await?.to_bytes();
    Ok(Answer {
        status: head.status.as_u16(),
        body: String::from_utf8_lossy(&body).into_owned(),
        host,
        version,
        client,
    })
}

/// A connection that stays open between requests (HTTP/1.1 keep-alive).
#[derive(Debug)]
pub struct Held {
    stream: StdStream,
}

impl Held {
    /// Connects from inside `namespace`.
    pub fn open(namespace: &Namespace, target: impl Into<SocketAddr>) -> Result<Self> {
        let target = target.into();
        let stream = namespace.run(move || StdStream::connect_timeout(&target, DEADLINE))??;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// One request over the connection; the answering backend's name.
    pub fn get(&mut self) -> Result<String> {
        Ok(self.ask("/")?.1)
    }

    /// One request over the connection for a path: the head of the response as text, and its body.
    pub fn ask(&mut self, path: &str) -> Result<(String, String)> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: held\r\n\r\n");
        self.stream.write_all(request.as_bytes())?;
        let mut received = Vec::new();
        loop {
            if let Some(response) = complete(&received)? {
                return Ok(response);
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer)?;
            ensure!(count > 0, "the connection was closed");
            received.extend_from_slice(&buffer[..count]);
        }
    }

    /// Waits until the other side closes the connection, for at most `limit`.
    pub fn closed_within(&mut self, limit: Duration) -> Result<()> {
        self.stream.set_read_timeout(Some(limit))?;
        match self.stream.read(&mut [0; 64]) {
            Ok(0) => Ok(()),
            Ok(_) => bail!("unexpected bytes instead of the end of the connection"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error).context("the connection is still open"),
        }
    }

    /// Whether the connection is open and idle.
    pub fn is_open(&mut self) -> Result<bool> {
        self.stream.set_nonblocking(true)?;
        let looked = self.stream.peek(&mut [0; 1]);
        self.stream.set_nonblocking(false)?;
        Ok(matches!(looked, Err(error) if error.kind() == ErrorKind::WouldBlock))
    }
}

/// Head and body, once both have arrived; the length is always announced by backends.
fn complete(received: &[u8]) -> Result<Option<(String, String)>> {
    let text = String::from_utf8_lossy(received);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let lengths = head.lines().filter_map(|line| line.split_once(':'));
    let mut length = lengths
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim());
    let length: usize = length
        .next_back()
        .context("a response without content-length")?
        .parse()?;
    Ok((body.len() >= length).then(|| (head.to_owned(), body.to_owned())))
}
