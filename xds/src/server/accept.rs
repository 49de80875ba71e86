//! Connections: accepting them, keeping them alive, and closing them with GOAWAY.
//!
//! A stream never ends by itself, and a proxy whose stream ends opens the next one on the same
//! connection. So GOAWAY closes the connection, and its streams end with it (xDS rules 146, 153).

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::field::{DisplayValue, display};
use xxhash_rust::xxh3::xxh3_64;

use crate::guard::liveness::{Closing, Connection};
use crate::guard::log_limit::LogLimit;
use crate::limits::Limits;
use crate::reasons::CloseReason;
use crate::server::connection_task::{ConnectionTask, Event, Streams};
use crate::server::shedding::shed;
use crate::server::socket::Socket;
use crate::server::transport::Transport;
use crate::server::{Admit, AdsServer};

/// The most bytes of a request's headers, as HTTP/2 counts them (xDS rule 158): room for a large
/// token.
const MAX_HEADERS: u32 = 16 << 10;
/// The most streams that a client may have reset before they were looked at, and that the server
/// may have reset for a client's faults over the life of a connection; more is an attack, and ends
/// the connection (xDS rule 158).
const MAX_RESETS: (usize, usize) = (100, 1000);
/// The most bytes that a client may send unread, per stream and per connection, by the number of
/// open connections. A stream is read only when its connection can be written to, so this is what
/// keeps a client that writes before it reads from waiting for itself (xDS rules 130, 157): twenty
/// thousand names. These bytes are not counted as memory of clients, so new connections get less
/// the more are open; in the end what HTTP/2 begins with.
const WINDOWS: [(u32, (u32, u32)); 2] = [(8, (2 << 20, 4 << 20)), (64, (256 << 10, 256 << 10))];
const LEAST_WINDOWS: (u32, u32) = (65_535, 65_535);
/// The average time between the GOAWAYs of two connections on shutdown.
const CLOSING_INTERVAL: Duration = Duration::from_millis(2);
/// How long a stream whose connection closes may stay until it has its first answer (xDS rule 154).
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// How long accepting rests after an error that passes (no more file descriptors, for example).
const REST: Duration = Duration::from_millis(50);

