//! The admin server: `/livez`, `/readyz`, `/metrics`, and what else is to be shown.
//!
//! Every request is answered at once, so that no client needs much time or many connections. The
//! oldest connections are closed for new ones when there are too many. Where there are certificates
//! for it, the port speaks TLS to who begins with that, and plain HTTP to everybody else.

mod exposition;
pub(crate) mod freshness;
pub(crate) mod health;
pub(crate) mod watch_status;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use crate::admin::health::Health;
use crate::admin::watch_status::Watches;
use crate::process::outside;

/// How many connections may be open: probes, collectors of metrics, and people.
pub(crate) const CONNECTIONS: usize = 64;
/// How long a client may take to send a request's head, or be silent between two requests.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a connection may last, whatever its client does.
const LIFE: Duration = Duration::from_secs(60);
/// The largest head of a request, in bytes.
const MAX_HEADERS: usize = 16 << 10;
/// The first byte of a TLS connection, by which no request in plain text begins.
const TLS: u8 = 0x16;
/// The pause after an error of `accept`.
const REST: Duration = Duration::from_millis(50);

/// What the handlers of the admin server read.
#[derive(Clone, Debug)]
struct Admin {
    health: Health,
    watches: Watches,
    registry: Arc<Registry>,
}

/// The newest TLS configuration of the xDS port, for the connections that begin from now on.
pub(crate) type Configs = watch::Receiver<Arc<ServerConfig>>;

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// In plain text from this machine, or this pod, over its loopback.
    Loopback,
    /// In plain text from elsewhere.
    Elsewhere,
    /// Over TLS, from wherever, with this verified certificate and those that lead to its
    /// authority. Empty if it showed none.
    Tls(Arc<[CertificateDer<'static>]>),
}

impl Caller {
    fn of(socket: &TcpStream) -> Caller {
        let is_loopback = |address: io::Result<SocketAddr>| {
            address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
        };
        match is_loopback(socket.peer_addr()) && is_loopback(socket.local_addr()) {
            true => Caller::Loopback,
            false => Caller::Elsewhere,
        }
    }

    fn over(stream: &TlsStream<TcpStream>) -> Caller {
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().unwrap_or_default();
        let owned = shown.iter().map(|one| one.clone().into_owned());
        Caller::Tls(owned.collect())
    }
}

/// Serves until the process ends: its own paths, and those of `more`. With `tls` also over TLS.
pub(crate) async fn serve(
    (listener, tls): (TcpListener, Option<Configs>),
    health: Health,
    watches: Watches,
    registry: Registry,
    more: Router,
) -> io::Result<()> {
    let admin = Admin {
        health,
        watches,
        registry: Arc::new(registry),
    };
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
        .merge(more);
    accept(listener, tls, router).await
}

/// Handles `/readyz`. The first line says whether to send traffic here, further lines what is
/// degraded all the same: stale is ready, since a proxy that connects gets all there is to serve.
async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let (status, line) = match admin.health.ready() {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    let stale = admin.health.stale().map(|stale| format!("stale: {stale}"));
    let mut lines = vec![line.to_owned()];
    lines.extend(stale.into_iter().chain(admin.watches.degraded()));
    lines.extend(admin.health.among_peers());
    let waiting = admin.health.has_secrets().err();
    lines.extend(waiting.map(str::to_owned));
    lines.extend(admin.watches.absent());
    lines.extend(outside::overdue());
    (status, lines.join("\n") + "\n")
}

async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> impl IntoResponse {
    exposition::answer(&admin.registry, &headers)
}

/// Serves `/metrics` alone, for as long as it is polled.
pub(crate) async fn serve_metrics(
    listener: TcpListener,
    registry: Arc<Registry>,
) -> io::Result<()> {
    let answer = move |headers: HeaderMap| async move { exposition::answer(&registry, &headers) };
    accept(listener, None, Router::new().route("/metrics", get(answer))).await
}

/// Accepts connections for ever. When there are too many, the oldest is closed.
async fn accept(listener: TcpListener, tls: Option<Configs>, router: Router) -> io::Result<()> {
    let mut open: VecDeque<AbortOnDropHandle<()>> = VecDeque::with_capacity(CONNECTIONS);
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // No more open files, say; a listener itself does not fail.
            sleep(REST).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS {
            open.pop_front();
        }
        let connection = tokio::spawn(serve_connection(socket, tls.clone(), router.clone()));
        open.push_back(AbortOnDropHandle::new(connection));
    }
}

/// Serves one connection for as long as it may last.
async fn serve_connection(socket: TcpStream, tls: Option<Configs>, router: Router) {
    let served = async {
        let greeted = match tls {
            Some(configs) => timeout(HEADERS, greet(socket, &configs)).await??,
            None => Greeted::Plain(socket),
        };
        match greeted {
            Greeted::Plain(socket) => {
                let caller = Caller::of(&socket);
                answer(socket, caller, router).await
            }
            Greeted::Tls(stream) => {
                let caller = Caller::over(&stream);
                answer(*stream, caller, router).await
            }
        }
    };
    if let Ok(Err(error)) = timeout(LIFE, served).await {
        tracing::debug!(%error, "a connection to the admin port ended");
    }
}

/// A connection whose client has said how it speaks.
enum Greeted {
    /// In plain text.
    Plain(TcpStream),
    /// Over TLS, after the handshake.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Looks at the first byte, and shakes hands if it is TLS.
async fn greet(socket: TcpStream, configs: &Configs) -> io::Result<Greeted> {
    let mut first = [0];
    socket.peek(&mut first).await?;
    if first != [TLS] {
        return Ok(Greeted::Plain(socket));
    }
    let mut config = ServerConfig::clone(&configs.borrow());
    // The xDS port has HTTP/2 alone, and this one HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Ok(Greeted::Tls(Box::new(acceptor.accept(socket).await?)))
}

/// Answers the requests of a connection.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    caller: Caller,
    router: Router,
) -> anyhow::Result<()> {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(MAX_HEADERS);
    let service = TowerToHyperService::new(router.layer(Extension(caller)));
    builder
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}
