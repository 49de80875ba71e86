//! UDP: backends that answer every datagram with their own name, and clients that keep their source port.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::namespace::Inside;
use crate::{Answer, Namespace, Outcome};

/// How long a backend waits before it looks whether it is to stop.
const TICK: Duration = Duration::from_millis(20);
/// How long a client waits for an answer. A datagram may be lost for good reasons, so that this is short, and waiting is the caller's.
const PATIENCE: Duration = Duration::from_millis(250);

/// A UDP server that answers with its name and the address it was asked from. Stopped when dropped: its port then is unreachable.
#[derive(Debug)]
pub struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<Inside<()>>,
}

impl Echo {
    /// Listens on `address` in `namespace`.
    pub fn start(namespace: &Namespace, name: &str, address: SocketAddr) -> Result<Self> {
        let socket = namespace.run(move || UdpSocket::bind(address))?;
        let socket = socket.with_context(|| format!("{name} cannot listen on {address}"))?;
        socket.set_read_timeout(Some(TICK))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (stop.clone(), name.to_owned());
        let thread = namespace.thread("echo", move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((_, client)) = socket.recv_from(&mut [0; 512]) {
                    let answer = format!("{name} {}", client.ip().to_canonical());
                    let _ = socket.send_to(answer.as_bytes(), client);
                }
            }
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A UDP client that keeps its source port, and so its flow.
#[derive(Debug)]
pub struct Flow {
    socket: UdpSocket,
}

impl Flow {
    /// A client in `namespace` that sends to `target`.
    pub fn open(namespace: &Namespace, target: &str) -> Result<Self> {
        let target: SocketAddr = target.parse()?;
        let any: IpAddr = match target {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = namespace.run(move || {
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect(target).map(|()| socket)
        })??;
        Ok(Self { socket })
    }

    /// Sends one datagram and waits a moment for what comes back: an answer, or word that the port is unreachable.
    pub fn ask(&self) -> Result<Outcome> {
        let end = Instant::now() + PATIENCE;
        if let Err(error) = self.socket.send(b"who?") {
            return refused(error);
        }
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Outcome::TimedOut);
            }
            self.socket.set_read_timeout(Some(left))?;
            let mut buffer = [0; 512];
            match self.socket.recv(&mut buffer) {
                Ok(count) => return Ok(answer(&buffer[..count])),
                // A wait with a timeout is also cut short when the machine was stopped for a while.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return refused(error),
            }
        }
    }
}

/// An unreachable port is an outcome; every other error is one of the test.
fn refused(error: std::io::Error) -> Result<Outcome> {
    if error.kind() == ErrorKind::ConnectionRefused {
        Ok(Outcome::Refused)
    } else {
        Err(error.into())
    }
}

/// What an [`Echo`] said.
fn answer(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let (name, client) = text.split_once(' ').unwrap_or((&text, ""));
    Outcome::Answered(Answer {
        status: 200,
        body: name.to_owned(),
        host: String::new(),
        version: String::new(),
        client: client.parse().ok(),
    })
}