/// The error with which [`serve`] ends.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The listening socket cannot be used any more.
    #[error("cannot accept xDS connections: {0}")]
    Accept(#[from] io::Error),
    /// The watchdog of connections ended: connections that hang would never be closed.
    #[error("the watchdog of connections ended: {0}")]
    Watchdog(#[from] JoinError),
}

/// The state that the accept loop and all connections of a server share.
struct Connections<A> {
    ads: AdsServer<A>,
    shutdown: CancellationToken,
    open: AtomicU32,
    /// The connections that may not have opened a stream yet, the oldest first.
    unused: Mutex<VecDeque<Weak<Connection>>>,
    refusals: LogLimit,
    failed_handshakes: LogLimit,
}

/// Serves connections until `shutdown` is cancelled and every connection has ended: each is closed
/// with GOAWAY, in random order over a short window, so that a fleet does not ask the next replica
/// all at once.
pub async fn serve<A: Admit>(
    listener: TcpListener,
    ads: AdsServer<A>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let looking = ads.shared.clone();
    let looking = tokio::spawn(async move {
        let identities = || looking.identities.look(&looking.metrics);
        looking.watchdog.run(&looking.metrics, identities).await;
    });
    let serving = accept_all(listener, ads, shutdown);
    guarded(AbortOnDropHandle::new(looking), serving).await
}

/// Serves connections for as long as the watchdog runs.
async fn guarded(
    watchdog: AbortOnDropHandle<()>,
    serving: impl Future<Output = Result<(), ServeError>>,
) -> Result<(), ServeError> {
    tokio::select! {
        served = serving => served,
        ended = watchdog => ended.map_err(Into::into),
    }
}

async fn accept_all<A: Admit>(
    listener: TcpListener,
    ads: AdsServer<A>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let shared = Arc::new(Connections {
        ads,
        shutdown,
        open: AtomicU32::new(0),
        unused: Mutex::default(),
        refusals: LogLimit::default(),
        failed_handshakes: LogLimit::default(),
    });
    let tasks = TaskTracker::new();
    let failures = LogLimit::default();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.shutdown.cancelled() => break,
        };
        match accepted {
            Ok((socket, _)) => {
                number += 1;
                if let Some(open) = Open::enter(&shared) {
                    tasks.spawn(connection(open, socket, number));
                }
            }
            Err(error) if is_final(&error) => return Err(error.into()),
            Err(error) => {
                if let Some(times) = failures.count_event() {
                    tracing::warn!(%error, times, "connections could not be accepted");
                }
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    shared.ads.shared.readiness.drain();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// A connection that counts as open until this is dropped.
struct Open<A: Admit>(Arc<Connections<A>>);

impl<A: Admit> Open<A> {
    /// Counts a connection as open, if there may be one more.
    fn enter(shared: &Arc<Connections<A>>) -> Option<Open<A>> {
        let settings = &shared.ads.shared;
        let open = shared.open.load(Ordering::Relaxed);
        let limit = settings.limits.connections;
        if limit.is_some_and(|limit| open as usize >= limit) && !shared.make_room() {
            settings.metrics.refused_connection();
            if let Some(times) = shared.refusals.count_event() {
                tracing::warn!(
                    open,
                    times,
                    "too many connections: new ones are closed at once"
                );
            }
            return None;
        }
        shared.open.fetch_add(1, Ordering::Relaxed);
        settings.metrics.connection(1);
        Some(Open(shared.clone()))
    }
}

impl<A> Connections<A> {
    /// Notes a connection that has not opened a stream yet.
    fn note_unused(&self, connection: &Arc<Connection>) {
        let mut unused = self.unused();
        while unused
            .front()
            .is_some_and(|first| still_unused(first).is_none())
        {
            unused.pop_front();
        }
        unused.push_back(Arc::downgrade(connection));
    }

    /// Cuts the oldest connection that has not opened a stream: a proxy opens one at once. `false`:
    /// there is none.
    fn make_room(&self) -> bool {
        let mut unused = self.unused();
        while let Some(first) = unused.pop_front() {
            if let Some(connection) = still_unused(&first) {
                connection.end(CloseReason::Crowded);
                return true;
            }
        }
        false
    }

    fn unused(&self) -> MutexGuard<'_, VecDeque<Weak<Connection>>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn still_unused(connection: &Weak<Connection>) -> Option<Arc<Connection>> {
    connection
        .upgrade()
        .filter(|connection| !connection.is_used())
}

impl<A: Admit> Drop for Open<A> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.ads.shared.metrics.connection(-1);
    }
}

fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected | io::ErrorKind::Unsupported
    )
}

async fn connection<A: Admit>(open: Open<A>, socket: TcpStream, number: u64) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY on a new connection");
        return;
    }
    let address = socket.peer_addr().ok();
    let shared = open.0.clone();
    let settings = &shared.ads.shared;
    let commits = settings.snapshots.notifier().listen();
    let (state, progress) = settings.watchdog.connection(commits.interest_handle());
    shared.note_unused(&state);
    let socket = Socket::new(socket, progress);
    let encrypted = tokio::select! {
        io = encrypt(socket, address, &shared) => io,
        why = state.ended() => return settings.metrics.closed(why),
    };
    let Some(io) = encrypted else {
        return;
    };
    let peer = Arc::new(io.peer(address));
    let address = address.map(display);
    let service = service_fn({
        let (ads, state) = (shared.ads.clone(), state.clone());
        move |request| ads.clone().respond(request, state.clone(), peer.clone())
    });
    let streams = Streams::default();
    let windows = windows(shared.open.load(Ordering::Relaxed));
    let builder = builder(&settings.limits, windows, &streams);
    let connection = builder.serve_connection(TokioIo::new(io), service);
    let timer = end_in_time(shared.clone(), state.clone(), number);
    let mut task = ConnectionTask::new(connection, timer, streams, commits);
    if let Event::Ended(ended) = task.next().await {
        return log(ended);
    }
    let why = state.ended().await;
    settings.metrics.closed(why);
    if is_closed_at_once(why, address.as_ref()) {
        return;
    }
    tracing::debug!(peer = address, ?why, "closing a connection with GOAWAY");
    task.connection().graceful_shutdown();
    for (closing, time) in [
        (Closing::Soon, LAST_ANSWER),
        (Closing::Now, settings.limits.grace),
    ] {
        state.close(closing);
        task.wake_streams();
        if let Ok(Event::Ended(ended)) = tokio::time::timeout(time, task.next()).await {
            return log(ended);
        }
    }
    tracing::debug!(
        peer = address,
        "a connection did not end after GOAWAY; it is closed"
    );
}

