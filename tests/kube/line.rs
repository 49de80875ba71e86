//! A line from one process to another, which can freeze: nothing passes then, and nothing ends.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use seaway_testing::{ApiServer, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::watch;

/// Where Seaway and everything that is on no node is.
const FABRIC: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 1);

/// A line that passes everything on until it is frozen. It ends with the world.
#[derive(Debug)]
pub(crate) struct Line {
    frozen: watch::Sender<bool>,
    target: watch::Sender<SocketAddr>,
    /// Where it begins.
    pub(crate) address: SocketAddr,
}

impl Line {
    /// A line to this address.
    pub(crate) fn to(world: &World, target: SocketAddr) -> Result<Line> {
        let (frozen, watched) = watch::channel(false);
        let (target, leads) = watch::channel(target);
        let (ready, listening) = std::sync::mpsc::channel();
        let any = SocketAddr::from((FABRIC, 0));
        world.fabric().thread("line", move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else {
                return;
            };
            runtime.block_on(async {
                let listener = TcpListener::bind(any).await;
                let address = listener.as_ref().ok().and_then(|it| it.local_addr().ok());
                let _ = ready.send(address);
                if let Ok(listener) = listener {
                    accept(listener, leads, watched).await;
                }
            });
        })?;
        let address = listening.recv()?.context("the line cannot listen")?;
        Ok(Line {
            frozen,
            target,
            address,
        })
    }

    /// A kubeconfig that leads over a line to this server.
    pub(crate) fn kubeconfig(&self, world: &World, server: &ApiServer) -> Result<PathBuf> {
        let kubeconfig = world.folder().join("kubeconfig-line");
        server.kubeconfig(&kubeconfig)?;
        let text = fs::read_to_string(&kubeconfig)?;
        let text = text.replace(&server.address().to_string(), &self.address.to_string());
        fs::write(&kubeconfig, text)?;
        Ok(kubeconfig)
    }

    /// New connections lead to this address; those that are open go on.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }

    /// From now on nothing passes.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// Everything passes that came meanwhile, and what comes.
    pub(crate) fn thaw(&self) {
        self.frozen.send_replace(false);
    }
}

/// Accepts until nobody can freeze the line any more.
async fn accept(
    listener: TcpListener,
    target: watch::Receiver<SocketAddr>,
    mut frozen: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    let target = *target.borrow();
                    tokio::spawn(pass(client, target, frozen.clone()));
                }
            }
            changed = frozen.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

async fn pass(client: TcpStream, target: SocketAddr, frozen: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        _ = pump(from_client, to_server, frozen.clone()) => {}
        _ = pump(from_server, to_client, frozen) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        frozen.wait_for(|frozen| !frozen).await?;
        match read {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read]).await?,
        }
    }
}
