//! A control plane that has nothing to say and remembers who came: over TLS, by certificate and by
//! token.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context as Waker, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;

use crate::certs::{Ca, Leaf};
use crate::tls;

/// A gRPC message without content: for an xDS client a response about nothing, after which it asks
/// again without a pause.
const NOTHING: &[u8] = &[0; 5];

const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A stream that a client opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// The client's certificate, as [`Leaf::der`].
    pub certificate: Option<Vec<u8>>,
    /// The `authorization` header.
    pub authorization: Option<String>,
}

#[derive(Debug)]
enum Seen {
    Stream(Stream),
    Refusal(String),
}

/// A running server on a port of 127.0.0.1. It takes TLS 1.3 only, resumes no session, and asks for
/// certificates without insisting.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    seen: Receiver<Seen>,
    orders: watch::Sender<Orders>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How often streams and connections have been told to end.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    streams: u64,
    connections: u64,
}

impl Recorder {
    /// Shows `server`, believes certificates of `clients`.
    pub fn start(server: &Leaf, clients: &Ca) -> Result<Self> {
        let acceptor = tls::acceptor(server, clients, true, &[b"h2"])?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (tell, seen) = channel();
        let (stop, stopped) = oneshot::channel();
        let orders = watch::Sender::new(Orders::default());
        let server = Server {
            acceptor,
            tell,
            orders: orders.subscribe(),
        };
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    tokio::select! { () = accept(listener, &server) => {}, _ = stopped => {} }
                }
            });
        });
        Ok(Self {
            address,
            seen,
            orders,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The stream that a client opens next, within twenty seconds; an error if it breaks off its
    /// handshake.
    pub fn next_stream(&self) -> Result<Stream> {
        match self.next()? {
            Seen::Stream(stream) => Ok(stream),
            Seen::Refusal(why) => bail!("the client broke off its handshake: {why}"),
        }
    }

    /// Why a client breaks off its handshake next, within twenty seconds; an error if it opens a
    /// stream.
    pub fn next_refusal(&self) -> Result<String> {
        match self.next()? {
            Seen::Stream(stream) => bail!("the client opened a stream: {stream:?}"),
            Seen::Refusal(why) => Ok(why),
        }
    }

    fn next(&self) -> Result<Seen> {
        let next = self.seen.recv_timeout(Duration::from_secs(20));
        next.context("no client came")
    }

    /// Ends the streams that are open, with UNAVAILABLE. Their connections stay.
    pub fn end_streams(&self) {
        self.orders.send_modify(|orders| orders.streams += 1);
    }

    /// Closes the connections that are open.
    pub fn close_connections(&self) {
        self.orders.send_modify(|orders| orders.connections += 1);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the connections share.
#[derive(Clone)]
struct Server {
    acceptor: TlsAcceptor,
    // Nobody listens any more when the test is over.
    tell: Sender<Seen>,
    orders: watch::Receiver<Orders>,
}

async fn accept(listener: TcpListener, server: &Server) {
    loop {
        if let Ok((socket, _)) = listener.accept().await {
            let serving = server.clone().serve(socket);
            let mut orders = server.orders.clone();
            let before = orders.borrow_and_update().connections;
            tokio::spawn(async move {
                let closed = orders.wait_for(|orders| orders.connections > before);
                tokio::select! { () = serving => {}, _ = closed => {} }
            });
        }
    }
}

impl Server {
    /// Serves one connection.
    async fn serve(self, socket: TcpStream) {
        let stream = match self.acceptor.accept(socket).await {
            Ok(stream) => stream,
            Err(error) => return drop(self.tell.send(Seen::Refusal(error.to_string()))),
        };
        let client = stream.get_ref().1;
        let certificates = client.peer_certificates().unwrap_or_default();
        let who = Stream {
            server_name: client.server_name().map(str::to_owned),
            certificate: certificates.first().map(|first| first.to_vec()),
            authorization: None,
        };
        let service = service_fn(|request: Request<Incoming>| {
            let header = request.headers().get(AUTHORIZATION);
            let text = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let answer = answer(request.into_body(), self.orders.clone());
            let _ = self.tell.send(Seen::Stream(Stream {
                authorization: text,
                ..who.clone()
            }));
            async { Ok::<_, Infallible>(answer) }
        });
        let builder = http2::Builder::new(TokioExecutor::new());
        let _ = builder
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

fn answer(request: Incoming, mut orders: watch::Receiver<Orders>) -> Response<Held> {
    let before = orders.borrow_and_update().streams;
    let ended = async move {
        let _ = orders.wait_for(|orders| orders.streams > before).await;
    };
    let mut response = Response::new(Held {
        said: false,
        ended: Some(Box::pin(ended)),
        _request: request,
    });
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}

/// The body of a stream: one message about nothing, and the end when it is told.
struct Held {
    said: bool,
    ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Kept, because the stream would be reset without a reader.
    _request: Incoming,
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        waker: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.said {
            self.said = true;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(NOTHING)))));
        }
        let Some(ended) = &mut self.ended else {
            return Poll::Ready(None);
        };
        std::task::ready!(ended.as_mut().poll(waker));
        self.ended = None;
        let unavailable = HeaderValue::from_static("14");
        let trailers = HeaderMap::from_iter([(STATUS, unavailable)]);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}
