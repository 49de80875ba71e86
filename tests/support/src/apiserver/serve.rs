//! The thread that listens, and what it can be told: to stop listening, to listen again, to break
//! every connection.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc as wait;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustix::net::sockopt::set_socket_linger;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::ApiServer;
use super::answer::answer;
use super::shared::Shared;
use crate::certs::{Ca, Leaf};
use crate::tls;

/// What the thread is told, and how it says that it is done.
pub(super) type Order = (Command, wait::Sender<Result<()>>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    Listen,
    Refuse,
    Kill,
}

impl ApiServer {
    /// TLS from the next connection on: shows `server`, and insists on a certificate of `clients`.
    /// [`Self::kubeconfig`] knows nothing of it.
    pub fn secure(&self, server: &Leaf, clients: &Ca) -> Result<()> {
        self.encrypt(server, clients, false)
    }

    /// [`Self::secure`] for clients without a certificate, too.
    pub fn secure_for_all(&self, server: &Leaf, clients: &Ca) -> Result<()> {
        self.encrypt(server, clients, true)
    }

    fn encrypt(&self, server: &Leaf, clients: &Ca, optional: bool) -> Result<()> {
        let acceptor = tls::acceptor(server, clients, optional, &[b"h2", b"http/1.1"])?;
        self.shared.tls.send_replace(Some(acceptor));
        Ok(())
    }
}

/// Serves until there is nobody left to give orders. Tells the address that it listens on.
pub(super) fn run(
    shared: Arc<Shared>,
    address: SocketAddr,
    orders: mpsc::UnboundedReceiver<Order>,
    ready: &wait::Sender<Result<SocketAddr>>,
) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            match Server::new(shared, address) {
                Ok(server) => {
                    let _ = ready.send(Ok(server.address));
                    server.run(orders).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        }),
        Err(error) => drop(ready.send(Err(error.into()))),
    }
}

struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Keeps the port while nothing listens: bound only, so that connections are refused.
    _reserved: TcpSocket,
    listener: Option<TcpListener>,
    connections: JoinSet<()>,
    /// Counts how often all connections were broken.
    kills: watch::Sender<u64>,
}

impl Server {
    fn new(shared: Arc<Shared>, address: SocketAddr) -> Result<Self> {
        let reserved = bind(address)?;
        let address = reserved.local_addr()?;
        Ok(Self {
            shared,
            address,
            _reserved: reserved,
            listener: Some(listen(address)?),
            connections: JoinSet::new(),
            kills: watch::Sender::default(),
        })
    }

    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some((command, done)) => {
                        let result = self.obey(command).await;
                        let _ = done.send(result);
                    }
                    None => return,
                },
                stream = accept(self.listener.as_ref()) => self.serve(stream),
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Listen if self.listener.is_none() => {
                self.listener = Some(listen(self.address)?);
            }
            Command::Listen => {}
            Command::Refuse => self.listener = None,
            Command::Kill => {
                self.kills.send_modify(|kills| *kills += 1);
                while self.connections.join_next().await.is_some() {}
            }
        }
        Ok(())
    }

    fn serve(&mut self, stream: TcpStream) {
        let (shared, mut kills) = (self.shared.clone(), self.kills.subscribe());
        self.connections.spawn(async move {
            // Not for the processes that tests start: they would keep the connection open.
            let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(stream.as_fd(), 0) else {
                return;
            };
            let served = shared.clone();
            let service = service_fn(move |request| answer(served.clone(), request));
            let builder = auto::Builder::new(TokioExecutor::new());
            let acceptor = shared.tls.borrow().clone();
            let connection = async {
                // An error here is a client that went away or is not believed, or a body that is to
                // break.
                match acceptor {
                    None => drop(
                        builder
                            .serve_connection_with_upgrades(TokioIo::new(stream), service)
                            .await,
                    ),
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            drop(
                                builder
                                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                                    .await,
                            );
                        }
                    }
                }
            };
            tokio::select! {
                () = connection => {}
                _ = kills.changed() => {
                    // Closing it now is a reset, not an end.
                    let _ = set_socket_linger(&socket, Some(Duration::ZERO));
                }
            }
        });
    }
}

/// The next connection; none while nothing listens.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            return stream;
        }
    }
}

/// Two sockets may have a port as long as only one of them listens.
fn bind(address: SocketAddr) -> Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    let bound = socket.bind(address);
    bound.with_context(|| format!("the API server cannot bind {address}"))?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listening = bind(address)?.listen(1024);
    listening.with_context(|| format!("the API server cannot listen on {address}"))
}
