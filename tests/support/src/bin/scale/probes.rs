//! Who asks Services until they answer, and notes when.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seaway_testing::{Inside, Namespace};

use crate::PATIENCE;

/// Pause between two rounds of requests to whoever has not answered.
const STEP: Duration = Duration::from_millis(20);
/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// A thread that asks.
pub(crate) struct Probes(Inside<Result<Answers>>);

/// When Services answered first, sorted.
pub(crate) struct Answers(Vec<Instant>);

impl Probes {
    /// Asks each of `targets` from inside `namespace` until it answers.
    pub(crate) fn start(namespace: &Namespace, targets: Vec<SocketAddr>) -> Result<Self> {
        let thread = namespace.thread("probes", move || ask(targets))?;
        Ok(Self(thread))
    }

    /// Waits until all have answered.
    pub(crate) fn join(self) -> Result<Answers> {
        self.0.join()?
    }
}

impl Answers {
    /// When so many percent of the Services had answered, 0 being the first of them.
    pub(crate) fn part(&self, percent: usize) -> Instant {
        self.0[(self.0.len() - 1) * percent / 100]
    }
}

fn ask(mut targets: Vec<SocketAddr>) -> Result<Answers> {
    let end = Instant::now() + PATIENCE;
    let mut moments = Vec::new();
    while !targets.is_empty() {
        ensure!(Instant::now() < end, "{} do not answer", targets.len());
        targets.retain(|target| {
            let answered = answers(target);
            if answered {
                moments.push(Instant::now());
            }
            !answered
        });
        thread::sleep(STEP);
    }
    ensure!(!moments.is_empty(), "there is no Service");
    Ok(Answers(moments))
}

/// Whether one request over a new connection is answered.
pub(crate) fn answers(target: &SocketAddr) -> bool {
    let request = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(target, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: scale\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    request().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
