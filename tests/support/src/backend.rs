//! Backends: HTTP servers on pod addresses that answer with their own name, or with the whole
//! request, over HTTP/1.1 and over HTTP/2 without TLS (h2c).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;

use crate::Namespace;
use crate::echo::{self, AnswerBody};
use crate::namespace::Inside;
use crate::proxied;

/// Response header with the `Host` the backend was asked for.
pub(crate) const SAW_HOST: &str = "saw-host";
/// Response header with the address from which the backend was asked.
pub(crate) const SAW_CLIENT: &str = "saw-client";
/// Response header with the HTTP version the backend was asked in.
pub(crate) const SAW_VERSION: &str = "saw-version";

/// What a backend and its connections know of each other.
#[derive(Debug, Default)]
struct State {
    requests: AtomicU64,
    leaving: AtomicBool,
    /// Whether it answers with the whole request.
    echoes: bool,
    /// How often each host was asked for, if it echoes.
    by_host: Mutex<BTreeMap<String, u64>>,
    /// The same of each host with its path.
    by_path: Mutex<BTreeMap<String, u64>>,
}

/// A running backend. Dropping it closes its listener and all of its connections.
#[derive(Debug)]
pub struct Backend {
    name: String,
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<Inside<()>>,
}

impl Backend {
    /// Listens on `address` in `namespace`; returns when connections are accepted.
    pub fn start(namespace: &Namespace, name: &str, address: SocketAddr) -> Result<Self> {
        Self::start_as(namespace, name, address, State::default())
    }

    /// [`Backend::start`] for one that answers with the request as it got it: see
    /// [`Echoed`](crate::Echoed).
    pub fn echoing(namespace: &Namespace, name: &str, address: SocketAddr) -> Result<Self> {
        let echoes = State {
            echoes: true,
            ..State::default()
        };
        Self::start_as(namespace, name, address, echoes)
    }

    fn start_as(
        namespace: &Namespace,
        name: &str,
        address: SocketAddr,
        state: State,
    ) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ready, listening) = std::sync::mpsc::channel();
        let state = Arc::new(state);
        let (answer, shared) = (Bytes::from(name.to_owned()), state.clone());
        let thread = namespace.thread(name, move || {
            let server = runtime::Builder::new_current_thread().enable_all().build();
            match server {
                Ok(server) => server.block_on(async {
                    let listener = TcpListener::bind(address).await;
                    let accepting = listener.map(|listener| accept(listener, answer, shared));
                    match accepting {
                        Ok(accepting) => {
                            let _ = ready.send(Ok(()));
                            tokio::select! { () = accepting => {}, _ = stopped => {} }
                        }
                        Err(error) => drop(ready.send(Err(error))),
                    }
                }),
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        listening
            .recv()?
            .with_context(|| format!("backend {name} cannot listen on {address}"))?;
        Ok(Self {
            name: name.to_owned(),
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What it answers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests answered so far.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Requests for a host so far, of one that echoes.
    pub fn requests_for(&self, host: &str) -> u64 {
        let by_host = self.state.by_host.lock();
        let by_host = by_host.unwrap_or_else(PoisonError::into_inner);
        by_host.get(host).copied().unwrap_or_default()
    }

    /// From now on every answer asks the client to close the connection, as a server does that has
    /// been told to end.
    pub fn leave(&self) {
        self.state.leaving.store(true, Ordering::Relaxed);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // The runtime goes with its thread, and with the runtime every socket.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Accepts for ever.
async fn accept(listener: TcpListener, name: Bytes, state: Arc<State>) {
    loop {
        if let Ok((stream, client)) = listener.accept().await {
            let client = client.ip().to_canonical();
            tokio::spawn(serve(stream, client, name.clone(), state.clone()));
        }
    }
}

/// Serves one connection, in whichever version of HTTP the client begins. The client is whom a
/// PROXY header names, if there is one.
async fn serve(mut stream: TcpStream, client: IpAddr, name: Bytes, state: Arc<State>) {
    let Ok(named) = proxied::client(&mut stream).await else {
        return;
    };
    let client = named.unwrap_or(client);
    let shared = state.clone();
    let service = service_fn(move |request| {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let (name, shared) = (name.clone(), shared.clone());
        async move {
            let mut response = match shared.echoes {
                true => shared.echo(request, &name).await?,
                false => respond(&request, name),
            };
            if let Ok(client) = client.to_string().parse() {
                response.headers_mut().insert(SAW_CLIENT, client);
            }
            if shared.leaving.load(Ordering::Relaxed) {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            anyhow::Ok(response)
        }
    });
    // An error here is a client that went away: the client's side counts it.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

impl State {
    async fn echo(&self, request: Request<Incoming>, name: &Bytes) -> Result<Response<AnswerBody>> {
        let host = echo::host(&request);
        let path = format!("{host}{}", request.uri().path());
        count(&self.by_host, host);
        let number = count(&self.by_path, path);
        echo::answer(request, &String::from_utf8_lossy(name), number).await
    }
}

/// Counts one more.
fn count(all: &Mutex<BTreeMap<String, u64>>, key: String) -> u64 {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let count = all.entry(key).or_default();
    *count += 1;
    *count
}

/// The backend's name, and in headers what it saw.
fn respond(request: &Request<Incoming>, name: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(Either::Left(Full::new(name)));
    if let Ok(host) = echo::host(request).parse() {
        response.headers_mut().insert(SAW_HOST, host);
    }
    if let Ok(version) = format!("{:?}", request.version()).parse() {
        response.headers_mut().insert(SAW_VERSION, version);
    }
    response
}
