//! UDP: backends that answer every datagram with their own name, and clients that keep their source
//! port.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::namespace::Inside;
use crate::{Answer, Namespace, Outcome};

/// How long a backend waits before it looks whether it is to stop.
const TICK: Duration = Duration::from_millis(20);
/// How long a client waits for an answer. A datagram may be lost for good reasons, so that this is
/// short, and waiting is the caller's.
const PATIENCE: Duration = Duration::from_millis(250);

/// The largest datagram there is.
const LARGEST: usize = 65_535;

/// A UDP server that answers with its name, the address it was asked from and the size of the
/// question, in as many bytes as that asks for. Stopped when dropped: its port then is unreachable.
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
            let mut buffer = vec![0; LARGEST];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((count, client)) = socket.recv_from(&mut buffer) {
                    let answer = format!("{name} {} {count}", client.ip().to_canonical());
                    let answer = padded(answer, wanted(&buffer[..count]));
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

    /// Sends one datagram and waits a moment for what comes back: an answer, or word that the port
    /// is unreachable.
    pub fn ask(&self) -> Result<Outcome> {
        self.exchange(b"who?").map(|(outcome, _)| outcome)
    }

    /// Sends a datagram of `question` bytes that asks for one of `answer` bytes (20 and more each),
    /// and fails when either comes in another size.
    pub fn ask_sized(&self, question: usize, answer: usize) -> Result<Outcome> {
        let text = padded(format!("answer {answer}"), question);
        let (outcome, bytes) = self.exchange(text.as_bytes())?;
        if outcome.backend().is_some() {
            ensure!(bytes.len() == answer, "an answer of {} bytes", bytes.len());
            let text = String::from_utf8_lossy(&bytes);
            let seen = text.split(' ').nth(2);
            ensure!(seen == Some(&question.to_string()), "it saw {seen:?} bytes");
        }
        Ok(outcome)
    }

    /// What became of one question, and the bytes of the answer.
    fn exchange(&self, question: &[u8]) -> Result<(Outcome, Vec<u8>)> {
        let end = Instant::now() + PATIENCE;
        let none = |outcome| (outcome, Vec::new());
        if let Err(error) = self.socket.send(question) {
            return refused(error).map(none);
        }
        let mut buffer = vec![0; LARGEST];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(none(Outcome::TimedOut));
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv(&mut buffer) {
                Ok(count) => {
                    buffer.truncate(count);
                    return Ok((answer(&buffer), buffer));
                }
                // A wait with a timeout is also cut short when the machine was stopped for a while.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return refused(error).map(none),
            }
        }
    }
}

/// How many bytes a question asks for; 0 if it does not say.
fn wanted(question: &[u8]) -> usize {
    let text = String::from_utf8_lossy(question);
    let number = text.strip_prefix("answer ").unwrap_or_default();
    number.trim_end().parse().unwrap_or_default()
}

/// A text of at least this many bytes.
fn padded(text: String, size: usize) -> String {
    format!("{text:<size$}")
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
    let mut words = text.split(' ');
    let (name, client) = (words.next(), words.next());
    Outcome::Answered(Answer {
        status: 200,
        body: name.unwrap_or_default().to_owned(),
        host: String::new(),
        version: String::new(),
        client: client.and_then(|client| client.parse().ok()),
    })
}