/// Whether a connection is closed without GOAWAY; logs that it is.
fn is_closed_at_once(why: CloseReason, peer: Option<&DisplayValue<SocketAddr>>) -> bool {
    match why {
        CloseReason::Stalled => {
            tracing::warn!(peer, "closing a connection: its peer has stopped reading")
        }
        // Of a flood: it is counted.
        CloseReason::Crowded => {}
        CloseReason::Revoked => tracing::info!(
            peer,
            "closing a connection: its proxy's credential was revoked"
        ),
        _ => return false,
    }
    true
}

/// The transport of a socket, after the TLS handshake if there is to be one.
async fn encrypt<A: Admit>(
    socket: Socket,
    address: Option<SocketAddr>,
    shared: &Connections<A>,
) -> Option<Transport> {
    let settings = &shared.ads.shared;
    let Some(tls) = &settings.tls else {
        return Some(Transport::Plain(socket));
    };
    let newest = tls.borrow().clone();
    let handshake = Transport::handshake(socket, newest, settings.limits.handshake);
    let failed = tokio::select! {
        done = handshake => match done {
            Ok(io) => return io,
            Err(error) => error,
        },
        () = shared.shutdown.cancelled() => return None,
    };
    settings.metrics.failed_handshake();
    if let Some(times) = shared.failed_handshakes.count_event() {
        let peer = address.map(display);
        tracing::warn!(peer, error = %failed, times, "a TLS handshake failed");
    }
    None
}

fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

/// The window sizes of each stream and of the connection, with so many connections open.
fn windows(open: u32) -> (u32, u32) {
    let fits = WINDOWS.iter().find(|(most, _)| open <= *most);
    fits.map_or(LEAST_WINDOWS, |(_, windows)| *windows)
}

fn builder(limits: &Limits, windows: (u32, u32), streams: &Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout)
        .initial_stream_window_size(windows.0)
        .initial_connection_window_size(windows.1)
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(MAX_HEADERS)
        .max_pending_accept_reset_streams(MAX_RESETS.0)
        .max_local_error_reset_streams(MAX_RESETS.1);
    builder
}

/// Ends a connection when it is too old, when the server shuts down, when a proof expires, or when
/// something else ends it.
async fn end_in_time<A: Admit>(shared: Arc<Connections<A>>, state: Arc<Connection>, number: u64) {
    let settings = &shared.ads.shared;
    let chance = xxh3_64(&number.to_le_bytes()) as f64 / u64::MAX as f64;
    let age = settings
        .max_connection_age
        .map(|age| age.mul_f64(0.9 + 0.2 * chance));
    let why = tokio::select! {
        () = sleep(age) => CloseReason::Age,
        () = shed(settings.shed.clone(), chance) => CloseReason::Shed,
        () = shared.shutdown.cancelled() => {
            let all = CLOSING_INTERVAL * shared.open.load(Ordering::Relaxed);
            let window = all.min(settings.closing_window);
            tokio::time::sleep(window.mul_f64(chance)).await;
            CloseReason::Shutdown
        }
        why = state.ended() => why,
        why = state.validity.ended() => why,
    };
    state.end(why);
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_its_watchdog_nothing_is_served() {
        let watchdog = tokio::spawn(async { panic!("out of luck") });
        let ended = guarded(AbortOnDropHandle::new(watchdog), pending()).await;
        let error = ended.unwrap_err().to_string();
        assert!(error.contains("out of luck"), "{error}");
    }
}
