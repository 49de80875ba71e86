//! The pods that ask: one question after the other, each in a new flow or a new connection, and how
//! long its answer took.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// From one round of questions to the next.
const PACE: Duration = Duration::from_millis(20);
/// How long an answer may take: behind it, it is none.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a question is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Udp,
    Tcp,
}

/// One way of asking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) to: SocketAddr,
}

/// What came of the questions of one lane.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) lane: Lane,
    /// How long each took, sorted. A question without an answer took all of the patience, so that
    /// what is lost is no gain.
    times: Vec<Duration>,
    /// How many failed, by what was said.
    pub(crate) failures: BTreeMap<String, usize>,
}

impl Answers {
    pub(crate) fn asked(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    /// What so many percent of the questions took at most, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let index = (self.times.len() * percent / 100).min(last);
        let time = self.times.get(index).copied().unwrap_or_default();
        time.as_secs_f64() * 1e3
    }
}

/// Asks all lanes in turn until then.
pub(crate) fn run(lanes: &[Lane], end: Instant) -> Vec<Answers> {
    let new = |lane: &Lane| Answers {
        lane: *lane,
        times: Vec::new(),
        failures: BTreeMap::new(),
    };
    let mut all: Vec<Answers> = lanes.iter().map(new).collect();
    let mut due = Instant::now();
    while due < end {
        for answers in &mut all {
            let asked = Instant::now();
            let time = match ask(answers.lane.kind, answers.lane.to) {
                Ok(()) => asked.elapsed(),
                Err(error) => {
                    *answers.failures.entry(error.to_string()).or_default() += 1;
                    PATIENCE
                }
            };
            answers.times.push(time);
        }
        // Who is late does not hurry: this is a modest client.
        due = (due + PACE).max(Instant::now());
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    for answers in &mut all {
        answers.times.sort();
    }
    all
}

/// One question from a new port.
pub(crate) fn ask(kind: Kind, to: SocketAddr) -> io::Result<()> {
    match kind {
        Kind::Udp => datagram(to),
        Kind::Tcp => request(to),
    }
}

fn datagram(to: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"who?")?;
    socket.recv(&mut [0; 64]).map(drop)
}

fn request(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: flood\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::InvalidData, "another answer"))
}
