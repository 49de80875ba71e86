//! Connections: accepting them, how they are kept alive, and how they are told to go.
//!
//! A stream never ends by itself, and a proxy whose stream ends opens the next one on the same connection. So what is told to go is the
//! connection (GOAWAY), and its streams end with it (xDS rules 146, 153).

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use xxhash_rust::xxh3::xxh3_64;

use crate::drive::{Drive, Event, Streams};
use crate::server::{Admit, AdsServer};
use crate::stream::Closing;

/// How often an idle connection is probed, and how long the answer may take (xDS rule 150).
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
/// Streams that one connection may have: far more than a proxy needs, far fewer than would hurt (xDS rule 158).
const MAX_STREAMS: u32 = 1000;
/// What a client may send without being read, per stream and per connection. A stream is read only when its connection can be written
/// to, so this is what keeps a client that writes before it reads from waiting for itself (xDS rules 130, 157): twenty thousand names.
const WINDOWS: (u32, u32) = (2 << 20, 4 << 20);
/// On shutdown this much time passes between two connections that are told to go, on average.
const CLOSING_PACE: Duration = Duration::from_millis(2);
/// After an error that passes (no more file descriptors, say) accepting rests for so long.
const REST: Duration = Duration::from_millis(50);

/// Why serving ended.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The listening socket cannot be used any more.
    #[error("accepting xDS connections: {0}")]
    Accept(#[from] io::Error),
}

/// What the connections of a server share.
struct Connections<A> {
    ads: AdsServer<A>,
    shutdown: CancellationToken,
    open: AtomicU32,
}

/// Serves until `shutdown` is cancelled and every connection has ended: each is told to go, in an order of chance over a short window,
/// so that a fleet does not ask the next replica all at once.
pub async fn serve<A: Admit>(
    listener: TcpListener,
    ads: AdsServer<A>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let shared = Arc::new(Connections {
        ads,
        shutdown,
        open: AtomicU32::new(0),
    });
    let tasks = TaskTracker::new();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.shutdown.cancelled() => break,
        };
        match accepted {
            Ok((socket, _)) => {
                number += 1;
                tasks.spawn(connection(shared.clone(), socket, number));
            }
            Err(error) if is_final(&error) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
    Ok(())
}

fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected | io::ErrorKind::Unsupported
    )
}

async fn connection<A: Admit>(shared: Arc<Connections<A>>, socket: TcpStream, number: u64) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    shared.open.fetch_add(1, Ordering::Relaxed);
    let closing = Closing::default();
    let ads = shared.ads.clone();
    let service = service_fn({
        let closing = closing.clone();
        move |request| {
            let response = ads.respond(request, &closing);
            async { Ok::<_, std::convert::Infallible>(response) }
        }
    });
    let streams = Streams::default();
    let connection = builder(&streams).serve_connection(TokioIo::new(socket), service);
    let commits = shared.ads.shared.snapshots.bell().listen();
    let timer = its_time(shared.clone(), number);
    let mut drive = Drive::new(connection, timer, streams, commits);
    let ended = loop {
        match drive.next().await {
            Event::ItsTime => {
                drive.connection().graceful_shutdown();
                closing.begin();
                drive.wake_streams();
            }
            Event::Ended(ended) => break ended,
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
    shared.open.fetch_sub(1, Ordering::Relaxed);
}

fn builder(streams: &Streams) -> http2::Builder<Streams> {
    let (interval, timeout) = KEEPALIVE;
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(interval)
        .keep_alive_timeout(timeout)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_concurrent_streams(MAX_STREAMS);
    builder
}

/// Returns when a connection has to go: because of its age, or because all have to.
async fn its_time<A: Admit>(shared: Arc<Connections<A>>, number: u64) {
    let settings = &shared.ads.shared;
    let chance = xxh3_64(&number.to_le_bytes()) as f64 / u64::MAX as f64;
    let age = settings
        .max_connection_age
        .map(|age| age.mul_f64(0.9 + 0.2 * chance));
    tokio::select! {
        () = sleep(age) => {}
        () = shared.shutdown.cancelled() => {
            let all = CLOSING_PACE * shared.open.load(Ordering::Relaxed);
            let window = all.min(settings.closing_window);
            tokio::time::sleep(window.mul_f64(chance)).await;
        }
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => pending().await,
    }
}
