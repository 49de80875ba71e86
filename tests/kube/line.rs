//! A line from one replica to the API server, which can freeze: nothing passes then, and nothing
//! ends.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use seaway_testing::{ApiServer, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::watch;

/// A line that passes everything on until it is frozen. It ends with the world.
#[derive(Debug)]
pub(crate) struct Line {
    frozen: watch::Sender<bool>,
    /// A kubeconfig that leads over it.
    pub(crate) kubeconfig: PathBuf,
}

impl Line {
    /// A line to this server.
    pub(crate) fn to(world: &World, server: &ApiServer) -> Result<Line> {
        let (frozen, watched) = watch::channel(false);
        let (ready, listening) = std::sync::mpsc::channel();
        let target = server.address();
        world.fabric().thread("line", move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else {
                return;
            };
            runtime.block_on(async {
                let any = SocketAddr::from((IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
                let listener = TcpListener::bind(any).await;
                let address = listener.as_ref().ok().and_then(|it| it.local_addr().ok());
                let _ = ready.send(address);
                if let Ok(listener) = listener {
                    accept(listener, target, watched).await;
                }
            });
        })?;
        let address = listening.recv()?.context("the line cannot listen")?;
        let kubeconfig = world.folder().join("kubeconfig-line");
        server.kubeconfig(&kubeconfig)?;
        let text = fs::read_to_string(&kubeconfig)?;
        let text = text.replace(&target.to_string(), &address.to_string());
        fs::write(&kubeconfig, text)?;
        Ok(Line { frozen, kubeconfig })
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
async fn accept(listener: TcpListener, target: SocketAddr, mut frozen: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
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
